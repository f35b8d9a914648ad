/** Cycles: balances, transfers, refunds, burning (interface spec, "Cycles"). */
import assert from "node:assert/strict";
import { numberOf, numbersOf } from "../bytes.ts";
import { section } from "../case.ts";
import { rejected, relayedReply, replied, repliedNumber, repliedNumbers, trapped } from "../checks.ts";
import { decodeResult } from "../management.ts";
import {
  append64,
  callItem,
  callOut,
  code,
  get,
  ic0,
  op,
  reply,
  reply64,
  SCRATCH,
  set,
  setHook,
  wide,
} from "../script.ts";
import { pair } from "../world.ts";
import { amount, OK, T } from "./cycles-shared.testkit.ts";

const cycles = section("Cycles");

/** Replies with the low half of a 128-bit amount that a function writes. */
const low = (item: Parameters<typeof wide>[0], ...args: readonly number[]) => [wide(item, ...args), reply];

/** A callback that replies with what came back. */
const refundReply = [ic0.msg_cycles_refunded, reply64];

cycles("the balance of a canister is near what it was given", async (world) => {
  const canister = await world.fresh({ cycles: 5n * T });
  const value = amount(await canister.query(ic0.canister_cycle_balance, reply64));
  assert.ok(value > 4n * T && value < 5n * T, `${value}`);
});

cycles("both widths of the balance agree", async (world) => {
  const canister = await world.shared();
  const [narrow, broad] = numbersOf(
    replied(
      await canister.query(
        ic0.canister_cycle_balance,
        append64,
        wide(ic0.canister_cycle_balance128),
        ic0.msg_reply_data_append,
        ic0.msg_reply,
      ),
    ),
  );
  assert.equal(narrow, broad);
});

cycles("the liquid balance is not more than the balance", async (world) => {
  const canister = await world.shared();
  const [all, , liquid] = numbersOf(
    replied(
      await canister.query(
        wide(ic0.canister_cycle_balance128),
        ic0.msg_reply_data_append,
        wide(ic0.canister_liquid_cycle_balance128),
        ic0.msg_reply_data_append,
        ic0.msg_reply,
      ),
    ),
  );
  assert.ok(all !== undefined && liquid !== undefined && liquid < all && liquid > 0n);
});

cycles("the liquid balance excludes the freezing threshold", async (world) => {
  const canister = await world.fresh({ settings: { freezing_threshold: 0n } });
  const read = [
    wide(ic0.canister_cycle_balance128),
    ic0.msg_reply_data_append,
    wide(ic0.canister_liquid_cycle_balance128),
    ic0.msg_reply_data_append,
    ic0.msg_reply,
  ];
  const [all, , liquid] = numbersOf(replied(await canister.query(...read)));
  assert.equal(all, liquid);
});

cycles("a balance over 2^64 traps in the 64-bit function", async (world) => {
  const canister = await world.fresh({ cycles: 1n << 66n });
  trapped(
    await canister.query(ic0.canister_cycle_balance, reply64),
    "cycles amount exceeds 64-bit representation",
    "IC0502",
  );
});

cycles("a balance over 2^64 is told by the 128-bit function", async (world) => {
  const canister = await world.fresh({ cycles: 1n << 66n });
  assert.equal(amount(await canister.query(...low(ic0.canister_cycle_balance128))) >> 64n, 3n);
});

cycles("cycles of a user's message are zero", async (world) => {
  const canister = await world.shared();
  repliedNumber(await canister.update(ic0.msg_cycles_available, reply64), 0);
});

cycles("the callee sees the cycles that were attached", async (world) => {
  const [from, to] = await pair(world);
  const outcome = await from.update(
    callOut({ to: to.bytes, arg: code(ic0.msg_cycles_available, reply64), cycles: 12_345n }),
  );
  assert.equal(numberOf(relayedReply(outcome)), 12_345n);
});

cycles("the callee sees them in the 128-bit function too", async (world) => {
  const [from, to] = await pair(world);
  const outcome = await from.update(
    callOut({ to: to.bytes, arg: code(...low(ic0.msg_cycles_available128)), cycles: 12_345n }),
  );
  assert.equal(numberOf(relayedReply(outcome)), 12_345n);
});

cycles("what the callee does not accept comes back", async (world) => {
  const [from, to] = await pair(world);
  repliedNumber(
    await from.update(callOut({ to: to.bytes, arg: OK, cycles: 5_000n, onReply: refundReply })),
    5_000,
  );
});

cycles("what the callee accepts does not come back", async (world) => {
  const [from, to] = await pair(world);
  const arg = code(2_000, ic0.msg_cycles_accept, op.drop, ic0.msg_reply);
  repliedNumber(
    await from.update(callOut({ to: to.bytes, arg, cycles: 5_000n, onReply: refundReply })),
    3_000,
  );
});

cycles("the 128-bit refund agrees", async (world) => {
  const [from, to] = await pair(world);
  const onReply = low(ic0.msg_cycles_refunded128);
  assert.equal(
    numberOf(replied(await from.update(callOut({ to: to.bytes, arg: OK, cycles: 5_000n, onReply })))),
    5_000n,
  );
});

cycles("msg_cycles_accept answers what was accepted", async (world) => {
  const [from, to] = await pair(world);
  const arg = code(2_000, ic0.msg_cycles_accept, reply64);
  assert.equal(
    numberOf(relayedReply(await from.update(callOut({ to: to.bytes, arg, cycles: 5_000n })))),
    2_000n,
  );
});

cycles("msg_cycles_accept takes at most what is there", async (world) => {
  const [from, to] = await pair(world);
  const arg = code(9_000, ic0.msg_cycles_accept, reply64);
  assert.equal(
    numberOf(relayedReply(await from.update(callOut({ to: to.bytes, arg, cycles: 5_000n })))),
    5_000n,
  );
});

cycles("msg_cycles_accept128 takes at most what is there", async (world) => {
  const [from, to] = await pair(world);
  const arg = code(...low(ic0.msg_cycles_accept128, 1, 0));
  assert.equal(
    numberOf(relayedReply(await from.update(callOut({ to: to.bytes, arg, cycles: 5_000n })))),
    5_000n,
  );
});

cycles("accepting twice takes from what is left", async (world) => {
  const [from, to] = await pair(world);
  const arg = code(
    3_000,
    ic0.msg_cycles_accept,
    append64,
    3_000,
    ic0.msg_cycles_accept,
    append64,
    ic0.msg_cycles_available,
    reply64,
  );
  assert.deepEqual(
    numbersOf(relayedReply(await from.update(callOut({ to: to.bytes, arg, cycles: 5_000n })))),
    [3_000n, 2_000n, 0n],
  );
});

cycles("accepted cycles are in the balance at once", async (world) => {
  const [from, to] = await pair(world);
  const arg = code(
    ic0.canister_cycle_balance,
    set(30),
    100_000,
    ic0.msg_cycles_accept,
    op.drop,
    ic0.canister_cycle_balance,
    get(30),
    op.sub,
    reply64,
  );
  assert.equal(
    numberOf(relayedReply(await from.update(callOut({ to: to.bytes, arg, cycles: 100_000n })))),
    100_000n,
  );
});

cycles("a trap takes back what was accepted", async (world) => {
  const [from, to] = await pair(world);
  const arg = code(5_000, ic0.msg_cycles_accept, op.drop, op.unreachable);
  repliedNumber(
    await from.update(callOut({ to: to.bytes, arg, cycles: 5_000n, onReject: refundReply })),
    5_000,
  );
});

cycles("a reject gives back what was not accepted", async (world) => {
  const [from, to] = await pair(world);
  const arg = code(1_000, ic0.msg_cycles_accept, op.drop, "no", ic0.msg_reject);
  repliedNumber(
    await from.update(callOut({ to: to.bytes, arg, cycles: 5_000n, onReject: refundReply })),
    4_000,
  );
});

cycles("a callee that does not exist gives everything back", async (world) => {
  const canister = await world.universal();
  repliedNumber(
    await canister.update(
      callOut({ to: new Uint8Array(29).fill(3), arg: OK, cycles: 7_777n, onReject: refundReply }),
    ),
    7_777,
  );
});

cycles("a callee without the method gives everything back", async (world) => {
  const [from, to] = await pair(world);
  repliedNumber(
    await from.update(
      callOut({ to: to.bytes, method: "nothing", arg: OK, cycles: 7_777n, onReject: refundReply }),
    ),
    7_777,
  );
});

cycles("a stopped callee gives everything back", async (world) => {
  const [from, to] = [await world.universal(), await world.fresh()];
  replied(await world.manage("stop_canister", { canister_id: to.id }));
  repliedNumber(
    await from.update(callOut({ to: to.bytes, arg: OK, cycles: 7_777n, onReject: refundReply })),
    7_777,
  );
});

cycles("cycles may be accepted in a callback", async (world) => {
  const [from, to] = await pair(world);
  const arg = code(callOut({ to: to.bytes, arg: OK, onReply: [1_500, ic0.msg_cycles_accept, reply64] }));
  const outcome = await from.update(
    callOut({ to: to.bytes, arg, cycles: 5_000n, onReply: [ic0.msg_cycles_refunded, reply64] }),
  );
  repliedNumber(outcome, 3_500);
});

cycles("after the reply nothing is left to accept", async (world) => {
  const [from, to] = await pair(world);
  const arg = code(ic0.msg_reply, ic0.msg_cycles_available, set(40), 5_000, ic0.msg_cycles_accept, set(41));
  repliedNumber(await from.update(callOut({ to: to.bytes, arg, cycles: 5_000n, onReply: refundReply })), 0);
  repliedNumbers(await to.query(get(40), append64, get(41), append64, ic0.msg_reply), 5_000, 5_000);
});

cycles("call_cycles_add adds up over several calls of it", async (world) => {
  const [from, to] = await pair(world);
  const program = [
    to.bytes,
    "update",
    1,
    [code(ic0.msg_cycles_refunded, reply64), op.keep],
    1,
    0,
    ic0.call_new,
    OK,
    ic0.call_data_append,
    100,
    ic0.call_cycles_add,
    0,
    23,
    ic0.call_cycles_add128,
    ic0.call_perform,
    op.drop,
  ];
  repliedNumber(await from.update(...program), 123);
});

cycles("call_cycles_add over the balance traps", async (world) => {
  const canister = await world.shared();
  const program = [canister.bytes, "update", 1, 0, 1, 0, ic0.call_new, 1, 0, ic0.call_cycles_add128];
  trapped(await canister.update(...program), /is out of cycles|insufficient/i);
});

cycles("cycles of a dropped call are back at once", async (world) => {
  const canister = await world.shared();
  const fresh = [canister.bytes, "update", 1, 0, 1, 0, ic0.call_new];
  const program = [
    ic0.canister_cycle_balance,
    set(33),
    fresh,
    1_000_000,
    ic0.call_cycles_add,
    fresh,
    ic0.canister_cycle_balance,
    get(33),
    op.eq,
    reply64,
  ];
  repliedNumber(await canister.update(...program), 1);
});

cycles("attached cycles are out of the balance at once", async (world) => {
  const canister = await world.shared();
  const program = [
    ic0.canister_cycle_balance,
    set(33),
    canister.bytes,
    "update",
    1,
    0,
    1,
    0,
    ic0.call_new,
    1_000_000,
    ic0.call_cycles_add,
    get(33),
    ic0.canister_cycle_balance,
    op.sub,
    reply64,
  ];
  repliedNumber(await canister.update(...program), 1_000_000);
});

cycles("cycles cannot be accepted in a query", async (world) => {
  trapped(
    await (await world.shared()).query(1, ic0.msg_cycles_accept, reply64),
    "cannot be executed in non replicated query mode",
  );
});

cycles("a query that is executed with replication may accept cycles", async (world) => {
  const [from, to] = await pair(world);
  const arg = code(500, ic0.msg_cycles_accept, reply64);
  repliedNumber(
    await from.update(callOut({ to: to.bytes, method: "query", arg, cycles: 800n, onReply: refundReply })),
    300,
  );
});

cycles("msg_cycles_refunded cannot be read in a method", async (world) => {
  trapped(
    await (await world.shared()).update(ic0.msg_cycles_refunded, reply64),
    "cannot be executed in update mode",
  );
});

cycles("cycles_burn128 burns and answers the amount", async (world) => {
  const canister = await world.universal();
  const program = [
    ic0.canister_cycle_balance,
    set(30),
    wide(ic0.cycles_burn128, 0, 1_000),
    ic0.msg_reply_data_append,
    get(30),
    ic0.canister_cycle_balance,
    op.sub,
    reply64,
  ];
  repliedNumbers(await canister.update(...program), 1_000, 0, 1_000);
});

cycles("cycles_burn128 burns at most the liquid balance", async (world) => {
  const canister = await world.fresh({ cycles: 2n * T });
  const program = [
    wide(ic0.canister_liquid_cycle_balance128),
    ic0.msg_reply_data_append,
    wide(ic0.cycles_burn128, 1, 0),
    ic0.msg_reply_data_append,
    ic0.msg_reply,
  ];
  const [liquid, , burned] = numbersOf(replied(await canister.update(...program)));
  assert.equal(burned, liquid);
});

cycles("cycles_burn128 cannot run in a query", async (world) => {
  trapped(
    await (await world.shared()).query(...low(ic0.cycles_burn128, 0, 1)),
    "cannot be executed in non replicated query mode",
  );
});

cycles("a trap takes a burning back", async (world) => {
  const canister = await world.universal();
  const before = amount(await canister.query(ic0.canister_cycle_balance, reply64));
  rejected(await canister.update(...[wide(ic0.cycles_burn128, 0, T), op.drop, op.drop, op.unreachable]), {
    error: "IC0502",
  });
  assert.ok(before - amount(await canister.query(ic0.canister_cycle_balance, reply64)) < T);
});

cycles("burned cycles show in the metrics", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(wide(ic0.cycles_burn128, 0, T), op.drop, op.drop, ic0.msg_reply));
  const metrics = decodeResult(
    "canister_metrics",
    replied(await world.manage("canister_metrics", { canister_id: canister.id })),
  );
  assert.equal(metrics.cycles_consumed.burned_cycles, T);
});

cycles("a message costs cycles", async (world) => {
  const canister = await world.universal();
  const before = amount(await canister.query(ic0.canister_cycle_balance, reply64));
  replied(await canister.update(ic0.msg_reply));
  assert.ok(amount(await canister.query(ic0.canister_cycle_balance, reply64)) < before);
});

cycles("a query costs no cycles", async (world) => {
  const canister = await world.universal();
  const before = amount(await canister.query(ic0.canister_cycle_balance, reply64));
  replied(await canister.query(5_000, op.spin, ic0.msg_reply));
  assert.ok(before - amount(await canister.query(ic0.canister_cycle_balance, reply64)) < 1_000_000n);
});

cycles("more instructions cost more", async (world) => {
  const canister = await world.universal();
  const price = async (iterations: number): Promise<bigint> => {
    const before = amount(await canister.query(ic0.canister_cycle_balance, reply64));
    replied(await canister.update(iterations, op.spin, ic0.msg_reply));
    return before - amount(await canister.query(ic0.canister_cycle_balance, reply64));
  };
  assert.ok((await price(10_000_000)) > (await price(1)) + 10_000_000n);
});

cycles("a call costs at least what cost_call said before it, less what comes back", async (world) => {
  const [from, to] = await pair(world);
  const program = [
    wide(ic0.cost_call, 6, OK.length),
    op.drop,
    op.load64,
    set(31),
    ic0.canister_cycle_balance,
    set(30),
    callItem({ to: to.bytes, arg: OK }),
    op.drop,
    get(30),
    ic0.canister_cycle_balance,
    op.sub,
    append64,
    get(31),
    append64,
    ic0.msg_reply,
  ];
  const [taken, told] = numbersOf(replied(await from.update(...program)));
  assert.equal(taken, told);
});

cycles("a canister that cannot pay for a call gets 2 from call_perform", async (world) => {
  const canister = await world.fresh({ cycles: T, settings: { freezing_threshold: 0n } });
  const program = [
    wide(ic0.canister_liquid_cycle_balance128),
    op.drop,
    op.load64,
    1_000_000_000,
    op.sub,
    set(50),
    0,
    get(50),
    SCRATCH,
    ic0.cycles_burn128,
    callItem({ to: canister.bytes, arg: OK }),
    reply64,
  ];
  repliedNumber(await canister.update(...program), 2);
});

cycles("cycles of a call that call_perform refused are back", async (world) => {
  const canister = await world.fresh({ cycles: T, settings: { freezing_threshold: 0n } });
  const program = [
    wide(ic0.canister_liquid_cycle_balance128),
    op.drop,
    op.load64,
    1_000_000_000,
    op.sub,
    set(50),
    0,
    get(50),
    SCRATCH,
    ic0.cycles_burn128,
    ic0.canister_cycle_balance,
    set(51),
    callItem({ to: canister.bytes, arg: OK, cycles: 1_000n }),
    op.drop,
    get(51),
    ic0.canister_cycle_balance,
    op.sub,
    reply64,
  ];
  repliedNumber(await canister.update(...program), 0);
});

cycles("a timer's call may carry cycles", async (world) => {
  const [from, to] = await pair(world);
  const call = callOut({
    to: to.bytes,
    arg: code(ic0.msg_cycles_available, set(1), ic0.msg_reply),
    cycles: 4_321n,
    onReply: [],
  });
  replied(await from.update(setHook("global_timer", call), 1, ic0.global_timer_set, op.drop, ic0.msg_reply));
  await world.eventually("the call", async () =>
    numberOf(replied(await to.query(get(1), reply64))) === 4_321n ? true : null,
  );
});

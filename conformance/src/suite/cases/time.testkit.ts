/** Time, timers, counters, controllers, status and version (interface spec, sections of these names). */
import assert from "node:assert/strict";
import { numberOf, numbersOf } from "../bytes.ts";
import { section } from "../case.ts";
import { rejected, replied, repliedNumber, repliedNumbers, trapped } from "../checks.ts";
import { ANONYMOUS } from "../identity.ts";
import { principal } from "../management.ts";
import {
  append64,
  BIG,
  callOut,
  code,
  gate,
  get,
  HEAP_BYTES,
  ic0,
  op,
  openGate,
  reply64,
  replyLog,
  set,
  setHook,
} from "../script.ts";
import { nowNs } from "../wire.ts";
import { pair, reached, type Universal, type World } from "../world.ts";
import { OK } from "./environment-shared.testkit.ts";

const time = section("System time");

const timer = section("Global timer");

const counter = section("Performance counter");

const replicated = section("Replicated execution check");

const controller = section("Controller check");

const status = section("Canister status and version");

const SECOND = 1_000_000_000n;

time("it is near the client's clock", async (world) => {
  const value = numberOf(replied(await (await world.shared()).update(ic0.time, reply64)));
  const away = value - nowNs();
  assert.ok(away < 60n * SECOND && away > -60n * SECOND, `${away} ns away`);
});

time("a query's time is near the client's clock", async (world) => {
  const away = numberOf(replied(await (await world.shared()).query(ic0.time, reply64))) - nowNs();
  assert.ok(away < 60n * SECOND && away > -60n * SECOND, `${away} ns away`);
});

time("it does not move within a message", async (world) => {
  const [a, b] = numbersOf(
    replied(await (await world.shared()).update(ic0.time, append64, 100_000, op.spin, ic0.time, reply64)),
  );
  assert.equal(a, b);
});

time("it does not go back from one message to the next", async (world) => {
  const canister = await world.universal();
  let before = 0n;
  for (let i = 0; i < 4; i++) {
    const now = numberOf(replied(await canister.update(ic0.time, reply64)));
    assert.ok(now >= before);
    before = now;
  }
});

time("a callback's time is not before its call's", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(
    ic0.time,
    set(1),
    callOut({ to: canister.bytes, arg: OK, onReply: [get(1), append64, ic0.time, reply64] }),
  );
  const [called, answered] = numbersOf(replied(outcome));
  assert.ok(called !== undefined && answered !== undefined && answered >= called);
});

time("canister_init has it", async (world) => {
  const canister = await world.fresh({ init: [ic0.time, op.log64] });
  assert.ok(numberOf(replied(await canister.query(replyLog))) > 0n);
});

timer("setting it answers the former time", async (world) => {
  const canister = await world.universal();
  const far = nowNs() + 3_600n * SECOND;
  repliedNumbers(
    await canister.update(
      far,
      ic0.global_timer_set,
      append64,
      far + 1n,
      ic0.global_timer_set,
      append64,
      ic0.msg_reply,
    ),
    0,
    far,
  );
});

timer("a set timer is seen by the next message", async (world) => {
  const canister = await world.universal();
  const far = nowNs() + 3_600n * SECOND;
  replied(await canister.update(far, ic0.global_timer_set, op.drop, ic0.msg_reply));
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), far);
});

timer("zero deactivates it", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(nowNs() + 3_600n * SECOND, ic0.global_timer_set, op.drop, ic0.msg_reply));
  replied(await canister.update(0, ic0.global_timer_set, op.drop, ic0.msg_reply));
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), 0);
});

timer("one of the past runs soon", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      setHook("global_timer", get(1), 1, op.add, set(1)),
      1,
      ic0.global_timer_set,
      op.drop,
      ic0.msg_reply,
    ),
  );
  await ran(world, canister, 1n);
});

timer("one of the near future runs when its time has come, not before", async (world) => {
  const canister = await world.universal();
  const due = [ic0.time, 2n * SECOND, op.add, op.dup, set(2), ic0.global_timer_set, op.drop];
  replied(await canister.update(setHook("global_timer", ic0.time, set(1)), due, ic0.msg_reply));
  const [at, set_] = await world.eventually("the timer", async () => {
    const values = numbersOf(
      replied(await canister.query(get(1), append64, get(2), append64, ic0.msg_reply)),
    );
    return values[0] === 0n ? null : values;
  });
  assert.ok(at !== undefined && set_ !== undefined && at >= set_);
});

timer("it runs once", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      setHook("global_timer", get(1), 1, op.add, set(1)),
      1,
      ic0.global_timer_set,
      op.drop,
      ic0.msg_reply,
    ),
  );
  await ran(world, canister, 1n);
  for (let i = 0; i < 3; i++) replied(await canister.update(ic0.msg_reply));
  repliedNumber(await canister.query(get(1), reply64), 1);
});

timer("it is off once it runs", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      setHook("global_timer", 0, ic0.global_timer_set, 5, op.add, set(1)),
      1,
      ic0.global_timer_set,
      op.drop,
      ic0.msg_reply,
    ),
  );
  await ran(world, canister, 5n);
});

timer("it may set itself again", async (world) => {
  const canister = await world.universal();
  const hook = [get(1), 1, op.add, set(1), 1, ic0.global_timer_set, op.drop];
  replied(
    await canister.update(setHook("global_timer", ...hook), 1, ic0.global_timer_set, op.drop, ic0.msg_reply),
  );
  await world.eventually("three runs", async () =>
    numberOf(replied(await canister.query(get(1), reply64))) >= 3n ? true : null,
  );
  replied(await canister.update(setHook("global_timer"), 0, ic0.global_timer_set, op.drop, ic0.msg_reply));
});

timer("a trap in it undoes what it wrote, not that it ran", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      setHook("global_timer", 9, set(1), "ran", ic0.debug_print, op.unreachable),
      1,
      ic0.global_timer_set,
      op.drop,
      ic0.msg_reply,
    ),
  );
  await world.eventually("the timer", async () => ((await canister.log()).includes("ran") ? true : null));
  repliedNumber(await canister.query(get(1), reply64), 0);
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), 0);
});

timer("an upgrade deactivates it", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(nowNs() + 3_600n * SECOND, ic0.global_timer_set, op.drop, ic0.msg_reply));
  replied(await canister.upgrade());
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), 0);
});

timer("a reinstallation deactivates it", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(nowNs() + 3_600n * SECOND, ic0.global_timer_set, op.drop, ic0.msg_reply));
  replied(await canister.install({ reinstall: null }));
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), 0);
});

timer("one that canister_pre_upgrade sets is lost", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      setHook("pre_upgrade", nowNs() + 3_600n * SECOND, ic0.global_timer_set, op.drop),
      ic0.msg_reply,
    ),
  );
  replied(await canister.upgrade());
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), 0);
});

timer("one that canister_post_upgrade sets is kept", async (world) => {
  const canister = await world.universal();
  const far = nowNs() + 3_600n * SECOND;
  replied(await canister.upgrade(far, ic0.global_timer_set, op.drop));
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), far);
});

timer("one that canister_init sets is kept", async (world) => {
  const far = nowNs() + 3_600n * SECOND;
  const canister = await world.fresh({ init: [far, ic0.global_timer_set, op.drop] });
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), far);
});

timer("a trap takes the setting back", async (world) => {
  const canister = await world.universal();
  rejected(await canister.update(nowNs() + 3_600n * SECOND, ic0.global_timer_set, op.drop, op.unreachable), {
    error: "IC0502",
  });
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), 0);
});

timer("it cannot be set in a query", async (world) => {
  trapped(
    await (await world.shared()).query(1, ic0.global_timer_set, reply64),
    "cannot be executed in non replicated query mode",
  );
});

timer("a timer does not run while the canister is stopped, and runs when it is started", async (world) => {
  const canister = await world.fresh();
  const due = [ic0.time, SECOND, op.add, ic0.global_timer_set, op.drop];
  replied(await canister.update(setHook("global_timer", 4, set(1)), due, ic0.msg_reply));
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  const other = await world.shared();
  let since: bigint | undefined;
  await world.eventually("two seconds", async () => {
    const now = numberOf(replied(await other.update(ic0.time, reply64)));
    since ??= now;
    return now > since + 2n * SECOND ? true : null;
  });
  replied(await world.manage("start_canister", { canister_id: canister.id }));
  await ran(world, canister, 4n);
});

async function ran(world: World, canister: Universal, value: bigint): Promise<void> {
  await world.eventually("the timer", async () =>
    numberOf(replied(await canister.query(get(1), reply64))) === value ? true : null,
  );
}

counter("it grows within a message", async (world) => {
  const [a, b] = numbersOf(
    replied(
      await (await world.shared()).query(
        0,
        ic0.performance_counter,
        append64,
        0,
        ic0.performance_counter,
        reply64,
      ),
    ),
  );
  assert.ok(a !== undefined && b !== undefined && b > a && a > 0n);
});

counter("an iteration of a loop counts the same every time", async (world) => {
  const measure = (n: number) => [
    0,
    ic0.performance_counter,
    n,
    op.spin,
    0,
    ic0.performance_counter,
    op.swap,
    op.sub,
    append64,
  ];
  const [a, b, c] = numbersOf(
    replied(
      await (await world.shared()).query(measure(1_000), measure(2_000), measure(3_000), ic0.msg_reply),
    ),
  );
  assert.ok(a !== undefined && b !== undefined && c !== undefined && c - b === b - a && b > a);
});

counter("an update and a query count the same", async (world) => {
  const canister = await world.shared();
  const program = [
    0,
    ic0.performance_counter,
    1_000,
    op.spin,
    0,
    ic0.performance_counter,
    op.swap,
    op.sub,
    reply64,
  ];
  assert.deepEqual(replied(await canister.query(...program)), replied(await canister.update(...program)));
});

counter("a 32-bit and a 64-bit canister count their own weights", async (world) => {
  const program = [
    0,
    ic0.performance_counter,
    1_000,
    op.spin,
    0,
    ic0.performance_counter,
    op.swap,
    op.sub,
    reply64,
  ];
  const narrow = numberOf(replied(await (await world.shared()).query(...program)));
  const wide = numberOf(replied(await (await world.shared(64)).query(...program)));
  assert.ok(wide >= narrow, `${wide} and ${narrow}`);
});

counter("counter 1 is counter 0 in the first message of a call", async (world) => {
  const [a, b] = numbersOf(
    replied(
      await (await world.shared()).update(
        0,
        ic0.performance_counter,
        append64,
        1,
        ic0.performance_counter,
        reply64,
      ),
    ),
  );
  assert.ok(a !== undefined && b !== undefined && b > a && b - a < 2_000n);
});

counter("counter 0 starts anew in a callback", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(
    100_000,
    op.spin,
    callOut({ to: canister.bytes, arg: OK, onReply: [0, ic0.performance_counter, reply64] }),
  );
  assert.ok(numberOf(replied(outcome)) < 10_000n);
});

counter("counter 1 goes on in a callback", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(
    100_000,
    op.spin,
    callOut({ to: canister.bytes, arg: OK, onReply: [1, ic0.performance_counter, reply64] }),
  );
  assert.ok(numberOf(replied(outcome)) > 500_000n);
});

counter("counter 1 does not count the callee", async (world) => {
  const [from, to] = await pair(world);
  const outcome = await from.update(
    callOut({
      to: to.bytes,
      arg: code(1_000_000, op.spin, ic0.msg_reply),
      onReply: [1, ic0.performance_counter, reply64],
    }),
  );
  assert.ok(numberOf(replied(outcome)) < 500_000n);
});

counter("an unknown counter traps", async (world) => {
  trapped(
    await (await world.shared()).query(2, ic0.performance_counter, reply64),
    "Error getting performance counter type 2",
  );
});

counter("canister_init counts", async (world) => {
  const canister = await world.fresh({ init: [0, ic0.performance_counter, op.log64] });
  assert.ok(numberOf(replied(await canister.query(replyLog))) > 100n);
});

replicated("1 in an update", async (world) => {
  repliedNumber(await (await world.shared()).update(ic0.in_replicated_execution, reply64), 1);
});

replicated("0 in a query", async (world) => {
  repliedNumber(await (await world.shared()).query(ic0.in_replicated_execution, reply64), 0);
});

replicated("1 in a query that is executed with replication", async (world) => {
  repliedNumber(await (await world.shared()).replicatedQuery(ic0.in_replicated_execution, reply64), 1);
});

replicated("0 in a composite query", async (world) => {
  repliedNumber(await (await world.shared()).composite(ic0.in_replicated_execution, reply64), 0);
});

replicated("1 in a callback", async (world) => {
  const canister = await world.universal();
  repliedNumber(
    await canister.update(
      callOut({ to: canister.bytes, arg: OK, onReply: [ic0.in_replicated_execution, reply64] }),
    ),
    1,
  );
});

replicated("0 in a callback of a composite query", async (world) => {
  const canister = await world.shared();
  repliedNumber(
    await canister.composite(
      callOut({
        to: canister.bytes,
        method: "query",
        arg: OK,
        onReply: [ic0.in_replicated_execution, reply64],
      }),
    ),
    0,
  );
});

replicated("1 in canister_init", async (world) => {
  const canister = await world.fresh({ init: [ic0.in_replicated_execution, op.log64] });
  repliedNumber(await canister.query(replyLog), 1);
});

replicated("1 in the start function", async (world) => {
  const canister = await world.fresh({ start: code(ic0.in_replicated_execution, set(1)) });
  repliedNumber(await canister.query(get(1), reply64), 1);
});

replicated("1 in a timer", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      setHook("global_timer", ic0.in_replicated_execution, 3, op.add, set(1)),
      1,
      ic0.global_timer_set,
      op.drop,
      ic0.msg_reply,
    ),
  );
  await ran(world, canister, 4n);
});

controller("1 for a controller", async (world) => {
  repliedNumber(await (await world.shared()).query(world.user.sender, ic0.is_controller, reply64), 1);
});

controller("0 for somebody else", async (world) => {
  repliedNumber(await (await world.shared()).query(world.stranger.sender, ic0.is_controller, reply64), 0);
});

controller("0 for the anonymous principal", async (world) => {
  repliedNumber(await (await world.shared()).query(Uint8Array.of(4), ic0.is_controller, reply64), 0);
});

controller("0 for the canister itself, unless it is one", async (world) => {
  const canister = await world.shared();
  repliedNumber(await canister.query(canister.bytes, ic0.is_controller, reply64), 0);
});

controller("1 for the canister itself, if it is one", async (world) => {
  const canister = await world.fresh();
  await canister.configure({ controllers: [canister.id, principal(world.user.sender)] });
  repliedNumber(await canister.update(canister.bytes, ic0.is_controller, reply64), 1);
});

controller("0 for the empty principal", async (world) => {
  repliedNumber(await (await world.shared()).query(new Uint8Array(), ic0.is_controller, reply64), 0);
});

controller("a principal of 29 bytes is one", async (world) => {
  repliedNumber(await (await world.shared()).query(new Uint8Array(29), ic0.is_controller, reply64), 0);
});

controller("more than 29 bytes trap", async (world) => {
  trapped(
    await (await world.shared()).query(new Uint8Array(30), ic0.is_controller, reply64),
    "invalid principal id",
  );
});

controller("a principal behind the heap traps", async (world) => {
  trapped(await (await world.shared()).query(HEAP_BYTES, 1, ic0.is_controller, reply64), "ic0.is_controller");
});

controller("in a 64-bit canister too", async (world) => {
  repliedNumber(await (await world.shared(64)).update(world.user.sender, ic0.is_controller, reply64), 1);
});

status("canister_status is 1 while it runs", async (world) => {
  repliedNumber(await (await world.shared()).query(ic0.canister_status, reply64), 1);
});

status("canister_status is 2 in a callback while it stops", async (world) => {
  const [helper, canister] = [await world.universal(), await world.fresh()];
  const call = callOut({ to: helper.bytes, arg: code(gate), onReply: [ic0.canister_status, reply64] });
  const outcome = canister.update(1, set(1), call);
  await reached(canister, 1);
  const stopping = world.manage("stop_canister", { canister_id: canister.id });
  await world.eventually("stopping", async () =>
    "stopping" in (await canister.status()).status ? true : null,
  );
  replied(await helper.update(openGate));
  repliedNumber(await outcome, 2);
  replied(await stopping);
});

status("a fresh installation has version 1", async (world) => {
  repliedNumber(await (await world.fresh()).query(ic0.canister_version, reply64), 1);
});

status("an update's success raises the version", async (world) => {
  const canister = await world.fresh();
  repliedNumber(await canister.update(ic0.canister_version, reply64), 1);
  repliedNumber(await canister.query(ic0.canister_version, reply64), 2);
});

status("a trapping update does not raise the version", async (world) => {
  const canister = await world.fresh();
  rejected(await canister.update(op.unreachable), { error: "IC0502" });
  repliedNumber(await canister.query(ic0.canister_version, reply64), 1);
});

status("a query does not raise the version", async (world) => {
  const canister = await world.fresh();
  replied(await canister.query(ic0.msg_reply));
  repliedNumber(await canister.query(ic0.canister_version, reply64), 1);
});

status("a query that is executed with replication raises the version", async (world) => {
  const canister = await world.fresh();
  replied(await canister.replicatedQuery(ic0.msg_reply));
  repliedNumber(await canister.query(ic0.canister_version, reply64), 2);
});

status("a callback raises the version", async (world) => {
  const canister = await world.fresh();
  // The method, the callee's message and the callback.
  repliedNumber(
    await canister.update(callOut({ to: canister.bytes, arg: OK, onReply: [ic0.canister_version, reply64] })),
    3,
  );
  repliedNumber(await canister.query(ic0.canister_version, reply64), 4);
});

status("a change of settings raises the version", async (world) => {
  const canister = await world.fresh();
  await canister.configure({ compute_allocation: 0n });
  repliedNumber(await canister.query(ic0.canister_version, reply64), 2);
});

status("an upgrade raises the version between its hooks", async (world) => {
  const canister = await world.fresh();
  const hook = [
    1,
    ic0.stable64_grow,
    op.drop,
    BIG,
    ic0.canister_version,
    op.store64,
    0,
    BIG,
    8,
    ic0.stable64_write,
  ];
  replied(await canister.update(setHook("pre_upgrade", ...hook), ic0.msg_reply));
  replied(await canister.upgrade(ic0.canister_version, op.log64));
  repliedNumbers(
    await canister.query(BIG, 0, 8, ic0.stable64_read, BIG, 8, ic0.msg_reply_data_append, replyLog),
    2,
    3,
  );
});

status("stopping and starting raise the version", async (world) => {
  const canister = await world.fresh();
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  replied(await world.manage("start_canister", { canister_id: canister.id }));
  // To stopping, to stopped, to running.
  repliedNumber(await canister.query(ic0.canister_version, reply64), 4);
});

status("requests to stop or start that change nothing raise the version too", async (world) => {
  const canister = await world.fresh();
  const manage = async (method: string): Promise<bigint> => {
    replied(await world.manage(method, { canister_id: canister.id }));
    return (await canister.status()).version;
  };
  assert.equal(await manage("start_canister"), 2n);
  // To stopping and to stopped.
  assert.equal(await manage("stop_canister"), 4n);
  assert.equal(await manage("stop_canister"), 5n);
  assert.equal(await manage("start_canister"), 6n);
});

status("canister_version of the status is the same", async (world) => {
  const canister = await world.fresh();
  assert.equal((await canister.status()).version, 1n);
});

status("anonymous callers may ask for it", async (world) => {
  repliedNumber(await (await world.shared()).ask(code(ic0.canister_status, reply64), { as: ANONYMOUS }), 1);
});

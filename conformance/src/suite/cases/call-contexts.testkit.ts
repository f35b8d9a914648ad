/** Call contexts: traps, cleanup, answers that never come (interface spec, "Abstract behaviour"). */
import assert from "node:assert/strict";
import { numberOf, numbersOf } from "../bytes.ts";
import { section } from "../case.ts";
import {
  rejected,
  relayedReject,
  relayedReply,
  replied,
  repliedNumber,
  repliedNumbers,
  repliedText,
  trapped,
} from "../checks.ts";
import {
  append64,
  callOut,
  code,
  copied,
  GATE_TURNS,
  gate,
  get,
  ic0,
  op,
  openGate,
  reply,
  reply64,
  set,
} from "../script.ts";
import { pair, reached } from "../world.ts";
import { NO_ARGUMENT, OK } from "./calls-shared.testkit.ts";

const execution = section("Abstract behaviour: call contexts");

execution("a trap in a method sends none of its calls", async (world) => {
  const [from, to] = await pair(world);
  trapped(
    await from.update(callOut({ to: to.bytes, arg: code(5, set(1), ic0.msg_reply) }), op.unreachable),
    "unreachable",
    "IC0502",
  );
  replied(await to.update(ic0.msg_reply));
  repliedNumber(await to.query(get(1), reply64), 0);
});

execution("a trap in a reply callback undoes the callback only", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(
    1,
    set(1),
    callOut({ to: canister.bytes, arg: OK, onReply: [2, set(1), op.unreachable] }),
  );
  rejected(outcome, { code: 5, error: "IC0502" });
  repliedNumber(await canister.query(get(1), reply64), 1);
});

execution("the cleanup callback runs when the reply callback traps", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(
    callOut({ to: canister.bytes, arg: OK, onReply: [2, set(1), op.unreachable], onCleanup: [3, set(2)] }),
  );
  rejected(outcome, { code: 5, error: "IC0502" });
  repliedNumbers(await canister.query(get(1), append64, get(2), append64, ic0.msg_reply), 0, 3);
});

execution("the cleanup callback runs when the reject callback traps", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(
    callOut({
      to: canister.bytes,
      arg: code("no", ic0.msg_reject),
      onReject: [op.unreachable],
      onCleanup: [3, set(2)],
    }),
  );
  rejected(outcome, { code: 5, error: "IC0502" });
  repliedNumber(await canister.query(get(2), reply64), 3);
});

execution("the cleanup callback does not run when the callback succeeds", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      callOut({ to: canister.bytes, arg: OK, onReply: [ic0.msg_reply], onCleanup: [3, set(2)] }),
    ),
  );
  repliedNumber(await canister.query(get(2), reply64), 0);
});

execution("a trap in the cleanup callback undoes it and is told after the callback's", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(
    callOut({
      to: canister.bytes,
      arg: OK,
      onReply: ["first", ic0.trap],
      onCleanup: [3, set(2), "second", ic0.trap],
    }),
  );
  rejected(outcome, {
    code: 5,
    error: "IC0503",
    text: /first[\s\S]*call_on_cleanup also failed:[\s\S]*second/,
  });
  repliedNumber(await canister.query(get(2), reply64), 0);
});

execution("a cleanup callback cannot reply", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(
    callOut({ to: canister.bytes, arg: OK, onReply: [op.unreachable], onCleanup: [ic0.msg_reply] }),
  );
  rejected(outcome, { code: 5, text: /"ic0_msg_reply" cannot be executed in cleanup mode/ });
});

execution("a second callback may reply after the first one trapped", async (world) => {
  const canister = await world.universal();
  const first = callOut({ to: canister.bytes, arg: OK, onReply: [op.unreachable] });
  const second = callOut({ to: canister.bytes, arg: OK, onReply: ["saved", reply] });
  repliedText(await canister.update(first, second), "saved");
});

execution("a callback sees what earlier messages of the canister wrote", async (world) => {
  const [from, to] = await pair(world);
  const change = callOut({ to: from.bytes, arg: code(77, set(5), ic0.msg_reply), onReply: [ic0.msg_reply] });
  repliedNumber(
    await from.update(callOut({ to: to.bytes, arg: code(change), onReply: [get(5), reply64] })),
    77,
  );
});

execution("another message runs between a call and its callback", async (world) => {
  const [from, to] = await pair(world);
  const slow = callOut({
    to: new Uint8Array(),
    method: "raw_rand",
    arg: NO_ARGUMENT,
    onReply: [ic0.msg_reply],
  });
  const outcome = from.update(callOut({ to: to.bytes, arg: code(slow), onReply: [get(6), reply64] }));
  replied(await from.update(55, set(6), ic0.msg_reply));
  assert.ok([0n, 55n].includes(numberOf(replied(await outcome))));
});

execution("a reply callback's trap after another's reply changes nothing for the caller", async (world) => {
  const canister = await world.universal();
  const first = callOut({ to: canister.bytes, arg: OK, onReply: ["ok", reply] });
  const second = callOut({ to: canister.bytes, arg: OK, onReply: [op.unreachable] });
  repliedText(await canister.update(first, second), "ok");
});

execution("the callee runs before the caller's callback in every case", async (world) => {
  const [from, to] = await pair(world);
  const outcome = await from.update(callOut({ to: to.bytes, arg: code(1, op.log64, op.log, reply) }));
  assert.deepEqual(numbersOf(relayedReply(outcome)), [1n]);
});

execution("a callee that is uninstalled while it waits answers with a reject", async (world) => {
  const [from, to] = [await world.universal(), await world.fresh()];
  const outcome = from.update(callOut({ to: to.bytes, arg: code(gate) }));
  await reached(to, GATE_TURNS);
  replied(await world.manage("uninstall_code", { canister_id: to.id }));
  relayedReject(await outcome, 4, /uninstalled/);
});

execution("a caller that is uninstalled answers its own caller with a reject at once", async (world) => {
  const [from, to] = await pair(world);
  const middle = await world.fresh();
  const waiting = code(1, set(1), callOut({ to: to.bytes, arg: code(gate) }));
  const outcome = from.update(callOut({ to: middle.bytes, arg: waiting }));
  await reached(middle, 1);
  replied(await world.manage("uninstall_code", { canister_id: middle.id }));
  relayedReject(await outcome, 4, /uninstalled/);
  replied(await to.update(openGate));
});

execution("a deep graph of calls is answered once", async (world) => {
  const [a, b] = await pair(world);
  let program = code(get(1), 1, op.add, set(1), ic0.msg_reply);
  for (let depth = 0; depth < 10; depth++)
    program = code(
      callOut({ to: depth % 2 === 0 ? a.bytes : b.bytes, arg: program, onReply: [ic0.msg_reply] }),
    );
  replied(await a.call(program));
  repliedNumber(await a.query(get(1), reply64), 1);
});

execution("what a message wrote is there for the next one", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(5, set(1), ic0.msg_reply));
  repliedNumber(await canister.update(get(1), reply64), 5);
});

execution("what a trapping message wrote is gone", async (world) => {
  const canister = await world.universal();
  trapped(await canister.update(5, set(1), 1, op.global_set, op.unreachable), "unreachable", "IC0502");
  repliedNumbers(await canister.query(get(1), append64, op.global_get, append64, ic0.msg_reply), 0, 0);
});

execution("a text of a callee's trap reaches the user through two canisters", async (world) => {
  const [from, to] = await pair(world);
  const outcome = await from.update(
    callOut({
      to: to.bytes,
      arg: code("inner", ic0.trap),
      onReject: [copied("msg_reject_msg"), ic0.msg_reject],
    }),
  );
  rejected(outcome, { code: 4, text: /IC0503: Error from Canister .*inner/s });
});

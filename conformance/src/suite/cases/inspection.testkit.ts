/** What canister_inspect_message is asked about, what it may do, and what it leaves behind (interface spec, "Ingress message inspection"). */
import assert from "node:assert/strict";
import { section } from "../case.ts";
import { rejected, relayedReply, replied, repliedNumber, repliedText } from "../checks.ts";
import { ANONYMOUS } from "../identity.ts";
import {
  callOut,
  code,
  copied,
  get,
  type Item,
  ic0,
  op,
  reply,
  reply64,
  set,
  setHook,
  when,
} from "../script.ts";
import type { Universal, World } from "../world.ts";

const inspection = section("Ingress message inspection");
const costs = section("Cycles", ["time control"]);

const NOT_ACCEPTED = { code: 4, error: "IC0406", from: "submission" } as const;

/** A canister that inspects by a program. */
async function inspecting(world: World, ...program: readonly Item[]): Promise<Universal> {
  const canister = await world.universal({ inspect: true });
  replied(await canister.update(setHook("inspect_message", ...program), ic0.msg_reply));
  return canister;
}

inspection("accepting twice traps", async (world) => {
  const canister = await inspecting(world, ic0.accept_message, ic0.accept_message);
  rejected(await canister.update(ic0.msg_reply), { code: 5, error: "IC0504", from: "submission" });
});

inspection("what it accepted before a trap is not accepted", async (world) => {
  const canister = await inspecting(world, ic0.accept_message, "no", ic0.trap);
  rejected(await canister.update(ic0.msg_reply), {
    code: 5,
    error: "IC0503",
    text: "no",
    from: "submission",
  });
});

inspection("queries are not inspected, by query nor composite query", async (world) => {
  const canister = await inspecting(world, op.unreachable);
  repliedNumber(await canister.query(5, reply64), 5);
  repliedNumber(await canister.composite(6, reply64), 6);
});

inspection("a query method that is called is inspected", async (world) => {
  const canister = await inspecting(world, 1, op.drop);
  rejected(await canister.replicatedQuery(5, reply64), NOT_ACCEPTED);
});

inspection("calls of canisters are not inspected", async (world) => {
  const [caller, canister] = [await world.universal(), await inspecting(world, op.unreachable)];
  const answer = relayedReply(await caller.update(callOut({ to: canister.bytes, arg: code(7, reply64) })));
  assert.equal(answer[0], 7);
});

inspection("management calls about the canister are not inspected", async (world) => {
  const canister = await inspecting(world, op.unreachable);
  replied(await world.manage("canister_status", { canister_id: canister.id }));
  replied(await canister.upgrade());
});

inspection("the method's name is told, whole and in slices", async (world) => {
  const size = [ic0.msg_method_name_size, 6, op.eq];
  const slice = [64, 2, 3, ic0.msg_method_name_copy, 64, op.load8, "d".charCodeAt(0), op.eq];
  const canister = await inspecting(world, size, when([slice, when([ic0.accept_message])]));
  replied(await canister.update(ic0.msg_reply));
  rejected(await canister.call(code(ic0.msg_reply), { method: "query" }), NOT_ACCEPTED);
});

inspection("a copy one byte behind the method's name traps", async (world) => {
  const canister = await inspecting(world, 64, 0, 7, ic0.msg_method_name_copy, ic0.accept_message);
  rejected(await canister.update(ic0.msg_reply), { code: 5, error: "IC0504", from: "submission" });
});

inspection("what it writes is gone, whether it accepts or not", async (world) => {
  const canister = await inspecting(world, get(1), 1, op.add, set(1), get(2), when([ic0.accept_message]));
  rejected(await canister.update(ic0.msg_reply), NOT_ACCEPTED);
  repliedNumber(await canister.query(get(1), reply64), 0);
});

inspection("it sees what messages before it wrote", async (world) => {
  const [open, canister] = [ANONYMOUS, await inspecting(world, get(9), when([ic0.accept_message]))];
  rejected(await canister.call(code(ic0.msg_reply), { as: open }), NOT_ACCEPTED);
  // Another canister's call is not inspected, so that it can open the door.
  const caller = await world.universal();
  relayedReply(await caller.update(callOut({ to: canister.bytes, arg: code(1, set(9), ic0.msg_reply) })));
  replied(await canister.call(code(ic0.msg_reply), { as: open }));
});

inspection("it runs without replication and without a certificate", async (world) => {
  const flags = [ic0.in_replicated_execution, ic0.data_certificate_present, op.add, 0, op.eq];
  const canister = await inspecting(world, flags, when([ic0.accept_message]));
  replied(await canister.update(ic0.msg_reply));
});

inspection("it knows its canister, balance, version, controllers and variables", async (world) => {
  const canister = await world.fresh({
    inspect: true,
    settings: { environment_variables: [{ name: "a", value: "b" }] },
  });
  const knows = [
    [ic0.canister_self_size, 10, op.eq],
    [world.user.sender, ic0.is_controller, op.mul],
    [ic0.env_var_count, 1, op.eq, op.mul],
    [ic0.canister_version, 2, op.eq, op.mul],
  ];
  replied(
    await canister.update(setHook("inspect_message", knows, when([ic0.accept_message])), ic0.msg_reply),
  );
  replied(await canister.update(ic0.msg_reply));
  rejected(await canister.update(ic0.msg_reply), NOT_ACCEPTED);
});

inspection("an upgrade's module decides from then on", async (world) => {
  const canister = await inspecting(world, 1, op.drop);
  rejected(await canister.update(ic0.msg_reply), NOT_ACCEPTED);
  replied(await canister.upgrade());
  replied(await canister.update(ic0.msg_reply));
});

inspection("a stopped canister refuses before it is asked", async (world) => {
  const canister = await world.fresh({ inspect: true });
  replied(await canister.update(setHook("inspect_message", "asked", ic0.trap), ic0.msg_reply));
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  rejected(await canister.update(ic0.msg_reply), { code: 5, error: "IC0508", from: "submission" });
});

inspection("a reply or a reject is not for it", async (world) => {
  for (const program of [[ic0.msg_reply], ["no", ic0.msg_reject], ["x", ic0.msg_reply_data_append]]) {
    const canister = await inspecting(world, ...program, ic0.accept_message);
    rejected(await canister.update(ic0.msg_reply), {
      code: 5,
      error: "IC0504",
      text: "inspect message mode",
    });
  }
});

inspection("its argument is the call's to the last byte", async (world) => {
  const last = [copied("msg_arg_data"), op.add, 1, op.sub, op.load8, 77, op.eq];
  const canister = await inspecting(world, last, when([ic0.accept_message]));
  const program = code(copied("msg_caller"), reply, op.stop, 77);
  repliedText(await canister.call(program), Buffer.from(world.user.sender).toString("utf8"));
  rejected(await canister.call(code(ic0.msg_reply, op.stop, 78)), NOT_ACCEPTED);
});

costs("a call that is not accepted, a query and a read cost nothing, to the cycle", async (world) => {
  const canister = await inspecting(world, get(9), when([ic0.accept_message]));
  const before = await world.manageQuery("canister_status", { canister_id: canister.id });
  rejected(await canister.update(ic0.msg_reply), NOT_ACCEPTED);
  replied(await canister.query(ic0.msg_reply));
  replied(await canister.composite(ic0.msg_reply));
  await world.wire.readState(canister.destination, world.user, []);
  const after = await world.manageQuery("canister_status", { canister_id: canister.id });
  assert.deepEqual(replied(after), replied(before));
});

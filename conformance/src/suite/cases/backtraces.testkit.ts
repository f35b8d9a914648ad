/**
 * Backtraces of canisters whose modules have names (developer documentation, "Canister backtraces"): who is told them, in which
 * answers, and that the log has them whoever called. A calling canister is a caller like any other.
 */
import assert from "node:assert/strict";
import { section } from "../case.ts";
import { rejected, relayedReject, replied } from "../checks.ts";
import { ANONYMOUS, type Identity } from "../identity.ts";
import { principal } from "../management.ts";
import { assemble } from "../module.ts";
import { callOut } from "../script.ts";
import type { Outcome } from "../wire.ts";
import type { Universal, World } from "../world.ts";

const debug = section("Debugging aids");

/** Fails two calls deep in every kind of method; calls itself, and fails in the callback and in its cleanup. */
const TEXT = `(module
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "accept_message" (func $accept))
  (import "ic0" "msg_method_name_size" (func $name_size (result i32)))
  (import "ic0" "canister_self_copy" (func $self (param i32 i32 i32)))
  (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_on_cleanup" (func $on_cleanup (param i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 1)
  (data (i32.const 0) "uh oh")
  (data (i32.const 16) "reply")
  (table funcref (elem $callback $cleanup))
  (func $inner (param i32)
    (if (local.get 0) (then (call $trap (i32.const 0) (i32.const 5))))
    unreachable)
  (func $outer (param i32) (call $inner (local.get 0)))
  (func $boom_update (export "canister_update boom") (call $outer (i32.const 0)))
  (func $told_update (export "canister_update told") (call $outer (i32.const 1)))
  (func $boom_query (export "canister_query boom_query") (call $outer (i32.const 0)))
  (func $told_query (export "canister_query told_query") (call $outer (i32.const 1)))
  (func $boom_composite (export "canister_composite_query boom_composite") (call $outer (i32.const 0)))
  (func $reply (export "canister_update reply") (call $msg_reply))
  (func $hook (export "canister_global_timer") (call $outer (i32.const 1)))
  (func $later (export "canister_update later") (drop (call $timer (i64.const 1))) (call $msg_reply))
  (func $inspect (export "canister_inspect_message")
    (if (i32.eq (call $name_size) (i32.const 9)) (then (call $outer (i32.const 1))))
    (call $accept))
  (func $callback (param i32) (call $outer (i32.const 0)))
  (func $cleanup (param i32) (call $outer (i32.const 1)))
  (func $ask (param $has_cleanup i32)
    (call $self (i32.const 32) (i32.const 0) (i32.const 10))
    (call $call_new (i32.const 32) (i32.const 10) (i32.const 16) (i32.const 5)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (if (local.get $has_cleanup) (then (call $on_cleanup (i32.const 1) (i32.const 0))))
    (drop (call $perform)))
  (func $late (export "canister_update late") (call $ask (i32.const 0)))
  (func $twice (export "canister_update twice") (call $ask (i32.const 1)))
  (func $post (export "canister_post_upgrade") (call $outer (i32.const 0))))`;

const lines = (...names: readonly string[]): string =>
  `Canister Backtrace:\n${names.map((name) => `${name}\n`).join("")}`;
const CALLED = "Canister called `ic0.trap` with message: 'uh oh'";
const TRAPPED = "Canister trapped: unreachable";

async function traced(
  world: World,
  settings: Record<string, unknown> = {},
  options: { readonly names?: boolean } = { names: true },
): Promise<Universal> {
  const canister = await world.fresh({ install: false, settings });
  const wasm_module = await assemble(TEXT, options);
  const arg = new Uint8Array();
  replied(
    await world.manage("install_code", {
      mode: { install: null },
      canister_id: canister.id,
      wasm_module,
      arg,
    }),
  );
  return canister;
}

const run = (canister: Universal, method: string, as?: Identity): Promise<Outcome> =>
  canister.call(new Uint8Array(), { method, ...(as === undefined ? {} : { as }) });
const look = (canister: Universal, method: string, as?: Identity): Promise<Outcome> =>
  canister.ask(new Uint8Array(), { method, ...(as === undefined ? {} : { as }) });

/** A query's answer has the code before its text. */
const messageOf = (outcome: Outcome): string =>
  outcome.kind === "rejected" ? outcome.message.replace(/^IC\d{4}: /, "") : outcome.kind;

/** The error in full: with the backtrace it is followed by advice, without it too. */
function tells(outcome: Outcome, canister: Universal, start: string, backtrace: string | null): void {
  const head = `Error from Canister ${canister.id.toText()}: ${start}`;
  rejected(outcome, { code: 5, error: start === CALLED ? "IC0503" : "IC0502" });
  const message = messageOf(outcome);
  const expected = backtrace === null ? `${head}.\n` : `${head}\n${backtrace}.\n`;
  assert.ok(message.startsWith(expected), `expected\n${expected}in\n${message}`);
}

/** Settings of the log, and whether somebody who is no controller may read it. */
const visibilities = (viewer: Uint8Array) =>
  [
    { settings: {}, isOpen: false },
    { settings: { log_visibility: { public: null } }, isOpen: true },
    { settings: { log_visibility: { allowed_viewers: [principal(viewer)] } }, isOpen: true },
    { settings: { log_visibility: { allowed_viewers: [] } }, isOpen: false },
  ] as const;

const METHODS = [
  { method: "boom", start: TRAPPED, backtrace: lines("inner", "outer", "boom_update"), isQuery: false },
  {
    method: "told",
    start: CALLED,
    backtrace: lines("inner", "outer", "told_update"),
    isQuery: false,
  },
  { method: "boom_query", start: TRAPPED, backtrace: lines("inner", "outer", "boom_query"), isQuery: false },
  { method: "boom_query", start: TRAPPED, backtrace: lines("inner", "outer", "boom_query"), isQuery: true },
  {
    method: "told_query",
    start: CALLED,
    backtrace: lines("inner", "outer", "told_query"),
    isQuery: true,
  },
  {
    method: "boom_composite",
    start: TRAPPED,
    backtrace: lines("inner", "outer", "boom_composite"),
    isQuery: true,
  },
] as const;

const ask = (canister: Universal, asked: (typeof METHODS)[number], as?: Identity): Promise<Outcome> =>
  (asked.isQuery ? look : run)(canister, asked.method, as);

debug.each(
  "a controller is told a trap's backtrace: in updates, replicated queries, queries and composite queries",
  METHODS,
  async (world, asked) => {
    const canister = await traced(world);
    tells(await ask(canister, asked), canister, asked.start, asked.backtrace);
  },
);

debug("a stranger is told it where they may read the log, otherwise the error without it", async (world) => {
  for (const { settings, isOpen } of visibilities(world.stranger.sender)) {
    const canister = await traced(world, settings);
    for (const asked of METHODS) {
      const outcome = await ask(canister, asked, world.stranger);
      tells(outcome, canister, asked.start, isOpen ? asked.backtrace : null);
    }
  }
});

debug("the anonymous user is no allowed viewer unless named", async (world) => {
  const viewers = [principal(world.stranger.sender)];
  const canister = await traced(world, { log_visibility: { allowed_viewers: viewers } });
  tells(await run(canister, "boom", ANONYMOUS), canister, TRAPPED, null);
  tells(await look(canister, "boom_query", ANONYMOUS), canister, TRAPPED, null);
  await canister.configure({
    log_visibility: { allowed_viewers: [...viewers, principal(ANONYMOUS.sender)] },
  });
  tells(await run(canister, "boom", ANONYMOUS), canister, TRAPPED, METHODS[0].backtrace);
});

debug("a change of log_visibility is in force for the next trap", async (world) => {
  const canister = await traced(world);
  for (const isOpen of [true, false]) {
    await canister.configure({ log_visibility: isOpen ? { public: null } : { controllers: null } });
    const outcome = await run(canister, "boom", world.stranger);
    tells(outcome, canister, TRAPPED, isOpen ? METHODS[0].backtrace : null);
  }
});

debug("the log has the backtrace of every trap, whoever was told what", async (world) => {
  const canister = await traced(world);
  tells(await run(canister, "boom", world.stranger), canister, TRAPPED, null);
  tells(await run(canister, "told", ANONYMOUS), canister, CALLED, null);
  tells(await look(canister, "boom_query"), canister, TRAPPED, METHODS[2].backtrace);
  const { update, called } = {
    update: `[TRAP]: unreachable\n${METHODS[0].backtrace}`,
    called: `[TRAP]: uh oh\n${METHODS[1].backtrace}`,
  };
  assert.equal(await canister.log(), `${update}\n${called}`);
});

debug("a hook that nobody called leaves its backtrace in the log", async (world) => {
  const canister = await traced(world);
  replied(await run(canister, "later"));
  const expected = `[TRAP]: uh oh\n${lines("inner", "outer", "hook")}`;
  await world.eventually("the record", async () => ((await canister.log()) === expected ? true : null));
});

debug(
  "a calling canister is told it where it may read the log, otherwise the error without it",
  async (world) => {
    const caller = await world.universal();
    const { bytes, id } = caller;
    for (const { settings, isOpen } of [
      ...visibilities(bytes),
      { settings: { controllers: [principal(world.user.sender), id] }, isOpen: true },
    ]) {
      const callee = await traced(world, settings);
      for (const method of ["boom", "told"]) {
        const { start, backtrace } = METHODS[method === "boom" ? 0 : 1];
        const outcome = await caller.update(callOut({ to: callee.bytes, method, arg: new Uint8Array() }));
        const error = `Error from Canister ${callee.id.toText()}: ${start}`;
        relayedReject(outcome, 5, isOpen ? `${error}\n${backtrace}.\n` : `${error}.\n`);
      }
    }
  },
);

debug("in a composite query the calling canister counts, not its user", async (world) => {
  const caller = await world.universal();
  const callee = await traced(world);
  const call = callOut({ to: callee.bytes, method: "boom_query", arg: new Uint8Array() });
  const error = `Error from Canister ${callee.id.toText()}: ${TRAPPED}`;
  relayedReject(await caller.composite(call), 5, `${error}.\n`);
  await callee.configure({ log_visibility: { allowed_viewers: [caller.id] } });
  relayedReject(await caller.composite(call), 5, `${error}\n${METHODS[2].backtrace}.\n`);
});

debug("for a trap in a callback the one who made the first call counts", async (world) => {
  const canister = await traced(world);
  const backtrace = lines("inner", "outer", "callback");
  tells(await run(canister, "late"), canister, TRAPPED, backtrace);
  tells(await run(canister, "late", world.stranger), canister, TRAPPED, null);
  assert.equal(await canister.log(), `[TRAP]: unreachable\n${backtrace}\n[TRAP]: unreachable\n${backtrace}`);
});

debug("a callback and a cleanup that both trap are told with a backtrace each", async (world) => {
  const canister = await traced(world);
  const head = `Error from Canister ${canister.id.toText()}: `;
  const also = "\n\ncall_on_cleanup also failed:\n\n";
  const [callback, cleanup] = [lines("inner", "outer", "callback"), lines("inner", "outer", "cleanup")];
  const whole = `${head}${TRAPPED}\n${callback}${also}${CALLED}\n${cleanup}`;
  assert.equal(messageOf(await run(canister, "twice")), whole);
  assert.equal(messageOf(await run(canister, "twice", world.stranger)), `${head}${TRAPPED}${also}${CALLED}`);
});

debug("a trap of canister_inspect_message is told the same way, and not logged", async (world) => {
  const canister = await traced(world);
  const backtrace = lines("inner", "outer", "inspect");
  tells(await run(canister, "inspected"), canister, CALLED, backtrace);
  tells(await run(canister, "inspected", world.stranger), canister, CALLED, null);
  assert.equal(await canister.log(), "");
});

debug("who installs code is told the backtrace of its hooks", async (world) => {
  const canister = await traced(world);
  const wasm_module = await assemble(TEXT, { names: true });
  const fields = { mode: { upgrade: null }, canister_id: canister.id, wasm_module, arg: new Uint8Array() };
  tells(await world.manage("install_code", fields), canister, TRAPPED, lines("inner", "outer", "post"));
});

debug("a module without a name section has no backtraces, in errors nor in the log", async (world) => {
  const canister = await traced(world, {}, { names: false });
  tells(await run(canister, "boom"), canister, TRAPPED, null);
  tells(await look(canister, "told_query"), canister, CALLED, null);
  assert.equal(await canister.log(), "[TRAP]: unreachable");
});

/** Composite queries, system tasks, traps of the code, numbers, limits (interface spec, "Composite query calls", "Abstract behaviour"). */
import assert from "node:assert/strict";
import { numberOf } from "../bytes.ts";
import { section } from "../case.ts";
import {
  rejected,
  relayedReject,
  relayedReply,
  replied,
  repliedNumber,
  repliedNumbers,
  trapped,
} from "../checks.ts";
import { managementCall } from "../management.ts";
import {
  append64,
  BIG,
  callOut,
  code,
  copied,
  get,
  HEAP_BYTES,
  type Item,
  ic0,
  op,
  reply,
  reply64,
  set,
  setHook,
  times,
  when,
} from "../script.ts";
import { pair, reached } from "../world.ts";

const composite = section("Composite queries");
const tasks = section("Heartbeats and low-memory hook");
const messages = section("Abstract behaviour: message execution");
const limits = section("Abstract behaviour: resource limits");
const numbers = section("Interpretation of numbers");

const ask = (to: Uint8Array, program: Uint8Array, more: object = {}) =>
  callOut({ to, method: "query", arg: program, ...more });
const SEVEN = code(7, reply64);

composite("one calls a query of another canister", async (world) => {
  const [a, b] = await pair(world);
  assert.equal(numberOf(relayedReply(await a.composite(ask(b.bytes, SEVEN)))), 7n);
});
composite("one calls a composite query of another canister", async (world) => {
  const [a, b] = await pair(world);
  assert.equal(
    numberOf(relayedReply(await a.composite(callOut({ to: b.bytes, method: "composite", arg: SEVEN })))),
    7n,
  );
});
composite("one calls a query of its own canister", async (world) => {
  const canister = await world.shared();
  assert.equal(numberOf(relayedReply(await canister.composite(ask(canister.bytes, SEVEN)))), 7n);
});
composite("one that calls an update method is rejected", async (world) => {
  const [a, b] = await pair(world);
  relayedReject(
    await a.composite(callOut({ to: b.bytes, method: "update", arg: SEVEN })),
    [3, 5],
    "has no query method 'update'",
  );
});
composite("the callee's caller is the calling canister", async (world) => {
  const [a, b] = await pair(world);
  assert.deepEqual(relayedReply(await a.composite(ask(b.bytes, code(copied("msg_caller"), reply)))), a.bytes);
});
composite("the callee's reject arrives", async (world) => {
  const [a, b] = await pair(world);
  relayedReject(await a.composite(ask(b.bytes, code("no", ic0.msg_reject))), 4, /^no$/);
});
composite("the callee's trap arrives", async (world) => {
  const [a, b] = await pair(world);
  relayedReject(await a.composite(ask(b.bytes, code("boom", ic0.trap))), 5, "boom");
});
composite("a callee that does not exist is a reject", async (world) => {
  relayedReject(await (await world.shared()).composite(ask(new Uint8Array(29).fill(5), SEVEN)), 3);
});
composite("what one writes is seen by its callbacks", async (world) => {
  const [a, b] = await pair(world);
  repliedNumber(await a.composite(5, set(1), ask(b.bytes, SEVEN, { onReply: [get(1), reply64] })), 5);
});
composite("what one writes is gone afterwards", async (world) => {
  const [a, b] = await pair(world);
  repliedNumber(await a.composite(5, set(1), ask(b.bytes, SEVEN, { onReply: [get(1), reply64] })), 5);
  repliedNumber(await a.query(get(1), reply64), 0);
});
composite("what its callee writes is gone when it is called again", async (world) => {
  const [a, b] = await pair(world);
  const count = code(get(1), 1, op.add, set(1), get(1), reply64);
  const second = ask(b.bytes, count, { onReply: [copied("msg_arg_data"), reply] });
  repliedNumber(await a.composite(ask(b.bytes, count, { onReply: [second] })), 1);
});
composite("a callback may call again", async (world) => {
  const [a, b] = await pair(world);
  repliedNumber(
    await a.composite(
      ask(b.bytes, SEVEN, {
        onReply: [ask(b.bytes, code(8, reply64), { onReply: [copied("msg_arg_data"), reply] })],
      }),
    ),
    8,
  );
});
composite("two calls of one are both answered", async (world) => {
  const [a, b] = await pair(world);
  const one = (n: number) =>
    ask(b.bytes, code(n, reply64), {
      onReply: [get(1), n, op.add, set(1), get(1), 30, op.eq, when([get(1), reply64])],
    });
  repliedNumber(await a.composite(one(10), one(20)), 30);
});
composite("a trap in a callback is the query's", async (world) => {
  const [a, b] = await pair(world);
  rejected(await a.composite(ask(b.bytes, SEVEN, { onReply: ["in the callback", ic0.trap] })), {
    code: 5,
    error: "IC0503",
    text: "in the callback",
  });
});
composite("a cleanup callback runs after it", async (world) => {
  const [a, b] = await pair(world);
  rejected(
    await a.composite(
      ask(b.bytes, SEVEN, {
        onReply: ["in the callback", ic0.trap],
        onCleanup: ["in the cleanup", ic0.trap],
      }),
    ),
    { code: 5, text: /in the callback[\s\S]*call_on_cleanup also failed:[\s\S]*in the cleanup/ },
  );
});
composite("calls are bounded in depth", async (world) => {
  const canister = await world.shared();
  let program = SEVEN;
  for (let depth = 0; depth < 8; depth++)
    program = code(
      callOut({
        to: canister.bytes,
        method: "composite",
        arg: program,
        onReply: [copied("msg_arg_data"), reply],
      }),
    );
  rejected(await canister.ask(program, { method: "composite" }), {
    code: 5,
    error: "IC0525",
    text: "exceeded the maximum call depth",
  });
});
composite("calls five deep are answered", async (world) => {
  const canister = await world.shared();
  let program = SEVEN;
  for (let depth = 0; depth < 5; depth++)
    program = code(
      callOut({
        to: canister.bytes,
        method: "composite",
        arg: program,
        onReply: [copied("msg_arg_data"), reply],
      }),
    );
  repliedNumber(await canister.ask(program, { method: "composite" }), 7);
});
composite("its instructions are bounded together with its callees'", async (world) => {
  const [a, b] = await pair(world);
  const outcome = await a.composite(ask(b.bytes, code(1n << 40n, op.spin, ic0.msg_reply)));
  if (outcome.kind === "rejected") rejected(outcome, { code: 5, error: ["IC0522", "IC0526"] });
  else relayedReject(outcome, 5, "exceeded");
});
composite("it cannot carry cycles", async (world) => {
  const canister = await world.shared();
  trapped(
    await canister.composite(canister.bytes, "query", 1, 0, 1, 0, ic0.call_new, 0, 1, ic0.call_cycles_add128),
    "cannot be executed in composite query mode",
  );
});
composite("a stopped callee is a reject", async (world) => {
  const [a, b] = [await world.universal(), await world.fresh()];
  replied(await world.manage("stop_canister", { canister_id: b.id }));
  relayedReject(await a.composite(ask(b.bytes, SEVEN)), 5, "is stopped");
});
composite("an empty callee is a reject", async (world) => {
  const [a, b] = [await world.universal(), await world.fresh({ install: false })];
  relayedReject(await a.composite(ask(b.bytes, SEVEN)), [3, 5], "contains no Wasm module");
});
composite("it may ask for its own status", async (world) => {
  const canister = await world.shared();
  relayedReply(await canister.composite(managementCall("canister_status", { canister_id: canister.id })));
});
composite("it may fetch logs that it may see", async (world) => {
  const [a, b] = [
    await world.universal(),
    await world.fresh({ settings: { log_visibility: { public: null } } }),
  ];
  relayedReply(await a.composite(managementCall("fetch_canister_logs", { canister_id: b.id })));
});
composite("it may not ask for randomness", async (world) => {
  relayedReject(await (await world.shared()).composite(managementCall("raw_rand", undefined)), [4, 5]);
});
composite("one that does not reply is rejected", async (world) => {
  const [a, b] = await pair(world);
  rejected(await a.composite(ask(b.bytes, SEVEN, { onReply: [] })), { code: 5, error: "IC0506" });
});
tasks("canister_heartbeat runs again and again", async (world) => {
  const canister = await world.fresh({ heartbeat: true });
  replied(await canister.update(setHook("heartbeat", get(1), 1, op.add, set(1)), ic0.msg_reply));
  await world.eventually("two heartbeats", async () =>
    numberOf(replied(await canister.query(get(1), reply64))) >= 2n ? true : null,
  );
  replied(await canister.update(setHook("heartbeat"), ic0.msg_reply));
});
tasks("a trap in canister_heartbeat undoes it", async (world) => {
  const canister = await world.fresh({ heartbeat: true });
  replied(
    await canister.update(
      setHook("heartbeat", 1, set(1), "beat", ic0.debug_print, op.unreachable),
      ic0.msg_reply,
    ),
  );
  await world.eventually("a heartbeat", async () => ((await canister.log()).includes("beat") ? true : null));
  repliedNumber(await canister.query(get(1), reply64), 0);
  replied(await canister.update(setHook("heartbeat"), ic0.msg_reply));
});
tasks("canister_heartbeat may call", async (world) => {
  const [canister, other] = [await world.fresh({ heartbeat: true }), await world.universal()];
  replied(
    await canister.update(
      setHook("heartbeat", callOut({ to: other.bytes, arg: code(3, set(1), ic0.msg_reply), onReply: [] })),
      ic0.msg_reply,
    ),
  );
  await reached(other, 1);
  replied(await canister.update(setHook("heartbeat"), ic0.msg_reply));
});
tasks("canister_heartbeat costs cycles", async (world) => {
  const canister = await world.fresh({ heartbeat: true });
  const before = (await canister.status()).cycles;
  replied(await canister.update(setHook("heartbeat", 1, set(1)), ic0.msg_reply));
  await reached(canister, 1);
  assert.ok((await canister.status()).cycles < before);
  replied(await canister.update(setHook("heartbeat"), ic0.msg_reply));
});
const LOW = { wasm_memory_limit: 700_000n, wasm_memory_threshold: 100_000n };
tasks("canister_on_low_wasm_memory runs when little memory is left", async (world) => {
  const canister = await world.fresh({ settings: LOW });
  replied(
    await canister.update(
      setHook("on_low_wasm_memory", get(1), 1, op.add, set(1)),
      2,
      op.memory_grow,
      op.drop,
      ic0.msg_reply,
    ),
  );
  await reached(canister, 1);
});
tasks("canister_on_low_wasm_memory does not run while enough is left", async (world) => {
  const canister = await world.fresh({ settings: LOW });
  replied(await canister.update(setHook("on_low_wasm_memory", 1, set(1)), ic0.msg_reply));
  for (let i = 0; i < 3; i++) replied(await canister.update(ic0.msg_reply));
  repliedNumber(await canister.query(get(1), reply64), 0);
});
tasks("canister_on_low_wasm_memory runs once", async (world) => {
  const canister = await world.fresh({ settings: LOW });
  replied(
    await canister.update(
      setHook("on_low_wasm_memory", get(1), 1, op.add, set(1)),
      2,
      op.memory_grow,
      op.drop,
      ic0.msg_reply,
    ),
  );
  await reached(canister, 1);
  for (let i = 0; i < 3; i++) replied(await canister.update(ic0.msg_reply));
  repliedNumber(await canister.query(get(1), reply64), 1);
});
tasks("canister_on_low_wasm_memory runs again when the condition ended and came back", async (world) => {
  const canister = await world.fresh({ settings: LOW });
  replied(
    await canister.update(
      setHook("on_low_wasm_memory", get(1), 1, op.add, set(1)),
      2,
      op.memory_grow,
      op.drop,
      ic0.msg_reply,
    ),
  );
  await reached(canister, 1);
  await canister.configure({ wasm_memory_limit: 10_000_000n });
  await canister.configure({ wasm_memory_limit: 700_000n });
  await world.eventually("a second run", async () =>
    numberOf(replied(await canister.query(get(1), reply64))) === 2n ? true : null,
  );
});
tasks("a trap in canister_on_low_wasm_memory undoes it", async (world) => {
  const canister = await world.fresh({ settings: LOW });
  replied(
    await canister.update(
      setHook("on_low_wasm_memory", 1, set(1), "low", ic0.debug_print, op.unreachable),
      2,
      op.memory_grow,
      op.drop,
      ic0.msg_reply,
    ),
  );
  await world.eventually("the hook", async () => ((await canister.log()).includes("low") ? true : null));
  repliedNumber(await canister.query(get(1), reply64), 0);
});

const trap = (title: string, text: string, ...program: readonly Item[]) =>
  messages(title, async (world) =>
    trapped(await (await world.shared()).query(...program), `Canister trapped: ${text}`, "IC0502"),
  );
trap("unreachable", "unreachable", op.unreachable);
trap("a division by zero", "integer division by 0", 1, 0, op.div_u, reply64);
trap("a signed division by zero", "integer division by 0", 1, 0, op.div_s, reply64);
trap("a remainder by zero", "integer division by 0", 1, 0, op.rem_u, reply64);
trap("a signed division that overflows", "unknown", 1n << 63n, (1n << 64n) - 1n, op.div_s, reply64);
trap("a conversion of what is no number", "unknown", 0x7ff8_0000_0000_0000n, op.trunc_s, reply64);
trap("a conversion of what is too large", "unknown", 0x7fe0_0000_0000_0000n, op.trunc_s, reply64);
trap("a read behind the heap", "heap out of bounds", HEAP_BYTES - 7, op.load64, reply64);
trap("a write behind the heap", "heap out of bounds", HEAP_BYTES, 1, op.store8, ic0.msg_reply);
trap(
  "a bulk copy behind the heap",
  "heap out of bounds",
  HEAP_BYTES - 1,
  0,
  2,
  op.memory_copy,
  ic0.msg_reply,
);
trap(
  "a bulk fill behind the heap",
  "heap out of bounds",
  HEAP_BYTES - 1,
  0,
  2,
  op.memory_fill,
  ic0.msg_reply,
);
trap("an indirect call of nothing", "unknown", 0, op.call_table);
trap("an indirect call behind the table", "table out of bounds", 100_000, op.call_table);
messages("an indirect call of another type", async (world) => {
  trapped(
    await (await world.shared()).query(2, op.call_table),
    "function invocation does not match its signature",
  );
});
trap("a recursion without end", "stack overflow", 10_000_000, op.recurse, reply64);
messages("a recursion of some thousands is fine", async (world) => {
  repliedNumber(await (await world.shared()).query(5_000, op.recurse, reply64), 5_000);
});
messages("a trap of the stack is told in an update too", async (world) => {
  trapped(await (await world.shared()).update(10_000_000, op.recurse, reply64), "stack overflow", "IC0502");
});
messages("the canister works after each kind of trap", async (world) => {
  const canister = await world.universal();
  await canister.update(10_000_000, op.recurse, reply64);
  await canister.update(op.unreachable);
  repliedNumber(await canister.update(7, reply64), 7);
});
messages("the heap grows", async (world) => {
  const canister = await world.universal();
  repliedNumbers(
    await canister.update(
      3,
      op.memory_grow,
      append64,
      op.memory_size,
      append64,
      HEAP_BYTES + 100,
      op.load64,
      append64,
      ic0.msg_reply,
    ),
    8,
    11,
    0,
  );
});
messages("a trap undoes the heap's growth", async (world) => {
  const canister = await world.universal();
  trapped(await canister.update(3, op.memory_grow, op.drop, op.unreachable), "unreachable", "IC0502");
  repliedNumber(await canister.query(op.memory_size, reply64), 8);
});
messages("a query's growth of the heap is gone afterwards", async (world) => {
  const canister = await world.universal();
  repliedNumber(await canister.query(3, op.memory_grow, op.drop, op.memory_size, reply64), 11);
  repliedNumber(await canister.query(op.memory_size, reply64), 8);
});
messages("growth beyond 4 GiB answers -1", async (world) => {
  const canister = await world.universal();
  repliedNumber(await canister.query(65_536, op.memory_grow, reply64), 0xffff_ffff);
});
messages("a 64-bit heap grows beyond 4 GiB", async (world) => {
  const canister = await world.fresh({
    width: 64,
    cycles: 10n ** 17n,
    settings: { freezing_threshold: 0n, wasm_memory_limit: 0n },
  });
  const at = 5n << 30n;
  repliedNumber(
    await canister.update(90_000, op.memory_grow, op.drop, at, 42, op.store64, at, op.load64, reply64),
    42,
  );
  replied(await world.manage("uninstall_code", { canister_id: canister.id }));
});
messages("globals are kept from message to message", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(9, op.global_set, ic0.msg_reply));
  repliedNumber(await canister.update(op.global_get, reply64), 9);
});
messages("a query's change of a global is gone afterwards", async (world) => {
  const canister = await world.universal();
  repliedNumber(await canister.query(9, op.global_set, op.global_get, reply64), 9);
  repliedNumber(await canister.query(op.global_get, reply64), 0);
});

limits("an update of more instructions than the limit is rejected", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(5, set(1), 1n << 50n, op.spin, ic0.msg_reply);
  rejected(outcome, {
    code: 5,
    error: "IC0522",
    text: "Canister exceeded the limit of 40000000000 instructions for single message execution",
  });
  repliedNumber(await canister.query(get(1), reply64), 0);
});
limits("canister_inspect_message has a limit of its own, of 200 million instructions", async (world) => {
  const canister = await world.universal({ inspect: true });
  const spinning = (iterations: number) =>
    canister.update(setHook("inspect_message", iterations, op.spin, ic0.accept_message), ic0.msg_reply);
  replied(await spinning(10_000_000));
  replied(await spinning(50_000_000));
  rejected(await canister.update(ic0.msg_reply), {
    code: 5,
    error: "IC0522",
    from: "submission",
    text: "Canister exceeded the limit of 200000000 instructions for single message execution.",
  });
});
limits("a query reads at most a gigabyte of stable memory", async (world) => {
  const canister = await world.universal();
  const read: Item = [HEAP_BYTES, get(2), 1 << 20, ic0.stable64_read, get(2), 1 << 20, op.add, set(2)];
  const outcome = await canister.query(
    32,
    op.memory_grow,
    op.drop,
    16_384 + 16,
    ic0.stable64_grow,
    op.drop,
    times(1_025, [read]),
    ic0.msg_reply,
  );
  if (outcome.kind === "replied") assert.fail("more than a gigabyte was read");
  rejected(outcome, { code: 5, error: "IC0524", text: "1048576 KB for queries" });
});
limits("messages of a canister run one at a time", async (world) => {
  const canister = await world.universal();
  const step = [get(1), 1, op.add, set(1), 10_000, op.spin, get(1), reply64];
  const seen = await Promise.all(
    Array.from({ length: 10 }, async () => numberOf(replied(await canister.update(...step)))),
  );
  assert.deepEqual(
    seen.sort((x, y) => Number(x - y)),
    Array.from({ length: 10 }, (_, i) => BigInt(i + 1)),
  );
});
limits("a canister that works hard does not hold up another", async (world) => {
  const [busy, idle] = await pair(world);
  const work = busy.update(40_000_000, op.spin, ic0.msg_reply);
  repliedNumber(await idle.update(7, reply64), 7);
  replied(await work);
});

const NAN64 = 0x7ff8_0000_0000_0000n;
numbers("0 / 0 is the canonical NaN", async (world) => {
  repliedNumber(await (await world.shared()).query(0, 0, op.float_div, reply64), NAN64);
});
numbers("-0 / 0 is the canonical NaN, without a sign", async (world) => {
  repliedNumber(await (await world.shared()).query(1n << 63n, 0, op.float_div, reply64), NAN64);
});
numbers("a NaN with a payload becomes the canonical one", async (world) => {
  repliedNumber(
    await (await world.shared()).query(0x7ff8_0000_dead_beefn, 0x3ff0_0000_0000_0000n, op.float_div, reply64),
    NAN64,
  );
});
numbers("a signalling NaN becomes the canonical one", async (world) => {
  repliedNumber(
    await (await world.shared()).query(0x7ff0_0000_0000_0001n, 0x3ff0_0000_0000_0000n, op.float_div, reply64),
    NAN64,
  );
});
numbers("infinity is what it is", async (world) => {
  repliedNumber(
    await (await world.shared()).query(0x3ff0_0000_0000_0000n, 0, op.float_div, reply64),
    0x7ff0_0000_0000_0000n,
  );
});
numbers("0 / 0 of 32-bit numbers is the canonical NaN", async (world) => {
  repliedNumber(
    await (await world.shared()).query(BIG, 0, op.store64, BIG, op.float32_div, reply64),
    0x7fc0_0000n,
  );
});
numbers("a NaN is the same in an update and in a query", async (world) => {
  const program = [0x7ff8_0000_dead_beefn, 0, op.float_div, reply64];
  const canister = await world.shared();
  assert.deepEqual(replied(await canister.update(...program)), replied(await canister.query(...program)));
});
numbers("a size of 2^32 - 1 is not -1", async (world) => {
  trapped(
    await (await world.shared()).query(BIG, 0, 0xffff_ffff, ic0.msg_caller_copy),
    "length=4294967295 exceeds the slice size",
  );
});
numbers("64-bit arithmetic wraps", async (world) => {
  repliedNumber(await (await world.shared()).query((1n << 64n) - 1n, 2, op.add, reply64), 1);
});

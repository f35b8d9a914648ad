/** Replies and rejects of every kind (interface spec, "Responding"). */
import assert from "node:assert/strict";
import { textOf } from "../bytes.ts";
import { section } from "../case.ts";
import {
  rejected,
  relayedReject,
  relayedReply,
  replied,
  repliedBytes,
  repliedNumber,
  repliedText,
  trapped,
} from "../checks.ts";
import {
  BIG,
  callOut,
  code,
  get,
  HEAP_BYTES,
  ic0,
  op,
  reply,
  reply64,
  set,
  setHook,
  times,
} from "../script.ts";
import { pair } from "../world.ts";

const responding = section("Responding");
const errors = section("Reject codes");

const REPLY_MAX = 2_097_152;
const QUERY_REPLY_MAX = 3_145_728;
/** Makes room for `bytes` more and appends them to the reply. */
const bulk = (bytes: number) => [64, op.memory_grow, op.drop, HEAP_BYTES, bytes, ic0.msg_reply_data_append];

responding("a reply without data is empty", async (world) => {
  repliedText(await (await world.shared()).update(ic0.msg_reply), "");
});

responding("a query's reply without data is empty", async (world) => {
  repliedText(await (await world.shared()).query(ic0.msg_reply), "");
});

responding("parts of a reply are joined in order", async (world) => {
  const part = (text: string) => [text, ic0.msg_reply_data_append];
  repliedText(await (await world.shared()).query(part("ab"), part(""), part("c"), ic0.msg_reply), "abc");
});

responding("data appended without msg_reply is dropped", async (world) => {
  const outcome = await (await world.shared()).update("lost", ic0.msg_reply_data_append);
  rejected(outcome, { code: 5, error: "IC0506", text: "did not reply to the call" });
});

responding("data appended before msg_reject is dropped", async (world) => {
  const outcome = await (await world.shared()).update(
    "lost",
    ic0.msg_reply_data_append,
    "why",
    ic0.msg_reject,
  );
  rejected(outcome, { code: 4, error: "IC0406", text: /^why$/ });
});

responding("data appended in a call's first message is not in the callback's reply", async (world) => {
  const canister = await world.universal();
  const call = callOut({ to: canister.bytes, arg: code(ic0.msg_reply), onReply: ["b", reply] });
  repliedText(await canister.update("a", ic0.msg_reply_data_append, call), "b");
});

responding("msg_reply twice traps", async (world) => {
  trapped(
    await (await world.shared()).update(ic0.msg_reply, ic0.msg_reply),
    "ic0.msg_reply: the call is already replied",
  );
});

responding("msg_reply after msg_reject traps", async (world) => {
  trapped(
    await (await world.shared()).update("x", ic0.msg_reject, ic0.msg_reply),
    "ic0.msg_reply: the call is already replied",
  );
});

responding("msg_reject after msg_reply traps", async (world) => {
  trapped(
    await (await world.shared()).update(ic0.msg_reply, "x", ic0.msg_reject),
    "ic0.msg_reject: the call is already replied",
  );
});

responding("msg_reject twice traps", async (world) => {
  trapped(
    await (await world.shared()).query("x", ic0.msg_reject, "x", ic0.msg_reject),
    "ic0.msg_reject: the call is already replied",
  );
});

responding("msg_reply_data_append after msg_reply traps", async (world) => {
  trapped(
    await (await world.shared()).query(ic0.msg_reply, "x", ic0.msg_reply_data_append),
    "ic0.msg_reply_data_append: the call is already replied",
  );
});

responding("a callback cannot reply again", async (world) => {
  const canister = await world.universal();
  const call = callOut({
    to: canister.bytes,
    arg: code(ic0.msg_reply),
    onReply: [1, op.log64, ic0.msg_reply],
  });
  repliedText(await canister.update("first", ic0.msg_reply_data_append, call, ic0.msg_reply), "first");
  // The callback trapped, so that its log entry is gone.
  repliedBytes(await canister.query(op.log, reply), new Uint8Array());
});

responding("a trap after msg_reply takes the reply back", async (world) => {
  trapped(
    await (await world.shared()).update("x", reply, op.unreachable),
    "Canister trapped: unreachable",
    "IC0502",
  );
});

responding("a reject's text is the user's", async (world) => {
  const outcome = await (await world.shared()).update("because ☃", ic0.msg_reject);
  rejected(outcome, { code: 4, error: "IC0406", text: /^because ☃$/, from: "state" });
});

responding("a query's reject is the user's too", async (world) => {
  rejected(await (await world.shared()).query("because", ic0.msg_reject), {
    code: 4,
    error: "IC0406",
    text: /because$/,
    from: "query",
  });
});

responding("a reject with an empty text is a reject", async (world) => {
  rejected(await (await world.shared()).update("", ic0.msg_reject), { code: 4, text: /^$/ });
});

responding("msg_reject traps on a text that is no UTF-8", async (world) => {
  const outcome = await (await world.shared()).update(Uint8Array.of(0xff, 0xfe), ic0.msg_reject);
  trapped(outcome, "ic0.msg_reject: invalid UTF-8 string provided");
});

responding("msg_reject traps when its text lies behind the heap", async (world) => {
  trapped(await (await world.shared()).update(HEAP_BYTES, 1, ic0.msg_reject), "ic0.msg_reject");
});

responding("msg_reply_data_append traps when its data lies behind the heap", async (world) => {
  trapped(await (await world.shared()).update(HEAP_BYTES, 1, ic0.msg_reply_data_append), "msg.reply");
});

responding("a reply of exactly 2 MiB arrives", async (world) => {
  const canister = await world.universal();
  assert.equal(replied(await canister.update(bulk(REPLY_MAX), ic0.msg_reply)).length, REPLY_MAX);
});

responding("a reply of 2 MiB and a byte traps", async (world) => {
  const canister = await world.universal();
  trapped(
    await canister.update(bulk(REPLY_MAX + 1), ic0.msg_reply),
    "ic0.msg_reply_data_append: application payload size (2097153) cannot be larger than 2097152",
  );
});

responding("the limit of a reply counts all its parts", async (world) => {
  const canister = await world.universal();
  trapped(await canister.update(bulk(REPLY_MAX), "x", reply), "application payload size (2097153)");
});

responding("a query's reply of exactly 3 MiB arrives", async (world) => {
  const canister = await world.universal();
  assert.equal(replied(await canister.query(bulk(QUERY_REPLY_MAX), ic0.msg_reply)).length, QUERY_REPLY_MAX);
});

responding("a query's reply of 3 MiB and a byte traps", async (world) => {
  const canister = await world.universal();
  trapped(await canister.query(bulk(QUERY_REPLY_MAX + 1), ic0.msg_reply), "cannot be larger than 3145728");
});

responding("a query that is executed with replication replies at most 2 MiB", async (world) => {
  const canister = await world.universal();
  trapped(
    await canister.replicatedQuery(bulk(REPLY_MAX + 1), ic0.msg_reply),
    "cannot be larger than 2097152",
  );
});

responding("a composite query's reply of exactly 3 MiB arrives", async (world) => {
  const canister = await world.universal();
  assert.equal(
    replied(await canister.composite(bulk(QUERY_REPLY_MAX), ic0.msg_reply)).length,
    QUERY_REPLY_MAX,
  );
});

responding("a reject text of 2 MiB and a byte traps", async (world) => {
  const canister = await world.universal();
  const program = [64, op.memory_grow, op.drop, HEAP_BYTES, REPLY_MAX + 1, ic0.msg_reject];
  trapped(
    await canister.update(...program),
    "ic0.msg_reject: application payload size (2097153) cannot be larger than 2097152",
  );
});

responding("a reject text over 8 KiB is shown by its head and its tail", async (world) => {
  const outcome = await (await world.shared()).update(`head${"x".repeat(9_000)}tail`, ic0.msg_reject);
  rejected(outcome, { code: 4, text: /^headx+\.\.\.x+tail$/ });
  assert.ok(outcome.kind === "rejected" && outcome.message.length <= 8_192);
});

responding("a reply in many small parts arrives whole", async (world) => {
  const outcome = await (await world.shared()).query(
    times(1_000, ["ab", ic0.msg_reply_data_append]),
    ic0.msg_reply,
  );
  assert.equal(textOf(replied(outcome)), "ab".repeat(1_000));
});

responding("a method that returns without replying is rejected", async (world) => {
  rejected(await (await world.shared()).update(0, op.drop), {
    code: 5,
    error: "IC0506",
    text: "did not reply to the call",
    from: "state",
  });
});

responding("a query that returns without replying is rejected", async (world) => {
  rejected(await (await world.shared()).query(0, op.drop), {
    code: 5,
    error: "IC0506",
    text: "did not reply to the call",
  });
});

responding("what a method wrote stays when it returned without replying", async (world) => {
  const canister = await world.universal();
  rejected(await canister.update(41, set(3)), { error: "IC0506" });
  repliedNumber(await canister.query(get(3), reply64), 41);
});

responding("a callback answers for the method that called", async (world) => {
  const [from, to] = await pair(world);
  const outcome = await from.update(
    callOut({ to: to.bytes, arg: code(7, reply64), onReply: ["done", reply] }),
  );
  repliedText(outcome, "done");
});

responding(
  "a method that called and has no callback that replies is rejected when the last one is done",
  async (world) => {
    const [from, to] = await pair(world);
    const outcome = await from.update(callOut({ to: to.bytes, arg: code(ic0.msg_reply), onReply: [] }));
    rejected(outcome, { code: 5, error: "IC0506", text: "did not reply to the call" });
  },
);

responding("a method may reply before its calls are answered", async (world) => {
  const canister = await world.universal();
  const call = callOut({ to: canister.bytes, arg: code(ic0.msg_reply), onReply: [9, set(4)] });
  repliedText(await canister.update(call, "early", reply), "early");
  await world.eventually("the callback", async () => {
    const outcome = await canister.query(get(4), reply64);
    return replied(outcome)[0] === 9 ? true : null;
  });
});

responding("heartbeats and timers owe no reply, so that they cannot give one", async (world) => {
  const canister = await world.universal();
  const hook = [
    1,
    set(6),
    callOut({
      to: canister.bytes,
      arg: code(ic0.msg_reply),
      onReply: [ic0.msg_reply],
      onCleanup: [2, set(7)],
    }),
  ];
  replied(
    await canister.update(setHook("global_timer", ...hook), 1, ic0.global_timer_set, op.drop, ic0.msg_reply),
  );
  await world.eventually("the cleanup", async () =>
    replied(await canister.query(get(7), reply64))[0] === 2 ? true : null,
  );
});

responding("canister_init cannot reply", async (world) => {
  const canister = await world.fresh({ install: false });
  trapped(
    await canister.install({ install: null }, { program: [ic0.msg_reply] }),
    '"ic0_msg_reply" cannot be executed in init mode',
  );
});

responding("canister_inspect_message cannot reply", async (world) => {
  const canister = await world.universal({ inspect: true });
  replied(await canister.update(setHook("inspect_message", ic0.msg_reply), ic0.msg_reply));
  trapped(await canister.update(ic0.msg_reply), '"ic0_msg_reply" cannot be executed in inspect message mode');
});

errors("1: a call to a method by its callee's choice never shows 1", async (world) => {
  const [from, to] = await pair(world);
  relayedReject(await from.update(callOut({ to: to.bytes, arg: code("x", ic0.msg_reject) })), 4, /^x$/);
});

errors("3: a call to a canister that does not exist", async (world) => {
  const canister = await world.universal();
  const missing = Uint8Array.from(canister.bytes);
  missing[5] = 0x0f;
  const outcome = await canister.update(callOut({ to: missing, arg: code(ic0.msg_reply) }));
  relayedReject(outcome, 3, /not found|No route/i);
});

errors("4: a canister's own reject", async (world) => {
  const [from, to] = await pair(world);
  relayedReject(await from.update(callOut({ to: to.bytes, arg: code("mine", ic0.msg_reject) })), 4, /^mine$/);
});

errors("5: a trap of the callee, with the error code as prefix", async (world) => {
  const [from, to] = await pair(world);
  relayedReject(
    await from.update(callOut({ to: to.bytes, arg: code("boom", ic0.trap) })),
    5,
    /^IC0503: Error from Canister .*boom/s,
  );
});

errors("5: a callee without such a method", async (world) => {
  const [from, to] = await pair(world);
  const outcome = await from.update(callOut({ to: to.bytes, method: "nothing", arg: code(ic0.msg_reply) }));
  relayedReject(outcome, [3, 5], "Canister has no update method 'nothing'");
});

errors("5: a callee that does not reply", async (world) => {
  const [from, to] = await pair(world);
  relayedReject(
    await from.update(callOut({ to: to.bytes, arg: code(0, op.drop) })),
    5,
    /did not reply to the call|No response/,
  );
});

errors("5: an empty callee", async (world) => {
  const [from, to] = [await world.universal(), await world.fresh({ install: false })];
  const outcome = await from.update(callOut({ to: to.bytes, arg: code(ic0.msg_reply) }));
  relayedReject(outcome, [3, 5], "contains no Wasm module");
});

errors("5: a stopped callee", async (world) => {
  const [from, to] = [await world.universal(), await world.fresh()];
  replied(await world.manage("stop_canister", { canister_id: to.id }));
  relayedReject(await from.update(callOut({ to: to.bytes, arg: code(ic0.msg_reply) })), 5, /is stopped/);
});

errors("a callee's own reject has no error code as prefix", async (world) => {
  const [from, to] = await pair(world);
  relayedReject(await from.update(callOut({ to: to.bytes, arg: code("IC", ic0.msg_reject) })), 4, /^IC$/);
});

errors("a reject of an outer call shows the inner one's text when it is passed on", async (world) => {
  const [outer, inner] = await pair(world);
  const onReject = [
    "passed on: ",
    ic0.msg_reply_data_append,
    BIG,
    0,
    ic0.msg_reject_msg_size,
    ic0.msg_reject_msg_copy,
    BIG,
    ic0.msg_reject_msg_size,
    reply,
  ];
  const outcome = await outer.update(
    callOut({ to: inner.bytes, arg: code("deep", ic0.msg_reject), onReject }),
  );
  repliedText(outcome, "passed on: deep");
});

const codes = section("Error codes");

codes("IC0502 for a trap of the WebAssembly code", async (world) => {
  rejected(await (await world.shared()).update(op.unreachable), {
    code: 5,
    error: "IC0502",
    text: /^Error from Canister \S+: Canister trapped: unreachable/,
  });
});

codes("IC0503 for ic0.trap, with its text", async (world) => {
  const outcome = await (await world.shared()).update("oh no", ic0.trap);
  rejected(outcome, {
    code: 5,
    error: "IC0503",
    text: /^Error from Canister \S+: Canister called `ic0\.trap` with message: 'oh no'/,
  });
});

codes("IC0504 for a broken contract of the System API", async (world) => {
  rejected(await (await world.shared()).query(ic0.call_perform), {
    code: 5,
    error: "IC0504",
    text: "Canister violated contract",
  });
});

codes("IC0506 for a method that does not reply", async (world) => {
  rejected(await (await world.shared()).update(0, op.drop), { code: 5, error: "IC0506" });
});

codes("IC0536 for a method that does not exist", async (world) => {
  const outcome = await (await world.shared()).call(code(ic0.msg_reply), { method: "nothing" });
  rejected(outcome, { code: 5, error: "IC0536", text: "Canister has no update method 'nothing'." });
});

codes("IC0536 for a query method that does not exist", async (world) => {
  const outcome = await (await world.shared()).ask(code(ic0.msg_reply), { method: "nothing" });
  rejected(outcome, { code: 5, error: "IC0536", text: "Canister has no query method 'nothing'." });
});

codes("IC0537 for an empty canister, before the call is taken", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await canister.update(ic0.msg_reply), {
    code: [3, 5],
    error: "IC0537",
    text: "contains no Wasm module",
    from: "submission",
  });
});

codes("IC0537 for a query to an empty canister", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await canister.query(ic0.msg_reply), {
    code: [3, 5],
    error: "IC0537",
    text: "contains no Wasm module",
  });
});

codes("a certified reject's text has no error code as prefix", async (world) => {
  const outcome = await (await world.shared()).update("x", ic0.trap);
  assert.ok(outcome.kind === "rejected" && !outcome.message.startsWith("IC0503"));
});

codes("IC0527 for a composite query by an update call", async (world) => {
  const outcome = await (await world.shared()).call(code(ic0.msg_reply), { method: "composite" });
  rejected(outcome, {
    code: 5,
    error: "IC0527",
    text: "Composite query cannot be called in replicated mode",
    from: "submission",
  });
});

codes("IC0527 for a composite query by a canister's call", async (world) => {
  const [from, to] = await pair(world);
  const outcome = await from.update(callOut({ to: to.bytes, method: "composite", arg: code(ic0.msg_reply) }));
  relayedReject(outcome, 5, "Composite query cannot be called in replicated mode");
});

codes("IC0508 for a call to a stopped canister", async (world) => {
  const canister = await world.fresh();
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  rejected(await canister.update(ic0.msg_reply), {
    code: 5,
    error: "IC0508",
    text: "is stopped",
    from: "submission",
  });
});

codes("IC0508 for a query to a stopped canister", async (world) => {
  const canister = await world.fresh();
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  rejected(await canister.query(ic0.msg_reply), {
    code: 5,
    error: "IC0508",
    text: "is stopped",
    from: "query",
  });
});

codes("IC0301 for a call to a canister that does not exist", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  replied(await world.manage("delete_canister", { canister_id: canister.id }));
  rejected(await canister.update(ic0.msg_reply), {
    code: 3,
    error: "IC0301",
    text: `Canister ${canister.id.toText()} not found`,
    from: "submission",
  });
});

codes("IC0301 for a query to a canister that does not exist", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  replied(await world.manage("delete_canister", { canister_id: canister.id }));
  rejected(await canister.query(ic0.msg_reply), {
    code: 3,
    error: "IC0301",
    text: "not found",
    from: "query",
  });
});

codes("a callee's reply is relayed unchanged", async (world) => {
  const [from, to] = await pair(world);
  assert.equal(
    textOf(relayedReply(await from.update(callOut({ to: to.bytes, arg: code("same", reply) })))),
    "same",
  );
});

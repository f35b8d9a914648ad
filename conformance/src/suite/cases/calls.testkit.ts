/** Calls between canisters: building, performing, callbacks, limits (interface spec, "Inter-canister method calls"). */
import assert from "node:assert/strict";
import { numberOf, utf8 } from "../bytes.ts";
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
import {
  callItem,
  callOut,
  code,
  copied,
  gate,
  get,
  HEAP_BYTES,
  ic0,
  op,
  openGate,
  reply,
  reply64,
  replyLog,
  set,
  setHook,
  times,
  when,
} from "../script.ts";
import { pair } from "../world.ts";
import { NO_ARGUMENT, OK } from "./calls-shared.testkit.ts";

const calls = section("Inter-canister method calls");

const start = (to: Uint8Array, name = "update") => [to, utf8(name), 1, 0, 1, 0, ic0.call_new];

calls("call_perform answers 0 when the call is on its way", async (world) => {
  const [from, to] = await pair(world);
  repliedNumber(
    await from.update(callItem({ to: to.bytes, arg: OK, onReply: [], onReject: [] }), reply64),
    0,
  );
});

calls("call_perform without call_new traps", async (world) => {
  trapped(
    await (await world.shared()).update(ic0.call_perform),
    "ic0.call_perform called when no call is under construction",
  );
});

calls("call_data_append without call_new traps", async (world) => {
  trapped(
    await (await world.shared()).update("x", ic0.call_data_append),
    "ic0.call_data_append called when no call is under construction",
  );
});

calls("call_on_cleanup without call_new traps", async (world) => {
  trapped(
    await (await world.shared()).update(1, 0, ic0.call_on_cleanup),
    "ic0.call_on_cleanup called when no call is under construction",
  );
});

calls("call_cycles_add128 without call_new traps", async (world) => {
  trapped(
    await (await world.shared()).update(0, 1, ic0.call_cycles_add128),
    "called when no call is under construction",
  );
});

calls("call_cycles_add without call_new traps", async (world) => {
  trapped(
    await (await world.shared()).update(1, ic0.call_cycles_add),
    "called when no call is under construction",
  );
});

calls("call_with_best_effort_response without call_new traps", async (world) => {
  trapped(
    await (await world.shared()).update(1, ic0.call_with_best_effort_response),
    "called when no call is under construction",
  );
});

calls("call_with_best_effort_response twice traps", async (world) => {
  const canister = await world.shared();
  const program = [
    start(canister.bytes),
    1,
    ic0.call_with_best_effort_response,
    1,
    ic0.call_with_best_effort_response,
  ];
  trapped(await canister.update(...program), "because a timeout is already set");
});

calls("call_on_cleanup twice traps", async (world) => {
  const canister = await world.shared();
  trapped(
    await canister.update(start(canister.bytes), 1, 0, ic0.call_on_cleanup, 1, 0, ic0.call_on_cleanup),
    "can be called at most once",
  );
});

calls("call_perform twice traps", async (world) => {
  const canister = await world.universal();
  const program = [callOut({ to: canister.bytes, arg: OK }), ic0.call_perform];
  trapped(await canister.update(...program), "ic0.call_perform called when no call is under construction");
});

calls("call_data_append after call_perform traps", async (world) => {
  const canister = await world.universal();
  trapped(
    await canister.update(callOut({ to: canister.bytes, arg: OK }), "x", ic0.call_data_append),
    "no call is under construction",
  );
});

calls("call_new drops the call before it", async (world) => {
  const [from, to] = await pair(world);
  const program = [start(to.bytes, "nothing"), callOut({ to: to.bytes, arg: code(3, reply64) })];
  assert.equal(numberOf(relayedReply(await from.update(...program))), 3n);
});

calls("a call that is not performed never happens", async (world) => {
  const [from, to] = await pair(world);
  replied(
    await from.update(start(to.bytes), code(5, set(1), ic0.msg_reply), ic0.call_data_append, ic0.msg_reply),
  );
  repliedNumber(await to.query(get(1), reply64), 0);
});

calls("the argument is what was appended, in order", async (world) => {
  const [from, to] = await pair(world);
  const program = code("and more", op.drop, op.drop, copied("msg_arg_data"), reply);
  const part = (at: number, end: number) => [program.slice(at, end), ic0.call_data_append];
  const built = [
    to.bytes,
    utf8("update"),
    1,
    [code(copied("msg_arg_data"), reply), op.keep],
    1,
    [code(), op.keep],
    ic0.call_new,
    part(0, 5),
    part(5, 5),
    part(5, program.length),
    ic0.call_perform,
    op.drop,
  ];
  assert.deepEqual(replied(await from.update(...built)), program);
});

calls("a call without data has an empty argument", async (world) => {
  const [from, to] = await pair(world);
  relayedReject(await from.update(callOut({ to: to.bytes })), 5, /did not reply|No response/);
});

calls("call_new traps on a callee of 30 bytes", async (world) => {
  trapped(
    await (await world.shared()).update(start(new Uint8Array(30))),
    /invalid principal|Canister provided invalid principal id/,
  );
});

calls("a callee of 29 bytes may be called and is not found", async (world) => {
  const canister = await world.universal();
  relayedReject(await canister.update(callOut({ to: new Uint8Array(29).fill(7), arg: OK })), 3);
});

calls("call_new traps when the callee lies behind the heap", async (world) => {
  trapped(
    await (await world.shared()).update(HEAP_BYTES, 10, "update", 1, 0, 1, 0, ic0.call_new),
    "ic0.call_new callee_src",
  );
});

calls("call_new traps when the method name lies behind the heap", async (world) => {
  const canister = await world.shared();
  trapped(
    await canister.update(canister.bytes, HEAP_BYTES, 10, 1, 0, 1, 0, ic0.call_new),
    "ic0.call_new method_name",
  );
});

calls("call_data_append traps when the data lies behind the heap", async (world) => {
  const canister = await world.shared();
  trapped(
    await canister.update(start(canister.bytes), HEAP_BYTES - 1, 2, ic0.call_data_append),
    "ic0.call_data_append",
  );
});

calls("a method name of 20,000 bytes may be called", async (world) => {
  const [from, to] = await pair(world);
  relayedReject(
    await from.update(callOut({ to: to.bytes, method: "n".repeat(20_000), arg: OK })),
    [3, 5],
    "Canister has no update method",
  );
});

calls("a method name of 20,001 bytes traps", async (world) => {
  const canister = await world.shared();
  trapped(
    await canister.update(start(canister.bytes, "n".repeat(20_001))),
    "Size of method_name 20001 exceeds the allowed limit of 20000",
  );
});

calls("a method with a name beyond ASCII is found", async (world) => {
  const [from, to] = await pair(world);
  assert.equal(
    numberOf(
      relayedReply(await from.update(callOut({ to: to.bytes, method: "ünïcode", arg: code(8, reply64) }))),
    ),
    8n,
  );
});

calls("a call of 10 MiB within the subnet arrives", async (world) => {
  const [from, to] = await pair(world);
  const program = code(ic0.msg_arg_data_size, reply64, op.stop);
  const rest = 10 * 1024 * 1024 - program.length - "update".length;
  const built = [
    160,
    op.memory_grow,
    op.drop,
    to.bytes,
    utf8("update"),
    1,
    [code(copied("msg_arg_data"), reply), op.keep],
    1,
    [code(), op.keep],
    ic0.call_new,
    program,
    ic0.call_data_append,
    HEAP_BYTES,
    rest,
    ic0.call_data_append,
    ic0.call_perform,
    op.drop,
  ];
  repliedNumber(await from.update(...built), program.length + rest);
});

calls("a call of 10 MiB and a byte traps", async (world) => {
  const canister = await world.universal();
  const rest = 10 * 1024 * 1024 + 1 - "update".length;
  const program = [
    160,
    op.memory_grow,
    op.drop,
    start(canister.bytes),
    HEAP_BYTES,
    rest,
    ic0.call_data_append,
  ];
  trapped(
    await canister.update(...program),
    "has a payload size of 10485761, which exceeds the allowed limit of 10485760",
  );
});

calls("a canister may call itself", async (world) => {
  const canister = await world.universal();
  assert.equal(
    numberOf(relayedReply(await canister.update(callOut({ to: canister.bytes, arg: code(6, reply64) })))),
    6n,
  );
});

calls("a canister may call its own query method", async (world) => {
  const canister = await world.universal();
  assert.equal(
    numberOf(
      relayedReply(
        await canister.update(callOut({ to: canister.bytes, method: "query", arg: code(6, reply64) })),
      ),
    ),
    6n,
  );
});

calls("what a query method writes is gone after a canister called it", async (world) => {
  const [from, to] = await pair(world);
  relayedReply(
    await from.update(callOut({ to: to.bytes, method: "query", arg: code(5, set(1), ic0.msg_reply) })),
  );
  repliedNumber(await to.query(get(1), reply64), 0);
});

calls("a query method cannot call", async (world) => {
  const canister = await world.shared();
  trapped(
    await canister.query(start(canister.bytes)),
    '"ic0_call_new" cannot be executed in non replicated query mode',
  );
});

calls("a query method that is executed with replication cannot call", async (world) => {
  const canister = await world.shared();
  trapped(
    await canister.replicatedQuery(start(canister.bytes)),
    '"ic0_call_new" cannot be executed in replicated query mode',
  );
});

calls("canister_init cannot call", async (world) => {
  const canister = await world.fresh({ install: false });
  trapped(
    await canister.install({ install: null }, { program: [start(canister.bytes)] }),
    '"ic0_call_new" cannot be executed in init mode',
  );
});

calls("canister_post_upgrade cannot call", async (world) => {
  const canister = await world.universal();
  trapped(await canister.upgrade(start(canister.bytes)), '"ic0_call_new" cannot be executed in init mode');
});

calls("canister_pre_upgrade cannot call", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(setHook("pre_upgrade", start(canister.bytes)), ic0.msg_reply));
  trapped(await canister.upgrade(), '"ic0_call_new" cannot be executed in pre upgrade mode');
});

calls("a cleanup callback cannot call", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(
    callOut({ to: canister.bytes, arg: OK, onReply: [op.unreachable], onCleanup: [start(canister.bytes)] }),
  );
  rejected(outcome, {
    code: 5,
    text: /call_on_cleanup also failed:[\s\S]*cannot be executed in cleanup mode/,
  });
});

calls("a timer may call", async (world) => {
  const [from, to] = await pair(world);
  const hook = callOut({ to: to.bytes, arg: code(31, set(1), ic0.msg_reply), onReply: [32, set(1)] });
  replied(await from.update(setHook("global_timer", hook), 1, ic0.global_timer_set, op.drop, ic0.msg_reply));
  await world.eventually("the callback", async () =>
    replied(await from.query(get(1), reply64))[0] === 32 ? true : null,
  );
  repliedNumber(await to.query(get(1), reply64), 31);
});

calls("a reply callback may call again", async (world) => {
  const [from, to] = await pair(world);
  const second = callOut({ to: to.bytes, arg: code(2, reply64) });
  assert.equal(
    numberOf(relayedReply(await from.update(callOut({ to: to.bytes, arg: OK, onReply: [second] })))),
    2n,
  );
});

calls("a reject callback may call again", async (world) => {
  const [from, to] = await pair(world);
  const second = callOut({ to: to.bytes, arg: code(2, reply64) });
  const outcome = await from.update(
    callOut({ to: to.bytes, arg: code("no", ic0.msg_reject), onReject: [second] }),
  );
  assert.equal(numberOf(relayedReply(outcome)), 2n);
});

calls("two calls of a message are both answered", async (world) => {
  const [from, to] = await pair(world);
  const one = (n: number) =>
    callOut({
      to: to.bytes,
      arg: code(n, reply64),
      onReply: [get(1), n, op.add, set(1), get(1), 3, op.eq, when([get(1), reply64])],
    });
  repliedNumber(await from.update(one(1), one(2)), 3);
});

calls("calls from one canister to another start in their order", async (world) => {
  const [from, to] = await pair(world);
  const one = (n: number) =>
    callOut({
      to: to.bytes,
      arg: code(n, op.log64, ic0.msg_reply),
      onReply: [get(1), 1, op.add, set(1), get(1), 5, op.eq, when([ic0.msg_reply])],
    });
  replied(await from.update(one(1), one(2), one(3), one(4), one(5)));
  repliedNumbers(await to.query(replyLog), 1, 2, 3, 4, 5);
});

calls("a ring of three canisters comes back", async (world) => {
  const [a, b, c] = await world.universals(3);
  if (a === undefined || b === undefined || c === undefined) throw new Error("no canisters");
  const inner = code(
    callOut({ to: a.bytes, arg: code(99, reply64), onReply: [copied("msg_arg_data"), reply] }),
  );
  const middle = code(callOut({ to: c.bytes, arg: inner, onReply: [copied("msg_arg_data"), reply] }));
  repliedNumber(
    await a.update(callOut({ to: b.bytes, arg: middle, onReply: [copied("msg_arg_data"), reply] })),
    99,
  );
});

calls("a chain of forty calls into oneself comes back", async (world) => {
  const canister = await world.universal();
  let program = code(1, reply64);
  for (let depth = 0; depth < 40; depth++)
    program = code(callOut({ to: canister.bytes, arg: program, onReply: [copied("msg_arg_data"), reply] }));
  repliedNumber(await canister.call(program), 1);
});

calls("a call to the management canister by its empty id is answered", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(
    callOut({ to: new Uint8Array(), method: "raw_rand", arg: NO_ARGUMENT }),
  );
  assert.equal(relayedReply(outcome).length, 10 + 32);
});

calls("500 calls to one canister may wait at once", async (world) => {
  const [from, to] = await pair(world);
  const send = [
    to.bytes,
    utf8("update"),
    1,
    get(10),
    1,
    get(10),
    ic0.call_new,
    OK,
    ic0.call_data_append,
    ic0.call_perform,
    get(11),
    op.add,
    set(11),
  ];
  const count = [get(12), 1, op.add, set(12)];
  const outcome = await from.update(code(...count), op.keep, set(10), times(500, send), get(11), reply64);
  repliedNumber(outcome, 0);
  await world.eventually("all callbacks", async () =>
    numberOf(replied(await from.query(get(12), reply64))) === 500n ? true : null,
  );
});

calls("the 501st call to one canister is refused by call_perform", async (world) => {
  const [from, to] = await pair(world);
  const send = [
    to.bytes,
    utf8("update"),
    1,
    get(10),
    1,
    get(10),
    ic0.call_new,
    OK,
    ic0.call_data_append,
    ic0.call_perform,
    set(11),
  ];
  const outcome = await from.update(code(), op.keep, set(10), times(501, send), get(11), reply64);
  repliedNumber(outcome, 2);
});

calls("a full queue to one canister leaves room to another", async (world) => {
  const [from, to] = await pair(world);
  const send = [
    to.bytes,
    utf8("update"),
    1,
    get(10),
    1,
    get(10),
    ic0.call_new,
    OK,
    ic0.call_data_append,
    ic0.call_perform,
    op.drop,
  ];
  const other = callItem({ to: from.bytes, arg: OK, onReply: [], onReject: [] });
  repliedNumber(await from.update(code(), op.keep, set(10), times(501, send), other, reply64), 0);
});

calls("a best-effort call is answered like another while there is time", async (world) => {
  const [from, to] = await pair(world);
  assert.equal(
    numberOf(
      relayedReply(await from.update(callOut({ to: to.bytes, arg: code(5, reply64), timeoutSeconds: 60 }))),
    ),
    5n,
  );
});

calls("a best-effort call's reject arrives like another", async (world) => {
  const [from, to] = await pair(world);
  relayedReject(
    await from.update(callOut({ to: to.bytes, arg: code("no", ic0.msg_reject), timeoutSeconds: 60 })),
    4,
    /^no$/,
  );
});

calls("a best-effort call whose callee does not answer in time is rejected with 6", async (world) => {
  const [from, to] = await pair(world);
  const never = code(gate);
  const outcome = await from.update(callOut({ to: to.bytes, arg: never, timeoutSeconds: 1 }));
  relayedReject(outcome, 6);
  replied(await to.update(openGate));
});

calls("no element of the table as callback: the call is made, its answer traps", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(callOut({ to: canister.bytes, arg: OK, functions: { reply: 0 } }));
  rejected(outcome, { code: 5, error: ["IC0513", "IC0502"] });
});

calls("an element beyond the table as callback traps when the answer comes", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(
    callOut({ to: canister.bytes, arg: OK, functions: { reply: 1_000_000 } }),
  );
  rejected(outcome, { code: 5, error: ["IC0513", "IC0502"] });
});

calls("a function of another type as callback traps when the answer comes", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(callOut({ to: canister.bytes, arg: OK, functions: { reply: 2 } }));
  rejected(outcome, { code: 5, error: "IC0504", text: "function invocation does not match its signature" });
});

calls("a null reject callback does not matter while the callee replies", async (world) => {
  const canister = await world.universal();
  assert.equal(
    numberOf(
      relayedReply(
        await canister.update(
          callOut({ to: canister.bytes, arg: code(4, reply64), functions: { reject: 0 } }),
        ),
      ),
    ),
    4n,
  );
});

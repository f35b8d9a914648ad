/** Arguments, callers, reject data, deadlines (interface spec, "Method arguments", "Self-identification"). */
import assert from "node:assert/strict";
import { hex, numberOf, numbersOf } from "../bytes.ts";
import { section } from "../case.ts";
import {
  relayedReply,
  replied,
  repliedBytes,
  repliedNumber,
  repliedNumbers,
  repliedText,
  trapped,
} from "../checks.ts";
import { ANONYMOUS, ed25519 } from "../identity.ts";
import {
  acceptIf9,
  append64,
  BIG,
  callOut,
  code,
  copied,
  get,
  HEAP_BYTES,
  ic0,
  join,
  op,
  reply,
  reply64,
  replyLog,
  SCRATCH,
  set,
  setHook,
} from "../script.ts";
import { nowNs } from "../wire.ts";
import { pair } from "../world.ts";

const args = section("Method arguments");
const self = section("Self-identification");
const blobs = section("Blob-typed arguments and results");
const deadlines = section("Inter-canister method calls");

/** A program with bytes behind it that it never runs. */
const withTail = (program: Uint8Array, tail: string): Uint8Array =>
  join([program, code(op.stop), new TextEncoder().encode(tail)]);
/** Replies with `size` bytes of the argument from `offset` on. */
const slice = (offset: number, size: number): Uint8Array =>
  code(BIG, offset, size, ic0.msg_arg_data_copy, BIG, size, reply);
const sliceLength = slice(300, 300).length;

args("msg_arg_data_size tells the argument's length", async (world) => {
  const program = code(ic0.msg_arg_data_size, reply64);
  repliedNumber(await (await world.shared()).ask(program), program.length);
});

args("msg_arg_data_size tells the argument's length in an update", async (world) => {
  const program = code(ic0.msg_arg_data_size, reply64);
  repliedNumber(await (await world.shared()).call(program), program.length);
});

args("msg_arg_data_copy copies the whole argument", async (world) => {
  const program = withTail(code(copied("msg_arg_data"), reply), "tail");
  repliedBytes(await (await world.shared()).ask(program), program);
});

args("msg_arg_data_copy copies a slice from the middle", async (world) => {
  const program = withTail(slice(sliceLength + 3, 300), "x".repeat(400));
  assert.equal(replied(await (await world.shared()).ask(program)).length, 300);
});

args("msg_arg_data_copy takes an empty slice at the very end", async (world) => {
  const program = code(BIG, ic0.msg_arg_data_size, 0, ic0.msg_arg_data_copy, ic0.msg_reply);
  repliedText(await (await world.shared()).ask(program), "");
});

args("msg_arg_data_copy traps one byte behind the argument", async (world) => {
  const program = code(BIG, 1, ic0.msg_arg_data_size, ic0.msg_arg_data_copy, ic0.msg_reply);
  const outcome = await (await world.shared()).ask(program);
  trapped(
    outcome,
    `ic0.msg_arg_data_copy payload: src=1 + length=${program.length} exceeds the slice size=${program.length}`,
  );
});

args("msg_arg_data_copy traps where offset and size overflow 32 bits", async (world) => {
  const outcome = await (await world.shared()).query(
    BIG,
    0xffff_ffff,
    2,
    ic0.msg_arg_data_copy,
    ic0.msg_reply,
  );
  trapped(outcome, "ic0.msg_arg_data_copy payload");
});

args("an update with an empty argument sees size zero", async (world) => {
  // The empty program does nothing, so that nothing replies.
  const outcome = await (await world.shared()).call(new Uint8Array());
  assert.equal(outcome.kind === "rejected" && outcome.error, "IC0506");
});

args("a reply callback's argument is the callee's reply", async (world) => {
  const canister = await world.universal();
  const arg = code("the answer", reply);
  const outcome = await canister.update(
    callOut({ to: canister.bytes, arg, onReply: [copied("msg_arg_data"), reply] }),
  );
  repliedText(outcome, "the answer");
});

args("a reply callback's argument may be empty", async (world) => {
  const canister = await world.universal();
  const onReply = [ic0.msg_arg_data_size, reply64];
  repliedNumber(await canister.update(callOut({ to: canister.bytes, arg: code(ic0.msg_reply), onReply })), 0);
});

args("a reject callback has no argument", async (world) => {
  const canister = await world.universal();
  const arg = code("no", ic0.msg_reject);
  const onReject = [ic0.msg_arg_data_size, reply64];
  trapped(
    await canister.update(callOut({ to: canister.bytes, arg, onReject })),
    '"ic0_msg_arg_data_size" cannot be executed in reject callback mode',
  );
});

args("canister_init reads its argument", async (world) => {
  const init = [ic0.msg_arg_data_size, op.log64];
  const canister = await world.fresh({ init });
  repliedNumber(await canister.query(replyLog), code(...init).length);
});

args("canister_post_upgrade reads its argument", async (world) => {
  const canister = await world.universal();
  const program = [copied("msg_arg_data"), op.log_blob];
  replied(await canister.upgrade(...program));
  repliedBytes(await canister.query(replyLog), code(...program));
});

args("canister_inspect_message reads the call's argument", async (world) => {
  const canister = await world.universal({ inspect: true });
  const program = code(ic0.msg_reply);
  const hook = [ic0.msg_arg_data_size, program.length, op.eq, set(9), acceptIf9];
  replied(await canister.update(setHook("inspect_message", ...hook), ic0.msg_reply));
  replied(await canister.call(program));
  const refusedCall = await canister.call(code("longer", op.drop, op.drop, ic0.msg_reply));
  assert.equal(refusedCall.kind === "rejected" && refusedCall.error, "IC0406");
});

args("a timer has no argument", async (world) => {
  const canister = await world.universal();
  const hook = ["ran", ic0.debug_print, 1, set(1), ic0.msg_arg_data_size, op.log64];
  replied(
    await canister.update(
      setHook("global_timer", ...hook),
      1,
      ic0.global_timer_set,
      op.drop,
      7,
      set(2),
      ic0.msg_reply,
    ),
  );
  await world.eventually("the timer", async () => ((await canister.log()).includes("ran") ? true : null));
  repliedNumbers(await canister.query(get(1), append64, get(2), append64, ic0.msg_reply), 0, 7);
});

args("a 64-bit canister reads its argument through 64-bit addresses", async (world) => {
  const program = withTail(code(copied("msg_arg_data"), reply), "tail");
  repliedBytes(await (await world.shared(64)).ask(program), program);
});

args("an argument of a megabyte arrives whole", async (world) => {
  const canister = await world.universal();
  const program = join([code(ic0.msg_arg_data_size, reply64, op.stop), new Uint8Array(1_000_000)]);
  repliedNumber(await canister.call(program), program.length);
});

args("a query's argument of a megabyte arrives whole", async (world) => {
  const program = join([code(ic0.msg_arg_data_size, reply64, op.stop), new Uint8Array(1_000_000)]);
  repliedNumber(await (await world.shared()).ask(program), program.length);
});

const caller = [copied("msg_caller"), reply];

self("the caller of an update is the sender", async (world) => {
  repliedBytes(await (await world.shared()).update(...caller), world.user.sender);
});

self("the caller of a query is the sender", async (world) => {
  repliedBytes(await (await world.shared()).query(...caller), world.user.sender);
});

self("the caller of a composite query is the sender", async (world) => {
  repliedBytes(await (await world.shared()).composite(...caller), world.user.sender);
});

self("the anonymous caller is one byte, 4", async (world) => {
  repliedBytes(await (await world.shared()).call(code(...caller), { as: ANONYMOUS }), Uint8Array.of(4));
});

self("an anonymous query's caller is one byte, 4", async (world) => {
  repliedBytes(await (await world.shared()).ask(code(...caller), { as: ANONYMOUS }), Uint8Array.of(4));
});

self("msg_caller_size of a user is 29", async (world) => {
  repliedNumber(await (await world.shared()).query(ic0.msg_caller_size, reply64), 29);
});

self("msg_caller_copy traps one byte behind the principal", async (world) => {
  const outcome = await (await world.shared()).query(BIG, 0, 30, ic0.msg_caller_copy, ic0.msg_reply);
  trapped(outcome, "ic0.msg_caller_copy id: src=0 + length=30 exceeds the slice size=29");
});

self("the caller of a canister's call is that canister", async (world) => {
  const [from, to] = await pair(world);
  const outcome = await from.update(callOut({ to: to.bytes, arg: code(...caller) }));
  assert.equal(hex(relayedReply(outcome)), hex(from.bytes));
});

self("the caller of a callback is the caller of the call it belongs to", async (world) => {
  const [from, to] = await pair(world);
  const outcome = await from.update(callOut({ to: to.bytes, arg: code(ic0.msg_reply), onReply: caller }));
  repliedBytes(outcome, world.user.sender);
});

self("the caller of a cleanup callback is the caller of the call it belongs to", async (world) => {
  const canister = await world.universal();
  const onCleanup = [copied("msg_caller"), op.log_blob];
  await canister.update(
    callOut({ to: canister.bytes, arg: code(ic0.msg_reply), onReply: [op.unreachable], onCleanup }),
  );
  repliedBytes(await canister.query(replyLog), world.user.sender);
});

self("the caller in canister_init is who installs", async (world) => {
  const canister = await world.fresh({ init: [copied("msg_caller"), op.log_blob] });
  repliedBytes(await canister.query(replyLog), world.user.sender);
});

self("the caller in canister_post_upgrade is who upgrades", async (world) => {
  const canister = await world.universal();
  replied(await canister.upgrade(copied("msg_caller"), op.log_blob));
  repliedBytes(await canister.query(replyLog), world.user.sender);
});

self("the caller in canister_pre_upgrade is who upgrades", async (world) => {
  const canister = await world.universal();
  const hook = [
    1,
    ic0.stable64_grow,
    op.drop,
    copied("msg_caller"),
    op.drop,
    0,
    op.swap,
    29,
    ic0.stable64_write,
  ];
  replied(await canister.update(setHook("pre_upgrade", ...hook), ic0.msg_reply));
  replied(await canister.upgrade());
  repliedBytes(await canister.query(BIG, 0, 29, ic0.stable64_read, BIG, 29, reply), world.user.sender);
});

self("the caller of a timer is the management canister", async (world) => {
  const canister = await world.universal();
  const hook = [ic0.msg_caller_size, 77, op.add, set(1)];
  replied(
    await canister.update(setHook("global_timer", ...hook), 1, ic0.global_timer_set, op.drop, ic0.msg_reply),
  );
  await world.eventually("the timer", async () => {
    const value = numberOf(replied(await canister.query(get(1), reply64)));
    return value === 0n ? null : assert.equal(value, 77n) === undefined ? true : null;
  });
});

self("the caller in canister_inspect_message is the sender", async (world) => {
  const canister = await world.universal({ inspect: true });
  const hook = [copied("msg_caller"), op.drop, op.load8, world.user.sender[0] ?? 0, op.eq, set(9), acceptIf9];
  replied(await canister.update(setHook("inspect_message", ...hook), ic0.msg_reply));
  replied(await canister.update(ic0.msg_reply));
  let other = ed25519();
  while (other.sender[0] === world.user.sender[0]) other = ed25519();
  const outcome = await canister.call(code(ic0.msg_reply), { as: other });
  assert.equal(outcome.kind === "rejected" && outcome.error, "IC0406");
});

self("canister_self is the canister's id", async (world) => {
  const canister = await world.shared();
  repliedBytes(await canister.query(copied("canister_self"), reply), canister.bytes);
});

self("canister_self of a 64-bit canister is its id", async (world) => {
  const canister = await world.shared(64);
  repliedBytes(await canister.update(copied("canister_self"), reply), canister.bytes);
});

self("canister_self_copy traps one byte behind the id", async (world) => {
  const outcome = await (await world.shared()).query(BIG, 1, 10, ic0.canister_self_copy, ic0.msg_reply);
  trapped(outcome, "ic0.canister_self_copy id: src=1 + length=10 exceeds the slice size=10");
});

self("subnet_self is the subnet's id", async (world) => {
  repliedBytes(
    await (await world.shared()).query(copied("subnet_self"), reply),
    world.target.home.id.toUint8Array(),
  );
});

self("subnet_self_copy traps one byte behind the id", async (world) => {
  const outcome = await (await world.shared()).query(BIG, 0, 30, ic0.subnet_self_copy, ic0.msg_reply);
  trapped(outcome, "ic0.subnet_self_copy");
});

self("root_key is the key of the status endpoint", async (world) => {
  repliedBytes(await (await world.shared()).update(copied("root_key"), reply), world.wire.rootKey);
});

self("root_key_size is 133", async (world) => {
  repliedNumber(await (await world.shared()).update(ic0.root_key_size, reply64), 133);
});

self("root_key_copy traps one byte behind the key", async (world) => {
  trapped(
    await (await world.shared()).update(BIG, 133, 1, ic0.root_key_copy, ic0.msg_reply),
    "ic0.root_key_copy",
  );
});

self("root_key cannot be read in a query", async (world) => {
  trapped(
    await (await world.shared()).query(ic0.root_key_size, reply64),
    "cannot be executed in non replicated query mode",
  );
});

self("root_key can be read in a query that is executed with replication", async (world) => {
  repliedNumber(await (await world.shared()).replicatedQuery(ic0.root_key_size, reply64), 133);
});

self("users without attested information have none", async (world) => {
  const program = [
    ic0.msg_caller_info_data_size,
    append64,
    ic0.msg_caller_info_signer_size,
    append64,
    ic0.msg_reply,
  ];
  repliedNumbers(await (await world.shared()).query(...program), 0, 0);
});

self("canister callers have no attested information", async (world) => {
  const [from, to] = await pair(world);
  const arg = code(
    ic0.msg_caller_info_data_size,
    append64,
    ic0.msg_caller_info_signer_size,
    append64,
    ic0.msg_reply,
  );
  assert.deepEqual(numbersOf(relayedReply(await from.update(callOut({ to: to.bytes, arg })))), [0n, 0n]);
});

args("msg_reject_code is 4 for a canister's own reject", async (world) => {
  const [from, to] = await pair(world);
  const onReject = [ic0.msg_reject_code, reply64];
  repliedNumber(await from.update(callOut({ to: to.bytes, arg: code("no", ic0.msg_reject), onReject })), 4);
});

args("msg_reject_code is 5 for a callee that traps", async (world) => {
  const [from, to] = await pair(world);
  const onReject = [ic0.msg_reject_code, reply64];
  repliedNumber(await from.update(callOut({ to: to.bytes, arg: code(op.unreachable), onReject })), 5);
});

args("msg_reject_code is 0 in a reply callback", async (world) => {
  const canister = await world.universal();
  const onReply = [ic0.msg_reject_code, reply64];
  repliedNumber(await canister.update(callOut({ to: canister.bytes, arg: code(ic0.msg_reply), onReply })), 0);
});

args("msg_reject_code in a cleanup callback is 0 after a reply", async (world) => {
  const canister = await world.universal();
  const onCleanup = [ic0.msg_reject_code, 50, op.add, op.log64];
  await canister.update(
    callOut({ to: canister.bytes, arg: code(ic0.msg_reply), onReply: [op.unreachable], onCleanup }),
  );
  repliedNumbers(await canister.query(replyLog), 50);
});

args("msg_reject_code in a cleanup callback is the code after a reject", async (world) => {
  const canister = await world.universal();
  const onCleanup = [ic0.msg_reject_code, 50, op.add, op.log64];
  await canister.update(
    callOut({ to: canister.bytes, arg: code("no", ic0.msg_reject), onReject: [op.unreachable], onCleanup }),
  );
  repliedNumbers(await canister.query(replyLog), 54);
});

args("msg_reject_msg is the callee's text", async (world) => {
  const [from, to] = await pair(world);
  const onReject = [copied("msg_reject_msg"), reply];
  repliedText(
    await from.update(callOut({ to: to.bytes, arg: code("not today ☂", ic0.msg_reject), onReject })),
    "not today ☂",
  );
});

args("msg_reject_msg may be empty", async (world) => {
  const canister = await world.universal();
  const onReject = [ic0.msg_reject_msg_size, reply64];
  repliedNumber(
    await canister.update(callOut({ to: canister.bytes, arg: code("", ic0.msg_reject), onReject })),
    0,
  );
});

args("msg_reject_msg_copy copies a slice", async (world) => {
  const canister = await world.universal();
  const onReject = [BIG, 4, 3, ic0.msg_reject_msg_copy, BIG, 3, reply];
  repliedText(
    await canister.update(callOut({ to: canister.bytes, arg: code("not now", ic0.msg_reject), onReject })),
    "now",
  );
});

args("msg_reject_msg_copy traps one byte behind the text", async (world) => {
  const canister = await world.universal();
  const onReject = [BIG, 0, 3, ic0.msg_reject_msg_copy, ic0.msg_reply];
  const outcome = await canister.update(
    callOut({ to: canister.bytes, arg: code("no", ic0.msg_reject), onReject }),
  );
  trapped(outcome, "ic0.msg_reject_msg_copy msg: src=0 + length=3 exceeds the slice size=2");
});

args("msg_reject_msg cannot be read in a reply callback", async (world) => {
  const canister = await world.universal();
  const onReply = [ic0.msg_reject_msg_size, reply64];
  trapped(
    await canister.update(callOut({ to: canister.bytes, arg: code(ic0.msg_reply), onReply })),
    "cannot be executed in reply callback mode",
  );
});

deadlines("msg_deadline is 0 for an ingress message", async (world) => {
  repliedNumber(await (await world.shared()).update(ic0.msg_deadline, reply64), 0);
});

deadlines("msg_deadline is 0 for a query", async (world) => {
  repliedNumber(await (await world.shared()).query(ic0.msg_deadline, reply64), 0);
});

deadlines("msg_deadline is 0 for a guaranteed-response call", async (world) => {
  const [from, to] = await pair(world);
  const outcome = await from.update(callOut({ to: to.bytes, arg: code(ic0.msg_deadline, reply64) }));
  assert.equal(numberOf(relayedReply(outcome)), 0n);
});

deadlines("msg_deadline of a best-effort call lies as far ahead as its timeout", async (world) => {
  const [from, to] = await pair(world);
  const outcome = await from.update(
    callOut({ to: to.bytes, arg: code(ic0.msg_deadline, reply64), timeoutSeconds: 100 }),
  );
  const deadline = numberOf(relayedReply(outcome));
  const ahead = Number(deadline - nowNs()) / 1e9;
  assert.ok(ahead > 40 && ahead <= 101, `${ahead} s ahead`);
});

deadlines("a timeout over 300 s is capped", async (world) => {
  const [from, to] = await pair(world);
  const outcome = await from.update(
    callOut({ to: to.bytes, arg: code(ic0.msg_deadline, reply64), timeoutSeconds: 1_000_000 }),
  );
  const ahead = Number(numberOf(relayedReply(outcome)) - nowNs()) / 1e9;
  assert.ok(ahead > 200 && ahead <= 301, `${ahead} s ahead`);
});

deadlines(
  "msg_deadline in a callback is the deadline of the call that the canister answers",
  async (world) => {
    const canister = await world.universal();
    const onReply = [ic0.msg_deadline, reply64];
    repliedNumber(
      await canister.update(
        callOut({ to: canister.bytes, arg: code(ic0.msg_reply), onReply, timeoutSeconds: 20 }),
      ),
      0,
    );
  },
);

blobs("a copy may end at the heap's last byte", async (world) => {
  const program = [HEAP_BYTES - 4, 0, 4, ic0.msg_caller_copy, HEAP_BYTES - 4, 4, reply];
  repliedBytes(await (await world.shared()).query(...program), world.user.sender.slice(0, 4));
});

blobs("a copy traps one byte behind the heap", async (world) => {
  const outcome = await (await world.shared()).query(
    HEAP_BYTES - 3,
    0,
    4,
    ic0.msg_caller_copy,
    ic0.msg_reply,
  );
  trapped(
    outcome,
    `ic0.msg_caller_copy heap: src=${HEAP_BYTES - 3} + length=4 exceeds the slice size=${HEAP_BYTES}`,
  );
});

blobs("an empty copy to the end of the heap is fine", async (world) => {
  repliedText(await (await world.shared()).query(HEAP_BYTES, 0, 0, ic0.msg_caller_copy, ic0.msg_reply), "");
});

blobs("an empty copy behind the end of the heap traps", async (world) => {
  trapped(
    await (await world.shared()).query(HEAP_BYTES + 1, 0, 0, ic0.msg_caller_copy, ic0.msg_reply),
    "ic0.msg_caller_copy heap",
  );
});

blobs("an address over 4 GiB of a 64-bit canister traps", async (world) => {
  trapped(
    await (await world.shared(64)).query(1n << 40n, 0, 1, ic0.msg_caller_copy, ic0.msg_reply),
    "ic0.msg_caller_copy heap",
  );
});

blobs("an address that overflows 64 bits traps", async (world) => {
  const outcome = await (await world.shared(64)).query(
    (1n << 64n) - 1n,
    0,
    2,
    ic0.msg_caller_copy,
    ic0.msg_reply,
  );
  trapped(outcome, "ic0.msg_caller_copy heap");
});

blobs("a function that reads takes the heap's last byte", async (world) => {
  const outcome = await (await world.shared()).query(HEAP_BYTES - 1, 1, reply);
  repliedBytes(outcome, Uint8Array.of(0));
});

blobs("a function that reads traps one byte behind the heap", async (world) => {
  const outcome = await (await world.shared()).query(HEAP_BYTES - 1, 2, reply);
  trapped(outcome, `msg.reply: src=${HEAP_BYTES - 1} + length=2 exceeds the slice size=${HEAP_BYTES}`);
});

blobs("a 16-byte amount may be written to the heap's end", async (world) => {
  const at = HEAP_BYTES - 16;
  const outcome = await (await world.shared()).query(at, ic0.canister_cycle_balance128, at, 16, reply);
  assert.ok(numberOf(replied(outcome)) > 10n ** 12n);
});

blobs("a 16-byte amount traps one byte behind the heap", async (world) => {
  const outcome = await (await world.shared()).query(
    HEAP_BYTES - 15,
    ic0.canister_cycle_balance128,
    ic0.msg_reply,
  );
  trapped(outcome, "ic0_canister_cycle_balance128 failed because dst + size is out of bounds");
});

blobs("what a function copied is in the heap afterwards", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(SCRATCH, 0, 10, ic0.canister_self_copy, ic0.msg_reply));
  repliedBytes(await canister.query(SCRATCH, 10, reply), canister.bytes);
});

/** Stable memory in both widths, growth, bounds, transience (interface spec, "Stable memory"). */
import assert from "node:assert/strict";
import { numberOf } from "../bytes.ts";
import { section } from "../case.ts";
import {
  rejected,
  replied,
  repliedBytes,
  repliedNumber,
  repliedNumbers,
  repliedText,
  trapped,
} from "../checks.ts";
import {
  append64,
  BIG,
  callOut,
  code,
  HEAP_BYTES,
  ic0,
  op,
  reply,
  reply64,
  set,
  setHook,
} from "../script.ts";

const stable = section("Stable memory");
const PAGE = 65_536;
const GIB_PAGES = 16_384;

const grow = (pages: number) => [pages, ic0.stable64_grow, op.drop];
const write = (at: number | bigint, text: string) => [at, text, ic0.stable64_write];
const readReply = (at: number | bigint, size: number) => [BIG, at, size, ic0.stable64_read, BIG, size, reply];

/** `stable64_write` takes offset, source, size: a text pushes its address and length. */
stable("a fresh canister has none", async (world) => {
  const canister = await world.universal();
  repliedNumbers(
    await canister.query(ic0.stable64_size, append64, ic0.stable_size, append64, ic0.msg_reply),
    0,
    0,
  );
});

stable("growing answers the former size", async (world) => {
  const canister = await world.universal();
  repliedNumbers(
    await canister.update(
      2,
      ic0.stable64_grow,
      append64,
      3,
      ic0.stable64_grow,
      append64,
      ic0.stable64_size,
      reply64,
    ),
    0,
    2,
    5,
  );
});

stable("the 32-bit growth answers the former size", async (world) => {
  const canister = await world.universal();
  repliedNumbers(
    await canister.update(
      2,
      ic0.stable_grow,
      append64,
      3,
      ic0.stable_grow,
      append64,
      ic0.stable_size,
      reply64,
    ),
    0,
    2,
    5,
  );
});

stable("growing by nothing answers the size", async (world) => {
  const canister = await world.universal();
  repliedNumbers(
    await canister.update(grow(4), 0, ic0.stable64_grow, append64, ic0.stable64_size, reply64),
    4,
    4,
  );
});

stable("both widths see one memory", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(grow(1), 10, "both", ic0.stable_write, ic0.msg_reply));
  repliedText(await canister.query(...readReply(10, 4)), "both");
});

stable("new pages are zero", async (world) => {
  const canister = await world.universal();
  repliedBytes(await canister.update(grow(1), ...readReply(PAGE - 8, 8)), new Uint8Array(8));
});

stable("what was written is there in the next message", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(grow(1), write(100, "kept"), ic0.msg_reply));
  repliedText(await canister.update(...readReply(100, 4)), "kept");
});

stable("what was written is there in a query", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(grow(1), write(100, "kept"), ic0.msg_reply));
  repliedText(await canister.query(...readReply(100, 4)), "kept");
});

stable("a write across the bounds of pages is read back", async (world) => {
  const canister = await world.universal();
  const text = "across the border".repeat(600);
  replied(await canister.update(grow(3), write(PAGE - 5_000, text), ic0.msg_reply));
  repliedText(await canister.query(...readReply(PAGE - 5_000, text.length)), text);
});

stable("the last byte may be written", async (world) => {
  const canister = await world.universal();
  repliedText(await canister.update(grow(1), write(PAGE - 1, "z"), ...readReply(PAGE - 1, 1)), "z");
});

stable("a write one byte behind the end traps", async (world) => {
  const canister = await world.universal();
  trapped(
    await canister.update(grow(1), write(PAGE - 1, "zz"), ic0.msg_reply),
    "stable memory out of bounds",
    "IC0502",
  );
});

stable("a read one byte behind the end traps", async (world) => {
  const canister = await world.universal();
  trapped(await canister.update(grow(1), ...readReply(PAGE - 1, 2)), "stable memory out of bounds", "IC0502");
});

stable("a 32-bit write one byte behind the end traps", async (world) => {
  const canister = await world.universal();
  trapped(
    await canister.update(grow(1), PAGE, "z", ic0.stable_write, ic0.msg_reply),
    "stable memory out of bounds",
    "IC0502",
  );
});

stable("a 32-bit read one byte behind the end traps", async (world) => {
  const canister = await world.universal();
  trapped(
    await canister.update(grow(1), BIG, PAGE - 3, 4, ic0.stable_read, ic0.msg_reply),
    "stable memory out of bounds",
    "IC0502",
  );
});

stable("a read of nothing at the end is fine", async (world) => {
  const canister = await world.universal();
  repliedText(await canister.update(grow(1), BIG, PAGE, 0, ic0.stable64_read, ic0.msg_reply), "");
});

stable("a write of nothing at the end is fine", async (world) => {
  const canister = await world.universal();
  repliedText(await canister.update(grow(1), PAGE, BIG, 0, ic0.stable64_write, ic0.msg_reply), "");
});

stable("of nothing, only the 32-bit write looks whether it is behind the end", async (world) => {
  const canister = await world.universal();
  for (const fn of ["stable64_read", "stable_read", "stable64_write"] as const) {
    const [first, second] = fn === "stable64_write" ? [PAGE + 1, BIG] : [BIG, PAGE + 1];
    repliedText(await canister.update(grow(1), first, second, 0, ic0[fn], ic0.msg_reply), "");
  }
  const write = await canister.update(PAGE * 9, BIG, 0, ic0.stable_write, ic0.msg_reply);
  trapped(write, "stable memory out of bounds", "IC0502");
});

stable("offset and size that overflow 64 bits trap", async (world) => {
  const canister = await world.universal();
  trapped(
    await canister.update(grow(1), BIG, (1n << 64n) - 1n, 2, ic0.stable64_read, ic0.msg_reply),
    "stable memory out of bounds",
    "IC0502",
  );
});

stable("a write from behind the heap traps", async (world) => {
  const canister = await world.universal();
  trapped(
    await canister.update(grow(1), 0, HEAP_BYTES - 1, 2, ic0.stable64_write, ic0.msg_reply),
    "heap out of bounds",
    "IC0502",
  );
});

stable("a read to behind the heap traps", async (world) => {
  const canister = await world.universal();
  trapped(
    await canister.update(grow(1), HEAP_BYTES - 1, 0, 2, ic0.stable64_read, ic0.msg_reply),
    "heap out of bounds",
    "IC0502",
  );
});

stable("a read to an address over 4 GiB of a 32-bit heap traps", async (world) => {
  const canister = await world.universal();
  trapped(
    await canister.update(grow(1), 1n << 32n, 0, 2, ic0.stable64_read, ic0.msg_reply),
    "heap out of bounds",
    "IC0502",
  );
});

stable("a trap undoes growth and writes", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(grow(1), write(0, "old"), ic0.msg_reply));
  rejected(await canister.update(grow(2), write(0, "new"), op.unreachable), { error: "IC0502" });
  repliedNumber(await canister.query(ic0.stable64_size, reply64), 1);
  repliedText(await canister.query(...readReply(0, 3)), "old");
});

stable("a query's writes are gone after it", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(grow(1), write(0, "old"), ic0.msg_reply));
  repliedText(await canister.query(grow(1), write(0, "new"), ...readReply(0, 3)), "new");
  repliedText(await canister.query(...readReply(0, 3)), "old");
  repliedNumber(await canister.query(ic0.stable64_size, reply64), 1);
});

stable("it survives an upgrade", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(grow(2), write(PAGE, "over"), ic0.msg_reply));
  replied(await canister.upgrade());
  repliedText(await canister.query(...readReply(PAGE, 4)), "over");
});

stable("a reinstallation wipes it", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(grow(2), write(0, "gone"), ic0.msg_reply));
  replied(await canister.install({ reinstall: null }));
  repliedNumber(await canister.query(ic0.stable64_size, reply64), 0);
  repliedBytes(await canister.update(grow(1), ...readReply(0, 4)), new Uint8Array(4));
});

stable("what canister_pre_upgrade writes is kept", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(setHook("pre_upgrade", grow(1), write(7, "hook")), ic0.msg_reply));
  replied(await canister.upgrade());
  repliedText(await canister.query(...readReply(7, 4)), "hook");
});

stable("what canister_post_upgrade writes is kept", async (world) => {
  const canister = await world.universal();
  replied(await canister.upgrade(grow(1), write(7, "post")));
  repliedText(await canister.query(...readReply(7, 4)), "post");
});

stable("canister_init may write it", async (world) => {
  const canister = await world.fresh({ init: [grow(1), write(7, "init")] });
  repliedText(await canister.query(...readReply(7, 4)), "init");
});

stable("a failed installation leaves none of it", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await canister.install({ install: null }, { program: [grow(3), op.unreachable] }), {
    error: "IC0502",
  });
  replied(await canister.install({ install: null }));
  repliedNumber(await canister.query(ic0.stable64_size, reply64), 0);
});

stable("pages beyond 4 GiB may be written and read", async (world) => {
  const canister = await world.universal();
  const far = 5n << 30n;
  replied(await canister.update(grow(6 * GIB_PAGES), write(far, "far away"), ic0.msg_reply));
  repliedText(await canister.query(...readReply(far, 8)), "far away");
});

stable("the 32-bit functions trap when there are more than 4 GiB", async (world) => {
  const canister = await world.universal();
  trapped(
    await canister.update(grow(4 * GIB_PAGES + 1), ic0.stable_size, reply64),
    "32 bit stable memory api used on a memory larger than 4GB",
    "IC0502",
  );
});

stable("the 32-bit size of exactly 4 GiB is told", async (world) => {
  const canister = await world.universal();
  repliedNumber(await canister.update(grow(4 * GIB_PAGES), ic0.stable_size, reply64), 4 * GIB_PAGES);
});

stable("the 32-bit growth beyond 4 GiB answers -1", async (world) => {
  const canister = await world.universal();
  repliedNumber(await canister.update(grow(4 * GIB_PAGES), 1, ic0.stable_grow, reply64), 0xffff_ffff);
});

stable("the 32-bit functions trap after growth beyond 4 GiB", async (world) => {
  const canister = await world.universal();
  trapped(
    await canister.update(grow(4 * GIB_PAGES + 1), BIG, 0, 1, ic0.stable_read, ic0.msg_reply),
    "larger than 4GB",
    "IC0502",
  );
});

stable("growth to 500 GiB is possible", async (world) => {
  const canister = await world.fresh({
    cycles: 10n ** 18n,
    settings: { freezing_threshold: 0n, reserved_cycles_limit: 10n ** 18n },
  });
  repliedNumbers(
    await canister.update(500 * GIB_PAGES, ic0.stable64_grow, append64, ic0.stable64_size, reply64),
    0,
    500 * GIB_PAGES,
  );
  replied(await world.manage("uninstall_code", { canister_id: canister.id }));
});

stable("growth beyond 500 GiB answers -1", async (world) => {
  const canister = await world.fresh({
    cycles: 10n ** 18n,
    settings: { freezing_threshold: 0n, reserved_cycles_limit: 10n ** 18n },
  });
  repliedNumber(await canister.update(500 * GIB_PAGES + 1, ic0.stable64_grow, reply64), (1n << 64n) - 1n);
});

stable("growth by 2^64 - 1 pages answers -1", async (world) => {
  const canister = await world.universal();
  repliedNumber(await canister.update((1n << 64n) - 1n, ic0.stable64_grow, reply64), (1n << 64n) - 1n);
});

stable("a refused growth leaves the size", async (world) => {
  const canister = await world.universal();
  repliedNumber(
    await canister.update(grow(3), 1n << 50n, ic0.stable64_grow, op.drop, ic0.stable64_size, reply64),
    3,
  );
});

stable("its pages count as the canister's memory", async (world) => {
  const canister = await world.universal();
  const before = (await canister.status()).memory_metrics.stable_memory_size;
  replied(await canister.update(grow(10), ic0.msg_reply));
  assert.equal((await canister.status()).memory_metrics.stable_memory_size - before, BigInt(10 * PAGE));
});

stable("a 64-bit canister reads and writes it", async (world) => {
  const canister = await world.universal({ width: 64 });
  repliedText(await canister.update(grow(1), write(9, "wide"), ...readReply(9, 4)), "wide");
});

stable("a 64-bit canister's read one byte behind the end traps", async (world) => {
  const canister = await world.universal({ width: 64 });
  trapped(await canister.update(grow(1), ...readReply(PAGE, 1)), "stable memory out of bounds", "IC0502");
});

stable("it may be written while the start function runs", async (world) => {
  const canister = await world.fresh({
    start: code(ic0.stable64_size, 1, op.lt_u, op.drop, grow(1), write(3, "start")),
  });
  repliedText(await canister.query(...readReply(3, 5)), "start");
});

stable("a callback sees what the callee's message wrote", async (world) => {
  const canister = await world.universal();
  const arg = code(grow(1), write(0, "callee"), ic0.msg_reply);
  repliedText(
    await canister.update(callOut({ to: canister.bytes, arg, onReply: readReply(0, 6) })),
    "callee",
  );
});

stable("a cleanup callback may write it", async (world) => {
  const canister = await world.universal();
  const call = callOut({
    to: canister.bytes,
    arg: code(ic0.msg_reply),
    onReply: [op.unreachable],
    onCleanup: [write(0, "clean")],
  });
  rejected(await canister.update(grow(1), call), { error: "IC0502" });
  repliedText(await canister.query(...readReply(0, 5)), "clean");
});

stable("a megabyte is written and read in one piece", async (world) => {
  const canister = await world.universal();
  const program = [
    32,
    op.memory_grow,
    op.drop,
    HEAP_BYTES,
    0xab,
    1_000_000,
    op.memory_fill,
    grow(17),
    12_345,
    HEAP_BYTES,
    1_000_000,
    ic0.stable64_write,
    ic0.msg_reply,
  ];
  replied(await canister.update(...program));
  const answer = replied(
    await canister.query(
      32,
      op.memory_grow,
      op.drop,
      HEAP_BYTES,
      12_345,
      1_000_000,
      ic0.stable64_read,
      HEAP_BYTES,
      1_000_000,
      reply,
    ),
  );
  assert.ok(answer.length === 1_000_000 && answer.every((byte) => byte === 0xab));
});

stable("an upgrade with wasm_memory_persistence keep leaves it alone", async (world) => {
  const sections = { "icp:private enhanced-orthogonal-persistence": "" };
  const canister = await world.fresh({ sections });
  replied(await canister.update(grow(1), write(0, "both"), 5, set(1), ic0.msg_reply));
  replied(await canister.install({ upgrade: { wasm_memory_persistence: { keep: null } } }, { sections }));
  repliedText(await canister.query(...readReply(0, 4)), "both");
});

stable("instructions of a write count its bytes", async (world) => {
  const canister = await world.universal();
  const measure = (size: number) => [
    0,
    ic0.performance_counter,
    0,
    BIG,
    size,
    ic0.stable64_write,
    0,
    ic0.performance_counter,
    op.swap,
    op.sub,
    append64,
  ];
  const answer = replied(
    await canister.update(grow(1), measure(1), measure(1), measure(1_001), ic0.msg_reply),
  );
  const [, one, many] = [0, 8, 16].map((at) => numberOf(answer.subarray(at, at + 8)));
  assert.equal((many ?? 0n) - (one ?? 0n), 1_000n);
});

/** What a module must be, and what is refused (interface spec, "Canister module format", "WebAssembly module requirements"). */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { section } from "../case.ts";
import { rejected, replied, repliedNumber } from "../checks.ts";
import { assemble, customSection, gzip, leb, rawModule, universalModule } from "../module.ts";
import { code, get, ic0, join, op, reply64, set } from "../script.ts";
import type { Outcome } from "../wire.ts";
import type { Universal, World } from "../world.ts";

const format = section("Canister module format");
const requirements = section("WebAssembly module requirements");

const IMPORTS = `(import "ic0" "msg_reply" (func $reply)) (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))`;

/** Installs bytes over a pooled canister. */
async function install(world: World, bytes: Uint8Array): Promise<{ canister: Universal; outcome: Outcome }> {
  const canister = await world.universal();
  const outcome = await world.manage("install_code", {
    mode: { reinstall: null },
    canister_id: canister.id,
    wasm_module: bytes,
    arg: new Uint8Array(),
  });
  return { canister, outcome };
}

async function accepted(world: World, bytes: Uint8Array): Promise<Universal> {
  const { canister, outcome } = await install(world, bytes);
  replied(outcome);
  return canister;
}

/** Refused as invalid Wasm; the canister runs what it ran. */
async function invalid(world: World, bytes: Uint8Array, text?: RegExp | string): Promise<void> {
  const { canister, outcome } = await install(world, bytes);
  rejected(outcome, { code: 5, error: "IC0505", ...(text === undefined ? {} : { text }) });
  repliedNumber(await canister.query(7, reply64), 7);
}

const accept = (title: string, text: string) =>
  requirements(title, async (world) => void (await accepted(world, await assemble(text))));
const refuse = (title: string, text: string, reason?: RegExp | string) =>
  requirements(title, async (world) => invalid(world, await assemble(text), reason));

format("a module that is nothing but a header is one", async (world) => {
  await accepted(world, rawModule());
});
format("no bytes are no module", async (world) => {
  await invalid(world, new Uint8Array());
});
format("text is no module", async (world) => {
  await invalid(world, new TextEncoder().encode("(module)"));
});
format("a module of version 2 is refused", async (world) => {
  await invalid(world, Uint8Array.of(0, 0x61, 0x73, 0x6d, 2, 0, 0, 0));
});
format("a truncated module is refused", async (world) => {
  await invalid(world, universalModule().slice(0, 4_000));
});
format("bytes behind the last section are refused", async (world) => {
  await invalid(world, join([universalModule(), Uint8Array.of(1)]));
});
format("a gzip of a module is taken", async (world) => {
  const canister = await accepted(world, gzip(universalModule()));
  repliedNumber(await canister.query(3, reply64), 3);
});
format("the module hash is of the bytes as uploaded", async (world) => {
  const bytes = gzip(universalModule());
  const canister = await accepted(world, bytes);
  const hash = new Uint8Array(createHash("sha256").update(bytes).digest());
  assert.deepEqual(new Uint8Array((await canister.status()).module_hash[0]), hash);
});
format("a gzip of no module is refused", async (world) => {
  await invalid(world, gzip(new TextEncoder().encode("nothing")));
});
format("a damaged gzip is refused", async (world) => {
  const bytes = gzip(universalModule());
  bytes[bytes.length - 5] = (bytes[bytes.length - 5] ?? 0) ^ 0xff;
  await invalid(world, bytes);
});
format("a truncated gzip is refused", async (world) => {
  await invalid(world, gzip(universalModule()).slice(0, 900));
});
format("a gzip within a gzip is refused", async (world) => {
  await invalid(world, gzip(gzip(universalModule())));
});
format("a gzip that would be longer than 100 MiB is refused", async (world) => {
  await invalid(world, gzip(new Uint8Array(100 * 1024 * 1024 + 1)));
});

accept("a memory of 32 bits", "(module (memory 1))");
accept("a memory of 64 bits", "(module (memory i64 1))");
accept("a memory of 4 GiB declared as maximum", "(module (memory 1 65536))");
accept("no memory", "(module (func))");
accept("an exported memory", '(module (memory (export "memory") 1))');
refuse("two memories", "(module (memory 1) (memory 1))");
refuse("a shared memory", "(module (memory 1 1 shared))");
refuse(
  "an imported memory of another module than env",
  '(module (import "other" "memory" (memory 1)))',
  "Only memory imported from env.memory is allowed",
);
refuse("an imported global", '(module (import "env" "g" (global i32)))', "Importing globals is not allowed");
refuse(
  "an imported table of another module than env",
  '(module (import "other" "table" (table 1 funcref)))',
  "Only tables imported from env.table are allowed",
);
refuse(
  "an import from another module than ic0",
  '(module (import "env" "f" (func)))',
  "that is not exported by the runtime",
);
refuse(
  "an unknown function of ic0",
  '(module (import "ic0" "msg_everything" (func)))',
  "Module imports function 'msg_everything' from 'ic0' that is not exported by the runtime",
);
refuse(
  "a function of ic0 with other parameters",
  '(module (import "ic0" "msg_reply" (func (param i32))))',
  "invalid function signature. Expected input params [] for 'msg_reply', got [I32]",
);
refuse(
  "a function of ic0 with another result",
  '(module (import "ic0" "time" (func (result i32))))',
  "Expected return type [I64] for 'time', got [I32]",
);
refuse(
  "64-bit parameters where the memory is 32-bit",
  '(module (import "ic0" "msg_reply_data_append" (func (param i64 i64))) (memory 1))',
  "invalid function signature",
);
refuse(
  "32-bit parameters where the memory is 64-bit",
  '(module (import "ic0" "msg_reply_data_append" (func (param i32 i32))) (memory i64 1))',
  "invalid function signature",
);
refuse(
  "a 32-bit-only function where the memory is 64-bit",
  '(module (import "ic0" "stable_size" (func (result i32))) (memory i64 1))',
  "not exported by the runtime",
);
accept(
  "32-bit parameters where there is no memory",
  '(module (import "ic0" "msg_reply_data_append" (func (param i32 i32))))',
);
accept(
  "a function imported twice",
  '(module (import "ic0" "msg_reply" (func)) (import "ic0" "msg_reply" (func)))',
);

requirements.each(
  "a hook with a parameter is refused",
  [
    "init",
    "inspect_message",
    "pre_upgrade",
    "post_upgrade",
    "heartbeat",
    "global_timer",
    "on_low_wasm_memory",
  ],
  async (world, hook) => {
    const module = await assemble(`(module (func (export "canister_${hook}") (param i32)))`);
    await invalid(world, module, `Expected input params [] for 'canister_${hook}'`);
  },
);
refuse(
  "canister_init with a result",
  '(module (func (export "canister_init") (result i32) (i32.const 0)))',
  "Expected return type [] for 'canister_init'",
);
refuse(
  "an update method with a parameter",
  '(module (func (export "canister_update x") (param i64)))',
  "Expected input params []",
);
refuse(
  "a query method with a result",
  '(module (func (export "canister_query x") (result i64) (i64.const 0)))',
  "Expected return type []",
);
refuse(
  "a composite query method with a parameter",
  '(module (func (export "canister_composite_query x") (param i64)))',
  "Expected input params []",
);
refuse(
  "a method that is update and query",
  '(module (func $f) (export "canister_update x" (func $f)) (export "canister_query x" (func $f)))',
  "Duplicate function 'x' exported multiple times with different call types",
);
refuse(
  "a method that is query and composite query",
  '(module (func $f) (export "canister_query x" (func $f)) (export "canister_composite_query x" (func $f)))',
  "Duplicate function 'x'",
);
refuse(
  "a method that is update and composite query",
  '(module (func $f) (export "canister_update x" (func $f)) (export "canister_composite_query x" (func $f)))',
  "Duplicate function 'x'",
);
refuse(
  "another export that begins with canister_",
  '(module (func (export "canister_other")))',
  "Exporting reserved function 'canister_other' with \"canister_\" prefix",
);
refuse(
  "canister_update without a name and without a space",
  '(module (func (export "canister_update")))',
  "reserved function 'canister_update'",
);
refuse("the reserved export canister_start", '(module (func (export "canister_start")))');
refuse(
  "the reserved export of the instruction counter",
  '(module (func (export "canister counter_instructions")))',
  "Exporting reserved symbol",
);
accept("an export without the prefix", '(module (func (export "anything else")))');
accept("an exported global", '(module (global (export "g") i32 (i32.const 1)))');
accept("an exported table", '(module (table (export "t") 1 funcref))');
refuse("two exports of one name", '(module (func $f) (export "a" (func $f)) (export "a" (func $f)))');

const many = (count: number, item: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => item(i)).join(" ");
accept(
  "1,000 exported methods",
  `(module (func $f) ${many(1_000, (i) => `(export "canister_update m${i}" (func $f))`)})`,
);
refuse(
  "1,001 exported methods",
  `(module (func $f) ${many(1_001, (i) => `(export "canister_update m${i}" (func $f))`)})`,
  "is 1001 which exceeds 1000",
);
accept(
  "method names of 20,000 bytes together",
  `(module (func $f) (export "canister_update ${"n".repeat(20_000)}" (func $f)))`,
);
refuse(
  "method names of 20,001 bytes together",
  `(module (func $f) (export "canister_update ${"n".repeat(20_001)}" (func $f)))`,
  "exceeds the allowed limit of 20000",
);
accept("1,000 globals", `(module ${many(1_000, () => "(global i32 (i32.const 0))")})`);
refuse(
  "1,001 globals",
  `(module ${many(1_001, () => "(global i32 (i32.const 0))")})`,
  "1001 globals which exceeds the maximum number allowed 1000",
);
accept("50,000 functions", `(module ${many(50_000, () => "(func)")})`);
refuse(
  "50,001 functions",
  `(module ${many(50_001, () => "(func)")})`,
  "50001 functions which exceeds the maximum number allowed 50000",
);
accept("a table of 1,000,000 elements", "(module (table 1000000 funcref))");
refuse("a table of 1,000,001 elements", "(module (table 1000001 funcref))");
refuse("two tables", "(module (table 1 funcref) (table 1 funcref))");
refuse("a memory that starts with more than 4 GiB", "(module (memory 65537))");
refuse("a 64-bit memory that starts with more than 6 GiB", "(module (memory i64 98305))");

accept("sign extension", "(module (func (result i32) (i32.extend8_s (i32.const 1))))");
accept("saturating conversion", "(module (func (result i32) (i32.trunc_sat_f32_s (f32.const 1))))");
accept("bulk memory", "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 1))))");
accept("several results", "(module (func (result i32 i32) (i32.const 1) (i32.const 2)))");
accept("reference types", "(module (table 2 funcref) (func (drop (table.get (i32.const 0)))))");
accept("mutable globals", "(module (global (mut i64) (i64.const 0)))");
accept("vector instructions", "(module (func (result v128) (v128.const i32x4 1 2 3 4)))");
refuse("threads", "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))");
refuse("tail calls", "(module (func $f (return_call $f)))");
refuse("exceptions", "(module (tag $e) (func (throw $e)))");
refuse(
  "relaxed vector instructions",
  "(module (func (result v128) (i8x16.relaxed_swizzle (v128.const i32x4 1 2 3 4) (v128.const i32x4 1 2 3 4))))",
);
accept(
  "a global of an extended constant expression",
  "(module (global i32 (i32.add (i32.const 1) (i32.const 2))))",
);
refuse(
  "a data segment at an extended constant expression",
  '(module (memory 1) (data (i32.add (i32.const 1) (i32.const 2)) "x"))',
  "invalid data section",
);
requirements("function references are refused", async (world) => {
  await invalid(world, rawModule([1, [2, 0x60, 0, 0, 0x60, 1, 0x63, 0, 0]]));
});
requirements("types of the collector's proposal are refused", async (world) => {
  await invalid(world, rawModule([1, [1, 0x5f, 0]]));
});

accept("a start function", "(module (func $s) (start $s))");
refuse("a start function with a parameter", "(module (func $s (param i32)) (start $s))");
accept("data segments that are active", '(module (memory 1) (data (i32.const 8) "text"))');
accept("data segments that are passive", '(module (memory 1) (data "text"))');
requirements("a data segment behind the memory is refused or traps at the installation", async (world) => {
  const { outcome } = await install(
    world,
    await assemble('(module (memory 1) (data (i32.const 65536) "text"))'),
  );
  rejected(outcome, { code: 5 });
});
requirements("an element segment behind the table is refused or traps at the installation", async (world) => {
  const { outcome } = await install(
    world,
    await assemble("(module (table 1 funcref) (func $f) (elem (i32.const 1) func $f))"),
  );
  rejected(outcome, { code: 5 });
});
refuse(
  "code that is not well typed",
  "(module (func (result i32) (i64.const 1)))".replace("i64.const 1", "f32.const 1"),
);

const withSections = (...sections: readonly Uint8Array[]) => join([rawModule(), ...sections]);
requirements("a public custom section", async (world) => {
  await accepted(world, withSections(customSection("icp:public note", "hello")));
});
requirements("a private custom section", async (world) => {
  await accepted(world, withSections(customSection("icp:private note", "hello")));
});
requirements("a custom section without the prefix may stand twice", async (world) => {
  await accepted(
    world,
    withSections(customSection("name", ""), customSection("other", "x"), customSection("other", "x")),
  );
});
requirements("a custom section with another scope is refused", async (world) => {
  await invalid(
    world,
    withSections(customSection("icp:protected note", "x")),
    "has no public/private scope defined",
  );
});
requirements("a custom section without a scope is refused", async (world) => {
  await invalid(world, withSections(customSection("icp:note", "x")));
});
requirements("a scope without a space is refused", async (world) => {
  await invalid(world, withSections(customSection("icp:public", "x")));
});
requirements("one name as public and private is refused", async (world) => {
  await invalid(
    world,
    withSections(customSection("icp:public note", "x"), customSection("icp:private note", "x")),
    "name note already exists",
  );
});
requirements("one name twice is refused", async (world) => {
  await invalid(
    world,
    withSections(customSection("icp:public note", "x"), customSection("icp:public note", "y")),
    "already exists",
  );
});
requirements("16 custom sections", async (world) => {
  await accepted(
    world,
    withSections(...Array.from({ length: 16 }, (_, i) => customSection(`icp:public n${i}`, "x"))),
  );
});
requirements("17 custom sections are refused", async (world) => {
  await invalid(
    world,
    withSections(...Array.from({ length: 17 }, (_, i) => customSection(`icp:public n${i}`, "x"))),
    "17 custom sections which exceeds the maximum number allowed 16",
  );
});
requirements("custom sections of a megabyte", async (world) => {
  await accepted(world, withSections(customSection("icp:public big", new Uint8Array(1024 * 1024 - 3))));
});
requirements("custom sections over a megabyte are refused", async (world) => {
  await invalid(
    world,
    withSections(customSection("icp:public big", new Uint8Array(1024 * 1024 - 2))),
    "total size of the custom sections exceeds the maximum allowed",
  );
});
requirements("a section name that is no UTF-8 is refused", async (world) => {
  await invalid(world, withSections(customSection(Uint8Array.of(0x69, 0x63, 0x70, 0x3a, 0xff), "x")));
});
requirements("sections out of their order are refused", async (world) => {
  await invalid(world, rawModule([5, [1, 0, 1]], [1, [0]]));
});
requirements("a section twice is refused", async (world) => {
  await invalid(world, rawModule([1, [0]], [1, [0]]));
});
requirements("a section longer than its content is refused", async (world) => {
  await invalid(world, join([rawModule(), Uint8Array.of(1, 4, 0)]));
});
requirements("a function type of many parameters", async (world) => {
  await accepted(world, await assemble(`(module (func (param ${"i32 ".repeat(1_000)})))`));
});
requirements("a function type of 1,001 parameters is refused", async (world) => {
  await invalid(world, await assemble(`(module (func (param ${"i32 ".repeat(1_001)})))`));
});
requirements("a function of 48,000 locals", async (world) => {
  await accepted(world, await assemble(`(module (func (local ${"i32 ".repeat(48_000)})))`));
});
requirements("a function of 50,001 locals is refused", async (world) => {
  await invalid(world, await assemble(`(module (func (local ${"i32 ".repeat(50_001)})))`));
});
requirements("blocks nested a thousand deep", async (world) => {
  const body = [
    0,
    ...Array.from({ length: 1_000 }, () => [0x02, 0x40]).flat(),
    ...new Array<number>(1_001).fill(0x0b),
  ];
  await accepted(
    world,
    rawModule([1, [1, 0x60, 0, 0]], [3, [1, 0]], [10, [1, ...leb(body.length), ...body]]),
  );
});

const names = section("Entry points");
const NAMED = (name: string, kind = "update") =>
  `(module ${IMPORTS} (memory 1) (data (i32.const 0) "${"x"}") (func (export "canister_${kind} ${name}") (call $append (i32.const 0) (i32.const 1)) (call $reply)))`;

names.each(
  "method names may be anything",
  ["", " ", "with space", "canister_init", "Ω", "a".repeat(500)],
  async (world, name) => {
    const escaped = [...new TextEncoder().encode(name)]
      .map((byte) => `\\${byte.toString(16).padStart(2, "0")}`)
      .join("");
    const canister = await accepted(world, await assemble(NAMED(escaped)));
    assert.equal(replied(await canister.call(new Uint8Array(), { method: name })).length, 1);
  },
);
names("an update method cannot be queried", async (world) => {
  const outcome = await (await world.shared()).ask(code(ic0.msg_reply), { method: "update" });
  rejected(outcome, { code: 5, error: "IC0536", text: "Canister has no query method 'update'." });
});
names("a query method can be called, with replication", async (world) => {
  repliedNumber(await (await world.shared()).replicatedQuery(9, reply64), 9);
});
names("what a query method writes when it is called is discarded", async (world) => {
  const canister = await world.universal();
  replied(await canister.replicatedQuery(9, set(1), ic0.msg_reply));
  repliedNumber(await canister.query(get(1), reply64), 0);
});
names("what a query writes is discarded", async (world) => {
  const canister = await world.universal();
  replied(await canister.query(9, set(1), ic0.msg_reply));
  repliedNumber(await canister.query(get(1), reply64), 0);
});
names("a composite query method can be queried", async (world) => {
  repliedNumber(await (await world.shared()).composite(9, reply64), 9);
});
names("a composite query method cannot be called", async (world) => {
  rejected(await (await world.shared()).call(code(ic0.msg_reply), { method: "composite" }), {
    error: "IC0527",
  });
});
names("a method name is looked up exactly", async (world) => {
  rejected(await (await world.shared()).call(code(ic0.msg_reply), { method: "Update" }), { error: "IC0536" });
});
names("a method's export that is not a method cannot be called", async (world) => {
  rejected(await (await world.shared()).call(code(ic0.msg_reply), { method: "canister_update update" }), {
    error: "IC0536",
  });
});
names("canister_init cannot be called", async (world) => {
  rejected(await (await world.shared()).call(code(ic0.msg_reply), { method: "canister_init" }), {
    error: "IC0536",
  });
});
names("a module without canister_init is installed", async (world) => {
  await accepted(world, await assemble(NAMED("x")));
});
names("a module without hooks is upgraded", async (world) => {
  const bytes = await assemble(NAMED("x"));
  const canister = await accepted(world, bytes);
  replied(
    await world.manage("install_code", {
      mode: { upgrade: null },
      canister_id: canister.id,
      wasm_module: bytes,
      arg: new Uint8Array(),
    }),
  );
});
names("the start function runs at the installation", async (world) => {
  const canister = await world.fresh({ start: code(41, set(1)) });
  repliedNumber(await canister.query(get(1), reply64), 41);
});
names("the start function runs before canister_init", async (world) => {
  const canister = await world.fresh({ start: code(41, set(1)), init: [get(1), 1, op.add, set(1)] });
  repliedNumber(await canister.query(get(1), reply64), 42);
});
names("the start function runs at an upgrade, before canister_post_upgrade", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.install(
      { upgrade: null },
      { start: code(7, set(1)), program: [get(1), 1, op.add, set(1)] },
    ),
  );
  repliedNumber(await canister.query(get(1), reply64), 8);
});
names("a trap in the start function fails the installation", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await canister.install({ install: null }, { start: code(op.unreachable) }), {
    code: 5,
    error: "IC0502",
  });
  assert.equal((await canister.status()).module_hash.length, 0);
});
names("the start function cannot ask for the caller", async (world) => {
  const canister = await world.fresh({ install: false });
  const outcome = await canister.install({ install: null }, { start: code(ic0.msg_caller_size) });
  rejected(outcome, {
    code: 5,
    error: "IC0504",
    text: '"ic0_msg_caller_size" cannot be executed in start mode',
  });
});

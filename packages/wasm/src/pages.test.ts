/** Dirty pages: every byte that stores change lies in a marked page, whatever the way its address is computed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createEngine, type Form } from "./index.ts";
import { compile, instantiate, run, start } from "./testing.ts";
import { WasmTrap } from "./traps.ts";

const PAGE = 4096;
const FORMS: readonly Form[] = ["fast", "exact", "profile"];

function changedPages(bytes: Uint8Array): number[] {
  const pages: number[] = [];
  for (let page = 0; page < bytes.length / PAGE; page++) {
    if (bytes.subarray(page * PAGE, (page + 1) * PAGE).some((b) => b !== 0)) pages.push(page);
  }
  return pages;
}

/** All pages changed are marked, and of the others only neighbours of theirs. */
function assertMarked(dirty: readonly number[], changed: readonly number[], form: Form): void {
  for (const page of changed)
    assert.ok(dirty.includes(page), `${form}: page ${page} of ${changed} not in ${dirty}`);
  for (const page of dirty)
    assert.ok(
      changed.some((c) => Math.abs(c - page) <= 1),
      `${form}: page ${page} marked in vain`,
    );
}

/** Stores of all-ones: operator, bytes, and the operand. */
const STORES: readonly (readonly [op: string, bytes: number, value: string])[] = [
  ["i32.store8", 1, "i32.const -1"],
  ["i32.store16", 2, "i32.const -1"],
  ["i32.store", 4, "i32.const -1"],
  ["i64.store8", 1, "i64.const -1"],
  ["i64.store16", 2, "i64.const -1"],
  ["i64.store32", 4, "i64.const -1"],
  ["i64.store", 8, "i64.const -1"],
  ["f32.store", 4, "f32.const -nan:0x7fffff"],
  ["f64.store", 8, "f64.const -nan:0xfffffffffffff"],
  ["v128.store", 16, "v128.const i64x2 -1 -1"],
  ["v128.store8_lane", 1, "v128.const i64x2 -1 -1"],
  ["v128.store16_lane", 2, "v128.const i64x2 -1 -1"],
  ["v128.store32_lane", 4, "v128.const i64x2 -1 -1"],
  ["v128.store64_lane", 8, "v128.const i64x2 -1 -1"],
];

interface Store {
  readonly kind: number;
  readonly form: "base" | "constant" | "computed" | "stale" | "moved";
  readonly page: number;
  /** Distance of the first byte from the page's end. */
  readonly before: number;
  readonly offset: number;
  /** Ends the run of operators, so that the stores that follow need a check of their own. */
  readonly split: boolean;
}

const MEMORY_PAGES = 32;

/** Text of a store to `page * 4096 - before`; `$p` holds the base (page 4's start). */
function storeText(store: Store, type: "i32" | "i64"): string {
  const [op, , value] = STORES[store.kind] as (typeof STORES)[number];
  const address = store.page * PAGE - store.before;
  const base = 4 * PAGE;
  const distance = address - base - store.offset;
  const plus = (n: number): string => `${type}.const ${n} ${type}.add`;
  const operand = {
    base: `local.get $p ${distance === 0 ? "" : plus(distance)}`,
    constant: `${type}.const ${address - store.offset}`,
    computed: `local.get $p ${type}.const 0 ${type}.or ${plus(distance)}`,
    stale: `local.get $p local.get $p ${plus(8 * PAGE)} local.set $p ${plus(distance)}`,
    moved: `local.get $p ${plus(PAGE)} local.tee $p ${plus(distance - PAGE)}`,
  }[store.form];
  const restore =
    store.form === "stale" || store.form === "moved" ? `${type}.const ${base} local.set $p` : "";
  const split = store.split ? "block end" : "";
  return `${operand} ${value} ${op} offset=${store.offset}${op.endsWith("lane") ? " 0" : ""} ${restore} ${split}`;
}

function program(stores: readonly Store[], looped: boolean, is64: boolean): string {
  const type = is64 ? "i64" : "i32";
  const body = stores.map((store) => storeText(store, type)).join("\n");
  const code = looped
    ? `i32.const 2 local.set $n loop ${body} local.get $n i32.const 1 i32.sub local.tee $n br_if 0 end`
    : body;
  return `(module (memory ${is64 ? "i64" : ""} ${MEMORY_PAGES / 16} ${MEMORY_PAGES / 16})
    (func (export "canister_update go") (local $p ${type}) (local $n i32) ${type}.const ${4 * PAGE} local.set $p ${code}))`;
}

const storeArbitrary: fc.Arbitrary<Store> = fc.record({
  kind: fc.nat(STORES.length - 1),
  form: fc.constantFrom("base", "constant", "computed", "stale", "moved"),
  page: fc.integer({ min: 5, max: 7 }),
  before: fc.integer({ min: -20, max: 20 }),
  offset: fc.constantFrom(0, 1, 8, 4095, 5000),
  split: fc.boolean(),
});

interface Walk {
  readonly kind: number;
  /** How the address goes through memory: as a pointer, as an index that is scaled, or as a local computed from one. */
  readonly form: "pointer" | "shifted" | "multiplied" | "computed";
  readonly before: number;
  /** Bytes from one turn to the next, by a shift or a product where the form asks for one. */
  readonly stride: number;
  readonly turns: number;
  readonly back: boolean;
}

/** Text of a loop that stores at `$i * stride` from just before a page's end on, or back from there. */
function walkText({ kind, form, before, stride, turns, back }: Walk, type: "i32" | "i64"): string {
  const [op, , value] = STORES[kind] as (typeof STORES)[number];
  const lane = op.endsWith("lane") ? "0" : "";
  const start = 12 * PAGE - before;
  const shift = Math.round(Math.log2(stride));
  const sign = back ? "sub" : "add";
  const add = `${type}.${sign} ${value} ${op} offset=3 ${lane}`;
  const turn = {
    pointer: `local.get $p ${value} ${op} offset=3 ${lane} local.get $p ${type}.const ${stride} ${type}.${sign} local.set $p`,
    shifted: `local.get $p local.get $i ${type}.const ${shift} ${type}.shl ${add}`,
    multiplied: `local.get $p local.get $i ${type}.const ${stride} ${type}.mul ${add}`,
    computed: `local.get $p local.get $i ${type}.const ${stride} ${type}.mul ${type}.${sign} local.tee $q
      ${value} ${op} offset=3 ${lane} local.get $q ${value} ${op} offset=40 ${lane}`,
  }[form];
  return `${type}.const ${start} local.set $p
    loop ${turn} local.get $i ${type}.const 1 ${type}.add local.tee $i ${type}.const ${turns} ${type}.lt_u br_if 0 end`;
}

const walkArbitrary: fc.Arbitrary<Walk> = fc.record({
  kind: fc.nat(STORES.length - 1),
  form: fc.constantFrom("pointer", "shifted", "multiplied", "computed"),
  before: fc.integer({ min: -20, max: 60 }),
  stride: fc.constantFrom(1, 2, 4, 7, 8, 16, 500, 512, 513, 4096),
  turns: fc.integer({ min: 1, max: 9 }),
  back: fc.boolean(),
});

test("stores that go through memory step by step mark the pages they change and no others; the fast form also neighbours", () => {
  const engine = createEngine();
  fc.assert(
    fc.property(fc.array(walkArbitrary, { minLength: 1, maxLength: 4 }), fc.boolean(), (walks, is64) => {
      const type = is64 ? "i64" : "i32";
      const body = walks.map((walk) => `${type}.const 0 local.set $i ${walkText(walk, type)}`).join("\n");
      const text = `(module (memory ${is64 ? "i64" : ""} ${MEMORY_PAGES / 16} ${MEMORY_PAGES / 16})
        (func (export "canister_update go") (local $p ${type}) (local $q ${type}) (local $i ${type}) ${body}))`;
      const compiled = compile(text, engine);
      for (const form of FORMS) {
        const instance = instantiate(engine, compiled, { form });
        assert.equal(run(instance, "go").error, null);
        const dirty = [...instance.dirtyPages()].sort((a, b) => a - b);
        const changed = changedPages(instance.memoryBytes());
        if (form === "fast") assertMarked(dirty, changed, form);
        else assert.deepEqual(dirty, changed, form);
        const again = instantiate(engine, compiled, { form });
        assert.equal(run(again, "go").error, null);
        assert.deepEqual(
          [...again.dirtyPages()].sort((a, b) => a - b),
          dirty,
          `${form}, again`,
        );
      }
    }),
    { numRuns: 150 },
  );
});

test("changed pages are marked, and of the others only neighbours within a group", () => {
  const engine = createEngine();
  fc.assert(
    fc.property(
      fc.array(storeArbitrary, { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      fc.boolean(),
      (stores, looped, is64) => {
        const compiled = compile(program(stores, looped, is64), engine);
        for (const form of FORMS) {
          const instance = instantiate(engine, compiled, { form });
          assert.equal(run(instance, "go").error, null);
          const changed = changedPages(instance.memoryBytes());
          const dirty = [...instance.dirtyPages()].sort((a, b) => a - b);
          assertMarked(dirty, changed, form);
        }
      },
    ),
    { numRuns: 200, seed: 7 },
  );
});

test("a store out of bounds traps as it would without marks and corrupts nothing", () => {
  const addresses = ["0xffffffff", "0xfffffffd", "0x80000000", "65533", "65536", "0x10000"];
  for (const address of addresses) {
    for (const offset of [0, 3, 0x7fffffff, 0xffffffff]) {
      const module = `(module (memory 1) (func (export "canister_update go") (local $p i32)
        (local.set $p (i32.const ${address})) (i32.store offset=${offset} (local.get $p) (i32.const -1))))`;
      for (const form of FORMS) {
        const instance = start(module, { form });
        const { error } = run(instance, "go");
        const fits = Number(address) + offset + 4 <= 65536;
        assert.equal(error instanceof WasmTrap ? error.kind : "ok", fits ? "ok" : "heap_out_of_bounds");
        assert.deepEqual(changedPages(instance.memoryBytes()), []);
      }
    }
  }
});

test("the same for a 64-bit memory, at both ends of the address range", () => {
  for (const address of ["-1", "-4096", "0x7fffffffffffffff", "0x500000000", "65535"]) {
    for (const offset of ["0", "1", "0xffffffff", "0xfffffffff", "0xffffffffffffffff"]) {
      const module = `(module (memory i64 1) (func (export "canister_update go") (local $p i64)
        (local.set $p (i64.const ${address})) (i64.store offset=${offset} (local.get $p) (i64.const -1))
        (i64.store8 offset=${offset} (i64.or (local.get $p) (i64.const 0)) (i64.const -1))))`;
      for (const form of FORMS) {
        const { error } = run(start(module, { form }), "go");
        assert.equal(
          error instanceof WasmTrap ? error.kind : "ok",
          "heap_out_of_bounds",
          `${address}+${offset}`,
        );
      }
    }
  }
});

test("the last page of a full 32-bit memory is never missed", () => {
  const module = `(module (memory 65536) (func (export "canister_update go") (local $n i32)
    (local.set $n (i32.const 2))
    (loop (i32.store8 (i32.const -1) (i32.const 1)) (i32.store8 offset=1 (local.get $n) (i32.const 1))
      (i32.store16 (i32.sub (local.get $n) (i32.const 4)) (i32.const -1)) (i32.store8 (i32.sub (local.get $n) (i32.const 7)) (i32.const -1))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))`;
  for (const form of FORMS) {
    const instance = start(module, { form });
    assert.equal(run(instance, "go").error, null);
    assert.ok(instance.dirtyPages().includes(0xfffff));
    assert.ok(instance.dirtyPages().includes(0));
  }
});

test("a loop that walks over a page's end marks the next page", () => {
  for (const type of ["i32", "i64"]) {
    const module = `(module (memory ${type === "i64" ? "i64" : ""} 1) (func (export "canister_update go") (local $p ${type})
      (local.set $p (${type}.const 4000))
      (loop (i64.store (local.get $p) (i64.const -1)) (i64.store offset=8 (local.get $p) (i64.const -1))
        (br_if 0 (${type}.le_u (local.tee $p (${type}.add (local.get $p) (${type}.const 4))) (${type}.const 4084))))))`;
    for (const form of FORMS) {
      const instance = start(module, { form });
      assert.equal(run(instance, "go").error, null);
      assert.deepEqual(changedPages(instance.memoryBytes()), [0, 1]);
      assert.deepEqual([...instance.dirtyPages()], [0, 1]);
    }
  }
});

/** Loops of `$n` turns that store 4 bytes at `$p` and move it by 4, up or down, in the forms that compilers give them. */
function smallLoops(type: "i32" | "i64", sign: "add" | "sub"): string[] {
  const store = "local.get $p i32.const -1 i32.store";
  const move = `local.get $p ${type}.const 4 ${type}.${sign} local.set $p`;
  const next = "local.get $n i32.const 1 i32.sub local.tee $n";
  const odd = "local.get $n i32.const 1 i32.and";
  return [
    `loop ${store} ${move} ${next} br_if 0 end`,
    `loop local.get $n if ${store} ${move} ${next} drop br 1 end end`,
    `loop ${odd} if ${store} end ${move} ${next} br_if 0 end`,
    `loop ${store} ${odd} if ${move} end ${next} br_if 0 end`,
    `loop ${odd} if ${store} ${move} ${next} br_if 1 else ${next} br_if 1 end end`,
    `block loop ${next} i32.eqz br_if 1 ${store} ${move} br 0 end end`,
  ];
}

test("small loops that walk to either end of memory, or beyond, change no page without a mark", () => {
  const engine = createEngine();
  for (const type of ["i32", "i64"] as const) {
    for (const sign of ["add", "sub"] as const) {
      for (const loop of smallLoops(type, sign)) {
        const text = `(module (memory ${type === "i64" ? "i64" : ""} 1 1) (global $from (mut ${type}) (${type}.const 0))
          (global $turns (mut i32) (i32.const 0)) (func (export "canister_update go") (local $p ${type}) (local $n i32)
          global.get $from local.set $p global.get $turns local.set $n ${loop}))`;
        const compiled = compile(text, engine);
        for (const [turns, before] of [1, 2, 4, 5, 9].flatMap((n) =>
          [4, 12, 36].map((b) => [n, b] as const),
        )) {
          for (const form of FORMS) {
            const instance = instantiate(engine, compiled, { form });
            const from = sign === "add" ? 65_536 - before : before - 4;
            instance.writeGlobals([BigInt(from), BigInt(turns)]);
            run(instance, "go");
            const dirty = [...instance.dirtyPages()];
            for (const page of changedPages(instance.memoryBytes()))
              assert.ok(dirty.includes(page), `${form} ${loop}`);
            assert.ok(
              dirty.every((page) => page < 16),
              `${form} ${loop}`,
            );
          }
        }
      }
    }
  }
});

test("bulk operators mark their range, and nothing when they trap", () => {
  const module = (body: string): string =>
    `(module (memory 4) (data "0123456789") (func (export "canister_update go") ${body}))`;
  const dirty = (body: string): number[] => {
    const results = FORMS.map((form) => {
      const instance = start(module(body), { form });
      run(instance, "go");
      return [...instance.dirtyPages()];
    });
    assert.deepEqual(results[0], results[1]);
    return results[0] as number[];
  };
  assert.deepEqual(dirty("(memory.fill (i32.const 4095) (i32.const 1) (i32.const 4098))"), [0, 1, 2]);
  assert.deepEqual(dirty("(memory.fill (i32.const 4095) (i32.const 1) (i32.const 0))"), []);
  assert.deepEqual(dirty("(memory.copy (i32.const 8192) (i32.const 0) (i32.const 4096))"), [2]);
  assert.deepEqual(dirty("(memory.init 0 (i32.const 4090) (i32.const 0) (i32.const 10))"), [0, 1]);
  assert.deepEqual(dirty("(memory.fill (i32.const 262143) (i32.const 1) (i32.const 2))"), []);
  assert.deepEqual(dirty("(memory.fill (i32.const -1) (i32.const 1) (i32.const -1))"), []);
  assert.deepEqual(dirty("(memory.fill (i32.const 262143) (i32.const 1) (i32.const 1))"), [63]);
});

test("host writes are marked, bounds are checked, and marks are forgotten on request", () => {
  const instance = start(`(module (memory 1) (func (export "canister_update go")))`);
  instance.write(4094, new Uint8Array([1, 2, 3, 4]));
  assert.deepEqual([...instance.dirtyPages()], [0, 1]);
  instance.markDirty(8192, 1);
  assert.deepEqual([...instance.dirtyPages()], [0, 1, 2]);
  assert.throws(() => instance.write(65_535, new Uint8Array(2)), RangeError);
  instance.clearDirty();
  assert.deepEqual([...instance.dirtyPages()], []);
  instance.markDirty(8192, 1);
  assert.deepEqual([...instance.dirtyPages()], [2]);
});

test("rolling back the dirty pages and the globals undoes a message", () => {
  const module = `(module (memory 2) (global $g (mut i64) (i64.const 5)) (global (mut f32) (f32.const nan:0x400001))
    (data (i32.const 4000) "some initial data that crosses a page boundary, or at least some of it does, as it is long enough")
    (func (export "canister_update go") (local $i i32)
      (loop (i64.store (i32.mul (local.get $i) (i32.const 4093)) (i64.const -1))
        (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))
      (global.set $g (i64.const -7)) (global.set 1 (f32.const 1)) (unreachable)))`;
  const instance = start(module);
  const before = instance.memoryBytes().slice();
  const globals = instance.readGlobals();
  assert.deepEqual(globals, [5n, 0x7fc00001n]);
  assert.ok(run(instance, "go").error instanceof WasmTrap);
  assert.notDeepEqual(instance.memoryBytes(), before);
  for (const page of instance.dirtyPages()) {
    instance.memoryBytes().set(before.subarray(page * PAGE, (page + 1) * PAGE), page * PAGE);
  }
  instance.writeGlobals(globals);
  assert.deepEqual(instance.memoryBytes(), before);
  assert.deepEqual(instance.readGlobals(), globals);
});

/** What engines have learned since: types, indices and constants that the host's engine accepts and the replica's does not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { validateModule } from "./index.ts";
import { wat } from "./testing.ts";

/** A module with a memory and one function of this code. */
function module(...code: number[]): Uint8Array {
  const body = [0, ...code, 0x0b];
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  const sections = [1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 5, 3, 1, 0, 1];
  return new Uint8Array([...header, ...sections, 10, body.length + 2, 1, body.length, ...body]);
}

function refuse(wasm: Uint8Array, text: RegExp): void {
  assert.ok(WebAssembly.validate(wasm), "the host's engine does not know this either");
  const result = validateModule(wasm);
  assert.ok(!result.ok, "the module was accepted");
  assert.equal(result.error.kind, "engine_validation");
  assert.match(result.error.message, text);
}

test("types of blocks, selections and null references", () => {
  assert.ok(validateModule(module(0x00, 0x02, 0x70, 0x00, 0x0b, 0x1a)).ok); // block (result funcref)
  refuse(module(0x00, 0x02, 0x6e, 0x00, 0x0b, 0x1a), /invalid block type/); // block (result anyref)
  refuse(module(0x00, 0x02, 0x63, 0x70, 0x00, 0x0b, 0x1a), /invalid block type/); // block (result (ref null func))
  refuse(module(0x00, 0x1c, 0x01, 0x6b, 0x1a), /invalid value type/); // select (result structref)
  refuse(module(0xd0, 0x6e, 0x1a), /invalid heap type/); // ref.null any
});

test("the index of a memory is one zero byte", () => {
  assert.ok(validateModule(module(0x3f, 0x00, 0x1a)).ok);
  refuse(module(0x3f, 0x80, 0x00, 0x1a), /zero byte expected/);
  const zeros = [0x41, 0, 0x41, 0, 0x41, 0];
  refuse(module(...zeros, 0xfc, 0x0a, 0x00, 0x80, 0x00), /zero byte expected/);
  refuse(module(...zeros, 0xfc, 0x0b, 0x80, 0x00), /zero byte expected/);
});

test("a constant does not read a global of the module", () => {
  refuse(
    wat("(module (global i32 (i32.const 0)) (global i32 (global.get 0)))"),
    /constant expression required: global\.get of locally defined global/,
  );
});

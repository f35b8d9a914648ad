import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { canisterIdFromIndex, principalFromText } from "@orrery/base";
import { canisterIdOf, idOfFolder, openCanisterFolder } from "./canister-folder.ts";

const scratch = mkdtempSync(join(tmpdir(), "orrery-folder-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

const GLOBALS =
  '[{"i64": -9223372036854775808}, {"v128": 340282366920938463463374607431768211455}, {"f64": null}]';
const METADATA = `{
  "wasm_module_size": 3, "wasm_memory_size": 1500001, "stable_memory_size": 0, "globals": ${GLOBALS},
  "certified_data": [1, 255], "global_timer": {"active": 18446744073709551615},
  "on_low_wasm_memory_hook_status": "ready", "wasm_chunk_store": []
}`;
const ID = canisterIdFromIndex(7n);

let made = 0;
/** A folder with these files. */
function folderOf(files: Readonly<Record<string, string | Uint8Array>>): string {
  made++;
  const directory = join(scratch, `${made}`);
  mkdirSync(join(directory, "wasm_chunk_store"), { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  return directory;
}

const WHOLE = {
  "metadata.json": METADATA,
  "wasm_module.bin": "abc",
  "wasm_memory.bin": new Uint8Array(1_500_001),
  "stable_memory.bin": "",
  "wasm_chunk_store/00.bin": "chunk",
};

test("canister folder: integers of every size, in the calls that bring it onto a network", () => {
  const folder = openCanisterFolder(folderOf(WHOLE));
  assert.equal(folder.bytes, 3 + 1_500_001 + 5);
  const { method, arg } = folder.metadata(ID);
  assert.equal(method, "upload_canister_snapshot_metadata");
  const Global = IDL.Variant({ i64: IDL.Int64, f64: IDL.Float64, v128: IDL.Nat });
  const Timer = IDL.Variant({ inactive: IDL.Null, active: IDL.Nat64 });
  const type = IDL.Record({
    globals: IDL.Vec(
      IDL.Variant({ i32: IDL.Int32, f32: IDL.Float32, ...Object.fromEntries(Global._fields) }),
    ),
    global_timer: IDL.Opt(Timer),
    wasm_memory_size: IDL.Nat64,
  });
  const [told] = IDL.decode([type], arg) as unknown as [Readonly<Record<string, unknown>>];
  assert.deepEqual(told, {
    globals: [{ i64: -(2n ** 63n) }, { v128: 2n ** 128n - 1n }, { f64: Number.NaN }],
    global_timer: [{ active: 2n ** 64n - 1n }],
    wasm_memory_size: 1_500_001n,
  });
  const pieces = [...folder.data(ID, Uint8Array.of(1))];
  assert.equal(pieces.length, 4, "the module, two pieces of the memory and a chunk");
  assert.ok(pieces.every((piece) => piece.arg.length < 1_600_000));
});

test("canister folder: what is no whole snapshot is refused before a network is asked", () => {
  const change = (from: string, to: string): Record<string, string | Uint8Array> => ({
    ...WHOLE,
    "metadata.json": METADATA.replace(from, to),
  });
  const cases: readonly [files: Readonly<Record<string, string | Uint8Array>>, text: RegExp][] = [
    [{}, /holds no metadata\.json/],
    [{ "metadata.json": "{" }, /is not JSON/],
    [{ "metadata.json": "[]" }, /holds no object/],
    [{ "metadata.json": "{}" }, /wasm_module_size is null/],
    [{ ...WHOLE, "wasm_memory.bin": "short" }, /wasm_memory\.bin has 5 bytes.*1500001.*not whole/],
    [change('"i64"', '"i65"'), /no Wasm value/],
    [change('"i64": -9223372036854775808', '"i64": 1.5'), /globals/],
    [change("[1, 255]", "[1, 256]"), /certified_data/],
    [change("[1, 255]", "5"), /certified_data is no list/],
    [change('"ready"', '"maybe"'), /hook_status is "maybe"/],
    [change('{"active": 18446744073709551615}', '"soon"'), /global_timer is "soon"/],
  ];
  for (const [files, text] of cases) {
    assert.throws(
      () => openCanisterFolder(folderOf(files)),
      (error: Error & { readonly code?: string }) => {
        assert.equal(error.code, "snapshot_folder_invalid");
        assert.match(error.message, text);
        assert.match(error.message, /icp canister snapshot download/);
        return true;
      },
    );
  }
  assert.throws(() => openCanisterFolder(join(scratch, "none")), /there is no folder/);
});

test("canister folder: named after its canister", () => {
  const ledger = "ryjl3-tyaaa-aaaaa-aaaba-cai";
  assert.deepEqual(idOfFolder(join(scratch, ledger)), principalFromText(ledger));
  for (const text of ["snapshot", "2vxsx-fae", "aaaaa-aa", "ryjl3-tyaaa-aaaaa-aaabb-cai", ""])
    assert.equal(canisterIdOf(text), null, text);
});

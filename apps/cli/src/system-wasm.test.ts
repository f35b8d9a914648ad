import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { systemWasm } from "./system-wasm.ts";

const scratch = mkdtempSync(join(tmpdir(), "orrery-system-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
const WASM = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
const GZIP = Uint8Array.of(0x1f, 0x8b, 8);

function folderOf(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = mkdtempSync(join(scratch, "brought-"));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

test("system canisters: a folder or a list, in the order in which they are installed", () => {
  assert.deepEqual(systemWasm(undefined, scratch), []);
  assert.deepEqual(systemWasm(" ", scratch), []);
  const folder = folderOf({
    "internet-identity.wasm.gz": GZIP,
    "internet-identity.args": "(null)",
    "governance.wasm": WASM,
    "governance.args.bin": Uint8Array.of(1),
    "README.md": "what they are",
  });
  const found = systemWasm(folder, scratch);
  assert.deepEqual(
    found.map(({ name, canisterId, args }) => [name, canisterId, args]),
    [
      ["governance", "rrkah-fqaaa-aaaaa-aaaaq-cai", { format: "bytes", bytes: Uint8Array.of(1) }],
      ["internet-identity", "rdmx6-jaaaa-aaaaa-aaadq-cai", { format: "candid", text: "(null)" }],
    ],
  );
  writeFileSync(join(scratch, "mine.wasm"), WASM);
  const [listed] = systemWasm(` registry=mine.wasm, nns-dapp=${join(folder, "governance.wasm")}`, scratch);
  assert.deepEqual([listed?.canisterId, listed?.args], ["rwlgt-iiaaa-aaaaa-aaaaa-cai", null]);
});

test("system canisters: what is missing, foreign or ambiguous is refused in words before anything starts", () => {
  const file = join(folderOf({ "a.wasm": WASM }), "a.wasm");
  const cases: readonly [value: string, text: RegExp][] = [
    [join(scratch, "none"), /there is no folder .*none; name a folder of modules, or a list/],
    [file, /is a file; name its folder, or say what it is: NAME=a\.wasm/],
    [folderOf({}), /holds no module of a system canister; name them registry\.wasm/],
    [folderOf({ "moon.wasm": WASM }), /"moon" is no system canister's name; known are registry, /],
    [folderOf({ "icp-ledger.wasm": WASM }), /every network has its own icp-ledger/],
    [folderOf({ "root.wasm": WASM, "root.wasm.gz": GZIP }), /root has both .*keep one of them/],
    [folderOf({ "root.wasm": "<html>" }), /root\.wasm is no Wasm module/],
    [folderOf({ "root.args": "()" }), /arguments for root and no root\.wasm/],
    [folderOf({ "root.wasm": WASM, "root.args": "()", "root.args.bin": "" }), /root has both .*\.args/],
    ["root=nowhere.wasm", /there is no module at .*nowhere\.wasm; correct ORRERY_SYSTEM_WASM/],
    ["=x", /"=x" is not of the form name=path/],
    [`root=${file},root=${file}`, /root is named twice/],
  ];
  for (const [value, text] of cases) {
    assert.throws(() => systemWasm(value, scratch), { code: "system_wasm_invalid", message: text }, value);
  }
});

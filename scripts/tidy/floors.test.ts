import assert from "node:assert/strict";
import { test } from "node:test";
import { repositoryOf } from "../repository.ts";
import { floors, importForm, packageOf, resolve } from "./floors.ts";

function manifest(name: string, fields: object = {}): string {
  return JSON.stringify({ name, version: "0.1.0", exports: { ".": "./src/index.ts" }, ...fields });
}

const base = {
  "package.json": '{"version":"0.1.0"}',
  "packages/base/package.json": manifest("@orrery/base"),
};

function floorMessages(files: Record<string, string>): string[] {
  return floors.check(repositoryOf({ ...base, ...files })).map(({ path, message }) => `${path} ${message}`);
}

test("a dependency on a lower floor passes", () => {
  const crypto = manifest("@orrery/crypto", {
    dependencies: { "@orrery/base": "0.1.0", "@noble/hashes": "2.4.0" },
  });
  assert.deepEqual(floorMessages({ "packages/crypto/package.json": crypto }), []);
});

test("a dependency on the same floor is found", () => {
  const messages = floorMessages({
    "packages/wasm/package.json": manifest("@orrery/wasm"),
    "packages/crypto/package.json": manifest("@orrery/crypto", { dependencies: { "@orrery/wasm": "0.1.0" } }),
  });
  assert.equal(messages.length, 1);
  assert.match(messages[0] ?? "", /crypto.*floor 1 depends on @orrery\/wasm of floor 1/);
});

test("a dependency on a higher floor is found, in devDependencies too", () => {
  const messages = floorMessages({
    "packages/base/package.json": manifest("@orrery/base", { devDependencies: { "@orrery/state": "0.1.0" } }),
    "packages/state/package.json": manifest("@orrery/state"),
  });
  assert.match(messages.join("\n"), /floor 0 depends on @orrery\/state of floor 2/);
});

test("a third-party package that is not on the list is found below the host, and only there", () => {
  const dependencies = { dependencies: { "left-pad": "1.3.0" } };
  const pure = floorMessages({ "packages/state/package.json": manifest("@orrery/state", dependencies) });
  assert.match(pure.join("\n"), /left-pad is not on the list/);
  assert.deepEqual(
    floorMessages({ "packages/host/package.json": manifest("@orrery/host", dependencies) }),
    [],
  );
});

test("a listed third-party package is allowed only where the list says", () => {
  const messages = floorMessages({
    "packages/wasm/package.json": manifest("@orrery/wasm", { dependencies: { "mcl-wasm": "2.4.1" } }),
  });
  assert.match(messages.join("\n"), /mcl-wasm is not on the list/);
});

test("a version range, a version out of step and a folder without a floor are found", () => {
  const messages = floorMessages({
    "packages/host/package.json": manifest("@orrery/host", { dependencies: { ws: "^8.0.0" } }),
    "packages/http/package.json": manifest("@orrery/http", { version: "0.2.0" }),
    "packages/extra/package.json": manifest("@orrery/extra"),
  }).join("\n");
  assert.match(messages, /ws is "\^8.0.0": pin one exact version/);
  assert.match(messages, /version 0.2.0: all packages carry the root's, 0.1.0/);
  assert.match(messages, /packages\/extra\/package.json has no floor/);
});

function importMessages(path: string, text: string): string[] {
  return importForm
    .check(repositoryOf({ ...base, [path]: text }))
    .map(({ line, message }) => `${line} ${message}`);
}

test("an import that leaves its package is found", () => {
  const messages = importMessages(
    "packages/crypto/src/a.ts",
    '\nimport { x } from "../../base/src/index.ts";\n',
  );
  assert.deepEqual(messages, ['2 "../../base/src/index.ts" leaves the package: import by package name']);
});

test("deep, extensionless and dynamic imports are found", () => {
  assert.match(
    importMessages("apps/node/src/a.ts", 'export * from "@orrery/base/src/cbor.ts";')[0] ?? "",
    /reaches inside/,
  );
  assert.match(importMessages("apps/node/src/a.ts", 'import { x } from "./b";')[0] ?? "", /must end in \.ts/);
  assert.match(
    importMessages("apps/node/src/a.ts", 'await import("../../cli/src/b.ts");')[0] ?? "",
    /leaves/,
  );
});

test("imports by package name and inside the package pass", () => {
  const text = 'import { a } from "@orrery/base";\nimport { b } from "../c/d.ts";\n';
  assert.deepEqual(importMessages("packages/state/src/x/a.ts", text), []);
});

test("paths are resolved and attributed to their package", () => {
  assert.equal(resolve("a/b/c.ts", "../d.ts"), "a/d.ts");
  assert.equal(packageOf("packages/base/src/index.ts"), "packages/base");
  assert.equal(packageOf("bench/src/main.ts"), "bench");
  assert.equal(packageOf("scripts/tidy.ts"), undefined);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { repositoryOf } from "../repository.ts";
import { fixtures, links, readmes } from "./prose.ts";

test("a link to a file that does not exist is found; links to files, folders, anchors and the web pass", () => {
  const found = links.check(
    repositoryOf({
      "docs/a.md":
        "[a](b.md) [b](../packages/base/) [c](#x) [d](https://example.com/x)\n[gone](gone.md#part)\n",
      "docs/b.md": "",
      "packages/base/src/index.ts": "",
    }),
  );
  assert.deepEqual(
    found.map(({ line, message }) => `${line} ${message}`),
    ["2 links to gone.md#part, which does not exist"],
  );
});

test("a file named in the specification map must exist", () => {
  const files = {
    "packages/base/src/cbor.ts": "",
    "docs/spec-map.md": "| `packages/base/src/cbor.ts` | `packages/base/src/gone.ts` |",
  };
  assert.match(links.check(repositoryOf(files))[0]?.message ?? "", /names packages\/base\/src\/gone.ts/);
  assert.equal(links.check(repositoryOf(files)).length, 1);
});

test("a package without its page, or a page without one of its headings, is found", () => {
  const complete = "# x\n## Owns\n## Does not own\n## Invariants\n## Spec sections\n## How it is tested\n";
  const problems = readmes.check(
    repositoryOf({
      "packages/base/package.json": "{}",
      "packages/crypto/package.json": "{}",
      "packages/crypto/README.md": complete,
      "packages/wasm/package.json": "{}",
      "packages/wasm/README.md": complete.replace("## Invariants\n", ""),
    }),
  );
  assert.deepEqual(
    problems.map(({ path, message }) => `${path} ${message}`),
    [
      "packages/base/README.md is missing: every package says what it owns",
      'packages/wasm/README.md has no heading "## Invariants"',
    ],
  );
});

test("a fixture that no source names is found; one named by file, stem or folder passes", () => {
  const problems = fixtures.check(
    repositoryOf({
      "packages/wasm/fixtures/used.wasm": "",
      "packages/wasm/fixtures/dead.wasm": "",
      "packages/wasm/fixtures/stem.wat": "",
      "packages/wasm/fixtures/folder/deep/x.bin": "",
      "packages/wasm/src/a.test.ts": 'read("used.wasm"); load("stem"); list("folder/");',
    }),
  );
  assert.deepEqual(
    problems.map(({ path }) => path),
    ["packages/wasm/fixtures/dead.wasm"],
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { REPOSITORY_ROOT } from "../repository.ts";
import { rewriteImports } from "./types.ts";

const options = {
  root: REPOSITORY_ROOT,
  folderByName: new Map([["@orrery/base", "packages/base"]]),
  peers: ["theirs"],
};

function rewrite(text: string): { text: string; found: string[] } {
  const found: string[] = [];
  const path = "packages/orrery/src/network.d.ts";
  return { text: rewriteImports(text, path, options, (target) => found.push(target)), found };
}

test("imports between packages become relative, and their targets are reported", () => {
  const { text, found } = rewrite(
    'import type { Principal } from "@orrery/base";\nexport * from "./options.ts";\nexport declare const x: import("@orrery/base").Height;\n',
  );
  assert.equal(
    text,
    'import type { Principal } from "../../base/src/index.js";\nexport * from "./options.js";\nexport declare const x: import("../../base/src/index.js").Height;\n',
  );
  assert.deepEqual(found, [
    "packages/base/src/index.d.ts",
    "packages/orrery/src/options.d.ts",
    "packages/base/src/index.d.ts",
  ]);
});

test("types of what users have themselves stay", () => {
  assert.equal(rewrite('import { x } from "theirs/y";').text, 'import { x } from "theirs/y";');
});

test("built-in modules stay; a package that is not shipped is refused", () => {
  assert.equal(rewrite('import { Server } from "node:http";').text, 'import { Server } from "node:http";');
  assert.throws(
    () => rewrite('import { Agent } from "left-pad";'),
    /needs the types of left-pad, which is not shipped/,
  );
});

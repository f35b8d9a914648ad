/** A package that creates a subnet is the only one that says so: it comes to be, though a later one could be made first. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { latePackages } from "./planted/late-package.testkit.ts";

test("no package is passed over that creates a subnet", () => {
  const packages = [...latePackages()].sort(([a], [b]) => a - b);
  assert.deepEqual(packages, [
    [18, 1],
    [36, null],
  ]);
});

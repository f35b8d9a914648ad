/** Fixtures: prepared once, copied for each test, ended after it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Principal } from "@icp-sdk/core/principal";
import type { PocketIc } from "./pic/index.ts";
import type { Network } from "./types.ts";
import { networkFixture, pocketIcFixture } from "./vitest.ts";

test("tests of a file begin with the same network and do not see each other's", async () => {
  let prepared = 0;
  const fixture = networkFixture({}, (network) => {
    prepared++;
    network.createCanister();
  });
  assert.match(String(fixture), /^async \(\{\}, use\)/);
  const ids: string[] = [];
  const networks: Network[] = [];
  for (let i = 0; i < 3; i++) {
    await fixture({}, async (network) => {
      ids.push(network.createCanister());
      networks.push(network);
    });
  }
  assert.equal(prepared, 1);
  assert.deepEqual(ids, [ids[0], ids[0], ids[0]]);
  for (const network of networks) assert.throws(() => network.tick(), { code: "instance_gone" });
});

test("a test that fails ends its copy all the same", async () => {
  const fixture = pocketIcFixture();
  let seen: PocketIc | null = null;
  const failing = fixture({}, async (pic) => {
    seen = pic;
    throw new Error("failed");
  });
  await assert.rejects(failing, /failed/);
  await assert.rejects(
    (seen as unknown as PocketIc).getCyclesBalance(Principal.anonymous()),
    /Instance was deleted/,
  );
});

/**
 * Snapshots by the `icp` command, as its users type it: taken, listed, restored, downloaded to files, uploaded onto another canister,
 * deleted. Linux on x64 only: there the command comes as an optional dependency.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createIcpProject, ICP_AVAILABLE, type IcpProject, nameWithoutIcp } from "./icp-project.ts";
import { shareNetwork } from "./shared-network.ts";

const shared = shareNetwork();
let project: IcpProject;
let files: string;

const snapshot = (...argv: readonly string[]): Promise<string> =>
  project.succeed("canister", "snapshot", ...argv);

/** Ids of a canister's snapshots; the command writes more than the ids. */
async function listed(canister: string): Promise<string[]> {
  return [...new Set((await snapshot("list", canister)).match(/\b[0-9a-f]{36}\b/g) ?? [])];
}

async function calling(canister: string, method: string): Promise<string> {
  return await project.succeed("canister", "call", canister, method, "()");
}

async function stopped(canister: string, action: () => Promise<string>): Promise<string> {
  await project.succeed("canister", "stop", canister);
  try {
    return await action();
  } finally {
    await project.succeed("canister", "start", canister);
  }
}

if (ICP_AVAILABLE) {
  describe("icp canister snapshot", () => {
    before(async () => {
      files = mkdtempSync(join(tmpdir(), "orrery-snapshot-"));
      project = createIcpProject(shared.network, { counter: "counter.eop", other: "counter.eop" });
      await project.succeed("deploy");
    });
    after(() => {
      project.remove();
      rmSync(files, { recursive: true });
    });

    test("what was taken is listed and restored", async () => {
      await calling("counter", "inc");
      await calling("counter", "inc");
      const id = await stopped("counter", () => snapshot("create", "counter", "-q"));
      assert.match(id, /^[0-9a-f]{36}$/);
      assert.deepEqual(await listed("counter"), [id]);
      assert.match(await calling("counter", "inc"), /\(3 : nat\)/);
      await stopped("counter", () => snapshot("restore", "counter", id));
      assert.match(await calling("counter", "inc"), /\(3 : nat\)/);
    });

    test("what was downloaded is uploaded onto another canister", async () => {
      const [id = ""] = await listed("counter");
      await snapshot("download", "counter", id, "--output", files);
      const names = readdirSync(files);
      assert.ok(names.includes("metadata.json"), names.join(", "));
      assert.equal(readFileSync(join(files, "wasm_module.bin")).length > 1_000, true);
      assert.match(await calling("other", "inc"), /\(1 : nat\)/);
      const uploaded = await snapshot("upload", "other", "--input", files, "-q");
      assert.notEqual(uploaded, id);
      await stopped("other", () => snapshot("restore", "other", uploaded));
      assert.match(await calling("other", "inc"), /\(3 : nat\)/);
      const status = await project.json("canister", "status", "other");
      assert.equal(
        status["module_hash"],
        (await project.json("canister", "status", "counter"))["module_hash"],
      );
    });

    test("a new one takes an old one's place, and what was deleted is gone", async () => {
      const [old = ""] = await listed("counter");
      const id = await stopped("counter", () => snapshot("create", "counter", "--replace", old, "-q"));
      assert.deepEqual(await listed("counter"), [id]);
      assert.match(await project.refuse("canister", "snapshot", "delete", "counter", old), /IC0305|not find/);
      await snapshot("delete", "counter", id);
      assert.deepEqual(await listed("counter"), []);
    });
  });
}
nameWithoutIcp("icp canister snapshot");

/**
 * A full disk, real: a tmpfs of a few MiB in a mount namespace of the test's own, filled up. The node says so, ends with 1, damages
 * nothing; with space again it has every answered update.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { DiskFullReport } from "./disk-full.ts";
import { NAMESPACE } from "./namespace.ts";

const SCENARIOS: string = fileURLToPath(new URL("./disk-full.ts", import.meta.url));

let seen: DiskFullReport;

before(async () => {
  const directory = mkdtempSync(join(tmpdir(), "kill-disk-full-"));
  try {
    const child = spawn("unshare", [...NAMESPACE, process.execPath, SCENARIOS, directory], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let out = "";
    let err = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      err += text;
    });
    const [code] = (await once(child, "close")) as [number | null];
    assert.equal(code, 0, err);
    seen = JSON.parse(out) as DiskFullReport;
  } finally {
    rmSync(directory, { recursive: true });
  }
});

describe("a full disk", () => {
  test("a block that does not fit ends the node with 1 and a clear error", () => {
    assert.equal(seen.log.code, 1, seen.log.text);
    assert.match(seen.log.text, /error: [^\n]*the disk is full/);
  });
  test("a start on the full disk is refused", () => {
    assert.equal(seen.startWhileFull.code, 1, seen.startWhileFull.err);
    assert.equal(seen.startWhileFull.error?.code, "disk_full");
    assert.match(seen.startWhileFull.error?.message ?? "", /free some space/);
  });
  test("with space again every answered update is there, and the network goes on", () => {
    const { answered, sent } = seen.log;
    const { count, next, code } = seen.afterwards;
    assert.ok(count >= answered && count <= sent, `counted ${count}, answered ${answered} of ${sent}`);
    assert.equal(next, count + 1);
    assert.equal(code, 0);
  });
  test("a checkpoint that does not fit: an error, and the log still has everything", () => {
    assert.equal(seen.checkpoint.code, 1, seen.checkpoint.text);
    assert.match(seen.checkpoint.text, /error: [^\n]*the disk is full/);
    assert.equal(seen.checkpoint.count, seen.checkpoint.before);
  });
  test("a new network on a full disk is refused, and begins once there is space", () => {
    assert.equal(seen.fresh.code, 1, seen.fresh.err);
    assert.equal(seen.fresh.error?.code, "disk_full");
    assert.equal(seen.freshAfterwards, 0);
  });
});

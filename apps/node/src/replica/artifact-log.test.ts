import assert from "node:assert/strict";
import { test } from "node:test";
import { OrreryError } from "@orrery/base";
import { FaultyDisk, PowerCut } from "@orrery/sim";
import { ArtifactLog, type ArtifactRecord, artifactFiles } from "./artifact-log.ts";

const RECORDS: readonly ArtifactRecord[] = Array.from({ length: 40 }, (_, i) => ({
  height: i,
  bytes: new Uint8Array(1 + ((i * 37) % 300)).fill(i),
}));

/** Four records a sync; how many were synced is counted. */
function write(log: ArtifactLog, synced: (count: number) => void): void {
  for (const [i, record] of RECORDS.entries()) {
    log.append(record);
    if (i % 4 !== 3) continue;
    log.sync();
    synced(i + 1);
  }
}

test("what was synced is there after any power cut, in its order, and nothing else", () => {
  for (let operations = 1; ; operations++) {
    const disk = new FaultyDisk({ seed: operations });
    disk.cutAfter(operations);
    let synced = 0;
    let cut = false;
    try {
      write(ArtifactLog.open(disk).log, (count) => {
        synced = count;
      });
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
      cut = true;
    }
    if (!cut) break;
    disk.powerUp();
    const { recovered } = ArtifactLog.open(disk);
    assert.ok(recovered.length >= synced, `${recovered.length} of ${synced} after ${operations}`);
    assert.deepEqual(recovered, RECORDS.slice(0, recovered.length));
  }
});

test("goes on after a start, and drops files that are below what is needed", () => {
  const disk = new FaultyDisk({ seed: 1 });
  let { log, recovered } = ArtifactLog.open(disk);
  for (const [i, record] of RECORDS.entries()) {
    log.append(record);
    if (i % 10 === 9) {
      log.close();
      ({ log, recovered } = ArtifactLog.open(disk));
      assert.equal(recovered.length, i + 1);
    }
  }
  log.purge(25);
  log.close();
  const kept = ArtifactLog.open(disk);
  assert.deepEqual(kept.recovered, RECORDS.slice(20));
  // All of it below, but the file that is written to: a log is never without one.
  kept.log.purge(1_000);
  kept.log.close();
  assert.equal(ArtifactLog.open(disk).recovered.length, 0);
});

test("damage in the middle is told, not skipped", () => {
  const disk = new FaultyDisk({ seed: 1 });
  for (const record of RECORDS.slice(0, 2)) {
    const { log } = ArtifactLog.open(disk);
    log.append(record);
    log.close();
  }
  const [first] = artifactFiles(disk);
  disk.flipBit(first as string, 24, 3);
  assert.throws(
    () => ArtifactLog.open(disk),
    (error) => error instanceof OrreryError && error.code === "store_corrupt",
  );
});

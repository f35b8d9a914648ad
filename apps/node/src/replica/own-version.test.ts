/** Which blocks of its log a node may run again, by the versions that summaries and its newest package name. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Block, NodeId } from "@orrery/base";
import { encodeFinalizedBlock } from "@orrery/consensus";
import { encodeSummary, type Summary } from "@orrery/consensus/member";
import type { RecoveredSubnet } from "../protocol.ts";
import type { RegistryRecord } from "../registry/record.ts";
import { encodeArtifact } from "./artifact-codec.ts";
import { noteProgram, replayable, runsOf } from "./own-version.ts";

const NODE = new Uint8Array(29).fill(1) as Uint8Array as NodeId;
const EPOCH = { registryVersion: 1, members: [NODE], transcripts: { low: NODE, high: NODE } };
const HASH = new Uint8Array(32);

function blockAt(height: number, versions: Pick<Summary, "replicaVersion" | "upgrades"> | null): Block {
  const summary = { length: 20, nextLength: 20, halts: false, ...versions, current: EPOCH, next: null };
  const context = { registryVersion: 1, certifiedHeight: 0, time: BigInt(height) };
  const payload = { ingress: [], ...(versions === null ? {} : { summary: encodeSummary(summary) }) };
  return { version: 1, parent: HASH, height, rank: 0, context, payload };
}

const recordAt = (...[height, versions]: Parameters<typeof blockAt>) => ({
  height,
  bytes: encodeFinalizedBlock({
    proposal: { block: blockAt(height, versions), signer: NODE as never, signature: HASH },
    tape: HASH,
  }),
});

const packageAt = (...[height, versions]: Parameters<typeof blockAt>) => ({
  height,
  bytes: encodeArtifact({
    kind: "catch_up",
    ...{ height, block: blockAt(height, versions) },
    ...{ beacon: HASH, stateHash: HASH, signature: HASH },
  }),
});

const upgrade: RegistryRecord = {
  mutation: {
    version: 2,
    previous: HASH,
    changes: [{ kind: "upgrade", subnet: 0, from: "1.0.0", to: "2.0.0" }],
  },
  approvals: [],
};
const NEW = { replicaVersion: "2.0.0", upgrades: true } as const;
const [plain, first, second] = [recordAt(39, null), recordAt(40, NEW), recordAt(41, null)];

test("a subnet without named versions runs any; with them, what ran before the first", () => {
  assert.ok(runsOf([], 0, "7.0.0")(undefined));
  assert.ok(runsOf([], 0, "7.0.0")("7.0.0"));
  assert.ok(!runsOf([], 0, "7.0.0")("1.0.0"));
  assert.ok(!runsOf([upgrade], 0, "2.0.0")(undefined));
  assert.ok(runsOf([upgrade], 0, "1.0.0")(undefined));
  // Of another subnet it says nothing.
  assert.ok(runsOf([upgrade], 1, "2.0.0")(undefined));
});

test("blocks before a summary that upgrades are for the program before, those after it for the next", () => {
  const [before, after] = ["1.0.0", "2.0.0"] as const;
  const heights = (recovered: RecoveredSubnet, own: string, records = [upgrade]): readonly number[] =>
    (replayable(new Map([[0, recovered]]), records, own).get(0)?.records ?? []).map(({ height }) => height);
  const over = {
    ...{ checkpointBlock: null, records: [plain, first, second] },
    ...{ packaged: 40, artifacts: [packageAt(40, NEW)] },
  };
  assert.deepEqual(heights(over, before), [39, 40]);
  assert.deepEqual(heights(over, after), []);
  // From a checkpoint of the package's height on.
  const since = { ...over, records: [second] };
  assert.deepEqual(heights(since, before), []);
  assert.deepEqual(heights(since, after), [41]);
  // Before there is any package, and after one that upgraded earlier.
  const early = { checkpointBlock: null, records: [plain], packaged: 0, artifacts: [] };
  assert.deepEqual(heights(early, before), [39]);
  assert.deepEqual(heights(early, after), []);
  // One that was away for two upgrades, with the newest program: it executed none of it.
  const next = { kind: "upgrade", subnet: 0, from: "2.0.0", to: "3.0.0" } as const;
  const twice = [upgrade, { ...upgrade, mutation: { ...upgrade.mutation, changes: [next] } }];
  const [newest, middle] = ["3.0.0", "2.0.0"].map((own) =>
    replayable(new Map([[0, over]]), twice, own).get(0),
  );
  assert.deepEqual(newest?.records, []);
  assert.deepEqual(middle?.records, []);
  assert.deepEqual(replayable(new Map([[0, over]]), twice, "1.0.0").get(0)?.records, [plain, first]);
  const artifacts = [packageAt(20, { replicaVersion: "2.0.0" })];
  const later = { ...early, packaged: 20, artifacts };
  assert.deepEqual(heights(later, after), [39]);
});

test("where no record names a version all blocks are run again, and none is read for it", () => {
  const records = [{ height: 1, bytes: HASH }];
  const damaged = { checkpointBlock: null, records, packaged: 0, artifacts: [] };
  assert.deepEqual(replayable(new Map([[0, damaged]]), []).get(0), damaged);
  assert.throws(() => replayable(new Map([[0, damaged]]), [upgrade]));
});

test("what one program executed is not executed again by another, unless a record says which ran", () => {
  const directory = mkdtempSync(join(tmpdir(), "orrery-ran-"));
  const ran = (): string => readFileSync(join(directory, "node.ran"), "utf8");
  const of = (...records: (typeof plain)[]) => ({ records });
  const [stopped, killed] = [new Map([[0, of()]]), new Map([[1, of(plain)]])];
  try {
    for (const subnets of [stopped, killed]) noteProgram(directory, subnets, [], "1.0.0");
    assert.throws(() => noteProgram(directory, killed, [], "2.0.0"), {
      code: "replica_version_unrecorded",
      data: { before: "1.0.0", own: "2.0.0" },
    });
    // A record about another subnet says nothing of this one.
    assert.throws(() => noteProgram(directory, killed, [upgrade], "2.0.0"));
    assert.equal(ran(), "1.0.0\n");
    noteProgram(directory, new Map([[0, of(plain)]]), [upgrade], "2.0.0");
    assert.equal(ran(), "2.0.0\n");
    noteProgram(directory, stopped, [], "3.0.0");
    noteProgram(directory, killed, [], "3.0.0");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

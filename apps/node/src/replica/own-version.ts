/**
 * Which blocks are for this program (`packages/consensus/src/member/versions.ts`): a subnet whose registry named no version runs any, until a
 * record says what it ran before. What another version executed is never executed here, not after a restart either: the state of the
 * package at which versions change is taken as it is on the disk, or from the others. Where no record says what ran, a file of the node's does.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Block } from "@orrery/base";
import { decodeFinalizedBlock } from "@orrery/consensus";
import { decodeSummary, type Summary } from "@orrery/consensus/member";
import { NODE_RAN_FILE } from "@orrery/host/directory-content";
import { writeWhole } from "@orrery/host/write-whole";
import type { BySubnet, RecoveredSubnet, SubnetIndex } from "../protocol.ts";
import type { RegistryRecord } from "../registry/record.ts";
import { VERSION } from "../version.ts";
import { decodeArtifact } from "./artifact-codec.ts";
import { programChanged } from "./failures.ts";

/** Whether this program is of the version that a summary names; not there: none named one yet. */
export type Runs = (replicaVersion: string | undefined) => boolean;

/** As the records say that were there when the process began. */
export function runsOf(records: readonly RegistryRecord[], subnet: SubnetIndex, own: string = VERSION): Runs {
  const [first] = upgradesOf(records, subnet);
  return (replicaVersion) => (replicaVersion ?? first?.from ?? own) === own;
}

/** The oldest first. */
function upgradesOf(
  records: readonly RegistryRecord[],
  subnet: SubnetIndex,
): readonly { readonly from: string; readonly to: string }[] {
  return records.flatMap(({ mutation: { changes } }) =>
    changes.filter((change) => change.kind === "upgrade").filter((change) => change.subnet === subnet),
  );
}

const summaryOf = ({ payload: { summary } }: Pick<Block, "payload">): Summary | null =>
  summary === undefined ? null : decodeSummary(summary);

/** Of the newest package; not there where no package is, or it names none. */
function packagedVersion({
  packaged: height,
  artifacts,
}: Pick<RecoveredSubnet, "packaged" | "artifacts">): string | undefined {
  if (height === 0) return;
  for (const { height: at, bytes } of artifacts) {
    if (at !== height) continue;
    const artifact = decodeArtifact(bytes);
    if (artifact.kind === "catch_up") return summaryOf(artifact.block)?.replicaVersion;
  }
  return;
}

/**
 * Of the blocks after the checkpoint those that this program may execute again; none where the first of them was for another one. `precedes`:
 * whether a record has the version follow this program's.
 */
function ownRecords(
  recovered: RecoveredSubnet,
  runs: Runs,
  precedes: (replicaVersion: string | undefined) => boolean,
): RecoveredSubnet["records"] {
  const { records } = recovered;
  for (const [i, { bytes }] of records.entries()) {
    const summary = summaryOf(decodeFinalizedBlock(bytes).proposal.block);
    if (summary?.upgrades === undefined) continue;
    // Up to the summary they were for the version before.
    return precedes(summary.replicaVersion) ? records.slice(0, i + 1) : [];
  }
  return runs(packagedVersion(recovered)) ? records : [];
}

/** What execution begins with: without what consensus alone needs, and without blocks of other versions. */
export function replayable(
  subnets: BySubnet<RecoveredSubnet>,
  records: readonly RegistryRecord[],
  own: string = VERSION,
): BySubnet<RecoveredSubnet> {
  return new Map(
    [...subnets].map(([subnet, recovered]) => {
      const upgrades = upgradesOf(records, subnet);
      const precedes = (version: string | undefined): boolean =>
        upgrades.some(({ from, to }) => from === own && to === version);
      const again =
        upgrades.length === 0
          ? recovered.records
          : ownRecords(recovered, runsOf(records, subnet, own), precedes);
      return [subnet, { ...recovered, records: again, artifacts: [] }];
    }),
  );
}

/**
 * Before anything is executed: which program does. `replica_version_unrecorded` where another one executed blocks that would be executed
 * again, and no record says from when on this one is to.
 */
export function noteProgram(
  stateDir: string,
  subnets: BySubnet<Pick<RecoveredSubnet, "records">>,
  records: readonly RegistryRecord[],
  own: string = VERSION,
): void {
  const path = join(stateDir, NODE_RAN_FILE);
  const before = existsSync(path) ? readFileSync(path, "utf8").trim() : own;
  for (const [subnet, { records: blocks }] of subnets) {
    if (before === own || blocks.length === 0 || upgradesOf(records, subnet).length > 0) continue;
    throw programChanged({ stateDir, before, own, blocks: blocks.length });
  }
  writeWhole(path, `${own}\n`);
}

/**
 * What the operator of a node approved: one change for each version of the registry, since two of one version could both count. A version
 * whose approvals are of several changes is decided by none of them, which each operator sees of their own approval alone.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { OrreryError } from "@orrery/base";
import { NODE_APPROVED_FILE } from "@orrery/host/directory-content";
import { writeWhole } from "../state-files.ts";

/** Hash of what was approved, by version; and the version of the file. */
type Approved = Readonly<Record<string, string>>;

function readApproved(directory: string): Approved {
  const path = join(directory, NODE_APPROVED_FILE);
  if (!existsSync(path)) return { v: "1" };
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Approved;
  } catch (cause) {
    throw new OrreryError(
      "node_approved_invalid",
      `${path} does not say what this node approved (${(cause as Error).message}); restore it from a copy: without it the node could approve two changes of one version`,
      { cause },
    );
  }
}

/** Before anybody sees the approval. `registry_approved_other` where the node approved something else for the version. */
export function noteApproval(directory: string, version: number, change: string): void {
  const approved = readApproved(directory);
  const before = approved[`${version}`];
  if (before !== undefined && before !== change) {
    throw new OrreryError(
      "registry_approved_other",
      `this node approved another change as version ${version} (${before}), and two of one version must never count: approve that one`,
      { data: { version, hash: before } },
    );
  }
  writeWhole(join(directory, NODE_APPROVED_FILE), `${JSON.stringify({ ...approved, [version]: change })}\n`);
}

/** An approval of a version that the node's registry does not have yet. */
export interface Undecided {
  readonly version: number;
  /** Its hash. */
  readonly change: string;
}

/** Null where all that the node approved is decided. */
export async function undecidedApproval(directory: string): Promise<Undecided | null> {
  const approved = readApproved(directory);
  const versions = Object.keys(approved).filter((key) => /^\d+$/.test(key));
  const newest = Math.max(0, ...versions.map(Number));
  if (newest === 0) return null;
  const { readRegistryFile } = await import("@orrery/node/registry");
  const { mutation } = readRegistryFile(directory).at(-1) ?? {};
  if (newest <= (mutation?.version ?? 1)) return null;
  return { version: newest, change: approved[`${newest}`] ?? "" };
}

const SHOWN_CHARACTERS = 16;

export function tellUndecided({ version, change }: Undecided): string {
  return (
    `Version ${version} of the registry is not decided; this node approved change ${change.slice(0, SHOWN_CHARACTERS)} for it, and approves no other. ` +
    'Compare with the other operators\' "orrery node status": hand the file of the change that most of them approved to those who approved none. ' +
    "A version for which no change can get enough approvals any more stays undecided for good."
  );
}

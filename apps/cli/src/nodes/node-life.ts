/**
 * Whether a node has lost what it signed, whether it left its network, and what it is to run. A file beside its key says that it has run before: where that is there and its stores are not, the
 * disk was lost, and the node's members sign nothing until catch-up packages pass what they may have signed. The file comes after the stores:
 * a first start that ended before it had any has lost nothing.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { OrreryError, type TimeNs } from "@orrery/base";
import { hasStore, NODE_LEFT_FILE, NODE_LIFE_FILE, NODE_WANTED_FILE } from "@orrery/host/directory-content";
import { writeWhole } from "../state-files.ts";

/** To be called before every start; when the node found its stores gone, null if it never did. */
export function lostSince(directory: string, now: TimeNs): TimeNs | null {
  const path = join(directory, NODE_LIFE_FILE);
  if (!existsSync(path)) return null;
  if (hasStore(directory)) return readLife(path);
  writeLife(path, now);
  return now;
}

/** Whether the registry had it leave, and it did. */
export function hasLeft(directory: string): boolean {
  return existsSync(join(directory, NODE_LEFT_FILE));
}

/** To be called once it has: the others would not speak to it any more. */
export function noteLeft(directory: string): void {
  writeWhole(join(directory, NODE_LEFT_FILE), `${JSON.stringify({ v: "1" })}\n`);
}

/** To be called where it stopped because its subnets go on with another version: whoever starts it finds there which. */
export function noteWanted(directory: string, version: string): void {
  writeWhole(join(directory, NODE_WANTED_FILE), `${version}\n`);
}

/** To be called once its stores are there, before anything is signed: from now on it has run. */
export function noteLife(directory: string): void {
  const path = join(directory, NODE_LIFE_FILE);
  if (!existsSync(path)) writeLife(path, null);
}

function writeLife(path: string, lostAt: TimeNs | null): void {
  writeWhole(path, `${JSON.stringify({ v: "1", lost_at: lostAt?.toString() ?? null })}\n`);
}

function readLife(path: string): TimeNs | null {
  try {
    const { lost_at } = JSON.parse(readFileSync(path, "utf8")) as { readonly lost_at: string | null };
    return lost_at === null ? null : BigInt(lost_at);
  } catch (cause) {
    throw new OrreryError(
      "node_life_invalid",
      `${path} does not say whether the node ever lost its disk (${(cause as Error).message}); restore it from a copy`,
      { cause },
    );
  }
}

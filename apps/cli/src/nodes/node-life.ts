/**
 * Whether a node has lost what it signed. A file beside its key says that it has run before: where that is there and its stores are not, the
 * disk was lost, and the node's members sign nothing until catch-up packages pass what they may have signed.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { OrreryError, type TimeNs } from "@orrery/base";
import { directoryContent, NODE_LIFE_FILE } from "@orrery/host/directory-content";
import { writeWhole } from "../state-files.ts";

/** To be called at every start, before anything is signed; when the node found its stores gone, null if it never did. */
export function lostSince(directory: string, now: TimeNs): TimeNs | null {
  const path = join(directory, NODE_LIFE_FILE);
  const isNew = !existsSync(path);
  const lostAt = isNew || directoryContent(directory).stores.length > 0 ? readLife(path, isNew) : now;
  if (isNew || lostAt === now)
    writeWhole(path, `${JSON.stringify({ v: "1", lost_at: lostAt?.toString() ?? null })}\n`);
  return lostAt;
}

function readLife(path: string, isNew: boolean): TimeNs | null {
  if (isNew) return null;
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

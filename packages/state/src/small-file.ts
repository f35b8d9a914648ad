/** Small files written as a whole: they are there completely or not at all, and replaced the same way. */
import { concatBytes, OrreryError } from "@orrery/base";
import type { Disk } from "./disk.ts";

const TEMPORARY = ".tmp";

/** Name under which a file is prepared. */
export function temporaryName(name: string): string {
  return name + TEMPORARY;
}

/** The file's bytes, null when there is none. */
export function readWhole(disk: Disk, name: string): Uint8Array | null {
  let file: ReturnType<Disk["open"]>;
  try {
    file = disk.open(name, { create: false });
  } catch (cause) {
    if (cause instanceof OrreryError && cause.code === "file_missing") return null;
    throw cause;
  }
  try {
    return file.read(0, file.size);
  } finally {
    file.close();
  }
}

/**
 * Writes or replaces a file durably. All names made in the directory before are durable before the new content can be, so it may
 * name other files.
 */
export function writeDurably(disk: Disk, name: string, parts: readonly Uint8Array[]): void {
  const file = disk.open(temporaryName(name), { create: true });
  try {
    file.truncate(0);
    file.write(0, concatBytes(...parts));
    file.sync();
  } finally {
    file.close();
  }
  disk.syncDirectory();
  disk.rename(temporaryName(name), name);
  disk.syncDirectory();
}

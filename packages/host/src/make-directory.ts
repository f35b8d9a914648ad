/**
 * Making a directory and those above it. Node's own `recursive` never returns where the system denies that an existing parent
 * exists, as below /proc; this one fails with the system's error.
 */
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";

/** `path` is absolute; new directories are for their owner only. Throws the system's error. */
export function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeDirectory(parent);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
  }
}

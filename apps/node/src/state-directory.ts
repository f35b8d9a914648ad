/**
 * The directory a node keeps everything in: made, checked for being writable and ours, locked. Every refusal leaves it as it was.
 */
import { accessSync, constants, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { OrreryError } from "@orrery/base";
import { type DirectoryLock, lockDirectory } from "@orrery/host";
import { directoryContent, storeDirectory } from "@orrery/host/kept-stores";
import { makeDirectory } from "@orrery/host/make-directory";

export interface StateDirectory {
  readonly path: string;
  readonly lock: DirectoryLock;
}

/** For its owner only: it holds the secrets of a local network. */
export function makeStoreDirectory(stateDirectory: string, subnet: number): string {
  const path = storeDirectory(stateDirectory, subnet);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}

function fail(code: string, path: string, text: string, cause?: unknown): OrreryError {
  return new OrreryError(code, `state directory ${path}: ${text}`, { data: { path }, cause });
}

/** Refuses a directory that others use (`state_dir_foreign`). */
export function refuseStrangers(path: string): void {
  const { strangers } = directoryContent(path);
  if (strangers.length === 0) return;
  throw fail(
    "state_dir_foreign",
    path,
    `holds files that are not a network's (${strangers.slice(0, 3).join(", ")}); choose an empty or another directory with --state-dir`,
  );
}

/** A killed process may take this long to be gone when its memory is large. */
const DYING_HOLDER_MS_MAX = 2_000;
const LOCK_RETRY_MS = 50;

async function lockPatiently(path: string): Promise<DirectoryLock> {
  const deadline = Date.now() + DYING_HOLDER_MS_MAX;
  for (;;) {
    try {
      return lockDirectory(path);
    } catch (error) {
      if (!(error instanceof OrreryError) || error.code !== "state_dir_locked" || Date.now() > deadline)
        throw error;
    }
    await new Promise((done) => setTimeout(done, LOCK_RETRY_MS));
  }
}

/** Opens or makes the directory; `clean` empties it first. */
export async function openStateDirectory(options: {
  readonly path: string;
  readonly clean: boolean;
}): Promise<StateDirectory> {
  const path = resolve(options.path);
  try {
    makeDirectory(path);
    accessSync(path, constants.W_OK | constants.R_OK | constants.X_OK);
  } catch (cause) {
    throw fail(
      "state_dir_unwritable",
      path,
      `cannot be written (${(cause as Error).message}); choose another with --state-dir`,
      cause,
    );
  }
  refuseStrangers(path);
  const lock = await lockPatiently(path);
  try {
    if (options.clean) {
      // The root's goes last: what an interrupted removal leaves is a network that misses a store, not half of another.
      for (const name of [...directoryContent(path).stores].reverse())
        rmSync(join(path, name), { recursive: true });
    }
    makeStoreDirectory(path, 0);
    return { path, lock };
  } catch (cause) {
    lock.release();
    throw fail(
      "state_dir_unwritable",
      path,
      `cannot be written (${(cause as Error).message}); choose another with --state-dir`,
      cause,
    );
  }
}

/**
 * The directory a node keeps everything in: made, checked for being writable and ours, locked. Every refusal leaves it as it was.
 */
import { accessSync, constants, mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { OrreryError } from "@orrery/base";
import { type DirectoryLock, lockDirectory } from "@orrery/host";
import { directoryContent, removeNetwork, storeDirectory } from "@orrery/host/directory-content";
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

/** Refuses a directory that others use, and unless it is `discarded` a network of several nodes (`state_dir_foreign`). */
export function refuseStrangers(path: string, { discarded }: { readonly discarded: boolean }): void {
  const { strangers, several } = directoryContent(path);
  if (strangers.length === 0 && several.length > 0 && !discarded)
    throw fail(
      "state_dir_foreign",
      path,
      "holds a network of several nodes; discard it with --clean, or choose another directory with --state-dir",
    );
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

/** Opens or makes the directory; `clean` empties it first. `first`: of the subnets that will have a store in it, the root by default. */
export async function openStateDirectory(options: {
  readonly path: string;
  readonly clean: boolean;
  readonly first?: number;
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
  refuseStrangers(path, { discarded: options.clean });
  const lock = await lockPatiently(path);
  try {
    if (options.clean) removeNetwork(path);
    makeStoreDirectory(path, options.first ?? 0);
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

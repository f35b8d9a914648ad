/**
 * The directory a node keeps everything in: made, checked for being writable and ours, locked. Every refusal leaves it as it was.
 */
import { accessSync, constants, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { OrreryError } from "@orrery/base";
import { type DirectoryLock, LOCK_FILE, lockDirectory } from "@orrery/host";
import { makeDirectory } from "@orrery/host/make-directory";

/** Block log and checkpoints. */
export const STORE_DIRECTORY = "store";
/** What the command line keeps beside the store. */
const COMPANIONS: ReadonlySet<string> = new Set([STORE_DIRECTORY, LOCK_FILE, "node.log", "node.json"]);

export interface StateDirectory {
  readonly path: string;
  readonly store: string;
  readonly lock: DirectoryLock;
}

function fail(code: string, path: string, text: string, cause?: unknown): OrreryError {
  return new OrreryError(code, `state directory ${path}: ${text}`, { data: { path }, cause });
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
  const strangers = readdirSync(path).filter((name) => !COMPANIONS.has(name));
  if (strangers.length > 0) {
    throw fail(
      "state_dir_foreign",
      path,
      `holds files that are not a network's (${strangers.slice(0, 3).join(", ")}); choose an empty or another directory with --state-dir`,
    );
  }
  const lock = await lockPatiently(path);
  try {
    const store = join(path, STORE_DIRECTORY);
    if (options.clean && existsSync(store)) rmSync(store, { recursive: true });
    mkdirSync(store, { recursive: true, mode: 0o700 });
    return { path, store, lock };
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

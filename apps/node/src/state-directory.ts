/**
 * The directory a node keeps everything in: made, checked for being writable and ours, locked. Every refusal leaves it as it was.
 */
import { accessSync, constants, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { OrreryError } from "@orrery/base";
import { type DirectoryLock, LOCK_FILE, lockDirectory } from "@orrery/host";
import { makeDirectory } from "@orrery/host/make-directory";

/** Genesis; block log and checkpoints of the first subnet, the root. Those of subnet n are in `store-n`. */
const STORE_DIRECTORY = "store";
const STORE_NAME = /^store(-[1-9]\d*)?$/;
/** What the command line keeps beside the stores. */
const COMPANIONS: ReadonlySet<string> = new Set([LOCK_FILE, "node.log", "node.json"]);

export interface StateDirectory {
  readonly path: string;
  readonly lock: DirectoryLock;
}

/** Where a subnet of the network in a state directory keeps its store. */
export function storeDirectory(stateDirectory: string, subnet: number): string {
  return join(stateDirectory, subnet === 0 ? STORE_DIRECTORY : `${STORE_DIRECTORY}-${subnet}`);
}

/** For its owner only: it holds the secrets of a local network. */
export function makeStoreDirectory(stateDirectory: string, subnet: number): string {
  const path = storeDirectory(stateDirectory, subnet);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}

export interface DirectoryContent {
  /** Names of the stores. */
  readonly stores: readonly string[];
  /** Names of what is not a network's. */
  readonly strangers: readonly string[];
}

/** What is in a directory that exists. */
export function directoryContent(path: string): DirectoryContent {
  const names = readdirSync(path).sort();
  return {
    stores: names.filter((name) => STORE_NAME.test(name)),
    strangers: names.filter((name) => !COMPANIONS.has(name) && !STORE_NAME.test(name)),
  };
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

/**
 * Makes a state directory of a network's snapshot. Everything is written beside the target, checked, made durable, and then takes the
 * target's place by renaming: whatever interrupts it, the target holds what it held before or all of the new network. Beside a target
 * `x` are, for as long as they are needed, `x.loading` (the new network), `x.replaced` (the old one between two renames) and
 * `x.discarded` (the old one while it is removed).
 */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { OrreryError } from "@orrery/base";
import { storeId } from "@orrery/execution/genesis";
import { LOCAL_SUBNETS_MAX } from "@orrery/execution/local-network";
import { createFileDisk, type DirectoryLock, LOCK_FILE, lockDirectory } from "@orrery/host";
import { directoryContent, storeDirectory } from "@orrery/host/directory-content";
import { makeDirectory } from "@orrery/host/make-directory";
import { openStore, STORE_FORMAT } from "@orrery/state";
import { decodeGenesis } from "../genesis.ts";
import { makeStoreDirectory, refuseStrangers } from "../state-directory.ts";
import { decodeSnapshot, type Sink, type Source } from "./decode.ts";
import { damaged, type SnapshotHeader } from "./format.ts";

export interface LoadOptions {
  readonly file: string;
  readonly stateDir: string;
  /** Discards the network in the directory, if there is one. */
  readonly clean: boolean;
  /** Ends the work; nothing is changed then. */
  readonly signal?: AbortSignal;
}

export interface LoadReport {
  readonly subnets: number;
  readonly contentBytes: number;
}

function unwritable(path: string, cause: unknown): OrreryError {
  return new OrreryError(
    "state_dir_unwritable",
    `state directory ${path}: cannot be written (${(cause as Error).message}); choose another with --state-dir`,
    { cause },
  );
}

async function openSource(path: string): Promise<{ readonly source: Source; readonly handle: FileHandle }> {
  const unusable = (cause: unknown): OrreryError =>
    new OrreryError(
      "snapshot_unusable",
      `${path} cannot be read (${(cause as Error).message}); name a file that "orrery snapshot save" wrote`,
      { cause },
    );
  const handle = await open(path, "r").catch((cause: unknown) => {
    throw unusable(cause);
  });
  const stat = await handle.stat();
  if (!stat.isFile()) {
    await handle.close();
    throw unusable(new Error("it is not a file"));
  }
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    const out = new Uint8Array(Math.max(0, Math.min(length, stat.size - offset)));
    let done = 0;
    while (done < out.length) {
      const { bytesRead } = await handle.read(out, done, out.length - done, offset + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return out.subarray(0, done);
  };
  return { source: { bytes: stat.size, read }, handle };
}

/** Writes the files of a snapshot below a directory, each durable when it is whole. */
class DirectorySink implements Sink {
  readonly #directory: string;
  readonly #signal: AbortSignal | undefined;
  readonly #stores = new Set<string>();
  #fd: number | null = null;

  constructor(directory: string, signal: AbortSignal | undefined) {
    this.#directory = directory;
    this.#signal = signal;
  }

  header({ bytes }: SnapshotHeader): void {
    const { bavail, bsize } = statfsSync(this.#directory);
    if (bytes <= bavail * bsize) return;
    throw new OrreryError(
      "disk_full",
      `the network has ${bytes} bytes, and ${bavail * bsize} are free in ${dirname(this.#directory)}; nothing was changed. Free some space or name a directory on another disk`,
    );
  }

  open({ subnet, file }: { readonly subnet: number; readonly file: string }): void {
    const store = makeStoreDirectory(this.#directory, subnet);
    this.#stores.add(store);
    this.#fd = openSync(join(store, file), "wx", 0o600);
  }

  write(piece: Uint8Array): void {
    this.#signal?.throwIfAborted();
    for (let at = 0; at < piece.length; ) at += writeSync(this.#fd as number, piece, at);
  }

  close(): void {
    fdatasyncSync(this.#fd as number);
    this.abandon();
  }

  /** Closes what is open. */
  abandon(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  /** All names of files are durable. */
  sync(): void {
    for (const path of [...this.#stores, this.#directory]) createFileDisk(path).syncDirectory();
  }
}

/** That the stores are those of one network, and open. Everything else about them is checked when the network starts. */
function checkStores(directory: string, { stores, networkId }: SnapshotHeader): void {
  for (let subnet = 0; subnet < stores; subnet++) {
    try {
      const store = openStore(createFileDisk(storeDirectory(directory, subnet)), {
        networkId: storeId(networkId, subnet),
        createIfMissing: false,
      });
      try {
        if (subnet > 0) continue;
        if (store.genesis === null) throw damaged("it lacks the network's genesis");
        const expected = decodeGenesis(store.genesis).subnets.length;
        if (expected !== stores) throw damaged(`it holds ${stores} of ${expected} subnets`);
      } finally {
        store.close();
      }
    } catch (cause) {
      if (!(cause instanceof OrreryError) || cause.code.startsWith("disk_")) throw cause;
      if (cause.code === "snapshot_corrupt") throw cause;
      throw damaged(`subnet ${subnet}: ${cause.message}`, cause);
    }
  }
}

/** The nearest directory that exists at or above the path. */
function existing(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : existing(dirname(path));
}

interface Places {
  readonly target: string;
  readonly loading: string;
  readonly replaced: string;
  readonly discarded: string;
}

/** Beside the target; parents that are missing are made only when the network is there. */
function placesOf(stateDir: string): Places {
  const target = existsSync(stateDir) ? realpathSync(stateDir) : stateDir;
  const beside = join(existing(dirname(target)), basename(target));
  return {
    target,
    loading: `${beside}.loading`,
    replaced: `${target}.replaced`,
    discarded: `${target}.discarded`,
  };
}

/** What an interrupted load left is put right or named. */
function settle({ target, replaced, discarded }: Places): void {
  rmSync(discarded, { recursive: true, force: true });
  if (!existsSync(replaced)) return;
  if (!existsSync(target)) {
    renameSync(replaced, target);
    return;
  }
  throw new OrreryError(
    "store_exists",
    `${replaced} holds the network that was in ${target} before a load was interrupted; move it elsewhere, or remove it if it is not needed`,
  );
}

/** An empty directory of ours. */
function prepare(path: string): DirectoryLock {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw unwritable(path, cause);
  }
  const lock = lockDirectory(path);
  for (const name of readdirSync(path)) {
    if (name !== LOCK_FILE) rmSync(join(path, name), { recursive: true });
  }
  return lock;
}

/** The new network takes the target's place; the lock goes with it. */
function install({ target, loading, replaced, discarded }: Places): void {
  try {
    makeDirectory(dirname(target));
    const occupied = existsSync(target);
    if (occupied) renameSync(target, replaced);
    try {
      renameSync(loading, target);
    } catch (cause) {
      if (occupied) renameSync(replaced, target);
      throw cause;
    }
    createFileDisk(dirname(target)).syncDirectory();
    if (occupied) renameSync(replaced, discarded);
  } catch (cause) {
    throw unwritable(target, cause);
  }
  rmSync(discarded, { recursive: true, force: true });
  rmSync(join(target, LOCK_FILE), { force: true });
}

/** Refuses a target that is in use or holds what would be lost; locked from then on if it exists. */
function claim({ target }: Places, clean: boolean): DirectoryLock | null {
  if (!existsSync(target)) return null;
  try {
    refuseStrangers(target, { discarded: clean });
  } catch (cause) {
    throw cause instanceof OrreryError ? cause : unwritable(target, cause);
  }
  let lock: DirectoryLock;
  try {
    lock = lockDirectory(target);
  } catch (cause) {
    throw cause instanceof OrreryError ? cause : unwritable(target, cause);
  }
  if (clean || directoryContent(target).stores.length === 0) return lock;
  lock.release();
  throw new OrreryError(
    "store_exists",
    `${target} holds a network; name another directory with --state-dir, or discard that network with --clean`,
  );
}

async function fill(places: Places, source: Source, signal: AbortSignal | undefined): Promise<LoadReport> {
  const sink = new DirectorySink(places.loading, signal);
  try {
    const header = await decodeSnapshot(source, sink, {
      storeFormat: STORE_FORMAT,
      storesMax: LOCAL_SUBNETS_MAX,
    });
    checkStores(places.loading, header);
    sink.sync();
    signal?.throwIfAborted();
    return { subnets: header.stores, contentBytes: header.bytes };
  } finally {
    sink.abandon();
  }
}

export async function loadSnapshot(options: LoadOptions): Promise<LoadReport> {
  const { file, stateDir, clean, signal } = options;
  const { source, handle } = await openSource(file);
  try {
    const places = placesOf(stateDir);
    settle(places);
    const lock = claim(places, clean);
    let staged: DirectoryLock | null = null;
    let installed = false;
    try {
      staged = prepare(places.loading);
      const report = await fill(places, source, signal);
      install(places);
      installed = true;
      return report;
    } finally {
      // Without our lock the directory is another load's. The target's lock went with the directory that was there.
      if (staged !== null && !installed) rmSync(places.loading, { recursive: true, force: true });
      if (!installed) lock?.release();
    }
  } finally {
    await handle.close();
  }
}

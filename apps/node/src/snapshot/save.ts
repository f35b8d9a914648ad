/**
 * Writes a network's snapshot. A network that is stopped is locked meanwhile; one that runs goes on, and is saved as its stores were at
 * one instant (`pinStores`). Nothing of it is changed. The file appears under its name only when it is whole and durable.
 */
import { createHash, randomBytes } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { Readable } from "node:stream";
import { constants, createZstdCompress } from "node:zlib";
import { concatBytes, OrreryError } from "@orrery/base";
import { createFileDisk, type DirectoryLock, lockDirectory, lockHolder } from "@orrery/host";
import { hasStore } from "@orrery/host/directory-content";
import { pinNetwork } from "@orrery/host/kept-stores";
import { type Pinned, type PinnedStore, STORE_FORMAT } from "@orrery/state";
import { END_MAGIC, encodeEntry, encodeHeader, FIRST_LINE, PIECE_BYTES, WINDOW_LOG } from "./format.ts";

export interface SaveOptions {
  readonly stateDir: string;
  /** Must not exist. */
  readonly file: string;
  /** Ends the work; nothing is left of it. */
  readonly signal?: AbortSignal;
}

export interface SaveReport {
  readonly subnets: number;
  /** Of the network's files. */
  readonly contentBytes: number;
  /** Of the snapshot. */
  readonly fileBytes: number;
  /** The process that ran the network meanwhile. */
  readonly pid: number | null;
}

function unusable(file: string, cause: unknown): OrreryError {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === "EEXIST") {
    return new OrreryError(
      "snapshot_exists",
      `${file} exists; name another file, or remove that one if it is not needed`,
    );
  }
  return new OrreryError(
    "snapshot_unusable",
    `${file} cannot be written (${(cause as Error).message}); name another file`,
    { cause },
  );
}

/** A file in the directory would make it look like somebody else's. */
function checkPlace({ file, stateDir }: SaveOptions): void {
  if (existsSync(file)) throw unusable(file, { code: "EEXIST" });
  if (!existsSync(dirname(file)) || !existsSync(stateDir)) return;
  const within = relative(realpathSync(stateDir), realpathSync(dirname(file)));
  if (within === "" || (!within.startsWith("..") && resolve(within) !== within)) {
    throw new OrreryError(
      "snapshot_unusable",
      `${file} is in the state directory itself, where only the network's own files may be; name another file`,
    );
  }
}

function* contentOf({ stores }: Pinned): Generator<Uint8Array> {
  const files = stores.flatMap((store) => store.files);
  yield encodeHeader({
    storeFormat: STORE_FORMAT,
    stores: stores.length,
    files: files.length,
    bytes: contentBytes(stores),
    networkId: (stores[0] as PinnedStore).networkId,
  });
  for (const [subnet, store] of stores.entries()) {
    for (const file of store.files) {
      yield encodeEntry(subnet, file);
      const hash = createHash("sha256");
      for (let at = 0; at < file.bytes; ) {
        const piece = file.read(at, PIECE_BYTES);
        if (piece.length === 0) {
          throw new OrreryError("store_corrupt", `${file.name} became shorter while it was read; save again`);
        }
        hash.update(piece);
        yield piece;
        at += piece.length;
      }
      yield hash.digest();
    }
  }
}

function contentBytes(stores: readonly PinnedStore[]): number {
  return stores.reduce((sum, { files }) => sum + files.reduce((part, { bytes }) => part + bytes, 0), 0);
}

/** Returns the length. */
async function writeSnapshot(
  handle: FileHandle,
  pinned: Pinned,
  signal: AbortSignal | undefined,
): Promise<number> {
  const deflate = createZstdCompress({
    chunkSize: 256 << 10,
    params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_windowLog]: WINDOW_LOG },
  });
  const content = Readable.from(contentOf(pinned), { objectMode: false });
  content.once("error", (cause) => deflate.destroy(cause));
  content.pipe(deflate);
  const hash = createHash("sha256");
  let length = 0;
  const write = async (bytes: Uint8Array): Promise<void> => {
    await handle.writeFile(bytes);
    length += bytes.length;
  };
  try {
    hash.update(FIRST_LINE);
    await write(FIRST_LINE);
    for await (const piece of deflate as AsyncIterable<Uint8Array>) {
      signal?.throwIfAborted();
      hash.update(piece);
      await write(piece);
    }
    await write(concatBytes(END_MAGIC, hash.digest()));
    await handle.sync();
    return length;
  } finally {
    content.destroy();
    deflate.destroy();
  }
}

/** Who runs the network; null when nobody does, and then nobody can as long as the lock is held. */
function lockOrHolder(stateDir: string): {
  readonly lock: DirectoryLock | null;
  readonly pid: number | null;
} {
  const holder = lockHolder(stateDir);
  if (holder !== null) return { lock: null, pid: holder.pid };
  try {
    return { lock: lockDirectory(stateDir), pid: null };
  } catch (cause) {
    const now = lockHolder(stateDir);
    if (now !== null) return { lock: null, pid: now.pid };
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== "EACCES" && code !== "EPERM" && code !== "EROFS") throw cause;
    throw new OrreryError(
      "state_dir_unwritable",
      `state directory ${stateDir} cannot be locked while it is read (${(cause as Error).message}); save a copy of it instead`,
      { cause },
    );
  }
}

/** Another process at the end may have cut a log's torn tail off under the copy. */
function checkUndisturbed(stateDir: string, pid: number | null): void {
  const now = lockHolder(stateDir)?.pid ?? null;
  if (pid === null || now === null || now === pid) return;
  throw new OrreryError("snapshot_disturbed", "the network was started again while it was saved; save again");
}

export async function saveSnapshot(options: SaveOptions): Promise<SaveReport> {
  const { stateDir, file, signal } = options;
  checkPlace(options);
  // What is no network's directory is said to be none, instead of being locked.
  if (!hasStore(stateDir)) pinNetwork(stateDir).close();
  const { lock, pid } = lockOrHolder(stateDir);
  let pinned: Pinned | null = null;
  const draft = join(dirname(file), `.${basename(file)}.${randomBytes(6).toString("hex")}.partial`);
  try {
    pinned = pinNetwork(stateDir);
    const handle = await open(draft, "wx", 0o600).catch((cause: unknown) => {
      throw unusable(file, cause);
    });
    let fileBytes: number;
    try {
      fileBytes = await writeSnapshot(handle, pinned, signal);
    } finally {
      await handle.close();
    }
    checkUndisturbed(stateDir, pid);
    if (existsSync(file)) throw unusable(file, { code: "EEXIST" });
    await rename(draft, file);
    createFileDisk(dirname(file)).syncDirectory();
    const { stores } = pinned;
    return { subnets: stores.length, contentBytes: contentBytes(stores), fileBytes, pid };
  } finally {
    await rm(draft, { force: true });
    pinned?.close();
    lock?.release();
  }
}

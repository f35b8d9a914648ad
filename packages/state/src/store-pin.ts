/**
 * Reads the stores of a network's subnets while others write them, as they all were at one instant: the files that each current state
 * needs, held open, and how much of the newest log segment belongs to it. Why a copy of that is whole: a checkpoint file never changes
 * once the manifest names it, a log only grows, a log that ends within a record is one that a crash cut off, and what one subnet
 * has taken in from another was in the other's log before. Nothing is changed here.
 */
import { equalBytes, OrreryError } from "@orrery/base";
import { LOG_PREFIX } from "./block-log-format.ts";
import { CHECKPOINT_PREFIX } from "./checkpoint-format.ts";
import { checkpointFileName, MANIFEST_FILE, type Manifest, readManifest } from "./checkpoint-manifest.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { corrupt, networkTag, numberOf } from "./durable-format.ts";
import { readWhole } from "./small-file.ts";
import { GENESIS_FILE, readGenesis } from "./store.ts";
import { IDENTITY_FILE, openIdentity } from "./store-identity.ts";

/** A file of a store as it belongs to the instant. */
export interface PinnedFile {
  readonly name: string;
  readonly bytes: number;
  /** Up to `length` bytes at `offset`, none beyond `bytes`. */
  read(offset: number, length: number): Uint8Array;
}

export interface PinnedStore {
  readonly networkId: Uint8Array;
  /** Null before the network's start, and in stores that hold none. */
  readonly genesis: Uint8Array | null;
  /** By name. */
  readonly files: readonly PinnedFile[];
}

export interface PinOptions {
  /** With the checkpoints before the current ones, as far as they were kept. */
  readonly history?: boolean;
}

export interface Pinned {
  readonly stores: readonly PinnedStore[];
  /** Closes all files. */
  close(): void;
}

/** Each takes microseconds for each store, and fails only when a store was written in them. */
const ATTEMPTS_MAX = 2_000;

/** What one store needs, opened. */
interface Held {
  readonly disk: Disk;
  readonly networkId: Uint8Array;
  readonly genesis: Uint8Array | null;
  readonly small: readonly PinnedFile[];
  readonly open: readonly { readonly name: string; readonly file: DiskFile }[];
  /** The segment that may still grow; null before the first block. */
  readonly newest: string | null;
}

function logNames(disk: Disk): readonly string[] {
  return disk
    .list()
    .filter((name) => numberOf(LOG_PREFIX, name) !== null)
    .sort();
}

function inMemory(name: string, content: Uint8Array): PinnedFile {
  return {
    name,
    bytes: content.length,
    read: (offset, length) => content.subarray(offset, offset + length),
  };
}

function sameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : equalBytes(a, b);
}

function openChecked(disk: Disk, name: string, bytes: number): DiskFile {
  const file = disk.open(name, { create: false });
  if (file.size === bytes) return file;
  file.close();
  throw corrupt(name, `it has ${file.size} bytes, not ${bytes}`);
}

/** Null for a file that was removed after it had been listed. */
function openUnlessGone(disk: Disk, name: string): DiskFile | null {
  try {
    return disk.open(name, { create: false });
  } catch (cause) {
    if (cause instanceof OrreryError && cause.code === "file_missing") return null;
    throw cause;
  }
}

/** Opens checkpoint files and all log segments but the newest, whose length is for `measure`; null when the store moved on meanwhile. */
function hold(disk: Disk, options: PinOptions): Held | null {
  const { networkId } = openIdentity(disk, {
    networkId: null,
    createIfMissing: false,
    salt: null,
    ignore: [],
  });
  const network = networkTag(networkId);
  const genesis = readGenesis(disk, network);
  const before = readWhole(disk, MANIFEST_FILE);
  const manifest: Manifest | null = readManifest(disk, network);
  const open: { readonly name: string; readonly file: DiskFile }[] = [];
  const give = (): null => {
    for (const { file } of open) file.close();
    return null;
  };
  try {
    for (const { generation, bytes } of manifest?.chain ?? []) {
      const name = checkpointFileName(generation);
      open.push({ name, file: openChecked(disk, name, bytes) });
    }
    if (options.history === true) open.push(...formerCheckpoints(disk, manifest));
    const names = logNames(disk);
    for (const name of names.slice(0, -1)) {
      const file = openUnlessGone(disk, name);
      if (file === null) return give();
      open.push({ name, file });
    }
    // Segments are removed only after another manifest stands: with the same one, all that it needs was in the list.
    if (!sameBytes(before, readWhole(disk, MANIFEST_FILE))) return give();
    const small = [IDENTITY_FILE, GENESIS_FILE, MANIFEST_FILE].flatMap((name) => {
      const content = name === MANIFEST_FILE ? before : readWhole(disk, name);
      return content === null ? [] : [inMemory(name, content)];
    });
    return { disk, networkId, genesis, small, open, newest: names.at(-1) ?? null };
  } catch (cause) {
    give();
    const moved = !sameBytes(before, readWhole(disk, MANIFEST_FILE));
    if (moved && cause instanceof OrreryError && ["file_missing", "store_corrupt"].includes(cause.code)) {
      return null;
    }
    throw cause;
  }
}

/** Files of checkpoints before the current chain, which nothing may need to be there. */
function formerCheckpoints(disk: Disk, manifest: Manifest | null): Held["open"] {
  const [base] = manifest?.chain ?? [];
  return disk.list().flatMap((name) => {
    const generation = numberOf(CHECKPOINT_PREFIX, name);
    if (generation === null || base === undefined || generation >= base.generation) return [];
    const file = openUnlessGone(disk, name);
    return file === null ? [] : [{ name, file }];
  });
}

function closeAll(held: readonly Held[]): void {
  for (const { open } of held) for (const { file } of open) file.close();
}

/** The newest segments, opened anew: a handle need not see what was appended after it was opened. Null when one is gone. */
function measure(held: readonly Held[]): readonly (DiskFile | null)[] | null {
  const files: (DiskFile | null)[] = [];
  for (const { disk, newest } of held) {
    const file = newest === null ? null : openUnlessGone(disk, newest);
    if (file === null && newest !== null) {
      for (const one of files) one?.close();
      return null;
    }
    files.push(file);
  }
  return files;
}

function sizesOf(files: readonly (DiskFile | null)[]): readonly number[] {
  return files.map((file) => file?.size ?? 0);
}

function pinnedStore(held: Held, newest: DiskFile | null, bytes: number): PinnedStore {
  const files = held.open.map(({ name, file }) => ({
    name,
    bytes: file.size,
    read: (offset: number, length: number) => file.read(offset, length),
  }));
  const last =
    newest === null || held.newest === null
      ? []
      : [
          {
            name: held.newest,
            bytes,
            read: (offset: number, length: number) => newest.read(offset, Math.min(length, bytes - offset)),
          },
        ];
  const all = [...held.small, ...files, ...last];
  return {
    networkId: held.networkId,
    genesis: held.genesis,
    files: all.sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

/**
 * The lengths of all logs at one instant: found equal twice, and between that no log had another segment. Null when a log went on
 * in another segment, or was written too often.
 */
function cut(held: readonly Held[]): Pinned | null {
  const first = measure(held);
  if (first === null) return null;
  const sizes = sizesOf(first);
  for (const file of first) file?.close();
  const unmoved = held.every(({ disk, newest }) => (logNames(disk).at(-1) ?? null) === newest);
  if (!unmoved) return null;
  const files = measure(held);
  if (files === null) return null;
  const closeNewest = (): void => {
    for (const file of files) file?.close();
  };
  // Files of some systems tell their length live: what counts is what was told here.
  const found = sizesOf(files);
  if (found.some((size, i) => size !== sizes[i])) {
    closeNewest();
    return null;
  }
  return {
    stores: held.map((store, i) => pinnedStore(store, files[i] ?? null, found[i] ?? 0)),
    close(): void {
      closeNewest();
      closeAll(held);
    },
  };
}

/** Null when a store moved on meanwhile. */
function holdAll(disks: readonly Disk[], options: PinOptions): readonly Held[] | null {
  const held: Held[] = [];
  try {
    for (const disk of disks) {
      const one = hold(disk, options);
      if (one === null) {
        closeAll(held);
        return null;
      }
      held.push(one);
    }
    return held;
  } catch (cause) {
    closeAll(held);
    throw cause;
  }
}

function pinOnce(disks: readonly Disk[], options: PinOptions): Pinned | null {
  const held = holdAll(disks, options);
  if (held === null) return null;
  try {
    const pinned = cut(held);
    if (pinned === null) closeAll(held);
    return pinned;
  } catch (cause) {
    closeAll(held);
    throw cause;
  }
}

/** Codes: those of opening a store, and `store_busy` when the stores are written too often to be found at rest. */
export function pinStores(disks: readonly Disk[], options: PinOptions = {}): Pinned {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const pinned = pinOnce(disks, options);
    if (pinned !== null) return pinned;
  }
  throw new OrreryError(
    "store_busy",
    `the network's stores were written at each of ${ATTEMPTS_MAX} looks at them; try again when it has less to do, or stop it first`,
  );
}

function refuse(): never {
  throw new OrreryError("internal", "what is pinned is read only");
}

/** For whoever reads files of a disk. */
export function openPinned(file: PinnedFile): DiskFile {
  return {
    size: file.bytes,
    read: (offset, length) => file.read(offset, length),
    write: refuse,
    truncate: refuse,
    sync: refuse,
    close: () => undefined,
  };
}

/** A disk of pinned files, for whoever reads one. */
export function pinnedDisk(files: readonly PinnedFile[]): Disk {
  return {
    list: () => files.map(({ name }) => name),
    open(name): DiskFile {
      const file = files.find((one) => one.name === name);
      if (file === undefined) throw new OrreryError("file_missing", `${name}: no such file`);
      return openPinned(file);
    },
    rename: refuse,
    remove: refuse,
    syncDirectory: refuse,
  };
}

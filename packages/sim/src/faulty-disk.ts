/**
 * A disk in memory with the guarantees of `Disk` and no more, and everything that they allow to go wrong:
 * a power cut at a chosen operation keeps, drops or tears each unsynced write on its own and each unsynced change of the directory
 * on its own; a killed process keeps them all, still unsynced; bits flip on demand; space runs out. One seed, one outcome.
 */
import { OrreryError } from "@orrery/base";
import type { Disk, DiskFile } from "@orrery/state";
import { type Random, seededRandom } from "./random.ts";

/** Smallest unit that a torn write may keep or lose on its own. */
const SECTOR_BYTES = 512;

/** Thrown by the operation at which the machine dies, and by every one after it. */
export class PowerCut extends Error {
  constructor(operation: number) {
    super(`power cut at disk operation ${operation}`);
    this.name = "PowerCut";
  }
}

type FileChange =
  | { readonly kind: "write"; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly length: number };

interface Inode {
  live: Contents;
  durable: Contents;
  unsynced: FileChange[];
}

type NameChange =
  | { readonly kind: "create"; readonly name: string; readonly inode: Inode }
  | { readonly kind: "rename"; readonly from: string; readonly to: string; readonly inode: Inode }
  | { readonly kind: "remove"; readonly name: string; readonly inode: Inode };

/** Growing bytes. */
class Contents {
  #bytes: Uint8Array;
  #length: number;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.#bytes = bytes;
    this.#length = bytes.length;
  }

  get length(): number {
    return this.#length;
  }

  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  copy(): Contents {
    return new Contents(this.view().slice());
  }

  resize(length: number): void {
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#bytes.length));
      grown.set(this.view());
      this.#bytes = grown;
    }
    if (length < this.#length) this.#bytes.fill(0, length, this.#length);
    this.#length = length;
  }

  apply(change: FileChange): void {
    if (change.kind === "truncate") {
      this.resize(change.length);
      return;
    }
    const end = change.offset + change.bytes.length;
    if (end > this.#length) this.resize(end);
    this.#bytes.set(change.bytes, change.offset);
  }
}

export interface FaultyDiskOptions {
  readonly seed: number;
  /** Bytes that fit on the disk. */
  readonly capacityBytes?: number;
}

export class FaultyDisk implements Disk {
  readonly #seed: number;
  readonly #capacityBytes: number;
  #live = new Map<string, Inode>();
  #durable = new Map<string, Inode>();
  #unsynced: NameChange[] = [];
  #operations = 0;
  #cutAt = Number.POSITIVE_INFINITY;
  #dead = false;
  #lives = 0;

  constructor(options: FaultyDiskOptions) {
    this.#seed = options.seed;
    this.#capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
  }

  /** Changing operations so far. */
  get operations(): number {
    return this.#operations;
  }

  /** The machine dies at the `n`-th changing operation from now on (1: the next), before or after it by the seed. */
  cutAfter(n: number): void {
    this.#cutAt = this.#operations + n;
  }

  /** The power comes back: what was not synced is kept, lost or torn. Handles opened before are gone. */
  powerUp(): void {
    const random = seededRandom(this.#seed, this.#lives, this.#operations);
    const fate = pickFate(random);
    for (const change of this.#unsynced) if (fate(random) !== "drop") applyName(this.#durable, change);
    for (const inode of new Set([...this.#durable.values(), ...this.#live.values()])) {
      for (const change of inode.unsynced) applyTorn(inode.durable, change, fate(random), random);
      inode.unsynced = [];
      inode.live = inode.durable.copy();
    }
    this.#live = new Map(this.#durable);
    this.#unsynced = [];
    this.#revive();
  }

  /** A new process after the old one was killed: everything written is there, and still not durable. */
  restartProcess(): void {
    this.#revive();
  }

  #revive(): void {
    this.#dead = false;
    this.#cutAt = Number.POSITIVE_INFINITY;
    this.#lives++;
  }

  /** Changes one bit of a file behind everybody's back. */
  flipBit(name: string, offset: number, bit: number): void {
    const inode = this.#inode(name);
    for (const contents of [inode.live, inode.durable]) {
      const bytes = contents.view();
      if (offset < bytes.length) bytes[offset] = (bytes[offset] as number) ^ (1 << bit);
    }
  }

  /** Length of a file. */
  sizeOf(name: string): number {
    return this.#inode(name).live.length;
  }

  /** An independent copy, all of it durable. */
  clone(): FaultyDisk {
    return this.withCapacity(this.#capacityBytes);
  }

  /** The same on a disk of another size. */
  withCapacity(capacityBytes: number): FaultyDisk {
    const copy = new FaultyDisk({ seed: this.#seed, capacityBytes });
    for (const [name, inode] of this.#live) {
      const twin: Inode = { live: inode.live.copy(), durable: inode.live.copy(), unsynced: [] };
      copy.#live.set(name, twin);
      copy.#durable.set(name, twin);
    }
    return copy;
  }

  list(): readonly string[] {
    this.#checkAlive();
    return [...this.#live.keys()].sort();
  }

  open(name: string, options: { readonly create: boolean }): DiskFile {
    this.#checkAlive();
    let inode = this.#live.get(name);
    if (inode === undefined) {
      if (!options.create) throw new OrreryError("file_missing", `opening ${name}: no such file`);
      const made: Inode = { live: new Contents(), durable: new Contents(), unsynced: [] };
      this.#operate(() => this.#changeName({ kind: "create", name, inode: made }));
      inode = made;
    }
    return this.#handle(inode);
  }

  rename(from: string, to: string): void {
    const inode = this.#inode(from);
    this.#operate(() => this.#changeName({ kind: "rename", from, to, inode }));
  }

  remove(name: string): void {
    const inode = this.#inode(name);
    this.#operate(() => this.#changeName({ kind: "remove", name, inode }));
  }

  syncDirectory(): void {
    this.#operate(() => {
      for (const change of this.#unsynced) applyName(this.#durable, change);
      this.#unsynced = [];
    });
  }

  #handle(inode: Inode): DiskFile {
    const life = this.#lives;
    const change = (made: FileChange): void => {
      if (life !== this.#lives) throw new PowerCut(this.#operations);
      this.#operate(() => {
        inode.live.apply(made);
        inode.unsynced.push(made);
      });
    };
    return {
      get size(): number {
        return inode.live.length;
      },
      read: (offset, length) => {
        this.#checkAlive();
        return inode.live.view().slice(offset, offset + length);
      },
      write: (offset, bytes) => {
        const room = this.#roomFor(inode, offset, bytes.length);
        if (room > 0 || bytes.length === 0) change({ kind: "write", offset, bytes: bytes.slice(0, room) });
        if (room < bytes.length)
          throw new OrreryError("disk_full", "the disk is full: writing a file failed");
      },
      truncate: (length) => change({ kind: "truncate", length }),
      sync: () => {
        this.#operate(() => {
          for (const made of inode.unsynced) inode.durable.apply(made);
          inode.unsynced = [];
        });
      },
      close: () => {},
    };
  }

  #roomFor(inode: Inode, offset: number, length: number): number {
    if (this.#capacityBytes === Number.POSITIVE_INFINITY) return length;
    let used = 0;
    for (const other of this.#live.values()) used += other.live.length;
    const growth = Math.max(0, offset + length - inode.live.length);
    const missing = Math.max(0, used + growth - this.#capacityBytes);
    return Math.max(0, length - missing);
  }

  #changeName(change: NameChange): void {
    applyName(this.#live, change);
    this.#unsynced.push(change);
  }

  #inode(name: string): Inode {
    this.#checkAlive();
    const inode = this.#live.get(name);
    if (inode === undefined) throw new OrreryError("file_missing", `${name}: no such file`);
    return inode;
  }

  #checkAlive(): void {
    if (this.#dead) throw new PowerCut(this.#operations);
  }

  #operate(action: () => void): void {
    this.#checkAlive();
    this.#operations++;
    if (this.#operations < this.#cutAt) {
      action();
      return;
    }
    // The operation may still take effect; nobody is told.
    if (seededRandom(this.#seed, this.#operations, 1).chance(0.5)) action();
    this.#dead = true;
    throw new PowerCut(this.#operations);
  }
}

function applyName(names: Map<string, Inode>, change: NameChange): void {
  if (change.kind === "create") {
    names.set(change.name, change.inode);
  } else if (change.kind === "rename") {
    if (names.get(change.from) === change.inode) names.delete(change.from);
    names.set(change.to, change.inode);
  } else if (names.get(change.name) === change.inode) {
    names.delete(change.name);
  }
}

type Fate = "keep" | "drop" | "prefix" | "sectors" | "garbage";

/** How this power cut treats changes: now and then all alike, mostly each on its own. */
function pickFate(random: Random): (random: Random) => Fate {
  const mood = random.below(6);
  if (mood === 0) return () => "drop";
  if (mood === 1) return () => "keep";
  const fates: readonly Fate[] = ["keep", "keep", "drop", "drop", "prefix", "sectors", "garbage"];
  return (r) => fates[r.below(fates.length)] as Fate;
}

function applyTorn(contents: Contents, change: FileChange, fate: Fate, random: Random): void {
  if (fate === "drop") return;
  if (change.kind === "truncate" || fate === "keep") {
    contents.apply(change);
    return;
  }
  const { offset, bytes } = change;
  const cut = random.below(bytes.length + 1);
  if (fate === "prefix") {
    contents.apply({ kind: "write", offset, bytes: bytes.subarray(0, cut) });
  } else if (fate === "garbage") {
    // The length reached the disk, the bytes behind the tear did not.
    const torn = bytes.slice();
    torn.set(random.bytes(bytes.length - cut), cut);
    contents.apply({ kind: "write", offset, bytes: torn });
  } else {
    for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
      if (random.chance(0.5)) continue;
      contents.apply({ kind: "write", offset: offset + at, bytes: bytes.subarray(at, at + SECTOR_BYTES) });
    }
  }
}

/**
 * The stores of a process's subnets as the storage thread holds them. The network's genesis is in the first of them; each is known by an
 * identity that follows from the network's and its place, and all exist before the first block of any subnet does, so that one that is
 * missing later is damage and not a beginning.
 */
import { assert, type Height, OrreryError } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { storeId } from "@orrery/execution/genesis";
import { createFileDisk } from "@orrery/host";
import { STORE_IDENTITY_FILE } from "@orrery/host/directory-content";
import {
  type CanisterInput,
  type CheckpointInfo,
  type CheckpointInput,
  ColdPages,
  type Disk,
  type LogRecord,
  openAdopting,
  openStore,
  PageReader,
  type Store,
  withGathered,
} from "@orrery/state";
import { decodeGenesis } from "./genesis.ts";
import type {
  BySubnet,
  CheckpointFeed,
  RecoveredArtifact,
  RecoveredSubnet,
  StorageOpened,
  SubnetIndex,
} from "./protocol.ts";
import { newestPackage } from "./replica/artifact-codec.ts";
import { ArtifactLog, artifactFiles } from "./replica/artifact-log.ts";
import { BLOCK_ANSWER_BYTES_MAX, BLOCKS_PER_ANSWER_MAX } from "./replica/rules.ts";
import { makeStoreDirectory } from "./state-directory.ts";

/** A network that had begun lacks what was written before anything else. */
function lost(what: string): OrreryError {
  return new OrreryError(
    "store_corrupt",
    `${what} is damaged: it is missing; nothing was changed. Restore the state directory from a copy, or name an empty one`,
  );
}

interface OpenOptions {
  readonly stateDirectory: string;
  /** Subnets of this process, ascending; all of the network by default. */
  readonly hosted?: readonly SubnetIndex[] | null;
  /** For a network that begins now. */
  readonly freshGenesis: Uint8Array;
  readonly salt: Uint8Array;
  readonly segmentBytes?: number;
  readonly keepRounds?: number;
}

function begun({ recovered }: Store): boolean {
  return recovered.checkpoint !== null || recovered.lastHeight !== null;
}

function recover(store: Store, artifacts: readonly RecoveredArtifact[]): RecoveredSubnet {
  const { checkpoint, blocks } = store.recovered;
  const first =
    checkpoint === null || checkpoint.height === 0 ? null : [...store.blocksFrom(checkpoint.height)][0];
  if (first === undefined) throw lost("the block of the checkpoint");
  return {
    checkpointBlock: first?.bytes ?? null,
    records: [...blocks],
    packaged: newestPackage(artifacts),
    artifacts,
  };
}

/** One subnet's blocks and checkpoints. */
export class SubnetStore {
  readonly #store: Store;
  /** Of a member of a subnet of several nodes. */
  readonly #artifacts: ArtifactLog | null;
  /** Of the newest artifacts that were appended and are not known to be durable. */
  #keptSequence: number | null = null;
  readonly #reader: PageReader;
  /** Newest block in the log. */
  #appended: Height;
  #waiting: LogRecord[] = [];
  /** Collected and not yet written, oldest first; execution has one under way at a time. */
  readonly #checkpoints: {
    readonly input: CheckpointInput;
    readonly done: (info: CheckpointInfo) => void;
  }[] = [];
  /** Of the next full checkpoint. */
  #parts: CanisterInput[] = [];
  /** Of the first of them, once it is being written. */
  #steps: Iterator<void, CheckpointInfo> | null = null;

  constructor(store: Store, disk: Disk, artifacts: ArtifactLog | null = null) {
    this.#store = store;
    this.#artifacts = artifacts;
    this.#reader = new PageReader({ cold: new ColdPages(disk) });
    const { lastHeight, checkpoint } = store.recovered;
    this.#appended = lastHeight ?? checkpoint?.height ?? 0;
  }

  append(record: LogRecord): void {
    this.#waiting.push(record);
  }

  keep(kept: { readonly sequence: number; readonly records: readonly RecoveredArtifact[] }): void {
    for (const record of kept.records) this.#artifacts?.append(record);
    this.#keptSequence = kept.sequence;
  }

  /** For a peer that was away: from a height on down; none when the first is not there. */
  blocks(from: Height): readonly Uint8Array[] {
    const found: LogRecord[] = [];
    for (const record of this.#store.blocksFrom(Math.max(1, from - BLOCKS_PER_ANSWER_MAX + 1))) {
      if (record.height > from) break;
      found.push(record);
      if (record.height === from) break;
    }
    if (found.at(-1)?.height !== from) return [];
    const told: Uint8Array[] = [];
    let bytes = 0;
    for (const record of found.reverse()) {
      bytes += record.bytes.length;
      if (told.length > 0 && bytes > BLOCK_ANSWER_BYTES_MAX) break;
      told.push(record.bytes);
    }
    return told;
  }

  purge(below: Height): void {
    this.#artifacts?.purge(below);
  }

  /** Up to which sequence artifacts became durable; null when none waited. */
  syncArtifacts(): number | null {
    const sequence = this.#keptSequence;
    if (sequence !== null) this.#artifacts?.sync();
    this.#keptSequence = null;
    return sequence;
  }

  /** Keeps a block's certified root hash. */
  note({ height, rootHash }: { readonly height: Height; readonly rootHash: Uint8Array }): void {
    this.#store.note({ height, rootHash });
  }

  /** Nobody sees versions any more that were retired up to `epoch`. */
  release(epoch: number): void {
    this.#store.release(epoch);
    this.#reader.closeSuperseded();
  }

  /** What a full checkpoint that comes will be made of, beside what changes until then. */
  gathered(canisters: readonly CanisterInput[]): void {
    for (const canister of canisters) this.#parts.push(canister);
  }

  checkpoint({ input, slabs }: CheckpointFeed, done: (info: CheckpointInfo) => void): void {
    for (const slab of slabs) this.#reader.addSlab(slab);
    this.#checkpoints.push({ input: withGathered(input, this.#parts), done });
    if (input.kind === "full") this.#parts = [];
  }

  /** One disk sync for all that waits; the newest height that became durable, null when none waited. */
  commit(): Height | null {
    if (this.#waiting.length === 0) return null;
    const batch = this.#waiting;
    this.#waiting = [];
    this.#store.appendBlocks(batch);
    this.#store.sync();
    this.#appended = (batch.at(-1) as LogRecord).height;
    return this.#appended;
  }

  /** Whether a checkpoint can be written on. Blocks come over another port, in no order to it: a checkpoint waits for its blocks. */
  get checkpointDue(): boolean {
    const [first] = this.#checkpoints;
    return first !== undefined && first.input.height <= this.#appended;
  }

  /** One step of the checkpoint that is due. */
  writeOn(): void {
    const [first] = this.#checkpoints;
    assert(first !== undefined && this.checkpointDue, "a checkpoint is due");
    this.#steps ??= this.#store.checkpointSteps(first.input, this.#reader);
    const step = this.#steps.next();
    if (step.done !== true) return;
    this.#steps = null;
    this.#checkpoints.shift();
    first.done(step.value);
  }

  close(): void {
    this.#artifacts?.close();
    this.#store.close();
  }
}

export interface OpenedStores {
  readonly stores: BySubnet<SubnetStore>;
  readonly opened: StorageOpened;
}

interface OpenedSubnet {
  readonly store: Store;
  readonly artifacts: ReturnType<typeof ArtifactLog.open> | null;
}

/** Opens what is there, or begins a network with the genesis that main offers. */
export function openStores(options: OpenOptions): OpenedStores {
  const { stateDirectory, hosted, freshGenesis, salt, segmentBytes, keepRounds } = options;
  const diskOf = (subnet: SubnetIndex): Disk => createFileDisk(makeStoreDirectory(stateDirectory, subnet));
  // A state that was fetched from others is put in place here.
  const open = (subnet: SubnetIndex, networkId: Uint8Array | null, createIfMissing: boolean): Store =>
    openAdopting(diskOf(subnet), () =>
      openStore(diskOf(subnet), {
        networkId,
        createIfMissing,
        salt,
        ignore: ["lock.json", ...artifactFiles(diskOf(subnet))],
        ...(segmentBytes === undefined ? {} : { segmentBytes }),
        ...(keepRounds === undefined ? {} : { keepRounds }),
      }),
    );
  const holder = hosted?.[0] ?? 0;
  const existing = diskOf(holder).list().includes(STORE_IDENTITY_FILE);
  const first = open(holder, existing ? null : storeId(sha256(freshGenesis), holder), !existing);
  if (first.genesis === null && begun(first)) throw lost("genesis");
  if (first.genesis === null) first.writeGenesis(freshGenesis);
  assert(first.genesis !== null, "a genesis record that was written is there");
  const { genesis } = first;
  const networkId = holder === 0 ? first.networkId : sha256(genesis);
  const { subnets } = decodeGenesis(genesis);
  const opened = new Map<SubnetIndex, OpenedSubnet>();
  for (const subnet of hosted ?? subnets.keys()) {
    const store =
      subnet === holder
        ? first
        : openOther(() => open(subnet, storeId(networkId, subnet), !begun(first)), subnet);
    const several = (subnets[subnet]?.nodes ?? 1) > 1;
    opened.set(subnet, { store, artifacts: several ? ArtifactLog.open(diskOf(subnet)) : null });
  }
  const bySubnet = <T>(of: (one: OpenedSubnet, subnet: SubnetIndex) => T): BySubnet<T> =>
    new Map([...opened].map(([subnet, one]) => [subnet, of(one, subnet)]));
  return {
    stores: bySubnet(
      ({ store, artifacts }, subnet) => new SubnetStore(store, diskOf(subnet), artifacts?.log ?? null),
    ),
    opened: {
      genesis,
      networkId,
      subnets: bySubnet(({ store, artifacts }) => recover(store, artifacts?.recovered ?? [])),
    },
  };
}

function openOther(open: () => Store, subnet: SubnetIndex): Store {
  try {
    return open();
  } catch (error) {
    if (error instanceof OrreryError && error.code === "store_missing")
      throw lost(`the store of subnet ${subnet}`);
    throw error;
  }
}

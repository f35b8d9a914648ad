/**
 * A state of this node's past for peers that need it: the newest kept checkpoint at or below its height, and the blocks after it run again,
 * beside the node that goes on. Files are pinned as long as the state is told, so that nothing is copied.
 */
import { type Height, OrreryError, silentLogger } from "@orrery/base";
import { batchOf, decodeFinalizedBlock } from "@orrery/consensus";
import type { Bls } from "@orrery/crypto";
import { createChainKeys } from "@orrery/crypto/chain-keys";
import {
  encodeManifest,
  type ManifestPieces,
  type StateAsk,
  StateDescriber,
  type StateManifest,
  type StoredPageHashes,
  stateHashOf,
} from "@orrery/state";
import { creationSubnetIds } from "../genesis.ts";
import { type NetworkPast, openPast, type PastSubnet } from "../history/network.ts";
import type { SubnetIndex } from "../protocol.ts";
import { openTip, type Tip } from "../tip.ts";
import { TOLD_BYTES_MAX } from "./state-calls.ts";

export interface ToldStateOptions {
  readonly stateDirectory: string;
  readonly subnet: SubnetIndex;
  readonly bls: Bls;
  readonly height: Height;
  /** Of the subnet's pages on the disk, from one state that is told to the next. */
  readonly hashes: StoredPageHashes;
}

export class ToldState {
  readonly #past: NetworkPast;
  readonly #tip: Tip;
  readonly #describer: StateDescriber;
  readonly #manifest: StateManifest;
  readonly #pieces: ManifestPieces;
  /** What a package of its height says, if this node's state is the subnet's. */
  readonly stateHash: Uint8Array;

  private constructor(past: NetworkPast, tip: Tip, hashes: StoredPageHashes) {
    this.#past = past;
    this.#tip = tip;
    this.#describer = new StateDescriber(tip.arena, hashes);
    this.#manifest = this.#describer.manifest(tip.state);
    this.#pieces = encodeManifest(this.#manifest);
    this.stateHash = stateHashOf(this.#pieces.head);
  }

  /** Null when this node does not have a state of that height (any more). */
  static open({ stateDirectory, subnet, bls, height, hashes }: ToldStateOptions): ToldState | null {
    const past = pinned(stateDirectory, bls);
    if (past === null) return null;
    let told: ToldState | null = null;
    try {
      const tip = tipAt(past, subnet, height);
      if (tip !== null) told = new ToldState(past, tip, hashes);
      return told;
    } finally {
      if (told === null) past.close();
    }
  }

  /** As much of what was asked for as an answer holds, in its order. */
  tell({ part, places }: StateAsk): Uint8Array[] {
    if (part === "head") return [this.#pieces.head];
    const told: Uint8Array[] = [];
    let bytes = 0;
    for (const place of places) {
      const one = part === "slices" ? this.#pieces.slices[place] : this.#chunk(place);
      if (one === undefined) break;
      bytes += one.length;
      if (told.length > 0 && bytes > TOLD_BYTES_MAX) break;
      told.push(one);
    }
    return told;
  }

  #chunk(place: number): Uint8Array | undefined {
    const chunk = this.#manifest.chunks[place];
    return chunk === undefined ? undefined : this.#describer.read(this.#tip.state, chunk);
  }

  close(): void {
    this.#past.close();
  }
}

/** Null while the node writes so much that its files are never at rest: whoever asks, asks again. */
function pinned(stateDirectory: string, bls: Bls): NetworkPast | null {
  try {
    return openPast(stateDirectory, bls);
  } catch (cause) {
    if (cause instanceof OrreryError && cause.code === "store_busy") return null;
    throw cause;
  }
}

/** The state after the block of a height, run again; null where blocks or states do not reach so far. */
function tipAt(past: NetworkPast, subnet: SubnetIndex, height: Height): Tip | null {
  const { genesis } = past;
  const { local, history } = past.subnets.get(subnet) as PastSubnet;
  if (history.last === null || history.last < height) return null;
  const tip = openTip({
    source: { kind: "past", history, height },
    subnet: local.info,
    creationSubnets: creationSubnetIds(genesis, past.locals),
    genesisTime: genesis.time,
    chainKeys: createChainKeys(genesis.seed),
    logger: silentLogger,
  });
  for (const { height: at, bytes } of history.blocks(tip.state.height + 1)) {
    if (at > height || at !== tip.state.height + 1) break;
    tip.apply(batchOf(decodeFinalizedBlock(bytes)));
    tip.reclaim(at);
  }
  return tip.state.height === height ? tip : null;
}

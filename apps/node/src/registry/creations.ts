/**
 * Subnets that the root subnet created since the genesis: their keys, of which its catch-up packages tell (consensus of the replica, "remote
 * DKG"). A package is signed by the whole root subnet, so that nobody who passes it on has to be believed. What a new subnet begins with
 * follows from the genesis, the registry and its package: the same for all of its nodes.
 */
import {
  type CreatedSubnet,
  equalBytes,
  err,
  OrreryError,
  ok,
  type Principal,
  type Result,
  SUMMARY_BYTES_MAX,
  type SubnetId,
  selfAuthenticating,
  type TimeNs,
} from "@orrery/base";
import { publicKeyIn } from "@orrery/consensus/keys";
import {
  type CatchUpPackage,
  catchUpHash,
  decodeSummary,
  type Epoch,
  type FoundedEpoch,
  thresholdContent,
} from "@orrery/consensus/member";
import { blsFromDer, blsToDer } from "@orrery/crypto";
import { FEE_SIZE_DEFAULT, type FoundedSubnet } from "@orrery/execution/genesis";
import { withSubnet } from "@orrery/execution/local-network";
import type { SubnetInfo, SubnetType } from "@orrery/state";
import type { Genesis } from "../genesis.ts";
import { decodeArtifact } from "../replica/artifact-codec.ts";
import type { KnownNode } from "./draft.ts";
import type { Registry } from "./registry.ts";

/** A package has a block with nothing but its summary, which may be as large as that. */
export const CREATION_BYTES_MAX: number = SUMMARY_BYTES_MAX + 64 * 1024;

/** A subnet that has its keys. */
export interface Creation extends CreatedSubnet {
  readonly type: SubnetType;
  readonly subnetId: SubnetId;
  /** Its first members and what the root's members dealt to them. */
  readonly epoch: Epoch;
  /** Of the block that says so: the subnet's genesis time. */
  readonly time: TimeNs;
  /** The root's catch-up package, encoded. */
  readonly bytes: Uint8Array;
}

export interface CreationsOptions {
  readonly registry: Registry;
  readonly root: Pick<SubnetInfo, "subnetId" | "publicKey">;
  /** How many subnets the genesis has. */
  readonly begun: number;
  readonly verifyBls: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;
}

interface ReadPackage {
  readonly catchUp: CatchUpPackage;
  readonly founded: FoundedEpoch;
}

function readPackage(bytes: Uint8Array): Result<ReadPackage, string> {
  if (bytes.length > CREATION_BYTES_MAX) return err(`it has more than ${CREATION_BYTES_MAX} bytes`);
  try {
    const catchUp = decodeArtifact(bytes);
    if (catchUp.kind !== "catch_up") return err("it is no catch-up package");
    const { summary } = catchUp.block.payload;
    const founded = summary === undefined ? undefined : decodeSummary(summary).founded;
    return founded === undefined ? err("it creates no subnet") : ok({ catchUp, founded });
  } catch (error) {
    if (error instanceof OrreryError) return err(error.message);
    throw error;
  }
}

export class Creations {
  readonly #options: CreationsOptions;
  readonly #all: Creation[] = [];
  /** By what it was before. */
  readonly #infos = new WeakMap<SubnetInfo, { readonly count: number; readonly info: SubnetInfo }>();

  constructor(options: CreationsOptions) {
    this.#options = options;
  }

  /** By ascending place, without gaps. */
  get all(): readonly Creation[] {
    return this.#all;
  }

  /** Null for subnets of the genesis, and those that have no keys yet. */
  at(place: number): Creation | null {
    return this.#all.find((creation) => creation.place === place) ?? null;
  }

  /** A package of the root subnet that creates a subnet; null where it is known, or not its turn; the error says why nobody honest tells it. */
  add(bytes: Uint8Array): Result<Creation | null, string> {
    const { registry, begun } = this.#options;
    const read = readPackage(bytes);
    if (!read.ok) return read;
    const { catchUp, founded } = read.value;
    const { subnet: place, epoch } = founded;
    const record = registry.record(place, epoch.registryVersion);
    // The registry may be behind.
    if (place !== begun + this.#all.length || record === null) return ok(null);
    const type = registry.created(place);
    const isListed =
      record.members.length === epoch.members.length &&
      record.members.every((nodeId, i) => equalBytes(nodeId, epoch.members[i] as Uint8Array));
    if (type === null || !isListed) return err("its nodes are others than the registry's");
    if (!this.#isSigned(catchUp)) return err("the root subnet did not sign it");
    const publicKey = blsToDer(publicKeyIn(epoch.transcripts.high));
    const subnetId = selfAuthenticating(publicKey) as Principal as SubnetId;
    const { time } = catchUp.block.context;
    const creation = { place, type, publicKey, subnetId, epoch, time, bytes };
    this.#all.push(creation);
    return ok(creation);
  }

  #isSigned(catchUp: CatchUpPackage): boolean {
    const { root, verifyBls } = this.#options;
    const key = blsFromDer(root.publicKey);
    const hash = catchUpHash(catchUp);
    const message = thresholdContent("catch_up", root.subnetId, catchUp.height, hash);
    return key.ok && verifyBls(key.value, message, catchUp.signature);
  }

  /** What a subnet knows of the network once it has heard of all that are created. */
  infoOf(info: SubnetInfo): SubnetInfo {
    const known = this.#infos.get(info);
    const count = this.#all.length;
    if (known?.count === count) return known.info;
    const routing = this.#all.reduce(withSubnet, info.routing);
    const grown = routing === info.routing ? info : { ...info, routing };
    this.#infos.set(info, { count, info: grown });
    return grown;
  }

  /** What a created subnet begins with, as the genesis of a network that has it and those created before it. */
  genesisOf(place: number, genesis: Genesis): Genesis {
    const { registry } = this.#options;
    const before = this.#all.filter((creation) => creation.place <= place);
    const own = before.at(-1) as Creation;
    const founding = before.map(
      ({ place: subnet, publicKey, epoch }): FoundedSubnet => ({
        publicKey,
        nodes: epoch.members.map((nodeId) => {
          const node = registry.node(subnet, nodeId) as KnownNode;
          // The root subnet's word stands in place of theirs.
          return { publicKey: node.publicKey, encryption: NOTHING, signatures: [NOTHING, NOTHING] };
        }),
        transcripts: subnet === place ? epoch.transcripts : { low: NOTHING, high: NOTHING },
      }),
    );
    return {
      ...genesis,
      time: own.time,
      catchUpInterval: registry.intervalLength(place, own.epoch.registryVersion),
      subnets: [
        ...genesis.subnets,
        ...before.map(({ type, epoch }) => ({
          type,
          feeSize: FEE_SIZE_DEFAULT,
          nodes: epoch.members.length,
        })),
      ],
      founding: [...(genesis.founding ?? []), ...founding],
    };
  }
}

const NOTHING: Uint8Array = new Uint8Array(0);

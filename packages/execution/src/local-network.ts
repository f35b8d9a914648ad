/**
 * A local network from one seed: the keys, ids, canister ranges and subnet records of any number of subnets. Every
 * key derives from the seed, so a seed and the list of kinds are all that has to be kept. An entry of its own, for those who need
 * keys and not execution.
 *
 * The first subnet is the root. With others beside it the root holds the ids that the public network's system canisters have, and
 * the second subnet every id that nobody else holds: programs may be created under the ids that they have there.
 */
import {
  assert,
  type CanisterId,
  canisterIdFromIndex,
  canisterIndex,
  equalBytes,
  type NodeId,
  type Principal,
  type SubnetId,
  selfAuthenticating,
  utf8,
} from "@orrery/base";
import { type Bls, blsToDer, hkdfSha256, secretFromSeed } from "@orrery/crypto";
import type { CanisterRange, ChainKeyId, RoutingEntry, SubnetInfo, SubnetType } from "@orrery/state";

/** Ids of one allocation block. */
const BLOCK_IDS: bigint = 2n ** 20n;
/** Ids without `specified_id` start where projects are used to see them: tqzl2-p7777-77776-aaaaa-cai. */
const APPLICATION_BLOCK: bigint = 2n ** 44n - 4n;
const ALLOCATION_START: bigint = APPLICATION_BLOCK * BLOCK_IDS;
/** Blocks with the public network's system canisters: registry, ledger, cycles minting and their like; the cycles ledger. */
const SYSTEM_BLOCKS: readonly bigint[] = [0n, 0x21n];
const INDEX_MAX: bigint = 2n ** 64n - 1n;
const SEED_BYTES = 32;

/** Every subnet has a block of its own below the application's. */
export const LOCAL_SUBNETS_MAX = 64;

/** Default effective canister id. */
export const FIRST_CANISTER: CanisterId = canisterIdFromIndex(ALLOCATION_START);

export const ALL_CANISTERS: CanisterRange = {
  start: canisterIdFromIndex(0n),
  end: canisterIdFromIndex(INDEX_MAX),
};

const CHAIN_KEY_NAMES: readonly string[] = ["dfx_test_key", "test_key_1", "key_1"];

/**
 * Every kind of chain key under the names that programs use, here and on the public network. In a network of the local profile its
 * second subnet holds them, or its only one; they derive from the seed as well (`createChainKeys`).
 */
export const LOCAL_CHAIN_KEYS: readonly ChainKeyId[] = CHAIN_KEY_NAMES.flatMap((name): ChainKeyId[] => [
  { kind: "ecdsa", curve: "secp256k1", name },
  { kind: "schnorr", algorithm: "bip340secp256k1", name },
  { kind: "schnorr", algorithm: "ed25519", name },
  { kind: "vetkd", curve: "bls12_381_g2", name },
]);

interface SubnetKeys {
  /** Empty where nobody has it: the subnet's nodes made its key together. */
  readonly subnetSecret: Uint8Array;
  /** DER, 133 bytes. */
  readonly subnetPublicKey: Uint8Array;
  readonly subnetId: SubnetId;
}

interface NodeKeys {
  /** Empty where it is not known here. */
  readonly nodeSecret: Uint8Array;
  /** DER Ed25519. */
  readonly nodePublicKey: Uint8Array;
  readonly nodeId: NodeId;
}

export interface LocalKeys extends SubnetKeys, NodeKeys {}

export interface KeyMakers {
  readonly bls: Pick<Bls, "publicKey">;
  /** DER public key of a 32-byte Ed25519 secret. */
  readonly ed25519PublicKeyDer: (secret: Uint8Array) => Uint8Array;
}

/** Keys of the subnet at `subnetIndex` of the network's list, and of the node at its place there. `seed`: 32 bytes. */
export function deriveLocalKeys(
  seed: Uint8Array,
  makers: KeyMakers,
  subnetIndex = 0,
  nodeIndex = 0,
): LocalKeys {
  return { ...subnetKeys(seed, makers, subnetIndex), ...nodeKeys(seed, makers, subnetIndex, nodeIndex) };
}

function derive(seed: Uint8Array, purpose: string): Uint8Array {
  return hkdfSha256(seed, utf8(`orrery ${purpose}`), new Uint8Array(0), SEED_BYTES);
}

function subnetKeys(seed: Uint8Array, makers: KeyMakers, subnetIndex: number): SubnetKeys {
  const subnetSecret = secretFromSeed(derive(seed, `subnet ${subnetIndex} threshold key`));
  const subnetPublicKey = blsToDer(makers.bls.publicKey(subnetSecret));
  return {
    subnetSecret,
    subnetPublicKey,
    subnetId: selfAuthenticating(subnetPublicKey) as Principal as SubnetId,
  };
}

function nodeKeys(seed: Uint8Array, makers: KeyMakers, subnetIndex: number, nodeIndex: number): NodeKeys {
  const nodeSecret = derive(seed, `subnet ${subnetIndex} node ${nodeIndex} key`);
  const nodePublicKey = makers.ed25519PublicKeyDer(nodeSecret);
  return {
    nodeSecret,
    nodePublicKey,
    nodeId: selfAuthenticating(nodePublicKey) as Principal as NodeId,
  };
}

/** One subnet of a local network, as its genesis lists it. */
export interface LocalSubnetKind {
  readonly type: SubnetType;
  /** Nominal size that fees are computed for. */
  readonly feeSize: number;
  /** How many nodes agree on its blocks; one by default. */
  readonly nodes?: number;
  /** Who administers it; not there: nobody. */
  readonly admins?: readonly Principal[];
}

export interface LocalSubnet {
  readonly keys: LocalKeys;
  readonly info: SubnetInfo;
}

/** The subnets of a network, in the order given: the first is the root. */
export function localNetwork(options: {
  readonly seed: Uint8Array;
  readonly subnets: readonly LocalSubnetKind[];
  readonly local: boolean;
  readonly makers: KeyMakers;
  /** Place of the node whose keys are asked for, in each subnet; the first by default. */
  readonly self?: number;
  /** Of the node at a place of a subnet, where they do not derive from the seed. */
  readonly keysAt?: (subnet: number, node: number) => LocalKeys;
  /** By place, of a copy: it has keys of its own, which derive from the seed, under the ids that were there. */
  readonly subnetIds?: readonly SubnetId[] | undefined;
}): readonly LocalSubnet[] {
  const { seed, subnets, local, makers, self = 0 } = options;
  const derived = (subnet: number): LocalKeys => {
    const own = deriveLocalKeys(seed, makers, subnet, self);
    return { ...own, subnetId: options.subnetIds?.[subnet] ?? own.subnetId };
  };
  assert(
    subnets.length > 0 && subnets.length <= LOCAL_SUBNETS_MAX,
    `a network has 1 to ${LOCAL_SUBNETS_MAX} subnets, this one ${subnets.length}`,
  );
  const keys = subnets.map((_, index) => options.keysAt?.(index, self) ?? derived(index));
  const root = keys[0] as LocalKeys;
  const holder = Math.min(1, subnets.length - 1);
  // Nodes of a subnet do not share the secrets of such keys.
  const keyHolder = local && (subnets[holder]?.nodes ?? 1) === 1 ? holder : null;
  const chainKeysOf = (index: number): { readonly chainKeys?: readonly ChainKeyId[] } =>
    index === keyHolder ? { chainKeys: LOCAL_CHAIN_KEYS } : {};
  const routing: RoutingEntry[] = subnets.map(({ type }, index) => {
    const { subnetId, subnetPublicKey } = keys[index] as LocalKeys;
    const ranges = rangesOf(index, subnets.length);
    return { subnetId, type, publicKey: subnetPublicKey, ranges, ...chainKeysOf(index) };
  });
  return subnets.map(({ type, feeSize, admins, nodes = 1 }, index) => {
    const own = keys[index] as LocalKeys;
    return {
      keys: own,
      info: {
        type,
        feeSize,
        local,
        subnetId: own.subnetId,
        publicKey: own.subnetPublicKey,
        rootKey: root.subnetPublicKey,
        rootSubnetId: root.subnetId,
        // One that is alone holds every id.
        routing: subnets.length === 1 ? [{ subnetId: own.subnetId, ranges: [ALL_CANISTERS] }] : routing,
        allocation: allocationOf(index, subnets.length),
        nodes: nodesOf(nodes, (place) =>
          place === self ? own : (options.keysAt?.(index, place) ?? nodeKeys(seed, makers, index, place)),
        ),
        ...chainKeysOf(index),
        ...(admins === undefined || admins.length === 0 ? {} : { admins }),
      },
    };
  });
}

function nodesOf(count: number, keysOf: (place: number) => NodeKeys): SubnetInfo["nodes"] {
  return Array.from({ length: count }, (_, place) => {
    const { nodeId, nodePublicKey } = keysOf(place);
    return { nodeId, publicKey: nodePublicKey };
  });
}

function block(number: bigint): CanisterRange {
  const start = number * BLOCK_IDS;
  return { start: canisterIdFromIndex(start), end: canisterIdFromIndex(start + BLOCK_IDS - 1n) };
}

/** The blocks below the application's: the root's first, then those of the third subnet and on. */
function ownBlock(index: number): bigint {
  return APPLICATION_BLOCK - 1n - BigInt(Math.max(0, index - 1));
}

function allocationOf(index: number, count: number): CanisterRange {
  if (count === 1 || index === 1) return { start: FIRST_CANISTER, end: ALL_CANISTERS.end };
  return block(ownBlock(index));
}

/** A subnet that came to a network that runs; its place is beyond those of the genesis. */
export interface LateSubnet {
  readonly place: number;
  readonly type: SubnetType;
  /** DER, 133 bytes. */
  readonly publicKey: Uint8Array;
}

/**
 * The table of a network with one subnet more, which takes its block of ids from whoever had it; the same table where it is there already,
 * or has no place of its own.
 */
export function withSubnet(
  routing: readonly RoutingEntry[],
  { place, type, publicKey }: LateSubnet,
): readonly RoutingEntry[] {
  const subnetId = selfAuthenticating(publicKey) as Principal as SubnetId;
  const isThere = routing.some((entry) => equalBytes(entry.subnetId, subnetId));
  if (isThere || place <= 1 || place >= LOCAL_SUBNETS_MAX) return routing;
  const own = block(ownBlock(place));
  const others = routing.map((entry) => ({ ...entry, ranges: without(entry.ranges, own) }));
  return [...others, { subnetId, type, publicKey, ranges: [own] }];
}

/**
 * Ids of the subnets that may still come to a network of so many. Whoever has them until then makes no canisters there: on the public network, too, a new
 * subnet gets ids that were never another's. Null where none can come.
 */
export function reservedIds(subnets: number): CanisterRange | null {
  if (subnets < 2 || subnets >= LOCAL_SUBNETS_MAX) return null;
  return { start: block(ownBlock(LOCAL_SUBNETS_MAX - 1)).start, end: block(ownBlock(subnets)).end };
}

/** What the subnet of a place allocates ids from where it came late. */
export function lateAllocation(place: number): CanisterRange {
  return block(ownBlock(place));
}

function without(ranges: readonly CanisterRange[], gone: CanisterRange): readonly CanisterRange[] {
  const [first, last] = [indexOf(gone.start), indexOf(gone.end)];
  return ranges.flatMap((range) => {
    const [start, end] = [indexOf(range.start), indexOf(range.end)];
    if (end < first || start > last) return [range];
    const before = start < first ? [{ start: range.start, end: canisterIdFromIndex(first - 1n) }] : [];
    return end > last ? [...before, { start: canisterIdFromIndex(last + 1n), end: range.end }] : before;
  });
}

function indexOf(id: CanisterId): bigint {
  const index = canisterIndex(id);
  assert(index !== null, "ranges are of canisters' ids");
  return index;
}

function rangesOf(index: number, count: number): readonly CanisterRange[] {
  if (index === 0) return [...SYSTEM_BLOCKS, ownBlock(0)].map(block);
  if (index > 1) return [block(ownBlock(index))];
  const taken = [...SYSTEM_BLOCKS, ...Array.from({ length: count }, (_, i) => ownBlock(i))]
    .filter((number) => number < APPLICATION_BLOCK)
    .sort((a, b) => (a < b ? -1 : 1));
  const ranges: CanisterRange[] = [];
  let next = 0n;
  for (const number of new Set(taken)) {
    const start = number * BLOCK_IDS;
    if (start > next) ranges.push({ start: canisterIdFromIndex(next), end: canisterIdFromIndex(start - 1n) });
    next = start + BLOCK_IDS;
  }
  ranges.push({ start: canisterIdFromIndex(next), end: ALL_CANISTERS.end });
  return ranges;
}

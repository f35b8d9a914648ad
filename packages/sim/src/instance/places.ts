/**
 * Which subnets a network in one place has, and which canister ids each of them holds. The rule is PocketIC 14's: ids without
 * `specified_id` come from ranges of 2^20 ids that are handed out from the top, in the order of the subnets; a subnet that exists on the
 * public network by name also holds the ids that it holds there. Keys derive from the seed and the subnet's number.
 */
import {
  assert,
  type CanisterId,
  canisterIdFromIndex,
  canisterIndex,
  OrreryError,
  type Principal,
  principalFromText,
  principalKey,
  type SubnetId,
  utf8,
} from "@orrery/base";
import { rangesContain, sha256 } from "@orrery/crypto";
import {
  deriveLocalKeys,
  type KeyMakers,
  LOCAL_CHAIN_KEYS,
  type LocalKeys,
  type LocalSubnet,
  localNetwork,
} from "@orrery/execution/local-network";
import type { CanisterRange, ChainKeyId, RoutingEntry, SubnetInfo, SubnetType } from "@orrery/state";
import type { SubnetKind, SubnetSpec } from "./types.ts";

/** Ids of one allocation block. */
const BLOCK_IDS: bigint = 2n ** 20n;
/** The block of the first generated range; the next ones are below it. */
const FIRST_GENERATED_BLOCK: bigint = 2n ** 44n - 2n;
/** Blocks that the public network may hand out to its subnets. */
const MAINNET_BLOCKS = 1_024n;
/** A subnet costs memory and a turn in every round. */
export const SUBNETS_MAX = 64;

type IndexRange = readonly [first: bigint, last: bigint];

interface KindFacts {
  readonly type: SubnetType;
  readonly size: number;
  /** What a subnet of this name holds on the public network, and its id there. */
  readonly mainnet: { readonly ranges: readonly IndexRange[]; readonly id: string } | null;
  /** Names of its chain keys. */
  readonly chainKeys: readonly string[];
}

const mainnetBlock = (number: bigint): IndexRange => [number * BLOCK_IDS, (number + 1n) * BLOCK_IDS - 1n];

/** In the order in which ranges are generated. */
const KINDS: Readonly<Record<SubnetKind, KindFacts>> = {
  nns: {
    type: "system",
    size: 40,
    mainnet: {
      ranges: [
        [0n, 6n],
        [8n, BLOCK_IDS - 1n],
      ],
      id: "tdb26-jop6k-aogll-7ltgs-eruif-6kk7m-qpktf-gdiqx-mxtrf-vb5e6-eqe",
    },
    chainKeys: [],
  },
  sns: {
    type: "application",
    size: 34,
    mainnet: {
      ranges: [mainnetBlock(0x20n)],
      id: "x33ed-h457x-bsgyx-oqxqf-6pzwv-wkhzr-rm2j3-npodi-purzm-n66cg-gae",
    },
    chainKeys: [],
  },
  ii: {
    type: "system",
    size: 34,
    mainnet: {
      ranges: [[7n, 7n], mainnetBlock(0x21n)],
      id: "uzr34-akd3s-xrdag-3ql62-ocgoh-ld2ao-tamcv-54e7j-krwgb-2gm4z-oqe",
    },
    chainKeys: ["key_1"],
  },
  fiduciary: {
    type: "application",
    size: 34,
    mainnet: {
      ranges: [mainnetBlock(0x23n)],
      id: "pzp6e-ekpqk-3c5x7-2h6so-njoeq-mt45d-h3h6c-q3mxf-vpeq5-fk5o7-yae",
    },
    chainKeys: ["key_1"],
  },
  bitcoin: {
    type: "system",
    size: 13,
    mainnet: {
      ranges: [mainnetBlock(0x1an)],
      id: "w4rem-dv5e3-widiz-wbpea-kbttk-mnzfm-tzrc7-svcj3-kbxyb-zamch-hqe",
    },
    chainKeys: [],
  },
  test_threshold_keys: {
    type: "application",
    size: 13,
    mainnet: {
      ranges: [mainnetBlock(0x1dn)],
      id: "fuqsr-in2lc-zbcjj-ydmcw-pzq7h-4xm2z-pto4i-dcyee-5z4rz-x63ji-nae",
    },
    chainKeys: ["test_key_1", "dfx_test_key"],
  },
  system: { type: "system", size: 13, mainnet: null, chainKeys: [] },
  application: { type: "application", size: 13, mainnet: null, chainKeys: [] },
  verified_application: { type: "verified_application", size: 13, mainnet: null, chainKeys: [] },
  cloud_engine: { type: "cloud_engine", size: 13, mainnet: null, chainKeys: [] },
};
const KIND_ORDER = Object.keys(KINDS) as readonly SubnetKind[];

/** A subnet of the network and where it stands among canister ids. Plain data but for its keys. */
export interface Place {
  readonly kind: SubnetKind;
  readonly instructions: "production" | "benchmarking";
  readonly costSchedule: "normal" | "free";
  readonly admins: readonly Principal[] | null;
  /** Its keys derive from it; no two subnets of a network ever have the same. */
  readonly number: number;
  readonly keys: LocalKeys;
  readonly id: SubnetId;
  /** Ids that can be specified; those of the public network, where it has some. */
  readonly ranges: readonly CanisterRange[];
  /** Where ids come from that nobody specifies. */
  readonly allocation: CanisterRange;
}

export interface PlaceOptions {
  readonly seed: Uint8Array;
  readonly makers: KeyMakers;
  readonly mainnetNnsId: boolean;
}

export function kindFacts(kind: SubnetKind): Pick<KindFacts, "type" | "size"> {
  return KINDS[kind];
}

/** Whether the public network has a subnet of this name. */
export function isNamed(kind: SubnetKind): boolean {
  return KINDS[kind].mainnet !== null;
}

function toRange([first, last]: IndexRange): CanisterRange {
  return { start: canisterIdFromIndex(first), end: canisterIdFromIndex(last) };
}

/** The k-th generated range. */
export function generatedRange(k: number): CanisterRange {
  const block = FIRST_GENERATED_BLOCK - BigInt(k);
  return toRange(mainnetBlock(block));
}

/** 32 bytes that say which ids a subnet holds. */
export function subnetSeed({ ranges, allocation }: Pick<Place, "ranges" | "allocation">): Uint8Array {
  return sha256(utf8("orrery subnet"), ...[...ranges, allocation].flatMap(({ start, end }) => [start, end]));
}

/** The subnets of a topology in the order in which they get their ranges. `topology_invalid`. */
export function placesOf(topology: readonly SubnetSpec[], options: PlaceOptions): readonly Place[] {
  if (topology.length === 0 || topology.length > SUBNETS_MAX) {
    throw invalid(`a network has 1 to ${SUBNETS_MAX} subnets, this topology lists ${topology.length}`);
  }
  const ordered = KIND_ORDER.flatMap((kind) => topology.filter((spec) => spec.kind === kind));
  if (ordered.length !== topology.length) {
    const strange = topology.find(({ kind }) => !KIND_ORDER.includes(kind));
    throw invalid(
      `there is no subnet kind ${JSON.stringify(strange?.kind)}: take one of ${KIND_ORDER.join(", ")}`,
    );
  }
  return ordered.map((spec, number) => {
    const { mainnet } = KINDS[spec.kind];
    if (mainnet !== null && ordered.findIndex(({ kind }) => kind === spec.kind) !== number) {
      throw invalid(`a network has at most one ${spec.kind} subnet`);
    }
    return newPlace(spec, { ...options, number, ranges: (mainnet?.ranges ?? []).map(toRange) });
  });
}

export function newPlace(
  spec: SubnetSpec,
  options: PlaceOptions & { readonly number: number; readonly ranges: readonly CanisterRange[] },
): Place {
  const { seed, makers, number, ranges, mainnetNnsId } = options;
  const keys = deriveLocalKeys(seed, makers, number);
  const { mainnet } = KINDS[spec.kind];
  const keepsOwnId = mainnet === null || (spec.kind === "nns" && !mainnetNnsId);
  return {
    kind: spec.kind,
    instructions: spec.instructions ?? "production",
    costSchedule: spec.costSchedule ?? "normal",
    admins: spec.admins === undefined || spec.admins.length === 0 ? null : spec.admins,
    number,
    keys,
    id: keepsOwnId ? keys.subnetId : (principalFromText(mainnet.id) as SubnetId),
    ranges,
    allocation: generatedRange(number),
  };
}

/** Subnets as a local network of nodes has them: the first is the root, the second holds every id that nobody else does. */
export function nodePlaces(
  topology: readonly SubnetSpec[],
  { seed, makers }: PlaceOptions,
  subnetIds?: readonly SubnetId[],
): readonly { readonly place: Place; readonly info: SubnetInfo }[] {
  const subnets = topology.map(({ kind }) => ({ type: KINDS[kind].type, feeSize: KINDS[kind].size }));
  const places = localNetwork({ seed, subnets, local: true, makers, subnetIds });
  return places.map(({ keys, info }: LocalSubnet, number) => {
    const { kind, instructions, costSchedule, admins } = topology[number] as SubnetSpec;
    const { ranges } = info.routing.find(({ subnetId }) => sameId(subnetId, info.subnetId)) as RoutingEntry;
    const place: Place = {
      kind,
      instructions: instructions ?? "production",
      costSchedule: costSchedule ?? "normal",
      admins: admins === undefined || admins.length === 0 ? null : admins,
      number,
      keys,
      id: info.subnetId,
      ranges,
      allocation: info.allocation,
    };
    return { place, info: { ...info, ...priceOf(place) } };
  });
}

/** The NNS, or the first where there is none: the one under whose key everything verifies. */
export function rootOf(places: readonly Place[]): Place {
  const root = places.find(({ kind }) => kind === "nns") ?? places[0];
  assert(root !== undefined, "a network has a subnet");
  return root;
}

/** Where canisters come to be that are made for no subnet in particular. */
export function mainPlace(places: readonly Place[], order: readonly SubnetKind[] = MAIN_KINDS): Place {
  for (const kind of order) {
    const found = places.find((place) => place.kind === kind);
    if (found !== undefined) return found;
  }
  return places[0] as Place;
}
const MAIN_KINDS: readonly SubnetKind[] = ["application", "verified_application", "system"];

/** The records of all subnets, which name each other. */
export function recordsOf(places: readonly Place[]): readonly SubnetInfo[] {
  const root = rootOf(places);
  const routing: RoutingEntry[] = places.map((place) => ({
    subnetId: place.id,
    type: KINDS[place.kind].type,
    publicKey: place.keys.subnetPublicKey,
    ranges: [...place.ranges, place.allocation],
    ...chainKeysOf(place.kind),
  }));
  return places.map(
    (place): SubnetInfo => ({
      subnetId: place.id,
      type: KINDS[place.kind].type,
      feeSize: KINDS[place.kind].size,
      local: true,
      publicKey: place.keys.subnetPublicKey,
      rootKey: root.keys.subnetPublicKey,
      rootSubnetId: root.id,
      routing,
      allocation: place.allocation,
      allocationReserved: true,
      nodes: [{ nodeId: place.keys.nodeId, publicKey: place.keys.nodePublicKey }],
      ...priceOf(place),
      ...chainKeysOf(place.kind),
    }),
  );
}

function priceOf({ costSchedule, admins }: Place): Pick<SubnetInfo, "free" | "admins"> {
  return { ...(costSchedule === "free" ? { free: true } : {}), ...(admins === null ? {} : { admins }) };
}

function chainKeysOf(kind: SubnetKind): { readonly chainKeys?: readonly ChainKeyId[] } {
  const names = KINDS[kind].chainKeys;
  return names.length === 0 ? {} : { chainKeys: LOCAL_CHAIN_KEYS.filter(({ name }) => names.includes(name)) };
}

/**
 * The subnet that has to come to be so that a canister can have this id of the public network: `call_unroutable` when it belongs to
 * the NNS or II, whose ranges are not one block, or to nobody there.
 */
export function mainnetSpecOf(id: CanisterId): { readonly spec: SubnetSpec; readonly range: CanisterRange } {
  const index = canisterIndex(id);
  const kind = KIND_ORDER.find((one) => rangesContain((KINDS[one].mainnet?.ranges ?? []).map(toRange), id));
  if (kind === "nns" || kind === "ii") {
    throw new OrreryError(
      "call_unroutable",
      "the canister id belongs to the NNS or the II subnet of the public network: make the network with a subnet of that kind",
      { data: { reason: "named_subnet" } },
    );
  }
  if (index === null || index / BLOCK_IDS >= MAINNET_BLOCKS) {
    throw new OrreryError(
      "call_unroutable",
      "the canister id belongs to no subnet of this network, nor is it one of the public network",
      { data: { reason: "not_mainnet" } },
    );
  }
  return { spec: { kind: kind ?? "application" }, range: toRange(mainnetBlock(index / BLOCK_IDS)) };
}

function sameId(a: Principal, b: Principal): boolean {
  return principalKey(a) === principalKey(b);
}

function invalid(text: string): OrreryError {
  return new OrreryError("topology_invalid", text);
}

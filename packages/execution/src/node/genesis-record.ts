/**
 * Genesis of a network: everything from which the keys, ids and first states of its subnets follow. Written once to the state
 * directory; holds the secrets of a local network, so the directory is readable by its owner only.
 */
import {
  assert,
  type CborMap,
  type CborValue,
  decodeCbor,
  encodeCborBare,
  type NodeId,
  OrreryError,
  PRINCIPAL_BYTES_MAX,
  type Principal,
  principalToText,
  type SubnetId,
  selfAuthenticating,
  type TimeNs,
} from "@orrery/base";
import type { SubnetType } from "@orrery/state";
import {
  type KeyMakers,
  LOCAL_SUBNETS_MAX,
  type LocalKeys,
  type LocalSubnet,
  type LocalSubnetKind,
  localNetwork,
} from "../local-network.ts";

export const SUBNET_KINDS: readonly SubnetType[] = [
  "application",
  "system",
  "verified_application",
  "cloud_engine",
];

/** Size that fees are computed for, whatever number of nodes runs. */
export const FEE_SIZE_DEFAULT = 13;
/** Heights from one catch-up package to the next in subnets of several nodes, as on the public network. */
const CATCH_UP_INTERVAL_DEFAULT = 500;
/** Nodes keep all blocks since the newest package, and as many more as others may have missed. */
export const CATCH_UP_INTERVAL_MAX = 2_000;
/** Of one subnet. The public network's largest has 40. */
export const NODES_PER_SUBNET_MAX = 40;

/** Of one of the nodes that founded a subnet. */
export interface FoundingNode {
  /** DER Ed25519. */
  readonly publicKey: Uint8Array;
  /** Its encryption key, with the proof that it possesses it. */
  readonly encryption: Uint8Array;
  /** By its key: of the encryption key, and of what it dealt. */
  readonly signatures: readonly [Uint8Array, Uint8Array];
}

/** A subnet whose nodes made its keys together, so that nobody has them. What is in it proves itself. */
export interface FoundedSubnet {
  /** DER BLS12-381. */
  readonly publicKey: Uint8Array;
  /** By their place. */
  readonly nodes: readonly FoundingNode[];
  /** Of the subnet's two keys: every node's dealings, and what they add up to. */
  readonly transcripts: { readonly low: Uint8Array; readonly high: Uint8Array };
}

export interface Genesis {
  /** 32 random bytes: every key of a local network derives from it. Of one that was founded none does, and it is no secret. */
  readonly seed: Uint8Array;
  readonly time: TimeNs;
  /** The first is the root. */
  readonly subnets: readonly LocalSubnetKind[];
  /** Heights from one catch-up package to the next, where subnets have several nodes; 500 by default. */
  readonly catchUpInterval?: number;
  /** By the place of the subnet, where nodes made keys together. */
  readonly founding?: readonly FoundedSubnet[];
  readonly profile: "local";
}

const NOBODYS: Uint8Array = new Uint8Array(0);

/** At the places beyond the founders': those that joined, whose keys follow from the secret. */
function foundedKeys(
  { publicKey, nodes }: FoundedSubnet,
  { place, nodeSecret = NOBODYS }: { readonly place: number; readonly nodeSecret?: Uint8Array | undefined },
  { ed25519PublicKeyDer }: KeyMakers,
): LocalKeys {
  const founder = nodes[place];
  assert(founder !== undefined || nodeSecret !== NOBODYS, "the secret of a node that joined is known");
  const nodePublicKey = founder?.publicKey ?? ed25519PublicKeyDer(nodeSecret);
  return {
    subnetSecret: NOBODYS,
    subnetPublicKey: publicKey,
    subnetId: selfAuthenticating(publicKey) as Principal as SubnetId,
    nodeSecret,
    nodePublicKey,
    nodeId: selfAuthenticating(nodePublicKey) as Principal as NodeId,
  };
}

function encodeFounding(founding: readonly FoundedSubnet[]): readonly CborValue[] {
  return founding.map(({ publicKey, nodes, transcripts }) => [
    publicKey,
    nodes.map((node) => [node.publicKey, node.encryption, ...node.signatures]),
    transcripts.low,
    transcripts.high,
  ]);
}

function allBytes(values: readonly CborValue[], count: number): readonly Uint8Array[] {
  if (values.length !== count || !values.every((value) => value instanceof Uint8Array)) throw invalid();
  return values as readonly Uint8Array[];
}

function listOf(value: CborValue | undefined): readonly CborValue[] {
  if (!Array.isArray(value)) throw invalid();
  return value as readonly CborValue[];
}

function decodeFoundingNode(value: CborValue): FoundingNode {
  const [publicKey, encryption, ...signatures] = allBytes(listOf(value), 4);
  return {
    publicKey: publicKey as Uint8Array,
    encryption: encryption as Uint8Array,
    signatures: signatures as readonly Uint8Array[] as FoundingNode["signatures"],
  };
}

/** In its form; whether it holds is for those to judge who rely on it. */
function decodeFounding(
  value: CborValue | undefined,
  subnets: readonly LocalSubnetKind[],
): readonly FoundedSubnet[] {
  const list = listOf(value);
  if (list.length !== subnets.length) throw invalid();
  return list.map((entry, subnet) => {
    const [key, nodes, ...rest] = listOf(entry);
    const [publicKey, low, high] = allBytes([key as CborValue, ...rest], 3);
    const founders = listOf(nodes).map(decodeFoundingNode);
    if (founders.length !== (subnets[subnet]?.nodes ?? 1)) throw invalid();
    return {
      publicKey: publicKey as Uint8Array,
      nodes: founders,
      transcripts: { low: low as Uint8Array, high: high as Uint8Array },
    };
  });
}

/** A root subnet and beside it subnets of these kinds; those that can have administrators have these. */
export function networkOf(
  kinds: readonly SubnetType[],
  admins: readonly Principal[] = [],
  nodes = 1,
): readonly LocalSubnetKind[] {
  if (admins.length > 0 && !kinds.includes("cloud_engine")) {
    throw new OrreryError(
      "subnet_admins_misplaced",
      "subnets of the kind cloud_engine have administrators, and none was asked for; add --subnet cloud_engine",
    );
  }
  if (kinds.length >= LOCAL_SUBNETS_MAX) {
    throw new OrreryError(
      "subnets_too_many",
      `a network has at most ${LOCAL_SUBNETS_MAX - 1} subnets beside its root, ${kinds.length} were asked for; ask for fewer`,
    );
  }
  return ["system" as const, ...kinds].map((type) => ({
    type,
    feeSize: FEE_SIZE_DEFAULT,
    ...(nodes > 1 ? { nodes } : {}),
    ...(type === "cloud_engine" && admins.length > 0 ? { admins } : {}),
  }));
}

const FORMAT_NEWEST = 4;

/** In the oldest format that can hold it: the third says how many nodes each subnet has, the fourth what they founded. */
export function encodeGenesis(genesis: Genesis): Uint8Array {
  const { founding } = genesis;
  const several = genesis.subnets.some(({ nodes = 1 }) => nodes > 1);
  return encodeCborBare({
    v: founding !== undefined ? FORMAT_NEWEST : several ? 3 : 2,
    s: genesis.seed,
    t: genesis.time,
    n: genesis.subnets.map(({ type, feeSize, admins, nodes = 1 }) => [
      type,
      feeSize,
      ...(several ? [nodes] : []),
      ...(admins === undefined ? [] : [admins]),
    ]),
    ...(several ? { i: genesis.catchUpInterval ?? CATCH_UP_INTERVAL_DEFAULT } : {}),
    ...(founding === undefined ? {} : { f: encodeFounding(founding) }),
    p: genesis.profile,
  });
}

function invalid(): OrreryError {
  return new OrreryError(
    "genesis_invalid",
    "the genesis record cannot be read; restore a backup of the state directory",
  );
}

function decodeAdmins(value: CborValue): readonly Principal[] {
  if (!Array.isArray(value) || value.length === 0) throw invalid();
  return (value as readonly CborValue[]).map((admin) => {
    if (!(admin instanceof Uint8Array) || admin.length > PRINCIPAL_BYTES_MAX) throw invalid();
    return admin.slice() as Principal;
  });
}

function decodeSubnet(entry: readonly CborValue[], several: boolean): LocalSubnetKind {
  const [type, feeSize, ...rest] = entry;
  const [nodes, admins] = several ? rest : [1, ...rest];
  const known = SUBNET_KINDS.find((kind) => kind === type);
  if (known === undefined || typeof feeSize !== "number") throw invalid();
  if (typeof nodes !== "number" || !Number.isInteger(nodes) || nodes < 1 || nodes > NODES_PER_SUBNET_MAX)
    throw invalid();
  return {
    type: known,
    feeSize,
    ...(nodes > 1 ? { nodes } : {}),
    ...(admins === undefined ? {} : { admins: decodeAdmins(admins) }),
  };
}

function decodeSubnets(map: CborMap): readonly LocalSubnetKind[] {
  const version = map.get("v");
  if (typeof version === "number" && version > FORMAT_NEWEST) {
    throw new OrreryError(
      "store_newer",
      `the genesis record has format ${version}, this version reads up to ${FORMAT_NEWEST}; use the version of Orrery that made it`,
    );
  }
  const list = map.get("n");
  if ((version !== 2 && version !== 3 && version !== FORMAT_NEWEST) || !Array.isArray(list)) throw invalid();
  const several = version !== 2;
  if (list.length === 0 || list.length > LOCAL_SUBNETS_MAX) throw invalid();
  return (list as readonly CborValue[]).map((entry) => {
    const fields = several ? 3 : 2;
    if (!Array.isArray(entry) || entry.length < fields || entry.length > fields + 1) throw invalid();
    return decodeSubnet(entry as readonly CborValue[], several);
  });
}

export function decodeGenesis(bytes: Uint8Array): Genesis {
  const map = decodeCbor(bytes) as CborMap;
  if (!(map instanceof Map)) throw invalid();
  const subnets = decodeSubnets(map);
  const seed = map.get("s");
  const time = map.get("t");
  if (!(seed instanceof Uint8Array) || seed.length !== 32) throw invalid();
  if (typeof time !== "number" && typeof time !== "bigint") throw invalid();
  if (map.get("p") !== "local") throw invalid();
  const [version, interval] = [map.get("v"), map.get("i")];
  // Of subnets of one node: what several nodes agreed on is never half there, nor taken for what derives from the seed.
  if (version === 2 && interval === undefined) return { seed, time: BigInt(time), subnets, profile: "local" };
  if (typeof interval !== "number" || !Number.isInteger(interval)) throw invalid();
  if (interval < 1 || interval > CATCH_UP_INTERVAL_MAX) throw invalid();
  const founding = version === FORMAT_NEWEST ? { founding: decodeFounding(map.get("f"), subnets) } : {};
  return { seed, time: BigInt(time), subnets, catchUpInterval: interval, ...founding, profile: "local" };
}

/**
 * Keys and records of all subnets, the root first; of nodes those at the place `self`. `nodeSecret`: of that node in a subnet that was
 * founded, where it is known here.
 */
export function localSubnetsOf(
  genesis: Genesis,
  makers: KeyMakers,
  self = 0,
  nodeSecret?: (subnet: number) => Uint8Array,
): readonly LocalSubnet[] {
  const { founding } = genesis;
  return localNetwork({
    seed: genesis.seed,
    subnets: genesis.subnets,
    local: genesis.profile === "local",
    makers,
    self,
    ...(founding === undefined
      ? {}
      : {
          keysAt: (subnet: number, node: number) =>
            foundedKeys(
              founding[subnet] as FoundedSubnet,
              { place: node, nodeSecret: node === self ? nodeSecret?.(subnet) : undefined },
              makers,
            ),
        }),
  });
}

/** Ids of the subnets of a network that was founded, which no seed gives. */
export function foundedIds({ founding }: Genesis): readonly SubnetId[] | undefined {
  return founding?.map(({ publicKey }) => selfAuthenticating(publicKey) as Principal as SubnetId);
}

/**
 * Place in the list of the subnet where projects' canisters go: the first application subnet beside the root, else the first beside
 * it, else the root itself.
 */
export function defaultSubnet(kinds: readonly { readonly type: SubnetType }[]): number {
  const application = kinds.findIndex(({ type }, index) => index > 0 && type === "application");
  return application > 0 ? application : Math.min(1, kinds.length - 1);
}

/** Places of the subnets that anybody may create canisters on: application subnets beside the root, else the default one. */
function creationSubnets(kinds: readonly { readonly type: SubnetType }[]): readonly number[] {
  const applications = kinds.flatMap(({ type }, index) =>
    index > 0 && type === "application" ? [index] : [],
  );
  return applications.length > 0 ? applications : [defaultSubnet(kinds)];
}

/** Ids of the same, as texts. */
export function creationSubnetIds({ subnets }: Genesis, local: readonly LocalSubnet[]): readonly string[] {
  return creationSubnets(subnets).map((place) =>
    principalToText((local[place] as LocalSubnet).info.subnetId),
  );
}

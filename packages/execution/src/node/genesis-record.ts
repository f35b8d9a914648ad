/**
 * Genesis of a network: everything from which the keys, ids and first states of its subnets follow. Written once to the state
 * directory; holds the secrets of a local network, so the directory is readable by its owner only.
 */
import {
  type CborMap,
  type CborValue,
  decodeCbor,
  encodeCborBare,
  OrreryError,
  PRINCIPAL_BYTES_MAX,
  type Principal,
  principalToText,
  type TimeNs,
} from "@orrery/base";
import type { SubnetType } from "@orrery/state";
import {
  type KeyMakers,
  LOCAL_SUBNETS_MAX,
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
/** Of one subnet. The public network's largest has 40. */
export const NODES_PER_SUBNET_MAX = 40;

export interface Genesis {
  /** 32 random bytes: every key of a local network derives from it. */
  readonly seed: Uint8Array;
  readonly time: TimeNs;
  /** The first is the root. */
  readonly subnets: readonly LocalSubnetKind[];
  /** Heights from one catch-up package to the next, where subnets have several nodes; 500 by default. */
  readonly catchUpInterval?: number;
  readonly profile: "local";
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

/** In the oldest format that can hold it: the third says how many nodes each subnet has. */
export function encodeGenesis(genesis: Genesis): Uint8Array {
  const several = genesis.subnets.some(({ nodes = 1 }) => nodes > 1);
  return encodeCborBare({
    v: several ? 3 : 2,
    s: genesis.seed,
    t: genesis.time,
    n: genesis.subnets.map(({ type, feeSize, admins, nodes = 1 }) => [
      type,
      feeSize,
      ...(several ? [nodes] : []),
      ...(admins === undefined ? [] : [admins]),
    ]),
    ...(several ? { i: genesis.catchUpInterval ?? CATCH_UP_INTERVAL_DEFAULT } : {}),
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
  if (typeof version === "number" && version > 3) {
    throw new OrreryError(
      "store_newer",
      `the genesis record has format ${version}, this version reads up to 3; use the version of Orrery that made it`,
    );
  }
  const list = map.get("n");
  if ((version !== 2 && version !== 3) || !Array.isArray(list)) throw invalid();
  const several = version === 3;
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
  const interval = map.get("i");
  if (interval === undefined) return { seed, time: BigInt(time), subnets, profile: "local" };
  if (typeof interval !== "number" || !Number.isInteger(interval) || interval < 1) throw invalid();
  return { seed, time: BigInt(time), subnets, catchUpInterval: interval, profile: "local" };
}

/** Keys and records of all subnets, the root first; of nodes those at the place `self`. */
export function localSubnetsOf(genesis: Genesis, makers: KeyMakers, self = 0): readonly LocalSubnet[] {
  return localNetwork({
    seed: genesis.seed,
    subnets: genesis.subnets,
    local: genesis.profile === "local",
    makers,
    self,
  });
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

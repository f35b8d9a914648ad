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

export interface Genesis {
  /** 32 random bytes: every key of a local network derives from it. */
  readonly seed: Uint8Array;
  readonly time: TimeNs;
  /** The first is the root. */
  readonly subnets: readonly LocalSubnetKind[];
  readonly profile: "local";
}

/** A root subnet and beside it subnets of these kinds; those that can have administrators have these. */
export function networkOf(
  kinds: readonly SubnetType[],
  admins: readonly Principal[] = [],
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
    ...(type === "cloud_engine" && admins.length > 0 ? { admins } : {}),
  }));
}

/** In the newest format. */
export function encodeGenesis(genesis: Genesis): Uint8Array {
  return encodeCborBare({
    v: 2,
    s: genesis.seed,
    t: genesis.time,
    n: genesis.subnets.map(({ type, feeSize, admins }) => [
      type,
      feeSize,
      ...(admins === undefined ? [] : [admins]),
    ]),
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

function decodeSubnet([type, feeSize, admins]: readonly CborValue[]): LocalSubnetKind {
  const known = SUBNET_KINDS.find((kind) => kind === type);
  if (known === undefined || typeof feeSize !== "number") throw invalid();
  return { type: known, feeSize, ...(admins === undefined ? {} : { admins: decodeAdmins(admins) }) };
}

function decodeSubnets(map: CborMap): readonly LocalSubnetKind[] {
  const version = map.get("v");
  if (typeof version === "number" && version > 2) {
    throw new OrreryError(
      "store_newer",
      `the genesis record has format ${version}, this version reads up to 2; use the version of Orrery that made it`,
    );
  }
  const list = map.get("n");
  if (version !== 2 || !Array.isArray(list)) throw invalid();
  if (list.length === 0 || list.length > LOCAL_SUBNETS_MAX) throw invalid();
  return (list as readonly CborValue[]).map((entry) => {
    if (!Array.isArray(entry) || entry.length < 2 || entry.length > 3) throw invalid();
    return decodeSubnet(entry as readonly CborValue[]);
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
  return { seed, time: BigInt(time), subnets, profile: "local" };
}

/** Keys and records of all subnets, the root first. */
export function localSubnetsOf(genesis: Genesis, makers: KeyMakers): readonly LocalSubnet[] {
  return localNetwork({
    seed: genesis.seed,
    subnets: genesis.subnets,
    local: genesis.profile === "local",
    makers,
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

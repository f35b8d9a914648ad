/**
 * What consensus orders and execution consumes: Block, Batch, and their one codec. The block log is the truth
 * of a node; state is a checkpoint plus replay of these. Encodings are deterministic CBOR with one-letter
 * keys in a fixed order.
 */
import { compareBytes, equalBytes } from "./bytes.ts";
import type { TimeNs } from "./capabilities.ts";
import { type CborMap, type CborValue, decodeCbor, encodeCborBare } from "./cbor.ts";
import { OrreryError } from "./errors.ts";
import { type CanisterId, PRINCIPAL_BYTES_MAX, type Principal } from "./principal.ts";
import { decodeResponses, encodeResponse, type OutcallResponse } from "./responses.ts";

/** Number of a block, batch and state. Bounded by 2^53: at ten blocks a second that is 28 million years. */
export type Height = number;

/** SHA-256 of the representation-independent encoding of a request's content. */
export type RequestId = Uint8Array;

export interface BlockContext {
  readonly registryVersion: number;
  /** Height whose certified state the maker had when it made the block; never decreases along a chain. */
  readonly certifiedHeight: Height;
  /** Strictly increasing along a chain. */
  readonly time: TimeNs;
}

/** Inputs of one round, as ordered. */
export interface BlockPayload {
  /**
   * Envelopes as received (tag 55799 CBOR), already validated by the maker. At most `INGRESS_PER_BLOCK_MAX`.
   */
  readonly ingress: readonly Uint8Array[];
  /** Not there when nothing was counted. By ascending id, one for a canister, at most `QUERY_STATS_PER_BLOCK_MAX`. */
  readonly queryStats?: readonly QueryStats[];
  /**
   * Certified slices of other subnets' streams, encoded, one for a subnet. Not there when there are none. At most
   * `XNET_SLICES_PER_BLOCK_MAX` and `XNET_BYTES_PER_BLOCK_MAX`.
   */
  readonly xnet?: readonly Uint8Array[];
  /**
   * Answers to HTTPS outcalls, by ascending number. Not there when there are none. At most `RESPONSES_PER_BLOCK_MAX` and
   * `RESPONSE_BYTES_PER_BLOCK_MAX`.
   */
  readonly responses?: readonly OutcallResponse[];
  /** Executions that go on over rounds get no slice in this one: the maker has not come as far. Not there when they do. */
  readonly holdsLong?: true;
  /** Of blocks that begin an interval of consensus, which carry nothing else: its keys and members, encoded. */
  readonly summary?: Uint8Array;
  /** Dealings for keys of a later interval, encoded. Not there when there are none. At most `DEALINGS_PER_BLOCK_MAX`. */
  readonly dealings?: readonly Uint8Array[];
  /** Subnets that came to the network. Not there when there are none. At most `SUBNETS_PER_BLOCK_MAX`. */
  readonly subnets?: readonly CreatedSubnet[];
}

/** A subnet that the root subnet created; everything else of it follows from these. */
export interface CreatedSubnet {
  /** In the network; the root's is 0. */
  readonly place: number;
  readonly type: string;
  /** DER BLS12-381. */
  readonly publicKey: Uint8Array;
}

/**
 * What queries to a canister took since the statistics before: queries are not ordered, so their sums are (interface spec,
 * `canister_status`, "query_stats"). All below 2^64.
 */
export interface QueryStats {
  readonly canisterId: CanisterId;
  readonly calls: bigint;
  readonly instructions: bigint;
  readonly requestBytes: bigint;
  readonly responseBytes: bigint;
}

export interface Block {
  readonly version: 1;
  /** SHA-256 of the parent's encoding; 32 zero bytes for the block after genesis. */
  readonly parent: Uint8Array;
  readonly height: Height;
  readonly rank: number;
  readonly context: BlockContext;
  readonly payload: BlockPayload;
}

/**
 * One finalized block handed to execution, with the randomness that did not exist when the block was made.
 */
export interface Batch {
  readonly height: Height;
  readonly time: TimeNs;
  readonly registryVersion: number;
  /** 32 bytes: hash of the random tape of this height. */
  readonly randomness: Uint8Array;
  /** Who made the block; not there where nobody has to be asked: the subnet's only node. */
  readonly maker?: Principal;
  readonly ingress: readonly Uint8Array[];
  readonly queryStats?: readonly QueryStats[];
  readonly xnet?: readonly Uint8Array[];
  readonly responses?: readonly OutcallResponse[];
  readonly holdsLong?: true;
  /** Of a block that begins an interval: the whole state after it is hashed, for a catch-up package. */
  readonly requiresFullStateHash?: true;
  /** The subnet's nodes from now on, with their keys (DER), in the order in which they are counted; not there: as before. */
  readonly nodes?: readonly { readonly nodeId: Principal; readonly publicKey: Uint8Array }[];
  /** Of the network from now on, beside those that the subnet knows; these may be among them. */
  readonly subnets?: readonly CreatedSubnet[];
}

/** Interface spec limits: 1,000 ingress messages and 4 MiB a block. */
export const INGRESS_PER_BLOCK_MAX = 1_000;
export const BLOCK_PAYLOAD_BYTES_MAX: number = 4 * 1024 * 1024;
/** Envelope of one ingress message, bytes; system subnets take longer ones (the replica's `max_ingress_bytes_per_message`). */
const INGRESS_BYTES_MAX: number = 2 * 1024 * 1024;
const SYSTEM_INGRESS_BYTES_MAX: number = 3.5 * 1024 * 1024;

export function ingressBytesMax(subnetType: string): number {
  return subnetType === "system" ? SYSTEM_INGRESS_BYTES_MAX : INGRESS_BYTES_MAX;
}

/** Some 60 bytes each, beside the limit of the messages. */
export const QUERY_STATS_PER_BLOCK_MAX = 1_000;
/** Beside the limit of the messages: the largest message between subnets has 2 MiB, so a slice with one always fits. */
export const XNET_BYTES_PER_BLOCK_MAX: number = 4 * 1024 * 1024;
/** Each takes milliseconds to verify; there is time for all of an interval's. */
export const DEALINGS_PER_BLOCK_MAX = 1;
/** A dealing to some hundred members. */
export const DEALING_BYTES_MAX: number = 256 * 1024;
/** Two sets of keys twice, and once for a subnet that is created, each of dealings by a quorum; half of what the network carries in one piece, the block and all. */
export const SUMMARY_BYTES_MAX: number = 8 * 1024 * 1024;
/** Subnets that a block can hear of. */
export const XNET_SLICES_PER_BLOCK_MAX = 1_000;
/** As many as a network has; of some 150 bytes each. */
export const SUBNETS_PER_BLOCK_MAX = 64;
const SUBNET_TYPE_CHARACTERS_MAX = 32;
/** DER of a key in its longest form has 133. */
const SUBNET_KEY_BYTES_MAX = 160;

export function encodeBlock(block: Block): Uint8Array {
  const { queryStats, xnet, responses, holdsLong, summary, dealings, subnets } = block.payload;
  return encodeCborBare({
    v: block.version,
    p: block.parent,
    h: block.height,
    r: block.rank,
    g: block.context.registryVersion,
    c: block.context.certifiedHeight,
    t: block.context.time,
    i: block.payload.ingress as readonly CborValue[],
    ...(queryStats === undefined ? {} : { q: queryStats.map(encodeStats) }),
    ...(xnet === undefined ? {} : { x: xnet as readonly CborValue[] }),
    ...(responses === undefined ? {} : { a: responses.map(encodeResponse) }),
    ...(holdsLong === undefined ? {} : { l: holdsLong }),
    ...(summary === undefined ? {} : { s: summary }),
    ...(dealings === undefined ? {} : { d: dealings as readonly CborValue[] }),
    ...(subnets === undefined ? {} : { n: subnets.map(encodeSubnet) }),
  });
}

function encodeStats(stats: QueryStats): readonly CborValue[] {
  return [stats.canisterId, stats.calls, stats.instructions, stats.requestBytes, stats.responseBytes];
}

function encodeSubnet({ place, type, publicKey }: CreatedSubnet): readonly CborValue[] {
  return [place, type, publicKey];
}

/**
 * Strict: wrong field types, counts or sizes are `block_invalid`, and so is any encoding but the one that
 * `encodeBlock` makes, since a block is known by the hash of its bytes.
 */
export function decodeBlock(bytes: Uint8Array): Block {
  const fields = decodeFields(bytes);
  if (fields.get("v") !== 1) throw blockInvalid("version is not 1");
  const parent = fields.get("p");
  if (!(parent instanceof Uint8Array) || parent.length !== 32)
    throw blockInvalid("parent hash is not 32 bytes");
  const block: Block = {
    version: 1,
    parent,
    height: natural(fields, "h"),
    rank: natural(fields, "r"),
    context: {
      registryVersion: natural(fields, "g"),
      certifiedHeight: natural(fields, "c"),
      time: nat64(fields.get("t"), "time"),
    },
    payload: {
      ingress: decodeIngress(fields.get("i")),
      ...(fields.has("q") ? { queryStats: decodeQueryStats(fields.get("q")) } : {}),
      ...(fields.has("x") ? { xnet: decodeXnet(fields.get("x")) } : {}),
      ...(fields.has("a") ? { responses: decodeResponses(fields.get("a")) } : {}),
      ...(fields.has("l") ? { holdsLong: decodeHold(fields.get("l")) } : {}),
      ...(fields.has("s") ? { summary: decodeSummary(fields) } : {}),
      ...(fields.has("d") ? { dealings: decodeDealings(fields.get("d")) } : {}),
      ...(fields.has("n") ? { subnets: decodeSubnets(fields.get("n")) } : {}),
    },
  };
  if (!equalBytes(encodeBlock(block), bytes)) throw blockInvalid("not its canonical encoding");
  return block;
}

function decodeFields(bytes: Uint8Array): CborMap {
  let value: CborValue;
  try {
    value = decodeCbor(bytes);
  } catch (cause) {
    throw blockInvalid((cause as OrreryError).message, cause);
  }
  if (!(value instanceof Map)) throw blockInvalid("not a map");
  return value as CborMap;
}

function nat64(value: CborValue | undefined, what: string): bigint {
  if (typeof value !== "number" && typeof value !== "bigint") throw blockInvalid(what);
  const natural = BigInt(value);
  if (natural < 0n || natural >= 1n << 64n) throw blockInvalid(`${what} is outside 64 bits`);
  return natural;
}

function decodeQueryStats(value: CborValue | undefined): readonly QueryStats[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > QUERY_STATS_PER_BLOCK_MAX)
    throw blockInvalid("query statistics");
  let before: Uint8Array | null = null;
  return (value as readonly CborValue[]).map((entry) => {
    if (!Array.isArray(entry) || entry.length !== 5) throw blockInvalid("query statistics of a canister");
    const [id, ...counts] = entry as readonly CborValue[];
    if (!(id instanceof Uint8Array) || id.length > PRINCIPAL_BYTES_MAX)
      throw blockInvalid("canister of query statistics");
    if (before !== null && compareBytes(before, id) >= 0) throw blockInvalid("order of query statistics");
    before = id;
    const [calls, instructions, requestBytes, responseBytes] = counts.map((count) =>
      nat64(count, "query statistics"),
    ) as [bigint, bigint, bigint, bigint];
    return { canisterId: id as CanisterId, calls, instructions, requestBytes, responseBytes };
  });
}

function decodeIngress(value: CborValue): readonly Uint8Array[] {
  if (!Array.isArray(value) || value.length > INGRESS_PER_BLOCK_MAX) throw blockInvalid("ingress list");
  let total = 0;
  for (const message of value as readonly CborValue[]) {
    if (!(message instanceof Uint8Array)) throw blockInvalid("ingress message");
    total += message.length;
  }
  if (total > BLOCK_PAYLOAD_BYTES_MAX) throw blockInvalid(`payload over ${BLOCK_PAYLOAD_BYTES_MAX} bytes`);
  return value as Uint8Array[];
}

function decodeXnet(value: CborValue | undefined): readonly Uint8Array[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > XNET_SLICES_PER_BLOCK_MAX)
    throw blockInvalid("list of stream slices");
  let total = 0;
  for (const slice of value as readonly CborValue[]) {
    if (!(slice instanceof Uint8Array)) throw blockInvalid("stream slice");
    total += slice.length;
  }
  if (total > XNET_BYTES_PER_BLOCK_MAX)
    throw blockInvalid(`stream slices over ${XNET_BYTES_PER_BLOCK_MAX} bytes`);
  return value as Uint8Array[];
}

function decodeHold(value: CborValue | undefined): true {
  if (value !== true) throw blockInvalid("hold of long executions");
  return value;
}

/** What a block may carry beside messages and in place of a summary. */
const BESIDE_MESSAGES = ["q", "x", "a", "l", "d", "n"] as const;

function decodeSummary(fields: CborMap): Uint8Array {
  const value = fields.get("s");
  const isAlone =
    decodeIngress(fields.get("i")).length === 0 && !BESIDE_MESSAGES.some((key) => fields.has(key));
  if (!isAlone) throw blockInvalid("a summary and something else");
  if (!(value instanceof Uint8Array) || value.length > SUMMARY_BYTES_MAX)
    throw blockInvalid("summary of an interval");
  return value;
}

function decodeDealings(value: CborValue | undefined): readonly Uint8Array[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > DEALINGS_PER_BLOCK_MAX)
    throw blockInvalid("list of dealings");
  for (const dealing of value as readonly CborValue[]) {
    if (!(dealing instanceof Uint8Array) || dealing.length > DEALING_BYTES_MAX) throw blockInvalid("dealing");
  }
  return value as Uint8Array[];
}

function decodeSubnets(value: CborValue | undefined): readonly CreatedSubnet[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > SUBNETS_PER_BLOCK_MAX)
    throw blockInvalid("list of subnets");
  return (value as readonly CborValue[]).map((entry) => {
    const [place, type, publicKey, ...rest] = Array.isArray(entry) ? (entry as readonly CborValue[]) : [];
    if (typeof place !== "number" || !Number.isSafeInteger(place) || place < 0 || rest.length > 0)
      throw blockInvalid("subnet");
    if (typeof type !== "string" || type.length > SUBNET_TYPE_CHARACTERS_MAX) throw blockInvalid("subnet");
    if (!(publicKey instanceof Uint8Array) || publicKey.length > SUBNET_KEY_BYTES_MAX)
      throw blockInvalid("subnet");
    return { place, type, publicKey };
  });
}

function natural(fields: CborMap, key: string): number {
  const value = fields.get(key);
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw blockInvalid(`field ${key}`);
  return value;
}

function blockInvalid(why: string, cause?: unknown): OrreryError {
  return new OrreryError("block_invalid", `not a block: ${why}`, cause === undefined ? {} : { cause });
}

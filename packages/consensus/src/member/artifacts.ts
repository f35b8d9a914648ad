/**
 * What members of a subnet send each other to agree (Internet Computer Consensus, eprint 2021/632): proposals, shares and what
 * shares add up to. Every signature binds height and subnet, under a domain of its own. Members are named by their index among the
 * members of the height, which the registry orders.
 */
import {
  type Block,
  type BlockPayload,
  concatBytes,
  encodeBlock,
  encodeCborBare,
  encodeResponse,
  equalBytes,
  type Height,
  type SubnetId,
  type TimeNs,
  toHex,
  u64be,
} from "@orrery/base";
import { domainSep, sha256 } from "@orrery/crypto";

/** `low`: f + 1 shares make a signature; `high`: 2f + 1 do, under the subnet's own key. */
export type KeySet = "low" | "high";

/** What is dealt: for the members' own keys, and for those of a subnet that the root subnet's members create. */
export type DealtKeys = KeySet | "remote_low" | "remote_high";

/** A member's place in the registry's order at the height. */
export type MemberIndex = number;

/** A block hash, in hexadecimal where it is a key. */
export type HashKey = string;

export interface Proposal {
  readonly kind: "proposal";
  readonly block: Block;
  readonly hash: Uint8Array;
  readonly signer: MemberIndex;
  readonly signature: Uint8Array;
}

/** A member's word that it may be (`notarization`) or is (`finalization`) the block of its height. */
export interface VoteShare {
  readonly kind: "notarization_share" | "finalization_share";
  readonly height: Height;
  readonly hash: Uint8Array;
  readonly signer: MemberIndex;
  readonly signature: Uint8Array;
}

/** A quorum's words: by ascending signer. */
export interface Vote {
  readonly kind: "notarization" | "finalization";
  readonly height: Height;
  readonly hash: Uint8Array;
  readonly signatures: readonly (readonly [MemberIndex, Uint8Array])[];
}

/** Shares of the subnet's signatures that are nobody's choice: randomness for ranks and for execution, and states. */
export interface ThresholdShare {
  readonly kind: "beacon_share" | "tape_share" | "certification_share" | "catch_up_share";
  readonly height: Height;
  /** Root hash of the state for certifications, hash of the content for catch-up packages; empty elsewhere. */
  readonly content: Uint8Array;
  readonly signer: MemberIndex;
  readonly signature: Uint8Array;
}

export interface ThresholdSignature {
  readonly kind: "beacon" | "tape" | "certification";
  readonly height: Height;
  readonly content: Uint8Array;
  readonly signature: Uint8Array;
}

/** All that it takes to go on from a height: its block, its beacon, and the hash of its whole state. */
export interface CatchUpPackage {
  readonly kind: "catch_up";
  readonly height: Height;
  readonly block: Block;
  readonly beacon: Uint8Array;
  readonly stateHash: Uint8Array;
  readonly signature: Uint8Array;
}

/** Two blocks of one maker at one height: what it signs at that height counts no more. */
export interface EquivocationProof {
  readonly kind: "equivocation";
  readonly height: Height;
  readonly signer: MemberIndex;
  /** The smaller first. */
  readonly hashes: readonly [Uint8Array, Uint8Array];
  readonly signatures: readonly [Uint8Array, Uint8Array];
}

/** One message of one dealer for keys of the interval after the next summary. */
export interface DealingArtifact {
  readonly kind: "dealing";
  /** Of the first block that can have it: the one after the summary of its interval. */
  readonly height: Height;
  readonly keys: DealtKeys;
  readonly signer: MemberIndex;
  readonly dealing: Uint8Array;
  readonly signature: Uint8Array;
}

export type Artifact =
  | DealingArtifact
  | Proposal
  | VoteShare
  | Vote
  | ThresholdShare
  | ThresholdSignature
  | CatchUpPackage
  | EquivocationProof;

export function heightOf(artifact: Artifact): Height {
  return artifact.kind === "proposal" ? artifact.block.height : artifact.height;
}

/** One member's part of something, which that member alone offers. */
export function isPart(artifact: Artifact): artifact is VoteShare | ThresholdShare | DealingArtifact {
  return artifact.kind.endsWith("_share") || artifact.kind === "dealing";
}

/** Of everything beside the contents of blocks; more than any artifact has. */
const FRAME_BYTES = 512;
/** Of one entry of query statistics. */
const STATS_BYTES = 80;

/** About how many bytes of memory it takes: at least as many as its contents have. */
export function weightOf(artifact: Artifact): number {
  switch (artifact.kind) {
    case "proposal":
      return FRAME_BYTES + payloadWeight(artifact.block.payload);
    case "catch_up":
      return FRAME_BYTES + payloadWeight(artifact.block.payload);
    case "notarization":
    case "finalization":
      return FRAME_BYTES + artifact.signatures.reduce((sum, [, signature]) => sum + signature.length, 0);
    case "dealing":
      return FRAME_BYTES + artifact.dealing.length;
    default:
      return FRAME_BYTES;
  }
}

const NOTHING = new Uint8Array(0);

function payloadWeight(payload: BlockPayload): number {
  const { ingress, queryStats = [], xnet = [], responses = [], dealings = [], summary = NOTHING } = payload;
  const bytes = [...ingress, ...xnet, ...dealings, summary].reduce((sum, each) => sum + each.length, 0);
  const answers = responses.reduce(
    (sum, response) => sum + encodeCborBare(encodeResponse(response)).length,
    0,
  );
  return bytes + answers + STATS_BYTES * queryStats.length;
}

/** One text for one artifact, whoever sends it; different for any two of which a member needs both. */
export function artifactId(artifact: Artifact): string {
  const height = heightOf(artifact);
  switch (artifact.kind) {
    case "proposal":
      return `proposal/${height}/${toHex(artifact.hash)}`;
    case "notarization_share":
    case "finalization_share":
      return `${artifact.kind}/${height}/${artifact.signer}/${toHex(artifact.hash)}`;
    case "notarization":
    case "finalization":
      return `${artifact.kind}/${height}/${toHex(artifact.hash)}`;
    case "beacon_share":
    case "tape_share":
    case "certification_share":
    case "catch_up_share":
      return `${artifact.kind}/${height}/${artifact.signer}`;
    case "beacon":
    case "tape":
    case "certification":
    case "catch_up":
      return `${artifact.kind}/${height}`;
    case "equivocation":
      return `equivocation/${height}/${artifact.signer}`;
    case "dealing":
      return `dealing/${height}/${artifact.keys}/${artifact.signer}`;
  }
}

interface Bound {
  readonly subnetId: SubnetId;
  readonly height: Height;
  readonly content: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Of each name the last: shares of one thing come one after the other, and all are of the same bytes. */
const lastBound = new Map<string, Bound>();

/** Content bound to a subnet and a height, under a name of its own. Not to be changed. */
function bound(name: string, subnetId: SubnetId, height: Height, content: Uint8Array): Uint8Array {
  const last = lastBound.get(name);
  if (last?.height === height && areSame(last.content, content) && areSame(last.subnetId, subnetId))
    return last.bytes;
  const bytes = concatBytes(domainSep(name), u64be(BigInt(height)), subnetId, content);
  lastBound.set(name, { subnetId, height, content, bytes });
  return bytes;
}

function areSame(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || equalBytes(a, b);
}

/** Bytes that a maker signs. */
export function proposalContent(subnetId: SubnetId, height: Height, hash: Uint8Array): Uint8Array {
  return bound("orrery-block-proposal", subnetId, height, hash);
}

/** Bytes that a dealer signs. */
export function dealingContent(
  subnetId: SubnetId,
  { height, keys, dealing }: Pick<DealingArtifact, "height" | "keys" | "dealing">,
): Uint8Array {
  const what = `orrery-dkg-dealing-${keys}`;
  return concatBytes(domainSep(what), u64be(BigInt(height)), subnetId, sha256(dealing));
}

const VOTES = { notarization: "orrery-notarization", finalization: "orrery-finalization" } as const;

export function voteContent(
  kind: Vote["kind"],
  subnetId: SubnetId,
  height: Height,
  hash: Uint8Array,
): Uint8Array {
  return bound(VOTES[kind], subnetId, height, hash);
}

/** What a threshold signature is under. */
export type ThresholdKind = ThresholdSignature["kind"] | "catch_up";

/** `content`: the beacon of the height before, so that beacons are a chain; a root hash; the hash of a package. */
export function thresholdContent(
  kind: ThresholdKind,
  subnetId: SubnetId,
  height: Height,
  content: Uint8Array,
): Uint8Array {
  switch (kind) {
    case "beacon":
      return bound("orrery-random-beacon", subnetId, height, content);
    case "tape":
      return bound("orrery-random-tape", subnetId, height, NOTHING);
    case "certification":
      return concatBytes(domainSep("ic-state-root"), content);
    case "catch_up":
      return bound("orrery-catch-up", subnetId, height, content);
  }
}

interface PackageHash {
  readonly beacon: Uint8Array;
  readonly stateHash: Uint8Array;
  readonly hash: Uint8Array;
}

/** By the block, with what else it is of: it is asked for again and again until a quorum has signed it. */
const packageHashes = new WeakMap<Block, PackageHash>();

/** What members sign of a catch-up package. */
export function catchUpHash(catchUp: Omit<CatchUpPackage, "kind" | "signature">): Uint8Array {
  const { block, beacon, stateHash } = catchUp;
  const known = packageHashes.get(block);
  if (known !== undefined && equalBytes(known.beacon, beacon) && equalBytes(known.stateHash, stateHash))
    return known.hash;
  const hash = sha256(encodeCborBare([encodeBlock(block), beacon, stateHash]));
  packageHashes.set(block, { beacon, stateHash, hash });
  return hash;
}

/** What a block stands on: its parent, and the time and certified height that it may not fall behind. */
export interface Tip {
  readonly height: Height;
  readonly hash: Uint8Array;
  readonly time: TimeNs;
  readonly certifiedHeight: Height;
  readonly registryVersion: number;
}

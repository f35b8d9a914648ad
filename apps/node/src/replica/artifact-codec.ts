/**
 * Artifacts of members as bytes, for peers and for the disk: a CBOR list that opens with the kind's name. Decoding is strict about shapes
 * and lengths and judges nothing else: whether an artifact is right is the member's to say.
 */
import {
  BLOCK_PAYLOAD_BYTES_MAX,
  type Block,
  type CborValue,
  decodeBlock,
  decodeCbor,
  encodeBlock,
  encodeCborBare,
  equalBytes,
  type Height,
  INGRESS_PER_BLOCK_MAX,
  OrreryError,
} from "@orrery/base";
import { blockHash } from "@orrery/consensus";
import {
  type Artifact,
  DEALT_KEYS,
  type DealtKeys,
  type MemberIndex,
  type ThresholdShare,
  type ThresholdSignature,
  type Vote,
  type VoteShare,
} from "@orrery/consensus/member";
import { fillBlock, stripBlock } from "@orrery/p2p";

/** Longest signature of any scheme in use; hashes and contents are shorter. */
const FIELD_BYTES_MAX = 96;
/** Indices of members are below it: the largest subnets have some dozens. */
const MEMBERS_MAX = 1_000;

function invalid(why: string, cause?: unknown): OrreryError {
  return new OrreryError("artifact_invalid", `not an artifact of a member: ${why}`, { cause });
}

export function encodeArtifact(artifact: Artifact): Uint8Array {
  return encodeCborBare([artifact.kind, ...fieldsOf(artifact)]);
}

/** A block without its ingress messages, which peers probably have, and those; other artifacts whole. */
export function encodeStripped(artifact: Artifact): {
  readonly body: Uint8Array;
  readonly ingress: readonly Uint8Array[];
} {
  if (artifact.kind !== "proposal") return { body: encodeArtifact(artifact), ingress: [] };
  const { skeleton, ingress } = stripBlock(artifact.block);
  return { body: encodeArtifact({ ...artifact, block: skeleton }), ingress };
}

function fieldsOf(artifact: Artifact): readonly CborValue[] {
  switch (artifact.kind) {
    case "proposal":
      return [encodeBlock(artifact.block), artifact.signer, artifact.signature];
    case "notarization_share":
    case "finalization_share":
      return [artifact.height, artifact.hash, artifact.signer, artifact.signature];
    case "notarization":
    case "finalization":
      return [artifact.height, artifact.hash, artifact.signatures.map(([signer, each]) => [signer, each])];
    case "beacon_share":
    case "tape_share":
    case "certification_share":
    case "catch_up_share":
      return [artifact.height, artifact.content, artifact.signer, artifact.signature];
    case "beacon":
    case "tape":
    case "certification":
      return [artifact.height, artifact.content, artifact.signature];
    case "catch_up":
      return [encodeBlock(artifact.block), artifact.beacon, artifact.stateHash, artifact.signature];
    case "equivocation":
      return [artifact.height, artifact.signer, ...artifact.hashes, ...artifact.signatures];
    case "dealing":
      return [artifact.height, artifact.keys, artifact.signer, artifact.dealing, artifact.signature];
  }
}

/** Reads fields in their order. */
class Fields {
  readonly #values: readonly CborValue[];
  /** Of a block that came without them. */
  readonly ingress: readonly Uint8Array[];
  #at = 1;

  constructor(values: readonly CborValue[], ingress: readonly Uint8Array[]) {
    this.#values = values;
    this.ingress = ingress;
  }

  next(): CborValue | undefined {
    return this.#values[this.#at++];
  }

  bytes(): Uint8Array {
    return boundedBytes(this.next());
  }

  height(): Height {
    const value = this.next();
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw invalid("its height");
    return value;
  }

  member(): MemberIndex {
    return memberIndex(this.next());
  }

  block(): Block {
    const value = this.next();
    if (!(value instanceof Uint8Array)) throw invalid("its block");
    return decodeBlock(value);
  }

  end(): void {
    if (this.#at !== this.#values.length) throw invalid(`${this.#values.length} fields`);
  }
}

function boundedBytes(value: CborValue | undefined): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length > FIELD_BYTES_MAX) throw invalid("a hash or signature");
  return value;
}

function memberIndex(value: CborValue | undefined): MemberIndex {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0 || value >= MEMBERS_MAX)
    throw invalid("a member's index");
  return value;
}

function signatureList(value: CborValue | undefined): Vote["signatures"] {
  if (!Array.isArray(value) || value.length > MEMBERS_MAX) throw invalid("its signatures");
  return (value as readonly CborValue[]).map((entry) => {
    if (!Array.isArray(entry) || entry.length !== 2) throw invalid("one of its signatures");
    const [signer, signature] = entry as readonly CborValue[];
    return [memberIndex(signer), boundedBytes(signature)] as const;
  });
}

type Decoder = (fields: Fields) => Artifact;

const voteShare =
  (kind: VoteShare["kind"]): Decoder =>
  (fields) => ({
    kind,
    height: fields.height(),
    hash: fields.bytes(),
    signer: fields.member(),
    signature: fields.bytes(),
  });

const vote =
  (kind: Vote["kind"]): Decoder =>
  (fields) => ({
    kind,
    height: fields.height(),
    hash: fields.bytes(),
    signatures: signatureList(fields.next()),
  });

const thresholdShare =
  (kind: ThresholdShare["kind"]): Decoder =>
  (fields) => ({
    kind,
    height: fields.height(),
    content: fields.bytes(),
    signer: fields.member(),
    signature: fields.bytes(),
  });

const threshold =
  (kind: ThresholdSignature["kind"]): Decoder =>
  (fields) => ({ kind, height: fields.height(), content: fields.bytes(), signature: fields.bytes() });

const DECODERS: Readonly<Record<Artifact["kind"], Decoder>> = {
  proposal(fields) {
    const block = filled(fields.block(), fields.ingress);
    // Its hash is its own: nobody else's is taken.
    return {
      kind: "proposal",
      block,
      hash: blockHash(block),
      signer: fields.member(),
      signature: fields.bytes(),
    };
  },
  notarization_share: voteShare("notarization_share"),
  finalization_share: voteShare("finalization_share"),
  notarization: vote("notarization"),
  finalization: vote("finalization"),
  beacon_share: thresholdShare("beacon_share"),
  tape_share: thresholdShare("tape_share"),
  certification_share: thresholdShare("certification_share"),
  catch_up_share: thresholdShare("catch_up_share"),
  beacon: threshold("beacon"),
  tape: threshold("tape"),
  certification: threshold("certification"),
  catch_up(fields) {
    const block = fields.block();
    return {
      kind: "catch_up",
      height: block.height,
      block,
      beacon: fields.bytes(),
      stateHash: fields.bytes(),
      signature: fields.bytes(),
    };
  },
  dealing: (fields) => ({
    kind: "dealing",
    height: fields.height(),
    keys: dealtKeys(fields.next()),
    signer: fields.member(),
    dealing: dealingBytes(fields.next()),
    signature: fields.bytes(),
  }),
  equivocation: (fields) => ({
    kind: "equivocation",
    height: fields.height(),
    signer: fields.member(),
    hashes: [fields.bytes(), fields.bytes()],
    signatures: [fields.bytes(), fields.bytes()],
  }),
};

function filled(block: Block, ingress: readonly Uint8Array[]): Block {
  if (ingress.length === 0) return block;
  if (block.payload.ingress.length > 0) throw invalid("a part of its messages");
  const bytes = ingress.reduce((sum, { length }) => sum + length, 0);
  if (ingress.length > INGRESS_PER_BLOCK_MAX || bytes > BLOCK_PAYLOAD_BYTES_MAX)
    throw invalid("its messages");
  return fillBlock(block, ingress);
}

function dealtKeys(value: CborValue | undefined): DealtKeys {
  const keys = DEALT_KEYS.find((each) => each === value);
  if (keys === undefined) throw invalid("its keys");
  return keys;
}

function dealingBytes(value: CborValue | undefined): Uint8Array {
  if (!(value instanceof Uint8Array)) throw invalid("its dealing");
  return value;
}

const KINDS: ReadonlySet<string> = new Set(Object.keys(DECODERS));

/** `artifact_invalid` for anything but what `encodeArtifact` makes, or `encodeStripped` with the messages that it took out. */
export function decodeArtifact(bytes: Uint8Array, ingress: readonly Uint8Array[] = []): Artifact {
  try {
    const values = decodeCbor(bytes);
    if (!Array.isArray(values)) throw invalid("not a list");
    const [kind] = values as readonly CborValue[];
    if (typeof kind !== "string" || !KINDS.has(kind)) throw invalid("its kind");
    if (ingress.length > 0 && kind !== "proposal") throw invalid("messages of no block");
    const fields = new Fields(values as readonly CborValue[], ingress);
    const artifact = DECODERS[kind as Artifact["kind"]](fields);
    fields.end();
    return artifact;
  } catch (error) {
    if (error instanceof OrreryError && error.code === "artifact_invalid") throw error;
    throw invalid((error as Error).message, error);
  }
}

/** Height of the newest catch-up package among what was persisted; 0 without one. */
export function newestPackage(
  artifacts: readonly { readonly height: Height; readonly bytes: Uint8Array }[],
): Height {
  // The rest of them, which may be long, is not read.
  const heights = artifacts.filter(({ bytes }) => isPackage(bytes)).map(({ height }) => height);
  return Math.max(0, ...heights);
}

const PACKAGE_START: Uint8Array = encodeCborBare(["catch_up", 0, 0, 0, 0]).subarray(
  0,
  1 + 1 + "catch_up".length,
);

function isPackage(bytes: Uint8Array): boolean {
  return equalBytes(bytes.subarray(0, PACKAGE_START.length), PACKAGE_START);
}

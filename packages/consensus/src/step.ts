/**
 * One step of consensus for a subnet of one member: make a block, sign it and its random tape, persist, deliver. A pure
 * function of state and input. Invariants: heights are consecutive; block time strictly increases; one block a height, so a
 * restart never signs differently (the log is read before anything is made); the tape is signed after the block is fixed.
 */
import {
  type Batch,
  type Block,
  type CborMap,
  concatBytes,
  decodeBlock,
  decodeCbor,
  encodeBlock,
  encodeCborBare,
  type Height,
  OrreryError,
  type Principal,
  type TimeNs,
  u64be,
} from "@orrery/base";
import { domainSep, sha256 } from "@orrery/crypto";
import { decodeSummary } from "./summary-codec.ts";
import type {
  ConsensusConfig,
  ConsensusEffect,
  ConsensusInput,
  ConsensusState,
  FinalizedBlock,
} from "./types.ts";

/** State before the first block. `time` is genesis time: the first block is later. */
export function initialConsensus(config: ConsensusConfig, time: TimeNs): ConsensusState {
  return { config, tip: { height: 0, hash: new Uint8Array(32), time }, pending: null };
}

/** Of blocks as they were decoded or made: each is asked for by its judge, its executor, and those that stand on it. */
const hashes = new WeakMap<Block, Uint8Array>();

/** The same bytes each time: not to be changed, no more than the block. */
export function blockHash(block: Block): Uint8Array {
  const known = hashes.get(block);
  if (known !== undefined) return known;
  const hash = hashOfEncoded(encodeBlock(block));
  hashes.set(block, hash);
  return hash;
}

function hashOfEncoded(encoded: Uint8Array): Uint8Array {
  return sha256(domainSep("orrery-block"), encoded);
}

/** Bytes a maker signs: the hash bound to height and subnet. */
export function proposalMessage(config: ConsensusConfig, height: Height, hash: Uint8Array): Uint8Array {
  return concatBytes(domainSep("orrery-block-proposal"), u64be(BigInt(height)), config.subnetId, hash);
}

/** Bytes the subnet signs to draw the randomness of a height. */
export function tapeMessage(config: ConsensusConfig, height: Height): Uint8Array {
  return concatBytes(domainSep("orrery-random-tape"), u64be(BigInt(height)), config.subnetId);
}

export function tapeRandomness(tape: Uint8Array): Uint8Array {
  return sha256(tape);
}

export function step(state: ConsensusState, input: ConsensusInput): ConsensusEffect[] {
  switch (input.kind) {
    case "make_block":
      return state.pending === null ? makeBlock(state, input) : [];
    case "signed":
      return onSigned(state, input);
  }
}

function makeBlock(
  state: ConsensusState,
  input: Extract<ConsensusInput, { kind: "make_block" }>,
): ConsensusEffect[] {
  const height = state.tip.height + 1;
  const time = input.now > state.tip.time ? input.now : state.tip.time + 1n;
  const block: Block = {
    version: 1,
    parent: state.tip.hash,
    height,
    rank: 0,
    context: { registryVersion: input.registryVersion, certifiedHeight: input.certifiedHeight, time },
    payload: input.builder.buildPayload({ height, time }),
  };
  const encoded = encodeBlock(block);
  const hash = hashOfEncoded(encoded);
  state.pending = { block, encoded, hash, proposalSignature: null, tape: null };
  return [
    {
      kind: "sign",
      purpose: "proposal",
      height,
      message: proposalMessage(state.config, height, hash),
    },
    { kind: "sign", purpose: "tape", height, message: tapeMessage(state.config, height) },
  ];
}

function onSigned(
  state: ConsensusState,
  input: Extract<ConsensusInput, { kind: "signed" }>,
): ConsensusEffect[] {
  const { pending } = state;
  if (pending === null || pending.block.height !== input.height) return [];
  if (input.purpose === "proposal") pending.proposalSignature = input.signature;
  else pending.tape = input.signature;
  if (pending.proposalSignature === null || pending.tape === null) return [];
  const { block, encoded, hash } = pending;
  const finalized: FinalizedBlock = {
    proposal: { block, signer: state.config.nodeId, signature: pending.proposalSignature },
    tape: pending.tape,
  };
  state.tip = { height: block.height, hash, time: block.context.time };
  state.pending = null;
  return [
    { kind: "persist", height: block.height, record: encodeFinalizedBlock(finalized, encoded) },
    { kind: "deliver", batch: batchOf(finalized) },
  ];
}

/** The batch that a finalized block stands for: live delivery and replay use this one function. */
export function batchOf(finalized: FinalizedBlock): Batch {
  const { block, signer: maker } = finalized.proposal;
  const { ingress, queryStats, xnet, responses, holdsLong, summary, subnets } = block.payload;
  const nodes = summary === undefined ? null : nodesFrom(summary);
  return {
    height: block.height,
    time: block.context.time,
    registryVersion: block.context.registryVersion,
    randomness: tapeRandomness(finalized.tape),
    maker,
    ingress,
    ...(queryStats === undefined ? {} : { queryStats }),
    ...(xnet === undefined ? {} : { xnet }),
    ...(responses === undefined ? {} : { responses }),
    ...(holdsLong === undefined ? {} : { holdsLong }),
    ...(summary === undefined ? {} : { requiresFullStateHash: true }),
    ...(nodes === null ? {} : { nodes }),
    ...(subnets === undefined ? {} : { subnets }),
  };
}

/** Of the interval that the summary begins; null where they are the genesis'. */
function nodesFrom(encoded: Uint8Array): NonNullable<Batch["nodes"]> | null {
  const { members, publicKeys } = decodeSummary(encoded).current;
  if (publicKeys === undefined) return null;
  return members.map((nodeId, place) => ({ nodeId, publicKey: publicKeys[place] as Uint8Array }));
}

/**
 * Takes a finalized block from the log during recovery. Refuses (`chain_broken`) what does not continue the chain; the caller
 * verifies the maker's signature with its own verifier beforehand.
 */
export function replay(state: ConsensusState, finalized: FinalizedBlock): void {
  const { block } = finalized.proposal;
  const expected = state.tip.height + 1;
  if (block.height !== expected) {
    throw new OrreryError(
      "chain_broken",
      `the block log continues at height ${block.height}, expected ${expected}; restore a backup`,
    );
  }
  if (state.tip.hash.some((b, i) => b !== block.parent[i])) {
    throw new OrreryError(
      "chain_broken",
      `block ${block.height} does not name its predecessor; restore a backup`,
    );
  }
  if (block.context.time <= state.tip.time) {
    throw new OrreryError(
      "chain_broken",
      `the time of block ${block.height} does not increase; restore a backup`,
    );
  }
  state.tip = { height: block.height, hash: blockHash(block), time: block.context.time };
}

/** `encoded`: the block's bytes, where the caller has them. */
export function encodeFinalizedBlock(
  finalized: FinalizedBlock,
  encoded: Uint8Array = encodeBlock(finalized.proposal.block),
): Uint8Array {
  return encodeCborBare({
    b: encoded,
    n: finalized.proposal.signer,
    s: finalized.proposal.signature,
    t: finalized.tape,
  });
}

/** Strict; `block_invalid` otherwise. */
export function decodeFinalizedBlock(bytes: Uint8Array): FinalizedBlock {
  const map = decodeCbor(bytes);
  if (!(map instanceof Map)) throw new OrreryError("block_invalid", "not a finalized block: not a map");
  const get = (key: string): Uint8Array => {
    const value = (map as CborMap).get(key);
    if (!(value instanceof Uint8Array))
      throw new OrreryError("block_invalid", `not a finalized block: field ${key}`);
    return value;
  };
  return {
    proposal: { block: decodeBlock(get("b")), signer: get("n") as Principal, signature: get("s") },
    tape: get("t"),
  };
}

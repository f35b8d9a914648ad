/**
 * What a misbehaving member makes up of its own keys and of what it sees (simulated actors): contexts that do not follow, messages ordered
 * before, blocks and proofs in others' names, votes and wholes without a quorum.
 */
import { type Block, compareBytes, type SubnetId } from "@orrery/base";
import { blockHash } from "@orrery/consensus";
import {
  type Artifact,
  type MemberCrypto,
  type Proposal,
  proposalContent,
  type Vote,
  type VoteShare,
  voteContent,
} from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";

/** A misbehaving member at one height. */
export interface Signer {
  readonly subnetId: SubnetId;
  readonly nodes: number;
  readonly index: number;
  readonly crypto: MemberCrypto;
}

const HOUR_NS = 3_600_000_000_000n;

export function voteFor(
  { crypto, subnetId, index }: Signer,
  kind: "notarization" | "finalization",
  { block, hash }: Proposal,
): VoteShare {
  const { height } = block;
  const signature = crypto.sign(voteContent(kind, subnetId, height, hash));
  return { kind: `${kind}_share`, height, hash, signer: index, signature };
}

export function signed({ crypto, subnetId, index }: Signer, block: Block): Proposal {
  const hash = blockHash(block);
  const signature = crypto.sign(proposalContent(subnetId, block.height, hash));
  return { kind: "proposal", block, hash, signer: index, signature };
}

/** The block with its own votes. */
export function supported(signer: Signer, block: Block): readonly Artifact[] {
  const proposal = signed(signer, block);
  return [proposal, voteFor(signer, "notarization", proposal), voteFor(signer, "finalization", proposal)];
}

/** A context that does not follow the parent's, another one by height. */
export function wrongContext(signer: Signer, { block }: Proposal): readonly Artifact[] {
  const { context } = block;
  const wrong = [
    { ...context, time: 1n },
    { ...context, certifiedHeight: 0 },
    { ...context, registryVersion: 0 },
    { ...context, time: context.time + HOUR_NS },
  ];
  return supported(signer, { ...block, context: wrong[block.height % wrong.length] ?? context });
}

/** The words of one member as a quorum's: many times, and under others' names. */
function forgedVotes(signer: Signer, proposal: Proposal): readonly Artifact[] {
  const { subnetId, index, crypto } = signer;
  const { block, hash } = proposal;
  return (["notarization", "finalization"] as const).flatMap((kind) => {
    const own = crypto.sign(voteContent(kind, subnetId, block.height, hash));
    const lists: readonly Vote["signatures"][] = [
      [[index, own]],
      Array.from({ length: 3 }, () => [index, own] as const),
      Array.from({ length: 3 }, (_, each) => [each, each === index ? own : sha256(own)] as const),
    ];
    return lists.map((signatures): Vote => ({ kind, height: block.height, hash, signatures }));
  });
}

/** In others' names, or without a quorum; beside each block that it sees. */
export function forge(signer: Signer, artifact: Artifact): readonly Artifact[] {
  const signature = sha256(new Uint8Array(8));
  switch (artifact.kind) {
    case "proposal": {
      const { block } = artifact;
      const later = { ...block, context: { ...block.context, time: block.context.time + 1n } };
      const mine = signed(signer, { ...later, rank: 0 });
      const theirs: Proposal = { ...mine, block: later, hash: blockHash(later), signer: artifact.signer };
      const hashes = [artifact.hash, theirs.hash].sort(compareBytes) as [Uint8Array, Uint8Array];
      return [
        ...supported(signer, { ...later, rank: 0 }),
        theirs,
        { ...artifact, hash: mine.hash },
        {
          kind: "equivocation",
          height: block.height,
          signer: artifact.signer,
          hashes,
          signatures: [signature, signature],
        },
        ...forgedVotes(signer, mine),
        ...forgedVotes(signer, artifact),
      ];
    }
    case "beacon":
      return [{ ...artifact, height: artifact.height + 1, signature }];
    case "tape":
    case "certification":
      return [
        {
          kind: `${artifact.kind}_share`,
          height: artifact.height + 1,
          content: artifact.content,
          signer: (signer.index + 1) % signer.nodes,
          signature,
        },
        {
          ...artifact,
          height: artifact.height + 1,
          content: sha256(artifact.content).subarray(0, artifact.content.length),
          signature,
        },
      ];
    case "catch_up":
      return [{ ...artifact, stateHash: signature, signature }];
    default:
      return [];
  }
}

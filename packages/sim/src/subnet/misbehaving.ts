/**
 * What members say to the others, honest or not (simulated actors): a misbehaving one runs the real member and twists what leaves it,
 * with its own keys alone.
 */
import type { SubnetId } from "@orrery/base";
import { blockHash } from "@orrery/consensus";
import {
  type Artifact,
  type MemberCrypto,
  type Proposal,
  proposalContent,
  thresholdContent,
  type VoteShare,
  voteContent,
} from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import type { Misbehaviour } from "./faults.ts";

interface Means {
  readonly crypto: MemberCrypto;
  readonly subnetId: SubnetId;
  readonly index: number;
  readonly nodes: number;
}

export interface Actor {
  readonly isHonest: boolean;
  /** What each other node is told in place of an artifact that the member publishes. */
  say(artifact: Artifact): (to: number) => readonly Artifact[];
}

const NOTHING: readonly Artifact[] = [];

function voteFor(
  { crypto, subnetId, index }: Means,
  kind: "notarization" | "finalization",
  { block, hash }: Proposal,
): VoteShare {
  const { height } = block;
  const signature = crypto.sign(voteContent(kind, subnetId, height, hash));
  return { kind: `${kind}_share`, height, hash, signer: index, signature };
}

function signed({ crypto, subnetId, index }: Means, block: Proposal["block"]): Proposal {
  const hash = blockHash(block);
  const signature = crypto.sign(proposalContent(subnetId, block.height, hash));
  return { kind: "proposal", block, hash, signer: index, signature };
}

/** The same a nanosecond later. */
function twin(means: Means, { block }: Proposal): Proposal {
  const time = block.context.time + 1n;
  return signed(means, { ...block, context: { ...block.context, time } });
}

const isShare = ({ kind }: Artifact): boolean => kind.endsWith("_share");

/** What the kind of misbehaviour makes of an artifact; `own`: whether it is the member's. */
function twist(kind: Misbehaviour, means: Means, artifact: Artifact): (to: number) => readonly Artifact[] {
  const { index, subnetId, crypto, nodes } = means;
  const own = "signer" in artifact && artifact.signer === index;
  switch (kind) {
    case "silent":
      return () => NOTHING;
    case "equivocate": {
      if (artifact.kind !== "proposal" || !own) return () => [artifact];
      const other = twin(means, artifact);
      // It supports both, as one that wants both notarized would.
      return (to) => [
        to < nodes / 2 ? artifact : other,
        voteFor(means, "notarization", artifact),
        voteFor(means, "notarization", other),
      ];
    }
    case "sign_everything":
      return () =>
        artifact.kind === "proposal"
          ? [artifact, voteFor(means, "notarization", artifact), voteFor(means, "finalization", artifact)]
          : [artifact];
    case "wrong_shares":
      return () =>
        isShare(artifact) && "signature" in artifact
          ? [{ ...artifact, signature: sha256(artifact.signature) } as Artifact]
          : [artifact];
    case "invalid_blocks": {
      if (artifact.kind !== "proposal" || !own) return () => [artifact];
      const { block } = artifact;
      const twice = [
        ...block.payload.ingress,
        ...block.payload.ingress,
        new Uint8Array(1),
        new Uint8Array(1),
      ];
      const bad = signed(means, { ...block, payload: { ...block.payload, ingress: twice } });
      return () => [bad, voteFor(means, "notarization", bad), voteFor(means, "finalization", bad)];
    }
    case "wrong_certification": {
      if (artifact.kind !== "certification_share") return () => [artifact];
      const content = sha256(artifact.content);
      const message = thresholdContent("certification", subnetId, artifact.height, content);
      return () => [{ ...artifact, content, signature: crypto.signShare("high", message) }];
    }
  }
}

export function actorFor(kind: Misbehaviour | null, means: Means): Actor {
  if (kind === null) return { isHonest: true, say: (artifact) => () => [artifact] };
  return { isHonest: false, say: (artifact) => twist(kind, means, artifact) };
}

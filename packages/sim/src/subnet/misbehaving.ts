/**
 * What members say to the others, honest or not (simulated actors): a misbehaving one runs the real member and twists what leaves it,
 * with its own keys alone.
 */
import { compareBytes, type Height, type SubnetId, utf8 } from "@orrery/base";
import {
  type Artifact,
  type DealingArtifact,
  dealingContent,
  decodeDealing,
  decodeSummary,
  encodeDealing,
  encodeSummary,
  heightOf,
  type MemberCrypto,
  type Proposal,
  proposalContent,
  thresholdContent,
} from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import type { FaultPlan, Misbehaviour } from "./faults.ts";
import { forge, type Signer, signed, supported, voteFor, wrongContext } from "./forging.ts";

interface Means {
  readonly subnetId: SubnetId;
  readonly nodes: number;
  /** Its index and keys at a height; null where it looks on. */
  readonly place: (height: Height) => { readonly index: number; readonly crypto: MemberCrypto } | null;
}

export interface Actor {
  readonly isHonest: boolean;
  /** Artifacts that somebody was not told as they are, or not alone, by what became of them. */
  readonly twisted: ReadonlyMap<Misbehaviour, number>;
  /** What each other node is told in place of an artifact that the member publishes. */
  say(artifact: Artifact): (to: number) => readonly Artifact[];
}

const NOTHING: readonly Artifact[] = [];

/** The same a nanosecond later. */
function twin(means: Signer, { block }: Proposal): Proposal {
  const time = block.context.time + 1n;
  return signed(means, { ...block, context: { ...block.context, time } });
}

const isShare = ({ kind }: Artifact): boolean => kind.endsWith("_share");

/** Heights ahead at which a flood is of use to nobody. */
const FAR_HEIGHTS: readonly number[] = [3, 40, 100_000];
const FLOOD_BLOCKS = 3;
const FLOOD = new Uint8Array(50_000);

/** Blocks, votes, shares and proofs of its own that no honest member has, and a forged copy of another's block. */
function flood(means: Signer, artifact: Artifact): readonly Artifact[] {
  const { crypto, subnetId, index } = means;
  const around = heightOf(artifact);
  const junk: Artifact[] = [];
  if (artifact.kind === "proposal") {
    junk.push({ ...artifact, signature: sha256(artifact.signature) });
    for (let i = 1; i <= FLOOD_BLOCKS; i++) {
      const time = artifact.block.context.time + BigInt(i);
      const block = { ...artifact.block, context: { ...artifact.block.context, time } };
      const other = signed(means, block);
      junk.push(other, voteFor(means, "notarization", other), voteFor(means, "finalization", other));
    }
    const payload = { ingress: [FLOOD] };
    for (const ahead of FAR_HEIGHTS)
      junk.push(signed(means, { ...artifact.block, height: around + ahead, payload }));
  }
  for (const ahead of [0, ...FAR_HEIGHTS]) {
    const height = around + ahead;
    const content = sha256(utf8(`${around} ${artifact.kind}`));
    const hashes = [content, sha256(content)].sort(compareBytes) as [Uint8Array, Uint8Array];
    const signatures = hashes.map((hash) => crypto.sign(proposalContent(subnetId, height, hash)));
    junk.push({
      kind: "equivocation",
      height,
      signer: index,
      hashes,
      signatures: signatures as [Uint8Array, Uint8Array],
    });
    for (const kind of ["tape", "certification", "catch_up"] as const) {
      const shown = kind === "tape" ? new Uint8Array(0) : content;
      const message = thresholdContent(kind, subnetId, height, shown);
      const signature = crypto.signShare(kind === "tape" ? "low" : "high", message);
      junk.push({ kind: `${kind}_share`, height, content: shown, signer: index, signature });
    }
  }
  return junk;
}

/** Messages of the blocks before once more. */
function repeated(means: Signer, { block }: Proposal, seen: readonly Uint8Array[]): readonly Artifact[] {
  const { ingress } = block.payload;
  return supported(means, { ...block, payload: { ...block.payload, ingress: [...ingress, ...seen] } });
}

/** Messages that a member remembers to repeat. */
const SEEN_MAX = 4;

/** A block with its messages twice, and votes for it. */
function invalidBlock(means: Signer, { block }: Proposal): readonly Artifact[] {
  const { ingress } = block.payload;
  const twice = [...ingress, ...ingress, new Uint8Array(1), new Uint8Array(1)];
  const bad = signed(means, { ...block, payload: { ...block.payload, ingress: twice } });
  return [bad, voteFor(means, "notarization", bad), voteFor(means, "finalization", bad)];
}

/** A summary that leaves all members but one out of the next interval, and votes for it. */
function wrongSummary(means: Signer, { block }: Proposal, encoded: Uint8Array): readonly Artifact[] {
  const summary = decodeSummary(encoded);
  const next = { ...summary.current, members: summary.current.members.slice(0, 1) };
  const payload = { ingress: [], summary: encodeSummary({ ...summary, next }) };
  const bad = signed(means, { ...block, payload });
  return [bad, voteFor(means, "notarization", bad), voteFor(means, "finalization", bad)];
}

/** Half of the others have its votes and shares, and one its block. */
function withheld({ index, nodes }: Signer, artifact: Artifact): (to: number) => readonly Artifact[] {
  const isFor = (to: number): boolean =>
    artifact.kind === "proposal" ? to === (index + 1) % nodes : to < nodes / 2;
  return (to) => (isFor(to) ? [artifact] : NOTHING);
}

/** The dealer's own, signed, and no good. */
function wrongDealing({ subnetId, crypto }: Signer, artifact: DealingArtifact): DealingArtifact {
  const dealing = sha256(artifact.dealing);
  const message = dealingContent(subnetId, { ...artifact, dealing });
  return { ...artifact, dealing, signature: crypto.sign(message) };
}

/** In its own blocks too, of keys for others: those never know who dealt to them. */
function ordersWrongDealing(means: Signer, proposal: Proposal): readonly Artifact[] {
  const { block } = proposal;
  const dealings = (block.payload.dealings ?? []).map((bytes) => {
    const dealing = decodeDealing(bytes);
    const isWrong = dealing.signer === means.index && dealing.keys.startsWith("remote");
    return isWrong ? encodeDealing(wrongDealing(means, dealing)) : bytes;
  });
  return dealings.every((bytes, place) => bytes === block.payload.dealings?.[place])
    ? [proposal]
    : supported(means, { ...block, payload: { ...block.payload, dealings } });
}

/** What one that tells all others the same makes of an artifact: made once, and signed once. `own`: whether it is the member's. */
function altered(
  kind: Misbehaviour,
  means: Signer,
  artifact: Artifact,
  { own, seen }: { readonly own: boolean; readonly seen: readonly Uint8Array[] },
): readonly Artifact[] {
  const { subnetId, crypto } = means;
  const block = artifact.kind === "proposal" && own ? artifact.block : null;
  switch (kind) {
    case "silent":
      return NOTHING;
    case "sign_everything":
      return artifact.kind === "proposal"
        ? [artifact, voteFor(means, "notarization", artifact), voteFor(means, "finalization", artifact)]
        : [artifact];
    case "wrong_shares":
      return isShare(artifact) && "signature" in artifact
        ? [{ ...artifact, signature: sha256(artifact.signature) } as Artifact]
        : [artifact];
    case "invalid_blocks":
      return artifact.kind === "proposal" && own ? invalidBlock(means, artifact) : [artifact];
    case "wrong_dealings":
      if (artifact.kind === "dealing" && own) return [wrongDealing(means, artifact)];
      return artifact.kind === "proposal" && own ? ordersWrongDealing(means, artifact) : [artifact];
    case "wrong_summaries":
      return artifact.kind === "proposal" && block?.payload.summary !== undefined
        ? wrongSummary(means, artifact, block.payload.summary)
        : [artifact];
    case "wrong_contexts":
      return artifact.kind === "proposal" && own ? wrongContext(means, artifact) : [artifact];
    case "always_order": {
      if (artifact.kind !== "proposal" || block === null || block.payload.summary !== undefined)
        return [artifact];
      const ingress = [...block.payload.ingress, sha256(artifact.hash)];
      return supported(means, { ...block, payload: { ...block.payload, ingress } });
    }
    case "repeat":
      return artifact.kind === "proposal" && own && seen.length > 0
        ? repeated(means, artifact, seen)
        : [artifact];
    case "forge":
      return [artifact, ...forge(means, artifact)];
    case "flood":
      return [...flood(means, artifact), artifact];
    case "wrong_certification": {
      if (artifact.kind !== "certification_share") return [artifact];
      const content = sha256(artifact.content);
      const message = thresholdContent("certification", subnetId, artifact.height, content);
      return [{ ...artifact, content, signature: crypto.signShare("high", message) }];
    }
    default:
      return [artifact];
  }
}

/** What the kind of misbehaviour makes of an artifact. */
function twist(
  kind: Misbehaviour,
  means: Signer,
  artifact: Artifact,
  seen: readonly Uint8Array[],
): (to: number) => readonly Artifact[] {
  const { index, nodes } = means;
  const own = "signer" in artifact && artifact.signer === index;
  const isMade = artifact.kind === "proposal" && own;
  if (kind === "withhold" && own) return withheld(means, artifact);
  if (kind === "equivocate" && isMade) {
    const other = twin(means, artifact);
    // It supports both, as one that wants both notarized would.
    const votes = [voteFor(means, "notarization", artifact), voteFor(means, "notarization", other)];
    return (to) => [to < nodes / 2 ? artifact : other, ...votes];
  }
  if (kind === "wrong_hashes" && isMade) {
    const other = { ...artifact, block: twin(means, artifact).block };
    return (to) => [to < nodes / 2 ? artifact : other];
  }
  const artifacts = altered(kind, means, artifact, { own, seen });
  return () => artifacts;
}

/** Heights in which one that misbehaves by turns does so in one way: the most while there was no occasion. */
const TURN_HEIGHTS = 5;
const TURN_HEIGHTS_MAX = 30;

/** The kind of a height, as heights go on; the next one's turn is when this one has done something. */
function turns(kinds: readonly Misbehaviour[]): {
  readonly at: (height: Height) => Misbehaviour;
  readonly done: () => void;
} {
  let [place, since, didSomething] = [0, 0, false];
  return {
    at: (height) => {
      if (height - since >= (didSomething ? TURN_HEIGHTS : TURN_HEIGHTS_MAX) && kinds.length > 1)
        [place, since, didSomething] = [(place + 1) % kinds.length, height, false];
      return kinds[place] as Misbehaviour;
    },
    done: () => {
      didSomething = true;
    },
  };
}

/** Null of an honest member. */
export function kindsOf(planned: FaultPlan["byzantine"][number] | undefined): readonly Misbehaviour[] | null {
  return planned === undefined ? null : [planned].flat();
}

interface Made {
  readonly kind: Misbehaviour;
  readonly crypto: MemberCrypto;
  readonly told: (to: number) => readonly Artifact[];
}

/** `kinds`: one after the other, every few heights; null of an honest member. */
export function actorFor(kinds: readonly Misbehaviour[] | null, means: Means): Actor {
  if (kinds === null || kinds.length === 0)
    return { isHonest: kinds === null, twisted: new Map(), say: (artifact) => () => [artifact] };
  const turn = turns(kinds);
  const seen: Uint8Array[] = [];
  const twisted = new Map<Misbehaviour, number>();
  /** Of what it says again to who comes back. */
  const made = new WeakMap<Artifact, Made>();
  const say = (artifact: Artifact): ((to: number) => readonly Artifact[]) => {
    const before = [...seen];
    if (artifact.kind === "proposal") seen.push(...artifact.block.payload.ingress);
    seen.splice(0, seen.length - SEEN_MAX);
    const height = heightOf(artifact);
    const kind = turn.at(height);
    const place = means.place(height);
    const { subnetId, nodes } = means;
    // Its own member finds the two blocks out; it does not tell.
    if (artifact.kind === "equivocation" && artifact.signer === place?.index) return () => NOTHING;
    if (place === null) return () => (kind === "silent" ? NOTHING : [artifact]);
    const { index, crypto } = place;
    const known = made.get(artifact);
    const isKnown = known?.kind === kind && known.crypto === crypto && kind !== "repeat";
    const told = isKnown ? known.told : twist(kind, { subnetId, nodes, index, crypto }, artifact, before);
    if (!isKnown) made.set(artifact, { kind, crypto, told });
    return (to) => {
      const artifacts = told(to);
      const isAsIs = artifacts.length === 1 && artifacts[0] === artifact;
      if (!isAsIs) {
        turn.done();
        twisted.set(kind, (twisted.get(kind) ?? 0) + 1);
      }
      return artifacts;
    };
  };
  return { isHonest: false, twisted, say };
}

/** What members told others in place of what is, all together. */
export function allTwisted(actors: readonly Actor[]): ReadonlyMap<Misbehaviour, number> {
  const sums = new Map<Misbehaviour, number>();
  for (const { twisted } of actors)
    for (const [kind, times] of twisted) sums.set(kind, (sums.get(kind) ?? 0) + times);
  return sums;
}

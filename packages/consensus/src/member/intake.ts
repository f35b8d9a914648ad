/**
 * What others sent, from its arrival to the pool: judged at once where it can be, kept waiting where something is missing, and judged
 * again when that may have come. Invariants: nothing enters the pool that was not judged; two signed blocks of one maker at one height
 * become the proof against it, whatever is in the pool.
 */
import { compareBytes, equalBytes, type Height, type TimeNs, toHex } from "@orrery/base";
import {
  type Artifact,
  type EquivocationProof,
  heightOf,
  type Proposal,
  type Vote,
  weightOf,
} from "./artifacts.ts";
import { quorumOf } from "./committee.ts";
import type { DutyView } from "./duties.ts";
import { isPlaced } from "./placing.ts";
import {
  ARTIFACT_BYTES_MAX,
  check,
  checkBlock,
  checkMaker,
  checkSigners,
  checkVoted,
  isAhead,
  isStale,
  type ValidationView,
  type Verdict,
  windowTop,
} from "./validate.ts";
import { Vouched, WAITING_BLOCKS_PER_MAKER_MAX, type WaitingArtifact, WaitingArtifacts } from "./waiting.ts";

/** What the member does with what is judged. */
interface Outlet {
  /** As the member is now. */
  readonly view: () => DutyView & Pick<ValidationView, "delivered" | "doubted">;
  /** `isUnproved`: a share whose signature nobody checked. */
  readonly add: (artifact: Artifact, isUnproved: boolean) => void;
  /** The sender, as the host numbers it, did what no honest member does. */
  readonly blame: (peer: number, why: string) => void;
}

export class Intake {
  readonly #outlet: Outlet;
  readonly #waiting = new WaitingArtifacts();
  readonly #vouched = new Vouched();
  #learnt = false;

  constructor(outlet: Outlet) {
    this.#outlet = outlet;
  }

  get use(): { readonly count: number; readonly bytes: number } {
    return { count: this.#waiting.count, bytes: this.#waiting.bytes };
  }

  #view(): ValidationView {
    const view = this.#outlet.view();
    return { ...view, isVouchedFor: (height, hash) => this.#isVouchedFor(view, height, hash) };
  }

  /** When a block that waits for the time alone can be judged; null when none does. */
  nextTime(): TimeNs | null {
    const { pool, now } = this.#outlet.view();
    let next: TimeNs | null = null;
    for (const { artifact, signed } of this.#waiting.at(pool.notarizedHeight + 1)) {
      if (!signed || artifact.kind !== "proposal" || !isAhead(artifact, now)) continue;
      const { time } = artifact.block.context;
      if (next === null || time < next) next = time;
    }
    return next;
  }

  /** Whether something was learnt since the last call that no pool shows. */
  takeLearnt(): boolean {
    const learnt = this.#learnt;
    this.#learnt = false;
    return learnt;
  }

  /** A quorum voted for the block, in one piece or share by share: one of it judged its contents. */
  #isVouchedFor({ pool, schedule }: DutyView, height: Height, hash: Uint8Array): boolean {
    const shares = pool.peek(height)?.shares.notarization.get(toHex(hash));
    const place = schedule.at(height);
    const isQuorum = place !== null && (shares?.size ?? 0) >= quorumOf(place.members);
    return isQuorum || this.#vouched.has(height, hash);
  }

  /** Whether anything can follow from it: what is here or over already changes nothing. */
  receive(artifact: Artifact, from: number): boolean {
    const view = this.#view();
    if (isStale(view, artifact) || isPlaced(view.pool, artifact) || this.#waiting.has(from, artifact))
      return false;
    this.#take(view, artifact, from);
    return true;
  }

  #take(view: ValidationView, artifact: Artifact, from: number): void {
    const height = heightOf(artifact);
    if (artifact.kind !== "catch_up" && height > windowTop(view)) {
      this.#waiting.miss(from, height);
      return;
    }
    if (weightOf(artifact) > ARTIFACT_BYTES_MAX) {
      this.#outlet.blame(from, `it is larger than ${ARTIFACT_BYTES_MAX} bytes`);
      return;
    }
    const judged = { artifact, from, signed: false };
    const verdict = this.#judge(view, judged);
    if (verdict !== "later") {
      this.#conclude(artifact, from, verdict);
      return;
    }
    const isBlock = artifact.kind === "proposal";
    if (isBlock && this.#waiting.blocksOf(from, artifact.signer, height) >= WAITING_BLOCKS_PER_MAKER_MAX)
      this.#outlet.blame(
        from,
        "it passes on more blocks of one maker at one height than an honest member has",
      );
    else this.#waiting.add(artifact, from, judged.signed);
  }

  #conclude(artifact: Artifact, from: number, verdict: Exclude<Verdict, "later">): void {
    if (verdict === "valid" || verdict === "unproved") {
      if (!isPlaced(this.#outlet.view().pool, artifact)) this.#outlet.add(artifact, verdict === "unproved");
    } else if (verdict !== "stale") this.#outlet.blame(from, verdict.invalid);
  }

  /** Lets go of what is over; members to ask again for what was turned away. */
  tidy(): readonly number[] {
    const view = this.#outlet.view();
    const { finalizedHeight, beaconHeight } = view.pool;
    this.#waiting.sweep(Math.max(finalizedHeight, beaconHeight), (artifact) => isStale(view, artifact));
    this.#vouched.forget(finalizedHeight);
    return this.#waiting.takeMissed(windowTop(view));
  }

  /** Heights at which something can follow from what came since. */
  judgeWaiting(): void {
    const { pool, delivered, schedule } = this.#outlet.view();
    const { finalizedHeight, beaconHeight, certifiedHeight } = pool;
    const floor = Math.min(finalizedHeight, beaconHeight, certifiedHeight, delivered);
    // Dealings stand at the first height of their interval and are of use until its end.
    const start = schedule.startOf(finalizedHeight);
    if (start !== null && start + 1 <= floor) this.#judgeAt(start + 1);
    for (let height = floor + 1; height <= this.#reach; height++) this.#judgeAt(height);
  }

  #judgeAt(height: Height): void {
    for (const waiting of this.#waiting.at(height)) {
      if (!this.#waiting.isHere(waiting)) continue;
      const view = this.#view();
      const before = waiting.signed;
      const verdict = isStale(view, waiting.artifact) ? "stale" : this.#judge(view, waiting);
      if (!before && waiting.signed) this.#waiting.keepOnly(waiting);
      if (verdict === "later") continue;
      this.#waiting.drop(waiting);
      this.#conclude(waiting.artifact, waiting.from, verdict);
    }
  }

  /** The highest height whose beacon before is known, or whose parents can be. */
  get #reach(): Height {
    const { notarizedHeight, beaconHeight } = this.#outlet.view().pool;
    return Math.max(notarizedHeight, beaconHeight) + 1;
  }

  #judge(view: ValidationView, judged: Pick<WaitingArtifact, "artifact" | "from" | "signed">): Verdict {
    const { artifact } = judged;
    if (artifact.kind === "proposal") {
      if (!judged.signed) {
        const verdict = checkMaker(view, artifact);
        if (verdict !== "valid") return verdict;
        judged.signed = true;
        this.#noteSigned(view, artifact);
      }
      return checkBlock(view, artifact);
    }
    if (isVote(artifact)) {
      if (!judged.signed) {
        const verdict = checkSigners(view, artifact);
        if (verdict !== "valid") return verdict;
        judged.signed = true;
        this.#vouched.add(artifact.height, artifact.hash);
        this.#learnt = true;
      }
      return checkVoted(view, artifact);
    }
    return check(view, artifact, judged.from);
  }

  /** A second signed proposal of one maker is the proof against it. */
  #noteSigned({ pool }: DutyView, proposal: Proposal): void {
    const { block, signer, hash, signature } = proposal;
    const { firstSigned } = pool.round(block.height);
    const first = firstSigned.get(signer);
    if (first === undefined) {
      firstSigned.set(signer, proposal);
      return;
    }
    if (equalBytes(first.hash, hash)) return;
    const inOrder = compareBytes(first.hash, hash) < 0;
    const proof: EquivocationProof = {
      kind: "equivocation",
      height: block.height,
      signer,
      hashes: inOrder ? [first.hash, hash] : [hash, first.hash],
      signatures: inOrder ? [first.signature, signature] : [signature, first.signature],
    };
    if (!isPlaced(pool, proof)) this.#outlet.add(proof, false);
  }
}

function isVote(artifact: Artifact): artifact is Vote {
  return artifact.kind === "notarization" || artifact.kind === "finalization";
}

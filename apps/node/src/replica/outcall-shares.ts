/**
 * What the nodes of a subnet say of HTTPS outcalls, at one of them (interface spec, "http_request"). Each makes the outcalls that the state
 * waits for, signs what it got and tells it to the others; a block takes an answer once all but f nodes got the same, or once that
 * cannot be any more. Pure but for what it publishes: the same words in any order come to the same answers. Nothing is kept of outcalls that
 * the state does not wait for.
 */
import {
  equalBytes,
  type Height,
  type OutcallResponse,
  type OutcallShare,
  type SubnetId,
  type TimeNs,
} from "@orrery/base";
import type { MemberCrypto } from "@orrery/consensus/member";
import {
  isOutcallNode,
  outcallContentHash,
  outcallDeadline,
  outcallDivergence,
  outcallVerdict,
} from "@orrery/execution";
import type { Outcall } from "@orrery/state";
import {
  decodeToldShare,
  encodeToldShare,
  type OutcallName,
  outcallStatement,
  readShareLabel,
  type ToldShare,
} from "./outcall-share.ts";

export interface OutcallSharesOptions {
  readonly subnetId: SubnetId;
  /** Place of this node. */
  readonly self: number;
  /**
   * Places of those who agree on the block of a height, in the order in which they are counted; null: on the next one here. The same list
   * as long as they are the same. In blocks signers are named by their number in it, among nodes by their places.
   */
  readonly members: (height: Height | null) => readonly number[];
  /** Verifies by places. */
  readonly crypto: Pick<MemberCrypto, "sign" | "verify">;
  readonly publish: (told: ToldShare, body: Uint8Array) => void;
  readonly retract: (outcall: number) => void;
  /** Peers may have to say something of outcalls that are new here. */
  readonly reconsider: () => void;
}

type Share = Required<OutcallShare>;

interface Open {
  readonly outcall: Outcall;
  /** By place. */
  readonly shares: Map<number, Share>;
  /** This node's own, or that of the one node that makes the outcall. */
  content: OutcallResponse["content"] | null;
  /** Made from the members' shares; null until they suffice. */
  answer: OutcallResponse | null;
}

export class OutcallShares {
  readonly #options: OutcallSharesOptions;
  readonly #open = new Map<number, Open>();
  /** Numbers below have begun here. */
  #next = 0;
  /** Whose shares the answers are made from. */
  #members: readonly number[] = [];

  constructor(options: OutcallSharesOptions) {
    this.#options = options;
  }

  /** Answers that a block may take. */
  get settled(): number {
    this.#follow(null);
    let count = 0;
    for (const { answer } of this.#open.values()) if (answer !== null) count++;
    return count;
  }

  /** Whether this node is to make it. */
  isOwn(outcall: Outcall): boolean {
    const { self, members } = this.#options;
    return isMaker(outcall, self, members(null));
  }

  /** The state waits for these. */
  begin(outcalls: readonly Outcall[]): void {
    for (const outcall of outcalls) {
      this.#next = Math.max(this.#next, outcall.id + 1);
      if (!this.#open.has(outcall.id))
        this.#open.set(outcall.id, { outcall, shares: new Map(), content: null, answer: null });
    }
    if (outcalls.length > 0) this.#options.reconsider();
  }

  /** The state does not wait for these any more. */
  end(ids: readonly number[]): void {
    for (const id of ids) if (this.#open.delete(id)) this.#options.retract(id);
  }

  /** This node got an answer. */
  got(response: OutcallResponse): void {
    const open = this.#open.get(response.outcall);
    if (open === undefined) return;
    const { self, crypto, subnetId, publish } = this.#options;
    const hash = outcallContentHash(response.content);
    const { spent } = response;
    const signature = crypto.sign(outcallStatement(subnetId, open.outcall, { hash, spent }));
    const share = { signer: self, spent, signature, hash };
    const content = open.outcall.replicated ? null : response.content;
    const told = { outcall: { id: open.outcall.id, time: open.outcall.time }, share, content };
    publish(told, encodeToldShare(told));
    open.content = response.content;
    this.#add(open, share);
  }

  /** By a label that peers announce. */
  wants(label: Uint8Array): "now" | "later" | "never" {
    const name = readShareLabel(label);
    if (name === null) return "never";
    if (name.id >= this.#next) return "later";
    return this.#open.get(name.id)?.outcall.time === name.time ? "now" : "never";
  }

  /** False for what no honest peer says. */
  hear(peer: number, body: Uint8Array): boolean {
    const told = decodeToldShare(body);
    if (told === null || told.share.signer !== peer) return false;
    const open = this.#open.get(told.outcall.id);
    // It may have ended, or this node is behind and hears it again.
    if (open === undefined || open.outcall.time !== told.outcall.time || open.shares.has(peer)) return true;
    const { outcall } = open;
    if (outcall.replicated !== (told.content === null)) return false;
    if (told.content !== null && !equalBytes(outcallContentHash(told.content), told.share.hash)) return false;
    if (!this.#verify(outcall, peer, told.share)) return false;
    // Whose it is to make changes with the members, of whom a peer may know newer ones.
    if (!isMaker(outcall, peer, this.#options.members(null))) return true;
    if (told.content !== null) open.content = told.content;
    this.#add(open, told.share);
    return true;
  }

  /** Answers that shares suffice for, by ascending number, for a block of this height. */
  offers(height: Height): readonly OutcallResponse[] {
    this.#follow(height);
    const answers = [...this.#open.values()].map(({ answer }) => answer).filter((answer) => answer !== null);
    return answers.sort((a, b) => a.outcall - b.outcall);
  }

  /** Why a block may not have the answer; null: it may. Whether the state waits for it is for execution to see. */
  fault(
    response: OutcallResponse,
    { time, height }: { readonly time: TimeNs; readonly height: Height },
  ): string | null {
    const members = this.#options.members(height);
    const { agreement, content, outcall: id } = response;
    if (agreement === undefined) return "an answer that nobody signed";
    const { begun, shares } = agreement;
    const name = { id, time: begun };
    if (!isTimely(response, time)) return "an answer out of time";
    const own = outcallContentHash(content);
    const whole = shares.map((share): Share => ({ ...share, hash: share.hash ?? own }));
    if (!whole.every((share) => this.#verify(name, members[share.signer], share)))
      return "an answer with a signature that does not hold";
    if (response.spent !== spentBy(whole)) return "an answer with other costs than its shares'";
    const hashes = whole.map(({ hash }) => hash);
    const isAgreed = shares.every(({ hash }) => hash === undefined);
    if (isAgreed && whole.length === 1) return null;
    const verdict = outcallVerdict(hashes, members.length);
    if (isAgreed) return verdict.kind === "agreed" ? null : "an answer that too few agree on";
    if (shares.some(({ hash }) => hash === undefined)) return "an answer whose shares are of two kinds";
    if (verdict.kind !== "divergent") return "an answer that nodes may agree on yet";
    return equalBytes(own, outcallContentHash(outcallDivergence(name, hashes)))
      ? null
      : "an answer that says something else than that nodes do not agree";
  }

  /** By the node in a place; not there: nobody's. */
  #verify(name: OutcallName, place: number | undefined, share: Share): boolean {
    const { crypto, subnetId } = this.#options;
    if (place === undefined) return false;
    const known = this.#open.get(name.id);
    if (known?.outcall.time === name.time && isSame(known.shares.get(place), share)) return true;
    return crypto.verify(place, outcallStatement(subnetId, name, share), share.signature);
  }

  /** Answers are those of the members of a height from now on. */
  #follow(height: Height | null): void {
    const members = this.#options.members(height);
    if (members === this.#members) return;
    this.#members = members;
    for (const open of this.#open.values()) open.answer = this.#answerOf(open);
  }

  #add(open: Open, share: Share): void {
    open.shares.set(share.signer, share);
    this.#follow(null);
    open.answer = this.#answerOf(open);
  }

  #answerOf({ outcall, shares, content }: Open): OutcallResponse | null {
    const members = this.#members;
    const all = members.flatMap((place, signer): readonly Share[] => {
      const share = isMaker(outcall, place, members) ? shares.get(place) : undefined;
      return share === undefined ? [] : [{ ...share, signer }];
    });
    if (all.length === 0) return null;
    const hashes = all.map(({ hash }) => hash);
    const verdict = outcall.replicated
      ? outcallVerdict(hashes, members.length)
      : ({ kind: "agreed", hash: hashes[0] as Uint8Array } as const);
    if (verdict.kind === "open") return null;
    if (verdict.kind === "divergent") return agreedBy(outcall, outcallDivergence(outcall, hashes), all);
    // Who got something else has nothing to put into a block.
    if (content === null || !equalBytes(outcallContentHash(content), verdict.hash)) return null;
    const same = all.filter(({ hash }) => equalBytes(hash, verdict.hash));
    return agreedBy(
      outcall,
      content,
      same.map(({ signer, spent, signature }) => ({ signer, spent, signature })),
    );
  }
}

/** Whether the node in this place makes it, of these members. */
function isMaker(outcall: Outcall, place: number, members: readonly number[]): boolean {
  const number = members.indexOf(place);
  return number >= 0 && isOutcallNode(outcall, { place: number, nodes: members.length });
}

function isSame(a: Share | undefined, b: Share): boolean {
  return (
    a !== undefined &&
    a.spent === b.spent &&
    equalBytes(a.hash, b.hash) &&
    equalBytes(a.signature, b.signature)
  );
}

/** Whether a block of that time may have the answer: later nobody waits for it, and whoever ordered it again would waste room. */
export function isTimely({ agreement }: OutcallResponse, time: TimeNs): boolean {
  const begun = agreement?.begun;
  return begun !== undefined && begun <= time && time < outcallDeadline({ time: begun });
}

function agreedBy(
  outcall: Outcall,
  content: OutcallResponse["content"],
  shares: readonly OutcallShare[],
): OutcallResponse {
  return {
    outcall: outcall.id,
    spent: spentBy(shares),
    content,
    agreement: { begun: outcall.time, shares },
  };
}

/** What a node is taken to have spent: the median, which a third of them cannot move beyond what others spent. */
function spentBy(shares: readonly Pick<OutcallShare, "spent">[]): bigint {
  const sorted = shares.map(({ spent }) => spent).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return sorted[(sorted.length - 1) >> 1] ?? 0n;
}

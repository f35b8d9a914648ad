/**
 * Requests of this node: each goes to one of the peers that may have the answer, to the next one when that fails, and around again after a
 * growing rest. Invariants: one attempt at a request at a time; at most `REQUESTS_PER_PEER_MAX` under way to a peer, and
 * `ANSWERS_PER_PEER_BYTES_MAX` with one more; a peer that fails is asked last, and one thing at a time, until it answers: over
 * connections too, and who goes away with requests unanswered has failed.
 */
import { assert, type Rng, type TimeNs } from "@orrery/base";
import {
  ANSWER_NS,
  ANSWER_NS_PER_MIB,
  ANSWERS_PER_PEER_BYTES_MAX,
  FAILURES_MAX,
  PIECE_BYTES,
  REQUESTS_PER_PEER_MAX,
  RETRY_FIRST_NS,
  RETRY_LAST_NS,
} from "./limits.ts";
import type { PeerId } from "./types.ts";
import type { RefusalReason, WireMessage } from "./wire.ts";

const MIB = 1024 * 1024;

export interface Question {
  readonly id: string;
  readonly service: number;
  readonly body: Uint8Array;
  /** Longest answer that is taken. */
  readonly bytesMax: number;
  /** Null: as long as somebody may have the answer. */
  readonly deadline: TimeNs | null;
  /** Times that it was asked and answered in vain: it rests first. None when left out. */
  readonly rests?: number;
}

interface Job extends Omit<Question, "rests"> {
  readonly sources: Set<PeerId>;
  /** Asked since the last rest. */
  readonly tried: Set<PeerId>;
  attempt: Attempt | null;
  rests: number;
  mustRest: boolean;
  /** Of a rest; null when it does not rest. */
  restUntil: TimeNs | null;
  lastRefusal: RefusalReason | null;
}

interface Attempt {
  readonly job: Job;
  readonly peer: PeerId;
  readonly number: number;
  readonly until: TimeNs;
  readonly pieces: Map<number, Uint8Array>;
  /** Of the answer; known from its first piece on. */
  total: number | null;
  received: number;
}

interface Asked {
  readonly attempts: Map<number, Attempt>;
  /** Jobs that could be asked of this peer, when it has room. */
  readonly blocked: Set<Job>;
  nextNumber: number;
  /** Of the answers under way, at their longest. */
  bytes: number;
  failures: number;
}

export type AnswerOutcome =
  | { readonly kind: "nothing" }
  | { readonly kind: "unasked" }
  /** A piece of what was asked for. */
  | { readonly kind: "piece" }
  | { readonly kind: "answer"; readonly id: string; readonly body: Uint8Array };

/** A job that is over without an answer. */
export interface Unanswered {
  readonly id: string;
  readonly reason: RefusalReason | "late";
}

export interface AskerOptions {
  readonly rng: Rng;
  readonly send: (peer: PeerId, message: WireMessage) => void;
}

export class Asker {
  readonly #options: AskerOptions;
  readonly #jobs = new Map<string, Job>();
  readonly #peers = new Map<PeerId, Asked>();
  /** Of peers that are away. */
  readonly #failures = new Map<PeerId, number>();
  /** Neither under way nor resting nor blocked. */
  readonly #ready = new Set<Job>();
  readonly #resting = new Set<Job>();
  readonly #limited = new Set<Job>();
  /** Nothing is due before; what was due may be over by then. */
  #soonest: TimeNs | null = null;

  constructor(options: AskerOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#jobs.size;
  }

  has(id: string): boolean {
    return this.#jobs.has(id);
  }

  connect(peer: PeerId): void {
    const failures = this.#failures.get(peer) ?? 0;
    this.#failures.delete(peer);
    this.#peers.set(peer, { attempts: new Map(), blocked: new Set(), nextNumber: 0, bytes: 0, failures });
    for (const job of this.#jobs.values())
      if (job.attempt === null && job.sources.has(peer)) this.#makeReady(job);
  }

  disconnect(peer: PeerId): void {
    const asked = this.#peers.get(peer);
    if (asked === undefined) return;
    if (asked.attempts.size > 0) fail(asked);
    if (asked.failures > 0) this.#failures.set(peer, asked.failures);
    for (const attempt of [...asked.attempts.values()]) {
      this.#end(attempt);
      this.#makeReady(attempt.job);
    }
    for (const job of [...asked.blocked]) this.#makeReady(job);
    this.#peers.delete(peer);
  }

  /** Of a peer that is away: it does not come back. */
  forget(peer: PeerId): void {
    this.#failures.delete(peer);
  }

  add(question: Question, sources: Iterable<PeerId>): void {
    assert(!this.#jobs.has(question.id), `${question.id} is asked already`);
    const job: Job = {
      ...question,
      sources: new Set(sources),
      tried: new Set(),
      attempt: null,
      rests: question.rests ?? 0,
      mustRest: (question.rests ?? 0) > 0,
      restUntil: null,
      lastRefusal: null,
    };
    this.#jobs.set(job.id, job);
    this.#ready.add(job);
    if (job.deadline === null) return;
    this.#limited.add(job);
    this.#note(job.deadline);
  }

  addSource(id: string, peer: PeerId): void {
    const job = this.#jobs.get(id);
    if (job === undefined || job.sources.has(peer)) return;
    job.sources.add(peer);
    if (job.attempt === null) this.#makeReady(job);
  }

  removeSource(id: string, peer: PeerId): void {
    const job = this.#jobs.get(id);
    if (job === undefined || !job.sources.delete(peer)) return;
    this.#peers.get(peer)?.blocked.delete(job);
    if (job.attempt?.peer !== peer) return;
    this.#cancel(job.attempt);
    this.#makeReady(job);
  }

  /** Nobody wants the answer any more. */
  remove(id: string): void {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    if (job.attempt !== null) this.#cancel(job.attempt);
    this.#forget(job);
  }

  /** The job is over when it was answered. */
  piece(peer: PeerId, message: Extract<WireMessage, { kind: "piece" }>): AnswerOutcome {
    const attempt = this.#attempt(peer, message.number);
    if (attempt === null || attempt === "unasked") return { kind: attempt ?? "nothing" };
    const { total, offset, bytes } = message;
    if (total > attempt.job.bytesMax || (attempt.total !== null && attempt.total !== total))
      return { kind: "unasked" };
    if (attempt.pieces.has(offset)) return { kind: "unasked" };
    attempt.total = total;
    attempt.pieces.set(offset, bytes);
    attempt.received += bytes.length;
    if (attempt.received < total) return { kind: "piece" };
    const asked = this.#peers.get(peer) as Asked;
    asked.failures = Math.max(0, asked.failures - 1);
    this.#end(attempt);
    this.#forget(attempt.job);
    this.#unblock(asked);
    return { kind: "answer", id: attempt.job.id, body: joined(attempt, total) };
  }

  refusal(peer: PeerId, message: Extract<WireMessage, { kind: "refusal" }>, now: TimeNs): AnswerOutcome {
    const attempt = this.#attempt(peer, message.number);
    if (attempt === null || attempt === "unasked") return { kind: attempt ?? "nothing" };
    attempt.job.lastRefusal = message.reason;
    this.#end(attempt);
    this.#next(attempt.job, now);
    this.#unblock(this.#peers.get(peer) as Asked);
    return { kind: "piece" };
  }

  /** Gives up what is late, starts what can be started; what is over without an answer. */
  settle(now: TimeNs): readonly Unanswered[] {
    const over = this.#soonest !== null && this.#soonest <= now ? this.#giveUp(now) : [];
    for (const job of this.#ready) this.#start(job, now);
    return over;
  }

  nextTime(): TimeNs | null {
    return this.#soonest;
  }

  #note(at: TimeNs): void {
    if (this.#soonest === null || at < this.#soonest) this.#soonest = at;
  }

  #giveUp(now: TimeNs): readonly Unanswered[] {
    this.#soonest = null;
    for (const asked of this.#peers.values()) {
      for (const attempt of [...asked.attempts.values()]) {
        if (attempt.until > now) {
          this.#note(attempt.until);
          continue;
        }
        fail(asked);
        this.#cancel(attempt);
        this.#next(attempt.job, now);
        this.#unblock(asked);
      }
    }
    for (const job of [...this.#resting]) {
      if ((job.restUntil as TimeNs) <= now) this.#makeReady(job);
      else this.#note(job.restUntil as TimeNs);
    }
    const over: Unanswered[] = [];
    for (const { id, deadline, lastRefusal } of [...this.#limited]) {
      if ((deadline as TimeNs) > now) {
        this.#note(deadline as TimeNs);
        continue;
      }
      this.remove(id);
      over.push({ id, reason: lastRefusal ?? "late" });
    }
    return over;
  }

  #attempt(peer: PeerId, number: number): Attempt | "unasked" | null {
    const asked = this.#peers.get(peer);
    if (asked === undefined) return null;
    // What was cancelled may cross its cancellation.
    return asked.attempts.get(number) ?? (number < asked.nextNumber ? null : "unasked");
  }

  /** Of the peers that it was not asked of yet: the one that failed least, and has the least to do. */
  #start(job: Job, now: TimeNs): void {
    assert(job.attempt === null, `${job.id} is asked twice`);
    this.#ready.delete(job);
    if (job.mustRest) {
      this.#rest(job, now);
      return;
    }
    let best: { readonly peer: PeerId; readonly asked: Asked } | null = null;
    let isBlocked = false;
    let isHere = false;
    for (const peer of job.sources) {
      const asked = this.#peers.get(peer);
      if (asked === undefined) continue;
      isHere = true;
      if (job.tried.has(peer)) continue;
      if (isBusy(asked)) {
        isBlocked = true;
        asked.blocked.add(job);
      } else if (best === null || isBefore(asked, best.asked)) best = { peer, asked };
    }
    if (best !== null) {
      this.#leaveQueues(job);
      this.#ask(job, best.peer, best.asked, now);
    } else if (!isBlocked && isHere) this.#rest(job, now);
  }

  #ask(job: Job, peer: PeerId, asked: Asked, now: TimeNs): void {
    const number = asked.nextNumber++;
    const allowed = ANSWER_NS + (ANSWER_NS_PER_MIB * BigInt(job.bytesMax)) / BigInt(MIB);
    const attempt = { job, peer, number, until: now + allowed, pieces: new Map(), total: null, received: 0 };
    job.attempt = attempt;
    job.tried.add(peer);
    asked.attempts.set(number, attempt);
    asked.bytes += job.bytesMax;
    this.#note(attempt.until);
    const { service, bytesMax, body } = job;
    this.#options.send(peer, { kind: "request", number, service, bytesMax, body });
  }

  /** Somebody else, at once; a rest when everybody was asked. */
  #next(job: Job, now: TimeNs): void {
    const isLeft = [...job.sources].some((peer) => this.#peers.has(peer) && !job.tried.has(peer));
    if (isLeft) this.#makeReady(job);
    else this.#rest(job, now);
  }

  #rest(job: Job, now: TimeNs): void {
    job.mustRest = false;
    const doubled = RETRY_FIRST_NS << BigInt(Math.min(job.rests++, 16));
    const rest = doubled > RETRY_LAST_NS ? RETRY_LAST_NS : doubled;
    const [byte] = this.#options.rng.bytes(1);
    job.restUntil = now + rest + (rest * BigInt(byte as number)) / 512n;
    this.#note(job.restUntil);
    job.tried.clear();
    this.#ready.delete(job);
    this.#resting.add(job);
  }

  #makeReady(job: Job): void {
    this.#leaveQueues(job);
    job.restUntil = null;
    this.#ready.add(job);
  }

  #forget(job: Job): void {
    this.#leaveQueues(job);
    this.#limited.delete(job);
    this.#jobs.delete(job.id);
  }

  #leaveQueues(job: Job): void {
    this.#ready.delete(job);
    this.#resting.delete(job);
    for (const peer of job.sources) this.#peers.get(peer)?.blocked.delete(job);
  }

  #unblock(asked: Asked): void {
    let room = REQUESTS_PER_PEER_MAX - asked.attempts.size;
    for (const job of asked.blocked) {
      if (room-- <= 0) return;
      this.#makeReady(job);
    }
  }

  #cancel(attempt: Attempt): void {
    this.#end(attempt);
    this.#options.send(attempt.peer, { kind: "cancel", number: attempt.number });
  }

  #end(attempt: Attempt): void {
    const asked = this.#peers.get(attempt.peer) as Asked;
    asked.attempts.delete(attempt.number);
    asked.bytes -= attempt.job.bytesMax;
    attempt.job.attempt = null;
  }
}

function fail(asked: Asked): void {
  asked.failures = Math.min(asked.failures + 1, FAILURES_MAX);
}

function isBusy({ attempts, bytes, failures }: Asked): boolean {
  const most = failures > 0 ? 1 : REQUESTS_PER_PEER_MAX;
  return attempts.size >= most || bytes >= ANSWERS_PER_PEER_BYTES_MAX;
}

function isBefore(a: Asked, b: Asked): boolean {
  if (a.failures !== b.failures) return a.failures < b.failures;
  return a.attempts.size < b.attempts.size;
}

function joined(attempt: Attempt, total: number): Uint8Array {
  const body = new Uint8Array(total);
  for (let at = 0; at < total; at += PIECE_BYTES) body.set(attempt.pieces.get(at) as Uint8Array, at);
  return body;
}

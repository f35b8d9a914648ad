/**
 * The rounds of a subnet that several nodes agree on, as one of them has them (docs/ARCHITECTURE.md, "Subnets of several nodes"). In
 * place of a step that makes every block, a member of consensus: finalized blocks go to the disk and to execution, root hashes go back to
 * be certified, and a height is published once it is durable, executed and certified here. The rest of the node sees the same `Rounds`.
 */
import {
  assert,
  type Clock,
  type Height,
  type NodeId,
  OrreryError,
  principalToText,
  type TimeNs,
} from "@orrery/base";
import { batchOf, blockHash, encodeFinalizedBlock, type FinalizedBlock } from "@orrery/consensus";
import type { Proposal, ThresholdSignature } from "@orrery/consensus/member";
import { countRound, newRoundFigures } from "../metrics.ts";
import type { ExecutionStarted, RecoveredArtifact, RoundReport } from "../protocol.ts";
import { createRest } from "../rest.ts";
import { RoundDriver } from "../round-driver.ts";
import type { Rounds, SubnetThreads } from "../rounds.ts";
import type { StateRequest } from "../state/state-calls.ts";
import { Watchers } from "../watchers.ts";
import { Alarm } from "./alarm.ts";
import { decodeArtifact } from "./artifact-codec.ts";
import { blame } from "./blame.ts";
import { environmentOf, genesisStart } from "./environment.ts";
import { signaturesLost } from "./failures.ts";
import { Freshness } from "./freshness.ts";
import { ReplicaPool } from "./ingress.ts";
import { MemberDriver, type MemberDriverOptions } from "./member-driver.ts";
import { Membership } from "./membership.ts";
import { OrderedBytes } from "./ordered-bytes.ts";
import type { PayloadRules } from "./payloads.ts";
import { Publications } from "./publications.ts";
import type { OwnQueryStats } from "./query-stats.ts";
import { Recovery } from "./recovery.ts";
import type { ReplicaRounds, ReplicaRoundsOptions } from "./replica-options.ts";
import { ReplicaOutcalls } from "./replica-outcalls.ts";
import { Announcements, keptOf, keyRunsOf, ownStatsOf, payloadRulesOf, readerOf } from "./replica-parts.ts";

/** Alarms further away are set again when it is over: timers of months stay exact after sleep. */
const ALARM_MS_MAX = 60_000;

class Replica implements ReplicaRounds {
  readonly #options: ReplicaRoundsOptions;
  readonly #driver: RoundDriver;
  readonly #member: MemberDriver;
  readonly #rules: PayloadRules;
  readonly #ordered: OrderedBytes;
  readonly #announced: Announcements;
  readonly #figures = newRoundFigures();
  readonly #rest = createRest(() => {
    this.#driver.onRested();
    this.poke();
  });
  readonly pool: ReplicaPool;
  readonly watchers: Watchers = new Watchers();
  readonly isDiverged = (): boolean => this.#recovery.isDiverged;
  readonly threads: SubnetThreads;
  readonly outcalls: ReplicaOutcalls;
  readonly #publications: Publications;
  readonly #stats: OwnQueryStats;
  readonly #recovery: Recovery;
  readonly membership: Membership;
  /** The last block that was handed to execution. */
  #tip: ExecutionStarted["tip"];
  readonly #freshness: Freshness;
  readonly caughtUp = (): Promise<void> => this.#freshness.catchUp(this.#member.delivered);
  readonly #alarm = new Alarm(() => this.poke());
  #poked = false;
  #begun = false;
  #stopped = false;

  /** `recovered` is read once and kept nowhere. */
  constructor(options: ReplicaRoundsOptions, recovered: readonly RecoveredArtifact[]) {
    this.#options = options;
    const { started, local, threads, clock } = options;
    this.threads = threads;
    this.#tip = started.tip;
    this.#announced = new Announcements(options);
    this.#publications = new Publications(started.tip);
    this.#freshness = new Freshness(this.#publications, clock);
    this.#driver = new RoundDriver(started.tip);
    this.#driver.onExecuted({ height: started.tip.height, ...started.wake });
    const reader = readerOf(options, {
      verified: (id) => this.pool.waiting(id),
      wake: () => this.#member.wake(),
    });
    this.pool = new ReplicaPool({
      reader,
      messageBytesMax: options.ingressBytesMax,
      onNew: (message) => options.voice.offer(message),
      onGone: (id) => options.voice.withdraw(id),
    });
    this.#stats = ownStatsOf(options, () => this.#stopped);
    this.membership = new Membership({
      ...options,
      keyRuns: keyRunsOf(options),
      nodeId: local.keys.nodeId,
      membersAt: (height) => this.#member.membersAt(height),
      tip: () => this.#tip.height,
    });
    this.outcalls = new ReplicaOutcalls({
      ...options,
      members: this.membership.places,
      onChange: () => this.poke(),
      onLie: (peer, why) => blame(options, peer, why),
      onFailure: (error) => this.#fail(error),
    });
    this.#recovery = new Recovery({
      ...options,
      local: { info: { ...local.info, nodes: options.registry.nodes } },
      apply: (finalized) => this.#apply(finalized),
      onSynced: (height) => this.#member.tell({ kind: "synced", height }),
      onFailure: (error) => this.#fail(error),
    });
    const { catchUpInterval } = options.genesis;
    assert(catchUpInterval !== undefined, "the genesis of nodes that agree says from when to when");
    this.#ordered = new OrderedBytes((height) => this.#member.intervalOf(height));
    this.#rules = payloadRulesOf(options, reader, {
      responseFault: (response, block) => this.outcalls.fault(response, block),
      ordered: this.#ordered,
    });
    this.#member = new MemberDriver(this.#driving(clock, catchUpInterval), keptOf(options, recovered));
  }

  #driving(clock: Clock, catchUpInterval: number): MemberDriverOptions {
    const options = this.#options;
    const { local, keys, genesis, threads } = options;
    return {
      ...options,
      environment: environmentOf({
        ...options,
        catchUpInterval,
        rules: this.#rules,
        isBusy: () => this.#isBusy(),
        waiting: ({ past, height }) => ({
          ingress: this.pool.entries(),
          slices: options.slices.offers(),
          queryStats: this.#stats.offer(past),
          responses: this.outcalls.offers(height),
          holdsLong: this.#driver.holdsLong(clock.now()),
          subnets: this.#announced.waiting(),
        }),
      }),
      start: genesisStart(local, genesis, keys),
      keep: threads.keep,
      purge: threads.purge,
      onDeliver: (proposal, tape, maker) => this.#deliver(proposal, tape, maker),
      onCertified: (certification) => {
        this.#publications.onCertified(certification);
        this.#publishReady();
      },
      onSync: (catchUp) =>
        this.membership.whenKnown(catchUp.block.context.registryVersion, () =>
          this.#recovery.begin(catchUp, this.#tip),
        ),
      onDiverged: (height) => this.#recovery.diverged(height),
      onFailure: (error) => options.onFailure("main", error),
    };
  }

  /** Consensus begins; what was certified before a restart is shown at once. */
  begin(): void {
    const { started } = this.#options;
    const { height } = started.tip;
    this.#begun = true;
    this.#member.begin();
    const { isSuperseded, newestPackage: newest } = this.#member;
    if (this.#member.delivered < height && !isSuperseded) {
      this.#fail(signaturesLost(this.#member.delivered, height));
      return;
    }
    if (height > 0 && !isSuperseded) this.#tellExecuted(height, started.rootHash, null);
    for (const whole of started.stateHashes) this.#member.tell({ kind: "checkpointed", ...whole });
    const certification = this.#member.certificationAt(height);
    if (certification !== null) this.#publications.onCertified(certification);
    this.#publications.onExecuted(height, { rootHash: started.rootHash, answered: [], streams: [] });
    this.outcalls.begin(started.outcalls);
    if (newest !== null) this.membership.began(newest.block);
    else if (isSuperseded) this.#options.onSuperseded(null);
    this.#publishReady();
  }

  // ---- what the node's other parts see

  publishedHeight(): Height {
    return this.#publications.height ?? 0;
  }

  figures(): ReturnType<Rounds["figures"]> {
    return {
      ...this.#figures,
      subnetId: principalToText(this.#options.local.info.subnetId),
      publishedHeight: this.publishedHeight(),
      poolMessages: this.pool.size,
      watchers: this.watchers.size,
      isDiverged: this.isDiverged(),
      unfinishedKeys: this.membership.keyRuns.unfinished,
    };
  }

  blockTime(): TimeNs {
    return this.#tip.time;
  }

  fresh(): Promise<void> | null {
    return this.#freshness.wait();
  }

  poke(): void {
    if (this.#poked || this.#stopped || !this.#begun) return;
    this.#poked = true;
    // After the current batch of I/O events: requests that arrived together share a block.
    setImmediate(() => {
      this.#poked = false;
      this.#member.wake();
      this.#setAlarm();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#member.stop();
    this.#recovery.stop();
    this.outcalls.stop();
    this.#rest.end();
    this.#alarm.set(null);
    this.watchers.cancelAll();
    this.#freshness.stop();
  }

  registryGrew(): void {
    this.membership.registryGrew();
    this.poke();
  }

  // ---- what threads and peers say

  onDurable(height: Height): void {
    this.#driver.onDurable(height);
    this.#publishReady();
  }

  onKept(sequence: number): void {
    this.#member.durable(sequence);
  }

  onExecution(report: Parameters<Rounds["onExecution"]>[0]): void {
    if (report.kind === "ready") {
      this.#driver.onReady(report.height);
      this.poke();
      return;
    }
    this.#executedRound(report);
  }

  #executedRound(report: RoundReport): void {
    const { height, wake, answered, streams, outcome } = report;
    this.#driver.onExecuted({ height, ...wake });
    if (wake.moreWork) {
      this.#driver.onRest();
      this.#rest.start();
    }
    countRound(this.#figures, { ...report, answers: answered.length });
    this.outcalls.executed(height, report.outcalls);
    if (outcome === null) return;
    this.#publications.onExecuted(height, { rootHash: outcome.rootHash, answered, streams });
    this.#tellExecuted(height, outcome.rootHash, outcome.stateHash);
    this.#publishReady();
    this.poke();
  }

  #tellExecuted(height: Height, rootHash: Uint8Array, stateHash: Uint8Array | null): void {
    this.#member.tell({ kind: "executed", height, rootHash });
    if (stateHash !== null) this.#member.tell({ kind: "checkpointed", height, stateHash });
    this.#recovery.executed(height, stateHash);
  }

  get ingressBytesMax(): number {
    return this.#options.ingressBytesMax;
  }

  hearArtifact(peer: number, bytes: Uint8Array, ingress: readonly Uint8Array[]): void {
    if (this.#stopped) return;
    const { voice } = this.#options;
    const before = process.threadCpuUsage();
    try {
      this.#member.tell({ kind: "artifact", from: peer, artifact: decodeArtifact(bytes, ingress) });
    } catch (error) {
      if (!(error instanceof OrreryError) || error.code !== "artifact_invalid") throw error;
      blame(this.#options, peer, error.message);
    }
    const { user, system } = process.threadCpuUsage(before);
    voice.report(peer, user + system, false);
  }

  hearIngress(peer: number, envelope: Uint8Array): void {
    if (this.#stopped) return;
    if (this.pool.hear(envelope)) this.poke();
    else blame(this.#options, peer, "an ingress message that nobody signed");
  }

  ingressPart(hash: Uint8Array): Uint8Array | null {
    return this.pool.part(hash);
  }

  knowsIngress(requestId: string): boolean {
    return this.pool.has(requestId);
  }

  tellBlocks(from: Height): Promise<readonly Uint8Array[]> {
    return this.threads.blocks(from);
  }

  async tellState(request: StateRequest): Promise<readonly Uint8Array[]> {
    if (this.#stopped) return [];
    const catchUp = this.#member.newestPackage;
    const newest = catchUp === null ? null : { height: catchUp.height, stateHash: catchUp.stateHash };
    return await this.threads.state<readonly Uint8Array[]>({ kind: "tell", ...request, newest });
  }

  // ---- rounds

  #isBusy(): boolean {
    const waiting = this.pool.size + this.#options.slices.waiting() + this.outcalls.settled;
    return this.#driver.shouldMakeBlock({ now: this.#options.clock.now(), poolSize: waiting });
  }

  /** After a restart blocks come again that were executed before. */
  #deliver({ block, signer, signature }: Proposal, tape: ThresholdSignature, named?: NodeId): void {
    this.#ordered.add(block.height, block.payload);
    if (block.height > this.#tip.height) {
      const { keys, local } = this.#options;
      const maker = keys.intervals === null ? local.info.nodes[signer]?.nodeId : named;
      if (maker === undefined) throw new Error(`block ${block.height} has a maker who is not of the subnet`);
      this.#apply({ proposal: { block, signer: maker as NodeId, signature }, tape: tape.signature });
    }
    this.membership.began(block);
  }

  #apply(finalized: FinalizedBlock): void {
    const { block } = finalized.proposal;
    const { height, context, payload } = block;
    this.#tip = { height, hash: blockHash(block), time: context.time };
    this.#ordered.add(height, payload);
    const batch = batchOf(finalized);
    this.#publications.onDelivered(height, context.time);
    this.threads.append({ height, bytes: encodeFinalizedBlock(finalized) });
    if (this.#driver.isIdle) this.#rest.begin();
    this.#driver.onMade(batch);
    this.threads.execute(batch);
    this.pool.ordered(payload.ingress, context.time);
    this.#stats.ordered(payload);
    this.#announced.ordered(payload);
    const read = (payload.xnet ?? []).map(this.#rules.readSlice);
    const sources = read.flatMap((source) => (source !== "later" && source.ok ? [source.value] : []));
    if (sources.length > 0) this.#options.slices.ordered(height, sources);
    this.#setAlarm();
  }

  /** Timers of canisters, and executions that are behind for too long. */
  #setAlarm(): void {
    const now = this.#options.clock.now();
    const at = this.#driver.nextWake(now);
    const ms = at === null ? 0 : Math.min(ALARM_MS_MAX, Math.ceil(Number(at - now) / 1e6));
    // What is due already is seen by whoever has something to do; an alarm for it would ring for ever.
    this.#alarm.set(ms > 0 && !this.#stopped ? ms : null);
  }

  /** Shows what has become durable, executed and certified. */
  #publishReady(): void {
    this.#publications.onReady(this.#driver.takePublishable());
    if (this.#recovery.isDiverged) return;
    const due = this.#publications.take();
    if (due.kind === "diverged") this.#recovery.diverged(due.height);
    if (due.kind !== "publish") return;
    const { height, signature, answered, streams } = due;
    this.threads.publish(height, signature);
    this.outcalls.published(height);
    this.#options.onPublished(height, streams);
    this.watchers.resolve(answered);
    this.#stats.published(this.#publications.time);
    this.#freshness.published();
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.stop();
    this.#options.onFailure("main", error);
  }
}

export function createReplicaRounds(
  options: ReplicaRoundsOptions,
  recovered: readonly RecoveredArtifact[],
): ReplicaRounds {
  return new Replica(options, recovered);
}

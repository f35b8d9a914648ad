/**
 * Drives one member of consensus (`@orrery/consensus/member`) on a node's main thread. In: what peers say, the clock, what was executed and
 * hashed. Out: what is durable is published, finalized blocks are delivered, certifications are handed on. Invariant: nothing that a step
 * signed leaves before all that the step persisted is durable.
 */
import type { Clock, Height, Logger, NodeId, TimeNs } from "@orrery/base";
import {
  type Artifact,
  artifactId,
  type CatchUpPackage,
  heightOf,
  type Kept,
  Member,
  type MemberEffect,
  type MemberEnvironment,
  type MemberInput,
  type Proposal,
  type Start,
  type ThresholdSignature,
} from "@orrery/consensus/member";
import { Alarm } from "./alarm.ts";
import { encodeArtifact } from "./artifact-codec.ts";
import type { ArtifactRecord } from "./artifact-log.ts";
import type { Voice } from "./voice.ts";

const NS_PER_MS = 1_000_000;
/** Between two looks at the clock, at most. */
const ALARM_MS_MAX = 60_000;

export interface MemberDriverOptions {
  readonly environment: MemberEnvironment;
  readonly start: Start;
  readonly voice: Pick<Voice, "publish" | "retract" | "again" | "report">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Makes records durable; `durable(sequence)` says when. */
  readonly keep: (sequence: number, records: readonly ArtifactRecord[]) => void;
  /** Records below are not needed any more. */
  readonly purge: (below: Height) => void;
  /** `maker`: where members change. */
  readonly onDeliver: (proposal: Proposal, tape: ThresholdSignature, maker?: NodeId) => void;
  readonly onCertified: (certification: ThresholdSignature) => void;
  /** It is persisted from now on; of the newest that was kept before, said once more. */
  readonly onPackage: (catchUp: CatchUpPackage) => void;
  /** Of a package that is for another version of the program. */
  readonly onSuperseded: (catchUp: CatchUpPackage) => void;
  readonly onSync: (catchUp: CatchUpPackage) => void;
  readonly onDiverged: (height: Height) => void;
  readonly onFailure: (error: unknown) => void;
}

export class MemberDriver {
  readonly #options: MemberDriverOptions;
  readonly #member: Member;
  /** Of what was handed to the disk, and of what is durable there. */
  #sequence = 0;
  #durable = 0;
  /** To be published once the disk has come so far. */
  #held: { readonly sequence: number; readonly artifacts: readonly Artifact[] }[] = [];
  readonly #alarm = new Alarm(() => this.wake());
  #alarmAt: TimeNs | null = null;
  #lastTime: TimeNs = 0n;
  #stopped = false;

  /** `kept` is what the member has to know of its life before; it is held nowhere else. */
  constructor(options: MemberDriverOptions, kept: Kept) {
    this.#options = options;
    this.#member = new Member(options.environment, options.start, kept);
  }

  get delivered(): Height {
    return this.#member.delivered;
  }

  /** Who agrees on the block of a height, in the order in which they are counted; null where they never change, or nobody can know yet. */
  membersAt(height: Height): readonly NodeId[] | null {
    return this.#member.nodeIdsAt(height);
  }

  /** In which a height is; null where nobody can know. */
  readonly intervalOf: Member["intervalOf"] = (height) => this.#member.intervalOf(height);

  get certifiedHeight(): Height {
    return this.#member.pool.certifiedHeight;
  }

  /** The newest package is for another version of the program. */
  get isSuperseded(): boolean {
    return this.#member.isSuperseded;
  }

  get newestPackage(): CatchUpPackage | null {
    return this.#member.newestPackage;
  }

  /** Of a height above the newest catch-up package; null when it is not known. */
  certificationAt(height: Height): ThresholdSignature | null {
    return this.#member.pool.peek(height)?.certification ?? null;
  }

  /** Consensus begins. The process may have gone down between keeping the newest package and taking in what that says. */
  begin(): void {
    const { newestPackage: newest } = this;
    if (newest !== null) this.#options.onPackage(newest);
    this.wake();
  }

  /** Time has passed, or what waits here has changed. */
  wake(): void {
    if (this.#stopped) return;
    try {
      this.#follow(this.#member.step({ kind: "time", now: this.#advance() }));
      this.#setAlarm();
    } catch (error) {
      this.#options.onFailure(error);
    }
  }

  tell(input: Exclude<MemberInput, { kind: "time" }>): void {
    if (this.#stopped) return;
    try {
      this.#follow(this.#member.step(input, this.#advance()));
      this.#setAlarm();
    } catch (error) {
      this.#options.onFailure(error);
    }
  }

  /** Everything handed to the disk up to `sequence` is durable. */
  durable(sequence: number): void {
    this.#durable = sequence;
    while (this.#held.length > 0) {
      const [first] = this.#held;
      if (first === undefined || first.sequence > sequence) return;
      this.#held.shift();
      for (const artifact of first.artifacts) this.#options.voice.publish(artifact);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#alarm.set(null);
  }

  #advance(): TimeNs {
    const now = this.#options.clock.now();
    if (now > this.#lastTime) this.#lastTime = now;
    return this.#lastTime;
  }

  #setAlarm(): void {
    const at = this.#member.nextTime();
    if (at === this.#alarmAt && this.#alarm.isSet) return;
    this.#alarmAt = at;
    const ms = at === null ? 0 : Math.ceil(Number(at - this.#options.clock.now()) / NS_PER_MS);
    this.#alarm.set(at === null || this.#stopped ? null : Math.min(ALARM_MS_MAX, Math.max(1, ms)));
  }

  /** Persist first: what is delivered and published below stands on it. */
  #follow(effects: readonly MemberEffect[]): void {
    const records: ArtifactRecord[] = [];
    const published: Artifact[] = [];
    for (const effect of effects) {
      if (effect.kind === "persist")
        records.push({ height: heightOf(effect.artifact), bytes: encodeArtifact(effect.artifact) });
      if (effect.kind === "publish") published.push(effect.artifact);
    }
    if (records.length > 0) this.#options.keep(++this.#sequence, records);
    if (published.length > 0) this.#publish(published);
    for (const effect of effects) this.#perform(effect);
  }

  #publish(artifacts: readonly Artifact[]): void {
    if (this.#durable >= this.#sequence) {
      for (const artifact of artifacts) this.#options.voice.publish(artifact);
    } else this.#held.push({ sequence: this.#sequence, artifacts });
  }

  #perform(effect: MemberEffect): void {
    const { voice, logger, environment } = this.#options;
    switch (effect.kind) {
      case "persist":
        if (effect.artifact.kind === "catch_up") this.#options.onPackage(effect.artifact);
        return;
      case "publish":
        return;
      case "retract":
        this.#retract(effect.id);
        return;
      case "deliver": {
        const proposal = this.#member.pool.finalizedAt(effect.block.height);
        if (proposal !== null) this.#options.onDeliver(proposal, effect.tape, effect.maker);
        return;
      }
      case "certified":
        this.#options.onCertified(effect.certification);
        return;
      case "sync":
        this.#options.onSync(effect.catchUp);
        return;
      case "superseded":
        this.#options.onSuperseded(effect.catchUp);
        return;
      case "purge":
        this.#options.purge(effect.below);
        return;
      case "diverged":
        this.#options.onDiverged(effect.height);
        return;
      case "again":
        voice.again(effect.from);
        return;
      case "misbehaved":
        voice.report(effect.peer, 0, true);
        logger.log("warn", "a member of the subnet misbehaves", {
          peer: effect.peer,
          self: environment.config.self,
          why: effect.why,
        });
    }
  }

  /** What waits for the disk is taken back as well. */
  #retract(id: string): void {
    this.#options.voice.retract(id);
    this.#held = this.#held.map(({ sequence, artifacts }) => ({
      sequence,
      artifacts: artifacts.filter((artifact) => artifactId(artifact) !== id),
    }));
  }
}

/** A node of a simulated subnet: a real member, a disk that keeps what was persisted, and what executes. A crash leaves the disk. */
import type { Height } from "@orrery/base";
import {
  type Artifact,
  artifactId,
  heightOf,
  Member,
  type MemberConfig,
  type MemberCrypto,
  type MemberEffect,
  type MemberEnvironment,
  type MemberInput,
  type Start,
} from "@orrery/consensus/member";
import type { Application, SimState } from "./application.ts";
import { FIRST_PROGRAM } from "./sim-registry.ts";

export interface SimNodeOptions {
  readonly config: MemberConfig;
  readonly crypto: MemberCrypto;
  readonly start: Start;
  readonly index: number;
  readonly registryVersion: () => number;
  /** Where members and keys change. */
  readonly intervals?: Omit<NonNullable<MemberEnvironment["intervals"]>, "runs">;
  readonly application: Application;
}

export class SimNode {
  readonly #options: SimNodeOptions;
  #member: Member | null = null;
  readonly disk: Artifact[] = [];
  /** Where in its next writing it ends, as a part of the whole. */
  #tear: number | null = null;
  #isTorn = false;
  #program = FIRST_PROGRAM;
  #distrusted: Height | null = null;
  readonly application: Application;
  /** Published and not retracted. */
  readonly published: Map<string, Artifact> = new Map();

  constructor(options: SimNodeOptions) {
    this.#options = options;
    this.application = options.application;
  }

  /** Version of the program that it is started with. */
  get program(): string {
    return this.#program;
  }

  /** Down until it is started with it; one that meanwhile came to a package for its own version is left alone. */
  install(version: string): void {
    if (this.#member?.isSuperseded === false) return;
    if (this.isUp) this.crash();
    this.#program = version;
    this.application.install(version);
  }

  get isUp(): boolean {
    return this.#member !== null;
  }

  get height(): Height {
    return this.application.height;
  }

  get index(): number {
    return this.#options.index;
  }

  /** From what the disk has; the effects that follow from it. */
  boot(now: bigint): readonly MemberEffect[] {
    const program = this.#program;
    const runs = (named = FIRST_PROGRAM): boolean => named === program;
    const environment = {
      config: this.#options.config,
      crypto: this.#options.crypto,
      payloads: this.application,
      registryVersion: this.#options.registryVersion,
      ...(this.#options.intervals === undefined ? {} : { intervals: { ...this.#options.intervals, runs } }),
    };
    if (this.#distrusted !== null) this.application.dropFrom(this.#distrusted);
    this.#distrusted = null;
    const kept = { artifacts: this.disk, stateHeight: this.height };
    this.#member = new Member(environment, this.#options.start, kept);
    this.published.clear();
    return this.step({ kind: "time", now });
  }

  crash(): void {
    this.#member = null;
    this.#tear = null;
    this.#isTorn = false;
    this.application.crash();
  }

  /** It crashes the next time that it writes, with only a part of that on the disk and nothing done after it; null: it does not. */
  tear(part: number | null): void {
    this.#tear = part;
  }

  /** Whether it did so; it has to be taken down. */
  get isTorn(): boolean {
    return this.#isTorn;
  }

  /** What is left when it stopped there. */
  #torn(effects: readonly MemberEffect[], part: number): readonly MemberEffect[] {
    const writes = effects.flatMap(({ kind }, place) => (kind === "persist" ? [place] : []));
    const end = writes[Math.floor(part * writes.length)];
    if (end === undefined) return effects;
    this.#isTorn = true;
    return effects.slice(0, end);
  }

  /** Down, and with nothing but its keys. */
  loseDisk(): void {
    this.crash();
    this.disk.length = 0;
    this.#distrusted = null;
    this.application.dropFrom(this.#options.start.tip.height + 1);
  }

  /** Persisted and published things are kept here; all effects that came to pass are returned. */
  step(input: MemberInput, now?: bigint): readonly MemberEffect[] {
    const member = this.#member;
    if (member === null || this.#isTorn) return [];
    const made = member.step(input, now);
    const effects = this.#tear === null ? made : this.#torn(made, this.#tear);
    for (const effect of effects) {
      if (effect.kind === "persist") this.disk.push(effect.artifact);
      else if (effect.kind === "publish") this.published.set(artifactId(effect.artifact), effect.artifact);
      else if (effect.kind === "retract") this.published.delete(effect.id);
      else if (effect.kind === "purge") this.#purge(effect.below);
    }
    return effects;
  }

  #purge(below: Height): void {
    if (this.#distrusted !== null) this.application.dropFrom(this.#distrusted);
    this.#distrusted = null;
    const kept = this.disk.filter((artifact) => heightOf(artifact) >= below);
    this.disk.splice(0, this.disk.length, ...kept);
    this.application.forget(below);
  }

  /** A quorum has another state at the height: what is here from there on is thrown away at the next start, if not before. */
  distrust(from: Height): void {
    this.#distrusted = Math.min(this.#distrusted ?? from, from);
  }

  get member(): Member | null {
    return this.#member;
  }

  nextTime(): bigint | null {
    return this.#member?.nextTime() ?? null;
  }

  /** Of the subnet's own key. */
  get crypto(): MemberCrypto {
    return this.#options.crypto;
  }

  /** Takes a state that another node handed out. */
  adopt(state: SimState): void {
    this.#distrusted = null;
    this.application.adopt(state);
  }
}

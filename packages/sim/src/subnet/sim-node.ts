/**
 * A node of a simulated subnet: a real member, a disk that keeps what was persisted, messages of clients, and a state that stands for
 * execution (simulated: a chain of hashes over what was delivered). A crash leaves the disk and the chain of states.
 */
import { assert, type BlockPayload, concatBytes, fromHex, type Height, toHex } from "@orrery/base";
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
  type PayloadContext,
  type PayloadJudgement,
  type Payloads,
  type Start,
} from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";

const MESSAGES_PER_BLOCK = 10;

export interface SimNodeOptions {
  readonly config: MemberConfig;
  readonly crypto: MemberCrypto;
  readonly start: Start;
  readonly index: number;
  readonly registryVersion: () => number;
  /** Where members and keys change. */
  readonly intervals?: MemberEnvironment["intervals"];
  /** Of the state before the first block. */
  readonly rootHash: Uint8Array;
}

/** What stands for the state of a canister subnet (simulated). */
export interface SimState {
  readonly height: Height;
  readonly rootHash: Uint8Array;
  /** Messages by the height of the block that has them. */
  readonly done: ReadonlyMap<string, Height>;
}

export class SimNode implements Payloads {
  readonly #options: SimNodeOptions;
  #member: Member | null = null;
  readonly disk: Artifact[] = [];
  #isCorrupt = false;
  /** Where in its next writing it ends, as a part of the whole. */
  #tear: number | null = null;
  #isTorn = false;
  #distrusted: Height | null = null;
  #height: Height;
  /** By height: a block that is delivered again after a restart has the root that it had. */
  readonly #roots = new Map<Height, Uint8Array>();
  readonly #done = new Map<string, Height>();
  readonly #pending = new Map<string, Uint8Array>();
  /** Published and not retracted. */
  readonly published: Map<string, Artifact> = new Map();

  constructor(options: SimNodeOptions) {
    this.#options = options;
    this.#height = options.start.tip.height;
    this.#roots.set(this.#height, options.rootHash);
  }

  get isUp(): boolean {
    return this.#member !== null;
  }

  get height(): Height {
    return this.#height;
  }

  get index(): number {
    return this.#options.index;
  }

  /** From what the disk has; the effects that follow from it. */
  boot(now: bigint): readonly MemberEffect[] {
    const environment = {
      config: this.#options.config,
      crypto: this.#options.crypto,
      payloads: this,
      registryVersion: this.#options.registryVersion,
      ...(this.#options.intervals === undefined ? {} : { intervals: this.#options.intervals }),
    };
    if (this.#distrusted !== null) this.#dropStates(this.#distrusted);
    this.#distrusted = null;
    const kept = { artifacts: this.disk, stateHeight: this.#height };
    this.#member = new Member(environment, this.#options.start, kept);
    this.published.clear();
    return this.step({ kind: "time", now });
  }

  crash(): void {
    this.#member = null;
    this.#tear = null;
    this.#isTorn = false;
    this.#pending.clear();
  }

  /** It crashes the next time that it writes, with only a part of that on the disk and nothing done after it. */
  tear(part: number): void {
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
    this.#isCorrupt = false;
    this.#dropStates(this.#options.start.tip.height + 1);
  }

  /** Persisted and published things are kept here; all effects that came to pass are returned. */
  step(input: MemberInput): readonly MemberEffect[] {
    const member = this.#member;
    if (member === null || this.#isTorn) return [];
    const made = member.step(input);
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
    if (this.#distrusted !== null) this.#dropStates(this.#distrusted);
    this.#distrusted = null;
    const kept = this.disk.filter((artifact) => heightOf(artifact) >= below);
    this.disk.splice(0, this.disk.length, ...kept);
  }

  /** A quorum has another state at the height: what is here from there on is thrown away at the next start, if not before. */
  distrust(from: Height): void {
    this.#distrusted = Math.min(this.#distrusted ?? from, from);
  }

  #dropStates(from: Height): void {
    this.#height = Math.min(this.#height, from - 1);
    for (const height of [...this.#roots.keys()]) if (height >= from) this.#roots.delete(height);
    for (const [id, height] of [...this.#done]) if (height >= from) this.#done.delete(id);
  }

  /** Its next state is another one than it should be: a broken disk or memory. */
  corrupt(): void {
    this.#isCorrupt = true;
  }

  get member(): Member | null {
    return this.#member;
  }

  nextTime(): bigint | null {
    return this.#member?.nextTime() ?? null;
  }

  submit(message: Uint8Array): void {
    const id = toHex(message);
    if (!this.#done.has(id)) this.#pending.set(id, message);
  }

  /** Messages that its state has from the block of a height. */
  messagesAt(height: Height): readonly Uint8Array[] {
    return [...this.#done].filter(([, at]) => at === height).map(([id]) => fromHex(id));
  }

  /** The state after a delivered block; the one it had before a crash for those it executed then. */
  execute(
    height: Height,
    blockHash: Uint8Array,
    tape: Uint8Array,
    ingress: readonly Uint8Array[],
  ): Uint8Array {
    const known = this.#roots.get(height);
    if (known !== undefined) return known;
    const before = this.#roots.get(height - 1);
    assert(before !== undefined && height === this.#height + 1, `block ${height} is not the next`);
    const flaw = this.#isCorrupt ? [new Uint8Array(1)] : [];
    this.#isCorrupt = false;
    const rootHash = sha256(concatBytes(before, blockHash, tape, ...flaw));
    this.#height = height;
    this.#roots.set(height, rootHash);
    for (const id of ingress.map(toHex)) {
      this.#done.set(id, height);
      this.#pending.delete(id);
    }
    return rootHash;
  }

  /** The state at a height; null when this node does not have it. */
  stateAt(height: Height): SimState | null {
    const rootHash = this.#roots.get(height);
    if (rootHash === undefined) return null;
    return { height, rootHash, done: new Map([...this.#done].filter(([, at]) => at <= height)) };
  }

  /** Takes another's state. */
  adopt({ height, rootHash, done }: SimState): void {
    this.#dropStates(height);
    this.#isCorrupt = false;
    this.#distrusted = null;
    this.#height = height;
    this.#roots.set(height, rootHash);
    for (const [id, at] of done) {
      this.#done.set(id, at);
      this.#pending.delete(id);
    }
  }

  build({ past }: PayloadContext): BlockPayload {
    const ordered = new Set(past.flatMap(({ ingress }) => ingress.map(toHex)));
    const ingress: Uint8Array[] = [];
    for (const [id, message] of this.#pending) {
      if (ingress.length >= MESSAGES_PER_BLOCK) break;
      if (!ordered.has(id)) ingress.push(message);
    }
    return { ingress };
  }

  judge(payload: BlockPayload, { past, certifiedHeight }: PayloadContext): PayloadJudgement {
    const ordered = new Set(past.flatMap(({ ingress }) => ingress.map(toHex)));
    for (const message of payload.ingress) {
      const id = toHex(message);
      if (ordered.has(id)) return { kind: "invalid", reason: "a message is ordered twice" };
      // In the state at the certified height, as every member has it.
      const done = this.#done.get(id);
      if (done !== undefined && done <= certifiedHeight)
        return { kind: "invalid", reason: "a message is executed already" };
      ordered.add(id);
    }
    return payload.ingress.length > MESSAGES_PER_BLOCK
      ? { kind: "invalid", reason: "too many messages" }
      : { kind: "valid" };
  }
}

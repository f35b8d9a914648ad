/** Stands for execution (simulated): a chain of hashes over what was delivered, all of it on the disk at once. */
import {
  assert,
  type Block,
  type BlockPayload,
  concatBytes,
  fromHex,
  type Height,
  toHex,
  utf8,
} from "@orrery/base";
import { blockHash } from "@orrery/consensus";
import type { PayloadContext, PayloadJudgement } from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import type { Application, Executed, SimState } from "./application.ts";
import { FIRST_PROGRAM } from "./sim-registry.ts";

const MESSAGES_PER_BLOCK = 10;

export class HashApplication implements Application {
  #isCorrupt = false;
  /** Of another version than the first: its own mark on each state. */
  #mark: readonly Uint8Array[] = [];
  #height: Height;
  readonly #first: Height;
  /** By height: a block that is delivered again after a restart has the root that it had. */
  readonly #roots = new Map<Height, Uint8Array>();
  readonly #done = new Map<string, Height>();
  /** The same, by height. */
  readonly #doneAt = new Map<Height, string[]>();
  readonly #pending = new Map<string, Uint8Array>();

  /** `rootHash`: of the state before the first block. */
  constructor(height: Height, rootHash: Uint8Array) {
    this.#height = height;
    this.#first = height;
    this.#roots.set(height, rootHash);
  }

  get height(): Height {
    return this.#height;
  }

  crash(): void {
    this.#pending.clear();
  }

  install(version: string): void {
    this.#mark = version === FIRST_PROGRAM ? [] : [utf8(version)];
  }

  dropFrom(from: Height): void {
    this.#height = Math.max(this.#first, Math.min(this.#height, from - 1));
    for (const height of [...this.#roots.keys()])
      if (height >= from && height !== this.#first) this.#roots.delete(height);
    for (const [height, ids] of this.#doneAt) {
      if (height < from) continue;
      for (const id of ids) this.#done.delete(id);
      this.#doneAt.delete(height);
    }
  }

  forget(): void {}

  certified(): void {}

  corrupt(): void {
    this.#isCorrupt = true;
  }

  submit(message: Uint8Array): void {
    const id = toHex(message);
    if (!this.#done.has(id)) this.#pending.set(id, message);
  }

  messagesAt(height: Height): readonly Uint8Array[] {
    return (this.#doneAt.get(height) ?? []).map(fromHex);
  }

  execute(block: Block, tape: Uint8Array, isWhole: boolean): Executed {
    const { height } = block;
    const rootHash = this.#roots.get(height) ?? this.#next(block, tape);
    return { rootHash, stateHash: isWhole ? sha256(rootHash) : null };
  }

  #next(block: Block, tape: Uint8Array): Uint8Array {
    const { height, payload } = block;
    const before = this.#roots.get(height - 1);
    assert(before !== undefined && height === this.#height + 1, `block ${height} is not the next`);
    const flaw = this.#isCorrupt ? [new Uint8Array(1)] : [];
    this.#isCorrupt = false;
    const rootHash = sha256(concatBytes(before, blockHash(block), tape, ...flaw, ...this.#mark));
    this.#height = height;
    this.#roots.set(height, rootHash);
    for (const message of payload.ingress) this.#finish(toHex(message), height);
    return rootHash;
  }

  #finish(id: string, height: Height): void {
    this.#pending.delete(id);
    if (this.#done.get(id) === height) return;
    this.#done.set(id, height);
    const ids = this.#doneAt.get(height);
    if (ids === undefined) this.#doneAt.set(height, [id]);
    else ids.push(id);
  }

  stateAt(height: Height): SimState | null {
    const rootHash = this.#roots.get(height);
    if (rootHash === undefined) return null;
    return { height, rootHash, done: new Map([...this.#done].filter(([, at]) => at <= height)) };
  }

  hashOf({ rootHash }: SimState): Uint8Array {
    return sha256(rootHash);
  }

  forge(state: SimState): SimState {
    return { ...state, rootHash: sha256(state.rootHash) };
  }

  adopt({ height, rootHash, done }: SimState): void {
    this.dropFrom(height);
    this.#isCorrupt = false;
    this.#height = height;
    this.#roots.set(height, rootHash);
    for (const [id, at] of done) this.#finish(id, at);
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

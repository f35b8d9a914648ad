/**
 * The execution package as what a simulated node executes: blocks with messages of users and slices of other subnets' streams, certified by this
 * subnet's own members. Checkpoints are on the disk, blocks after the newest are executed again after a crash.
 */
import {
  assert,
  type Batch,
  type Block,
  type BlockPayload,
  type CborValue,
  decodeCbor,
  equalBytes,
  fromHex,
  type Height,
  type PrincipalKey,
  toHex,
} from "@orrery/base";
import type { MemberCrypto, PayloadContext, PayloadJudgement } from "@orrery/consensus/member";
import { type LabelTree, sha256, treeHash } from "@orrery/crypto";
import {
  certifySlice,
  chooseSlices,
  createExecution,
  type Execution,
  type ExpectedIndices,
  type GenesisCanister,
  installGenesis,
  otherSubnets,
  pastAfter,
  type SliceRequest,
  sliceRequest,
  takeSlice,
  type VerifySliceOptions,
  validateSlices,
  type XnetContext,
} from "@orrery/execution";
import {
  cloneState,
  fullStateHash,
  newState,
  PageArena,
  type ReplicatedState,
  type SubnetInfo,
} from "@orrery/state";
import type { Application, Executed, SimState } from "./application.ts";
import { CounterRunner } from "./counter-runner.ts";

const MESSAGES_PER_BLOCK = 10;
/** Newest ones that are kept: the last of which there is a package, and those after it. */
const CHECKPOINTS_KEPT = 4;
/** Heights below a package whose roots others may still ask about. */
const ROOTS_KEPT = 100;

/** The other subnets of the network, as a node meets them. */
export interface Neighbours {
  /** An encoded slice of the stream that some node of the subnet has; null when there is nothing new. */
  slice(source: PrincipalKey, request: SliceRequest): Uint8Array | null;
  readonly verifyBls: VerifySliceOptions["verifyBls"];
}

export interface CanisterOptions {
  readonly subnet: SubnetInfo;
  /** Of the state before the first block. */
  readonly time: bigint;
  readonly canisters: readonly GenesisCanister[];
  readonly neighbours: Neighbours;
}

export interface CanisterSimState extends SimState {
  readonly state: ReplicatedState;
}

interface Known {
  readonly rootHash: Uint8Array;
  readonly tree: LabelTree;
}

/** Slices carry signatures of this length. */
const SIGNATURE_BYTES = 48;

/** An ideal signature (simulated) in the room of a BLS one; those stay as they are. */
function filled(signature: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.max(SIGNATURE_BYTES, signature.length));
  bytes.set(signature);
  return bytes;
}

/** Whether a slice's signature is the members' under their key. */
export function verifyFilled(
  crypto: Pick<MemberCrypto, "verifyWhole">,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const ideal = signature.subarray(0, 32);
  const isIdeal = equalBytes(filled(ideal), signature);
  return crypto.verifyWhole("high", message, isIdeal ? ideal : signature);
}

/** When a user's message ends; null for what is none. */
export function expiryOf(message: Uint8Array): bigint | null {
  try {
    const content = (decodeCbor(message) as ReadonlyMap<string, CborValue>).get("content");
    const expiry = (content as ReadonlyMap<string, CborValue>).get("ingress_expiry");
    return typeof expiry === "bigint" || typeof expiry === "number" ? BigInt(expiry) : null;
  } catch {
    return null;
  }
}

export class CanisterApplication implements Application<CanisterSimState> {
  readonly #options: CanisterOptions;
  readonly #arena = new PageArena();
  readonly #runner = new CounterRunner();
  #state: ReplicatedState;
  #execution: Execution;
  #isCorrupt = false;
  /** Heights come again after a crash, these do not. */
  #executions = 0;
  readonly #known = new Map<Height, Known>();
  readonly #checkpoints = new Map<Height, CanisterSimState>();
  readonly #done = new Map<string, Height>();
  readonly #pending = new Map<string, Uint8Array>();
  #certified: { readonly tree: LabelTree; readonly signature: Uint8Array; readonly height: Height } | null =
    null;

  constructor(options: CanisterOptions) {
    this.#options = options;
    const state = newState({ subnet: options.subnet, time: options.time });
    installGenesis(state, this.#runner, options.canisters);
    this.#state = state;
    this.#execution = this.#execute();
    this.#known.set(0, { rootHash: treeHash(state.tree), tree: state.tree });
    this.#keep();
  }

  /** For those who watch from outside: not to be changed. */
  get state(): ReplicatedState {
    return this.#state;
  }

  get height(): Height {
    return this.#state.height;
  }

  #execute(): Execution {
    return createExecution(this.#state, { runner: this.#runner, arena: this.#arena });
  }

  /** A checkpoint of what there is. */
  #keep(): CanisterSimState {
    const state = cloneState(this.#state, this.#arena);
    const { rootHash } = this.#known.get(state.height) as Known;
    const checkpoint = { height: state.height, rootHash, done: new Map(this.#done), state };
    this.#checkpoints.set(state.height, checkpoint);
    const old = [...this.#checkpoints.keys()].filter((height) => height > 0).sort((a, b) => b - a);
    for (const height of old.slice(CHECKPOINTS_KEPT)) this.#checkpoints.delete(height);
    return checkpoint;
  }

  #load({ state, rootHash, done, height }: CanisterSimState): void {
    this.#state = cloneState(state, this.#arena);
    this.#execution = this.#execute();
    for (const each of [...this.#known.keys()]) if (each > height) this.#known.delete(each);
    this.#known.set(height, { rootHash, tree: state.tree });
    this.#done.clear();
    for (const [id, at] of done) this.#done.set(id, at);
    if ((this.#certified?.height ?? 0) > height) this.#certified = null;
  }

  /** There is one execution package: its versions come to the same. */
  install(): void {}

  crash(): void {
    this.#pending.clear();
    this.dropFrom(this.height + 1);
  }

  dropFrom(from: Height): void {
    for (const height of [...this.#checkpoints.keys()])
      if (height >= from && height > 0) this.#checkpoints.delete(height);
    const newest = Math.max(...this.#checkpoints.keys());
    this.#load(this.#checkpoints.get(newest) as CanisterSimState);
  }

  forget(below: Height): void {
    for (const height of [...this.#known.keys()])
      if (height < below - ROOTS_KEPT && !this.#checkpoints.has(height)) this.#known.delete(height);
  }

  certified(height: Height, signature: Uint8Array): void {
    const tree = this.#known.get(height)?.tree;
    if (tree !== undefined && height > (this.#certified?.height ?? 0))
      this.#certified = { tree, signature, height };
  }

  corrupt(): void {
    this.#isCorrupt = true;
  }

  submit(message: Uint8Array): void {
    const id = toHex(message);
    if (!this.#done.has(id)) this.#pending.set(id, message);
  }

  messagesAt(height: Height): readonly Uint8Array[] {
    return [...this.#done].filter(([, at]) => at === height).map(([id]) => fromHex(id));
  }

  execute(block: Block, tape: Uint8Array, isWhole: boolean): Executed {
    const { height } = block;
    const known = this.#known.get(height);
    if (known === undefined || height > this.height) this.#next(block, tape);
    const { rootHash } = this.#known.get(height) as Known;
    if (!isWhole) return { rootHash, stateHash: null };
    const checkpoint = this.#checkpoints.get(height) ?? (height === this.height ? this.#keep() : null);
    return { rootHash, stateHash: checkpoint === null ? null : this.hashOf(checkpoint) };
  }

  #next({ height, context, payload }: Block, tape: Uint8Array): void {
    assert(height === this.height + 1, `block ${height} is not the next`);
    const { ingress, xnet } = payload;
    const { time, registryVersion } = context;
    const batch: Batch = {
      height,
      time,
      registryVersion,
      randomness: sha256(tape),
      ingress,
      ...(xnet === undefined ? {} : { xnet }),
    };
    if (this.#isCorrupt) this.#break();
    const { rootHash } = this.#execution.applyBatch(batch);
    this.#arena.advance(++this.#executions);
    this.#arena.reclaim(this.#executions);
    this.#known.set(height, { rootHash, tree: this.#state.tree });
    for (const id of ingress.map(toHex)) {
      this.#done.set(id, height);
      this.#pending.delete(id);
    }
  }

  /** As if a page of it had been read wrongly. */
  #break(): void {
    this.#isCorrupt = false;
    const [key] = this.#state.canisters.keys();
    this.#execution.edit(key as PrincipalKey, ({ meta }) => {
      meta.certifiedData = sha256(meta.certifiedData);
    });
    this.#state.changed.canisters.add(key as PrincipalKey);
  }

  stateAt(height: Height): CanisterSimState | null {
    return this.#checkpoints.get(height) ?? null;
  }

  hashOf({ state }: CanisterSimState): Uint8Array {
    return fullStateHash(state, this.#arena);
  }

  forge(told: CanisterSimState): CanisterSimState {
    const state = cloneState(told.state, this.#arena);
    for (const { meta } of state.canisters.values()) meta.cycles += 1n;
    return { ...told, state };
  }

  adopt(told: CanisterSimState): void {
    this.dropFrom(told.height);
    this.#isCorrupt = false;
    this.#load(told);
    this.#keep();
    for (const id of told.done.keys()) this.#pending.delete(id);
  }

  /** A slice for another subnet, of the newest state that members certified; null when there is nothing new. */
  sliceFor(request: SliceRequest): Uint8Array | null {
    const certified = this.#certified;
    if (certified === null) return null;
    const slice = takeSlice({ tree: certified.tree, subnet: this.#options.subnet }, request);
    return slice === null ? null : certifySlice(slice, filled(certified.signature));
  }

  #xnetContext({ past, certifiedHeight }: PayloadContext): XnetContext | null {
    const tree = this.#known.get(certifiedHeight)?.tree;
    if (tree === undefined) return null;
    let taken: ReadonlyMap<PrincipalKey, ExpectedIndices> = new Map();
    for (const { xnet } of [...past].reverse()) if (xnet !== undefined) taken = pastAfter(taken, xnet);
    const { subnet, neighbours } = this.#options;
    return { state: { tree, subnet }, past: taken, verifyBls: neighbours.verifyBls };
  }

  build(context: PayloadContext): BlockPayload {
    const { past, time } = context;
    const ordered = new Set(past.flatMap(({ ingress }) => ingress.map(toHex)));
    const ingress: Uint8Array[] = [];
    for (const [id, message] of this.#pending) {
      if (ingress.length >= MESSAGES_PER_BLOCK) break;
      if ((expiryOf(message) ?? 0n) < time) this.#pending.delete(id);
      else if (!ordered.has(id)) ingress.push(message);
    }
    const xnet = this.#slices(context);
    return { ingress, ...(xnet.length === 0 ? {} : { xnet }) };
  }

  #slices(context: PayloadContext): readonly Uint8Array[] {
    const xnet = this.#xnetContext(context);
    if (xnet === null) return [];
    const { neighbours, subnet } = this.#options;
    const candidates = otherSubnets(subnet).flatMap(({ subnetId, key }) => {
      const slice = neighbours.slice(key, sliceRequest(xnet, subnetId));
      return slice === null ? [] : [slice];
    });
    return chooseSlices(xnet, candidates).xnet;
  }

  judge(payload: BlockPayload, context: PayloadContext): PayloadJudgement {
    const { past, certifiedHeight, time } = context;
    const invalid = (reason: string): PayloadJudgement => ({ kind: "invalid", reason });
    if (payload.ingress.length > MESSAGES_PER_BLOCK) return invalid("too many messages");
    const ordered = new Set(past.flatMap(({ ingress }) => ingress.map(toHex)));
    for (const message of payload.ingress) {
      const id = toHex(message);
      if (ordered.has(id)) return invalid("a message is ordered twice");
      const done = this.#done.get(id);
      if (done !== undefined && done <= certifiedHeight) return invalid("a message is executed already");
      if ((expiryOf(message) ?? 0n) < time) return invalid("a message is none, or over");
      ordered.add(id);
    }
    const xnet = this.#xnetContext(context);
    if (xnet === null) return { kind: "later" };
    const judged = validateSlices(xnet, payload.xnet ?? []);
    return judged.ok ? { kind: "valid" } : invalid(judged.error);
  }
}

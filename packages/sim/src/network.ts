/**
 * A network of any number of subnets in one place: each with its own state, runner, blocks and certification, slices of streams
 * carried between them with their certificates. A function of its seed: the same seed gives the same trace. A subnet is one node
 * here, so its blocks need no votes; state roots are really signed, and slices are verified before they go into a block.
 */
import {
  assert,
  type Batch,
  type Block,
  decodeBlock,
  encodeBlock,
  equalBytes,
  type PrincipalKey,
  toHex,
  u64be,
  utf8,
} from "@orrery/base";
import {
  type Bls,
  encodeCertificate,
  type LabelTree,
  sha256,
  stateRootMessage,
  treeHash,
  witness,
} from "@orrery/crypto";
import { type ChainKeys, createChainKeys } from "@orrery/crypto/chain-keys";
import {
  type BatchResult,
  chooseSlices,
  createExecution,
  type Execution,
  type ExecutionLimits,
  type GenesisCanister,
  installGenesis,
  type MessageRunner,
  otherSubnets,
  sliceRequest,
  takeSlice,
} from "@orrery/execution";
import {
  type KeyMakers,
  type LocalSubnet,
  type LocalSubnetKind,
  localNetwork,
} from "@orrery/execution/local-network";
import {
  decodeCanister,
  decodeSystem,
  encodeCanister,
  encodeSystem,
  type IngressStatus,
  newState,
  PageArena,
  type ReplicatedState,
} from "@orrery/state";
import { type Random, seededRandom } from "./random.ts";
import { SliceCarrier, type SliceFaults } from "./slice-carrier.ts";

const SECOND = 1_000_000_000n;
/** Certified states that slices may still be cut from. */
const CERTIFIED_KEPT = 4;

export interface SimNetworkOptions {
  readonly seed: number;
  /** In this order; the first is the root. */
  readonly subnets: readonly LocalSubnetKind[];
  readonly bls: Bls;
  readonly ed25519PublicKeyDer: KeyMakers["ed25519PublicKeyDer"];
  readonly runner: (subnet: LocalSubnet, state: ReplicatedState, arena: PageArena) => MessageRunner;
  /** What each subnet has from the beginning. */
  readonly genesis?: (subnet: LocalSubnet, index: number) => readonly GenesisCanister[];
  readonly limits?: Partial<ExecutionLimits>;
  readonly faults?: SliceFaults;
  /** Chance that a subnet makes no block in a step, and that it restarts before one. */
  readonly stall?: number;
  readonly restart?: number;
  /** Block time of the first state and between steps, ns. */
  readonly startTime?: bigint;
  readonly stepNs?: bigint;
}

interface Certified {
  readonly tree: LabelTree;
  readonly signature: Uint8Array;
}

export interface SimSubnet extends LocalSubnet {
  readonly index: number;
  readonly state: ReplicatedState;
  /** Newest last; never empty. */
  readonly certified: readonly Certified[];
  readonly blocks: number;
  readonly last: BatchResult | null;
}

interface Member extends SimSubnet {
  readonly certified: Certified[];
  readonly runner: MessageRunner;
  readonly arena: PageArena;
  execution: Execution;
  ingress: Uint8Array[];
  parent: Uint8Array;
  blocks: number;
  last: BatchResult | null;
}

export interface SimNetwork {
  readonly subnets: readonly SimSubnet[];
  /** Virtual time, ns. */
  readonly time: bigint;
  /** What became of the slices. */
  readonly slices: { carried: number; refused: number; messages: number };
  /** Goes into the next block of the subnet; envelopes are taken as validated. */
  submit(subnet: number, envelope: Uint8Array): void;
  /** One block on every subnet that does not stall. */
  step(advanceNs?: bigint): void;
  run(steps: number): void;
  status(subnet: number, requestId: Uint8Array): IngressStatus | null;
  /** A certificate of the subnet's newest certified state, with the root's delegation unless it is the root. */
  certificate(subnet: number, paths: readonly (readonly Uint8Array[])[]): Uint8Array;
  /** Whether some subnet has something to do by itself, or for another. */
  busy(): boolean;
  /** Hash over every block and every state root so far, in hexadecimal. */
  traceHash(): string;
}

export function createSimNetwork(options: SimNetworkOptions): SimNetwork {
  return new Network(options);
}

class Network implements SimNetwork {
  readonly #options: SimNetworkOptions;
  readonly #members: readonly Member[];
  readonly #random: Random;
  readonly #carrier: SliceCarrier;
  readonly #chainKeys: ChainKeys;
  readonly #stepNs: bigint;
  #trace: Uint8Array = new Uint8Array(32);
  time: bigint;
  readonly slices: { carried: number; refused: number; messages: number } = {
    carried: 0,
    refused: 0,
    messages: 0,
  };

  constructor(options: SimNetworkOptions) {
    const { seed, subnets, bls, ed25519PublicKeyDer } = options;
    this.#options = options;
    this.#random = seededRandom(seed, 0x5eed);
    this.#carrier = new SliceCarrier(seededRandom(seed, 0x511ce), options.faults ?? {});
    this.#stepNs = options.stepNs ?? SECOND / 10n;
    this.time = options.startTime ?? 1_700_000_000n * SECOND;
    const networkSeed = sha256(utf8(`simulated network ${seed}`));
    this.#chainKeys = createChainKeys(networkSeed);
    const network = localNetwork({
      seed: networkSeed,
      subnets,
      local: true,
      makers: { bls, ed25519PublicKeyDer },
    });
    this.#members = network.map((subnet, index) => this.#begin(subnet, index));
  }

  get subnets(): readonly SimSubnet[] {
    return this.#members;
  }

  #begin(subnet: LocalSubnet, index: number): Member {
    const { runner: makeRunner, genesis } = this.#options;
    const arena = new PageArena();
    const state = newState({ subnet: subnet.info, time: this.time });
    const runner = makeRunner(subnet, state, arena);
    installGenesis(state, runner, genesis?.(subnet, index) ?? []);
    const member: Member = {
      ...subnet,
      index,
      state,
      runner,
      arena,
      execution: this.#execute(state, runner, arena),
      certified: [],
      ingress: [],
      parent: new Uint8Array(32),
      blocks: 0,
      last: null,
    };
    this.#certify(member);
    return member;
  }

  #execute(state: ReplicatedState, runner: MessageRunner, arena: PageArena): Execution {
    const { limits } = this.#options;
    return createExecution(state, {
      runner,
      arena,
      ...(limits === undefined ? {} : { limits }),
      ...(state.subnet.chainKeys === undefined ? {} : { chainKeys: this.#chainKeys }),
    });
  }

  submit(subnet: number, envelope: Uint8Array): void {
    this.#member(subnet).ingress.push(envelope);
  }

  #member(index: number): Member {
    const member = this.#members[index];
    assert(member !== undefined, `there is no subnet ${index}`);
    return member;
  }

  step(advanceNs: bigint = this.#stepNs): void {
    const { stall = 0, restart = 0 } = this.#options;
    this.time += advanceNs;
    for (const member of this.#members) {
      if (stall > 0 && this.#random.chance(stall)) continue;
      if (restart > 0 && this.#random.chance(restart)) this.#restart(member);
      this.#round(member);
    }
  }

  run(steps: number): void {
    for (let i = 0; i < steps; i++) this.step();
  }

  #round(member: Member): void {
    const { state } = member;
    const xnet = this.#collect(member);
    const { ingress } = member;
    member.ingress = [];
    const block: Block = {
      version: 1,
      parent: member.parent,
      height: state.height + 1,
      rank: 0,
      context: { registryVersion: 1, certifiedHeight: state.height, time: this.time },
      payload: { ingress, ...(xnet.length === 0 ? {} : { xnet }) },
    };
    const bytes = encodeBlock(block);
    const { height, context, payload } = decodeBlock(bytes);
    const batch: Batch = {
      height,
      time: context.time,
      registryVersion: context.registryVersion,
      randomness: sha256(utf8("tape"), u64be(BigInt(height)), member.keys.subnetSecret),
      ...payload,
    };
    member.parent = sha256(bytes);
    member.last = member.execution.applyBatch(batch);
    member.blocks++;
    member.arena.advance(height);
    member.arena.reclaim(height);
    this.#certify(member);
    this.#trace = sha256(
      this.#trace,
      u64be(BigInt(member.index)),
      u64be(BigInt(height)),
      member.parent,
      member.last.rootHash,
    );
  }

  #certify(member: Member): void {
    const { bls } = this.#options;
    const { tree } = member.state;
    const rootHash = treeHash(tree);
    assert(
      member.last === null || equalBytes(rootHash, member.last.rootHash),
      "the tree is not the result's",
    );
    member.certified.push({
      tree,
      signature: bls.sign(member.keys.subnetSecret, stateRootMessage(rootHash)),
    });
    if (member.certified.length > CERTIFIED_KEPT) member.certified.shift();
  }

  /** The slices for the member's next block: asked of every other subnet, carried with faults, judged. */
  #collect(member: Member): readonly Uint8Array[] {
    const { bls } = this.#options;
    const { state } = member;
    const past = new Map<PrincipalKey, never>();
    const candidates: Uint8Array[] = [];
    for (const { key } of otherSubnets(state.subnet)) {
      const source = this.#members.find(({ keys }) => toHex(keys.subnetId) === key) as Member;
      const request = sliceRequest({ state, past }, source.keys.subnetId);
      candidates.push(
        ...this.#carrier.carry({
          lane: `${source.index}>${member.index}`,
          states: source.certified.map(({ tree, signature }) => ({
            signature,
            take: (limits) => takeSlice({ tree, subnet: source.info }, { ...request, ...limits }),
          })),
          foreignSignature: (message) => bls.sign(member.keys.subnetSecret, message),
        }),
      );
    }
    const verifyBls = bls.verify.bind(bls);
    const { xnet, refused, taken } = chooseSlices({ state, past, verifyBls }, candidates);
    this.slices.carried += xnet.length;
    this.slices.refused += refused.length;
    for (const slice of taken) this.slices.messages += slice.messages.length;
    // A maker that checks nothing: what does not go on where the streams are must change nothing.
    return [...xnet, ...this.#carrier.stale()];
  }

  /** Everything that is not on disk is lost: records are what their durable form says, the index is built anew. */
  #restart(member: Member): void {
    const { state, runner, arena } = member;
    const system = decodeSystem(encodeSystem(state));
    for (const name of ["streams", "subnetOutputs", "refunds"] as const) {
      const map = state[name] as Map<PrincipalKey, unknown>;
      map.clear();
      for (const [key, value] of system[name]) map.set(key, value);
    }
    for (const [key, canister] of [...state.canisters].reverse()) {
      state.canisters.delete(key);
      state.canisters.set(key, decodeCanister(encodeCanister(canister), canister.memory));
    }
    member.execution = this.#execute(state, runner, arena);
  }

  status(subnet: number, requestId: Uint8Array): IngressStatus | null {
    return this.#member(subnet).state.ingressHistory.get(toHex(requestId))?.status ?? null;
  }

  certificate(subnet: number, paths: readonly (readonly Uint8Array[])[]): Uint8Array {
    const member = this.#member(subnet);
    const { tree, signature } = member.certified.at(-1) as Certified;
    const time = [utf8("time")];
    const { subnetId } = member.keys;
    const delegation =
      subnet === 0
        ? null
        : {
            subnetId,
            certificate: this.certificate(0, [
              [utf8("subnet"), subnetId, utf8("public_key")],
              [utf8("subnet"), subnetId, utf8("type")],
              [utf8("canister_ranges"), subnetId],
            ]),
          };
    return encodeCertificate({ tree: witness(tree, [time, ...paths]), signature, delegation });
  }

  busy(): boolean {
    return this.#members.some(({ state, last, ingress }) => {
      if (last === null || last.moreWork || ingress.length > 0) return true;
      if (state.subnetOutputs.size > 0 || state.refunds.size > 0) return true;
      for (const { messages } of state.streams.values()) if (messages.length > 0) return true;
      for (const { queues } of state.canisters.values()) if (queues.outputs.size > 0) return true;
      return false;
    });
  }

  traceHash(): string {
    return toHex(this.#trace);
  }
}

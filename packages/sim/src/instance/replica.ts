/**
 * A replica of one subnet of a network in one place: state, execution and certified view advanced together, a round at a time. Roots
 * are signed when somebody asks for a certificate, not before. Its pages and those of its forks are in one arena, whose epochs are the
 * rounds of all of them in turn.
 */
import {
  type Batch,
  BLOCK_PAYLOAD_BYTES_MAX,
  type BlockPayload,
  type CanisterId,
  equalBytes,
  INGRESS_PER_BLOCK_MAX,
  type OutcallResponse,
  type PrincipalKey,
  type TimeNs,
  u64be,
} from "@orrery/base";
import { domainSep, sha256, stateRootMessage, treeHash } from "@orrery/crypto";
import type { ChainKeys } from "@orrery/crypto/chain-keys";
import {
  type BatchResult,
  type Certification,
  CertifiedView,
  createExecution,
  type Execution,
  type ExecutionLimits,
  type MessageGate,
  type QueryProfile,
  takeSnapshot,
  WasmRunner,
} from "@orrery/execution";
import type { Delegation } from "@orrery/execution/delegation";
import {
  type CanisterRange,
  type CanisterState,
  cloneState,
  dropState,
  fullTree,
  type PageArena,
  type ReplicatedState,
  type SubnetInfo,
} from "@orrery/state";
import type { Engine } from "@orrery/wasm";
import type { Place } from "./places.ts";
import { type Tracer, tracingExecutor } from "./trace.ts";
import type { InstanceHost } from "./types.ts";

/** What the subnets of a network and of its forks have in common. */
export interface Commons {
  readonly seed: Uint8Array;
  readonly host: InstanceHost;
  readonly engine: Engine;
  readonly chainKeys: ChainKeys;
  readonly limits: Partial<ExecutionLimits>;
}

export interface WaitingIngress {
  readonly requestId: Uint8Array;
  readonly envelope: Uint8Array;
}

/** What a message, a round and a query may take: nearly all that the engine can count. */
const BENCHMARKING_INSTRUCTIONS = 1_000_000_000_000n;
const BENCHMARKING: Partial<ExecutionLimits> = {
  instructionsPerRound: BENCHMARKING_INSTRUCTIONS,
  instructionsPerSlice: BENCHMARKING_INSTRUCTIONS,
  instructionsPerMessage: BENCHMARKING_INSTRUCTIONS,
  instructionsPerQuery: BENCHMARKING_INSTRUCTIONS,
};

/** Profiles of queries that are kept for whoever asked for them; the oldest go. */
const QUERY_PROFILES_MAX = 1_000;

export interface ReplicaOptions {
  readonly commons: Commons;
  readonly place: Place;
  /** Its subnet record is the one that counts. */
  readonly state: ReplicatedState;
  readonly arena: PageArena;
  /** The root's word for the subnet, asked for when a certificate needs it; null on the root. */
  readonly delegation: DelegationOf;
}

export type DelegationOf = (replica: Replica) => Delegation | null;

export class Replica {
  readonly place: Place;
  /** Holds the pages of the state, and of its forks. */
  readonly arena: PageArena;
  readonly signAsNode: (message: Uint8Array) => Uint8Array;
  /** Canister ids that it holds. */
  held: readonly CanisterRange[];
  /** Envelopes for the next round. */
  readonly ingress: WaitingIngress[] = [];
  /** Answers to outcalls for the next round. */
  readonly responses: OutcallResponse[] = [];
  /** Subnets whose streams may hold something that this one has not taken. */
  readonly sources: Set<Replica> = new Set();
  /** Who wants to know what is executed. */
  tracer: Tracer | null = null;
  /** What happens to messages that its canisters send. */
  gate: MessageGate | null = null;
  /** Whose executions are profiled. */
  profiling: (canisterId: CanisterId) => boolean = () => false;
  /** What profiled canisters executed in queries. */
  readonly queryProfiles: QueryProfile[] = [];
  /** Of the newest round. */
  moreWork: boolean;
  heartbeats = false;
  nextTimer: TimeNs | null = null;
  readonly #commons: Commons;
  readonly #runner: WasmRunner;
  readonly #delegation: DelegationOf;
  #state: ReplicatedState;
  #execution: Execution;
  #view: CertifiedView;

  constructor(options: ReplicaOptions) {
    const { commons, place, state, arena, delegation } = options;
    this.place = place;
    this.arena = arena;
    this.signAsNode = commons.host.ed25519Signer(place.keys.nodeSecret);
    this.#commons = commons;
    this.#delegation = delegation;
    this.#runner = new WasmRunner({
      engine: commons.engine,
      pages: arena,
      modules: state.blobs,
      inflate: commons.host.inflate,
      profiling: (id) => this.profiling(id),
    });
    this.#state = state;
    this.moreWork = state.height > 0;
    this.held = heldBy(state.subnet);
    this.#execution = this.#execute();
    this.#view = this.#look();
  }

  get state(): ReplicatedState {
    return this.#state;
  }

  get view(): CertifiedView {
    return this.#view;
  }

  get info(): SubnetInfo {
    return this.#state.subnet;
  }

  #execute(): Execution {
    const { limits, chainKeys, host } = this.#commons;
    const { place, arena } = this;
    return createExecution(this.#state, {
      runner: this.#runner,
      arena,
      executor: tracingExecutor(
        () => this.tracer,
        () => ({ subnetId: place.id, height: this.#state.height }),
        host.onPrint,
      ),
      gate: {
        pass: (message) => (this.gate === null ? message : this.gate.pass(message)),
        release: (time) => this.gate?.release(time) ?? [],
      },
      limits: {
        heartbeatIntervalNs: 0n,
        ...(place.instructions === "benchmarking" ? BENCHMARKING : {}),
        ...limits,
      },
      ...(this.info.chainKeys === undefined ? {} : { chainKeys }),
    });
  }

  #look(): CertifiedView {
    const { engine, host } = this.#commons;
    return new CertifiedView({
      snapshot: takeSnapshot(this.#state, this.#runner),
      certification: this.#certify(treeHash(this.#state.tree)),
      pages: this.arena,
      inflate: host.inflate,
      engine,
      profiling: {
        wants: (id) => this.profiling(id),
        ran: (run) => {
          this.queryProfiles.push(run);
          if (this.queryProfiles.length > QUERY_PROFILES_MAX) this.queryProfiles.shift();
        },
      },
    });
  }

  #certify(rootHash: Uint8Array): Certification {
    const { bls } = this.#commons.host;
    const { subnetSecret } = this.place.keys;
    const delegation = (): Delegation | null => this.#delegation(this);
    let signature: Uint8Array | null = null;
    return {
      get signature(): Uint8Array {
        signature ??= bls.sign(subnetSecret, stateRootMessage(rootHash));
        return signature;
      },
      get delegation(): Delegation | null {
        return delegation();
      },
    };
  }

  /** One round at `time` with what waits here and the given slices of other subnets; the view sees it when this returns. */
  round(time: TimeNs, xnet: readonly Uint8Array[]): BatchResult {
    const { seed } = this.#commons;
    const { arena } = this;
    const height = this.#state.height + 1;
    const queryStats = this.#view.takeQueryStats();
    const payload: BlockPayload = {
      ingress: this.#takeIngress(),
      ...(xnet.length === 0 ? {} : { xnet }),
      ...(queryStats.length === 0 ? {} : { queryStats }),
      ...this.#takeResponses(),
    };
    const batch: Batch = {
      height,
      time,
      registryVersion: 1,
      randomness: sha256(
        domainSep("orrery-inline-randomness"),
        seed,
        u64be(BigInt(height)),
        this.place.keys.subnetPublicKey,
      ),
      ...payload,
    };
    arena.advance(arena.epoch + 1);
    const result = this.#execution.applyBatch(batch);
    this.#view.apply(result.delta, this.#certify(result.rootHash));
    arena.reclaim(arena.epoch);
    this.moreWork = result.moreWork;
    this.nextTimer = result.nextTimer;
    this.heartbeats = result.heartbeats;
    return result;
  }

  /** The oldest, as many as fit into a block; one at least. */
  #takeIngress(): readonly Uint8Array[] {
    let count = 0;
    let bytes = 0;
    for (const { envelope } of this.ingress) {
      bytes += envelope.length;
      if (count === INGRESS_PER_BLOCK_MAX || (count > 0 && bytes > BLOCK_PAYLOAD_BYTES_MAX)) break;
      count++;
    }
    return this.ingress.splice(0, count).map(({ envelope }) => envelope);
  }

  #takeResponses(): Pick<BlockPayload, "responses"> {
    if (this.responses.length === 0) return {};
    return { responses: this.responses.splice(0).sort((a, b) => a.outcall - b.outcall) };
  }

  /** Changes a canister between two rounds; queries see it at once. */
  edit(key: PrincipalKey, change: (canister: CanisterState, arena: PageArena) => void): void {
    const { arena } = this;
    arena.advance(arena.epoch + 1);
    const delta = this.#execution.edit(key, (canister) => change(canister, arena));
    this.#view.amend([delta]);
    arena.reclaim(arena.epoch);
  }

  /** From the next round on under another record of the subnet, whose neighbours have changed. */
  adopt(info: SubnetInfo): void {
    const state: ReplicatedState = { ...this.#state, subnet: info };
    state.tree = fullTree(state);
    this.#state = state;
    this.held = heldBy(info);
    this.#execution = this.#execute();
    this.#view.dispose();
    this.#view = this.#look();
  }

  /** A replica with the same state that goes its own way. */
  fork(options: Pick<ReplicaOptions, "delegation">): Replica {
    const { arena } = this;
    arena.advance(arena.epoch + 1);
    const fork = new Replica({
      ...options,
      commons: this.#commons,
      place: this.place,
      state: cloneState(this.#state, arena),
      arena,
    });
    fork.ingress.push(...this.ingress);
    fork.responses.push(...this.responses);
    fork.moreWork = this.moreWork;
    fork.nextTimer = this.nextTimer;
    fork.heartbeats = this.heartbeats;
    return fork;
  }

  /** Gives its instances' memories back, and its pages unless `pagesGo`: nobody has the arena any more. */
  dispose({ pagesGo }: { readonly pagesGo: boolean }): void {
    const { arena } = this;
    for (const { meta } of this.#state.canisters.values()) this.#runner.evict(meta.id);
    this.#view.dispose();
    if (pagesGo) return;
    arena.advance(arena.epoch + 1);
    dropState(this.#state, arena);
    arena.reclaim(arena.epoch);
  }
}

function heldBy({ routing, subnetId }: SubnetInfo): readonly CanisterRange[] {
  return routing.find((entry) => equalBytes(entry.subnetId, subnetId))?.ranges ?? [];
}

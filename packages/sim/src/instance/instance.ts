/**
 * A network in one place (types.ts says what it promises). Time belongs to the network: a round takes a nanosecond unless somebody
 * moved it since the last one, and every subnet makes a block in every round. The subnets may become more: an id of the public
 * network that no subnet holds brings the subnet that holds it there.
 */
import {
  type CanisterId,
  equalBytes,
  OrreryError,
  type Principal,
  principalKey,
  principalToText,
  type Result,
  type SubnetId,
  type TimeNs,
  type UserId,
} from "@orrery/base";
import type { QueryProfile } from "@orrery/execution";
import type { CanisterState, Disk } from "@orrery/state";
import { answerOf, pending, queryOf, routeCall, submitCall } from "./calls.ts";
import { type Core, mainReplica, type Network, newNetwork } from "./core.ts";
import { Faults, type HeldMessage, type MessageRule } from "./faults.ts";
import type { Holders } from "./holders.ts";
import { hostedReplica } from "./hosted.ts";
import type { Members } from "./members.ts";
import { answerPending, pendingOutcalls } from "./outcalls.ts";
import { isNamed, kindFacts, recordsOf, subnetSeed } from "./places.ts";
import type { Replica } from "./replica.ts";
import { openNetwork, saveNetwork } from "./save.ts";
import { readStable, writeStable } from "./stable.ts";
import { type TraceEvent, Tracer } from "./trace.ts";
import type {
  Blockmaker,
  CallResult,
  CanisterCall,
  HostedReplica,
  Instance,
  InstanceOptions,
  InstanceTopology,
  MessageId,
  OutcallAnswer,
  PendingOutcall,
  Reject,
} from "./types.ts";

const AWAIT_ROUNDS = 100;
const SETTLE_ROUNDS = 1_000;
const CYCLES_MAX: bigint = 2n ** 128n - 1n;
/** Custom section of modules whose heap an upgrade has to keep or replace by word. */
const ORTHOGONAL_PERSISTENCE = "enhanced-orthogonal-persistence";

/** Makes a network. `topology_invalid`, `seed_invalid`. */
export function createInstance(options: InstanceOptions): Instance {
  return new LocalInstance(newNetwork(options));
}

export class LocalInstance implements Instance {
  readonly #network: Network;
  readonly #core: Core;
  readonly #listeners = new Set<() => void>();
  #tracer: Tracer | null = null;
  #profiling: (id: CanisterId) => boolean = () => false;
  readonly #faults: Faults;
  readonly #holders: Holders | null;
  #disposed = false;

  /** `holders`: those who share what its pages are in. */
  constructor(
    network: Network,
    { faults = new Faults(), holders = null }: { faults?: Faults; holders?: Holders | null } = {},
  ) {
    this.#network = network;
    this.#faults = faults;
    this.#holders = holders;
    this.#core = network.core;
    holders?.join();
  }

  get #live(): Members {
    if (!this.#disposed) return this.#network.members;
    throw new OrreryError("instance_gone", "this network was disposed of: make another one");
  }

  /** Where canisters come to be that are made for no subnet in particular. */
  get #main(): Replica {
    return mainReplica(this.#network);
  }

  topology(): InstanceTopology {
    const { all, root } = this.#live;
    const pocketic = this.#core.options.ids !== "node";
    return {
      rootSubnetId: root.place.id,
      defaultEffectiveCanisterId: this.#main.place.allocation.start,
      subnets: all.map(({ place, held, info }) => ({
        id: place.id,
        kind: place.kind,
        ...kindFacts(place.kind),
        seed: subnetSeed(place),
        ranges: pocketic ? [...place.ranges, place.allocation] : held,
        instructions: place.instructions,
        costSchedule: place.costSchedule,
        admins: place.admins,
        publicKey: place.keys.subnetPublicKey,
        nodes: info.nodes.map(({ nodeId }) => nodeId),
      })),
    };
  }

  get rootKey(): Uint8Array {
    return this.#live.root.place.keys.subnetPublicKey;
  }

  get time(): TimeNs {
    return this.#core.time;
  }

  get height(): number {
    return this.#main.view.height;
  }

  setTime(time: TimeNs): void {
    const { time: now } = this.#core;
    if (time < now) {
      throw new OrreryError(
        "time_backwards",
        `time does not run backwards: it is ${now} ns, set it to that or later, not ${time}`,
        { data: { now, asked: time } },
      );
    }
    this.#core.time = time;
  }

  setCertifiedTime(time: TimeNs): void {
    if (time === this.time) return;
    this.setTime(time);
    this.#round();
  }

  tick(blockmakers: readonly Blockmaker[] = []): void {
    for (const blockmaker of blockmakers) this.#checkBlockmaker(blockmaker);
    this.#round();
  }

  /** A subnet has one node here, so it is that one or nobody. */
  #checkBlockmaker({ subnetId, nodeId, failed }: Blockmaker): void {
    const { info } = this.#live.named(subnetId);
    const stranger = [...failed, nodeId].find(
      (id) => !info.nodes.some((node) => equalBytes(node.nodeId, id)),
    );
    if (stranger !== undefined || failed.length > 0) {
      const node = principalToText(stranger ?? nodeId);
      const text =
        stranger === undefined
          ? `node ${node} cannot both have made the block and have failed to`
          : `node ${node} is none of subnet ${principalToText(subnetId)}: see the network's topology`;
      throw new OrreryError("blockmaker_invalid", text, { data: { node, stranger: stranger !== undefined } });
    }
  }

  #round(): void {
    const core = this.#core;
    if (core.time === core.roundTime) core.time += 1n;
    core.roundTime = core.time;
    for (const replica of this.#live.all) {
      replica.tracer = this.#tracer;
      replica.profiling = this.#profiling;
      replica.gate = this.#faults.gateOf(replica.place.number, () => core.roundTime);
    }
    this.#live.round(core.time);
    for (const listener of this.#listeners) listener();
  }

  onRound(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  trace(on: boolean): void {
    this.#tracer = on ? (this.#tracer ?? new Tracer()) : null;
  }

  intercept(rules: readonly MessageRule[]): void {
    this.#faults.setRules(rules);
  }

  heldMessages(): readonly HeldMessage[] {
    return this.#faults.held();
  }

  releaseMessages(ids?: readonly number[]): void {
    this.#faults.release(ids);
  }

  takeTrace(): readonly TraceEvent[] {
    return this.#tracer?.take() ?? [];
  }

  profile(which: "all" | "none" | readonly CanisterId[]): void {
    const keys = typeof which === "string" ? null : new Set(which.map(principalKey));
    this.#profiling = (id) => (keys === null ? which === "all" : keys.has(principalKey(id)));
    for (const replica of this.#live.all) replica.profiling = this.#profiling;
  }

  takeQueryProfiles(): readonly QueryProfile[] {
    return this.#live.all.flatMap(({ queryProfiles }) => queryProfiles.splice(0));
  }

  settle(maxRounds: number = SETTLE_ROUNDS): boolean {
    for (let rounds = 0; this.#busy(); rounds++) {
      if (rounds >= maxRounds) return false;
      this.#round();
    }
    return true;
  }

  #busy(): boolean {
    const { all } = this.#live;
    if (this.#faults.isDue(this.time)) return true;
    return all.some(
      (replica) =>
        replica.moreWork ||
        replica.ingress.length > 0 ||
        replica.responses.length > 0 ||
        (replica.nextTimer !== null && replica.nextTimer <= this.time) ||
        this.#live.hasMail(replica),
    );
  }

  get heartbeats(): boolean {
    return this.#live.all.some((replica) => replica.heartbeats);
  }

  nextDue(): TimeNs | null {
    let next: TimeNs | null = this.#faults.nextDue();
    for (const { nextTimer } of this.#live.all) {
      if (nextTimer !== null && (next === null || nextTimer < next)) next = nextTimer;
    }
    return next;
  }

  deleteSubnet(id: SubnetId): void {
    const { place } = this.#live.named(id);
    if (isNamed(place.kind) || this.#core.options.ids === "node" || this.#live.all.length === 1) {
      throw new OrreryError(
        "subnet_named",
        `subnet ${principalToText(id)} cannot be deleted: it is the last, or one that the public network knows by name`,
      );
    }
    const places = this.#live.all.map((one) => one.place).filter((one) => one !== place);
    this.#live.reshape(recordsOf(places), null);
  }

  #route(call: CanisterCall): Replica {
    return routeCall({ core: this.#core, members: this.#live }, call, () => this.#round());
  }

  submitIngress(call: CanisterCall): Result<MessageId, Reject> {
    return submitCall(this.#core, this.#route(call), call);
  }

  awaitIngress(id: MessageId, maxRounds: number = AWAIT_ROUNDS): CallResult {
    for (let rounds = 0; ; rounds++) {
      const answer = this.ingressStatus(id);
      if (answer !== null) return answer;
      if (rounds >= maxRounds) throw pending(id, maxRounds);
      this.#round();
    }
  }

  ingressStatus({ subnetId, requestId }: MessageId, caller?: UserId): CallResult | null {
    return answerOf(this.#live.named(subnetId), requestId, caller);
  }

  query(call: CanisterCall): CallResult {
    return queryOf(this.#route(call), call);
  }

  #find(id: CanisterId): { readonly replica: Replica; readonly canister: CanisterState } | null {
    const replica = this.#live.hostOf(id);
    const canister = replica?.state.canisters.get(principalKey(id));
    return replica === null || canister === undefined ? null : { replica, canister };
  }

  #canister(id: CanisterId): { readonly replica: Replica; readonly canister: CanisterState } {
    const found = this.#find(id);
    if (found !== null) return found;
    throw new OrreryError("canister_unknown", `there is no canister ${principalToText(id)} in this network`);
  }

  canisterExists(id: CanisterId): boolean {
    return this.#find(id) !== null;
  }

  subnetOf(id: CanisterId): SubnetId | null {
    return this.#find(id)?.replica.place.id ?? null;
  }

  hostOf(id: CanisterId): SubnetId | null {
    return this.#live.hostOf(id)?.place.id ?? null;
  }

  controllers(id: CanisterId): readonly Principal[] {
    return this.#canister(id).canister.meta.settings.controllers;
  }

  cycles(id: CanisterId): bigint {
    return this.#canister(id).canister.meta.cycles;
  }

  addCycles(id: CanisterId, amount: bigint): bigint {
    const { replica, canister } = this.#canister(id);
    replica.edit(principalKey(id), ({ meta }) => {
      const sum = meta.cycles + amount;
      meta.cycles = sum > CYCLES_MAX ? CYCLES_MAX : sum;
    });
    return canister.meta.cycles;
  }

  /** One with a module: without there is no memory. */
  #installed(id: CanisterId): { readonly replica: Replica; readonly canister: CanisterState } {
    const found = this.#canister(id);
    if (found.canister.meta.module !== null) return found;
    throw new OrreryError("canister_empty", `canister ${principalToText(id)} has no module`);
  }

  stableMemory(id: CanisterId): Uint8Array {
    const { replica, canister } = this.#installed(id);
    return readStable(canister, replica.arena);
  }

  setStableMemory(id: CanisterId, bytes: Uint8Array): void {
    this.#installed(id).replica.edit(principalKey(id), (canister, arena) =>
      writeStable(canister, arena, bytes),
    );
  }

  keepsHeap(id: CanisterId): boolean {
    const module = this.#find(id)?.canister.meta.module ?? null;
    return module?.metadata.some(({ name }) => name === ORTHOGONAL_PERSISTENCE) ?? false;
  }

  publicKey(subnetId: SubnetId): Uint8Array {
    return this.#live.named(subnetId).place.keys.subnetPublicKey;
  }

  pendingOutcalls(): readonly PendingOutcall[] {
    return this.#live.all.flatMap(pendingOutcalls);
  }

  mockOutcall(subnetId: SubnetId, id: number, answers: readonly OutcallAnswer[]): void {
    answerPending(this.#live.named(subnetId), id, answers);
  }

  replicaOf({ kind, id }: { readonly kind: "canister" | "subnet"; readonly id: Principal }): HostedReplica {
    const found = kind === "subnet" ? this.#live.subnet(id) : this.#live.hostOf(id);
    return hostedReplica(found ?? this.#main);
  }

  fork(): Instance {
    const network = { core: { ...this.#core }, members: this.#live.fork() };
    return new LocalInstance(network, { faults: this.#faults.copy(), holders: this.#holders });
  }

  save(open: (name: string) => Disk): void {
    if (!this.#faults.isIdle) {
      throw new OrreryError(
        "messages_held",
        "messages between canisters are held: release them, run a round, then save",
      );
    }
    saveNetwork({ core: this.#core, members: this.#live }, open);
  }

  dispose(): void {
    if (this.#disposed) return;
    // The arenas go with their last holder, page by page is for those who stay.
    const pagesGo = this.#holders?.leave() === true;
    this.#network.members.dispose({ pagesGo });
    this.#listeners.clear();
    this.#disposed = true;
  }
}

/**
 * A network as it was saved; of `options` the host, the limits and the size of messages count, the rest is what was saved. The store's
 * errors.
 */
export function openInstance(options: InstanceOptions, open: (name: string) => Disk): Instance {
  return new LocalInstance(openNetwork(options, open));
}

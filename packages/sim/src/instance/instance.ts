/**
 * A network in one place (types.ts says what it promises). Time belongs to the network: a round takes a nanosecond unless somebody
 * moved it since the last one, and every subnet makes a block in every round. The subnets may become more: an id of the public
 * network that no subnet holds brings the subnet that holds it there.
 */
import {
  type CanisterId,
  encodeCbor,
  equalBytes,
  err,
  OrreryError,
  ok,
  type Principal,
  principalKey,
  principalToText,
  type Result,
  type SubnetId,
  type TimeNs,
  toHex,
  type UserId,
  u64be,
} from "@orrery/base";
import { requestId } from "@orrery/crypto";
import { createChainKeys } from "@orrery/crypto/chain-keys";
import { type CanisterState, type Disk, newState, PageArena } from "@orrery/state";
import { SharedEngine } from "./engine.ts";
import { hostedReplica } from "./hosted.ts";
import { type MakeReplica, Members } from "./members.ts";
import { answerPending, pendingOutcalls } from "./outcalls.ts";
import {
  isNamed,
  kindFacts,
  mainnetSpecOf,
  mainPlace,
  newPlace,
  nodePlaces,
  type Place,
  type PlaceOptions,
  placesOf,
  recordsOf,
  SUBNETS_MAX,
  subnetSeed,
} from "./places.ts";
import { type Commons, Replica } from "./replica.ts";
import { createsProvisionally, effectiveOf, goesAnywhere, homeless, undirected } from "./routing.ts";
import { readStable, writeStable } from "./stable.ts";
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

/** How far ahead of the network's time its own envelopes expire: less than the longest that is allowed. */
const EXPIRY_NS = 240_000_000_000n;
const AWAIT_ROUNDS = 100;
const SETTLE_ROUNDS = 1_000;
const CYCLES_MAX: bigint = 2n ** 128n - 1n;
/** Custom section of modules whose heap an upgrade has to keep or replace by word. */
const ORTHOGONAL_PERSISTENCE = "enhanced-orthogonal-persistence";

/** What a network is besides its subnets: plain data but for the host's part. */
export interface Core {
  readonly options: Pick<InstanceOptions, "ids" | "mainnetNnsId" | "ingressBytesMax">;
  readonly commons: Commons;
  time: TimeNs;
  /** Of the newest round. */
  roundTime: TimeNs;
  /** Envelopes that it made. */
  nonce: bigint;
  /** Number of the next subnet. */
  nextPlace: number;
}

/** Makes a network. `topology_invalid`, `seed_invalid`. */
export function createInstance(options: InstanceOptions): Instance {
  const { seed, time, host, limits = {}, topology, ids = "pocketic" } = options;
  if (seed.length !== 32) {
    throw new OrreryError("seed_invalid", `a seed has 32 bytes, this one ${seed.length}: hash what you have`);
  }
  const commons = newCommons({ seed, host, limits });
  const makers = placeOptions(commons, options);
  const places = ids === "node" ? nodePlaces(topology, makers) : withRecords(placesOf(topology, makers));
  const replicas = places.map(({ place, info }): MakeReplica => {
    const state = newState({ subnet: info, time });
    return (delegation) => new Replica({ commons, place, state, delegation });
  });
  const rootId = (places[0] as (typeof places)[number]).info.rootSubnetId;
  const core: Core = { options, commons, time, roundTime: time, nonce: 0n, nextPlace: places.length };
  return new LocalInstance(core, new Members(replicas, rootId));
}

export function newCommons(options: Pick<Commons, "seed" | "host" | "limits">): Commons {
  const { seed, host, limits } = options;
  return {
    seed,
    host,
    limits,
    engine: host.engine ?? new SharedEngine(),
    arena: new PageArena(),
    chainKeys: createChainKeys(seed),
  };
}

function placeOptions(
  { seed, host }: Commons,
  { mainnetNnsId = false }: Pick<InstanceOptions, "mainnetNnsId">,
): PlaceOptions {
  const { bls, ed25519PublicKeyDer } = host;
  return { seed, makers: { bls, ed25519PublicKeyDer }, mainnetNnsId };
}

function withRecords(places: readonly Place[]): ReturnType<typeof nodePlaces> {
  const records = recordsOf(places);
  return places.map((place, i) => ({ place, info: records[i] as (typeof records)[number] }));
}

export class LocalInstance implements Instance {
  readonly #core: Core;
  readonly #members: Members;
  readonly #listeners = new Set<() => void>();
  #disposed = false;

  constructor(core: Core, members: Members) {
    this.#core = core;
    this.#members = members;
  }

  get #live(): Members {
    if (!this.#disposed) return this.#members;
    throw new OrreryError("instance_gone", "this network was disposed of: make another one");
  }

  /** Where canisters come to be that are made for no subnet in particular. */
  get #main(): Replica {
    const { all } = this.#live;
    const beside = this.#core.options.ids === "node" && all.length > 1 ? all.slice(1) : all;
    const place =
      this.#core.options.ids === "node"
        ? mainPlace(
            beside.map((one) => one.place),
            ["application"],
          )
        : mainPlace(all.map((one) => one.place));
    return this.#live.named(place.id);
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
    this.#live.round(core.time);
    for (const listener of this.#listeners) listener();
  }

  onRound(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
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
    return all.some(
      (replica) =>
        replica.moreWork ||
        replica.ingress.length > 0 ||
        replica.responses.length > 0 ||
        (replica.nextTimer !== null && replica.nextTimer <= this.time) ||
        this.#members.hasMail(replica),
    );
  }

  nextDue(): TimeNs | null {
    let next: TimeNs | null = null;
    for (const { nextTimer } of this.#live.all) {
      if (nextTimer !== null && (next === null || nextTimer < next)) next = nextTimer;
    }
    return next;
  }

  /** The subnet that the call goes to; it may come to be for it. */
  #route(call: CanisterCall): Replica {
    const effective = effectiveOf(call);
    switch (effective.kind) {
      case "subnet":
        return this.#live.named(effective.id);
      case "canister": {
        const host = this.#live.hostOf(effective.id);
        if (host !== null) return host;
        if (createsProvisionally(call)) return this.#bring(effective.id);
        throw homeless(effective.id);
      }
      default:
        if (goesAnywhere(call)) return this.#main;
        throw undirected();
    }
  }

  /** Makes the subnet that holds the id on the public network. */
  #bring(id: CanisterId): Replica {
    const core = this.#core;
    if (core.options.ids === "node") throw homeless(id);
    const { spec, range } = mainnetSpecOf(id);
    const places = this.#live.all.map(({ place }) => place);
    if (places.length >= SUBNETS_MAX) {
      throw new OrreryError("topology_invalid", `a network has at most ${SUBNETS_MAX} subnets`);
    }
    const { commons } = core;
    const place = newPlace(spec, {
      ...placeOptions(commons, core.options),
      number: core.nextPlace++,
      ranges: [range],
    });
    const records = recordsOf([...places, place]);
    const state = newState({
      subnet: records.at(-1) as (typeof records)[number],
      time: core.roundTime,
    });
    this.#live.reshape(records, (delegation) => new Replica({ commons, place, state, delegation }));
    this.#round();
    return this.#live.named(place.id);
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

  #envelope(call: CanisterCall): { readonly envelope: Uint8Array; readonly id: Uint8Array } {
    const { sender, canisterId, method, arg, senderInfo = null } = call;
    const fields = new Map<string, string | bigint | Uint8Array | Map<string, Uint8Array>>([
      ["request_type", "call"],
      ["canister_id", canisterId],
      ["method_name", method],
      ["arg", arg],
      ["sender", sender],
      ["ingress_expiry", this.time + EXPIRY_NS],
      ["nonce", u64be(this.#core.nonce++)],
    ]);
    if (senderInfo !== null) {
      const { info, signer } = senderInfo;
      fields.set(
        "sender_info",
        new Map<string, Uint8Array>([
          ["info", info],
          ["signer", signer],
          // Nobody looks at it: who calls is told, not proven.
          ["sig", new Uint8Array(0)],
        ]),
      );
    }
    return { envelope: encodeCbor({ content: fields }), id: requestId(fields) };
  }

  submitIngress(call: CanisterCall): Result<MessageId, Reject> {
    const replica = this.#route(call);
    const { envelope, id } = this.#envelope(call);
    const { ingressBytesMax } = this.#core.options;
    if (ingressBytesMax !== undefined && envelope.length > ingressBytesMax) {
      throw new OrreryError(
        "ingress_too_large",
        `a call takes ${envelope.length} bytes as a message, more than the ${ingressBytesMax} that are allowed: send less at once`,
        { data: { bytes: envelope.length, max: ingressBytesMax, requestId: toHex(id) } },
      );
    }
    const refused = replica.view.inspect(envelope);
    if (refused !== null) {
      const { code, message } = refused;
      return err({ code: rejectCode(code), message, errorCode: code, certified: false });
    }
    replica.ingress.push({ requestId: id, envelope });
    return ok({ subnetId: replica.place.id, requestId: id });
  }

  awaitIngress(id: MessageId, maxRounds: number = AWAIT_ROUNDS): CallResult {
    for (let rounds = 0; ; rounds++) {
      const answer = this.ingressStatus(id);
      if (answer !== null) return answer;
      if (rounds >= maxRounds) break;
      this.#round();
    }
    throw new OrreryError(
      "call_pending",
      `the call has no answer after ${maxRounds} rounds: it waits for time to pass, for other messages or for an outcall's answer`,
      {
        data: {
          requestId: toHex(id.requestId),
          subnetId: principalToText(id.subnetId),
          rounds: maxRounds,
        },
      },
    );
  }

  ingressStatus({ subnetId, requestId: id }: MessageId, caller?: UserId): CallResult | null {
    const entry = this.#live.named(subnetId).state.ingressHistory.get(toHex(id));
    if (entry === undefined) return null;
    if (caller !== undefined && !equalBytes(caller, entry.sender)) {
      throw new OrreryError(
        "call_foreign",
        "the call was sent by somebody else: ask as its sender, or as nobody",
      );
    }
    const { status } = entry;
    if (status.kind === "replied") return ok(status.reply);
    if (status.kind === "rejected") {
      const { code, message, errorCode } = status;
      return err({ code, message, errorCode: Number(errorCode.slice(2)), certified: true });
    }
    if (status.kind !== "done") return null;
    const message = "The answer is not kept any more.";
    return err({ code: 6, message, errorCode: 0, certified: true });
  }

  query(call: CanisterCall): CallResult {
    const { sender, senderInfo = null, canisterId, method: methodName, arg } = call;
    const { outcome } = this.#route(call).view.query({ sender, senderInfo, canisterId, methodName, arg });
    if (outcome.status === "replied") return ok(outcome.reply);
    const { rejectCode: code, rejectMessage, errorCode } = outcome;
    const prefix = `${errorCode}: `;
    const message = rejectMessage.startsWith(prefix) ? rejectMessage.slice(prefix.length) : rejectMessage;
    return err({
      code: code as Reject["code"],
      message,
      errorCode: Number(errorCode.slice(2)),
      certified: false,
    });
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

  stableMemory(id: CanisterId): Uint8Array {
    const { canister } = this.#canister(id);
    return readStable(canister, this.#core.commons.arena);
  }

  setStableMemory(id: CanisterId, bytes: Uint8Array): void {
    this.#canister(id).replica.edit(principalKey(id), (canister, arena) =>
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
    return new LocalInstance({ ...this.#core }, this.#live.fork());
  }

  save(_open: (name: string) => Disk): void {
    throw new OrreryError("instance_gone", "");
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#members.dispose();
    this.#listeners.clear();
    this.#disposed = true;
  }
}

function rejectCode(errorCode: number): Reject["code"] {
  return Math.floor(errorCode / 100) as Reject["code"];
}

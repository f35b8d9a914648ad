/**
 * The machine behind an in-process network: turns calls into rounds of its subnets. A subnet makes a round only when it has something
 * to do; subnets take their turns in the order of the network. Runs on a thread of its own, because
 * canisters may use more stack than the thread of the program that tests them has.
 */
import {
  encodeCbor,
  equalBytes,
  fromHex,
  OrreryError,
  type Principal,
  principalFromText,
  principalToText,
  type TimeNs,
  toHex,
} from "@orrery/base";
import { requestId } from "@orrery/crypto";
import type { FetchedOutcall } from "@orrery/execution";
import { effectiveCanisterId, isSubnetAdmin } from "@orrery/execution/effective-id";
import type { AnswerWait, ReplicaNetwork, ReplicaView } from "@orrery/http";
import type { InlineNetwork, Member } from "./inline-network.ts";
import { fetchedOf, waitingOutcalls } from "./outcalls.ts";
import type { Call, OutcallAnswer, OutcallRequest } from "./types.ts";

const NS_PER_MS = 1_000_000n;
/** Rounds one call may take before it counts as stuck. */
const ROUNDS_PER_CALL_MAX = 1_000;
const EMPTY_ARG: Uint8Array = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0);
const ANONYMOUS_TEXT = "2vxsx-fae";
const EXPIRY_NS = 240_000_000_000n;

export function wallTime(): TimeNs {
  return BigInt(Date.now()) * NS_PER_MS;
}

/** Crosses the thread as an error with this code; the network makes a `CallRejected` of it. */
function rejected(rejectCode: number, errorCode: string | null, text: string): OrreryError {
  return new OrreryError("call_rejected", text, { data: { rejectCode, errorCode } });
}

type Watcher = (answered: boolean) => void;

/** Owns the subnets of an in-process network and their time; one call at a time. */
export class Machine {
  readonly #network: InlineNetwork;
  /** Where creation and calls about no canister go. */
  readonly #main: Member;
  readonly #wall: boolean;
  readonly #watchers = new Map<string, Set<Watcher>>();
  #time: TimeNs;
  #nonce = 0n;

  constructor(network: InlineNetwork, main: Member, wall: boolean) {
    this.#network = network;
    this.#main = main;
    this.#wall = wall;
    this.#time = network.root.replica.time;
  }

  now(): TimeNs {
    if (this.#wall) {
      const wall = wallTime();
      if (wall > this.#time) this.#time = wall;
    }
    return this.#time;
  }

  /** One round of every subnet. */
  tick(): void {
    for (const member of this.#network.members) this.#round(member, []);
  }

  #round(member: Member, ingress: readonly Uint8Array[]): void {
    const now = this.now();
    const { time } = member.replica;
    this.#time = now > time ? now : time + 1n;
    const result = this.#network.round(member, this.#time, ingress);
    for (const key of result.answered.map(toHex)) {
      for (const watcher of this.#watchers.get(key) ?? []) watcher(true);
      this.#watchers.delete(key);
    }
  }

  /** A round of every subnet that has something to do at the present time; false when none has. */
  #work(): boolean {
    let worked = false;
    for (const member of this.#network.members) {
      const due = member.nextTimer !== null && member.nextTimer <= this.now();
      const answered = member.responses.length > 0;
      if (!member.moreWork && !due && !answered && !this.#network.hasMail(member)) continue;
      this.#round(member, []);
      worked = true;
    }
    return worked;
  }

  /** Runs the rounds that are due at the present time. */
  settle(): void {
    for (let rounds = 0; rounds < ROUNDS_PER_CALL_MAX; rounds++) if (!this.#work()) return;
  }

  #nextTimer(): TimeNs | null {
    let next: TimeNs | null = null;
    for (const { nextTimer } of this.#network.members) {
      if (nextTimer !== null && (next === null || nextTimer < next)) next = nextTimer;
    }
    return next;
  }

  advance(durationNs: bigint): void {
    if (durationNs < 0n)
      throw new OrreryError("time_backwards", "time does not run backwards: advance by 0 ms or more");
    const target = this.#time + durationNs;
    // Through every timer on the way, each at its own time.
    for (let rounds = 0; rounds < ROUNDS_PER_CALL_MAX; rounds++) {
      this.settle();
      const next = this.#nextTimer();
      if (next === null || next > target) break;
      if (next > this.#time) this.#time = next;
    }
    if (target > this.#time) this.#time = target;
    this.tick();
    this.settle();
  }

  update(call: Call): Uint8Array {
    const member = this.#host(call);
    const { envelope, id } = this.#envelope(call);
    const refused = member.replica.view.inspect(envelope);
    if (refused !== null) {
      throw rejected(
        Math.floor(refused.code / 100),
        `IC${String(refused.code).padStart(4, "0")}`,
        refused.message,
      );
    }
    this.#round(member, [envelope]);
    return this.#await(member, id);
  }

  /** What has become of an update that had no answer. */
  resume(subnetId: string, requestId: string): Uint8Array {
    return this.#await(this.#subnet(subnetId), fromHex(requestId));
  }

  #await(member: Member, id: Uint8Array): Uint8Array {
    for (let rounds = 0; ; rounds++) {
      const status = member.replica.requestStatus(id)?.kind;
      if (status !== "received" && status !== "processing") return this.#reply(member, id);
      if (rounds < ROUNDS_PER_CALL_MAX && this.#work()) continue;
      throw new OrreryError(
        "call_pending",
        "the call has no answer yet: it waits for time to pass, for other messages or for an outcall's answer",
        { data: { requestId: toHex(id), subnetId: principalToText(member.replica.subnet.subnetId) } },
      );
    }
  }

  outcalls(): readonly OutcallRequest[] {
    return this.#network.members.flatMap((member) => waitingOutcalls(member));
  }

  /** Answers an outcall for the next round of its subnet; false when it does not wait any more. */
  answerOutcall(subnetId: string, id: number, answer: OutcallAnswer | FetchedOutcall): boolean {
    const member = this.#subnet(subnetId);
    const outcall = member.replica.outcalls().find((one) => one.id === id);
    if (outcall === undefined || member.responses.some((one) => one.outcall === id)) return false;
    const fetched = "kind" in answer ? answer : fetchedOf(member, outcall, answer);
    member.responses.push(member.replica.view.answerOutcall(outcall, fetched));
    return true;
  }

  query(call: Call): Uint8Array {
    const { outcome } = this.#host(call).replica.view.query({
      sender: sender(call),
      senderInfo: null,
      canisterId: principalFromText(call.canisterId),
      methodName: call.method,
      arg: call.arg ?? EMPTY_ARG,
    });
    if (outcome.status === "replied") return outcome.reply;
    throw rejected(outcome.rejectCode, outcome.errorCode, outcome.rejectMessage);
  }

  keepsHeap(canisterId: string): boolean {
    const id = principalFromText(canisterId);
    return (this.#network.hostOf(id) ?? this.#main).replica.keepsHeap(id);
  }

  #subnet(id: string): Member {
    const subnet = this.#network.subnet(principalFromText(id));
    if (subnet !== null) return subnet;
    throw new OrreryError("subnet_unknown", `there is no subnet ${id}: see the network's subnets`);
  }

  /** The subnet that a call goes to: of the canister, of the one that a management call is about, or as told. */
  #host(call: Call): Member {
    if (call.subnetId !== undefined) return this.#subnet(call.subnetId);
    const id = principalFromText(call.canisterId);
    const effective = id.length === 0 ? effectiveCanisterId(call.method, call.arg ?? EMPTY_ARG) : null;
    const about = effective === null ? id : effective.ok ? effective.value : null;
    return (about === null ? null : this.#network.hostOf(about)) ?? this.#main;
  }

  #reply(member: Member, id: Uint8Array): Uint8Array {
    const status = member.replica.requestStatus(id);
    if (status === null) throw new OrreryError("call_pending", "the request is not known any more");
    if (status.kind === "replied") return status.reply;
    if (status.kind === "rejected") throw rejected(status.code, status.errorCode, status.message);
    throw new OrreryError("call_pending", `the request is ${status.kind}, which is no answer`);
  }

  #envelope(call: Call): { readonly envelope: Uint8Array; readonly id: Uint8Array } {
    const nonce = new Uint8Array(8);
    new DataView(nonce.buffer).setBigUint64(0, this.#nonce++);
    const fields = new Map<string, string | bigint | Uint8Array>([
      ["request_type", "call"],
      ["canister_id", principalFromText(call.canisterId)],
      ["method_name", call.method],
      ["arg", call.arg ?? EMPTY_ARG],
      ["sender", sender(call)],
      ["ingress_expiry", this.now() + EXPIRY_NS],
      ["nonce", nonce],
    ]);
    return { envelope: encodeCbor({ content: fields }), id: requestId(fields) };
  }

  #watch(key: string, watcher: Watcher): void {
    const set = this.#watchers.get(key) ?? new Set();
    set.add(watcher);
    this.#watchers.set(key, set);
  }

  /** The network as the HTTPS interface sees it. */
  view(): ReplicaNetwork {
    const { members } = this.#network;
    const views = new Map(members.map((member) => [member, this.#viewOf(member)]));
    const main = views.get(this.#main) as ReplicaView;
    return {
      status: () => main.status(),
      replicaOf: ({ kind, id }) => {
        const member = kind === "subnet" ? this.#network.subnet(id) : this.#network.hostOf(id);
        return (member === null ? undefined : views.get(member)) ?? main;
      },
    };
  }

  /** Rounds that certificates of the subnet need to be fresh on a clock that runs by itself. */
  #freshen(member: Member): void {
    if (!this.#wall) return;
    if (this.#network.delegationAged(member, this.now())) this.#round(this.#network.root, []);
    if (this.now() - member.replica.time > 1_000n * NS_PER_MS) this.#round(member, []);
  }

  #viewOf(member: Member): ReplicaView {
    const { subnet, nodeId, view, signAsNode } = member.replica;
    return {
      nodeId,
      status: () => ({
        health: "healthy",
        rootKey: subnet.rootKey,
        certifiedHeight: view.height,
        implVersion: null,
        implHash: null,
      }),
      now: () => this.now(),
      servesCanister: (id) =>
        id.length === 10 && id[8] === 1 && id[9] === 1 && this.#network.hostOf(id) === member,
      isSubnetAdmin: (user) => isSubnetAdmin(subnet, user),
      servesSubnet: (id) => equalBytes(id, subnet.subnetId),
      ingressFull: () => false,
      inspect: (ingress) => view.inspect(ingress.bytes),
      submit: (ingress) => {
        this.#round(member, [ingress.bytes]);
        this.settle();
        return "accepted";
      },
      watch: (id, timeoutMs) => this.#wait(toHex(id), timeoutMs),
      requestCertificate: (id, destination, ranges) => view.requestCertificate(id, ranges, destination),
      query: (query) => {
        this.#freshen(member);
        return view.query(query);
      },
      readState: (query) => {
        this.#freshen(member);
        return view.readState(query);
      },
      signQueryResponse: signAsNode,
    };
  }

  #wait(key: string, timeoutMs: number): AnswerWait {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), timeoutMs);
    this.#watch(key, (answered) => {
      clearTimeout(timer);
      resolve(answered);
    });
    return { answered: promise, cancel: () => resolve(false) };
  }
}

function sender(call: Call): Principal {
  return principalFromText(call.sender ?? ANONYMOUS_TEXT);
}

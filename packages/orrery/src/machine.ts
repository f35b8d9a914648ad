/**
 * The machine behind one in-process network: turns a user's calls into rounds of a network in one place, with a clock that stands still
 * or follows the machine's. Runs on a thread of its own, because canisters may use more stack than the thread of the program that
 * tests them has.
 */
import {
  assert,
  fromHex,
  OrreryError,
  principalFromText,
  principalToText,
  type TimeNs,
  toHex,
} from "@orrery/base";
import type {
  OutcallAnswer as Answer,
  CallResult,
  CanisterCall,
  Instance,
  MessageId,
  Reject,
} from "@orrery/sim/instance";
import type { Submitted } from "./protocol.ts";
import type { Call, HeldMessage, MessageRule, OutcallRequest } from "./types.ts";

const NS_PER_MS = 1_000_000n;
/** Rounds one call may take before it counts as stuck. */
const ROUNDS_PER_CALL_MAX = 1_000;
const EMPTY_ARG: Uint8Array = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0);
const ANONYMOUS_TEXT = "2vxsx-fae";
/** As many as PocketIC waits for, where nothing but heartbeats goes on. */
const HEARTBEAT_ROUNDS_MAX = 100;
/** A certificate older than this is not shown where the clock runs by itself. */
const FRESH_NS: bigint = 1_000n * NS_PER_MS;

export function wallTime(): TimeNs {
  return BigInt(Date.now()) * NS_PER_MS;
}

/** Crosses the thread as an error with this code; the network makes a `CallRejected` of it. */
function rejected({ code, errorCode, message, certified }: Reject): OrreryError {
  const text = `IC${String(errorCode).padStart(4, "0")}`;
  // Queries say it in their text as well, as the replica sends them.
  const told = certified ? message : `${text}: ${message}`;
  return new OrreryError("call_rejected", told, {
    data: { rejectCode: code, errorCode: errorCode === 0 ? null : text },
  });
}

export class Machine {
  readonly instance: Instance;
  #wall: boolean;

  constructor(instance: Instance, wall: boolean) {
    this.instance = instance;
    this.#wall = wall;
  }

  /** From now on the clock follows the machine's, or stands still. */
  followWall(follow: boolean): void {
    this.#wall = follow;
    this.freshen();
  }

  /** The present: a clock that runs by itself moves the network's on. */
  now(): TimeNs {
    const { instance } = this;
    if (!this.#wall) return instance.time;
    const wall = wallTime();
    if (wall > instance.time) instance.setTime(wall);
    return instance.time;
  }

  tick(): void {
    this.now();
    this.instance.tick();
  }

  /** Runs the rounds that are due at the present time. */
  settle(): void {
    this.now();
    this.instance.settle(ROUNDS_PER_CALL_MAX);
  }

  /** Moves a clock that stands still on, through every timer on the way, each at its own time. */
  advance(durationNs: bigint): void {
    if (durationNs < 0n)
      throw new OrreryError("time_backwards", "time does not run backwards: advance by 0 ms or more");
    const { instance } = this;
    const target = instance.time + durationNs;
    for (let rounds = 0; rounds < ROUNDS_PER_CALL_MAX; rounds++) {
      this.settle();
      const next = instance.nextDue();
      if (next === null || next > target) break;
      if (next > instance.time) instance.setTime(next);
    }
    if (target > instance.time) instance.setTime(target);
    instance.tick();
    this.settle();
  }

  update(call: Call): Uint8Array {
    return this.#await(this.#submit(call));
  }

  /** The call's request id and its subnet, for `resume`. */
  submit(call: Call): Submitted {
    const { requestId, subnetId } = this.#submit(call);
    return { requestId: toHex(requestId), subnetId: principalToText(subnetId) };
  }

  #submit(call: Call): MessageId {
    this.now();
    const submitted = this.#anywhere(call, (one) => this.instance.submitIngress(one));
    if (!submitted.ok) throw rejected({ ...submitted.error, certified: true });
    return submitted.value;
  }

  /** What belongs to no subnet goes to the main one, which says so. */
  #anywhere<T>(call: Call, ask: (call: CanisterCall) => T): T {
    try {
      return ask(canisterCall(call));
    } catch (error) {
      if (!(error instanceof OrreryError) || error.code !== "call_unroutable") throw error;
      return ask(canisterCall({ ...call, subnetId: this.mainSubnet() }));
    }
  }

  /** Where canisters come to be that are made for no subnet in particular. */
  mainSubnet(): string {
    const id = this.instance.hostOf(this.instance.topology().defaultEffectiveCanisterId);
    assert(id !== null, "some subnet holds the default effective canister id");
    return principalToText(id);
  }

  /** What has become of an update that had no answer. */
  resume(subnetId: string, requestId: string): Uint8Array {
    this.now();
    return this.#await({ subnetId: principalFromText(subnetId), requestId: fromHex(requestId) });
  }

  #await(id: MessageId): Uint8Array {
    const { instance } = this;
    for (let rounds = 0; ; rounds++) {
      const answer = instance.ingressStatus(id);
      if (answer !== null) return replyOf(answer);
      const max = instance.settle(0) ? (instance.heartbeats ? HEARTBEAT_ROUNDS_MAX : 0) : ROUNDS_PER_CALL_MAX;
      if (rounds >= max) break;
      instance.tick();
      this.now();
    }
    throw new OrreryError(
      "call_pending",
      "the call has no answer yet: it waits for time to pass, for other messages or for an outcall's answer",
      { data: { requestId: toHex(id.requestId), subnetId: principalToText(id.subnetId) } },
    );
  }

  query(call: Call): Uint8Array {
    return replyOf(this.#anywhere(call, (one) => this.instance.query(one)));
  }

  keepsHeap(canisterId: string): boolean {
    return this.instance.keepsHeap(principalFromText(canisterId));
  }

  outcalls(): readonly OutcallRequest[] {
    return this.instance.pendingOutcalls().map(({ subnetId, downloadBytesMax, ...outcall }) => ({
      ...outcall,
      subnetId: principalToText(subnetId),
      maxResponseBytes: downloadBytesMax,
    }));
  }

  /** Answers an outcall for the next round of its subnet; false when it does not wait any more. */
  answerOutcall(subnetId: string, id: number, answer: Answer): boolean {
    try {
      this.instance.mockOutcall(principalFromText(subnetId), id, [answer]);
      return true;
    } catch (error) {
      if (error instanceof OrreryError && error.code === "outcall_unknown") return false;
      throw error;
    }
  }

  intercept(rules: readonly MessageRule[]): void {
    this.instance.intercept(
      rules.map(({ from, to, action, ...rest }) => ({
        ...rest,
        ...(from === undefined ? {} : { from: principalFromText(from) }),
        ...(to === undefined ? {} : { to: principalFromText(to) }),
        action:
          action.kind === "delay"
            ? { kind: "delay", durationNs: BigInt(Math.round(action.durationMs * Number(NS_PER_MS))) }
            : action,
      })),
    );
  }

  heldMessages(): readonly HeldMessage[] {
    return this.instance.heldMessages().map(({ from, to, ...rest }) => ({
      ...rest,
      from: principalToText(from),
      to: principalToText(to),
    }));
  }

  /** Rounds that certificates need to be fresh on a clock that runs by itself. */
  freshen(): void {
    if (!this.#wall) return;
    const wall = wallTime();
    if (wall - this.instance.time > FRESH_NS) this.instance.setCertifiedTime(wall);
  }
}

function replyOf(answer: CallResult): Uint8Array {
  if (answer.ok) return answer.value;
  throw rejected(answer.error);
}

function canisterCall({
  canisterId,
  method,
  arg = EMPTY_ARG,
  sender = ANONYMOUS_TEXT,
  subnetId,
}: Call): CanisterCall {
  return {
    sender: principalFromText(sender),
    canisterId: principalFromText(canisterId),
    method,
    arg,
    ...(subnetId === undefined ? {} : { effective: { kind: "subnet", id: principalFromText(subnetId) } }),
  };
}

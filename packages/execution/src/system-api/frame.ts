/**
 * What one message execution changes besides memory (interface spec, "Abstract behaviour", the System API's state): balances,
 * response, calls, certified data, timer, logs. A frame lives for one run of one entry point; when the run fails it is dropped
 * with everything in it. Nothing here touches the canister's record.
 */
import {
  type CanisterId,
  equalBytes,
  type Principal,
  type PrincipalKey,
  principalKey,
  type TimeNs,
} from "@orrery/base";
import type { CanisterMeta, RejectCode, WasmClosure } from "@orrery/state";
import { minOf } from "../bigints.ts";
import { chargedMemoryBytes, freezingThresholdCycles } from "../cycles.ts";
import { callCost, memorySaturation, storageReservation } from "../fees.ts";
import {
  CALLBACKS_PER_CANISTER_ASSURED,
  MEMORY_SHARES,
  MESSAGE_HEADER_BYTES,
  QUERY_RESPONSE_BYTES_MAX,
  RESPONSE_BYTES_MAX,
  SUBNET_MEMORY_FOR_CALLBACKS_BYTES,
} from "../limits.ts";
import { guaranteedRequestBytes } from "../messaging/message-memory.ts";
import type { StableOverlay } from "../runner/stable-overlay.ts";
import { routerOf } from "../streams/routing.ts";
import type { MessageContext, MessageEffects, OutgoingCall, ResponseGiven } from "../types.ts";
import { ByteBuffer } from "./byte-buffer.ts";
import { CanisterFailure } from "./failure.ts";
import { LogBuffer } from "./log-buffer.ts";
import {
  CALLBACK_MODES,
  FREEZING_CHECK_MODES,
  MEMORY_LIMIT_MODES,
  type Mode,
  type ModeMask,
  maskOf,
  modeMask,
  SUBNET_MEMORY_MODES,
} from "./modes.ts";

const WASM_PAGE_BYTES = 65_536n;
/** Modes whose response goes to a user only and may be larger. */
const LARGE_RESPONSE_MODES: ModeMask = modeMask("NRQ TQ CQ");
const EMPTY = new Uint8Array(0);

/** A call between `call_new` and `call_perform`. */
export interface PendingCall {
  readonly callee: CanisterId;
  readonly methodName: string;
  readonly methodNameBytes: number;
  readonly payload: ByteBuffer;
  cycles: bigint;
  readonly reply: WasmClosure;
  readonly reject: WasmClosure;
  cleanup: WasmClosure | null;
  timeoutSeconds: number | null;
}

export interface FrameOptions {
  readonly mode: Mode;
  /** The canister as it is before the message; read only. */
  readonly meta: CanisterMeta;
  readonly context: MessageContext;
  readonly stable: StableOverlay;
  readonly heapPages: number;
  /** Instructions that this run may use: the context's limit, less what earlier parts of the same execution used. */
  readonly instructionLimit: bigint;
  readonly argument?: Uint8Array;
  readonly methodName?: string;
  readonly rejectCode?: RejectCode | 0;
  readonly rejectMessage?: Uint8Array;
  /** Carried over from an earlier part of the same execution (pre_upgrade before post_upgrade). */
  readonly previous?: MessageFrame | null;
}

export class MessageFrame {
  readonly mode: Mode;
  readonly mask: ModeMask;
  readonly meta: CanisterMeta;
  readonly context: MessageContext;
  readonly stable: StableOverlay;
  readonly instructionLimit: bigint;
  readonly argument: Uint8Array;
  readonly methodName: string;
  readonly rejectCode: RejectCode | 0;
  readonly rejectMessage: Uint8Array;
  readonly responseBytesMax: number;

  /** Instructions of the limit that the instance's counter has not been given yet. */
  reserve = 0n;
  /** Instructions executed when the slice began. */
  sliceStart = 0n;
  balance: bigint;
  accepted: bigint;
  burned: bigint;
  minted = 0n;
  /** Moved from the balance to the reserved one for memory that this message took. */
  reserved = 0n;
  certifiedData: Uint8Array | null = null;
  globalTimer: TimeNs | null = null;
  response: ResponseGiven | null = null;
  messageAccepted = false;
  pending: PendingCall | null = null;
  readonly calls: OutgoingCall[] = [];
  readonly logs: LogBuffer;

  #heapPages: number;
  #subnetMemoryTaken = 0n;
  /** Of the calls made so far. */
  #guaranteedBytes = 0;
  #bestEffortBytes = 0;
  readonly #reply = new ByteBuffer();
  /** Requests made by callee; most messages make none. */
  #slotsUsed: Map<PrincipalKey, number> | null = null;

  constructor(options: FrameOptions) {
    const { previous = null } = options;
    this.mode = options.mode;
    this.mask = maskOf(options.mode);
    this.meta = options.meta;
    this.context = options.context;
    this.stable = options.stable;
    this.instructionLimit = options.instructionLimit;
    this.argument = options.argument ?? EMPTY;
    this.methodName = options.methodName ?? "";
    this.rejectCode = options.rejectCode ?? 0;
    this.rejectMessage = options.rejectMessage ?? EMPTY;
    this.responseBytesMax =
      (this.mask & LARGE_RESPONSE_MODES) !== 0 ? QUERY_RESPONSE_BYTES_MAX : RESPONSE_BYTES_MAX;
    this.#heapPages = options.heapPages;
    this.balance = previous?.balance ?? options.meta.cycles;
    this.accepted = previous?.accepted ?? 0n;
    this.burned = previous?.burned ?? 0n;
    this.certifiedData = previous?.certifiedData ?? null;
    this.logs = new LogBuffer(Number(options.meta.settings.logMemoryLimit), previous?.logs);
  }

  get heapPages(): number {
    return this.#heapPages;
  }

  get cyclesAvailable(): bigint {
    return this.context.cyclesAvailable - this.accepted;
  }

  /** What `global_timer_set` answers first: installation and post_upgrade begin without a timer. */
  get timerBefore(): TimeNs {
    return this.mode === "init" ? 0n : this.meta.globalTimer;
  }

  callerIsController(): boolean {
    return isAmong(this.meta.settings.controllers, this.context.caller);
  }

  /** The record as this message has changed it so far, for what depends on balance and memory in use. */
  #current(extraPages = 0): CanisterMeta {
    return {
      ...this.meta,
      cycles: this.balance,
      reservedCycles: this.meta.reservedCycles + this.reserved,
      heapPages: this.#heapPages + extraPages,
      stablePages: this.stable.pages,
      guaranteedMessageBytes: this.meta.guaranteedMessageBytes + this.#guaranteedBytes,
      bestEffortMessageBytes: this.meta.bestEffortMessageBytes + this.#bestEffortBytes,
    };
  }

  /** Balance above the freezing threshold, zero when frozen. */
  liquidBalance(): bigint {
    const threshold = freezingThresholdCycles(this.context.subnet, this.#current());
    return this.balance > threshold ? this.balance - threshold : 0n;
  }

  /** Takes cycles that are to travel or burn; false when the freezing threshold would be touched. */
  withdraw(amount: bigint): boolean {
    if (this.balance < freezingThresholdCycles(this.context.subnet, this.#current()) + amount) return false;
    this.balance -= amount;
    return true;
  }

  accept(max: bigint): bigint {
    const amount = minOf(max, this.cyclesAvailable);
    this.accepted += amount;
    this.balance += amount;
    return amount;
  }

  burn(max: bigint): bigint {
    const amount = minOf(max, this.liquidBalance());
    this.burned += amount;
    this.balance -= amount;
    return amount;
  }

  mint(amount: bigint): void {
    this.minted += amount;
    this.balance += amount;
  }

  appendReply(part: Uint8Array): void {
    this.#reply.append(part);
  }

  get replyBytes(): number {
    return this.#reply.length;
  }

  reply(): void {
    this.response = { kind: "reply", data: this.#reply.take() };
  }

  /** Gives back the cycles of a call that will not be performed. */
  dropPending(): void {
    if (this.pending !== null) this.balance += this.pending.cycles;
    this.pending = null;
  }

  /** Sends the pending call: 0, or 2 when there is no room or not enough cycles, in which case it leaves no trace. */
  perform(call: PendingCall): 0 | 2 {
    const { callee } = call;
    const cost = callCost(this.context.subnet, {
      methodNameBytes: call.methodNameBytes,
      payloadBytes: call.payload.length,
      is64: this.meta.module?.is64 ?? false,
    });
    // The names of the management canister share their slots.
    const key = routerOf(this.context.subnet).isManagement(callee) ? "" : principalKey(callee);
    this.#slotsUsed ??= new Map();
    const used = this.#slotsUsed.get(key) ?? 0;
    const total = cost.prepaidExecution + cost.prepaidTransmission + cost.transmissionCost;
    const slot = used < this.context.requestSlots(callee) && this.#callbackLeft();
    if (!slot || !this.#takeMessageMemory(call) || !this.#withdrawForCall(call, total)) {
      this.balance += call.cycles;
      return 2;
    }
    this.#slotsUsed.set(key, used + 1);
    this.calls.push({
      callee,
      methodName: call.methodName,
      payload: call.payload.take(),
      cycles: call.cycles,
      reply: call.reply,
      reject: call.reject,
      cleanup: call.cleanup,
      timeoutSeconds: call.timeoutSeconds,
      ...cost,
    });
    return 0;
  }

  /** Beyond the subnet's number of callbacks a canister has those that are assured to it. */
  #callbackLeft(): boolean {
    const { callRoom } = this.context;
    const made = this.calls.length;
    if (callRoom === undefined || made < callRoom.callbacks) return true;
    return callRoom.outstanding() + made < CALLBACKS_PER_CANISTER_ASSURED;
  }

  /** Keeps room for the response, or counts the request of a best-effort call; false when the subnet has no room. */
  #takeMessageMemory(call: PendingCall): boolean {
    const bytes = MESSAGE_HEADER_BYTES + call.methodNameBytes + call.payload.length;
    if (call.timeoutSeconds !== null) {
      this.#bestEffortBytes += bytes;
      return true;
    }
    const needed = guaranteedRequestBytes(bytes);
    const { callRoom } = this.context;
    if (callRoom !== undefined && this.#guaranteedBytes + needed > callRoom.guaranteedBytes) return false;
    this.#guaranteedBytes += needed;
    return true;
  }

  /** Pays for a call whose memory is taken; that is given back when there are not enough cycles. */
  #withdrawForCall(call: PendingCall, total: bigint): boolean {
    if (this.withdraw(total)) return true;
    const bytes = MESSAGE_HEADER_BYTES + call.methodNameBytes + call.payload.length;
    if (call.timeoutSeconds === null) this.#guaranteedBytes -= guaranteedRequestBytes(bytes);
    else this.#bestEffortBytes -= bytes;
    return false;
  }

  /** `memory.grow` happened: refuses (throws) when limits of the canister or the subnet say so. */
  growHeap(previousPages: number, deltaPages: number): void {
    const limit = this.meta.settings.wasmMemoryLimit;
    const bytes = BigInt(previousPages + deltaPages) * WASM_PAGE_BYTES;
    if ((this.mask & MEMORY_LIMIT_MODES) !== 0 && limit !== 0n && bytes > limit) {
      throw new CanisterFailure({ kind: "wasm_memory_limit", bytes, limit });
    }
    this.allocate(deltaPages);
    this.#heapPages = previousPages + deltaPages;
  }

  /** Accounts for more Wasm pages of either memory, before they are counted; throws when they may not be had. */
  allocate(deltaPages: number): void {
    const before = this.#current();
    const after = this.#current(deltaPages);
    const added = chargedMemoryBytes(after) - chargedMemoryBytes(before);
    if ((this.mask & FREEZING_CHECK_MODES) !== 0 && added > 0n) {
      const threshold = freezingThresholdCycles(this.context.subnet, after);
      if (this.balance < threshold) throw this.#cannotGrow(added, threshold);
    }
    if ((this.mask & SUBNET_MEMORY_MODES) === 0) return;
    const available = this.context.subnetMemoryAvailable / MEMORY_SHARES - this.#subnetMemoryTaken;
    const kept = (this.mask & CALLBACK_MODES) === 0 ? 0n : SUBNET_MEMORY_FOR_CALLBACKS_BYTES / MEMORY_SHARES;
    if (added > available + kept) throw new CanisterFailure({ kind: "out_of_memory" });
    this.#reserve(added, available);
    this.#subnetMemoryTaken += added;
  }

  /** Sets cycles aside for memory on a subnet that fills up. */
  #reserve(bytes: bigint, available: bigint): void {
    const amount = storageReservation(this.context.subnet, memorySaturation(available, MEMORY_SHARES), bytes);
    const requested = this.meta.reservedCycles + this.reserved + amount;
    const { reservedCyclesLimit: limit } = this.meta.settings;
    if (requested > limit)
      throw new CanisterFailure({ kind: "reserved_cycles_limit", bytes, requested, limit });
    if (this.balance < amount) throw this.#cannotGrow(bytes, amount);
    this.balance -= amount;
    this.reserved += amount;
  }

  #cannotGrow(bytes: bigint, threshold: bigint): CanisterFailure {
    const reveal = this.callerIsController();
    return new CanisterFailure({
      kind: "memory_grow_cycles",
      bytes,
      available: this.balance,
      threshold,
      reveal,
    });
  }

  effects(): MessageEffects {
    return {
      response: this.response,
      calls: this.calls,
      cyclesAccepted: this.accepted,
      cyclesBurned: this.burned,
      cyclesMinted: this.minted,
      cyclesReserved: this.reserved,
      certifiedData: this.certifiedData,
      globalTimer: this.globalTimer,
      accepted: this.messageAccepted,
    };
  }
}

export function isAmong(principals: readonly Principal[], principal: Uint8Array): boolean {
  for (const one of principals) if (equalBytes(one, principal)) return true;
  return false;
}

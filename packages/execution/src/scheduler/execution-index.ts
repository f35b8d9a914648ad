/**
 * What the scheduler must find without looking at every canister: who has work, whose timer is due, which deadlines pass. A cache
 * of the state, rebuilt when a state is loaded and kept in step by `refresh`; nothing here is state of its own, and nothing here
 * decides an order by the order of insertion.
 */
import type { PrincipalKey, TimeNs } from "@orrery/base";
import type {
  BlobKey,
  CanisterState,
  IngressEntry,
  IngressStatus,
  InstalledModule,
  ReplicatedState,
  StreamMessage,
} from "@orrery/state";
import { canPrepay, chargedMemoryBytes } from "../cycles.ts";
import type { FeeSubnet } from "../fees.ts";
import { type ExecutionLimits, limitsOf } from "../limits.ts";
import { lowMemoryReady } from "../messaging/low-memory.ts";
import { countManagement, guaranteedResponseBytes, type MessageSums } from "../messaging/message-memory.ts";
import { OutputExpiry } from "../messaging/output-expiry.ts";
import { InstantHeap } from "./heap.ts";
import { Upkeep } from "./upkeep.ts";

/** What of a canister is in the subnet's sums. */
interface Usage {
  memory: bigint;
  guaranteed: number;
  bestEffort: number;
  callbacks: number;
  customSections: number;
}

export class ExecutionIndex {
  /** Canisters with a queued message and nothing under way. */
  readonly runnable: Set<PrincipalKey> = new Set();
  /**
   * Canisters whose low-memory hook is ready, with nothing under way, and that could pay for it when their record last changed. Time
   * only takes from a balance: nobody else can pay now, and those that wait for cycles cost nothing.
   */
  readonly lowMemory: Set<PrincipalKey> = new Set();
  /** Canisters in the middle of a message or an installation. */
  readonly running: Set<PrincipalKey> = new Set();
  /** Canisters that the scheduler owes something or that owe it. */
  readonly prioritized: Set<PrincipalKey> = new Set();
  readonly heartbeats: Set<PrincipalKey> = new Set();
  /** Canisters whose installations have to wait. */
  readonly indebted: Set<PrincipalKey> = new Set();
  /** Canisters with messages to other subnets that are in no stream yet. */
  readonly outputs: Set<PrincipalKey> = new Set();
  /** Until when what is in them may wait. */
  readonly outputExpiry: OutputExpiry = new OutputExpiry();
  readonly stopping: Set<PrincipalKey> = new Set();
  /** Global timers, by canister key. */
  readonly timers: InstantHeap = new InstantHeap();
  /** Best-effort callbacks, by "canister key:callback id". */
  readonly callDeadlines: InstantHeap = new InstantHeap();
  /** Ingress that may not have started by then, by request id in hexadecimal. */
  readonly ingressExpiry: InstantHeap = new InstantHeap();
  /** Terminal ingress statuses, by request id in hexadecimal. */
  readonly pruning: InstantHeap = new InstantHeap();
  /** Terminal statuses that still hold an answer, oldest first. */
  readonly forgettable: InstantHeap = new InstantHeap();
  /** Bytes of the answers in the ingress history. */
  statusBytes = 0;
  /** Canisters whose logs changed since the last delta. */
  readonly logsChanged: Set<PrincipalKey> = new Set();
  /** Who owes what for storage and compute. */
  readonly upkeep: Upkeep;
  /** Canisters deleted since the last delta, whether or not there is a new one of that id. */
  readonly deleted: Set<PrincipalKey> = new Set();
  /** The module that followers know of each canister. */
  readonly #knownModules = new Map<PrincipalKey, InstalledModule | null>();
  readonly #usersOf = new Map<BlobKey, number>();
  /** Memory that all canisters use, bytes. */
  memoryUsed = 0n;
  /** Memory of messages at all canisters, bytes, by the kind of call. */
  guaranteedBytes = 0;
  bestEffortBytes = 0;
  /** Guaranteed responses that are in streams, or at no canister any more, bytes. */
  strayResponseBytes = 0;
  /** Memory of the requests that wait at the management canister, bytes, by the kind of call. */
  readonly management: MessageSums = { guaranteedMessageBytes: 0, bestEffortMessageBytes: 0 };
  /** Calls of all canisters that wait for a response. */
  callbacks = 0;
  /** Of all modules. */
  customSectionBytes = 0;
  readonly #usageOf = new Map<PrincipalKey, Usage>();
  readonly #timerOf = new Map<PrincipalKey, TimeNs>();
  readonly #subnet: FeeSubnet;
  readonly #messageInstructions: bigint;

  constructor(
    state: ReplicatedState,
    limits: Pick<ExecutionLimits, "instructionsPerMessage"> = limitsOf(state.subnet.type),
  ) {
    this.#subnet = state.subnet;
    this.#messageInstructions = limits.instructionsPerMessage;
    this.upkeep = new Upkeep(state);
    for (const [key, canister] of state.canisters) {
      this.refresh(key, canister);
      this.tellModule(key, canister.meta.module);
      for (const receiver of canister.queues.outputs.keys()) this.outputExpiry.note(key, receiver);
      for (const callback of canister.callbacks.values()) {
        if (callback.deadline !== 0n)
          this.callDeadlines.push(callback.deadline, deadlineKey(key, callback.id));
      }
    }
    for (const [key, entry] of state.ingressHistory) this.noteIngress(key, entry);
    for (const input of state.managementQueue) countManagement(this.management, input, 1);
    for (const stream of state.streams.values()) this.#countStray(stream.messages);
    for (const queue of state.subnetOutputs.values()) this.#countStray(queue);
  }

  #countStray(messages: readonly StreamMessage[]): void {
    for (const message of messages) this.strayResponseBytes += guaranteedResponseBytes(message);
  }

  /** Brings everything about one canister in step with its record. */
  refresh(key: PrincipalKey, canister: CanisterState): void {
    const { meta } = canister;
    setMember(this.runnable, key, hasWork(canister));
    setMember(this.running, key, canister.running !== null);
    setMember(this.prioritized, key, canister.priority !== 0 || canister.priorityCredit !== 0);
    setMember(
      this.heartbeats,
      key,
      meta.status.kind === "running" && meta.module?.exports.heartbeat === true,
    );
    setMember(this.indebted, key, canister.installDebit !== undefined);
    setMember(this.outputs, key, canister.queues.outputs.size > 0);
    setMember(this.stopping, key, meta.status.kind === "stopping");
    // One that is due in the middle of a message is due when that has ended.
    const ready =
      meta.status.kind === "running" &&
      canister.running === null &&
      meta.module?.exports.globalTimer === true;
    const timer = ready ? meta.globalTimer : 0n;
    if (this.#timerOf.get(key) !== timer) {
      if (timer === 0n) {
        this.#timerOf.delete(key);
      } else {
        this.#timerOf.set(key, timer);
        this.timers.push(timer, key);
      }
    }
    this.upkeep.refresh(key, canister);
    setMember(this.lowMemory, key, canister.running === null && this.#paysForHook(canister));
    const usage = this.#usage(key);
    const memory = chargedMemoryBytes(meta);
    this.memoryUsed += memory - usage.memory;
    usage.memory = memory;
    this.callbacks += canister.callbacks.size - usage.callbacks;
    usage.callbacks = canister.callbacks.size;
    this.customSectionBytes += meta.customSectionBytes - usage.customSections;
    usage.customSections = meta.customSectionBytes;
    this.#noteMessages(usage, canister);
  }

  #paysForHook(canister: CanisterState): boolean {
    return lowMemoryReady(canister) && canPrepay(this.#subnet, canister, this.#messageInstructions);
  }

  #usage(key: PrincipalKey): Usage {
    let usage = this.#usageOf.get(key);
    if (usage === undefined) {
      usage = { memory: 0n, guaranteed: 0, bestEffort: 0, callbacks: 0, customSections: 0 };
      this.#usageOf.set(key, usage);
    }
    return usage;
  }

  #noteMessages(usage: Usage, { meta }: CanisterState): void {
    this.guaranteedBytes += meta.guaranteedMessageBytes - usage.guaranteed;
    usage.guaranteed = meta.guaranteedMessageBytes;
    this.bestEffortBytes += meta.bestEffortMessageBytes - usage.bestEffort;
    usage.bestEffort = meta.bestEffortMessageBytes;
  }

  /** Something came into the canister's queues. */
  noteWork(key: PrincipalKey, canister: CanisterState): void {
    if (canister.running === null) this.runnable.add(key);
    this.#noteMessages(this.#usage(key), canister);
  }

  /** Who has most queued for best-effort calls, by id where equal; looks at all canisters. Null: nobody but those in `except`. */
  mostBestEffort(except: ReadonlySet<PrincipalKey>): PrincipalKey | null {
    let most: PrincipalKey | null = null;
    let bytes = 0;
    for (const [key, { bestEffort }] of this.#usageOf) {
      if (bestEffort === 0 || bestEffort < bytes || except.has(key)) continue;
      if (bestEffort === bytes && most !== null && key < most) continue;
      most = key;
      bytes = bestEffort;
    }
    return most;
  }

  /** What the canister has queued for best-effort calls, bytes. */
  bestEffortOf(key: PrincipalKey): number {
    return this.#usageOf.get(key)?.bestEffort ?? 0;
  }

  /** What the subnet's calls with guaranteed responses hold, bytes. */
  get guaranteedBytesTaken(): number {
    return this.guaranteedBytes + this.strayResponseBytes + this.management.guaranteedMessageBytes;
  }

  forget(key: PrincipalKey): void {
    this.upkeep.forget(key);
    this.runnable.delete(key);
    this.running.delete(key);
    this.lowMemory.delete(key);
    this.prioritized.delete(key);
    this.heartbeats.delete(key);
    this.indebted.delete(key);
    this.outputs.delete(key);
    this.stopping.delete(key);
    this.logsChanged.delete(key);
    this.tellModule(key, null);
    this.#knownModules.delete(key);
    this.#timerOf.delete(key);
    const usage = this.#usage(key);
    this.memoryUsed -= usage.memory;
    this.callbacks -= usage.callbacks;
    this.customSectionBytes -= usage.customSections;
    this.guaranteedBytes -= usage.guaranteed;
    this.bestEffortBytes -= usage.bestEffort;
    this.#usageOf.delete(key);
  }

  /** Whether some canister that followers know of has the module. */
  isKnownModule(blob: BlobKey): boolean {
    return this.#usersOf.has(blob);
  }

  /** Followers are told what the canister's module is; false when it is the one that they know. */
  tellModule(key: PrincipalKey, module: InstalledModule | null): boolean {
    const known = this.#knownModules.get(key) ?? null;
    this.#knownModules.set(key, module);
    if (known === module) return false;
    if (module !== null) this.#usersOf.set(module.blob, (this.#usersOf.get(module.blob) ?? 0) + 1);
    if (known === null) return true;
    const left = (this.#usersOf.get(known.blob) ?? 1) - 1;
    if (left === 0) this.#usersOf.delete(known.blob);
    else this.#usersOf.set(known.blob, left);
    return true;
  }

  /** Takes the next timer that is due, or null. Until `refresh` is called on its canister, the timer is not in the index. */
  takeTimer(until: TimeNs): PrincipalKey | null {
    this.#dropStaleTimers();
    const due = this.timers.popUntil(until);
    if (due === null) return null;
    this.#timerOf.delete(due.key);
    return due.key;
  }

  /** The earliest timer of a running canister that is not in the middle of something. */
  nextTimer(): TimeNs | null {
    this.#dropStaleTimers();
    return this.timers.peek()?.time ?? null;
  }

  #dropStaleTimers(): void {
    for (;;) {
      const first = this.timers.peek();
      if (first === null || this.#timerOf.get(first.key) === first.time) return;
      this.timers.popUntil(first.time);
    }
  }

  noteIngress(key: string, entry: IngressEntry): void {
    if (entry.status.kind === "received") this.ingressExpiry.push(entry.expiry, key);
    if (entry.pruneAt === null) return;
    this.pruning.push(entry.pruneAt, key);
    if (entry.status.kind === "done") return;
    this.forgettable.push(entry.pruneAt, key);
    this.statusBytes += statusBytes(entry.status);
  }
}

/** What a status holds besides its kind. */
export function statusBytes(status: IngressStatus): number {
  if (status.kind === "replied") return status.reply.length;
  return status.kind === "rejected" ? status.message.length : 0;
}

function setMember(set: Set<PrincipalKey>, key: PrincipalKey, member: boolean): void {
  if (member) set.add(key);
  else set.delete(key);
}

export function hasWork(canister: CanisterState): boolean {
  const { queues } = canister;
  if (canister.running !== null) return false;
  return queues.ingress.length > 0 || queues.responses.length > 0 || queues.requests.size > 0;
}

export function deadlineKey(canister: PrincipalKey, callbackId: number): string {
  return `${canister}:${callbackId}`;
}

/**
 * The ingress history (interface spec, "Request status", "Replay"): one entry per inducted request, terminal exactly once, kept
 * until its expiry has passed and for at least `INGRESS_STATUS_KEPT_NS` after it became terminal, under load without its answer.
 */
import { assert, type TimeNs, toHex } from "@orrery/base";
import type { IngressEntry, IngressStatus, ReplicatedState } from "@orrery/state";
import { maxOf } from "../bigints.ts";
import { INGRESS_STATUS_KEPT_NS } from "../limits.ts";
import { type ExecutionIndex, statusBytes } from "../scheduler/execution-index.ts";
import type { Round } from "../scheduler/round.ts";

/** Later than any time. */
const FOREVER: TimeNs = 1n << 64n;

export function isTerminal(status: IngressStatus): boolean {
  return status.kind !== "received" && status.kind !== "processing";
}

/** Every new entry's; statuses never change, they are replaced. */
export const RECEIVED: IngressStatus = { kind: "received" };

/** Adds an entry under its key, the request id in hexadecimal. */
export function addIngress(
  state: ReplicatedState,
  index: ExecutionIndex,
  key: string,
  entry: IngressEntry,
): void {
  state.ingressHistory.set(key, entry);
  state.changed.ingress.add(key);
  index.noteIngress(key, entry);
}

/** Sets a status. A terminal status is final; true when this made it terminal. */
export function setStatus(
  state: ReplicatedState,
  index: ExecutionIndex,
  requestId: Uint8Array,
  status: IngressStatus,
): boolean {
  const key = toHex(requestId);
  const entry = state.ingressHistory.get(key);
  assert(entry !== undefined, `request ${key} is not in the ingress history`);
  assert(!isTerminal(entry.status), `request ${key} was answered before`);
  entry.status = status;
  state.changed.ingress.add(key);
  if (!isTerminal(status)) return false;
  entry.pruneAt = maxOf(state.time + INGRESS_STATUS_KEPT_NS, entry.expiry);
  index.noteIngress(key, entry);
  return true;
}

/** Removes entries whose time has come. */
export function pruneIngress(state: ReplicatedState, index: ExecutionIndex): void {
  for (;;) {
    const due = index.pruning.popUntil(before(state.time));
    if (due === null) return;
    const entry = state.ingressHistory.get(due.key);
    if (entry === undefined || entry.pruneAt !== due.time) continue;
    index.statusBytes -= statusBytes(entry.status);
    state.ingressHistory.delete(due.key);
    state.changed.ingress.add(due.key);
  }
}

/** Heaps pop up to and including a time; what ends at `time` still holds at `time`. */
export function before(time: TimeNs): TimeNs {
  return time - 1n;
}

/** Turns the oldest terminal statuses into `done` when they hold more than the history may. */
export function forgetStatuses(round: Pick<Round, "state" | "index" | "limits">): void {
  const { state, index, limits } = round;
  while (index.statusBytes > limits.ingressHistoryBytes) {
    const oldest = index.forgettable.popUntil(FOREVER);
    if (oldest === null) return;
    const entry = state.ingressHistory.get(oldest.key);
    if (entry === undefined || entry.status.kind === "done" || !isTerminal(entry.status)) continue;
    index.statusBytes -= statusBytes(entry.status);
    entry.status = { kind: "done" };
    state.changed.ingress.add(oldest.key);
  }
}

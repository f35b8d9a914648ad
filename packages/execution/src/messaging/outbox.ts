/**
 * What one canister's turn in a round leaves for others. A turn changes its own canister's record and its outbox, nothing else,
 * so that turns can run side by side; the round then applies the outboxes one after the other in canister order.
 */
import type { CanisterId } from "@orrery/base";
import type { IngressStatus, OutboundMessage } from "@orrery/state";

export interface Outbox {
  /** In the order in which they were sent. */
  readonly messages: OutboundMessage[];
  readonly statuses: { readonly requestId: Uint8Array; readonly status: IngressStatus }[];
  /** Cycles that this turn consumed; added to the subnet's total afterwards. */
  consumedCyclesTotal: bigint;
  instructions: bigint;
  /** Messages and tasks executed, or begun. */
  executions: number;
  /** Slices of messages that began in an earlier round or end in a later one. */
  slices: number;
  logsChanged: boolean;
  /** Cycles of best-effort calls that were given up, and whose they are. */
  readonly refunds: { readonly to: CanisterId; readonly cycles: bigint }[];
  /** Best-effort callbacks made, for the index of deadlines. */
  readonly deadlines: { readonly callbackId: number; readonly deadline: bigint }[];
}

export function newOutbox(): Outbox {
  return {
    messages: [],
    statuses: [],
    consumedCyclesTotal: 0n,
    instructions: 0n,
    executions: 0,
    slices: 0,
    logsChanged: false,
    refunds: [],
    deadlines: [],
  };
}

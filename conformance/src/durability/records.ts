/**
 * What the drill knows of every request that it sent, and what must therefore be true of a canister at any published height:
 * executed at most once, exactly once when answered, and every number of the canister the sum of what was executed.
 */
import type { DrillCounts, DrillReport } from "./canister.ts";
import type { Answer, Client, SignedRequest } from "./client.ts";

export type OpKind =
  | "bump"
  | "transfer"
  | "random"
  | "schedule"
  | "upgrade"
  | "count"
  | "upgrade-counter"
  | "create"
  | "install"
  | "stop"
  | "delete";

export interface Op {
  readonly kind: OpKind;
  /** Position among the drill's canisters, of the one called; -1 for another. */
  readonly canister: number;
  /** Position of the one that a transfer goes to. */
  readonly peer: number;
  /** -1 for requests that no drill canister counts. */
  readonly slot: number;
  readonly amount: number;
  readonly cycles: bigint;
  readonly request: SignedRequest;
  readonly client: Client;
  answer: Answer | null;
  /** How many nodes were started before it was answered. */
  answeredIn: number;
  /** How often it was sent. */
  sent: number;
}

/** Kept of the attached cycles by who receives a transfer. */
function accepted(cycles: bigint): bigint {
  return cycles - (cycles >> 2n);
}

export const INITIAL_BALANCE = 1_000_000_000n;

interface Totals {
  bumps: bigint;
  upgrades: bigint;
  inFlight: bigint;
  sent: bigint;
  received: bigint;
  cyclesSent: bigint;
  cyclesRefunded: bigint;
  cyclesAccepted: bigint;
}

export interface CheckOptions {
  /** Position of the canister. */
  readonly canister: number;
  readonly report: DrillReport;
  readonly counts: DrillCounts;
  readonly ops: readonly Op[];
  /** Everything is answered and every timer has fired. */
  readonly settled: boolean;
}

/** Everything wrong with a canister; empty when all is well. */
export function checkCanister(options: CheckOptions): string[] {
  const { canister, report, counts, ops, settled } = options;
  const wrong: string[] = [];
  const known = new Map(ops.filter(({ slot }) => slot >= 0).map((op) => [op.slot, op]));
  const totals: Totals = {
    bumps: 0n,
    upgrades: 0n,
    inFlight: 0n,
    sent: 0n,
    received: 0n,
    cyclesSent: 0n,
    cyclesRefunded: 0n,
    cyclesAccepted: 0n,
  };
  for (let slot = 0; slot < counts.executed.length; slot++) {
    const op = known.get(slot);
    wrong.push(
      ...checkSlot({ canister, slot, op, counts, settled }).map(
        (text) => `canister ${canister}, slot ${slot}: ${text}`,
      ),
    );
    if (op !== undefined) addUp(totals, op, slot, options);
  }
  wrong.push(...checkNumbers(report, totals).map((text) => `canister ${canister}: ${text}`));
  if (settled && report.queued !== 0n)
    wrong.push(`canister ${canister}: ${report.queued} slots still wait for the timer`);
  return wrong;
}

function checkSlot(at: {
  readonly canister: number;
  readonly slot: number;
  readonly op: Op | undefined;
  readonly counts: DrillCounts;
  readonly settled: boolean;
}): string[] {
  const { canister, slot, op, counts, settled } = at;
  const wrong: string[] = [];
  const expect = (what: string, actual: number | undefined, least: number, most: number): void => {
    if (actual === undefined || actual < least || actual > most) {
      const told =
        op === undefined
          ? "unused"
          : `${op.kind}, ${op.answer === null ? "unanswered" : "answered"}, sent ${op.sent} times`;
      wrong.push(`${what} ${actual} times, expected ${least} to ${most} (${told})`);
    }
  };
  const isMine = op?.canister === canister;
  const isPeers = op?.kind === "transfer" && op.peer === canister;
  const isAnswered = op !== undefined && op.answer !== null;
  const must = (applies: boolean): number => (applies && isAnswered ? 1 : 0);
  const may = (applies: boolean): number => (applies ? 1 : 0);
  const hasCallback = isMine && (op.kind === "transfer" || op.kind === "random");
  const isTimed = isMine && op.kind === "schedule";
  expect("executed", counts.executed[slot], must(isMine), may(isMine));
  expect(
    "executed by stable memory",
    counts.executedStable[slot],
    counts.executed[slot] ?? 0,
    counts.executed[slot] ?? 0,
  );
  expect("called back", counts.done[slot], must(hasCallback), may(hasCallback));
  expect("received", counts.received[slot], must(isPeers), may(isPeers));
  expect("fired", counts.fired[slot], settled ? may(isTimed) : 0, may(isTimed));
  return wrong;
}

function addUp(totals: Totals, op: Op, slot: number, { canister, counts }: CheckOptions): void {
  const amount = BigInt(op.amount);
  if (op.kind === "bump") totals.bumps += BigInt(counts.executed[slot] ?? 0);
  if (op.kind === "upgrade") totals.upgrades += BigInt(counts.executed[slot] ?? 0);
  if (op.kind !== "transfer") return;
  if (op.canister === canister && counts.executed[slot] === 1) {
    totals.cyclesSent += op.cycles;
    if (counts.done[slot] === 1) {
      totals.sent += amount;
      totals.cyclesRefunded += op.cycles - accepted(op.cycles);
    } else {
      totals.inFlight += amount;
    }
  }
  if (op.peer === canister && counts.received[slot] === 1) {
    totals.received += amount;
    totals.cyclesAccepted += accepted(op.cycles);
  }
}

function checkNumbers(report: DrillReport, totals: Totals): string[] {
  const wrong: string[] = [];
  const equal = (what: string, actual: bigint, expected: bigint): void => {
    if (actual !== expected) wrong.push(`${what} is ${actual}, expected ${expected}`);
  };
  equal("a", report.a, totals.bumps);
  equal("b", report.b, report.a);
  equal("a in stable memory", report.stableA, report.a);
  equal("pages unlike a", report.tornPages, 0n);
  equal("stable pages unlike a", report.tornStablePages, 0n);
  equal("balance", report.balance, INITIAL_BALANCE - totals.sent - totals.inFlight + totals.received);
  equal("amount in flight", report.inFlight, totals.inFlight);
  equal("amount sent", report.sent, totals.sent);
  equal("amount received", report.received, totals.received);
  equal("cycles sent", report.cyclesSent, totals.cyclesSent);
  equal("cycles refunded", report.cyclesRefunded, totals.cyclesRefunded);
  equal("cycles accepted", report.cyclesAccepted, totals.cyclesAccepted);
  equal("rejected transfers", report.rejected, 0n);
  equal("upgrades", report.upgrades, totals.upgrades);
  return wrong;
}

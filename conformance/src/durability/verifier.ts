/**
 * The checks of a node that was just started (and of one that has settled), through its public interface alone: canisters against
 * the records, answers of requests, heights, the counter, the short-lived canisters.
 */
import { LookupPathStatus } from "@icp-sdk/core/agent";
import { decodeCreated, decodeNat, NO_ARGUMENT } from "./candid.ts";
import { type DrillLook, decodeLook, pack } from "./canister.ts";
import { blockOf } from "./certificate-clock.ts";
import { type Endpoint, Violation } from "./client.ts";
import type { RunningNode } from "./node-under-test.ts";
import type { Random } from "./random.ts";
import { checkCanister, INITIAL_BALANCE, type Op } from "./records.ts";
import { DRILL_CANISTERS, type ShortLived, type Workload } from "./workload.ts";

/** Answered requests that are asked for again after a start: of the last node, and of all before it. */
const RECENT_STATUSES = 20;
const OLDER_STATUSES = 10;
const SHORT_LIVED_CHECKED = 6;
/** Requests are asked for again while they have this long to go, so that they do not expire meanwhile. */
const STATUS_MARGIN_MS = 20_000;
const TIMER_LOOKS_MAX = 200;
const TIMER_LOOK_MS = 50;

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

export class Verifier {
  /** Newest height known to have been published. */
  height = 0;
  statusesChecked = 0;
  /** What each canister had, transfers aside, when it last waited for no call: from then on it can only have less. */
  readonly #ceilings = new Map<number, bigint>();
  readonly #workload: Workload;
  readonly #random: Random;
  /** Nodes that were checked since they started. */
  readonly #started = new WeakSet<RunningNode>();

  constructor(workload: Workload, random: Random) {
    this.#workload = workload;
    this.#random = random;
  }

  async noteHeight(at: Endpoint): Promise<void> {
    this.height = Math.max(this.height, await this.#workload.client.height(at));
  }

  /** Throws a `Violation` that lists everything wrong. */
  async check(node: RunningNode, options: { readonly settled: boolean }): Promise<void> {
    const wrong: string[] = [];
    // The height that it started at: it goes on while it is checked.
    if (!this.#started.has(node) && node.height < this.height)
      wrong.push(`the node is at height ${node.height}, after ${this.height} was published`);
    this.#started.add(node);
    await this.noteHeight(node);
    if (this.#workload.canisters.length === DRILL_CANISTERS)
      wrong.push(...(await this.#checkCanisters(node, options.settled)));
    wrong.push(...(await this.#checkCounter(node, options.settled)));
    wrong.push(
      ...(await this.#checkStatuses(node)),
      ...(await this.#checkShortLived(node)),
      ...this.#checkIds(options.settled),
    );
    if (wrong.length > 0) throw new Violation(`after start:\n  ${wrong.slice(0, 40).join("\n  ")}`);
  }

  async #look(at: Endpoint, canister: number): Promise<DrillLook> {
    const { client, canisters, slotsUsed } = this.#workload;
    const id = canisters[canister];
    if (id === undefined) throw new Violation(`no canister ${canister}`);
    return decodeLook(await client.query(at, id, "look", pack(0, slotsUsed)));
  }

  async #checkCanisters(at: Endpoint, settled: boolean): Promise<string[]> {
    const { ops } = this.#workload;
    const wrong: string[] = [];
    const looks: DrillLook[] = [];
    for (let canister = 0; canister < DRILL_CANISTERS; canister++) {
      const look = await this.#look(at, canister);
      looks.push(look);
      wrong.push(...checkCanister({ canister, ...look, ops, settled }), ...this.#checkCycles(canister, look));
    }
    if (!settled) return wrong;
    const sum = (of: (look: DrillLook) => bigint): bigint =>
      looks.reduce((total, look) => total + of(look), 0n);
    const balances = sum(({ report }) => report.balance);
    if (balances !== BigInt(DRILL_CANISTERS) * INITIAL_BALANCE) wrong.push(`balances add up to ${balances}`);
    const cycles = sum(({ report }) => report.cyclesSent - report.cyclesRefunded - report.cyclesAccepted);
    if (cycles !== 0n) wrong.push(`${cycles} cycles were sent and neither accepted nor refunded`);
    return wrong;
  }

  /** Cycles are consumed and moved, never made: what a call under way has set aside may come back, nothing else. */
  #checkCycles(canister: number, { report, counts }: DrillLook): string[] {
    const { cycles, cyclesSent, cyclesRefunded, cyclesAccepted } = report;
    const own = cycles + cyclesSent - cyclesRefunded - cyclesAccepted;
    const ceiling = this.#ceilings.get(canister);
    const wrong =
      ceiling !== undefined && own > ceiling
        ? [`canister ${canister} has ${own} cycles of its own, after ${ceiling}`]
        : [];
    const open = this.#workload.ops.some(
      ({ kind, canister: caller, slot }) =>
        caller === canister &&
        (kind === "transfer" || kind === "random") &&
        counts.executed[slot] !== counts.done[slot],
    );
    if (!open) this.#ceilings.set(canister, own);
    return wrong;
  }

  /** Replies of the counter are all different, and it has counted what was answered and nothing that was not sent. */
  async #checkCounter(at: Endpoint, settled: boolean): Promise<string[]> {
    const { client, counter, ops } = this.#workload;
    const counts = ops.filter(({ kind }) => kind === "count");
    if (counter === null || counts.length === 0) return [];
    const value = Number(decodeNat(await client.query(at, counter, "get", NO_ARGUMENT)));
    const replies = counts.flatMap(({ answer }) =>
      answer?.kind === "replied" ? [Number(decodeNat(answer.reply))] : [],
    );
    const wrong: string[] = [];
    if (new Set(replies).size !== replies.length) wrong.push("the counter gave one number twice");
    const least = settled ? counts.length : replies.length;
    if (value < least || value > counts.length)
      wrong.push(`the counter is ${value}, expected ${least} to ${counts.length}`);
    const highest = replies.reduce((a, b) => Math.max(a, b), 0);
    if (value < highest) wrong.push(`the counter is ${value} after it answered ${highest}`);
    return wrong;
  }

  #statusesToCheck(): Op[] {
    const now = Date.now();
    const known = this.#workload.ops.filter(
      ({ answer, request }) => answer !== null && request.expiresAtMs > now + STATUS_MARGIN_MS,
    );
    const older = known.slice(0, -RECENT_STATUSES);
    const picked =
      older.length === 0 ? [] : Array.from({ length: OLDER_STATUSES }, () => this.#random.pick(older));
    return [...known.slice(-RECENT_STATUSES), ...picked];
  }

  /** An answered request is still known and its answer is the same. */
  async #checkStatuses(at: Endpoint): Promise<string[]> {
    const wrong: string[] = [];
    for (const op of this.#statusesToCheck()) {
      const now = await op.client.status(at, op.request);
      this.statusesChecked++;
      const name = `the answer of ${op.kind} in slot ${op.slot}, given by node ${op.answeredIn},`;
      if (now === null) wrong.push(`${name} is not known any more`);
      else if (op.answer?.kind !== "replied" || now.kind !== "replied" || !isSame(op.answer.reply, now.reply))
        wrong.push(`${name} has changed`);
    }
    return wrong;
  }

  /** A module hash is certified for exactly the canisters that have code. */
  async #checkShortLived(at: Endpoint): Promise<string[]> {
    const wrong: string[] = [];
    for (const canister of this.#workload.shortLived.slice(-SHORT_LIVED_CHECKED)) {
      const hasCode = await this.#hasModule(at, canister);
      const expected = canister.stage === "installed" || canister.stage === "stopped";
      if (hasCode !== expected && !canister.isChanging)
        wrong.push(`${canister.id.toText()} is ${canister.stage} and has ${hasCode ? "a" : "no"} module`);
    }
    return wrong;
  }

  async #hasModule(at: Endpoint, { id }: ShortLived): Promise<boolean> {
    const path = [
      new TextEncoder().encode("canister"),
      id.toUint8Array(),
      new TextEncoder().encode("module_hash"),
    ];
    const certificate = await this.#workload.client.readState(at, id, [path]);
    return certificate.lookup_path(path).status === LookupPathStatus.Found;
  }

  /** Canister ids of a subnet are given out in turn, so that a creation that happened twice leaves a gap. */
  #checkIds(settled: boolean): string[] {
    const ids = this.#workload.ops
      .filter(({ kind, answer }) => kind === "create" && answer !== null)
      .map(({ answer }) => decodeCreated((answer as { reply: Uint8Array }).reply));
    const wrong: string[] = [];
    if (new Set(ids.map(String)).size !== ids.length) wrong.push("one canister id was given out twice");
    for (const own of Map.groupBy(ids, blockOf).values()) {
      const indexes = own.map((id) => Number(Buffer.from(id.toUint8Array()).readBigUInt64BE() & 0xfffffn));
      const span = Math.max(...indexes) - Math.min(...indexes) + 1;
      if (settled && span !== own.length)
        wrong.push(`${own.length} canisters were created on a subnet, ${span} ids were used`);
    }
    return wrong;
  }

  /** Looks until no slot waits for a timer. */
  async waitForTimers(at: Endpoint): Promise<void> {
    for (let looks = 0; looks < TIMER_LOOKS_MAX; looks++) {
      const waiting = await Promise.all(
        Array.from(
          { length: DRILL_CANISTERS },
          async (_, canister) => (await this.#look(at, canister)).report.queued,
        ),
      );
      if (waiting.every((queued) => queued === 0n)) return;
      await new Promise((resolve) => setTimeout(resolve, TIMER_LOOK_MS));
    }
    throw new Violation("timers that are due do not fire");
  }
}

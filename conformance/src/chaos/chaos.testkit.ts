/**
 * A subnet whose canisters call, stop, empty, upgrade, snapshot and delete each other at random (interface spec, "Abstract
 * behaviour"). After every round no cycle has come or gone and calls and their contexts agree; in the end everything was answered. The same
 * batches again, and again with a restart after every third round, give the same hashes of the whole state in every round.
 */
import assert from "node:assert/strict";
import { Principal } from "@icp-sdk/core/principal";
import { ANONYMOUS, type CanisterId, principalKey } from "@orrery/base";
import {
  type Recording,
  record,
  replay,
  SMALL,
  type TestSubnet,
  totalCycles,
} from "@orrery/execution/testing";
import type { CanisterState } from "@orrery/state";
import { seededRandom } from "../durability/random.ts";
import { encodeArg } from "../suite/management.ts";
import { universalModule } from "../suite/module.ts";
import { code } from "../suite/script.ts";
import { managementCall, program, type Surroundings } from "./programs.testkit.ts";

const T = 1_000_000_000_000n;
const SECOND = 1_000_000_000n;
/** Balances that are soon gone, and ones that never are. */
const BALANCES = [3n * T, 50n * T, 1_000_000n * T] as const;
/** What the universal canister takes as its program. */
const PROGRAM_BYTES_MAX = 60_000;
const CALL_DEPTH = 3;

export interface ChaosOptions {
  readonly seed: number;
  readonly rounds: number;
  /** Told of the subnet after each round of work, before it is judged. */
  readonly after?: (subnet: TestSubnet) => void;
}

function canistersOf(subnet: TestSubnet): readonly CanisterId[] {
  const ids = BALANCES.concat(BALANCES[1]).map((cycles) => subnet.create({ cycles }));
  const controllers = [ANONYMOUS, ...ids].map((id) => Principal.fromUint8Array(id));
  for (const id of ids) {
    const canister_id = Principal.fromUint8Array(id);
    subnet.reply({
      method: "update_settings",
      arg: encodeArg("update_settings", { canister_id, settings: { controllers } }),
    });
    subnet.install(id, universalModule(), { arg: code() });
  }
  return ids;
}

/** Every callback belongs to a context, which knows how many it has. */
function checkContexts({ meta, callContexts, callbacks, running }: CanisterState): void {
  assert.ok(meta.cycles >= 0n && meta.reservedCycles >= 0n, "a balance below zero");
  const outstanding = new Map<number, number>();
  for (const { contextId } of callbacks.values())
    outstanding.set(contextId, (outstanding.get(contextId) ?? 0) + 1);
  for (const id of outstanding.keys()) assert.ok(callContexts.has(id), "a callback without a context");
  if (running !== null) return;
  for (const context of callContexts.values())
    assert.equal(
      context.outstanding,
      outstanding.get(context.id) ?? 0,
      "a context waits for other callbacks",
    );
}

class Judge {
  readonly #subnet: TestSubnet;
  readonly #cycles: bigint;
  readonly #seed: number;

  constructor(subnet: TestSubnet, seed: number) {
    this.#subnet = subnet;
    this.#cycles = totalCycles(subnet.state);
    this.#seed = seed;
  }

  check(): void {
    const { state } = this.#subnet;
    const where = `seed ${this.#seed}, height ${state.height}`;
    assert.equal(totalCycles(state), this.#cycles, `${where}: cycles came or went`);
    for (const canister of state.canisters.values()) checkContexts(canister);
  }

  /** After time enough for everything that ends by itself. */
  checkEnd(): void {
    const { state } = this.#subnet;
    for (const { callContexts, callbacks, queues } of state.canisters.values()) {
      assert.deepEqual(
        [callContexts.size, callbacks.size],
        [0, 0],
        `seed ${this.#seed}: calls without an end`,
      );
      assert.deepEqual([queues.requests.size, queues.responses.length, queues.ingress.length], [0, 0, 0]);
    }
    assert.deepEqual([state.managementQueue.length, state.pendingManagement.length], [0, 0]);
    for (const { status } of state.ingressHistory.values())
      assert.ok(status.kind !== "received" && status.kind !== "processing", `seed ${this.#seed}: unanswered`);
  }
}

/** Work in random rounds; returns how many messages were sent. */
function work(
  subnet: TestSubnet,
  judge: Judge,
  options: ChaosOptions & { readonly ids: readonly CanisterId[] },
): number {
  const random = seededRandom(options.seed);
  const snapshots = (): readonly Uint8Array[] => [...subnet.state.snapshots.values()].map(({ id }) => id);
  const around: Surroundings = { random, ids: options.ids, snapshots };
  let sent = 0;
  for (let round = 0; round < options.rounds; round++) {
    const batch: Uint8Array[] = [];
    for (let left = random.below(4); left > 0; left--) {
      if (random.below(3) === 0) {
        const [method, arg] = managementCall(around);
        batch.push(subnet.envelope({ method, arg }).bytes);
        continue;
      }
      const arg = code(...program(around, { depth: CALL_DEPTH, mayReply: true }));
      const canisterId = options.ids[random.below(options.ids.length)] as CanisterId;
      if (arg.length <= PROGRAM_BYTES_MAX)
        batch.push(subnet.envelope({ canisterId, method: "update", arg }).bytes);
    }
    sent += batch.length;
    const isLeap = random.below(50) === 0;
    const leap = [10n, 100n, 1_000n, 86_400n][random.below(4)] as bigint;
    subnet.round(batch, isLeap ? leap * SECOND : BigInt(random.below(2_000)) * 1_000_000n + 1n);
    options.after?.(subnet);
    judge.check();
  }
  return sent;
}

/** Lets everything come to its end: all run again, and time passes. */
function drain(subnet: TestSubnet, judge: Judge, ids: readonly CanisterId[]): void {
  const settle = (rounds: number, advanceNs: bigint): void => {
    for (let i = 0; i < rounds; i++) {
      subnet.round([], advanceNs);
      judge.check();
    }
  };
  const left = ids.filter((id) => subnet.state.canisters.has(principalKey(id)));
  subnet.round(left.map((id) => subnet.manageEnvelope("start_canister", id).bytes));
  settle(30, 1_000_000n);
  // Deadlines of best-effort calls, of stop requests and of messages that never began.
  for (let i = 0; i < 3; i++) {
    settle(1, 400n * SECOND);
    settle(8, 1_000_000n);
  }
}

/** The batches of a seed and what they come to, judged. */
export function chaosRecording(options: ChaosOptions): {
  readonly recording: Recording;
  readonly sent: number;
} {
  const { seed } = options;
  let sent = 0;
  const recording = record(SMALL, (subnet) => {
    const ids = canistersOf(subnet);
    const judge = new Judge(subnet, seed);
    sent = work(subnet, judge, { ...options, ids });
    drain(subnet, judge, ids);
    judge.checkEnd();
  });
  return { recording, sent };
}

export function chaos(options: ChaosOptions): { readonly sent: number } {
  const { recording, sent } = chaosRecording(options);
  replay(recording);
  replay(recording, { restart: (round) => round % 3 === 0 });
  return { sent };
}

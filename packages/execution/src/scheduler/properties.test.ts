/**
 * Properties of whole rounds over random call graphs: cycles are conserved, every call is answered exactly once, nothing is left
 * behind, and the root hash depends neither on the workers nor on the order of Map insertion.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { type CanisterId, canisterIdFromIndex, fromHex, principalKey } from "@orrery/base";
import { type CanisterState, decodeCanister, encodeCanister, type ReplicatedState } from "@orrery/state";
import fc from "fast-check";
import { recountMessages } from "../messaging/message-memory.ts";
import type { Script, ScriptedCall } from "../testing/scripted-runner.testkit.ts";
import { encodeScript, ScriptedRunner } from "../testing/scripted-runner.testkit.ts";
import { TestSubnet } from "../testing/subnet.testkit.ts";
import { totalCycles } from "../testing/total-cycles.testkit.ts";
import type { BatchResult, Executor } from "../types.ts";
import { inlineExecutor } from "./round.ts";
import { gridPoint, payUntil } from "./upkeep.ts";

const CANISTERS = 4;
const START_CYCLES = 4_000_000_000_000n;
const MODULE = Uint8Array.of(1, 2, 3);
/** Calls in callbacks of calls. */
const DEPTH = 2;

const leaf: fc.Arbitrary<Script> = fc.record({
  accept: fc.integer({ min: 0, max: 2_000_000 }),
  burn: fc.integer({ min: 0, max: 1_000 }),
  calls: fc.constant([]),
  respond: fc.constantFrom("reply", "reject", "nothing"),
  trap: fc.boolean(),
  instructions: fc.integer({ min: 1, max: 1_000_000 }),
});

const target = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .integer({ min: 0, max: CANISTERS })
      .map((i) => ({ to: principalKey(canisterIdFromIndex(BigInt(i))), method: "run" })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom("raw_rand", "deposit_cycles", "no_such_method")
      .map((method) => ({ to: "", method })),
  },
);

function call(script: fc.Arbitrary<Script>): fc.Arbitrary<ScriptedCall> {
  return fc
    .record({
      target,
      cycles: fc.integer({ min: 0, max: 5_000_000 }),
      payload: script,
      onReply: script,
      onReject: script,
      cleanup: fc.boolean(),
      timeoutSeconds: fc.option(fc.integer({ min: 0, max: 3 })),
    })
    .map(({ target: { to, method }, ...rest }) => ({ to, method, ...rest }));
}

function scripts(depth: number): fc.Arbitrary<Script> {
  if (depth === 0) return leaf;
  const inner = scripts(depth - 1);
  return fc.oneof(
    leaf,
    fc.record({
      accept: fc.integer({ min: 0, max: 2_000_000 }),
      burn: fc.integer({ min: 0, max: 1_000 }),
      calls: fc.array(call(inner), { maxLength: 3 }),
      respond: fc.constantFrom("reply", "reject", "nothing", "nothing"),
      trap: fc.constant(false),
      instructions: fc.integer({ min: 1, max: 3_000_000_000 }),
    }),
  );
}

type Step =
  | { readonly kind: "run"; readonly canister: number; readonly script: Script }
  | { readonly kind: "manage"; readonly canister: number; readonly method: string }
  | { readonly kind: "wait"; readonly ns: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("run"),
      canister: fc.nat(CANISTERS - 1),
      script: scripts(DEPTH),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("manage"),
      canister: fc.nat(CANISTERS - 1),
      method: fc.constantFrom("stop_canister", "start_canister", "uninstall_code", "canister_status"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("wait"), ns: fc.integer({ min: 1, max: 4_000_000_000 }) }),
  },
) as fc.Arbitrary<Step>;

interface Prepared {
  readonly subnet: TestSubnet;
  readonly runner: ScriptedRunner;
  readonly ids: readonly CanisterId[];
}

function prepare(partitions: number, instructionsPerRound: bigint): Prepared {
  const runner = new ScriptedRunner();
  // So little that some best-effort messages are shed.
  const limits = { partitions, instructionsPerRound, bestEffortMessageBytes: 1_000 };
  const subnet = new TestSubnet({ runner, limits });
  const ids = Array.from({ length: CANISTERS }, () => subnet.installed(MODULE, { cycles: START_CYCLES }));
  return { subnet, runner, ids };
}

/** Plays the steps, a batch each two, then rounds until nothing is left; returns the ids of all messages. */
function play({ subnet, ids }: Prepared, steps: readonly Step[], checkMore: () => void): Uint8Array[] {
  const check = (): void => {
    checkMessageMemory(subnet.state);
    checkMore();
  };
  const sent: Uint8Array[] = [];
  let batch: Uint8Array[] = [];
  for (const [i, one] of steps.entries()) {
    const id = one.kind === "wait" ? null : (ids[one.canister] as CanisterId);
    if (one.kind === "wait") subnet.round(batch, BigInt(one.ns));
    else {
      const message =
        one.kind === "run"
          ? subnet.envelope({ canisterId: id as CanisterId, method: "run", arg: encodeScript(one.script) })
          : subnet.manageEnvelope(one.method, id as CanisterId);
      batch.push(message.bytes);
      sent.push(message.id);
      if (i % 2 === 0) continue;
      subnet.round(batch);
    }
    batch = [];
    check();
  }
  subnet.round(batch);
  check();
  const settle = (): void => {
    for (let i = 0; i < 200 && subnet.results.at(-1)?.moreWork === true; i++) {
      subnet.round();
      check();
    }
  };
  settle();
  // Best-effort deadlines pass, and stop requests that can no longer complete: what calls then has a deadline of its own.
  for (let i = 0; i <= DEPTH; i++) {
    subnet.round([], 5_000_000_000n);
    check();
    settle();
  }
  return sent;
}

/** The sums of messages are kept message by message. */
function checkMessageMemory({ canisters }: ReplicatedState): void {
  for (const canister of canisters.values()) {
    const { guaranteedMessageBytes, bestEffortMessageBytes } = canister.meta;
    assert.deepEqual({ guaranteedMessageBytes, bestEffortMessageBytes }, recountMessages(canister));
  }
}

test("cycles are conserved and every call is answered exactly once", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      const prepared = prepare(2, 4_000_000_000n);
      const { subnet, runner } = prepared;
      const total = totalCycles(subnet.state);
      const sent = play(prepared, steps, () => assert.equal(totalCycles(subnet.state), total));
      assert.deepEqual(runner.wrong, []);
      for (const id of sent) assert.ok(["replied", "rejected"].includes(subnet.status(id)?.kind ?? "none"));
      for (const canister of subnet.state.canisters.values()) {
        assert.equal(canister.callContexts.size, 0);
        assert.equal(canister.callbacks.size, 0);
        assert.equal(canister.outstandingByCallee.size, 0);
        assert.equal(canister.queues.requests.size, 0);
        assert.notEqual(canister.meta.status.kind, "stopping");
      }
      const answered = subnet.results.flatMap((result) => result.answered.map((id) => principalKey(id)));
      assert.equal(new Set(answered).size, answered.length);
    }),
    { numRuns: 150 },
  );
});

/** An executor that runs partitions last to first: what they do must not depend on each other. */
const backwards: Executor = {
  run(partitions, local): void {
    inlineExecutor.run(partitions.toReversed(), local);
  },
};

test("the root hash depends on the batches alone, and deltas name every record that changed", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 10 }), (steps) => {
      // Little room in a round, so that queues are long when the maps are turned around.
      const one = prepare(2, 1_000_000n);
      const two = prepare(2, 1_000_000n);
      two.subnet.reload(two.runner, backwards);
      const records = recordsOf(one.subnet.state);
      play(one, steps, () => checkDelta(one.subnet, records));
      play(two, steps, () => restore(two));
      const hashes = (subnet: TestSubnet): string[] =>
        subnet.results.map(({ rootHash }) => principalKey(rootHash));
      assert.deepEqual(hashes(two.subnet), hashes(one.subnet));
      assert.deepEqual(recordsOf(two.subnet.state), recordsOf(one.subnet.state));
    }),
    { numRuns: 60 },
  );
});

/** The durable form of every canister. */
function recordsOf(state: ReplicatedState): Map<string, string> {
  const keys = [...state.canisters.keys()].sort();
  return new Map(
    keys.map((key) => [key, principalKey(encodeCanister(state.canisters.get(key) as CanisterState))]),
  );
}

/** What the last delta does not name must be as it was: checkpoints write no other record. */
function checkDelta({ state, results }: TestSubnet, records: Map<string, string>): void {
  const { canisters } = (results.at(-1) as BatchResult).delta;
  const named = new Set(canisters.map(({ meta }) => principalKey(meta.id)));
  for (const [key, record] of recordsOf(state)) {
    const canister = state.canisters.get(key) as CanisterState;
    const before = records.get(key);
    assert.ok(named.has(key) || paid(state, before, canister) === record, `the delta does not name ${key}`);
    records.set(key, record);
  }
}

/** A record as it was and has paid for storage and compute meanwhile, which nobody is told. */
function paid(state: ReplicatedState, record: string | undefined, now: CanisterState): string | null {
  if (record === undefined) return null;
  const canister = decodeCanister(fromHex(record), now.memory);
  payUntil(state.subnet, canister, gridPoint(state.time));
  return principalKey(encodeCanister(canister));
}

/** Replaces every record by what its durable form says, in reverse order, and rebuilds the index, as a restart does. */
function restore({ subnet, runner }: Prepared): void {
  const { canisters, ingressHistory } = subnet.state;
  for (const [key, canister] of [...canisters].reverse()) {
    canisters.delete(key);
    canisters.set(key, decodeCanister(encodeCanister(canister), canister.memory));
    const { requests } = canister.queues;
    assert.ok([...requests.values()].every((queue) => queue.length > 0));
  }
  for (const [key, entry] of [...ingressHistory].reverse()) {
    ingressHistory.delete(key);
    ingressHistory.set(key, entry);
  }
  for (const { queues } of canisters.values()) {
    const entries = [...queues.requests].reverse();
    queues.requests.clear();
    for (const [key, queue] of entries) queues.requests.set(key, queue);
  }
  subnet.reload(runner, backwards);
}

/** One subnet in process, for programs whose instructions are counted: batches in, statuses and the rounds' instructions out. */
import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import {
  ANONYMOUS,
  type CanisterId,
  canisterIdFromIndex,
  encodeCbor,
  MANAGEMENT_CANISTER,
  type Principal,
  type SubnetId,
  selfAuthenticating,
  toHex,
  utf8,
} from "@orrery/base";
import { requestId } from "@orrery/crypto";
import {
  createExecution,
  type Execution,
  type Executor,
  inlineExecutor,
  type Job,
  type JobResult,
  WasmRunner,
} from "@orrery/execution";
import { type IngressStatus, newState, PageArena, type ReplicatedState } from "@orrery/state";
import { createEngine } from "@orrery/wasm";

const START_TIME = 1_700_000_000_000_000_000n;
const SECOND = 1_000_000_000n;
const ROUNDS_MAX = 40;
const SUBNET_ID: SubnetId = selfAuthenticating(utf8("golden subnet")) as Principal as SubnetId;
const RANGE = { start: canisterIdFromIndex(0n), end: canisterIdFromIndex(0xfffffn) };

export interface Answered {
  readonly status: IngressStatus;
  /** Of every round from the message's own to its answer. */
  readonly instructions: bigint;
}

/** Every profile adds up to what its message is charged. */
const addingExecutor: Executor = {
  run(partitions, local): void {
    const checked = partitions.map((partition) => ({
      next: () => partition.next(),
      done(job: Job, result: JobResult | null): void {
        if (result !== null) {
          const { profile, instructions } = result.outcome;
          const told = profile?.stacks.reduce((sum, stack) => sum + stack.instructions, 0n);
          assert.equal(told, instructions);
        }
        partition.done(job, result);
      },
    }));
    inlineExecutor.run(checked, local);
  },
};

export class GoldenSubnet {
  readonly id: SubnetId = SUBNET_ID;
  readonly #state: ReplicatedState;
  readonly #execution: Execution;
  readonly #arena: PageArena = new PageArena();
  #nonce = 0;

  constructor({ profiled }: { readonly profiled: boolean } = { profiled: false }) {
    const state = newState({
      subnet: {
        subnetId: SUBNET_ID,
        type: "application",
        publicKey: new Uint8Array(133).fill(7),
        rootKey: new Uint8Array(133).fill(9),
        rootSubnetId: SUBNET_ID,
        routing: [{ subnetId: SUBNET_ID, ranges: [RANGE] }],
        allocation: RANGE,
        nodes: [],
        feeSize: 13,
        local: true,
      },
      time: START_TIME,
    });
    const runner = new WasmRunner({
      engine: createEngine(),
      pages: this.#arena,
      modules: { get: (key) => (state.blobs.has(key) ? state.blobs.get(key) : null) },
      inflate: (bytes, max) => new Uint8Array(gunzipSync(bytes, { maxOutputLength: max })),
      profiling: () => profiled,
    });
    this.#state = state;
    this.#execution = createExecution(state, {
      runner,
      executor: profiled ? addingExecutor : inlineExecutor,
      arena: this.#arena,
    });
  }

  /** A round; the clock moves by `advanceNs`. Answers its instructions. */
  round(ingress: readonly Uint8Array[] = [], advanceNs: bigint = SECOND): bigint {
    const height = this.#state.height + 1;
    const result = this.#execution.applyBatch({
      height,
      time: this.#state.time + advanceNs,
      registryVersion: 1,
      randomness: new Uint8Array(32).fill(height & 255),
      ingress,
    });
    this.#arena.advance(height);
    return result.instructions;
  }

  /** Sends a message of the anonymous user and runs rounds until it is answered. */
  call(message: {
    readonly canisterId?: CanisterId;
    readonly method: string;
    readonly arg: Uint8Array;
  }): Answered {
    const content = new Map(
      Object.entries({
        request_type: "call",
        sender: ANONYMOUS,
        nonce: Uint8Array.of(this.#nonce >> 8, this.#nonce++ & 255),
        ingress_expiry: this.#state.time + 240n * SECOND,
        canister_id: message.canisterId ?? MANAGEMENT_CANISTER,
        method_name: message.method,
        arg: message.arg,
      }),
    );
    const id = toHex(requestId(content));
    let instructions = this.round([encodeCbor({ content })]);
    for (let i = 0; i < ROUNDS_MAX; i++) {
      const status = this.#state.ingressHistory.get(id)?.status;
      if (status !== undefined && (status.kind === "replied" || status.kind === "rejected"))
        return { status, instructions };
      instructions += this.round();
    }
    assert.fail(`${message.method} is not answered after ${ROUNDS_MAX} rounds`);
  }
}

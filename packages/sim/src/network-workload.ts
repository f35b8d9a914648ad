/**
 * A random workload over a network and its verdict: users call canisters, which call each other and the management canisters of
 * every subnet, with and without guarantees and cycles, while canisters stop and start and slices suffer. Afterwards everything
 * must be answered, in order, once, with no cycle lost and nothing left behind. A function of its seed.
 */
import {
  ANONYMOUS,
  assert,
  type CanisterId,
  canisterIdFromIndex,
  canisterIndex,
  concatBytes,
  encodeCbor,
  encodeUleb128,
  MANAGEMENT_CANISTER,
  type PrincipalKey,
  principalKey,
  toHex,
  u64be,
  utf8,
} from "@orrery/base";
import { requestId } from "@orrery/crypto";
import type { GenesisCanister } from "@orrery/execution";
import type { LocalSubnet } from "@orrery/execution/local-network";
import type { ReplicatedState } from "@orrery/state";
import { createSimNetwork, type SimNetwork, type SimNetworkOptions } from "./network.ts";
import { leftovers, networkCycles } from "./network-checks.ts";
import { type Random, seededRandom } from "./random.ts";
import { encodeScript, type Script, type ScriptCall, ScriptRunner, ScriptWatch } from "./script-runner.ts";

export interface WorkloadOptions
  extends Omit<SimNetworkOptions, "runner" | "genesis" | "startTime" | "stepNs"> {
  readonly canistersPerSubnet: number;
  /** Steps with new messages; the network then comes to rest. */
  readonly steps: number;
  /** Calls of users a step, on average. */
  readonly callsPerStep: number;
  /** Steps within which it must come to rest. */
  readonly settleSteps?: number;
  /** Called before each of the steps: what it does to the network the verdict must find. */
  readonly sabotage?: (network: SimNetwork, step: number) => void;
}

export interface WorkloadReport {
  readonly traceHash: string;
  readonly messages: number;
  readonly slices: number;
  readonly refused: number;
  readonly executions: number;
  readonly callbacks: number;
  /** Steps until rest. */
  readonly settled: number;
}

const SECOND = 1_000_000_000n;
const START_CYCLES = 10n ** 15n;
/** Ids within a subnet's allocation, away from those that it gives out. */
const FIRST_ID = 1_000n;
/** More than every message of the workload can need. */
const SETTLE_STEPS = 2_000;
/** Three seconds and a bit: the longest deadline passes. */
const SETTLE_STEPS_MIN = 35;
const MODULE = utf8("script");

/** Runs the workload; an assertion that fails names the seed. */
export function runNetworkWorkload(options: WorkloadOptions): WorkloadReport {
  const workload = new Workload(options);
  workload.play();
  return workload.settle();
}

class Workload {
  readonly #options: WorkloadOptions;
  readonly #random: Random;
  readonly #watch = new ScriptWatch();
  readonly #network: SimNetwork;
  readonly #canisters: { readonly id: CanisterId; readonly subnet: number }[] = [];
  readonly #sent: { readonly subnet: number; readonly id: Uint8Array }[] = [];
  readonly #total: bigint;
  #nonce = 0n;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed, 0x10ad);
    this.#network = createSimNetwork({
      ...options,
      runner: () => new ScriptRunner(this.#watch),
      genesis: (subnet, index) => this.#genesis(subnet, index),
    });
    this.#total = networkCycles(this.#states());
  }

  #states(): readonly SimNetwork["subnets"][number]["state"][] {
    return this.#network.subnets.map(({ state }) => state);
  }

  #genesis(subnet: LocalSubnet, index: number): GenesisCanister[] {
    const first = (canisterIndex(subnet.info.allocation.start) as bigint) + FIRST_ID;
    return Array.from({ length: this.#options.canistersPerSubnet }, (_, i) => {
      const id = canisterIdFromIndex(first + BigInt(i));
      this.#canisters.push({ id, subnet: index });
      return {
        id,
        controllers: [ANONYMOUS, ...this.#controllers()],
        cycles: START_CYCLES,
        wasm: MODULE,
        arg: new Uint8Array(0),
      };
    });
  }

  /** Canisters may manage those that come after them, wherever these are. */
  #controllers(): CanisterId[] {
    return this.#canisters.slice(0, 8).map(({ id }) => id);
  }

  play(): void {
    const { steps, callsPerStep, sabotage } = this.#options;
    for (let step = 0; step < steps; step++) {
      const calls = this.#random.below(2 * callsPerStep + 1);
      for (let i = 0; i < calls; i++) this.#send();
      sabotage?.(this.#network, step);
      this.#network.step();
      this.#check();
    }
  }

  #send(): void {
    const { id, subnet } = this.#pick();
    if (this.#random.chance(0.06)) {
      const method = this.#random.chance(0.5) ? "stop_canister" : "start_canister";
      this.#submit(subnet, MANAGEMENT_CANISTER, method, idArgument(id));
    } else {
      this.#submit(subnet, id, "run", encodeScript(this.#script(3)));
    }
  }

  #pick(): { readonly id: CanisterId; readonly subnet: number } {
    const picked = this.#canisters[this.#random.below(this.#canisters.length)];
    assert(picked !== undefined, "the workload has canisters");
    return picked;
  }

  #submit(subnet: number, canisterId: CanisterId, method: string, arg: Uint8Array): void {
    const content = new Map<string, never>(
      Object.entries({
        request_type: "call",
        sender: ANONYMOUS,
        nonce: u64be(this.#nonce++),
        ingress_expiry: this.#network.time + 240n * SECOND,
        canister_id: canisterId,
        method_name: method,
        arg,
      }) as [string, never][],
    );
    this.#network.submit(subnet, encodeCbor(new Map([["content", content]]) as never));
    this.#sent.push({ subnet, id: requestId(content) });
  }

  #script(depth: number): Script {
    const random = this.#random;
    const calls = depth === 0 ? [] : Array.from({ length: random.below(4) }, () => this.#call(depth - 1));
    const answers =
      calls.length === 0 ? (["reply", "reject", "nothing"] as const) : (["reply", "nothing"] as const);
    return {
      accept: random.below(2_000_000),
      calls,
      respond: answers[random.below(answers.length)] ?? "reply",
      trap: calls.length === 0 && random.chance(0.1),
    };
  }

  #call(depth: number): ScriptCall {
    const random = this.#random;
    const common = {
      cycles: random.chance(0.5) ? random.below(5_000_000) : 0,
      timeoutSeconds: random.chance(0.3) ? 1 + random.below(3) : null,
      after: this.#script(Math.max(0, depth - 1)),
    };
    if (!random.chance(0.12))
      return { ...common, to: this.#target(), method: "run", script: this.#script(depth), arg: "" };
    const methods = [
      "raw_rand",
      "deposit_cycles",
      "canister_status",
      "stop_canister",
      "start_canister",
    ] as const;
    const method = methods[random.below(methods.length)] ?? "raw_rand";
    const arg = method === "raw_rand" ? utf8("DIDL\0\0") : idArgument(this.#pick().id);
    return { ...common, to: "", method, script: null, arg: toHex(arg) };
  }

  /** Mostly canisters; now and then an id that nobody has. */
  #target(): PrincipalKey {
    const { id } = this.#pick();
    if (!this.#random.chance(0.04)) return principalKey(id);
    return principalKey(
      canisterIdFromIndex((canisterIndex(id) as bigint) + 1_000_000n * BigInt(this.#random.below(3))),
    );
  }

  #check(): void {
    const { seed } = this.#options;
    const cycles = networkCycles(this.#states());
    assert(cycles === this.#total, `seed ${seed}: ${cycles - this.#total} cycles too many`);
    assert(this.#watch.wrong.length === 0, `seed ${seed}: ${this.#watch.wrong.join("; ")}`);
  }

  /** Starts what was stopped and lets the network come to rest. */
  settle(): WorkloadReport {
    const { seed, settleSteps = SETTLE_STEPS } = this.#options;
    let settled = 0;
    // Deadlines pass as well: late answers have nobody left to wait for them.
    for (; settled < settleSteps && (settled < SETTLE_STEPS_MIN || this.#open()); settled++) {
      if (settled % SETTLE_STEPS_MIN === 0) this.#startAll();
      this.#network.step();
      this.#check();
    }
    const left = leftovers(this.#states());
    assert(left.length === 0, `seed ${seed}: left over: ${left.join("; ")}`);
    const { waiting } = this.#watch;
    assert(waiting.size === 0, `seed ${seed}: never answered: ${[...waiting.keys()].join(", ")}`);
    for (const { subnet, id } of this.#sent) {
      const kind = this.#network.status(subnet, id)?.kind ?? "unknown";
      assert(kind === "replied" || kind === "rejected", `seed ${seed}: a user's call is ${kind}`);
    }
    const { slices } = this.#network;
    return {
      traceHash: this.#network.traceHash(),
      messages: slices.messages,
      slices: slices.carried,
      refused: slices.refused,
      executions: this.#watch.executions,
      callbacks: this.#watch.callbacks,
      settled,
    };
  }

  /** One that waits for its own stop, or that was stopped by a message still under way, goes on. */
  #startAll(): void {
    for (const { id, subnet } of this.#canisters) {
      const { canisters } = this.#states()[subnet] as ReplicatedState;
      if (canisters.get(principalKey(id))?.meta.status.kind !== "running")
        this.#submit(subnet, MANAGEMENT_CANISTER, "start_canister", idArgument(id));
    }
  }

  #open(): boolean {
    return this.#network.busy() || leftovers(this.#states()).length > 0;
  }
}

/** Candid of `record { canister_id : principal }`. */
export function idArgument(id: CanisterId): Uint8Array {
  let hash = 0;
  for (const byte of utf8("canister_id")) hash = (Math.imul(hash, 223) + byte) >>> 0;
  return concatBytes(
    utf8("DIDL"),
    Uint8Array.of(1, 0x6c, 1),
    encodeUleb128(hash),
    Uint8Array.of(0x68, 1, 0, 1, id.length),
    id,
  );
}

/**
 * What all steps of one round share: the state, its index, the environment, and what the round has done so far. Created by
 * `applyBatch`, dropped when it returns.
 */
import type { Logger, TimeNs } from "@orrery/base";
import type { ChainKeys } from "@orrery/crypto/chain-keys";
import type { OutboundMessage, Outcall, PageArena, ReplicatedState } from "@orrery/state";
import type { ExecutionLimits } from "../limits.ts";
import type { Executor, LocalJobs, MessageRunner } from "../types.ts";
import type { ExecutionIndex } from "./execution-index.ts";

export interface ExecutionEnv {
  readonly runner: MessageRunner;
  readonly executor: Executor;
  readonly local: LocalJobs;
  /** Page versions outside of executions: given back by uninstalled canisters, shared with and written to snapshots. */
  readonly arena: Pick<PageArena, "allocate" | "read" | "retain" | "retire">;
  readonly limits: ExecutionLimits;
  readonly log: Logger;
  /** Secrets of the keys that the subnet's record lists; null: it lists none. */
  readonly chainKeys: ChainKeys | null;
  /** Of test networks only. */
  readonly gate: MessageGate | null;
}

/** Between canisters, on their way: an instrument of test networks, which no node has. */
export interface MessageGate {
  /** What goes on instead of a message that a canister sent; null: nothing now, the gate has it. `lost`: never, of best-effort calls. */
  pass(message: OutboundMessage): OutboundMessage | null | "lost";
  /** Messages that go on in the round at `time`. */
  release(time: TimeNs): readonly OutboundMessage[];
}

export interface Round extends ExecutionEnv {
  readonly state: ReplicatedState;
  readonly index: ExecutionIndex;
  /** Block time of the round before. */
  readonly previousTime: TimeNs;
  /** Of the batch. */
  readonly registryVersion: number;
  /** Executions that began in earlier rounds get no slice. */
  readonly holdsLong: boolean;
  /** Requests whose status became terminal. */
  readonly answered: Uint8Array[];
  readonly outcallsStarted: Outcall[];
  readonly outcallsEnded: number[];
  instructions: bigint;
}

/** Runs partitions one after the other on the calling thread. */
export const inlineExecutor: Executor = {
  run(partitions, local): void {
    for (const partition of partitions) {
      for (let job = partition.next(); job !== null; job = partition.next()) {
        partition.done(job, local.run(job));
      }
    }
  },
};

/**
 * The execution thread: owns the mutable tips of all subnets and the only write handles to them. Replays the block logs at the start.
 */
import { setImmediate as immediate } from "node:timers/promises";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { assert, type Height } from "@orrery/base";
import { createMclBls } from "@orrery/crypto/mcl";
import { storeId } from "@orrery/execution/genesis";
import {
  type Channel,
  createChannel,
  createStreamLogger,
  installFastHashes,
  reportFailures,
} from "@orrery/host";
import { storeDirectory } from "@orrery/host/directory-content";
import { obeyKills, obeyOrders } from "./chaos.ts";
import { Credit } from "./credit.ts";
import { creationSubnetIds, decodeGenesis, subnetsOf } from "./genesis.ts";
import type {
  ExecutionCall,
  ExecutionPost,
  ExecutionReport,
  ExecutionStarted,
  StorageAcknowledgement,
  StorageFeed,
  SubnetIndex,
  ViewAcknowledgement,
  ViewFeed,
  ViewIndex,
  WorkerStart,
} from "./protocol.ts";
import { SubnetExecution } from "./subnet-execution.ts";

const start = workerData as WorkerStart;
installFastHashes();
const logger = createStreamLogger({ write: (line) => process.stderr.write(line), level: start.logLevel });

const PREPARE_AFTER_MS = 2_000;
/** Parts of a state on their way to a view: on a busy machine each turn between two threads takes longer than the part. */
const PARTS_AHEAD = 4;

let subnets: readonly SubnetExecution[] = [];
const views = new Map<ViewIndex, Channel<ViewFeed, ViewAcknowledgement>>();

assert(parentPort !== null, "the execution worker runs as a worker thread");
reportFailures(parentPort);
obeyOrders("execution", start.chaosFile);
obeyKills(start.chaosFile, () => subnets.map((execution) => execution.killCanisterWorkers()).includes(true));
const main = createChannel<ExecutionReport, ExecutionPost, never, ExecutionCall>(parentPort, {
  onPost({ subnet, batch }): void {
    const execution = executionOf(subnet);
    main.post(execution.execute(batch));
    execution.afterRound();
  },
  async onCall(call): Promise<readonly ExecutionStarted[] | readonly Height[] | null> {
    if (call.kind === "start") return await begin(call);
    if (call.kind === "attach") return await attach(call);
    const written =
      call.kind === "checkpoint"
        ? subnets.map((execution) => execution.checkpoint())
        : subnets.map((execution) => execution.shutDown());
    await Promise.all(written);
    return null;
  },
});

function executionOf(subnet: SubnetIndex): SubnetExecution {
  const execution = subnets[subnet];
  assert(execution !== undefined, "batches follow the start");
  return execution;
}

async function begin(call: Extract<ExecutionCall, { kind: "start" }>): Promise<readonly ExecutionStarted[]> {
  const { createChainKeys } = await import("@orrery/crypto/chain-keys");
  const bls = await createMclBls();
  const genesis = decodeGenesis(call.genesis);
  const local = subnetsOf(genesis, bls, start.self);
  const chainKeys = createChainKeys(genesis.seed);
  const storage = connectStorage(call.storage);
  const { checkpointRounds, hotPagesMax } = start.durability;
  const targets = creationSubnetIds(genesis, local);
  subnets = local.map(
    (each, subnet) =>
      new SubnetExecution({
        subnet,
        local: each,
        genesis,
        creationSubnets: targets,
        storeDirectory: storeDirectory(start.stateDirectory, subnet),
        storeId: storeId(call.networkId, subnet),
        bls,
        chainKeys,
        logger,
        ...(checkpointRounds === undefined ? {} : { checkpointRounds }),
        ...(hotPagesMax === undefined ? {} : { hotPagesMax }),
        toView: (view, feed) => views.get(view)?.post(feed),
        toStorage: (feed, transfer) => storage.post(feed, transfer),
        toMain: (report) => main.post(report),
        // As an error that nobody catches: the thread says why, and ends.
        onFailure: (error) =>
          queueMicrotask(() => {
            throw error;
          }),
      }),
  );
  // Not while the node starts, which needs the cores.
  setTimeout(() => {
    for (const execution of subnets) execution.prepare();
  }, PREPARE_AFTER_MS).unref();
  return subnets.map((execution, subnet) => {
    const recovered = call.subnets[subnet];
    assert(recovered !== undefined, "what was recovered is there for every subnet");
    return execution.start(recovered);
  });
}

/** A view's state is gathered between rounds: at most one part keeps a batch waiting that came meanwhile. */
async function attach({
  view,
  port,
}: Extract<ExecutionCall, { kind: "attach" }>): Promise<readonly Height[]> {
  const credit = new Credit(PARTS_AHEAD);
  const channel = createChannel<ViewFeed, ViewAcknowledgement>(port, {
    onPost(said): void {
      if (said.kind === "taken") credit.returned();
      // A view that was replaced may still have something to say.
      else if (views.get(view) === channel) executionOf(said.subnet).viewed(view, said.height);
    },
  });
  port.once("close", () => credit.close());
  views.set(view, channel);
  for (const execution of subnets) execution.followBy(view);
  // Nobody asks any more for the heights of one that ended, or was replaced.
  const isOver = (): boolean => credit.isClosed || views.get(view) !== channel;
  for (const execution of subnets) {
    while (!isOver() && execution.gatherView(view)) {
      await immediate();
      await credit.spent();
    }
  }
  // All at once: what a view has and may not show yet is little.
  return isOver() ? [] : subnets.map((execution) => execution.beginView(view));
}

function connectStorage(port: MessagePort): Channel<StorageFeed, StorageAcknowledgement> {
  return createChannel<StorageFeed, StorageAcknowledgement>(port, {
    onPost: ({ subnet, info }) => executionOf(subnet).checkpointed(info),
  });
}

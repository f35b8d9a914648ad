/**
 * The execution thread: owns the mutable tips of all subnets and the only write handles to them. Replays the block logs at the start.
 */
import { setImmediate as immediate } from "node:timers/promises";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { assert, type Height } from "@orrery/base";
import { createMclBls } from "@orrery/crypto/mcl";
import { storeId } from "@orrery/execution/genesis";
import type { LocalSubnet } from "@orrery/execution/local-network";
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
  BySubnet,
  ExecutionCall,
  ExecutionPost,
  ExecutionReport,
  ExecutionStarted,
  RecoveredSubnet,
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

let subnets: BySubnet<SubnetExecution> = new Map();
const views = new Map<ViewIndex, Channel<ViewFeed, ViewAcknowledgement>>();

assert(parentPort !== null, "the execution worker runs as a worker thread");
reportFailures(parentPort);
obeyOrders("execution", start.chaosFile);
obeyKills(start.chaosFile, () =>
  all()
    .map((execution) => execution.killCanisterWorkers())
    .includes(true),
);
const main = createChannel<ExecutionReport, ExecutionPost, never, ExecutionCall>(parentPort, {
  onPost({ subnet, batch }): void {
    const execution = executionOf(subnet);
    main.post(execution.execute(batch));
    execution.afterRound();
  },
  async onCall(call): Promise<BySubnet<ExecutionStarted> | BySubnet<Height> | null> {
    if (call.kind === "start") return await begin(call);
    if (call.kind === "attach") return await attach(call);
    const written =
      call.kind === "checkpoint"
        ? all().map((execution) => execution.checkpoint(call.when))
        : all().map((execution) => execution.shutDown());
    await Promise.all(written);
    return null;
  },
});

function all(): readonly SubnetExecution[] {
  return [...subnets.values()];
}

function bySubnet<T>(of: (execution: SubnetExecution, subnet: SubnetIndex) => T): BySubnet<T> {
  return new Map([...subnets].map(([subnet, execution]) => [subnet, of(execution, subnet)]));
}

function executionOf(subnet: SubnetIndex): SubnetExecution {
  const execution = subnets.get(subnet);
  assert(execution !== undefined, "batches follow the start");
  return execution;
}

async function begin(call: Extract<ExecutionCall, { kind: "start" }>): Promise<BySubnet<ExecutionStarted>> {
  const { createChainKeys } = await import("@orrery/crypto/chain-keys");
  const bls = await createMclBls();
  const genesis = decodeGenesis(call.genesis);
  const local = subnetsOf(genesis, bls, start.self);
  const chainKeys = createChainKeys(genesis.seed);
  const storage = connectStorage(call.storage);
  const { checkpointRounds, hotPagesMax } = start.durability;
  const targets = creationSubnetIds(genesis, local);
  const execution = (subnet: SubnetIndex): SubnetExecution =>
    new SubnetExecution({
      subnet,
      local: local[subnet] as LocalSubnet,
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
    });
  subnets = new Map([...call.subnets.keys()].map((subnet) => [subnet, execution(subnet)]));
  // Not while the node starts, which needs the cores.
  setTimeout(() => {
    for (const each of all()) each.prepare();
  }, PREPARE_AFTER_MS).unref();
  return bySubnet((each, subnet) => each.start(call.subnets.get(subnet) as RecoveredSubnet));
}

/** A view's state is gathered between rounds: at most one part keeps a batch waiting that came meanwhile. */
async function attach({ view, port }: Extract<ExecutionCall, { kind: "attach" }>): Promise<BySubnet<Height>> {
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
  for (const execution of all()) execution.followBy(view);
  // Nobody asks any more for the heights of one that ended, or was replaced.
  const isOver = (): boolean => credit.isClosed || views.get(view) !== channel;
  for (const execution of all()) {
    while (!isOver() && execution.gatherView(view)) {
      await immediate();
      await credit.spent();
    }
  }
  // All at once: what a view has and may not show yet is little.
  return isOver() ? new Map() : bySubnet((execution) => execution.beginView(view));
}

function connectStorage(port: MessagePort): Channel<StorageFeed, StorageAcknowledgement> {
  return createChannel<StorageFeed, StorageAcknowledgement>(port, {
    onPost: ({ subnet, info }) => executionOf(subnet).checkpointed(info),
  });
}

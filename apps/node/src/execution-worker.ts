/**
 * The execution thread: owns the mutable tip and the only write handle to it. For each batch: execute, certify, feed the view
 * and the storage thread, report to main. Replays the block log at the start.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { assert, type Batch, type Height, OrreryError, toHex } from "@orrery/base";
import { batchOf, decodeFinalizedBlock, initialConsensus, replay } from "@orrery/consensus";
import { createSoleSigner, stateRootMessage, type ThresholdSigner, treeHash } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { takeSnapshot } from "@orrery/execution";
import {
  type Channel,
  createChannel,
  createFileDisk,
  createStreamLogger,
  installFastHashes,
  reportFailures,
} from "@orrery/host";
import { decodeGenesis, deriveKeys, subnetInfo } from "./genesis.ts";
import type {
  ExecutionCall,
  ExecutionPost,
  ExecutionReport,
  ExecutionStarted,
  StorageAcknowledgement,
  StorageFeed,
  ViewAcknowledgement,
  ViewFeed,
  Wake,
  WorkerStart,
} from "./protocol.ts";
import { openTip, type Tip } from "./tip.ts";

const start = workerData as WorkerStart;
installFastHashes();
const logger = createStreamLogger({ write: (line) => process.stderr.write(line), level: start.logLevel });

let tip: Tip | null = null;
let signer: ThresholdSigner | null = null;
let view: Channel<ViewFeed, ViewAcknowledgement> | null = null;
let storage: Channel<StorageFeed, StorageAcknowledgement> | null = null;
let slabsToView = 0;
let slabsToStorage = 0;
let viewHeight: Height = 0;
let checkpointWaiters: (() => void)[] = [];

assert(parentPort !== null, "the execution worker runs as a worker thread");
reportFailures(parentPort);
const main = createChannel<ExecutionReport, ExecutionPost, never, ExecutionCall>(parentPort, {
  onPost: (message) => execute(message.batch),
  onCall: (call) => (call.kind === "start" ? begin(call) : shutDown()),
});

async function begin(call: Extract<ExecutionCall, { kind: "start" }>): Promise<ExecutionStarted> {
  const bls = await createMclBls();
  const genesis = decodeGenesis(call.genesis);
  const keys = deriveKeys(genesis, bls);
  signer = createSoleSigner({ bls, secret: keys.subnetSecret });
  connect(call.view, call.storage);
  tip = openTip({
    disk: createFileDisk(start.stateDirectory),
    networkId: call.networkId,
    subnet: subnetInfo(genesis, bls),
    genesisTime: genesis.time,
    logger,
    ...(start.durability.checkpointRounds === undefined
      ? {}
      : { checkpointRounds: start.durability.checkpointRounds }),
  });
  const chain = initialConsensus({ subnetId: keys.subnetId, nodeId: keys.nodeId }, genesis.time);
  if (call.checkpointBlock !== null) {
    const finalized = decodeFinalizedBlock(call.checkpointBlock);
    assert(
      finalized.proposal.block.height === tip.state.height,
      "the checkpoint's block has the checkpoint's height",
    );
    chain.tip = {
      height: tip.state.height - 1,
      hash: finalized.proposal.block.parent,
      time: finalized.proposal.block.context.time - 1n,
    };
    replay(chain, finalized);
  }
  let wake: Wake = { moreWork: true, nextTimer: null };
  for (const { bytes } of call.records) {
    const finalized = decodeFinalizedBlock(bytes);
    replay(chain, finalized);
    const result = tip.apply(batchOf(finalized));
    wake = { moreWork: result.moreWork, nextTimer: result.nextTimer };
  }
  sendSnapshot(tip);
  checkpointIfDue(tip);
  return { tip: chain.tip, replayed: call.records.length, wake };
}

function connect(viewPort: MessagePort, storagePort: MessagePort): void {
  view = createChannel<ViewFeed, ViewAcknowledgement>(viewPort, {
    onPost({ height }): void {
      viewHeight = height;
      tip?.reclaim(viewHeight);
    },
  });
  storage = createChannel<StorageFeed, StorageAcknowledgement>(storagePort, {
    onPost({ info }): void {
      tip?.checkpointed(info);
      tip?.reclaim(viewHeight);
      const waiters = checkpointWaiters;
      checkpointWaiters = [];
      for (const resolve of waiters) resolve();
    },
  });
}

function certify(rootHash: Uint8Array): Uint8Array {
  assert(signer !== null, "keys are there before the first round");
  const combined = signer.combine([signer.signShare(stateRootMessage(rootHash))]);
  if (!combined.ok) throw new OrreryError("internal", `signing the state failed: ${combined.error}`);
  return combined.value;
}

function sendSnapshot(of: Tip): void {
  const slabs = of.arena.slabs(slabsToView);
  slabsToView += slabs.length;
  view?.post({
    kind: "snapshot",
    snapshot: takeSnapshot(of.state),
    slabs,
    signature: certify(treeHash(of.state.tree)),
  });
}

function execute(batch: Batch): void {
  assert(tip !== null, "batches follow the start");
  const startedAt = performance.now();
  const result = tip.apply(batch);
  const signature = certify(result.rootHash);
  const slabs = tip.arena.slabs(slabsToView);
  slabsToView += slabs.length;
  view?.post({ kind: "delta", delta: result.delta, slabs, signature });
  main.post({
    kind: "executed",
    height: result.height,
    answered: result.answered.map(toHex),
    wake: { moreWork: result.moreWork, nextTimer: result.nextTimer },
    instructions: result.instructions,
    durationMs: performance.now() - startedAt,
  });
  checkpointIfDue(tip);
}

function checkpointIfDue(of: Tip, force = false): boolean {
  const input = of.collect({ force });
  if (input === null) return false;
  const slabs = of.arena.slabs(slabsToStorage);
  slabsToStorage += slabs.length;
  storage?.post({ kind: "checkpoint", input, slabs });
  return true;
}

async function shutDown(): Promise<void> {
  if (tip === null) return;
  const written = (): Promise<void> => new Promise((resolve) => checkpointWaiters.push(resolve));
  if (tip.checkpointInFlight) await written();
  if (checkpointIfDue(tip, true)) await written();
}

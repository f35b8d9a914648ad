/**
 * The storage thread: appends finalized blocks of all subnets with group commit (whatever arrived while one fsync ran goes into the
 * next) and writes checkpoints between appends. A failed write is fatal to the node: nothing is acknowledged that is not durable.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { assert } from "@orrery/base";
import { createChannel, installFastHashes, reportFailures } from "@orrery/host";
import { obeyOrders } from "./chaos.ts";
import type {
  BySubnet,
  StorageAcknowledgement,
  StorageCall,
  StorageFeed,
  StorageOpened,
  StoragePost,
  StorageReport,
  SubnetIndex,
  WorkerStart,
} from "./protocol.ts";
import { openStores, type SubnetStore } from "./subnet-store.ts";

const { stateDirectory, durability, chaosFile, hosted } = workerData as WorkerStart;
installFastHashes();
let stores: BySubnet<SubnetStore> = new Map();
let scheduled = false;
/** A piece of a checkpoint is on its way. */
let writing = false;
/** Blocks wait for no more than such a piece of a checkpoint, or for a sync of it. */
const PIECE_MS = 5;

assert(parentPort !== null, "the storage worker runs as a worker thread");
reportFailures(parentPort);
obeyOrders("storage", chaosFile);
const main = createChannel<StorageReport, StoragePost, never, StorageCall>(parentPort, {
  onPost(message): void {
    switch (message.kind) {
      case "append":
        storeOf(message.subnet).append(message.record);
        schedule();
        return;
      case "keep":
        storeOf(message.subnet).keep(message);
        schedule();
        return;
      case "purge":
        storeOf(message.subnet).purge(message.below);
        return;
      case "feed":
        acceptFeed(message.port);
    }
  },
  onCall(call): StorageOpened | readonly Uint8Array[] | null {
    if (call.kind === "open") return open(call);
    if (call.kind === "blocks") return storeOf(call.subnet).blocks(call.from);
    commit();
    for (const store of stores.values()) store.close();
    stores = new Map();
    return null;
  },
});

function storeOf(subnet: SubnetIndex): SubnetStore {
  const store = stores.get(subnet);
  assert(store !== undefined, "blocks and checkpoints arrive only while the stores are open");
  return store;
}

function open({ freshGenesis, salt }: Extract<StorageCall, { kind: "open" }>): StorageOpened {
  const { logSegmentBytes, keepRounds } = durability;
  const result = openStores({
    stateDirectory,
    hosted,
    freshGenesis,
    salt,
    ...(logSegmentBytes === undefined ? {} : { segmentBytes: logSegmentBytes }),
    ...(keepRounds === undefined ? {} : { keepRounds }),
  });
  stores = result.stores;
  return result.opened;
}

function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  // What is in the port's queue already joins this commit.
  setImmediate(commit);
}

function commit(): void {
  scheduled = false;
  for (const [subnet, store] of stores) {
    // What was signed for blocks is durable before they are.
    const sequence = store.syncArtifacts();
    if (sequence !== null) main.post({ kind: "kept", subnet, sequence });
    const height = store.commit();
    if (height === null) continue;
    main.post({ kind: "durable", subnet, height });
  }
  writeOn();
}

/** Writes checkpoints piece by piece: blocks that come meanwhile do not wait for more than a piece. */
function writeOn(): void {
  if (writing) return;
  const end = performance.now() + PIECE_MS;
  for (let due = dueStore(); due !== undefined; due = dueStore()) {
    due.writeOn();
    if (performance.now() < end) continue;
    writing = true;
    setImmediate(() => {
      writing = false;
      writeOn();
    });
    return;
  }
}

function dueStore(): SubnetStore | undefined {
  return stores.values().find((store) => store.checkpointDue);
}

function acceptFeed(port: MessagePort): void {
  const execution = createChannel<StorageAcknowledgement, StorageFeed>(port, {
    onPost(feed): void {
      const { subnet } = feed;
      if (feed.kind === "release") {
        storeOf(subnet).release(feed.epoch);
      } else if (feed.kind === "gathered") {
        storeOf(subnet).gathered(feed.canisters);
      } else if (feed.kind === "certified") {
        // What the last rounds say may come after the end.
        stores.get(subnet)?.note(feed);
      } else {
        storeOf(subnet).checkpoint(feed, (info) => execution.post({ kind: "checkpointed", subnet, info }));
        commit();
      }
    },
  });
}

/**
 * The storage thread: appends finalized blocks with group commit (whatever arrived while one fsync ran goes into the next) and
 * writes checkpoints between appends. A failed write is fatal to the node: nothing is acknowledged that is not durable.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { assert } from "@orrery/base";
import { createChannel, createFileDisk } from "@orrery/host";
import { openStore, PageReader, type Store } from "@orrery/state";
import type {
  LogRecord,
  StorageAcknowledgement,
  StorageCall,
  StorageFeed,
  StorageOpened,
  StoragePost,
  StorageReport,
  WorkerStart,
} from "./protocol.ts";

const { stateDirectory } = workerData as WorkerStart;
const reader = new PageReader();
let store: Store | null = null;
let waiting: LogRecord[] = [];
let scheduled = false;

assert(parentPort !== null, "the storage worker runs as a worker thread");
const main = createChannel<StorageReport, StoragePost, never, StorageCall>(parentPort, {
  onPost(message): void {
    if (message.kind === "append") {
      waiting.push(message.record);
      if (!scheduled) {
        scheduled = true;
        // Appends already in the port's queue join this commit.
        setImmediate(commit);
      }
    } else {
      acceptFeed(message.port);
    }
  },
  onCall(call): StorageOpened | null {
    if (call.kind === "open") return open(call);
    commit();
    store?.close();
    store = null;
    return null;
  },
});

function open(call: Extract<StorageCall, { kind: "open" }>): StorageOpened {
  const disk = createFileDisk(stateDirectory);
  store = openStore(disk, { networkId: call.networkId, freshGenesis: call.freshGenesis });
  return { genesis: store.genesis, hasCheckpoint: store.hasCheckpoint, records: store.records };
}

function commit(): void {
  scheduled = false;
  if (waiting.length === 0 || store === null) return;
  const batch = waiting;
  waiting = [];
  for (const { height, record } of batch) store.append(height, record);
  store.sync();
  main.post({ kind: "durable", height: (batch.at(-1) as LogRecord).height });
}

function acceptFeed(port: MessagePort): void {
  const execution = createChannel<StorageAcknowledgement, StorageFeed>(port, {
    onPost({ input, slabs }): void {
      for (const slab of slabs) reader.addSlab(slab);
      assert(store !== null, "a checkpoint arrives only while the store is open");
      commit();
      store.writeCheckpoint(input, reader);
      execution.post({ kind: "checkpointed", height: input.height });
    },
  });
}

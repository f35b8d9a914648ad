/**
 * The storage thread: appends finalized blocks with group commit (whatever arrived while one fsync ran goes into the next) and
 * writes checkpoints between appends. A failed write is fatal to the node: nothing is acknowledged that is not durable.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { assert, type Height, OrreryError } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { createChannel, createFileDisk, installFastHashes, reportFailures } from "@orrery/host";
import { type LogRecord, openStore, PageReader, type Store } from "@orrery/state";
import type {
  StorageAcknowledgement,
  StorageCall,
  StorageFeed,
  StorageOpened,
  StoragePost,
  StorageReport,
  WorkerStart,
} from "./protocol.ts";

/** The file that makes a directory a store. */
const STORE_IDENTITY_FILE = "ORRERY";

const { stateDirectory, durability } = workerData as WorkerStart;
installFastHashes();
const reader = new PageReader();
let store: Store | null = null;
let waiting: LogRecord[] = [];
let scheduled = false;
/** Newest block in the log. */
let appended: Height = 0;
/** Collected and not yet written, oldest first; execution has one under way at a time. */
const checkpoints: { readonly height: Height; write(): void }[] = [];

assert(parentPort !== null, "the storage worker runs as a worker thread");
reportFailures(parentPort);
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

/** A network that had begun lacks what was written before anything else. */
function lost(what: string): OrreryError {
  return new OrreryError(
    "store_corrupt",
    `${what} is damaged: it is missing; nothing was changed. Restore the state directory from a copy, or name an empty one`,
  );
}

/** Opens what is there, or begins a network with the genesis that main offers. */
function open(call: Extract<StorageCall, { kind: "open" }>): StorageOpened {
  const disk = createFileDisk(stateDirectory);
  const existing = disk.list().includes(STORE_IDENTITY_FILE);
  const networkId = existing ? null : sha256(call.freshGenesis);
  const opened = openStore(disk, {
    networkId,
    createIfMissing: !existing,
    salt: call.salt,
    ...(durability.logSegmentBytes === undefined ? {} : { segmentBytes: durability.logSegmentBytes }),
  });
  const { checkpoint, lastHeight } = opened.recovered;
  if (opened.genesis === null && (checkpoint !== null || lastHeight !== null)) throw lost("genesis");
  if (opened.genesis === null) opened.writeGenesis(call.freshGenesis);
  store = opened;
  appended = lastHeight ?? checkpoint?.height ?? 0;
  const first =
    checkpoint === null || checkpoint.height === 0 ? null : [...opened.blocksFrom(checkpoint.height)][0];
  if (first === undefined) throw lost("the block of the checkpoint");
  return {
    genesis: opened.genesis ?? call.freshGenesis,
    networkId: opened.networkId,
    checkpointBlock: first?.bytes ?? null,
    records: [...opened.recovered.blocks],
  };
}

function commit(): void {
  scheduled = false;
  if (waiting.length === 0 || store === null) return;
  const batch = waiting;
  waiting = [];
  store.appendBlocks(batch);
  store.sync();
  appended = (batch.at(-1) as LogRecord).height;
  main.post({ kind: "durable", height: appended });
  writeDueCheckpoints();
}

function acceptFeed(port: MessagePort): void {
  const execution = createChannel<StorageAcknowledgement, StorageFeed>(port, {
    onPost({ input, slabs }): void {
      for (const slab of slabs) reader.addSlab(slab);
      assert(store !== null, "a checkpoint arrives only while the store is open");
      checkpoints.push({
        height: input.height,
        write: () => {
          assert(store !== null, "a checkpoint is written only while the store is open");
          execution.post({ kind: "checkpointed", info: store.writeCheckpoint(input, reader) });
        },
      });
      commit();
      writeDueCheckpoints();
    },
  });
}

/** Blocks and checkpoints come over different ports, in no order between them: a checkpoint waits for its blocks. */
function writeDueCheckpoints(): void {
  while (checkpoints[0] !== undefined && checkpoints[0].height <= appended) checkpoints.shift()?.write();
}

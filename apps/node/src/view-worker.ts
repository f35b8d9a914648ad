/**
 * The view thread: holds the certified mirror and answers queries, read_state and ingress inspection from it. Requests are
 * handled strictly in the order main sent them, publications included, so whoever saw a reply reads its effects.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { assert, assertNever, type Height } from "@orrery/base";
import { CertifiedView } from "@orrery/execution";
import { createChannel, inflateGzip, installFastHashes, reportFailures } from "@orrery/host";
import { PageReader } from "@orrery/state";
import type { ViewAcknowledgement, ViewCall, ViewFeed, ViewPost, WorkerStart } from "./protocol.ts";

void (workerData as WorkerStart);
installFastHashes();
const reader = new PageReader();
let view: CertifiedView | null = null;
/** Feeds received and not yet published, oldest first; bounded by main's limits on blocks under way. */
const feeds: ViewFeed[] = [];
/** Set while a publication waits for its feed; everything after it waits too. */
let blockedOn: Height | null = null;
let backlog: (() => void)[] = [];
let execution: ReturnType<typeof createChannel<ViewAcknowledgement, ViewFeed>> | null = null;

assert(parentPort !== null, "the view worker runs as a worker thread");
reportFailures(parentPort);
createChannel<never, ViewPost, never, ViewCall>(parentPort, {
  onPost(message): void {
    if (message.kind === "feed") acceptFeed(message.port);
    else inOrder(() => publish(message.height));
  },
  mayTakeLong: (call) => call.kind === "query",
  onCall(call): unknown {
    if (blockedOn === null) return answer(call);
    return new Promise((resolve, reject) => {
      backlog.push(() => {
        try {
          resolve(answer(call));
        } catch (error) {
          reject(error);
        }
      });
    });
  },
});

function inOrder(action: () => void): void {
  if (blockedOn === null) action();
  else backlog.push(action);
}

function acceptFeed(port: MessagePort): void {
  execution = createChannel<ViewAcknowledgement, ViewFeed>(port, {
    onPost(feed): void {
      feeds.push(feed);
      if (blockedOn === null) return;
      const height = blockedOn;
      blockedOn = null;
      const waiting = [() => publish(height), ...backlog];
      backlog = [];
      for (const action of waiting) inOrder(action);
    },
  });
}

function publish(height: Height): void {
  const feed = feeds[0];
  if (feed === undefined) {
    blockedOn = height;
    return;
  }
  feeds.shift();
  for (const slab of feed.slabs) reader.addSlab(slab);
  const certification = { signature: feed.signature, delegation: null };
  if (feed.kind === "snapshot") {
    view = new CertifiedView({ snapshot: feed.snapshot, certification, pages: reader, inflate: inflateGzip });
  } else {
    assert(view !== null, "a delta follows a snapshot");
    assert(feed.delta.height === height, `publication ${height} meets the delta of ${feed.delta.height}`);
    view.apply(feed.delta, certification);
  }
  execution?.post({ kind: "applied", height });
}

function answer(call: ViewCall): unknown {
  if (view === null) return null;
  switch (call.kind) {
    case "query":
      return view.query(call.query);
    case "read_state":
      return view.readState(call.query);
    case "request_certificate":
      return view.requestCertificate(call.requestId, call.ranges);
    case "take_query_stats":
      return view.takeQueryStats();
    case "inspect":
      return view.inspect(call.envelope);
    default:
      return assertNever(call, "view call");
  }
}

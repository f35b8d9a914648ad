/**
 * The view thread: holds the certified mirrors of all subnets and answers queries, read_state and ingress inspection from them.
 * Requests to a subnet are handled strictly in the order main sent them, publications included, so whoever saw a reply reads its
 * effects.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { assert } from "@orrery/base";
import { createChannel, installFastHashes, reportFailures } from "@orrery/host";
import type {
  About,
  SubnetIndex,
  ViewAcknowledgement,
  ViewCall,
  ViewFeed,
  ViewPost,
  WorkerStart,
} from "./protocol.ts";
import { storeDirectory } from "./state-directory.ts";
import { SubnetView } from "./subnet-view.ts";

const { stateDirectory } = workerData as WorkerStart;
installFastHashes();
const views: SubnetView[] = [];
let execution: ReturnType<typeof createChannel<ViewAcknowledgement, ViewFeed>> | null = null;

assert(parentPort !== null, "the view worker runs as a worker thread");
reportFailures(parentPort);
createChannel<never, ViewPost, never, About<ViewCall>>(parentPort, {
  onPost(message): void {
    if (message.kind === "feed") acceptFeed(message.port);
    else if (message.kind === "publish") viewOf(message.subnet).publish(message.height);
    else viewOf(message.subnet).delegate(message.delegation);
  },
  mayTakeLong: (call) => call.kind === "query" || call.kind === "answer_outcall",
  onCall(call): unknown {
    const view = viewOf(call.subnet);
    return call.kind === "slice" ? view.slice(viewOf(call.source)) : view.call(call);
  },
});

function viewOf(subnet: SubnetIndex): SubnetView {
  const view =
    views[subnet] ??
    new SubnetView(storeDirectory(stateDirectory, subnet), (height) =>
      execution?.post({ kind: "applied", subnet, height }),
    );
  views[subnet] = view;
  return view;
}

function acceptFeed(port: MessagePort): void {
  execution = createChannel<ViewAcknowledgement, ViewFeed>(port, {
    onPost: (feed) => viewOf(feed.subnet).feed(feed),
  });
}

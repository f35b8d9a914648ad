/**
 * The view thread: holds the certified mirrors of all subnets and answers queries, read_state and ingress inspection from them.
 * Requests to a subnet are handled strictly in the order main sent them, publications included, so whoever saw a reply reads its
 * effects.
 */
import { type MessagePort, parentPort, threadName, workerData } from "node:worker_threads";
import { assert } from "@orrery/base";
import type { Bls } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { createChannel, installFastHashes, reportFailures, yieldToOthers } from "@orrery/host";
import { storeDirectory } from "@orrery/host/directory-content";
import { obeyOrders } from "./chaos.ts";
import type {
  About,
  SubnetIndex,
  ViewAcknowledgement,
  ViewCall,
  ViewFeed,
  ViewPost,
  WorkerStart,
} from "./protocol.ts";
import { VIEW_NAMES } from "./protocol.ts";
import { SLICE_MESSAGES_MAX } from "./slice-limits.ts";
import { SubnetView } from "./subnet-view.ts";

const { stateDirectory, chaosFile } = workerData as WorkerStart;
installFastHashes();
const views: SubnetView[] = [];
let bls: Promise<Bls> | null = null;
let execution: ReturnType<typeof createChannel<ViewAcknowledgement, ViewFeed>> | null = null;

assert(parentPort !== null, "the view worker runs as a worker thread");
reportFailures(parentPort);
obeyOrders(threadName ?? "view", chaosFile);
// Nobody waits for it but who asked for much.
if (threadName === VIEW_NAMES[1]) yieldToOthers();
createChannel<never, ViewPost, never, About<ViewCall>>(parentPort, {
  onPost(message): void {
    if (message.kind === "feed") acceptFeed(message.port);
    else if (message.kind === "publish") viewOf(message.subnet).publish(message);
    else viewOf(message.subnet).delegate(message.delegation);
  },
  mayTakeLong: (call) => call.kind === "query" || call.kind === "answer_outcall",
  onCall(call): unknown {
    if (call.kind === "slice") return slice(call);
    if (call.kind === "judge_slice") return judge(call);
    return viewOf(call.subnet).call(call);
  },
});

function viewOf(subnet: SubnetIndex): SubnetView {
  const view =
    views[subnet] ??
    new SubnetView(storeDirectory(stateDirectory, subnet), (progress) =>
      execution?.post({ ...progress, subnet }),
    );
  views[subnet] = view;
  return view;
}

/** The signature library takes a while to start, and networks whose subnets are silent do not need it here. */
async function slice({ subnet, source }: About<Extract<ViewCall, { kind: "slice" }>>): Promise<unknown> {
  const next = async (verifyBls: Bls["verify"]): Promise<unknown> =>
    await viewOf(subnet).slice(viewOf(source), { verifyBls, maxMessages: SLICE_MESSAGES_MAX });
  if (bls === null && (await next(() => true)) === null) return null;
  bls ??= createMclBls();
  return await next((await bls).verify);
}

async function judge({
  subnet,
  source,
  slice: bytes,
}: About<Extract<ViewCall, { kind: "judge_slice" }>>): Promise<unknown> {
  bls ??= createMclBls();
  const { verify } = await bls;
  return await viewOf(subnet).judgeSlice(source, bytes, verify);
}

function acceptFeed(port: MessagePort): void {
  execution = createChannel<ViewAcknowledgement, ViewFeed>(port, {
    onPost: (feed) => viewOf(feed.subnet).feed(feed),
  });
}

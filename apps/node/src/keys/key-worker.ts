/**
 * The key thread: deals, judges dealings and opens shares for the node's members of consensus, beside everything else. At the priority of all
 * others: a block with a dealing waits for it.
 */
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "@orrery/base";
import { type KeyJob, type KeyMeans, type KeyWork, runKeyJob } from "@orrery/consensus/keys";
import { createMclCurve } from "@orrery/crypto/mcl";
import { createChannel, installFastHashes, reportFailures } from "@orrery/host";
import { keyMeansOf } from "../founding/founding.ts";
import type { SubnetIndex } from "../protocol.ts";

export interface KeyWorkerStart {
  /** Of the node. */
  readonly seed: Uint8Array;
}

export interface KeyCall {
  readonly subnet: SubnetIndex;
  readonly job: KeyJob;
}

const { seed } = workerData as KeyWorkerStart;
installFastHashes();
assert(parentPort !== null, "the key worker runs as a worker thread");
reportFailures(parentPort);
const curve = createMclCurve();
const means = new Map<SubnetIndex, KeyMeans>();

createChannel<never, never, never, KeyCall>(parentPort, {
  onPost() {},
  async onCall({ subnet, job }): Promise<KeyWork[KeyJob["kind"]]> {
    const own = means.get(subnet) ?? keyMeansOf(await curve, seed, subnet);
    means.set(subnet, own);
    return runKeyJob(own, job);
  },
});

/** The thread that a network's past runs on: canisters have the stack there that they had on the node. */
import { parentPort, workerData } from "node:worker_threads";
import { assert, OrreryError } from "@orrery/base";
import { createMclBls } from "@orrery/crypto/mcl";
import { installFastHashes } from "@orrery/host";
import { requestCheckpoint } from "@orrery/host/checkpoint-request";
import { pinNetwork } from "@orrery/host/kept-stores";
import { answerHistory } from "./answer.ts";
import { openPast } from "./network.ts";
import { answerProfile } from "./profile.ts";
import type { HistoryProgress, NetworkAnswer, NetworkAsk } from "./types.ts";

export interface HistoryStart {
  readonly stateDir: string;
  readonly ask: NetworkAsk;
}

export type HistoryReport =
  | { readonly kind: "progress"; readonly progress: HistoryProgress }
  | { readonly kind: "answer"; readonly answer: NetworkAnswer }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

const PROGRESS_MS = 500;

assert(parentPort !== null, "the past runs on a worker thread");
const port = parentPort;
installFastHashes();
const { stateDir, ask } = workerData as HistoryStart;

function report(message: HistoryReport): void {
  port.postMessage(message);
}

async function run(): Promise<HistoryReport> {
  const bls = await createMclBls();
  let told = performance.now();
  const onProgress = (progress: HistoryProgress): void => {
    if (performance.now() - told < PROGRESS_MS) return;
    told = performance.now();
    report({ kind: "progress", progress });
  };
  if (ask.kind === "profile") {
    await requestCheckpoint(stateDir);
    const pinned = pinNetwork(stateDir);
    return { kind: "answer", answer: answerProfile({ pinned, bls, ask, onProgress }) };
  }
  const past = openPast(stateDir, bls);
  try {
    return { kind: "answer", answer: answerHistory({ past, ask, onProgress }) };
  } finally {
    past.close();
  }
}

try {
  report(await run());
} catch (cause) {
  if (!(cause instanceof OrreryError)) throw cause;
  report({ kind: "failed", code: cause.code, message: cause.message });
}

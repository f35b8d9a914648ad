/** A thread that attacks until it is ended, so that what measures beside it waits for the network only. */
import { parentPort, workerData } from "node:worker_threads";
import { type Address, ATTACKS, Target } from "./attacks.ts";

export interface AttackerStart {
  readonly network: Address;
  readonly attack: string;
}

const POLL_MS = 50;

const { network, attack } = workerData as AttackerStart;
const port = parentPort;
const picked = ATTACKS.find(({ name }) => name === attack);
if (port === null || picked === undefined) throw new Error(`nobody attacks by "${attack}"`);
const target = await Target.open(network);
const run = await picked.prepare(target);
target.taken = 0;
port.postMessage("prepared");
const tellTaken = (): void => {
  if (target.taken > 0) port.postMessage("taken");
  else setTimeout(tellTaken, POLL_MS);
};
port.once("message", () => {
  // It goes on until this thread is ended; asked again, it tells when some of it was taken.
  port.once("message", tellTaken);
  void run(() => false);
});

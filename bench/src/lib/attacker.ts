/** A thread that attacks, so that what measures beside it waits for the network only. */
import { parentPort, workerData } from "node:worker_threads";
import { type Address, ATTACKS, Target } from "./attacks.ts";

export interface AttackerStart {
  readonly network: Address;
  readonly attack: string;
}

const { network, attack } = workerData as AttackerStart;
const port = parentPort;
const picked = ATTACKS.find(({ name }) => name === attack);
if (port === null || picked === undefined) throw new Error(`nobody attacks by "${attack}"`);
let over = false;
const run = await picked.prepare(await Target.open(network));
port.postMessage("prepared");
port.once("message", async () => {
  port.once("message", () => {
    over = true;
  });
  await run(() => over);
  port.close();
});

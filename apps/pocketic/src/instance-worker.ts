/** The thread of instances: takes calls one after the other and answers each. */
import { parentPort } from "node:worker_threads";
import type { FromThread, ToThread } from "./protocol.ts";

const port = parentPort;
if (port !== null) {
  port.on("message", ({ id }: ToThread) => {
    const frame: FromThread = { id, error: "not yet" };
    port.postMessage(frame);
  });
  port.postMessage({ ready: true } satisfies FromThread);
}

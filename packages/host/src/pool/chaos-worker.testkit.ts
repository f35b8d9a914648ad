/**
 * A canister worker that dies in the middle of a message when it is told to: a file (`ORRERY_CHAOS_FILE`) says how, and is taken
 * away first, so that each order is for one death.
 */
import { readFileSync, rmSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { serveJobs, workerStart } from "./worker.ts";

const file = process.env["ORRERY_CHAOS_FILE"] ?? "";

function order(): string {
  try {
    const text = readFileSync(file, "utf8");
    rmSync(file);
    return text;
  } catch {
    // No order, or another worker took it.
    return "";
  }
}

/** The engine's own maximum, which is of the process. */
function refuseMemory(pages: number): void {
  setFlagsFromString(`--wasm-max-mem-pages=${pages}`);
}

serveJobs(workerStart(), () => {
  switch (order()) {
    case "refuse":
      refuseMemory(1);
      process.once("exit", () => refuseMemory(2 ** 32 - 1));
      break;
    case "exit":
      // Does not return: a worker's exit unwinds its thread.
      process.exit(7);
      break;
    case "memory": {
      const held: unknown[] = [];
      for (;;) held.push(new Array(1_000_000).fill(held.length));
    }
  }
});

/**
 * For tests of crashes: a thread that was told a file looks into it from time to time and dies as the file says, which is taken away
 * first, so that each order is for one death. Nodes that people run are told none.
 */
import { readFileSync, rmSync } from "node:fs";

const LOOK_EVERY_MS = 20;

function order(thread: string, file: string): string {
  try {
    const [name, how = ""] = readFileSync(file, "utf8").split(" ");
    if (name !== thread) return "";
    rmSync(file);
    return how;
  } catch {
    // There is no order.
    return "";
  }
}

/** Obeys the order `canisters kill`, which stands until `kill` found somebody to kill. */
export function obeyKills(file: string | null, kill: () => boolean): void {
  if (file === null) return;
  const look = (): void => {
    try {
      if (readFileSync(file, "utf8") === "canisters kill" && kill()) rmSync(file);
    } catch {
      // There is no order.
    }
  };
  setInterval(look, LOOK_EVERY_MS).unref();
}

/** Obeys orders of the form `<thread> exit`, `<thread> throw` or `<thread> memory`. */
export function obeyOrders(thread: string, file: string | null): void {
  if (file === null) return;
  const look = (): void => {
    switch (order(thread, file)) {
      case "exit":
        process.exit(7);
        break;
      case "throw":
        throw new Error(`the ${thread} thread was told to fail`);
      case "memory": {
        const held: unknown[] = [];
        for (;;) held.push(new Array(1_000_000).fill(held.length));
      }
    }
  };
  setInterval(look, LOOK_EVERY_MS).unref();
}

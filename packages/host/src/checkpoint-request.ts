/**
 * Asks the node that runs from a state directory, if one does, to write down what it did since its last checkpoint, so that whoever reads the
 * directory next has little to run again. The node is found by the description that the command line keeps there, and believed while its process
 * holds the lock. Whatever comes between is no failure: everything is in the log as well, and only takes longer.
 */
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { dirname, join } from "node:path";
import { NODE_FILE } from "./directory-content.ts";
import { lockHolder } from "./directory-lock.ts";

/** Of a node's administration: `POST` answers once the checkpoint can be read. */
export const CHECKPOINT_PATH = "/_/checkpoint";
/** Running the log again takes about as long at the most. */
const WAIT_MS = 2_000;

interface Described {
  readonly pid?: unknown;
  readonly api_url?: unknown;
  readonly subnets?: readonly {
    readonly nodes?: readonly { readonly pid?: unknown; readonly url?: unknown }[];
  }[];
}

function described(directory: string): Described {
  try {
    return (JSON.parse(readFileSync(join(directory, NODE_FILE), "utf8")) ?? {}) as Described;
  } catch {
    return {};
  }
}

/** Where the node that holds the directory answers; null when none does or nothing says where. */
function addressOf(stateDir: string): string | null {
  const holder = lockHolder(stateDir);
  if (holder === null) return null;
  const own = described(stateDir);
  if (own.pid === holder.pid && typeof own.api_url === "string") return own.api_url;
  // Nodes of a network of several are in the description of the network, one directory up.
  const nodes = (described(dirname(stateDir)).subnets ?? []).flatMap(({ nodes = [] }) => nodes);
  const url = nodes.find(({ pid }) => pid === holder.pid)?.url;
  return typeof url === "string" ? url : null;
}

/** Resolves when the node wrote its checkpoint, when there is none that would, or when that takes too long. */
export async function requestCheckpoint(stateDir: string): Promise<void> {
  const url = addressOf(stateDir);
  if (url === null) return;
  await new Promise<void>((resolve) => {
    const asked = request(new URL(CHECKPOINT_PATH, url), {
      method: "POST",
      headers: { "content-length": 0 },
      agent: false,
      signal: AbortSignal.timeout(WAIT_MS),
    });
    asked.once("response", (response) => {
      response.resume();
      response.once("close", resolve);
    });
    asked.once("error", () => resolve());
    asked.end();
  });
}

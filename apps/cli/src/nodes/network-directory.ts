/**
 * The directory of a network whose subnets have several nodes: its genesis record, where its processes listen for each other, and a state
 * directory for each of them. Written before the first process starts; what is there belongs to one network until `--clean`.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { OrreryError } from "@orrery/base";
import { writeWhole } from "../state-files.ts";

const GENESIS_FILE = "genesis.hex";
const PEERS_FILE = "peers.json";
const NODE_DIRECTORY = /^node-\d+$/;
/** What a crash left of a file that was written whole. */
const DRAFT = /\.\d+\.tmp$/;
const COMPANIONS: ReadonlySet<string> = new Set([
  GENESIS_FILE,
  PEERS_FILE,
  "lock.json",
  "node.json",
  "node.log",
]);
const LOOPBACK = "127.0.0.1";

/** What each process of the network has to know. */
export interface NetworkPlan {
  readonly genesis: Uint8Array;
  /** Where the processes listen for each other, by place. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
}

export function nodeDirectory(directory: string, place: number): string {
  return join(directory, `node-${place}`);
}

/** Whether a network of several nodes has begun there. */
export function hasNetworkPlan(directory: string): boolean {
  return existsSync(join(directory, PEERS_FILE));
}

/** `state_dir_foreign` where there is anything else than such a network. */
export function refuseOthers(directory: string): void {
  const strangers = readdirSync(directory).filter(
    (name) => !COMPANIONS.has(name) && !NODE_DIRECTORY.test(name) && !DRAFT.test(name),
  );
  if (strangers.length === 0) return;
  throw new OrreryError(
    "state_dir_foreign",
    `state directory ${directory}: holds files that are not of a network of several nodes ` +
      `(${strangers.slice(0, 3).join(", ")}); choose an empty or another directory with --state-dir`,
  );
}

/** The plan goes first: what an interrupted removal leaves is no network. */
export function removeNetwork(directory: string): void {
  rmSync(join(directory, PEERS_FILE), { force: true });
  for (const name of readdirSync(directory))
    if (name === GENESIS_FILE || NODE_DIRECTORY.test(name) || DRAFT.test(name))
      rmSync(join(directory, name), { recursive: true, force: true });
}

export function readNetworkPlan(directory: string): NetworkPlan {
  try {
    const { peers } = JSON.parse(readFileSync(join(directory, PEERS_FILE), "utf8")) as {
      readonly peers: NetworkPlan["addresses"];
    };
    const genesis = new Uint8Array(Buffer.from(readFileSync(join(directory, GENESIS_FILE), "utf8"), "hex"));
    if (!Array.isArray(peers) || genesis.length === 0) throw new Error("incomplete");
    return { genesis, addresses: peers };
  } catch (cause) {
    throw new OrreryError(
      "network_plan_invalid",
      `${directory} does not say which network it is (${(cause as Error).message}); restore it from a copy, or begin anew with --clean`,
      { cause },
    );
  }
}

/** The peers' file last: with it the network has begun. */
export function writeNetworkPlan(directory: string, { genesis, addresses }: NetworkPlan): void {
  writeWhole(join(directory, GENESIS_FILE), Buffer.from(genesis).toString("hex"));
  writeWhole(join(directory, PEERS_FILE), `${JSON.stringify({ v: "1", peers: addresses })}\n`);
}

/** Loopback addresses that nobody uses now. */
export async function freeAddresses(count: number): Promise<NetworkPlan["addresses"]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(0, LOOPBACK, resolve);
      });
      return server;
    }),
  );
  return await Promise.all(
    servers.map(async (server) => {
      const { port } = server.address() as { readonly port: number };
      await new Promise((closed) => server.close(closed));
      return { host: LOOPBACK, port };
    }),
  );
}

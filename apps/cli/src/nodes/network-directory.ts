/**
 * The directory of a network whose subnets have several nodes: its genesis record, where its processes listen for each other, and a state
 * directory for each of them. Written before the first process starts; what is there belongs to one network until `--clean`.
 */
import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { OrreryError } from "@orrery/base";
import { directoryContent, GENESIS_FILE, PEERS_FILE } from "@orrery/host/directory-content";
import { writeWhole } from "../state-files.ts";

const LOOPBACK = "127.0.0.1";

/** What each process of the network has to know. */
export interface NetworkPlan {
  readonly genesis: Uint8Array;
  /** Where the processes listen for each other: one for each node, by subnet, or one for each place in all subnets. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
}

/** Whether a network of several nodes has begun there. */
export function hasNetworkPlan(directory: string): boolean {
  return existsSync(join(directory, PEERS_FILE));
}

/** `state_dir_foreign` where there is anything else than such a network, or than one of one node that is `discarded`. */
export function refuseOthers(directory: string, { discarded }: { readonly discarded: boolean }): void {
  const { stores, strangers } = directoryContent(directory);
  const refuse = (text: string): OrreryError =>
    new OrreryError("state_dir_foreign", `state directory ${directory}: ${text}`);
  if (strangers.length > 0)
    throw refuse(
      `holds files that are not a network's (${strangers.slice(0, 3).join(", ")}); choose an empty or another directory with --state-dir`,
    );
  if (stores.length > 0 && !discarded)
    throw refuse(
      "holds a network whose subnets have one node; leave --nodes-per-subnet out to start it, discard it with --clean, or choose " +
        "another directory with --state-dir",
    );
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

const FREE: NetworkPlan["addresses"][number] = { host: LOOPBACK, port: 0 };

/** Null where somebody listens there. */
async function listener({ host, port }: NetworkPlan["addresses"][number]): Promise<Server | null> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, resolve);
    });
    return server;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EADDRINUSE") return null;
    throw cause;
  }
}

/** The addresses, with a free one on loopback in place of each that somebody has now. */
export async function usableAddresses(
  addresses: NetworkPlan["addresses"],
): Promise<NetworkPlan["addresses"]> {
  const held = await Promise.all(addresses.map(listener));
  const free = await Promise.all(held.map((server) => server ?? listener(FREE)));
  const usable = free.map((server, place) => {
    const { port } = (server as Server).address() as { readonly port: number };
    return { ...(held[place] === null ? FREE : (addresses[place] ?? FREE)), port };
  });
  await Promise.all(free.map((server) => new Promise((closed) => (server as Server).close(closed))));
  return usable;
}

/** Loopback addresses that nobody uses now. */
export function freeAddresses(count: number): Promise<NetworkPlan["addresses"]> {
  return usableAddresses(Array.from({ length: count }, () => FREE));
}

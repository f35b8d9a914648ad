/**
 * `orrery node run`: one process of a network whose subnets have several nodes, with one node of each subnet. The network's directory says
 * which network it is and where the others are (`network-directory.ts`).
 */
import { mkdirSync } from "node:fs";
import { OrreryError } from "@orrery/base";
import { directoryContent, NODE_KEY_FILE, nodeDirectory } from "@orrery/host/directory-content";
import type { Io } from "../io.ts";
import { openLogFile } from "../log-file.ts";
import { runNodeProcess } from "../node-process.ts";
import { describeNetwork } from "../start.ts";
import { type NetworkInfo, resolveStateDir } from "../state-files.ts";
import { hasNetworkPlan, readNetworkPlan } from "./network-directory.ts";
import { readNodeSeed } from "./node-key.ts";

export interface RunNodeOptions {
  /** Of the network. */
  readonly stateDir: string;
  readonly port: number;
  readonly bind: string;
  /** What clients call the network's port in front. */
  readonly host?: string;
  /** Rounds that can run again, at least. */
  readonly keepRounds?: number;
}

/** What a node's process tells the one that started it. */
export type NodeReport =
  | { readonly kind: "ready"; readonly info: NetworkInfo }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

function report(message: NodeReport): Promise<void> {
  if (process.send === undefined || !process.connected) return Promise.resolve();
  return new Promise((sent) => void process.send?.(message, () => sent()));
}

/** Resolves when the process that started this one lets go of it, or is gone: nobody else would end it. */
function parentGone(): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined) return;
    if (process.connected) process.once("disconnect", () => resolve());
    else resolve();
  });
}

/** Of a node that founded its network; before it begins for the first time it judges what the network is to begin with. */
async function ownSeed(stateDir: string, place: number, genesis: Uint8Array): Promise<Uint8Array | null> {
  const { decodeGenesis } = await import("@orrery/node");
  if (decodeGenesis(genesis).founding === undefined) return null;
  const seed = readNodeSeed(stateDir);
  if (seed === null) {
    throw new OrreryError(
      "node_key_missing",
      `${stateDir} has no ${NODE_KEY_FILE}: the node has lost its share of its subnets' keys; restore the file from a copy`,
    );
  }
  // The genesis of a store that is there is compared with this one, byte by byte.
  if (directoryContent(stateDir).stores.length === 0)
    await (await import("@orrery/node/founding")).verifyFounded(genesis, { place, seed });
  return seed;
}

export async function runNode(place: number, options: RunNodeOptions, io: Io): Promise<number> {
  const network = resolveStateDir(io.cwd, options.stateDir);
  if (!hasNetworkPlan(network)) {
    throw new OrreryError(
      "network_plan_missing",
      `${network} holds no network of several nodes; begin one with "orrery start --nodes-per-subnet 4"`,
    );
  }
  const { genesis, addresses } = readNetworkPlan(network);
  if (place >= addresses.length) {
    throw new OrreryError(
      "node_unknown",
      `the network in ${network} has nodes 0 to ${addresses.length - 1}, and no node ${place}`,
    );
  }
  const stateDir = nodeDirectory(network, place);
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const log = openLogFile(stateDir);
  try {
    const seed = await ownSeed(stateDir, place, genesis);
    await runNodeProcess({
      ending: parentGone(),
      node: {
        stateDir,
        port: options.port,
        bind: options.bind,
        clean: false,
        ...(options.host === undefined ? {} : { hosts: [options.host] }),
        member: { self: place, genesis, addresses, ...(seed === null ? {} : { seed }) },
        ...(options.keepRounds === undefined ? {} : { durability: { keepRounds: options.keepRounds } }),
      },
      level: "info",
      write(line) {
        log?.write(line);
        io.err(line);
      },
      ready: (handle) => report({ kind: "ready", info: describeNetwork(handle) }),
      stopping: () => {},
    });
    return 0;
  } catch (error) {
    const { describeFailure } = await import("../failure.ts");
    const { code, message } = describeFailure(error);
    await report({ kind: "failed", code, message });
    throw error;
  } finally {
    log?.close();
  }
}

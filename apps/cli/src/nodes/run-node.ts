/**
 * `orrery node run`: one process of a network whose subnets have several nodes, with one of these nodes, or with one of each subnet. The
 * network's directory says which network it is and where the others are (`network-directory.ts`); how many there are says which.
 */
import { mkdirSync } from "node:fs";
import { OrreryError } from "@orrery/base";
import {
  hasJoined,
  hasStore,
  NODE_KEY_FILE,
  nodeDirectory,
  nodePlaces,
} from "@orrery/host/directory-content";
import type { MemberOptions } from "@orrery/node";
import type { Io } from "../io.ts";
import { openLogFile } from "../log-file.ts";
import { runNodeProcess } from "../node-process.ts";
import { describeNetwork } from "../start.ts";
import { type NetworkInfo, removeNetworkInfo, resolveStateDir, writeNetworkInfo } from "../state-files.ts";
import type { PeerAddress } from "./ceremony-files.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { hasNetworkPlan, type NetworkPlan, readNetworkPlan } from "./network-directory.ts";
import { readNodeSeed } from "./node-key.ts";
import { hasLeft, lostSince, noteLeft, noteLife, noteWanted } from "./node-life.ts";

export interface RunNodeOptions {
  /** Of the network. */
  readonly stateDir: string;
  readonly port: number;
  readonly bind: string;
  /** What clients call the network's port in front. */
  readonly host?: string;
  /** Where to listen for the other nodes, if not where they call this one. */
  readonly peerBind?: PeerAddress;
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
async function ownSeed(
  stateDir: string,
  { genesis, addresses, place }: NetworkPlan & { readonly place: number },
): Promise<Uint8Array | null> {
  const { decodeGenesis, hostedByProcess } = await import("@orrery/node");
  const { founding, subnets } = decodeGenesis(genesis);
  if (founding === undefined) return null;
  const seed = readNodeSeed(stateDir);
  if (seed === null) {
    throw new OrreryError(
      "node_key_missing",
      `${stateDir} has no ${NODE_KEY_FILE}: the node has lost its share of its subnets' keys; restore the file from a copy`,
    );
  }
  // The genesis of a store that is there is compared with this one, byte by byte.
  if (!hasStore(stateDir)) {
    // One that joins is none of those that founded the network.
    const hosted = hostedByProcess(subnets, addresses.length)[place] ?? [];
    await (await import("@orrery/node/founding")).verifyFounded(genesis, { hosted, seed });
  }
  return seed;
}

/** The network in a directory, and which of its nodes is meant: the only one that is there, where none is named. */
function planAndPlace(network: string, named: number | undefined): NetworkPlan & { readonly place: number } {
  if (!hasNetworkPlan(network)) {
    throw new OrreryError(
      "network_plan_missing",
      `${network} holds no network of several nodes; begin one with "orrery start --nodes-per-subnet 4", or with others by "orrery node init"`,
    );
  }
  const plan = readNetworkPlan(network);
  const last = plan.addresses.length - 1;
  const there = nodePlaces(network);
  const place = named ?? (there.length === 1 ? there[0] : undefined);
  if (place === undefined)
    throw new OrreryError("node_unknown", `${network} has several nodes: name one, 0 to ${last}`);
  if (place > last && !hasJoined(nodeDirectory(network, place)))
    throw new OrreryError(
      "node_unknown",
      `the network in ${network} has nodes 0 to ${last}, and no node ${place}`,
    );
  return { ...plan, place };
}

/** Where the node that is meant keeps its state. */
export function soleNodeDirectory(network: string, named: number | undefined): string {
  return nodeDirectory(network, planAndPlace(network, named).place);
}

/** Others know this node's address; it listens where it is told. Of one that joined the registry knows it. */
function whereOf(
  { addresses, place }: NetworkPlan & { readonly place: number },
  bind: PeerAddress | undefined,
): Pick<MemberOptions, "self" | "addresses" | "listen"> {
  if (place >= addresses.length)
    return { self: null, addresses, ...(bind === undefined ? {} : { listen: bind }) };
  return { self: place, addresses: bind === undefined ? addresses : addresses.with(place, bind) };
}

export async function runNode(named: number | undefined, options: RunNodeOptions, io: Io): Promise<number> {
  const network = resolveStateDir(io.cwd, options.stateDir);
  const plan = planAndPlace(network, named);
  const { genesis, place } = plan;
  const stateDir = nodeDirectory(network, place);
  if (hasLeft(stateDir)) {
    const message = `node ${place} left its network; its state directory ${stateDir} can be removed`;
    io.err(`${message}\n`);
    await report({ kind: "failed", code: "node_removed", message });
    return 0;
  }
  // A process that another one started is described by that one.
  const alone = process.send === undefined;
  let described = false;
  if (alone)
    io.err(
      `Node ${place} starts; it answers when more than two thirds of each subnet's nodes run, and it is one of them.\n`,
    );
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const log = openLogFile(stateDir);
  try {
    const seed = await ownSeed(stateDir, plan);
    const { systemClock } = await import("@orrery/host");
    const lostAt = lostSince(stateDir, systemClock.now());
    await runNodeProcess({
      ending: parentGone(),
      node: {
        stateDir,
        port: options.port,
        bind: options.bind,
        clean: false,
        ...(options.host === undefined ? {} : { hosts: [options.host] }),
        member: {
          ...whereOf(plan, options.peerBind),
          genesis,
          ...(seed === null ? {} : { seed }),
          ...(lostAt === null ? {} : { lostAt }),
          onStored: () => noteLife(stateDir),
        },
        ...(options.keepRounds === undefined ? {} : { durability: { keepRounds: options.keepRounds } }),
      },
      level: "info",
      write(line) {
        log?.write(line);
        io.err(line);
      },
      async ready(handle) {
        const info = describeNetwork(handle);
        if (!alone) {
          // The network is ready once all of it can be asked.
          await handle.delegated;
          return await report({ kind: "ready", info });
        }
        described = true;
        writeNetworkInfo(stateDir, info);
        io.out(`${io.style("green", `Node ${place} is running.`, "out")} API: ${info.api_url}\n`);
      },
      stopping: () => {},
    });
    return 0;
  } catch (error) {
    const { describeFailure } = await import("../failure.ts");
    const { code, message } = describeFailure(error);
    await report({ kind: "failed", code, message });
    if (code === "node_removed") noteLeft(stateDir);
    if (code === "replica_version_differs")
      noteWanted(stateDir, (error as OrreryError).data["version"] as string);
    const exitCode = exitCodeOf(code);
    if (exitCode === null) throw error;
    if (exitCode !== 0) io.err(`${message}\n`);
    return exitCode;
  } finally {
    if (described) removeNetworkInfo(stateDir);
    log?.close();
  }
}

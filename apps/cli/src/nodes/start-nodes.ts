/**
 * `orrery start --nodes-per-subnet`: a network whose subnets have several nodes. This process starts a process for each of them, and serves
 * one port in front of all; it holds the lock of the network's directory and no node itself. A network that began with one process for each
 * place, with a node of every subnet, goes on so.
 */
import { OrreryError, type Principal } from "@orrery/base";
import { removeNetwork } from "@orrery/host/directory-content";
import { type NetworkInfo, removeNetworkInfo, type SubnetDescription } from "../state-files.ts";
import type { SubnetKind } from "../subnet-kinds.ts";
import { foundNetwork } from "./found-network.ts";
import { startFront } from "./front.ts";
import { Neighbours } from "./neighbours.ts";
import {
  freeAddresses,
  hasNetworkPlan,
  type NetworkPlan,
  readNetworkPlan,
  refuseOthers,
  usableAddresses,
  writeNetworkPlan,
} from "./network-directory.ts";
import { NodeProcesses } from "./node-processes.ts";

export interface StartNodesOptions {
  /** Absolute. */
  readonly stateDir: string;
  readonly port: number;
  readonly bind: string;
  readonly clean: boolean;
  /** Null: as many as the network in the directory has. */
  readonly nodes: number | null;
  /** Heights from one catch-up package to the next, for a new network. */
  readonly catchUpInterval?: number;
  readonly subnets?: readonly SubnetKind[];
  readonly subnetAdmins?: readonly Principal[];
  readonly keepRounds?: number;
  readonly write: (line: string) => void;
  /** All nodes answer; called again when a node was started again. */
  readonly ready: (info: NetworkInfo) => Promise<void> | void;
  readonly changed: (info: NetworkInfo) => void;
  /** Resolves when the network is to stop. */
  readonly stopping: Promise<void>;
}

/** What is there, with the addresses that can be listened on now. `subnets_differ` where something else is asked for. */
async function planThere(options: StartNodesOptions): Promise<NetworkPlan> {
  const { stateDir, nodes, subnets, subnetAdmins, catchUpInterval } = options;
  const { genesis, addresses } = readNetworkPlan(stateDir);
  const { decodeGenesis, requireSame } = await import("@orrery/node");
  const there = decodeGenesis(genesis);
  const has = there.subnets[0]?.nodes ?? 1;
  if (nodes !== null && nodes !== has) {
    throw new OrreryError(
      "subnets_differ",
      `the subnets in the state directory have ${has} nodes each, not ${nodes}: leave --nodes-per-subnet out to ` +
        "start them, discard them with --clean, or name another directory with --state-dir",
    );
  }
  if ([subnets, subnetAdmins, catchUpInterval].some((option) => option !== undefined)) {
    requireSame(there, {
      member: { self: 0, genesis, addresses },
      ...(catchUpInterval === undefined ? {} : { catchUpInterval }),
      ...(subnets === undefined ? {} : { subnets }),
      ...(subnetAdmins === undefined ? {} : { subnetAdmins }),
    });
  }
  const plan = { genesis, addresses: await usableAddresses(addresses) };
  if (plan.addresses.some(({ port }, place) => port !== addresses[place]?.port))
    writeNetworkPlan(stateDir, plan);
  return plan;
}

/** What is there, or a new network. */
async function planOf(options: StartNodesOptions): Promise<NetworkPlan> {
  const { stateDir, nodes, subnets, subnetAdmins, catchUpInterval } = options;
  if (nodes === null || hasNetworkPlan(stateDir)) return await planThere(options);
  const [{ decodeGenesis, hostedByProcess, newGenesisRecord }, { systemClock, systemRng }] =
    await Promise.all([import("@orrery/node"), import("@orrery/host")]);
  const agreed = newGenesisRecord({
    rng: systemRng,
    clock: systemClock,
    nodes,
    ...(catchUpInterval === undefined ? {} : { catchUpInterval }),
    ...(subnets === undefined ? {} : { subnets }),
    ...(subnetAdmins === undefined ? {} : { subnetAdmins }),
  });
  const kinds = decodeGenesis(agreed).subnets;
  const hosted = hostedByProcess(kinds, nodes * kinds.length);
  const genesis = await foundNetwork(stateDir, agreed, hosted);
  const plan = { genesis, addresses: await freeAddresses(hosted.length) };
  writeNetworkPlan(stateDir, plan);
  return plan;
}

/** The network as one, with the nodes of every subnet, the root first. `common`: where canisters go by default. */
function describe(url: string, infos: readonly NetworkInfo[], common: number): NetworkInfo {
  const [first] = infos as readonly [NetworkInfo, ...NetworkInfo[]];
  const subnets = new Map<string, SubnetDescription>();
  for (const subnet of infos.flatMap((info) => info.subnets)) {
    const nodes = [...(subnets.get(subnet.id)?.nodes ?? []), ...subnet.nodes];
    subnets.set(subnet.id, { ...subnet, nodes });
  }
  const all = [...subnets.values()];
  return {
    pid: process.pid,
    gateway_url: url,
    api_url: url,
    root_key: first.root_key,
    default_effective_canister_id:
      all[common]?.default_effective_canister_id ?? first.default_effective_canister_id,
    subnets: all,
  };
}

/** Which processes have a node of each subnet. */
async function placesBySubnet(
  genesis: Uint8Array,
  processes: number,
): Promise<readonly (readonly number[])[]> {
  const { decodeGenesis, hostedByProcess } = await import("@orrery/node");
  const { subnets } = decodeGenesis(genesis);
  const hosted = hostedByProcess(subnets, processes);
  return subnets.map((_, subnet) =>
    [...hosted.keys()].filter((process) => hosted[process]?.some((one) => one.subnet === subnet) === true),
  );
}

function urlOf(bind: string, port: number): string {
  const host = bind === "0.0.0.0" || bind === "::" ? "127.0.0.1" : bind;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

export async function startNodes(options: StartNodesOptions): Promise<void> {
  const { stateDir, port, bind, write, keepRounds } = options;
  const [{ lockDirectory }, { makeDirectory }] = await Promise.all([
    import("@orrery/host/directory-lock"),
    import("@orrery/host/make-directory"),
  ]);
  makeDirectory(stateDir);
  refuseOthers(stateDir, { discarded: options.clean });
  const lock = lockDirectory(stateDir);
  try {
    if (options.clean) removeNetwork(stateDir);
    const { genesis, addresses } = await planOf(options);
    const { routesOf } = await import("@orrery/node/routes");
    const routes = routesOf(genesis);
    const placesOf = await placesBySubnet(genesis, addresses.length);
    let shown = (): void => {};
    const nodes = new NodeProcesses({
      count: addresses.length,
      stateDir,
      host: bind,
      ...(keepRounds === undefined ? {} : { keepRounds }),
      write: (place, line) => write(`[${place}] ${line}`),
      onChange: () => shown(),
    });
    const onError = (error: unknown): void => write(`${(error as Error).stack}\n`);
    const neighbours = new Neighbours({
      ...{ stateDir, routes, onError },
      begun: addresses.length,
      onChange: () => shown(),
    });
    const front = await startFront({
      ...{ port, bind, routes, onError },
      ports: (subnet) => [...nodes.ports(placesOf[subnet] ?? []), ...neighbours.ports(subnet)],
    });
    const info = (): NetworkInfo =>
      describe(
        urlOf(bind, front.port),
        [...nodes.infos().filter((each) => each !== null), ...neighbours.infos()],
        routes.defaultSubnet,
      );
    try {
      const interrupted = options.stopping.then(() => nodes.stop());
      await Promise.race([nodes.start(), interrupted]);
      await options.ready(info());
      shown = () => options.changed(info());
      neighbours.begin();
      await options.stopping;
    } finally {
      neighbours.end();
      await front.close();
      await nodes.stop();
    }
  } finally {
    removeNetworkInfo(stateDir);
    lock.release();
  }
}

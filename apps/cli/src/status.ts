/** `orrery status`: what runs from a state directory, with health and heights asked of the nodes themselves. */
import { type CborMap, decodeCbor } from "@orrery/base";
import { type Io, jsonDocument, table } from "./io.ts";
import { type NetworkInfo, notRunning, resolveStateDir, runningNetwork } from "./state-files.ts";

export interface StatusOptions {
  readonly stateDir: string;
  readonly json?: true;
}

interface NodeStatus {
  readonly id: string;
  readonly pid: number;
  readonly url: string;
  /** Certified height; null when the node does not answer. */
  readonly height: number | null;
  readonly healthy: boolean;
}

interface SubnetStatus {
  readonly id: string;
  readonly kind: string;
  readonly height: number | null;
  readonly nodes: readonly NodeStatus[];
}

/** A node on this machine that needs longer is not well. */
const ANSWER_TIMEOUT_MS = 5_000;

async function askNode(node: NetworkInfo["subnets"][number]["nodes"][number]): Promise<NodeStatus> {
  const { id, pid, url } = node;
  try {
    const response = await fetch(`${url}/api/v2/status`, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    const fields = decodeCbor(new Uint8Array(await response.arrayBuffer())) as CborMap;
    const height = fields.get("certified_height");
    const healthy = response.ok && fields.get("replica_health_status") === "healthy";
    return { id, pid, url, height: typeof height === "number" ? height : null, healthy };
  } catch {
    return { id, pid, url, height: null, healthy: false };
  }
}

async function askSubnet(subnet: NetworkInfo["subnets"][number]): Promise<SubnetStatus> {
  const nodes = await Promise.all(subnet.nodes.map(askNode));
  const heights = nodes.flatMap(({ height }) => (height === null ? [] : [height]));
  return {
    id: subnet.id,
    kind: subnet.kind,
    height: heights.length === 0 ? null : Math.max(...heights),
    nodes,
  };
}

export async function status(options: StatusOptions, io: Io): Promise<number> {
  const stateDir = resolveStateDir(io.cwd, options.stateDir);
  const info = await runningNetwork(stateDir);
  if (info === null) throw notRunning(stateDir);
  const subnets = await Promise.all(info.subnets.map(askSubnet));
  const healthy = subnets.every((subnet) => subnet.nodes.every((node) => node.healthy));
  const { root_key, gateway_url, api_url } = info;
  if (options.json === true) {
    io.out(jsonDocument({ healthy, root_key, gateway_url, api_url, subnets }));
    return healthy ? 0 : 1;
  }
  const rows = [
    ["health", healthy ? io.style("green", "healthy", "out") : io.style("red", "not healthy", "out")],
    ["API", api_url],
    ["root key", root_key],
  ];
  io.out(`${table(rows)}\n`);
  const show = (height: number | null): string => (height === null ? "-" : `${height}`);
  const nodes = subnets.flatMap((subnet) =>
    subnet.nodes.map((node) => [
      subnet.id,
      subnet.kind,
      node.id,
      `${node.pid}`,
      show(node.height),
      node.healthy ? "yes" : "no",
    ]),
  );
  io.out(table([["SUBNET", "KIND", "NODE", "PROCESS", "HEIGHT", "HEALTHY"], ...nodes]));
  return healthy ? 0 : 1;
}

/** `orrery status`: what runs from a state directory, with health and heights asked of the nodes themselves. */
import { type Io, jsonDocument, table } from "./io.ts";
import { tellUndecided, type Undecided } from "./nodes/approvals.ts";
import { type NetworkInfo, notRunning, resolveStateDir, runningNetwork } from "./state-files.ts";
import { tellUnfinished, type UnfinishedKeys } from "./unfinished-keys.ts";

export interface StatusOptions {
  readonly stateDir: string;
  readonly json?: true;
  /** Of one node whose operator decides: what they approved and is not decided; null: nothing. */
  readonly undecided?: Undecided | null;
}

interface NodeStatus {
  readonly id: string;
  readonly pid: number;
  readonly url: string;
  /** Certified height; null when the node does not answer. */
  readonly height: number | null;
  readonly healthy: boolean;
  /** Of the program; null when the node does not answer. */
  readonly version: string | null;
  /** What the network's registry names; null where it names none, or the node does not answer. */
  readonly wanted_version: string | null;
  /** Keys that the subnet's last interval did not bring. */
  readonly unfinished_keys: readonly UnfinishedKeys[];
}

interface SubnetStatus {
  readonly id: string;
  readonly kind: string;
  readonly default_effective_canister_id: string;
  readonly height: number | null;
  readonly nodes: readonly NodeStatus[];
}

/** What a process answers for the node of each subnet that it runs. */
type Answers = ReadonlyMap<
  string,
  Pick<NodeStatus, "height" | "healthy" | "version" | "wanted_version" | "unfinished_keys">
>;

/** A node on this machine that needs longer is not well. */
const ANSWER_TIMEOUT_MS = 5_000;

interface SubnetsDocument {
  readonly subnets: readonly {
    readonly node: string;
    readonly height: number | null;
    readonly healthy: boolean;
    readonly version: string;
    readonly wanted_version: string | null;
    readonly unfinished_keys: readonly UnfinishedKeys[];
  }[];
}

async function askProcess(url: string): Promise<Answers> {
  try {
    const response = await fetch(`${url}/_/subnets`, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    const { subnets } = (await response.json()) as SubnetsDocument;
    return new Map(subnets.map(({ node, ...said }) => [node, said]));
  } catch {
    return new Map();
  }
}

async function askSubnets(subnets: NetworkInfo["subnets"]): Promise<readonly SubnetStatus[]> {
  const urls = new Set(subnets.flatMap(({ nodes }) => nodes.map(({ url }) => url)));
  const answers = new Map(
    await Promise.all([...urls].map(async (url) => [url, await askProcess(url)] as const)),
  );
  return subnets.map(({ nodes, ...subnet }) => {
    const asked = nodes.map((node): NodeStatus => {
      const answer = answers.get(node.url)?.get(node.id);
      const { height = null, healthy = false, version = null, wanted_version = null } = answer ?? {};
      const { unfinished_keys = [] } = answer ?? {};
      return { ...node, height, healthy, version, wanted_version, unfinished_keys };
    });
    const heights = asked.flatMap(({ height }) => (height === null ? [] : [height]));
    return { ...subnet, height: heights.length === 0 ? null : Math.max(...heights), nodes: asked };
  });
}

function showVersion({ version, wanted_version: wanted }: NodeStatus): string {
  if (version === null) return "-";
  return wanted === null || wanted === version ? version : `${version}, to be ${wanted}`;
}

export async function status(options: StatusOptions, io: Io): Promise<number> {
  const stateDir = resolveStateDir(io.cwd, options.stateDir);
  const info = await runningNetwork(stateDir);
  if (info === null) throw notRunning(stateDir);
  const subnets = await askSubnets(info.subnets);
  const healthy = subnets.every((subnet) => subnet.nodes.every((node) => node.healthy));
  const { root_key, gateway_url, api_url } = info;
  const { undecided } = options;
  if (options.json === true) {
    const decisions = undecided === undefined ? {} : { undecided };
    io.out(jsonDocument({ healthy, root_key, gateway_url, api_url, subnets, ...decisions }));
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
      showVersion(node),
    ]),
  );
  io.out(table([["SUBNET", "KIND", "NODE", "PROCESS", "HEIGHT", "HEALTHY", "VERSION"], ...nodes]));
  for (const { id, nodes: all } of subnets) {
    const said = all.find(({ unfinished_keys: keys }) => keys.length > 0)?.unfinished_keys ?? [];
    for (const keys of said) io.out(`\n${tellUnfinished(id, keys)}\n`);
  }
  if (undecided != null) io.out(`\n${tellUndecided(undecided)}\n`);
  return healthy ? 0 : 1;
}

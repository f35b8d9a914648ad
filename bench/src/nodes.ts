/**
 * A network of subnets of four nodes on this machine, each node a process, as `orrery start --nodes-per-subnet 4` has it: processor time of
 * each subnet's nodes and bytes at rest and under load, latency and rate of updates and queries of the last subnet through the port in front,
 * and the time from `kill -9` until a node of it has come as far as the others again. Targets: an update in 400 ms, 500 updates/s, 5 % of a
 * core a node at rest. Calls are signed before they are sent, and certificates verified when the load is over, every one. Run: node bench/src/nodes.ts [seconds of updates] [MiB of state] [more arguments of the command]
 */
import { availableParallelism, loadavg } from "node:os";
import { CertifiedAnswers } from "./lib/certified-answers.ts";
import { createCanister, EMPTY_ARG, installCounter, installModule } from "./lib/counter.ts";
import { heapModule } from "./lib/heap-module.ts";
import { type LoadResult, percentile, runLoad } from "./lib/load.ts";
import { type RunningNetwork, startNetwork } from "./lib/network.ts";
import { cpuMsOf, heightAt, type NodeProcess, peerBytes, subnetsOf } from "./lib/node-figures.ts";
import { signedEnvelope, statusOf } from "./lib/requests.ts";

const SECONDS = Number(process.argv[2] ?? 60);
const STATE_MIB = Number(process.argv[3] ?? 0);
const MORE = process.argv.slice(4);
const NODES = 4;
const CORES: number = availableParallelism();
const IDLE_MS = 20_000;
const SETTLE_MS = 5_000;
const ALONE = 40;
/** Each waits for its answer before it asks again, and an answer takes a few rounds: fewer clients leave blocks half empty. */
const TOGETHER = 512;
const WARM_SECONDS = 15;
/** That the load may become quicker than it was at first, by which calls that are signed ahead are given their expiry. */
const RATE_MORE = 1.3;
/** What signing a call takes, about. */
const SIGN_MS = 0.15;
const QUERIES = 5_000;
const QUERY_CLIENTS = 32;
const KILLS = 3;
const LOOK_MS = 20;
const HTTP_ACCEPTED = 202;
const COME_BACK_MS_MAX = 300_000;

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface SpentBySubnet {
  readonly kind: string;
  /** Processor time of each node, the busiest first. */
  readonly cpuMs: readonly number[];
  readonly rounds: number;
}

interface Spent {
  readonly ms: number;
  readonly subnets: readonly SpentBySubnet[];
  readonly bytes: number;
}

async function heightOf(nodes: readonly NodeProcess[]): Promise<number> {
  const heights = await Promise.all(nodes.map(({ url }) => heightAt(url)));
  return Math.max(...heights.map((height) => height ?? 0));
}

/** What the nodes spend while something goes on. */
async function during({ stateDir }: RunningNetwork, work: () => Promise<unknown>): Promise<Spent> {
  const before = await Promise.all(
    subnetsOf(stateDir).map(async ({ kind, nodes }) => ({
      kind,
      nodes,
      cpuMs: nodes.map(({ pid }) => cpuMsOf(pid)),
      height: await heightOf(nodes),
    })),
  );
  const [bytes, startMs] = [peerBytes(stateDir), performance.now()];
  await work();
  const ms = performance.now() - startMs;
  const spent = async ({ kind, nodes, cpuMs, height }: (typeof before)[number]): Promise<SpentBySubnet> => ({
    kind,
    cpuMs: nodes.map(({ pid }, i) => cpuMsOf(pid) - (cpuMs[i] as number)).sort((a, b) => b - a),
    rounds: (await heightOf(nodes)) - height,
  });
  return { ms, subnets: await Promise.all(before.map(spent)), bytes: peerBytes(stateDir) - bytes };
}

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, each) => sum + each, 0);

function describe({ ms, subnets, bytes }: Spent): string {
  const parts = subnets.map(({ kind, cpuMs, rounds }) => {
    const shares = cpuMs.map((each) => `${((100 * each) / ms).toFixed(1)} %`).join(", ");
    const aRound = sumOf(cpuMs) / cpuMs.length / Math.max(1, rounds);
    return `${kind}: cores ${shares}, ${((1_000 * rounds) / ms).toFixed(1)} rounds/s, ${aRound.toFixed(1)} ms of processor time a node and round`;
  });
  const rounds = Math.max(1, sumOf(subnets.map((subnet) => subnet.rounds)));
  return `${parts.join("; ")}; ${(bytes / rounds / 1_024).toFixed(1)} KiB between nodes a round`;
}

/** Of the last subnet, where the canisters are. */
function nodesOf({ stateDir }: RunningNetwork): readonly NodeProcess[] {
  return subnetsOf(stateDir).at(-1)?.nodes ?? [];
}

let nonce = 0;

function load(
  network: RunningNetwork,
  what: { readonly kind: "call" | "query"; readonly method: string; readonly canisterId: string },
  count: number,
  concurrency: number,
): Promise<LoadResult> {
  const { kind, canisterId, method } = what;
  return runLoad({
    port: network.port,
    path: `/api/${kind === "call" ? "v4" : "v3"}/canister/${canisterId}/${kind}`,
    bodies: Array.from({ length: count }, () =>
      signedEnvelope({ kind, canisterId, method, arg: EMPTY_ARG, nonce: nonce++ }),
    ),
    concurrency,
    check(status, body) {
      if (kind === "call" && status === HTTP_ACCEPTED) return;
      if (status !== 200 || statusOf(body) !== "replied")
        throw new Error(`${method} was answered with ${status}: ${Buffer.from(body)}`);
    },
  });
}

/** From the kill until the node is where the others are. */
async function killAndComeBack(network: RunningNetwork, place: number): Promise<number> {
  const killed = nodesOf(network)[place];
  if (killed === undefined) throw new Error(`there is no node ${place}`);
  const startMs = performance.now();
  process.kill(killed.pid, "SIGKILL");
  while (performance.now() - startMs < COME_BACK_MS_MAX) {
    await delay(LOOK_MS);
    const nodes = nodesOf(network);
    const own = nodes[place];
    if (own === undefined || own.pid === killed.pid) continue;
    const [height, others] = await Promise.all([
      heightAt(own.url),
      heightOf(nodes.filter((_, i) => i !== place)),
    ]);
    // What they had when it was asked, at most one round ago.
    if (height !== null && others > 0 && height + 1 >= others) return performance.now() - startMs;
  }
  throw new Error(`node ${place} did not come back within ${COME_BACK_MS_MAX} ms`);
}

/** Signed ahead for a load of so many a second, as many again in case it is quicker. */
function callsFor(canisterId: string, seconds: number, perSecond: number): readonly Uint8Array[] {
  const [count, startMs] = [Math.ceil(2 * perSecond * seconds), Date.now()];
  const signMs = count * SIGN_MS;
  return Array.from({ length: count }, (_, i) =>
    signedEnvelope({
      kind: "call",
      canisterId,
      method: "inc",
      arg: EMPTY_ARG,
      nonce: nonce++,
      atMs: startMs + signMs + (1_000 * i) / (RATE_MORE * perSecond),
    }),
  );
}

/** Clients that wait for the answer of each call before they send the next one. */
async function sustained(
  network: RunningNetwork,
  canisterId: string,
  { bodies, seconds }: { readonly bodies: readonly Uint8Array[]; readonly seconds: number },
): Promise<{
  readonly answers: CertifiedAnswers;
  readonly latencies: readonly number[];
  readonly late: number;
}> {
  const answers = new CertifiedAnswers();
  let late = 0;
  const { latencies } = await runLoad({
    port: network.port,
    path: `/api/v4/canister/${canisterId}/call`,
    bodies,
    concurrency: TOGETHER,
    untilMs: performance.now() + 1_000 * seconds,
    check(status, body, index) {
      if (status === HTTP_ACCEPTED) late++;
      else if (status === 200) answers.add(bodies[index] as Uint8Array, body);
      else throw new Error(`an update was answered with ${status}: ${Buffer.from(body)}`);
    },
  });
  return { answers, latencies, late };
}

async function updates(network: RunningNetwork, canisterId: string): Promise<void> {
  const call = { kind: "call", method: "inc", canisterId } as const;
  const alone = await load(network, call, ALONE, 1);
  const ms = (share: number): string => percentile(alone.latencies, share).toFixed(0);
  console.log(`updates of one client: p50 ${ms(0.5)} ms, p90 ${ms(0.9)} ms (target: p50 at most 400 ms)`);
  const first = await load(network, call, 4 * TOGETHER, TOGETHER);
  const warm = callsFor(canisterId, WARM_SECONDS, first.perSecond);
  const { answers: warmed } = await sustained(network, canisterId, { bodies: warm, seconds: WARM_SECONDS });
  const bodies = callsFor(canisterId, SECONDS, warmed.count / WARM_SECONDS);
  let result = null as Awaited<ReturnType<typeof sustained>> | null;
  const [client, front] = [process.cpuUsage(), cpuMsOf(network.pid)];
  const spent = await during(network, async () => {
    result = await sustained(network, canisterId, { bodies, seconds: SECONDS });
  });
  const { user, system } = process.cpuUsage(client);
  if (result === null) throw new Error("there was no load");
  const { answers, latencies, late } = result;
  const done = answers.count;
  console.log(
    `updates of ${TOGETHER} clients for ${(spent.ms / 1_000).toFixed(0)} s: ${((1_000 * done) / spent.ms).toFixed(0)}/s (target: at least 500/s), ` +
      `p50 ${percentile(latencies, 0.5).toFixed(0)} ms, p99 ${percentile(latencies, 0.99).toFixed(0)} ms, ${late} not within 10 s`,
  );
  console.log(`  ${describe(spent)}`);
  const parts = [
    ...spent.subnets.map(({ kind, cpuMs }) => [`the nodes of the ${kind} subnet`, sumOf(cpuMs)] as const),
    ["the port in front", cpuMsOf(network.pid) - front] as const,
    ["the clients", (user + system) / 1_000] as const,
  ];
  const all = sumOf(parts.map(([, cpuMs]) => cpuMs));
  console.log(
    `  processor time an update: ${(all / done).toFixed(2)} ms, which is ${((1_000 * CORES * done) / all).toFixed(0)}/s on ${CORES} cores; ` +
      parts.map(([name, cpuMs]) => `${name} ${(cpuMs / done).toFixed(2)} ms`).join(", "),
  );
  const signatures = await answers.verify(network, canisterId);
  console.log(`  all ${done} certificates hold; ${signatures} signatures between them`);
}

const network = await startNetwork(undefined, ["--nodes-per-subnet", `${NODES}`, ...MORE]);
try {
  const canisterId = await installCounter(network);
  if (STATE_MIB > 0) {
    const id = await createCanister(network);
    await installModule(network, id, await heapModule(STATE_MIB));
  }
  await delay(SETTLE_MS);
  const idle = await during(network, () => delay(IDLE_MS));
  console.log(
    `at rest for ${(idle.ms / 1_000).toFixed(0)} s: ${describe(idle)} (target: at most 5 % of a core a node)`,
  );
  await updates(network, canisterId);
  const query = { kind: "query", method: "get", canisterId } as const;
  await load(network, query, QUERIES / 5, QUERY_CLIENTS);
  const { perSecond, latencies } = await load(network, query, QUERIES, QUERY_CLIENTS);
  console.log(
    `queries of ${QUERY_CLIENTS} clients: ${perSecond.toFixed(0)}/s, p50 ${percentile(latencies, 0.5).toFixed(1)} ms`,
  );
  const times: number[] = [];
  for (let i = 0; i < KILLS; i++) {
    times.push(await killAndComeBack(network, (i + 1) % NODES));
    await delay(SETTLE_MS);
  }
  times.sort((a, b) => a - b);
  console.log(
    `from kill -9 to the height of the others, with ${STATE_MIB} MiB of state: median ${percentile(times, 0.5).toFixed(0)} ms, ` +
      `slowest ${times.at(-1)?.toFixed(0)} ms of ${KILLS}`,
  );
  console.log(`load of the machine in the last minute: ${loadavg()[0]?.toFixed(1)}`);
} finally {
  await network.stop();
}

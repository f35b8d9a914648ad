/**
 * A neighbour of canisters that do their worst: one client that sends updates and one that sends queries to a counter, one after the
 * other, while the network is attacked. Each attack has a network of its own. What the same clients wait for on a quiet network is measured in
 * turns with it, the attacked one stopped meanwhile, so that whatever else the machine does slows both; the ratios are what
 * counts. Two cores have to run the attack and all clients as well. Fails when a median is more than twice as long beside an attack of canisters,
 * when the neighbour is not replied to, and when nothing of an attack is taken.
 * Run: node bench/src/hostile.ts [--seconds 10] [--json] [words of attacks' names]
 */
import { once } from "node:events";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import type { AttackerStart } from "./lib/attacker.ts";
import { ATTACKS, Target } from "./lib/attacks.ts";
import { EMPTY_ARG, installCounter } from "./lib/counter.ts";
import { Gate } from "./lib/gate.ts";
import { percentile } from "./lib/load.ts";
import { type RunningNetwork, startNetwork } from "./lib/network.ts";

const RATIO_MAX = 2;
const WARM_UP_MS = 3_000;
/** No canister makes this one: sixteen clients more take their share of the node. */
const MISSED = {
  "floods of ingress messages, median update": 4,
  "floods of ingress messages, median query": 4.9,
};
/** Of one network and then the other. */
const TURN_MS = 1_000;
/** By then the first request of an attack has been answered, if it is one. */
const TAKEN_MS_MAX = 60_000;

const { values, positionals } = parseArgs({
  options: {
    seconds: { type: "string", default: "10" },
    json: { type: "boolean", default: false },
  },
  allowPositionals: true,
});
const TURNS = Math.ceil((Number(values.seconds) * 1_000) / TURN_MS);

const CLIENTS = ["update", "query"] as const;
type Latencies = Record<(typeof CLIENTS)[number], number[]>;

/** A counter on a network, and who asks it. */
class Neighbour {
  readonly network: RunningNetwork;
  readonly #on: Target;
  readonly #id: string;
  readonly latencies: Latencies = { update: [], query: [] };

  private constructor(network: RunningNetwork, on: Target, id: string) {
    this.network = network;
    this.#on = on;
    this.#id = id;
  }

  /** On a network of its own, warm. */
  static async open(): Promise<Neighbour> {
    const network = await startNetwork();
    const id = await installCounter(network);
    const neighbour = new Neighbour(network, await Target.open(network), id);
    await neighbour.ask(WARM_UP_MS);
    neighbour.latencies.update.length = 0;
    neighbour.latencies.query.length = 0;
    return neighbour;
  }

  /** One request after the other of both kinds for so long. The first, which may have to wait for fresh time, does not count. */
  async ask(forMs: number): Promise<void> {
    await this.#on.replied("call", this.#id, "inc", EMPTY_ARG);
    const end = performance.now() + forMs;
    const client = async (kind: "call" | "query", method: string, into: number[]): Promise<void> => {
      while (performance.now() < end) into.push(await this.#on.replied(kind, this.#id, method, EMPTY_ARG));
    };
    await Promise.all([
      client("call", "inc", this.latencies.update),
      client("query", "get", this.latencies.query),
    ]);
  }
}

/** What the neighbour waits for beside the attack, and what `calm` waits for in turns with it. */
async function measure(attack: string, calm: Neighbour): Promise<Row[]> {
  const neighbour = await Neighbour.open();
  calm.latencies.update.length = 0;
  calm.latencies.query.length = 0;
  const { network } = neighbour;
  const { port, defaultEffectiveCanisterId } = network;
  const start: AttackerStart = { network: { port, defaultEffectiveCanisterId }, attack };
  const attacker = new Worker(new URL("./lib/attacker.ts", import.meta.url), { workerData: start });
  try {
    await once(attacker, "message");
    attacker.postMessage("go");
    for (let turn = 0; turn < TURNS; turn++) {
      await neighbour.ask(TURN_MS);
      process.kill(network.pid, "SIGSTOP");
      try {
        await calm.ask(TURN_MS);
      } finally {
        process.kill(network.pid, "SIGCONT");
      }
    }
    attacker.postMessage("whether taken");
    await once(attacker, "message", { signal: AbortSignal.timeout(TAKEN_MS_MAX) }).catch((cause: unknown) => {
      throw new Error(`${attack}: nothing of the attack came to a canister`, { cause });
    });
  } finally {
    await attacker.terminate();
    await network.stop();
  }
  return rowsOf(attack, calm.latencies, neighbour.latencies);
}

interface Row {
  readonly attack: string;
  readonly client: string;
  /** Milliseconds, and the ratio. */
  readonly p50: readonly [calm: number, attacked: number, ratio: number];
  readonly p99: readonly [calm: number, attacked: number, ratio: number];
}

function rowsOf(attack: string, calm: Latencies, attacked: Latencies): Row[] {
  return CLIENTS.map((client) => {
    const [before, beside] = [calm[client], attacked[client]].map((all) => all.toSorted((a, b) => a - b));
    const at = (share: number): Row["p50"] => {
      const [a, b] = [percentile(before as number[], share), percentile(beside as number[], share)];
      return [a, b, b / a];
    };
    return { attack, client, p50: at(0.5), p99: at(0.99) };
  });
}

const WIDTHS: readonly number[] = [34, 7, 8, 8, 6, 8, 8, 6];

function line(cells: readonly string[]): string {
  return cells
    .map((cell, i) => (i < 2 ? cell.padEnd(WIDTHS[i] as number) : cell.padStart(WIDTHS[i] as number)))
    .join(" ");
}

function print({ attack, client, p50, p99 }: Row): void {
  const figures = [p50, p99].flatMap(([a, b, ratio]) => [a.toFixed(1), b.toFixed(1), ratio.toFixed(2)]);
  console.log(line([attack, client, ...figures]));
}

if (!values.json) {
  const figures = ["calm", "attacked", "ratio"];
  console.log(line(["latency, ms", "", "p50", "", "", "p99"]));
  console.log(line(["attack", "client", ...figures, ...figures]));
}
const rows: Row[] = [];
const calm = await Neighbour.open();
try {
  for (const { name } of ATTACKS) {
    if (positionals.length > 0 && !positionals.some((word) => name.includes(word))) continue;
    const measured = await measure(name, calm);
    rows.push(...measured);
    if (!values.json) measured.forEach(print);
  }
} finally {
  await calm.network.stop();
}
if (values.json) console.log(JSON.stringify({ seconds: TURNS, rows }, null, 2));
const gate = new Gate({ missed: MISSED });
for (const { attack, client, p50 } of rows) gate.atMost(`${attack}, median ${client}`, p50[2], RATIO_MAX);
process.exitCode = gate.exitCode({ everythingRan: positionals.length === 0 });

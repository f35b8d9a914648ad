/**
 * A neighbour of canisters that do their worst: one client that sends updates and one that sends queries to a counter, one after the
 * other, while another canister is attacked with or attacks. Before each attack the same on the quiet network; printed are both, and the
 * ratio. Two cores have to run the attack and the clients as well.
 * Run: node bench/src/hostile.ts [seconds an attack] [runs] [words of an attack]
 */
import { readFileSync } from "node:fs";
import { HOSTILE_MODULES } from "@orrery/execution/hostile";
import wabt from "wabt";
import { createCanister, EMPTY_ARG, installCounter, installModule } from "./lib/counter.ts";
import { percentile, runLoad } from "./lib/load.ts";
import { startNetwork } from "./lib/network.ts";
import { signedEnvelope } from "./lib/requests.ts";

const SECONDS = Number(process.argv[2] ?? 5);
const RUNS = Number(process.argv[3] ?? 2);
/** Only attacks whose name contains this. */
const PICK = process.argv[4] ?? "";
const WORST = new URL("../../conformance/src/hostile/worst.wat", import.meta.url);
const BOMBS = /100 MiB of zeros in|50,000 functions|filled table|490,000 blocks/;
const NOTHING = new Uint8Array(0);

const network = await startNetwork();
const { port } = network;
const toolkit = await wabt();
const worst = new Uint8Array(toolkit.parseWat("worst.wat", readFileSync(WORST, "utf8")).toBinary({}).buffer);
const neighbour = await installCounter(network);
let nonce = 0;

async function request(kind: "call" | "query", canisterId: string, method: string): Promise<number> {
  const body = signedEnvelope({ kind, canisterId, method, arg: EMPTY_ARG, nonce: nonce++ });
  const path = `/api/v${kind === "call" ? 4 : 3}/canister/${canisterId}/${kind}`;
  const { latencies } = await runLoad({ port, path, bodies: [body], concurrency: 1, check: () => {} });
  return latencies[0] as number;
}

interface Latencies {
  readonly update: readonly number[];
  readonly query: readonly number[];
}

/** What the neighbour's clients wait for, sorted, until `over`. */
async function neighbourUntil(over: () => boolean): Promise<Latencies> {
  const client = async (kind: "call" | "query", method: string): Promise<number[]> => {
    const latencies: number[] = [];
    while (!over()) latencies.push(await request(kind, neighbour, method));
    return latencies.sort((a, b) => a - b);
  };
  const [update, query] = await Promise.all([client("call", "inc"), client("query", "get")]);
  return { update, query };
}

function seconds(count: number): () => boolean {
  const end = performance.now() + count * 1_000;
  return () => performance.now() >= end;
}

async function hostile(): Promise<string> {
  const id = await createCanister(network);
  await installModule(network, id, worst);
  return id;
}

/** Again and again, whatever comes of it, until `over`. */
async function repeat(over: () => boolean, attack: () => Promise<unknown>): Promise<void> {
  while (!over()) await attack().catch(() => {});
}

async function send(canisterId: string, method: string): Promise<void> {
  const body = signedEnvelope({ kind: "call", canisterId, method, arg: NOTHING, nonce: nonce++ });
  const path = `/api/v2/canister/${canisterId}/call`;
  await runLoad({ port, path, bodies: [body], concurrency: 1, check: () => {} });
}

interface Attack {
  readonly name: string;
  /** Also after its time: for the end. */
  readonly goesOn?: boolean;
  run(over: () => boolean): Promise<void>;
}

const bombs = HOSTILE_MODULES.filter(({ name }) => BOMBS.test(name)).map((one) => one.wasm());
const ATTACKS: readonly Attack[] = [
  {
    name: "endless queries",
    async run(over): Promise<void> {
      const id = await hostile();
      await Promise.all([0, 1, 2, 3].map(() => repeat(over, () => request("query", id, "endless"))));
    },
  },
  {
    name: "endless inspections",
    async run(over): Promise<void> {
      const id = await hostile();
      await Promise.all([0, 1, 2, 3].map(() => repeat(over, () => request("call", id, "inspected"))));
    },
  },
  {
    name: "compilation bombs",
    async run(over): Promise<void> {
      for (let i = 0; !over(); i++) {
        const id = await createCanister(network);
        await installModule(network, id, bombs[i % bombs.length] as Uint8Array).catch(() => {});
      }
    },
  },
  {
    name: "storms of memory",
    async run(over): Promise<void> {
      const id = await hostile();
      await repeat(over, () => request("call", id, "stable"));
    },
  },
  {
    name: "storms that are kept",
    async run(over): Promise<void> {
      const id = await hostile();
      await repeat(over, () => request("call", id, "keep"));
    },
  },
  {
    name: "endless queries as updates",
    async run(over): Promise<void> {
      const id = await hostile();
      await repeat(over, () => request("call", id, "endless"));
    },
  },
  // Last: these go on when nobody looks.
  {
    name: "an endless update",
    goesOn: true,
    async run(over): Promise<void> {
      await send(await hostile(), "spin");
      await neighbourIdle(over);
    },
  },
  {
    name: "endless heartbeats",
    goesOn: true,
    async run(over): Promise<void> {
      await request("call", await hostile(), "beat");
      await neighbourIdle(over);
    },
  },
];

/** Nothing more has to be done than to let the attack go on. */
async function neighbourIdle(over: () => boolean): Promise<void> {
  while (!over()) await new Promise((resolve) => setTimeout(resolve, 100));
}

function print(name: string, quiet: readonly number[], under: readonly number[]): void {
  const cells = [0.5, 0.99].flatMap((share) => {
    const [a, b] = [percentile(quiet, share), percentile(under, share)];
    return [a.toFixed(1), b.toFixed(1), (b / a).toFixed(2)];
  });
  console.log(name.padEnd(30), ...cells.map((cell) => cell.padStart(9)));
}

try {
  await neighbourUntil(seconds(3));
  console.log(
    `${" ".repeat(30)} ${"p50: quiet    attack     ratio".padStart(29)} ${"p99: quiet    attack     ratio".padStart(29)}`,
  );
  for (let run = 0; run < RUNS; run++) {
    for (const { name, goesOn, run: attack } of ATTACKS) {
      if (!name.includes(PICK) || (goesOn === true && run < RUNS - 1)) continue;
      const quiet = await neighbourUntil(seconds(SECONDS));
      const over = seconds(SECONDS);
      const [under] = await Promise.all([neighbourUntil(over), attack(over)]);
      print(`${name}: update`, quiet.update, under.update);
      print(`${name}: query`, quiet.query, under.query);
    }
  }
} finally {
  await network.stop();
}

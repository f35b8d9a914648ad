/**
 * `npm run drill:nodes -- [--nodes N] [--minutes M] [--seed S] [--applications A] [--clients C] [--patience P]
 * [--interval H] [--state-dir D] [--together] [--honest] [--no-disk]`: the drill of nodes as a command. Each node of each subnet is a process of its own, or
 * with `--together` those of one place share one.
 * Ends with 1 at the first violation. A full disk takes the right to mount one: the command begins itself again in a namespace for that.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { NAMESPACE } from "../durability/namespace.ts";
import { nodesDrill } from "./drill.ts";
import { mountSmallDisk } from "./small-disk.ts";

const INSIDE = "ORRERY_DRILL_INSIDE";
const MS_PER_MINUTE = 60_000;

const { values } = parseArgs({
  options: {
    nodes: { type: "string", default: "4" },
    applications: { type: "string", default: "1" },
    minutes: { type: "string", default: "10" },
    clients: { type: "string", default: "6" },
    patience: { type: "string", default: "1" },
    "pause-ms": { type: "string", default: "0" },
    seed: { type: "string", default: `${Date.now() % 1_000_000}` },
    "state-dir": { type: "string" },
    interval: { type: "string", default: "50" },
    together: { type: "boolean", default: false },
    honest: { type: "boolean", default: false },
    "no-disk": { type: "boolean", default: false },
  },
});
const numbers = [
  "nodes",
  "applications",
  "minutes",
  "clients",
  "pause-ms",
  "seed",
  "interval",
  "patience",
] as const;
const [nodes, applications, minutes, clients, pauseMs, seed, interval, patience] = numbers.map((name) =>
  Number(values[name]),
) as [number, number, number, number, number, number, number, number];
if (
  ![nodes, applications, clients, pauseMs, seed, interval].every(
    (each) => Number.isSafeInteger(each) && each >= 0,
  ) ||
  !(minutes > 0 && patience > 0) ||
  nodes < 4 ||
  clients < 1 ||
  interval < 10
) {
  console.error(
    "--nodes takes 4 or more, --clients 1 or more, --interval 10 or more, --minutes and --seed numbers",
  );
  process.exit(2);
}

if (!values["no-disk"] && process.env[INSIDE] === undefined) {
  const argv = [...process.argv.slice(1), "--seed", `${seed}`];
  const { status } = spawnSync("unshare", [...NAMESPACE, process.execPath, ...argv], {
    stdio: "inherit",
    env: { ...process.env, [INSIDE]: "1" },
  });
  process.exit(status ?? 1);
}

const stateDir = values["state-dir"] ?? mkdtempSync(join(tmpdir(), "nodes-drill-"));
const split = !values.together;
const processes = split ? nodes * (applications + 1) : nodes;
const place = seed % processes;
const smallDisk = values["no-disk"] ? null : mountSmallDisk(join(stateDir, `node-${place}`), place);
console.log(`seed ${seed}, ${nodes} nodes a subnet in ${processes} processes, state and logs in ${stateDir}`);
try {
  const result = await nodesDrill({
    stateDir,
    nodes,
    applications,
    split,
    seed,
    forMs: minutes * MS_PER_MINUTE,
    clients,
    pauseMs,
    patience,
    catchUpInterval: interval,
    smallDisk,
    byzantine: values.honest ? null : (seed >> 3) % processes,
    report: (line) => console.log(line),
  });
  console.log(JSON.stringify({ seed, nodes, minutes, ...result }, null, 1));
  console.log(
    `${result.answered} updates answered, ${result.reads} certified reads: one history, nothing lost or doubled`,
  );
  if (values["state-dir"] === undefined && values["no-disk"]) rmSync(stateDir, { recursive: true });
  process.exit(0);
} catch (error) {
  console.error(error);
  console.error(
    `logs are kept in ${stateDir}; the same choices again: ${fileURLToPath(import.meta.url)} --seed ${seed}`,
  );
  process.exit(1);
}

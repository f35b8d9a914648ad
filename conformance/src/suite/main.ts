/**
 * The suite as a command, `npm run conformance -- [options]`: against the network at `--url URL`, an instance of a PocketIC server
 * with `--pocket-ic`, or a network that it starts, with `--nodes N` one of N nodes a subnet. `--url` may be given again for
 * other nodes of the network: each case stays with one. Ends with 1 when a case failed; those that an instance fails on purpose are told
 * with the reason, and it ends with 1 when one of them passed. Which cases: `--filter S`, `--every N --offset K`,
 * `--needing CAPABILITY`. What is told: `--json`, `--slow`. `--outside FOLDER` keeps the certificate of the server that outcalls ask,
 * so that a network at URL can be told to trust it; `--administrator PEM` names the file with an Ed25519 key of a subnet's
 * administrator there. `--clock URL` names a PocketIC server whose instances run the cases that move time; by default it is the
 * network at URL if it is one, and this process beside an own network. `--table` runs nothing and writes the table of counts into
 * the README.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { OTHERWISE, startInstanceBeside } from "../pocketic/suite-instance.ts";
import type { Capability } from "./case.ts";
import { clockOfServer, type OpenClocked, openInProcess } from "./clock.ts";
import { ed25519, type Identity } from "./identity.ts";
import { judge, type Otherwise, sentenceOf } from "./otherwise.ts";
import { type Outside, startNetworkBeside, startOutside, urlsOfNodes } from "./outside.ts";
import { type CaseResult, runSuite, selectCases } from "./run.ts";
import { countsTable, summary } from "./table.ts";

const { values } = parseArgs({
  options: {
    url: { type: "string", multiple: true },
    filter: { type: "string" },
    every: { type: "string" },
    offset: { type: "string", default: "0" },
    json: { type: "boolean", default: false },
    outside: { type: "string" },
    administrator: { type: "string" },
    nodes: { type: "string", default: "1" },
    "pocket-ic": { type: "boolean", default: false },
    clock: { type: "string" },
    needing: { type: "string" },
    slow: { type: "boolean", default: false },
    table: { type: "boolean", default: false },
  },
});

/** Where several nodes agree on each block an update takes ten times as long, and some cases make hundreds. */
const CASE_OF_NODES_MS_MAX = 900_000;

const marks = { passed: "✔", failed: "✖", "not run": "–" } as const;

const otherwise: Otherwise = values["pocket-ic"] ? OTHERWISE : new Map();

function report(result: CaseResult): void {
  if (result.status === "passed" || values.json) return;
  // Told at the end, with the reasons.
  if (result.status === "failed" && otherwise.has(sentenceOf(result))) return;
  console.log(
    `${marks[result.status]} ${result.section}: ${result.title}\n    ${result.reason?.replaceAll("\n", "\n    ")}`,
  );
}

/** Whose clock cases move; undefined leaves it to the network under test. */
async function chosenClock(): Promise<OpenClocked | undefined> {
  const { clock, url } = values;
  const isOwnNode = url === undefined && !values["pocket-ic"] && values.nodes === "1";
  if (clock === undefined) return isOwnNode ? openInProcess : undefined;
  const open = await clockOfServer(clock);
  if (open === null) throw new Error(`${clock} is no PocketIC server: start bin/pocket-ic and name its URL`);
  return open;
}

/** Replaces the table of the README, from its heading to its sum. */
function writeTable(): void {
  const readme = new URL("../../README.md", import.meta.url);
  const text = readFileSync(readme, "utf8");
  const table = countsTable(selectCases({}));
  writeFileSync(readme, text.replace(/\| section \| cases \|[\s\S]*?\| \*\*all\*\* .*/, table));
}

interface Started {
  readonly urls: readonly string[];
  end(): Promise<void>;
}

async function startOwn(outside: Outside, administrator: Identity): Promise<Started> {
  if (values["pocket-ic"]) {
    const { url, end } = await startInstanceBeside(outside, administrator);
    return { urls: [url], end };
  }
  const network = await startNetworkBeside(outside, administrator, Number(values.nodes));
  return {
    urls: [network.url, ...urlsOfNodes(network)],
    end: async () => void (await network.end("SIGTERM")),
  };
}

async function run(): Promise<void> {
  const outside = await startOutside(values.outside);
  const administrator = ed25519(
    values.administrator === undefined ? undefined : readFileSync(values.administrator, "utf8"),
  );
  const clock = await chosenClock();
  const started = values.url === undefined ? await startOwn(outside, administrator) : null;
  const [url = "", ...others] = values.url ?? started?.urls ?? [];
  const startedMs = performance.now();
  try {
    const run = await runSuite({
      url,
      others,
      ...(others.length > 0 && started !== null ? { isFront: true, caseMsMax: CASE_OF_NODES_MS_MAX } : {}),
      outside,
      administrator,
      report,
      ...(clock === undefined ? {} : { clock }),
      ...(values.filter === undefined ? {} : { filter: values.filter }),
      ...(values.needing === undefined ? {} : { needing: values.needing as Capability }),
      ...(values.every === undefined
        ? {}
        : { sample: { every: Number(values.every), offset: Number(values.offset) } }),
    });
    const milliseconds = Math.round(performance.now() - startedMs);
    const { failed, expected, stale } = judge(run.results, otherwise);
    if (values.json) console.log(JSON.stringify({ ...run, expected, stale, milliseconds }, null, 1));
    else {
      if (values.slow) {
        for (const { title, milliseconds: ms } of [...run.results]
          .sort((a, b) => b.milliseconds - a.milliseconds)
          .slice(0, 20))
          console.log(`${String(ms).padStart(7)} ms  ${title}`);
      }
      for (const one of expected) console.log(`otherwise on purpose: ${one}`);
      for (const one of stale) console.log(`${marks.failed} ${one}`);
      console.log(summary(run.results));
      console.log(
        `${(milliseconds / 1000).toFixed(1)} s; the network has: ${run.capabilities.join(", ") || "no optional capability"}`,
      );
    }
    process.exitCode = failed.length + stale.length > 0 ? 1 : 0;
  } finally {
    await started?.end();
    outside.close();
  }
}

if (values.table) writeTable();
else await run();

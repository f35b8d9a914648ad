/**
 * `npm run drill:comeback -- [--nodes N] [--mib M] [--times T] [--lost T] [--interval H] [--seed S]`: how long a node of a network with a large state takes from its start after
 * `kill -9` until it takes part again, with its disk and without its stores, while a client goes on at the others. Prints each time in its
 * parts, with what the node's log said meanwhile.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createMclBls } from "@orrery/crypto/mcl";
import { moduleOf, pack } from "../durability/canister.ts";
import { Violation } from "../durability/client.ts";
import { seededRandom } from "../durability/random.ts";
import { Clients } from "./clients.ts";
import { Cluster } from "./cluster.ts";
import { GoingOn } from "./going-on.ts";

/** Of one message. */
const FILL_MIB = 64;
/** While the node is down. */
const AWAY_MS = 5_000;
const LOOK_MS = 50;
const MOST_MS = 1_200_000;

const { values } = parseArgs({
  options: {
    nodes: { type: "string", default: "4" },
    mib: { type: "string", default: "1024" },
    times: { type: "string", default: "3" },
    lost: { type: "string", default: "3" },
    interval: { type: "string", default: "50" },
    seed: { type: "string", default: "1" },
  },
});
const numbers = ["nodes", "mib", "times", "lost", "interval", "seed"] as const;
const [nodes, mib, times, lost, interval, seed] = numbers.map((name) => Number(values[name])) as [
  number,
  number,
  number,
  number,
  number,
  number,
];

interface Came {
  /** Until the process answered with the state that it then had. */
  readonly startedMs: number;
  /** Until it was as far as the others, on every subnet. */
  readonly caughtUpMs: number;
  /** Until an update that it alone was sent was answered. */
  readonly answeredMs: number;
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const stateDir: string = mkdtempSync(join(tmpdir(), "come-back-"));
const random = seededRandom(seed);
const failure = Promise.withResolvers<never>();
failure.promise.catch(() => {});
const cluster: Cluster = await Cluster.open({
  stateDir,
  nodes,
  applications: 1,
  // Both are to come back with the same start.
  split: false,
  catchUpInterval: interval,
  random,
  byzantine: null,
  onFailure: failure.reject,
});
const clients = new Clients({
  bls: await createMclBls(),
  random: random.fork(),
  count: 1,
  pauseMs: 100,
  placesOf: (subnet) => cluster.placesOf(subnet),
  at: (place) => cluster.at(place),
  mayRefuse: () => false,
});
const places: readonly number[] = Array.from({ length: nodes }, (_, place) => place);

/** Waits until something is so. */
async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  const endMs = performance.now() + MOST_MS;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Violation(`${what}: not within ${MOST_MS} ms`);
    await delay(LOOK_MS);
  }
}

async function allGoOn(): Promise<void> {
  const going = new GoingOn();
  const seen = async (): Promise<boolean> =>
    going.isSeenBy(await Promise.all(places.map((place) => cluster.heightsAt(place))));
  await until(seen, "all nodes go on");
}

/** As far as the others, but for a round that was certified meanwhile. */
async function isCaughtUp(place: number): Promise<boolean> {
  const own = await cluster.heightsAt(place);
  const others = await Promise.all(
    places.filter((each) => each !== place).map((each) => cluster.heightsAt(each)),
  );
  return (
    own?.every((height, subnet) =>
      others.some((other) => other !== null && height + 1 >= (other[subnet] ?? 0)),
    ) === true
  );
}

/** New packages, which hold all that was written. */
async function packagesMade(): Promise<void> {
  const [, from = 0] = (await cluster.heightsAt(0)) ?? [];
  await until(async () => ((await cluster.heightsAt(0))?.[1] ?? 0) > from + 2 * interval, "packages");
  await allGoOn();
}

function logOf(place: number): string {
  return readFileSync(join(stateDir, `node-${place}.log`), "utf8");
}

async function comesBack(place: number, isLost: boolean): Promise<Came> {
  await cluster.kill(place);
  if (isLost) {
    const directory = cluster.directoryOf(place);
    for (const name of readdirSync(directory))
      if (name.startsWith("store")) rmSync(join(directory, name), { recursive: true });
  }
  await delay(AWAY_MS);
  const before = logOf(place).length;
  const beganMs = performance.now();
  const since = (): number => Math.round(performance.now() - beganMs);
  await cluster.start(place, isLost ? { lostAtMs: Date.now() } : {});
  const startedMs = since();
  await until(() => isCaughtUp(place), `node ${place} catches up`);
  const caughtUpMs = since();
  await clients.addAt(place, 1);
  const came = { startedMs, caughtUpMs, answeredMs: since() };
  console.log(`node ${place}, ${isLost ? "without its stores" : "with its disk"}: ${JSON.stringify(came)}`);
  console.log(logOf(place).slice(before).trimEnd().replaceAll(/^/gm, "  | "));
  await allGoOn();
  return came;
}

async function run(): Promise<void> {
  await Promise.all(places.map((place) => cluster.start(place)));
  const [root, application] = cluster.at(0)?.ids ?? [];
  if (root === undefined || application === undefined) throw new Violation("there is no application subnet");
  await clients.prepare([
    { subnet: 0, near: root },
    { subnet: 1, near: application },
  ]);
  const module = await moduleOf(new URL("./large.wat", import.meta.url));
  const large = await clients.install(module, { subnet: 1, near: application });
  for (let piece = 0; piece * FILL_MIB < mib; piece++) await clients.update(large, "fill", pack(piece), 1);
  const load = clients.run();
  load.catch(failure.reject);
  await packagesMade();
  for (const [isLost, count] of [[false, times] as const, [true, lost] as const]) {
    if (count === 0) continue;
    const all: Came[] = [];
    for (let time = 0; time < count; time++) {
      all.push(await comesBack(time % nodes, isLost));
      await packagesMade();
    }
    const median = (key: keyof Came): number =>
      all.map((came) => came[key]).sort((a, b) => a - b)[all.length >> 1] ?? 0;
    console.log(
      `${isLost ? "without its stores" : "with its disk"}, ${mib} MiB, ${nodes} nodes, medians of ${count}: started after ` +
        `${median("startedMs")} ms, as far as the others after ${median("caughtUpMs")} ms, an update answered after ` +
        `${median("answeredMs")} ms; load of the machine in the last minute ${loadavg()[0]?.toFixed(1)}`,
    );
  }
  clients.finish();
  await load;
}

try {
  await Promise.race([run(), failure.promise]);
} finally {
  await cluster.close();
  rmSync(stateDir, { recursive: true, force: true });
}
process.exit(0);

/**
 * The shape of consensus in the simulator: delays of messages that a block takes and that it takes until it is final, with honest leaders and with
 * f silent ones; messages and bytes as members grow; what a subnet does as subnets grow. All but the last column of the last table is virtual time and
 * the same on every machine.
 * Run: node bench/src/simulated-consensus.ts [sizes] [subnet counts]
 */
import { installFastHashes } from "@orrery/host";
import { consensusShape, simulate } from "@orrery/sim/simulate";
import { threadMilliseconds } from "./lib/thread-clock.ts";

installFastHashes();

const SIZES = (process.argv[2] ?? "4,13,40").split(",").map(Number);
const SUBNETS = (process.argv[3] ?? "1,10,100").split(",").map(Number);
const MS = 1_000_000n;
const DELAY_MS = 50;
/** Virtual seconds: blocks enough for a mean, few enough that forty members do not take minutes. */
const SECONDS = 6;
const SECONDS_WITH_SILENT = 40;
const ROUNDS = 20;

const bare = { initialNotaryDelayNs: 0n, unitDelayNs: 1_000n * MS };
const publicNetwork = { initialNotaryDelayNs: 300n * MS, unitDelayNs: 1_000n * MS };
const row = (cells: readonly (string | number)[]): void => console.log(`| ${cells.join(" | ")} |`);

console.log(`messages take ${DELAY_MS} ms; delays: multiples of that`);
row(["nodes", "block, delays", "final, delays", "messages a round", "kB a round", "kB a node and round"]);
for (const nodes of SIZES) {
  const delayNs = BigInt(DELAY_MS) * MS;
  const shape = consensusShape({ nodes, delayNs, silent: 0, seconds: SECONDS, ...bare });
  row([
    nodes,
    (shape.blockMs / DELAY_MS).toFixed(2),
    (shape.latencyMs / DELAY_MS).toFixed(2),
    Math.round(shape.messagesPerRound),
    Math.round(shape.bytesPerRound / 1_000),
    (shape.bytesPerRound / 1_000 / nodes).toFixed(1),
  ]);
}

console.log("with the public network's parameters: blocks a second");
row(["nodes", "silent", "blocks/s", "final after, ms", "blocks of other ranks"]);
for (const nodes of SIZES) {
  for (const silent of [0, Math.floor((nodes - 1) / 3)]) {
    const delayNs = BigInt(DELAY_MS) * MS;
    const seconds = silent === 0 ? SECONDS : SECONDS_WITH_SILENT;
    const shape = consensusShape({ nodes, delayNs, silent, seconds, ...publicNetwork });
    row([
      nodes,
      silent,
      (1_000 / shape.blockMs).toFixed(2),
      Math.round(shape.latencyMs),
      `${Math.round(shape.otherRanks * 100)} %`,
    ]);
  }
}

console.log(`subnets of 4 beside each other, ${ROUNDS} rounds`);
row(["subnets", "blocks/s of each", "processor ms a round and subnet"]);
for (const subnetCount of SUBNETS) {
  const from = threadMilliseconds();
  const report = simulate({
    seed: 1,
    nodesPerSubnet: 4,
    subnetCount,
    faults: [],
    rounds: ROUNDS,
    state: "hashes",
  });
  const ms = threadMilliseconds() - from;
  row([
    subnetCount,
    (report.roundsTotal / subnetCount / report.seconds).toFixed(2),
    (ms / report.roundsTotal).toFixed(2),
  ]);
}

/** A thread that runs simulated seeds: one after the other, as it is told their numbers. */
import { parentPort, workerData } from "node:worker_threads";
import { installFastHashes } from "@orrery/host";
import { keysOf, type SeedOptions, simulateSeed } from "./simulate-record.ts";

installFastHashes();

const options = workerData as SeedOptions;
const keys = await keysOf(options.keys);
parentPort?.on("message", (seed: number) => parentPort?.postMessage(simulateSeed(options, seed, keys)));

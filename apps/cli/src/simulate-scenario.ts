/** Scenarios of `orrery simulate`: files with what went wrong in a run that failed, as little of it as still makes it fail. */
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { OrreryError } from "@orrery/base";
import {
  decodeScenario,
  encodeScenario,
  type Scenario,
  type SimulationOptions,
  shrink,
} from "@orrery/sim/simulate";
import type { Io } from "./io.ts";

export function readScenario(io: Io, file: string): Scenario {
  const path = resolve(io.cwd, file);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const why = (cause as Error).message;
    throw new OrreryError("scenario_invalid", `${path} cannot be read (${why}); name another file`, {
      cause,
    });
  }
  return decodeScenario(text);
}

/** Its path. */
export function writeFile(io: Io, file: string, text: string): string {
  const path = resolve(io.cwd, file);
  try {
    writeFileSync(path, text);
  } catch (cause) {
    throw new OrreryError(
      "file_unwritable",
      `${path} cannot be written (${(cause as Error).message}); name another file`,
      { cause },
    );
  }
  return path;
}

/** Of a run that failed: looks for the shortest that fails alike, writes it, and says what is left. */
export function shrinkInto(
  file: string,
  options: SimulationOptions,
  { io, say }: { readonly io: Io; readonly say: (text: string) => void },
): void {
  const made = shrink(options, {
    onProgress: (runs, faults) => say(`${runs} runs, ${faults} single faults left …`),
  });
  if (made === null) return;
  const { scenario, failure, strikes, rounds, runs } = made;
  const path = writeFile(io, file, encodeScenario(scenario));
  const faults = `${strikes.after} of ${strikes.before} single faults`;
  io.err(
    `"${failure}" takes ${faults} in ${rounds.after} rounds with ${scenario.nodesPerSubnet} nodes on ${scenario.subnetCount} subnets (found in ${runs} runs).\n` +
      io.style("dim", `Wrote ${path}; run it again with: orrery simulate --scenario ${file}\n`),
  );
}

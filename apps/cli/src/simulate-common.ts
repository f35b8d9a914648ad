/** What runs of one seed and of many have in common: verdicts as exit codes and colours, progress, speed. */
import type { SimulationReport } from "@orrery/sim/simulate";
import type { Io } from "./io.ts";

export type Verdict = SimulationReport["verdict"];

export const EXIT_CODES: Readonly<Record<Verdict, number>> = { ok: 0, unsafe: 10, stalled: 11 };
export const COLOURS = { ok: "green", unsafe: "red", stalled: "yellow" } as const;
/** Failures and violations that are printed. */
export const SHOWN_MAX = 20;
const PROGRESS_MS = 500;

/** Said at most so often. */
export function progress(io: Io): (text: string) => void {
  let last = performance.now();
  return (text) => {
    const now = performance.now();
    if (now - last < PROGRESS_MS) return;
    last = now;
    io.err(io.style("dim", `${text}\n`));
  };
}

export function timesRealTime(seconds: number, startedMs: number): number {
  return Math.round((seconds / ((performance.now() - startedMs) / 1_000)) * 10) / 10;
}

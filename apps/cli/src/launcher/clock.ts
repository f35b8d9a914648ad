/**
 * The clock of a network that its user may move on, never back. How far it is ahead of the machine's is kept beside the network's state: one
 * that was moved on goes on from there after a restart, and does not stand still until the machine has caught up.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { type Clock, OrreryError, type TimeNs } from "@orrery/base";
import { writeWhole } from "../state-files.ts";

/** The year 2500. Times are 64 bits of nanoseconds, which end in 2554: from here a network still has decades to go on. */
export const LATEST_NS = 16_725_225_600_000_000_000n;
/** Ten years: one that was moved to the latest instant goes on from there, restarts included. */
const GOES_ON_NS = 315_360_000_000_000_000n;

export interface MovableClock extends Clock {
  /** To an instant that is not before now, nor after `LATEST_NS`. */
  moveTo(time: TimeNs): void;
}

function keptAhead(file: string): bigint {
  try {
    const { ahead_ns: ahead } = JSON.parse(readFileSync(file, "utf8")) as { readonly ahead_ns?: unknown };
    return typeof ahead === "string" && /^\d{1,20}$/.test(ahead) ? BigInt(ahead) : 0n;
  } catch {
    // Never moved, or not by this program.
    return 0n;
  }
}

/**
 * `file`: where it is kept how far the clock of the network in `stateDir` is ahead; a network that begins has the machine's time.
 * Errors: `clock_too_far`.
 */
export function movableClock(machine: Clock, file: string, stateDir: string): MovableClock {
  if (!existsSync(stateDir)) rmSync(file, { force: true });
  let ahead = keptAhead(file);
  if (machine.now() + ahead > LATEST_NS + GOES_ON_NS) {
    throw new OrreryError(
      "clock_too_far",
      `${file} keeps the network's clock ${ahead} ns ahead of this machine's, beyond the year 2510, where its time would soon not fit into ` +
        `64 bits: remove that file to go on by this machine's clock, or ${stateDir} to begin a new network`,
      { data: { file, ahead } },
    );
  }
  return {
    now: () => machine.now() + ahead,
    moveTo(time) {
      const now = machine.now();
      ahead = time > now + ahead ? time - now : ahead;
      mkdirSync(dirname(file), { recursive: true });
      writeWhole(file, `${JSON.stringify({ ahead_ns: `${ahead}` })}\n`);
    },
  };
}

/**
 * The clock of a network that its user may move on, never back. How far it is ahead of the machine's is kept beside the network's state: one
 * that was moved on goes on from there after a restart, and does not stand still until the machine has caught up.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { Clock, TimeNs } from "@orrery/base";
import { writeWhole } from "../state-files.ts";

export interface MovableClock extends Clock {
  /** To an instant that is not before now. */
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

/** `file`: where it is kept how far the clock of the network in `stateDir` is ahead; a network that begins has the machine's time. */
export function movableClock(machine: Clock, file: string, stateDir: string): MovableClock {
  if (!existsSync(stateDir)) rmSync(file, { force: true });
  let ahead = keptAhead(file);
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

/** Deadlines of calls (interface spec, "Best-effort responses"): whole seconds, and passed when a later second has begun (replica). */
import type { TimeNs } from "@orrery/base";
import { REQUEST_LIFETIME_NS } from "../limits.ts";

const SECOND_NS = 1_000_000_000n;

export function secondOf(time: TimeNs): TimeNs {
  return time - (time % SECOND_NS);
}

/** Whether a call's deadline has passed; one without never does. */
export function hasPassed(deadline: TimeNs, time: TimeNs): boolean {
  return deadline !== 0n && deadline < secondOf(time);
}

/** The first time at which it has. */
export function passesAt(deadline: TimeNs): TimeNs {
  return deadline + SECOND_NS;
}

/** Until when a request whose response is guaranteed may wait to be sent. */
export function requestExpiry(time: TimeNs): TimeNs {
  return secondOf(time + REQUEST_LIFETIME_NS);
}

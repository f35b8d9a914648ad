/** What cases that move the clock share. */
import { type Declare, type Section, section } from "../case.ts";

export const SECOND = 1_000_000_000n;
export const MINUTE: bigint = 60n * SECOND;
export const HOUR: bigint = 60n * MINUTE;
export const DAY: bigint = 24n * HOUR;

/** Cases of a section that move the clock. */
export const timed = (name: Section): Declare => section(name).needing("time control");

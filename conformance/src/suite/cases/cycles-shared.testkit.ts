/** What cases about cycles share. */
import { numberOf } from "../bytes.ts";
import { replied } from "../checks.ts";
import { code, ic0 } from "../script.ts";
import type { Universal } from "../world.ts";

export const T = 1_000_000_000_000n;

export const amount = (outcome: Awaited<ReturnType<Universal["query"]>>): bigint =>
  numberOf(replied(outcome));

export const OK: Uint8Array = code(ic0.msg_reply);

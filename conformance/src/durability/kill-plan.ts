/** At which instant a node is killed: after answers, while files change, when a request was just sent, while it starts or stops. */
import type { Random } from "./random.ts";

export interface KillPlan {
  readonly kind:
    | "answers"
    | "checkpoint"
    | "manifest"
    | "segment"
    | "install"
    | "call"
    | "starting"
    | "stopping";
  /** How many of what the kind counts. */
  readonly count: number;
  /** Then this long. */
  readonly delayMs: number;
}

export function planKill(random: Random): KillPlan {
  const kind = random.pick([
    "answers",
    "answers",
    "answers",
    "checkpoint",
    "checkpoint",
    "manifest",
    "segment",
    "install",
    "call",
    "call",
    "starting",
    "stopping",
  ] as const);
  const count = 1 + random.below(60);
  switch (kind) {
    case "answers":
    case "call":
      return { kind, count, delayMs: random.below(25) };
    case "checkpoint":
    case "manifest":
    case "segment":
      return { kind, count, delayMs: random.below(4) };
    case "install":
      return { kind, count, delayMs: random.below(60) };
    case "stopping":
      return { kind, count, delayMs: random.below(150) };
    case "starting":
      return { kind, count, delayMs: random.below(700) };
  }
}

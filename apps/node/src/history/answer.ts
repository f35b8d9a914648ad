/** Answers questions about a network's past (docs/tracing.md): finds what is asked for in its blocks and runs it again. */
import { OrreryError, principalFromText, principalKey } from "@orrery/base";
import type { TraceEvent } from "@orrery/sim/instance";
import { type Trace, withContinuations } from "@orrery/sim/trace";
import { type Found, firstRound, keptOf, messages, type NetworkPast, type PastSubnet } from "./network.ts";
import { Rerun, type Start } from "./rerun.ts";
import type {
  Checked,
  HistoryAnswer,
  HistoryAsk,
  HistoryProgress,
  RecentAnswer,
  TraceAnswer,
} from "./types.ts";

/** Rounds of a subnet that run again for a list. */
const LISTED_ROUNDS_MAX = 2_000;
/** Digits of a request id that name it. */
const ID_DIGITS_MIN = 6;
const NOTHING_CHECKED: Checked = { rounds: 0, same: 0, differs: null };

export interface AnswerOptions {
  readonly past: NetworkPast;
  readonly ask: HistoryAsk;
  readonly onProgress: (progress: HistoryProgress) => void;
}

/** `message_not_found`, `rounds_gone`, `target_invalid`. */
export function answerHistory({ past, ask, onProgress }: AnswerOptions): HistoryAnswer {
  const profile = ask.kind === "trace" && ask.profile === true;
  const rerun = new Rerun({ past, profile, onProgress });
  return ask.kind === "recent" ? recent(past, ask.count, rerun) : traced(past, ask.target, rerun);
}

/** The oldest round that a list runs again. */
function listedFrom({ history }: PastSubnet): number {
  const from = Math.max(0, (history.last ?? 0) - LISTED_ROUNDS_MAX);
  return Math.max(from, firstRound(history) ?? Number.POSITIVE_INFINITY);
}

function recent(past: NetworkPast, count: number, rerun: Rerun): RecentAnswer {
  const found = messages(past).take(count).toArray();
  const near = found.filter(
    ({ subnet, message }) => message.height >= listedFrom(past.subnets.get(subnet) as PastSubnet),
  );
  // The oldest first: each subnet begins with its oldest message.
  const { outcomes, checked } =
    near.length === 0 ? { outcomes: new Map(), checked: NOTHING_CHECKED } : rerun.messages(near.toReversed());
  return {
    kind: "recent",
    messages: found.map(({ message }) => ({ message, outcome: outcomes.get(message.requestId) ?? null })),
    checked,
    kept: keptOf(past),
  };
}

function traced(past: NetworkPast, target: string, rerun: Rerun): TraceAnswer {
  const wanted = parseTarget(target);
  const found = messages(past).find(({ message }) => wanted.fits(message));
  if (found === undefined) {
    return wanted.canister === null ? notFound(past, target) : newestOf(past, wanted.canister, rerun);
  }
  const { subnet, message } = found;
  const { history } = past.subnets.get(subnet) as PastSubnet;
  const oldest = firstRound(history);
  if (oldest === null || message.height < oldest) {
    const first = oldest === null ? "none can" : `the oldest that can is ${oldest}`;
    throw new OrreryError(
      "rounds_gone",
      `round ${message.height} of subnet ${message.subnetId} cannot run again: ${first}, since older checkpoints and blocks were removed; start the network with --keep-rounds to keep more from then on`,
      { data: { height: message.height, oldest } },
    );
  }
  const { outcomes, checked } = rerun.messages([found]);
  const outcome = outcomes.get(message.requestId) as TraceAnswer["outcome"];
  return { kind: "trace", message, outcome, checked, kept: keptOf(past) };
}

interface Target {
  readonly fits: (message: Found["message"]) => boolean;
  /** Textual. */
  readonly canister: string | null;
}

function parseTarget(target: string): Target {
  if (target === "last") return { fits: () => true, canister: null };
  const digits = target.replace(/^0x/, "").toLowerCase();
  if (/^[0-9a-f]+$/.test(digits) && digits.length >= ID_DIGITS_MIN) {
    return { fits: ({ requestId }) => requestId.startsWith(digits), canister: null };
  }
  try {
    principalFromText(target);
  } catch (cause) {
    throw new OrreryError(
      "target_invalid",
      `"${target}" names no message: give a request id in hex (${ID_DIGITS_MIN} digits or more), a canister's id, or "last"`,
      { cause },
    );
  }
  return { fits: ({ canisterId }) => canisterId === target, canister: target };
}

function notFound(past: NetworkPast, target: string): never {
  const blocks = keptOf(past).map(({ subnetId, firstBlock, lastBlock }) =>
    firstBlock === null ? `none of ${subnetId}` : `${firstBlock} to ${lastBlock} of ${subnetId}`,
  );
  throw new OrreryError(
    "message_not_found",
    `no message ${target === "last" ? "of a user" : target} is in the blocks that are kept (${blocks.join(", ")}); queries are in no block`,
    { data: { target } },
  );
}

/** What a canister did last that no user asked for directly: as a callee, by a timer, in a heartbeat. */
function newestOf(past: NetworkPast, canister: string, rerun: Rerun): TraceAnswer {
  const starts = [...past.subnets].flatMap(([subnet, one]): readonly Start[] => {
    const height = listedFrom(one);
    return Number.isFinite(height) ? [{ subnet, height }] : [];
  });
  const key = principalKey(principalFromText(canister));
  const takesPart = ({ canisterId }: TraceEvent): boolean => principalKey(canisterId) === key;
  const { others, checked } = rerun.tasks(starts, takesPart);
  const trace = others.findLast((one) => withContinuations(one).some((tree) => includes(tree, canister)));
  if (trace === undefined) return notFound(past, canister);
  const { cause } = trace;
  const asked = cause.kind === "ingress" ? cause.requestId : null;
  const message = messages(past).find(({ message: { requestId } }) => requestId === asked)?.message ?? null;
  return {
    kind: "trace",
    message: asked === null ? null : message,
    outcome: { status: "done", reject: null, trace, isWhole: true },
    checked,
    kept: keptOf(past),
  };
}

function includes({ canisterId, messages: executed }: Trace, canister: string): boolean {
  if (canisterId === canister) return true;
  return executed.some(({ calls }) => calls.some(({ trace }) => trace !== null && includes(trace, canister)));
}

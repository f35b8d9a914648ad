/**
 * Faults of the way between canisters, at will: messages that rules name are held until they are released, in any order, delayed by time,
 * their calls rejected, or, of best-effort calls, lost. Everything follows from rules and releases, so that a run with faults repeats like
 * any other. What the protocol rules out does not happen: a call has exactly one answer, and one with a guarantee loses no message.
 */
import { type CanisterId, equalBytes, OrreryError, type TimeNs } from "@orrery/base";
import type { MessageGate } from "@orrery/execution";
import type { OutboundMessage } from "@orrery/state";

export interface MessageRule {
  /** Whose messages and what for; what is not there is any. */
  readonly from?: CanisterId;
  readonly to?: CanisterId;
  readonly kind?: "request" | "response";
  /** Of requests. */
  readonly method?: string;
  /** How many messages it applies to; all by default. */
  readonly times?: number;
  readonly action:
    | { readonly kind: "hold" }
    | { readonly kind: "delay"; readonly durationNs: bigint }
    /** Of best-effort calls only: it never arrives, and its caller learns by the deadline. */
    | { readonly kind: "drop" }
    /** Requests only: answered so instead of being delivered. */
    | { readonly kind: "reject"; readonly code: 1 | 2 | 3 | 4 | 5; readonly message: string };
}

export interface HeldMessage {
  readonly id: number;
  readonly kind: "request" | "response";
  readonly from: CanisterId;
  readonly to: CanisterId;
  /** Of requests. */
  readonly method: string | null;
  /** When it goes on by itself; null: when it is released. */
  readonly until: TimeNs | null;
}

interface Kept extends HeldMessage {
  /** Of the subnet that it was sent on. */
  readonly number: number;
  readonly message: OutboundMessage;
}

interface CountedRule {
  readonly rule: MessageRule;
  left: number;
}

/** Messages that are kept at once: each holds a caller's callback. */
const HELD_MAX = 100_000;

export class Faults {
  #rules: CountedRule[] = [];
  #kept: Kept[] = [];
  /** For the next round, in the order in which they were released. */
  #released: Kept[] = [];
  #next = 1;

  /** From now on these rules, and no others; the first that fits a message applies. What is held stays so. */
  setRules(rules: readonly MessageRule[]): void {
    for (const { action, times } of rules) {
      const isWrong =
        (action.kind === "delay" && action.durationNs < 0n) ||
        (times !== undefined && !(Number.isSafeInteger(times) && times > 0));
      if (isWrong) {
        throw new OrreryError(
          "rule_invalid",
          "a rule for messages has a negative delay or applies to no message: give it 0 ns or more, and 1 message or more",
        );
      }
    }
    this.#rules = rules.map((rule) => ({ rule, left: rule.times ?? Number.POSITIVE_INFINITY }));
  }

  held(): readonly HeldMessage[] {
    return this.#kept.map(({ number: _, message: __, ...told }) => told);
  }

  get isIdle(): boolean {
    return this.#kept.length === 0 && this.#released.length === 0;
  }

  /** Lets these go on in the next round, one after the other; all that are held when none are named. `message_unknown`. */
  release(ids: readonly number[] = this.#kept.map(({ id }) => id)): void {
    const chosen = ids.map((id) => {
      const found = this.#kept.find((one) => one.id === id);
      if (found !== undefined) return found;
      throw new OrreryError("message_unknown", `no message ${id} is held: see those that are`, {
        data: { id },
      });
    });
    this.#kept = this.#kept.filter((one) => !chosen.includes(one));
    this.#released.push(...chosen);
  }

  /** Whether messages go on in a round at `time`. */
  isDue(time: TimeNs): boolean {
    return this.#released.length > 0 || this.#kept.some(({ until }) => until !== null && until <= time);
  }

  /** The next time at which a message goes on by itself. */
  nextDue(): TimeNs | null {
    let next: TimeNs | null = null;
    for (const { until } of this.#kept) if (until !== null && (next === null || until < next)) next = until;
    return next;
  }

  copy(): Faults {
    const copy = new Faults();
    copy.#rules = this.#rules.map((one) => ({ ...one }));
    copy.#kept = [...this.#kept];
    copy.#released = [...this.#released];
    copy.#next = this.#next;
    return copy;
  }

  /** The gate of one subnet; `number`: of its place. */
  gateOf(number: number, now: () => TimeNs): MessageGate {
    return {
      pass: (message) => this.#pass(message, number, now()),
      release: (time) => this.#due(number, time),
    };
  }

  #pass(message: OutboundMessage, number: number, now: TimeNs): ReturnType<MessageGate["pass"]> {
    const counted = this.#rules.find(({ rule, left }) => left > 0 && fits(rule, message));
    if (counted === undefined || this.#kept.length >= HELD_MAX) return message;
    counted.left--;
    const { action } = counted.rule;
    if (action.kind === "reject") return rejected(message, action);
    if (action.kind === "drop") return "lost";
    const until = action.kind === "delay" ? now + action.durationNs : null;
    const { from, to, method } = partiesOf(message);
    this.#kept.push({ id: this.#next++, kind: message.kind, from, to, method, until, number, message });
    return null;
  }

  #due(number: number, time: TimeNs): readonly OutboundMessage[] {
    const isDue = (one: Kept): boolean => one.number === number && one.until !== null && one.until <= time;
    const delayed = this.#kept.filter(isDue).sort((a, b) => compareDue(a, b));
    this.#kept = this.#kept.filter((one) => !isDue(one));
    const released = this.#released.filter((one) => one.number === number);
    this.#released = this.#released.filter((one) => one.number !== number);
    return [...released, ...delayed].map(({ message }) => message);
  }
}

function compareDue(a: Kept, b: Kept): number {
  const [first, second] = [a.until ?? 0n, b.until ?? 0n];
  return first < second ? -1 : first > second ? 1 : a.id - b.id;
}

function partiesOf(message: OutboundMessage): Pick<HeldMessage, "from" | "to" | "method"> {
  const { from } = message.input;
  if (message.kind === "request") return { from, to: message.callee, method: message.input.methodName };
  return { from, to: message.to, method: null };
}

function fits(rule: MessageRule, message: OutboundMessage): boolean {
  if (rule.kind !== undefined && rule.kind !== message.kind) return false;
  if (rule.action.kind === "reject" && message.kind !== "request") return false;
  if (rule.action.kind === "drop" && (message.input.deadline ?? 0n) === 0n) return false;
  const { from, to, method } = partiesOf(message);
  if (rule.from !== undefined && !equalBytes(rule.from, from)) return false;
  if (rule.to !== undefined && !equalBytes(rule.to, to)) return false;
  return rule.method === undefined || rule.method === method;
}

/** The answer that a request gets instead of being delivered. */
function rejected(
  message: OutboundMessage,
  { code, message: text }: Extract<MessageRule["action"], { kind: "reject" }>,
): OutboundMessage {
  if (message.kind !== "request") return message;
  const { callee, input } = message;
  return {
    kind: "response",
    to: input.from,
    input: {
      kind: "response",
      from: callee,
      callbackId: input.callbackId,
      payload: { kind: "reject", code, message: text },
      refund: input.cycles,
      ...(input.deadline === 0n ? {} : { deadline: input.deadline }),
    },
  };
}

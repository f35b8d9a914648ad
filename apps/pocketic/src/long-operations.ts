/**
 * Operations that outlast what their client waits for (header `processing-timeout-ms`): they go on, the client gets a ticket, and reads the
 * result by it once it is there, until it prunes it.
 */
import { type Answer, failure, jsonAnswer } from "./answers.ts";

/** Results that nobody has pruned; the oldest goes first. */
const RESULTS_MAX = 1_000;
const LABEL_BYTES = 16;
/** What a timer of the runtime can count. */
const TIMEOUT_MS_MAX = 2_147_483_647;

interface Ticket {
  /** Null while the operation runs. */
  answer: Answer | null;
}

export interface LongOperations {
  /** The answer, or a ticket when it takes longer than `timeoutMs`; null waits for any time. */
  hold(name: string, timeoutMs: number | null, answer: Promise<Answer>): Promise<Answer>;
  read(label: string, operation: string): Answer;
  prune(label: string, operation: string): Answer;
}

/** The header's value, or null when it is absent or no number. */
export function timeoutOf(header: string | undefined): number | null {
  return header !== undefined && /^\d{1,16}$/.test(header) ? Math.min(Number(header), TIMEOUT_MS_MAX) : null;
}

export function createLongOperations(): LongOperations {
  const tickets = new Map<string, Ticket>();
  const pruned = new Set<string>();
  let next = 0;

  function keep(key: string, ticket: Ticket): void {
    tickets.set(key, ticket);
    if (tickets.size <= RESULTS_MAX) return;
    for (const [old, { answer }] of tickets) {
      if (answer === null) continue;
      tickets.delete(old);
      return;
    }
  }

  function started(name: string, answer: Promise<Answer>): Answer {
    const label = Buffer.alloc(LABEL_BYTES);
    label.writeBigUInt64LE(BigInt(next));
    const stateLabel = label.toString("base64url");
    const operation = `${name.replaceAll(/[^a-z_]/g, "_")}-${next}`;
    next++;
    const ticket: Ticket = { answer: null };
    keep(`${stateLabel}/${operation}`, ticket);
    answer.then(
      (value) => {
        ticket.answer = value;
      },
      (error: unknown) => {
        ticket.answer = failure(500, `Internal error: ${(error as Error).message}`);
      },
    );
    return jsonAnswer(202, JSON.stringify({ state_label: stateLabel, op_id: operation }));
  }

  return {
    async hold(name, timeoutMs, answer): Promise<Answer> {
      if (timeoutMs === null) return await answer;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<null>((resolve) => {
        timer = setTimeout(resolve, timeoutMs, null);
      });
      const first = await Promise.race([answer, late]);
      clearTimeout(timer);
      return first ?? started(name, answer);
    },
    read(label, operation): Answer {
      const key = `${label}/${operation}`;
      if (pruned.has(key)) return failure(410, "Pruned");
      const answer = tickets.get(key)?.answer;
      return answer ?? failure(404, `state_label / op_id not found: ${key.slice(0, 200)}`);
    },
    prune(label, operation): Answer {
      const key = `${label}/${operation}`;
      const ticket = tickets.get(key);
      if (ticket === undefined || ticket.answer === null) {
        return pruned.has(key)
          ? failure(410, "Pruned")
          : failure(404, `state_label / op_id not found: ${key.slice(0, 200)}`);
      }
      tickets.delete(key);
      pruned.add(key);
      if (pruned.size > RESULTS_MAX) pruned.delete(pruned.values().next().value as string);
      return jsonAnswer(200, "null");
    },
  };
}

/**
 * The instances of a server by id, counted from 0 and never reused: which thread each lives on, whether it is at work, its end. What an
 * instance is asked goes to its thread in order, whoever asks, so that it does one thing at a time.
 */
import { type Answer, failure, jsonAnswer } from "./answers.ts";
import type { Pool, Thread } from "./pool.ts";
import type { Creation, GatewayRules, InstanceConfig, ThreadAnswer, ThreadRequest } from "./protocol.ts";

/** Instances at a time: each takes some MB. */
const INSTANCES_MAX = 4_096;

interface Entry {
  readonly thread: Thread;
  /** Its name on the thread. */
  readonly key: number;
  readonly savesState: boolean;
  pending: number;
  /** Resolves when it is gone: with what went wrong when its state was to be kept. */
  deletion: Promise<string | null> | null;
  isGone: boolean;
}

export type Created = { readonly id: number; readonly topology: string } | { readonly error: string };

export interface Instances {
  create(config: InstanceConfig): Promise<Created>;
  operate(id: number, name: string, body: Uint8Array<ArrayBuffer>, blob?: Uint8Array): Promise<Answer>;
  /** `gateway`: the one that was asked, null for the instance itself. */
  http(id: number, request: ThreadRequest, gateway: GatewayRules | null): Promise<Answer>;
  /** Waits for what it is doing, unless nothing of it would be kept. */
  delete(id: number): Promise<Answer>;
  /** What is wrong with the id; null when there is such an instance. */
  refuse(id: number): Answer | null;
  /** State of each, by id. */
  list(): readonly string[];
  /** What went wrong with states that were to be kept. */
  end(): Promise<readonly string[]>;
}

/** A body that the thread has in pieces. */
async function* pieces(thread: Thread, stream: number): AsyncGenerator<Uint8Array> {
  let isWhole = false;
  try {
    for (;;) {
      const piece = await thread.call<Uint8Array | null>({ kind: "pull", stream });
      if (piece === null) break;
      yield piece;
    }
    isWhole = true;
  } finally {
    if (!isWhole) await thread.call({ kind: "drop", stream }).catch(() => {});
  }
}

export function createInstances(pool: Pool): Instances {
  const entries: Entry[] = [];
  let keys = 0;
  let alive = 0;

  function refuse(id: number): Answer | null {
    const entry = entries[id];
    if (entry === undefined) return failure(404, `Instance not found: there is none with the id ${id}`);
    return entry.deletion === null ? null : failure(404, "Instance was deleted");
  }

  async function ask(id: number, call: (entry: Entry) => Promise<Answer>): Promise<Answer> {
    const refused = refuse(id);
    if (refused !== null) return refused;
    const entry = entries[id] as Entry;
    entry.pending++;
    try {
      return await call(entry);
    } catch (error) {
      return refuse(id) ?? failure(500, (error as Error).message);
    } finally {
      entry.pending--;
    }
  }

  async function remove(entry: Entry): Promise<string | null> {
    const { thread, key, pending, savesState } = entry;
    let failed: string | null = null;
    // A canister may run for minutes; nobody will see what comes of it.
    if (pending > 0 && !savesState && thread.instances === 1) await thread.end("Instance was deleted");
    else {
      failed = await thread.call({ kind: "delete", instance: key }).then(
        () => null,
        (error: Error) => error.message,
      );
    }
    thread.release();
    alive--;
    entry.isGone = true;
    return failed === null || !savesState ? null : `The state of the instance was not kept: ${failed}`;
  }

  function deletion(entry: Entry): Promise<string | null> {
    entry.deletion ??= remove(entry);
    return entry.deletion;
  }

  return {
    async create(config): Promise<Created> {
      if (alive >= INSTANCES_MAX) {
        return { error: `There are ${INSTANCES_MAX} instances, the most of a server; delete some first.` };
      }
      alive++;
      const thread = pool.pick();
      const key = keys++;
      thread.hold();
      let creation: Creation;
      try {
        creation = await thread.call<Creation>({ kind: "create", instance: key, config });
      } catch (error) {
        creation = { error: (error as Error).message };
      }
      if ("error" in creation) {
        thread.release();
        alive--;
        return creation;
      }
      const savesState = config.stateDir !== null;
      entries.push({ thread, key, savesState, pending: 0, deletion: null, isGone: false });
      return { id: entries.length - 1, topology: creation.topology };
    },
    operate: (id, name, body, blob) =>
      ask(id, ({ thread, key }) =>
        thread.call<Answer>({ kind: "operate", instance: key, name, body, blob: blob ?? null }, [
          body.buffer,
        ]),
      ),
    http: (id, request, gateway) =>
      ask(id, async ({ thread, key }) => {
        const answer = await thread.call<ThreadAnswer>({ kind: "http", instance: key, request, gateway });
        const { stream, ...rest } = answer;
        return stream === undefined ? rest : { ...rest, stream: pieces(thread, stream) };
      }),
    async delete(id): Promise<Answer> {
      const entry = entries[id];
      if (entry === undefined) return refuse(id) as Answer;
      const failed = await deletion(entry);
      return failed === null ? jsonAnswer(200, "") : failure(500, failed);
    },
    refuse,
    list: () =>
      entries.map((entry) => {
        if (entry.isGone) return "Deleted";
        return entry.pending > 0 || entry.deletion !== null ? "Busy" : "Available";
      }),
    async end(): Promise<readonly string[]> {
      // What is not kept needs no orderly end.
      const failures = await Promise.all(entries.filter(({ savesState }) => savesState).map(deletion));
      return failures.filter((failed) => failed !== null);
    },
  };
}

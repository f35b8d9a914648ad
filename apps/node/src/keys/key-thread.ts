/**
 * Key generation beside consensus: a job that a member asks for goes to a thread of its own, and the member is woken when it is done, to ask
 * again. Nothing is remembered but answers that nobody has asked for again yet.
 */
import { Worker } from "node:worker_threads";
import type { JobOf, KeyJob, KeyWork } from "@orrery/consensus/keys";
import { type Channel, createChannel } from "@orrery/host";
import type { SubnetIndex } from "../protocol.ts";
import type { KeyCall, KeyWorkerStart } from "./key-worker.ts";

/** Jobs under way; further ones are asked for again when one of these is done. */
const JOBS_MAX = 64;
/** Answers that wait; one that nobody asks for again is of an interval that is over. */
const ANSWERS_MAX = 256;

export interface KeyThreadOptions {
  /** Of the node. */
  readonly seed: Uint8Array;
  /** A job of the subnet is done, or there is room for one again. */
  readonly onDone: (subnet: SubnetIndex) => void;
  readonly onFailure: (error: unknown) => void;
}

interface Answer {
  readonly work: KeyWork[KeyJob["kind"]];
}

export class KeyThread {
  readonly #options: KeyThreadOptions;
  readonly #worker: Worker;
  readonly #channel: Channel<never, never, KeyCall>;
  readonly #jobs = new Set<string>();
  readonly #answers = new Map<string, Answer>();
  /** For whose jobs there was no room. */
  readonly #refused = new Set<SubnetIndex>();
  #closed = false;

  constructor(options: KeyThreadOptions) {
    this.#options = options;
    const workerData: KeyWorkerStart = { seed: options.seed };
    this.#worker = new Worker(new URL("./key-worker.ts", import.meta.url), { name: "keys", workerData });
    const fail = (error: unknown): void => {
      if (!this.#closed) options.onFailure(error);
    };
    this.#worker.on("error", fail);
    this.#channel = createChannel(this.#worker, { onPost() {}, onFailure: fail });
  }

  /** `name`: of the job and everything that its answer depends on. */
  compute<K extends KeyJob["kind"]>(subnet: SubnetIndex, job: JobOf<K>, name: string): KeyWork[K] | "later" {
    const key = `${subnet}/${name}`;
    const answer = this.#answers.get(key);
    if (answer !== undefined) {
      this.#answers.delete(key);
      return answer.work as KeyWork[K];
    }
    if (this.#jobs.has(key)) return "later";
    if (this.#jobs.size < JOBS_MAX) void this.#begin(subnet, job, key);
    else this.#refused.add(subnet);
    return "later";
  }

  async #begin(subnet: SubnetIndex, job: KeyJob, key: string): Promise<void> {
    this.#jobs.add(key);
    try {
      const work = await this.#channel.call<Answer["work"]>({ subnet, job });
      if (this.#closed) return;
      if (this.#answers.size >= ANSWERS_MAX)
        this.#answers.delete(this.#answers.keys().next().value as string);
      this.#answers.set(key, { work });
      this.#jobs.delete(key);
      const woken = new Set([subnet, ...this.#refused]);
      this.#refused.clear();
      for (const each of woken) this.#options.onDone(each);
    } catch (error) {
      if (!this.#closed) this.#options.onFailure(error);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker.terminate();
  }
}

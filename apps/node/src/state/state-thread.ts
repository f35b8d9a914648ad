/** The state thread as main has it: started by the first call, ended when nobody asked for a while, since what it tells takes memory. */
import type { Worker } from "node:worker_threads";
import type { Channel } from "@orrery/host";
import type { About } from "../protocol.ts";
import type { StateCall } from "./state-calls.ts";

const IDLE_MS = 120_000;

export interface StartedState {
  readonly worker: Pick<Worker, "terminate">;
  readonly channel: Channel<never, never, About<StateCall>>;
  /** Resolves with what it died of. */
  readonly ended: Promise<unknown>;
}

interface Running {
  readonly started: StartedState;
  readonly died: Promise<never>;
}

export class StateThread {
  readonly #start: () => StartedState;
  #current: Running | null = null;
  #idle: NodeJS.Timeout | null = null;

  constructor(start: () => StartedState) {
    this.#start = start;
  }

  /** Rejects when the thread dies; the next call starts another one. */
  async call<T>(call: About<StateCall>): Promise<T> {
    const { started, died } = this.#open();
    if (this.#idle !== null) clearTimeout(this.#idle);
    try {
      return await Promise.race([started.channel.call<T>(call), died]);
    } finally {
      if (this.#current?.started === started && started.channel.pending === 0) this.#rest();
    }
  }

  #open(): Running {
    if (this.#current !== null) return this.#current;
    const started = this.#start();
    const died = started.ended.then((error): never => {
      if (this.#current?.started === started) this.#current = null;
      throw error;
    });
    died.catch(() => {});
    this.#current = { started, died };
    return this.#current;
  }

  #rest(): void {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      const current = this.#current;
      this.#current = null;
      void current?.started.worker.terminate();
    }, IDLE_MS).unref();
  }
}

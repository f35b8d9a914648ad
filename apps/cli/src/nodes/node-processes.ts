/**
 * The processes of a network of several nodes, as the one that started them has them: each is started again when it ends by itself, later
 * the more often that happens, under the port that it had; but for one that would load the others in vain.
 */
import { type ChildProcess, fork } from "node:child_process";
import { OrreryError } from "@orrery/base";
import { ownScript } from "../own-script.ts";
import type { NetworkInfo } from "../state-files.ts";
import { isLasting } from "./exit-codes.ts";
import type { NodeReport } from "./run-node.ts";

/** Before a node that ended is started again; doubled with every end that follows soon. */
const RESTART_MS_MIN = 500;
const RESTART_MS_MAX = 30_000;
/** A node ends by itself before; one that stands still does not. It loses nothing that it has answered. */
const STOP_MS = 55_000;
/** One that answered for so long has not failed at its start. */
const STEADY_MS = 60_000;

export interface NodeProcessesOptions {
  readonly count: number;
  /** Of the network. */
  readonly stateDir: string;
  /** Name or address that clients reach the network under. */
  readonly host: string;
  readonly keepRounds?: number;
  /** How long one has to answer not to have failed at its start; a minute by default. */
  readonly steadyMs?: number;
  /** How long one that is to stop may take before it is killed; 55 s by default. */
  readonly stopMs?: number;
  /** A line of a node's log. */
  readonly write: (place: number, line: string) => void;
  /** What is known of the nodes has changed. */
  readonly onChange: () => void;
}

interface Slot {
  readonly place: number;
  child: ChildProcess | null;
  info: NetworkInfo | null;
  port: number;
  restartMs: number;
  readySince: number;
  timer: NodeJS.Timeout | null;
  /** The registry had it leave. */
  hasLeft: boolean;
}

export class NodeProcesses {
  readonly #options: NodeProcessesOptions;
  readonly #slots: readonly Slot[];
  readonly #first = Promise.withResolvers<void>();
  #begun = false;
  #stopped: Promise<void> | null = null;

  constructor(options: NodeProcessesOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.count }, (_, place) => ({
      place,
      child: null,
      info: null,
      port: 0,
      restartMs: RESTART_MS_MIN,
      readySince: 0,
      timer: null,
      hasLeft: false,
    }));
    this.#first.promise.catch(() => {});
  }

  /** Resolves when all of them answer for the first time; a failure of any until then is that of the start. */
  async start(): Promise<void> {
    for (const slot of this.#slots) this.#spawn(slot);
    await this.#first.promise;
    this.#begun = true;
  }

  /** Of every node, as it was when it last said; null before, and of one that left. */
  infos(): readonly (NetworkInfo | null)[] {
    return this.#slots.map(({ info, hasLeft }) => (hasLeft ? null : info));
  }

  /** Ports of those of them that answer. */
  ports(places: readonly number[]): readonly number[] {
    return places.flatMap((place) => {
      const { child = null, port = 0 } = this.#slots[place] ?? {};
      return child !== null && port !== 0 ? [port] : [];
    });
  }

  /** Resolves when all have ended; asked again, it is the same stop. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#first.reject(
      new OrreryError("start_interrupted", "the start was interrupted; what it had written is consistent"),
    );
    await Promise.all(
      this.#slots.map(async ({ place, timer, child }) => {
        if (timer !== null) clearTimeout(timer);
        if (child === null) return;
        const ended = new Promise((resolve) => child.once("exit", resolve));
        const { stopMs = STOP_MS } = this.#options;
        const kill = setTimeout(() => {
          this.#options.write(place, `node ${place} does not stop, for ${stopMs} ms now: it is killed\n`);
          child.kill("SIGKILL");
        }, stopMs);
        // It ends by itself then, on systems without signals too. A signal could be its second one, which would end it at once.
        if (child.connected) child.disconnect();
        await ended;
        clearTimeout(kill);
      }),
    );
  }

  #spawn(slot: Slot): void {
    const { stateDir, host, keepRounds } = this.#options;
    slot.readySince = 0;
    const child = fork(
      ownScript(),
      [
        ...["node", "run", `${slot.place}`, "--state-dir", stateDir, "--port", `${slot.port}`],
        ...["--host", host],
        ...(keepRounds === undefined ? [] : ["--keep-rounds", `${keepRounds}`]),
      ],
      { stdio: ["ignore", "ignore", "pipe", "ipc"] },
    );
    slot.child = child;
    let failure: NodeReport | null = null;
    child.stderr?.setEncoding("utf8");
    let rest = "";
    child.stderr?.on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#options.write(slot.place, `${line}\n`);
    });
    child.on("message", (message) => {
      const report = message as NodeReport;
      if (report.kind === "failed") failure = report;
      else this.#ready(slot, report.info);
    });
    child.on("error", (error) => {
      this.#options.write(slot.place, `${error.message}\n`);
      // One that could not be started has no end either.
      if (child.pid === undefined && slot.child === child) this.#ended(slot, failure, error.message);
    });
    child.once("exit", (code, signal) => this.#ended(slot, failure, signal ?? `exit code ${code}`));
  }

  #ready(slot: Slot, info: NetworkInfo): void {
    slot.info = info;
    slot.port = Number(new URL(info.api_url).port);
    slot.readySince = performance.now();
    this.#look();
  }

  #look(): void {
    if (this.#slots.every(({ info, hasLeft }) => info !== null || hasLeft)) this.#first.resolve();
    this.#options.onChange();
  }

  #ended(slot: Slot, failure: NodeReport | null, how: string): void {
    slot.child = null;
    if (this.#stopped !== null) return;
    const said = failure?.kind === "failed" ? failure : null;
    if (said?.code === "node_removed") {
      slot.hasLeft = true;
      this.#options.write(slot.place, `node ${slot.place} ended for good: ${said.message}\n`);
      this.#look();
      return;
    }
    if (!this.#begun) {
      this.#first.reject(startFailure(slot.place, said, how));
      return;
    }
    if (said !== null && isLasting(said.code)) {
      this.#options.write(slot.place, `node ${slot.place} ended and is not started again: ${said.message}\n`);
      return;
    }
    const { steadyMs = STEADY_MS } = this.#options;
    const wasSteady = slot.readySince > 0 && performance.now() - slot.readySince > steadyMs;
    slot.restartMs = wasSteady ? RESTART_MS_MIN : slot.restartMs;
    this.#options.write(
      slot.place,
      `node ${slot.place} ended (${said?.message ?? how}); it is started again in ${slot.restartMs} ms\n`,
    );
    // Somebody took it meanwhile: clients go by the port in front.
    if (said?.code === "port_taken") slot.port = 0;
    slot.timer = setTimeout(() => this.#spawn(slot), slot.restartMs);
    slot.restartMs = Math.min(RESTART_MS_MAX, 2 * slot.restartMs);
  }
}

function startFailure(
  place: number,
  said: { readonly code: string; readonly message: string } | null,
  how: string,
): OrreryError {
  if (said === null)
    return new OrreryError("start_failed", `node ${place} ended before it answered (${how}); see its log`);
  return new OrreryError(said.code, said.message);
}

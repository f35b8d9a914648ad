/** Node processes of the drill: started, killed, stopped; and what happens to the files of their store. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type FSWatcher, mkdirSync, watch } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Principal } from "@icp-sdk/core/principal";
import { fromHex } from "@orrery/base";
import { type Endpoint, Violation } from "./client.ts";
import type { NodeProcessOptions, NodeProcessStarted } from "./node-process.ts";

const SCRIPT: string = fileURLToPath(new URL("./node-process.ts", import.meta.url));

export interface RunningNode extends Endpoint {
  readonly height: number;
  /** One for each application subnet: where canisters are created. */
  readonly effectiveCanisterIds: readonly Principal[];
}

export interface NodeProcess {
  /** Null when it was killed before it answered; throws when it ended by itself. */
  readonly started: Promise<RunningNode | null>;
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>;
  /** SIGKILL, now. */
  kill(): Promise<void>;
  /** Keeps main busy for so many milliseconds, where its turns are watched. */
  block(ms: number): void;
  /** SIGTERM, without waiting for what it does. */
  askToStop(): void;
  /** SIGTERM; throws unless it ends with 0. */
  stop(): Promise<void>;
}

async function firstLine(child: ChildProcess, ended: Promise<unknown>): Promise<string | null> {
  let text = "";
  const line = new Promise<string>((resolve) => {
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    });
  });
  return Promise.race([line, ended.then(() => null)]);
}

/** Starts a node; `onFailure` hears of an end that nobody asked for. */
export function startNodeProcess(
  options: NodeProcessOptions,
  onFailure: (error: Error) => void,
): NodeProcess {
  const child = spawn(process.execPath, [SCRIPT, JSON.stringify(options)], {
    stdio: "pipe",
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  let asked = false;
  const ended = once(child, "close").then(([code, signal]) => {
    if (asked) return;
    onFailure(new Violation(`the node ended by itself (${signal ?? code}):\n${log}`));
  });
  const started = firstLine(child, ended).then((line): RunningNode | null => {
    if (line === null) return null;
    const { url, rootKeyHex, effectiveCanisterIds: ids, height } = JSON.parse(line) as NodeProcessStarted;
    const effectiveCanisterIds = ids.map((id) => Principal.fromText(id));
    return { url, rootKey: fromHex(rootKeyHex), effectiveCanisterIds, height };
  });
  return {
    started,
    ended,
    async kill(): Promise<void> {
      asked = true;
      child.kill("SIGKILL");
      await ended;
    },
    block(ms: number): void {
      child.stdin.write(`${ms}\n`);
    },
    askToStop(): void {
      asked = true;
      child.kill("SIGTERM");
    },
    async stop(): Promise<void> {
      asked = true;
      child.kill("SIGTERM");
      await ended;
      if (child.exitCode !== 0)
        throw new Violation(`a stopped node ended with ${child.signalCode ?? child.exitCode}:\n${log}`);
    },
  };
}

/** A file of the store was made, written, renamed or removed. */
export type StoreEvent = "checkpoint" | "manifest" | "segment";

function eventOf(name: string): StoreEvent | null {
  if (name.startsWith("checkpoint-")) return "checkpoint";
  if (name.startsWith("MANIFEST")) return "manifest";
  return null;
}

export interface StoreWatch {
  /** Resolves at the next event of the kind. */
  next(kind: StoreEvent): Promise<void>;
  /** Resolves once so many changes were seen, of whatever kind. */
  changes(count: number): Promise<void>;
  close(): void;
}

/** Watches the stores of a state directory with so many application subnets, which need not exist yet. */
export function watchStore(stateDir: string, applications: number): StoreWatch {
  let waiting: { readonly kind: StoreEvent; readonly resolve: () => void }[] = [];
  let seen = 0;
  let counting: { readonly count: number; readonly resolve: () => void }[] = [];
  const noticed = (change: string, name: string | null): void => {
    if (name === null) return;
    seen++;
    for (const { resolve } of counting.filter(({ count }) => count <= seen)) resolve();
    counting = counting.filter(({ count }) => count > seen);
    // A segment is renamed (made or removed) rarely and written all the time.
    const kind = name.startsWith("blocks-") && change === "rename" ? "segment" : eventOf(name);
    const woken = waiting.filter((waiter) => waiter.kind === kind);
    waiting = waiting.filter((waiter) => waiter.kind !== kind);
    for (const { resolve } of woken) resolve();
  };
  const watchers = Array.from({ length: applications + 1 }, (_, subnet): FSWatcher => {
    const store = join(stateDir, subnet === 0 ? "store" : `store-${subnet}`);
    mkdirSync(store, { recursive: true });
    return watch(store, noticed);
  });
  return {
    changes: (count) => new Promise((resolve) => counting.push({ count, resolve })),
    next: (kind) => new Promise((resolve) => waiting.push({ kind, resolve })),
    close(): void {
      for (const watcher of watchers) watcher.close();
    },
  };
}

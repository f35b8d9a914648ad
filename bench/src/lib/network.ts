/** Starts what is measured as a process of its own, so that client and network do not share a thread or a collector. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const COMMAND: string = fileURLToPath(new URL("../../../apps/cli/src/main.ts", import.meta.url));

export interface RunningNetwork {
  readonly port: number;
  readonly pid: number;
  readonly defaultEffectiveCanisterId: string;
  readonly stateDir: string;
  /** `SIGKILL` is a crash. The state goes, unless it is to be kept for another start. Once it has ended, it stays so. */
  stop(options?: { readonly signal?: "SIGTERM" | "SIGKILL"; readonly keepState?: boolean }): Promise<void>;
}

interface StartDocument {
  readonly pid: number;
  readonly api_url: string;
  readonly default_effective_canister_id: string;
}

/** Ends it unless it has ended. */
async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

interface Failure {
  readonly error: { readonly message: string };
}

async function lineOf(child: ChildProcess): Promise<string> {
  const closed = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  let text = "";
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    text += chunk.toString();
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end);
  }
  const [code, signal] = await closed;
  throw new Error(`the process ended with ${signal ?? code} before it was ready: ${text}`);
}

/** A network of the command line, ready, in a directory of its own or where one was before; `more`: arguments of the command. */
export async function startNetwork(
  stateDir: string = mkdtempSync(join(tmpdir(), "orrery-bench-")),
  more: readonly string[] = [],
): Promise<RunningNetwork> {
  const argv = [COMMAND, "start", "--json", "--port", "0", "--state-dir", stateDir, ...more];
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
  const document = JSON.parse(await lineOf(child)) as StartDocument | Failure;
  if ("error" in document) throw new Error(`the network did not start: ${document.error.message}`);
  return {
    port: Number(new URL(document.api_url).port),
    pid: document.pid,
    defaultEffectiveCanisterId: document.default_effective_canister_id,
    stateDir,
    async stop({ signal = "SIGTERM", keepState = false } = {}): Promise<void> {
      await end(child, signal);
      if (!keepState) rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

/** A helper script of this folder that prints one JSON line with its port when ready. */
export async function startScript(file: URL): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const child = spawn(process.execPath, [fileURLToPath(file)], { stdio: ["ignore", "pipe", "inherit"] });
  const { port } = JSON.parse(await lineOf(child)) as { readonly port: number };
  return {
    port,
    stop: () => end(child, "SIGTERM"),
  };
}

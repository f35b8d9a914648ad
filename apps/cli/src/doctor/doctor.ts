/** `orrery doctor`: looks for what commonly goes wrong and says what to do about it. Exit code 1 when something will not work. */

import { lookup } from "node:dns/promises";
import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { totalmem } from "node:os";
import { dirname, join } from "node:path";
import { lockHolder } from "@orrery/host/directory-lock";
import { type Io, jsonDocument, type Style, table } from "../io.ts";
import { resolveStateDir, runningNetwork } from "../state-files.ts";
import { toolPath } from "../tools.ts";
import { examine, type Machine, type Verdict } from "./checks.ts";

export interface DoctorOptions {
  readonly stateDir: string;
  readonly port: number;
  readonly bind: string;
  readonly json?: true;
}

const ANSWER_TIMEOUT_MS = 5_000;
const STYLES: Readonly<Record<Verdict["state"], Style>> = { ok: "green", warning: "yellow", problem: "red" };

function missing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}

/** The nearest directory that exists at or above the path. */
function existing(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : existing(dirname(path));
}

function storesOf(stateDir: string): readonly string[] {
  try {
    return readdirSync(stateDir).filter((name) => name.startsWith("store"));
  } catch {
    return [];
  }
}

function newestChange(stateDir: string): number | null {
  const times = storesOf(stateDir).flatMap((store) =>
    readdirSync(join(stateDir, store)).map((name) => statSync(join(stateDir, store, name)).mtimeMs),
  );
  return times.length === 0 ? null : Math.max(...times);
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/api/v2/status`, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    return response.ok;
  } catch {
    return false;
  }
}

function tryPort(port: number, host: string): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ port, host }, () => server.close(() => resolve(null)));
  });
}

function thisMachine({ port, bind }: DoctorOptions, stateDir: string): Machine {
  return {
    nodeVersion: process.versions.node,
    stateDir,
    port,
    bind,
    now: Date.now,
    memoryBytes: totalmem,
    async freeBytes() {
      try {
        const { bavail, bsize } = await statfs(existing(stateDir));
        return bavail * bsize;
      } catch {
        return null;
      }
    },
    entries() {
      try {
        return readdirSync(stateDir);
      } catch (error) {
        if (missing(error)) return null;
        throw error;
      }
    },
    writable() {
      try {
        accessSync(stateDir, constants.W_OK | constants.R_OK | constants.X_OK);
        return true;
      } catch {
        return false;
      }
    },
    identity() {
      try {
        return readFileSync(join(stateDir, "store", "ORRERY"), "latin1").slice(0, 80);
      } catch {
        return null;
      }
    },
    newestChange: () => newestChange(stateDir),
    lockHolder: () => lockHolder(stateDir)?.pid ?? null,
    running: async () => (await runningNetwork(stateDir))?.api_url ?? null,
    answers,
    tryPort: () => tryPort(port, bind),
    resolve: async (name) => (await lookup(name, { all: true })).map(({ address }) => address),
    tool: (name) => toolPath(name),
  };
}

export async function doctor(options: DoctorOptions, io: Io): Promise<number> {
  const stateDir = resolveStateDir(io.cwd, options.stateDir);
  const verdicts = await examine(thisMachine(options, stateDir));
  const problems = verdicts.filter((verdict) => verdict.state === "problem").length;
  if (options.json === true) io.out(jsonDocument({ healthy: problems === 0, checks: verdicts }));
  else {
    const marks = { ok: "ok", warning: "warning", problem: "problem" } as const;
    const width = Math.max(...verdicts.map((verdict) => marks[verdict.state].length));
    io.out(
      table(
        verdicts.flatMap((verdict) => [
          [
            io.style(STYLES[verdict.state], marks[verdict.state].padEnd(width), "out"),
            verdict.name,
            verdict.text,
          ],
          ...(verdict.remedy === null ? [] : [["".padEnd(width), "", `→ ${verdict.remedy}`]]),
        ]),
      ),
    );
  }
  return problems === 0 ? 0 : 1;
}

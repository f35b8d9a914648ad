/** The `orrery` command for tests of starts that are refused or fail: run to its end, with what it said. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const COMMAND: string = fileURLToPath(new URL("../../../apps/cli/src/main.ts", import.meta.url));
/** A command that is still running then was not refused. */
const END_MS_MAX = 60_000;

export interface Ended {
  readonly code: number | null;
  readonly err: string;
  /** Of the JSON document. */
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** Runs `orrery start --json` on a state directory until it ends. */
export async function startUntilEnd(stateDir: string): Promise<Ended> {
  const argv = [COMMAND, "start", "--json", "--port", "0", "--state-dir", stateDir];
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "pipe"], timeout: END_MS_MAX });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  const document = out === "" ? null : (JSON.parse(out) as { error?: Ended["error"] });
  return { code, err, error: document?.error ?? null };
}

/** Names and contents of a directory's files in one hash a name. */
export function contentsOf(directory: string): Record<string, string> {
  const names = readdirSync(directory).sort();
  return Object.fromEntries(
    names.map((name) => [
      name,
      createHash("sha256")
        .update(readFileSync(join(directory, name)))
        .digest("hex"),
    ]),
  );
}

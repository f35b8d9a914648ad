/** The `orrery` command of this repository as tests run it: to its end, wherever. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const COMMAND = fileURLToPath(new URL("../../apps/cli/src/main.ts", import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export async function orrery(cwd: string, ...argv: readonly string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [COMMAND, ...argv], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  const written = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    written.out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    written.err += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...written };
}

/** Commands within the test's process, as a terminal without colour sees them. */
import { run } from "./run.ts";

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** `orrery` with these arguments, in this directory. */
export async function runIn(cwd: string, ...argv: readonly string[]): Promise<Outcome> {
  const written = { out: "", err: "" };
  const code = await run(argv, {
    cwd,
    out: (text) => {
      written.out += text;
    },
    err: (text) => {
      written.err += text;
    },
    style: (_style, text) => text,
  });
  return { code, ...written };
}

/** A program that a test or a benchmark starts: what it said, waited for while it runs, and how it ended. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

export interface Outcome {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** Where a program runs. */
export interface Place {
  readonly cwd: string;
  /** The whole environment; that of this process by default. */
  readonly env?: NodeJS.ProcessEnv;
}

/** A program under way. */
export interface Command {
  readonly child: ChildProcess;
  readonly ended: Promise<Outcome>;
  /**
   * Resolves to the match once what was said since the last match, in whichever stream, has one; rejects when the program ends without it. What
   * it rejects with quotes the program and not its arguments.
   */
  said(pattern: RegExp): Promise<RegExpExecArray>;
}

/** Starts a program. */
export function launch(
  { cwd, env = process.env }: Place,
  command: string,
  ...argv: readonly string[]
): Command {
  const child = spawn(command, argv, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  const written = { out: "", err: "" };
  let unmatched = "";
  let check = (): void => {};
  for (const [name, stream] of [
    ["out", child.stdout],
    ["err", child.stderr],
  ] as const) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      written[name] += text;
      unmatched += text;
      check();
    });
  }
  const ended = (once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>).then(
    ([code, signal]): Outcome => ({ code, signal, ...written }),
  );
  return {
    child,
    ended,
    said: (pattern) =>
      new Promise((resolve, reject) => {
        check = (): void => {
          const match = pattern.exec(unmatched);
          if (match === null) return;
          unmatched = unmatched.slice(match.index + match[0].length);
          check = (): void => {};
          resolve(match);
        };
        const miss = ({ code, signal }: Outcome): void =>
          reject(
            new Error(
              `ended with ${signal ?? code} before it said ${pattern}; since the last:\n${unmatched}`,
            ),
          );
        void ended.then(miss, reject);
        check();
      }),
  };
}

/** The outcome of a program that has to succeed; `told` more on why it did not. Like `said`, quotes no arguments. */
export async function succeeded(command: Command, told: () => string = () => ""): Promise<Outcome> {
  const outcome = await command.ended;
  const { code, signal, out, err } = outcome;
  assert.equal(signal ?? code, 0, `ended with ${signal ?? code}:\n${out}${err}${told()}`);
  return outcome;
}

/** The outcome of a program that has to refuse: it ends by itself, with another code than 0. */
export async function refused(command: Command): Promise<Outcome> {
  const outcome = await command.ended;
  const { code, signal, out, err } = outcome;
  assert.ok(signal === null && code !== 0, `ended with ${signal ?? code}:\n${out}${err}`);
  return outcome;
}

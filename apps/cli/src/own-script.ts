/**
 * The script of the command that runs, for those parts of it that are processes of their own: the sources here, the bundle where it is
 * installed. Only entries of processes say what it is: code that was loaded by another program, a test say, does not start that program again.
 */
import { assert } from "@orrery/base";

let script: string | null = null;

/** By the entry of a process, before any command. */
export function beginScript(path: string | undefined): void {
  script = path ?? null;
}

export function ownScript(): string {
  assert(script !== null, "no process entry has said which script starts this command");
  return script;
}

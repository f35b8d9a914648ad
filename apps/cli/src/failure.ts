/** Turns whatever a command threw into what the user is told: a stable code, one paragraph, and a stack for defects only. */

export interface Failure {
  readonly code: string;
  readonly message: string;
  /** Where it happened, when the failure is a defect of ours. */
  readonly detail: string | null;
}

/** Failures of the operating system that need no stack. */
const SYSTEM_TEXTS: Readonly<Record<string, readonly [code: string, remedy: string]>> = {
  ENOSPC: [
    "disk_full",
    "the disk is full: free some space or choose a state directory on another disk with --state-dir",
  ],
  EDQUOT: [
    "disk_full",
    "the disk quota is used up: free some space or choose another state directory with --state-dir",
  ],
  EROFS: [
    "state_dir_unwritable",
    "the file system is read-only: choose another state directory with --state-dir",
  ],
  EMFILE: ["too_many_files", "this process may not open more files: raise the limit (ulimit -n)"],
};

function causes(error: unknown): readonly unknown[] {
  const chain: unknown[] = [];
  let at = error;
  while (at !== undefined && at !== null && chain.length < 8) {
    chain.push(at);
    at = (at as { cause?: unknown }).cause;
  }
  return chain;
}

function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}

/** `error` may come from another process or thread: it is recognised by its code, not by its class. */
export function describeFailure(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  const known = causes(error)
    .map((cause) => SYSTEM_TEXTS[codeOf(cause) ?? ""])
    .find((texts) => texts !== undefined);
  const own = codeOf(error);
  // Codes of this project are lower case; those of Node.js (ERR_…) and of its system calls (E…) are not. An error that
  // crossed threads may have lost its code, but its text is complete.
  if (own !== undefined && /^[a-z][a-z0-9_]*$/.test(own)) {
    return { code: own === "internal" && known !== undefined ? known[0] : own, message, detail: null };
  }
  if (known !== undefined) return { code: known[0], message: `${known[1]} (${message})`, detail: null };
  const detail = error instanceof Error ? (error.stack ?? null) : null;
  return { code: "unexpected", message: `unexpected failure: ${message}`, detail };
}

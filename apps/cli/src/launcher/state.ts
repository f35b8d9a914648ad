/**
 * Where a network that a tool starts keeps its state. Tools delete the directory that they name before each start, so the network's own stands
 * beside it and outlives restarts; the user's word is `ORRERY_LAUNCHER_STATE`: a directory, or `none` for a network that is forgotten.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

export const STATE_VARIABLE = "ORRERY_LAUNCHER_STATE";
/** Beside the directory that the tool names. */
const OWN_FOLDER = "orrery";
const IDS = "-ids";

export interface LauncherState {
  readonly path: string;
  /** Folder for the projects' canister ids, which no state directory may hold. */
  readonly ids: string;
  /** Removes what is not kept. */
  end(): void;
}

export function launcherState(options: {
  readonly given: string | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}): LauncherState {
  const { given, env, cwd } = options;
  const word = env[STATE_VARIABLE] ?? "";
  if (word === "none" || (word === "" && given === null)) {
    const path = mkdtempSync(join(tmpdir(), "orrery-launcher-"));
    return { path, ids: `${path}${IDS}`, end: () => discard(path) };
  }
  const path = word === "" ? join(dirname(resolve(cwd, given as string)), OWN_FOLDER) : resolve(cwd, word);
  return { path, ids: `${path}${IDS}`, end(): void {} };
}

function discard(path: string): void {
  for (const each of [path, `${path}${IDS}`]) rmSync(each, { recursive: true, force: true });
}

/** Canister ids of a project, in the files that `icp` keeps them in: in the cache for a network that it manages, with the project's data for others. */
import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeWhole } from "../state-files.ts";
import { type Project, projectError } from "./manifest.ts";

/** The environment that commands mean when nobody says otherwise, and its network. */
export const ENVIRONMENT = "local";

export interface CanisterIds {
  get(name: string): string | null;
  set(name: string, id: string): void;
}

export function canisterIds(project: Project): CanisterIds {
  const connected = project.networks.some(({ name, mode }) => name === ENVIRONMENT && mode === "connected");
  const path = join(
    project.root,
    ".icp",
    connected ? "data" : "cache",
    "mappings",
    `${ENVIRONMENT}.ids.json`,
  );
  const read = (): Record<string, string> => {
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch {
      return {};
    }
    try {
      return JSON.parse(text) as Record<string, string>;
    } catch (cause) {
      throw projectError(`${path} is not JSON; remove it to deploy to new canisters`, cause);
    }
  };
  return {
    get: (name) => read()[name] ?? null,
    set(name, id) {
      mkdirSync(dirname(path), { recursive: true });
      writeWhole(path, `${JSON.stringify({ ...read(), [name]: id }, null, 2)}\n`);
    },
  };
}

/** What the project of a directory calls its canisters, by id, from the files that deployments keep (`project/ids.ts`). */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const PLACES = ["cache", "data"];

export function canisterNames(cwd: string): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const place of PLACES) {
    const folder = join(cwd, ".icp", place, "mappings");
    for (const file of filesOf(folder)) {
      for (const [name, id] of Object.entries(idsOf(join(folder, file)))) names.set(id, name);
    }
  }
  return names;
}

function filesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith(".ids.json"));
  } catch {
    return [];
  }
}

/** Names are a convenience: a file that cannot be read has none. */
function idsOf(path: string): Readonly<Record<string, string>> {
  try {
    const ids = JSON.parse(readFileSync(path, "utf8")) as unknown;
    return typeof ids === "object" && ids !== null ? (ids as Record<string, string>) : {};
  } catch {
    return {};
  }
}

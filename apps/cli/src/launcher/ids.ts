/**
 * Canister ids of a project on a network that outlives restarts. `icp` forgets the ids of every environment of a network when it starts that
 * network, as its own are new each time; they are kept beside the state and put back, so that a project finds its canisters again.
 *
 * Environments whose ids are there when the network starts belong to other networks and are left alone.
 */
import { mkdirSync, readdirSync, readFileSync, watch } from "node:fs";
import { join } from "node:path";
import { writeWhole } from "../state-files.ts";

/** `<project>/.icp/cache/networks/<network>/state`, and its parts. */
const STATE_DIR = /^(.*[\\/]\.icp[\\/]cache)[\\/]networks[\\/][^\\/]+[\\/]state[\\/]?$/;
const IDS_FILE = /^[^\\/]+\.ids\.json$/;
/** Ids of thousands of canisters; what is larger is not this file. */
const BYTES_MAX = 1_048_576;

export interface KeptIds {
  /** Puts back what the network knew when it last ran. */
  restore(): void;
  /** Notes what has changed by now; called by itself when files change. */
  save(): void;
  end(): void;
}

const NOTHING: KeptIds = { restore(): void {}, save(): void {}, end(): void {} };

function names(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter((name) => IDS_FILE.test(name));
  } catch {
    return [];
  }
}

/** Null when it is missing, half written or no list of ids. */
function content(path: string): string | null {
  try {
    const text = readFileSync(path, "utf8");
    const ids: unknown = text.length > BYTES_MAX ? null : JSON.parse(text);
    return typeof ids === "object" && ids !== null && !Array.isArray(ids) ? text : null;
  } catch {
    return null;
  }
}

/** `stateDir`: as the tool named it; `kept`: folder for the copies, of the network's own state. */
export function keepIds(stateDir: string | null, kept: string): KeptIds {
  const cache = stateDir === null ? undefined : STATE_DIR.exec(stateDir)?.[1];
  if (cache === undefined) return NOTHING;
  const live = join(cache, "mappings");
  const foreign = new Set(names(live));
  const save = (): void => {
    for (const name of names(live)) {
      const text = foreign.has(name) ? null : content(join(live, name));
      if (text === null || text === content(join(kept, name))) continue;
      mkdirSync(kept, { recursive: true });
      writeWhole(join(kept, name), text);
    }
  };
  mkdirSync(live, { recursive: true });
  const watcher = watch(live, { persistent: false }, save);
  watcher.on("error", () => watcher.close());
  return {
    save,
    restore(): void {
      const present = new Set(names(live));
      for (const name of names(kept)) {
        const text = content(join(kept, name));
        if (text !== null && !present.has(name)) writeWhole(join(live, name), text);
      }
    },
    end(): void {
      watcher.close();
      save();
    },
  };
}

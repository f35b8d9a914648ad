/**
 * Where an instance is kept between servers (`state_dir`): one folder for what the core writes, and `topology.json`, by which clients and later
 * servers know that there is an instance. Written when the instance is deleted or the server ends in order; held by a lock meanwhile.
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { OrreryError } from "@orrery/base";
import { createFileDisk, type DirectoryLock, LOCK_FILE, lockDirectory } from "@orrery/host";
import { makeDirectory } from "@orrery/host/make-directory";
import type { Disk } from "@orrery/state";
import { TOPOLOGY_FILE } from "./config.ts";
import { type Encodable, encodeJson, type JsonObject, parseJson } from "./json.ts";

/** Whose format the directory has; another number is another format. */
const FORMAT = 1n;
const STATE_FOLDER = "state";
/** Where a state is written before it takes the place of the one before it. */
const NEXT_FOLDER = "state-next";
const FOREIGN_SHOWN = 5;

export interface StateDirectory {
  /** Whether there is an instance to go on with. */
  readonly isSaved: boolean;
  /** Opens a folder of the saved state. */
  readonly open: (name: string) => Disk;
  /** Puts what `write` writes in the place of what was saved before. */
  save(topology: Encodable, write: (open: (name: string) => Disk) => void): void;
  release(): void;
}

function refuse(path: string, why: string): OrreryError {
  return new OrreryError("state_dir_foreign", `state_dir ${path}: ${why}`, { data: { path } });
}

function diskIn(folder: string): (name: string) => Disk {
  return (name) => {
    const path = join(folder, name);
    makeDirectory(path);
    return createFileDisk(path);
  };
}

/** Whether `topology.json` is there; one of another server is refused. */
function readTopology(path: string): boolean {
  const file = join(path, TOPOLOGY_FILE);
  if (!existsSync(file)) {
    const foreign = readdirSync(path).filter(
      (name) => ![LOCK_FILE, NEXT_FOLDER, STATE_FOLDER].includes(name),
    );
    if (foreign.length === 0) return false;
    const names = foreign.slice(0, FOREIGN_SHOWN).join(", ");
    throw refuse(path, `is neither empty nor a state directory (it holds ${names}); choose an empty one`);
  }
  let format: unknown;
  try {
    format = (parseJson(readFileSync(file)) as JsonObject)["orrery_format"];
  } catch (cause) {
    throw refuse(path, `its ${TOPOLOGY_FILE} does not read: ${(cause as Error).message}`);
  }
  if (format === undefined) {
    throw refuse(
      path,
      `was written by another PocketIC server, whose states this one does not read; choose an empty one`,
    );
  }
  if (format !== FORMAT) throw refuse(path, `has format ${String(format)}, this server reads ${FORMAT}`);
  return true;
}

/** Makes the directory when it is missing, and takes its lock. */
export function openStateDirectory(directory: string): StateDirectory {
  const path = resolve(directory);
  makeDirectory(path);
  const lock: DirectoryLock = lockDirectory(path);
  try {
    const isSaved = readTopology(path);
    const [folder, next] = [join(path, STATE_FOLDER), join(path, NEXT_FOLDER)];
    return {
      isSaved,
      open: diskIn(folder),
      save(topology, write): void {
        rmSync(next, { recursive: true, force: true });
        write(diskIn(next));
        const text = encodeJson({ orrery_format: FORMAT, ...(topology as object) });
        writeFileSync(join(next, TOPOLOGY_FILE), `${text}\n`);
        rmSync(folder, { recursive: true, force: true });
        renameSync(next, folder);
        renameSync(join(folder, TOPOLOGY_FILE), join(path, TOPOLOGY_FILE));
      },
      release: lock.release,
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/**
 * Where an instance is kept between servers (`state_dir`): a folder for what the core writes and for `topology.json`, which goes in last and says
 * that it is whole; a copy of that file lies beside it, where clients look. Written when the instance is deleted or the server ends in
 * order, beside what was there before; held by a lock meanwhile.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
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
/** Where a state is written before it takes the place of the one before it, and where that one waits until it has. */
const NEXT_FOLDER = "state-next";
const OLD_FOLDER = "state-old";
const OURS: readonly string[] = [LOCK_FILE, STATE_FOLDER, NEXT_FOLDER, OLD_FOLDER];
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

function writeDurably(path: string, text: string): void {
  const file = openSync(path, "w", 0o600);
  writeSync(file, text);
  fsyncSync(file);
  closeSync(file);
}

/** A file that says whose state this is: ours in a format that is read here, or an error. */
function checkFormat(path: string, file: string): void {
  let format: unknown;
  try {
    format = (parseJson(readFileSync(file)) as JsonObject)["orrery_format"];
  } catch (cause) {
    throw refuse(path, `its ${TOPOLOGY_FILE} does not read: ${(cause as Error).message}`);
  }
  if (format === undefined) {
    throw refuse(
      path,
      "was written by another PocketIC server, whose states this one does not read; choose an empty one",
    );
  }
  if (format !== FORMAT) throw refuse(path, `has format ${String(format)}, this server reads ${FORMAT}`);
}

/** Refuses what is not ours, before anything is touched. */
function check(path: string): void {
  const foreign = readdirSync(path).filter((name) => name !== TOPOLOGY_FILE && !OURS.includes(name));
  const file = join(path, TOPOLOGY_FILE);
  if (existsSync(file)) checkFormat(path, file);
  else if (foreign.length > 0) {
    const names = foreign.slice(0, FOREIGN_SHOWN).join(", ");
    throw refuse(path, `is neither empty nor a state directory (it holds ${names}); choose an empty one`);
  }
}

/** Ends a replacement that was cut off; whether there is a whole state. */
function recover(path: string): boolean {
  const [state, ...others] = [STATE_FOLDER, NEXT_FOLDER, OLD_FOLDER].map((name) => join(path, name)) as [
    string,
    string,
    string,
  ];
  const isWhole = (folder: string): boolean => existsSync(join(folder, TOPOLOGY_FILE));
  const other = others.find(isWhole);
  if (!isWhole(state) && other !== undefined) {
    rmSync(state, { recursive: true, force: true });
    renameSync(other, state);
  }
  for (const folder of others) rmSync(folder, { recursive: true, force: true });
  if (!isWhole(state)) return false;
  checkFormat(path, join(state, TOPOLOGY_FILE));
  return true;
}

/** Makes the directory when it is missing, and takes its lock. */
export function openStateDirectory(directory: string): StateDirectory {
  const path = resolve(directory);
  makeDirectory(path);
  const lock: DirectoryLock = lockDirectory(path);
  try {
    check(path);
    const [state, next, old] = [STATE_FOLDER, NEXT_FOLDER, OLD_FOLDER].map((name) => join(path, name)) as [
      string,
      string,
      string,
    ];
    return {
      isSaved: recover(path),
      open: diskIn(state),
      save(topology, write): void {
        const text = `${encodeJson({ orrery_format: FORMAT, ...(topology as object) })}\n`;
        rmSync(next, { recursive: true, force: true });
        makeDirectory(next);
        write(diskIn(next));
        writeDurably(join(next, TOPOLOGY_FILE), text);
        if (existsSync(state)) renameSync(state, old);
        renameSync(next, state);
        rmSync(old, { recursive: true, force: true });
        writeDurably(join(path, TOPOLOGY_FILE), text);
      },
      release: lock.release,
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

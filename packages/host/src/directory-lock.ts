/**
 * One process per state directory. The lock file names its holder by pid and, where the system tells it, by the
 * process's start time, so that a lock left by a killed process is taken over and a recycled pid does not look alive.
 */
import { closeSync, openSync, readFileSync, rmSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { OrreryError } from "@orrery/base";

export const LOCK_FILE = "lock.json";

interface Holder {
  readonly pid: number;
  readonly startedAt: string | null;
}

export interface DirectoryLock {
  release(): void;
}

interface ProcessStat {
  /** "Z": ended, and nobody has taken note of it yet. */
  readonly state: string;
  /** In clock ticks since boot. */
  readonly startedAt: string | null;
}

/** Fields 3 and 22 of /proc/<pid>/stat; null where there is no /proc or no such process. */
function processStat(pid: number): ProcessStat | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0] ?? "", startedAt: fields[19] ?? null };
  } catch {
    return null;
  }
}

function isAlive(holder: Holder): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  const stat = processStat(holder.pid);
  if (stat === null) return true;
  return stat.state !== "Z" && (holder.startedAt === null || stat.startedAt === holder.startedAt);
}

function readHolder(path: string): Holder | null {
  try {
    const value = JSON.parse(readFileSync(path, "utf8")) as Partial<Holder>;
    return typeof value.pid === "number" ? { pid: value.pid, startedAt: value.startedAt ?? null } : null;
  } catch {
    return null;
  }
}

/** Takes the lock or throws `state_dir_locked` naming the process that holds it. */
export function lockDirectory(directory: string): DirectoryLock {
  const path = join(directory, LOCK_FILE);
  for (let attemptsLeft = 3; attemptsLeft > 0; attemptsLeft--) {
    try {
      const fd = openSync(path, "wx", 0o600);
      const holder: Holder = { pid: process.pid, startedAt: processStat(process.pid)?.startedAt ?? null };
      writeSync(fd, `${JSON.stringify(holder)}\n`);
      closeSync(fd);
      // A directory that somebody removed meanwhile must not hide why the node ends.
      return { release: () => rmSync(path, { force: true }) };
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
    }
    const holder = readHolder(path);
    if (holder !== null && isAlive(holder)) {
      throw new OrreryError(
        "state_dir_locked",
        `${directory} is in use by process ${holder.pid}; stop that network first, or choose another state directory`,
        { data: { pid: holder.pid } },
      );
    }
    unlinkSync(path);
  }
  throw new OrreryError(
    "state_dir_locked",
    `${directory} is being locked by several processes at once; try again`,
  );
}

/** The living process that holds the directory's lock, or null. */
export function lockHolder(directory: string): { readonly pid: number } | null {
  const holder = readHolder(join(directory, LOCK_FILE));
  return holder !== null && isAlive(holder) ? { pid: holder.pid } : null;
}

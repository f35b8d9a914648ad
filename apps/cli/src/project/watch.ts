/**
 * Watches a project's sources and tells of changes, one at a time: what is saved while one is worked on counts as the next. Each folder is
 * watched by itself, so that what tools keep in a project (packages, builds, states of networks) costs nothing. What the project is made of
 * elsewhere is watched as well, and once named, until the end. A file that is written anew with
 * what it held is no change: builds may write among the sources.
 */
import { type FSWatcher, readdirSync, watch } from "node:fs";
import { join } from "node:path";
import { OrreryError } from "@orrery/base";
import { Contents } from "./contents.ts";

/** Editors write a file in several steps; they are one save. */
const SETTLE_MS = 30;
/** Folders whose contents come from tools; those whose names begin with a dot are skipped as well. */
const SKIPPED: ReadonlySet<string> = new Set(["node_modules", "dist", "target"]);
/** What editors and programs leave beside sources. */
const NOISE = /^\.|~$|\.(log|tmp|swp|swx)$/;
const FOLDERS_MAX = 5_000;
const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Watches a folder and those below it, as they come and go. */
class Tree {
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #ignore: ReadonlySet<string>;
  readonly #changed: () => void;
  readonly #contents = new Contents();
  /** Of files that are found it is noted what they hold; otherwise they are new. */
  #notes = false;

  constructor(ignore: readonly string[], changed: () => void) {
    this.#ignore = new Set(ignore);
    this.#changed = changed;
  }

  /** Watches a folder as it is now, unless it is watched. */
  follow(folder: string): void {
    this.#notes = true;
    this.#add(folder);
    this.#notes = false;
  }

  /** Whether anything holds something else than when this was last asked. */
  hasChanged(): boolean {
    return this.#contents.hasChanged();
  }

  #add(folder: string): void {
    if (this.#watchers.has(folder) || this.#ignore.has(folder)) return;
    if (this.#watchers.size >= FOLDERS_MAX) {
      throw new OrreryError(
        "project_too_large",
        `the project has more than ${FOLDERS_MAX} folders of sources`,
      );
    }
    const watcher = this.#watch(folder);
    if (watcher === null) return;
    // The folder is gone.
    watcher.on("error", () => this.#remove(folder));
    this.#watchers.set(folder, watcher);
    this.#scan(folder);
  }

  /** Null where there is no such folder any more. */
  #watch(folder: string): FSWatcher | null {
    const onChange = (event: string, name: string | null): void => {
      if (name !== null && (NOISE.test(name) || SKIPPED.has(name) || this.#ignore.has(join(folder, name))))
        return;
      if (event === "rename") this.#scan(folder);
      this.#contents.touch(name === null ? folder : join(folder, name));
      this.#changed();
    };
    try {
      return watch(folder, onChange);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
  }

  #scan(folder: string): void {
    try {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        const path = join(folder, entry.name);
        if (NOISE.test(entry.name) || SKIPPED.has(entry.name) || this.#ignore.has(path)) continue;
        if (entry.isDirectory()) this.#add(path);
        // One that is new is looked at when it counts.
        if (this.#notes) this.#contents.note(path);
      }
    } catch (error) {
      if (error instanceof OrreryError) throw error;
      this.#remove(folder);
    }
  }

  #remove(folder: string): void {
    this.#watchers.get(folder)?.close();
    this.#watchers.delete(folder);
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }
}

/** Resolves at a signal to stop. `changed` runs first without any change. */
export async function watchProject(options: {
  readonly root: string;
  /** Absolute folders elsewhere that the project is made of; asked before each work. */
  readonly elsewhere: () => readonly string[];
  /** Absolute folders that changes do not count in. */
  readonly ignore: readonly string[];
  changed(): Promise<void>;
  watching(): void;
}): Promise<void> {
  const stopped = Promise.withResolvers<void>();
  let timer: NodeJS.Timeout | null = null;
  let working = false;
  let again = false;
  let ended = false;
  const stop = (): void => {
    ended = true;
    stopped.resolve();
  };
  for (const signal of STOP_SIGNALS) process.once(signal, stop);

  async function work(): Promise<void> {
    again = true;
    if (working) return;
    working = true;
    while (again && !ended) {
      again = false;
      for (const folder of [options.root, ...options.elsewhere()]) tree.follow(folder);
      await options.changed();
    }
    working = false;
  }

  const tree: Tree = new Tree(options.ignore, () => {
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(() => {
      if (tree.hasChanged()) work().catch(stopped.reject);
    }, SETTLE_MS);
  });
  try {
    // A signal does not wait for what is under way.
    await Promise.race([work(), stopped.promise]);
    if (!ended) options.watching();
    await stopped.promise;
  } finally {
    ended = true;
    tree.close();
    if (timer !== null) clearTimeout(timer);
    for (const signal of STOP_SIGNALS) process.removeListener(signal, stop);
  }
}

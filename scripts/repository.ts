/**
 * The repository as the scripts see it: its root, the files that git tracks or would track, and their text. Everything that
 * judges the repository takes a `Repository` value, so that its tests can plant faults in a made-up one.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface Repository {
  /** Every file's path from the root, `/`-separated, sorted. */
  readonly paths: readonly string[];
  /** Text of a file, or `undefined` when it is absent, binary or larger than `TEXT_BYTES_MAX`. */
  text(path: string): string | undefined;
}

/** Larger files are data; nothing judges their text. */
export const TEXT_BYTES_MAX = 1_000_000;

export const REPOSITORY_ROOT: string = fileURLToPath(new URL("..", import.meta.url));

/** Reads the work tree at `root`: tracked files and untracked ones that are not ignored. */
export function openRepository(root: string): Repository {
  const listing = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  const names = [...new Set(listing.split("\0").filter((name) => name !== ""))];
  const paths = names.filter((name) => isFile(`${root}/${name}`)).sort();
  const texts = new Map<string, string | undefined>();
  return {
    paths,
    text(path: string): string | undefined {
      if (!texts.has(path)) texts.set(path, readText(`${root}/${path}`));
      return texts.get(path);
    },
  };
}

/** A repository made of the given files, for tests. */
export function repositoryOf(files: Readonly<Record<string, string>>): Repository {
  return {
    paths: Object.keys(files).sort(),
    text: (path) => files[path],
  };
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function readText(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile() || stat.size > TEXT_BYTES_MAX) return undefined;
  const bytes = readFileSync(path);
  return bytes.includes(0) ? undefined : bytes.toString("utf8");
}

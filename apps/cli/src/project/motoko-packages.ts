/**
 * Packages that a Motoko project imports, as its `mops.toml` names them: those that mops has fetched into the project, those at a path, and
 * `core`, which comes with the compiler. Nothing is downloaded here.
 */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { parse, TomlError } from "smol-toml";
import { projectError } from "./manifest.ts";

const FILE = "mops.toml";
/** Comes with the compiler's package. */
const CORE = "core";

export interface MotokoPackages {
  /** Name of the package → directory of its sources. */
  readonly found: ReadonlyMap<string, string>;
  /** Name of a package that is asked for and not there → what to do about it. Nothing is wrong until somebody imports it. */
  readonly missing: ReadonlyMap<string, string>;
  /** Directories of those at a path, which change while somebody works on them; they may be anywhere. */
  readonly local: readonly string[];
}

type Dependencies = Readonly<Record<string, unknown>>;

function dependenciesOf(directory: string): Dependencies {
  const path = join(directory, FILE);
  if (!existsSync(path)) return {};
  try {
    const dependencies: unknown = parse(readFileSync(path, "utf8"))["dependencies"] ?? {};
    if (typeof dependencies === "object" && dependencies !== null) return dependencies as Dependencies;
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    throw projectError(`${path} is not TOML: ${cause.message.trim()}`, cause);
  }
  throw projectError(`${path}: [dependencies] must hold names with versions`);
}

/** Directories that mops keeps packages in: the project's, and the one that all projects of a user share. */
function caches(root: string): readonly string[] {
  return [join(root, ".mops"), join(homedir(), ".cache", "mops", "packages")];
}

function isPath(version: string): boolean {
  return /^(\.{0,2}[\\/]|[A-Za-z]:[\\/])/.test(version);
}

/** Root of the package, or null when nobody has fetched it. `alias@1` names a second version of `alias`. */
function locate(root: string, from: string, name: string, version: string): string | null {
  if (isPath(version)) {
    const path = resolve(from, version);
    return existsSync(path) ? path : null;
  }
  const [bare] = name.split("@");
  const folders = [`${bare}@${version}`, `${name}@${version}`, `${bare}/${version}`];
  return (
    caches(root)
      .flatMap((cache) => folders.map((folder) => join(cache, folder)))
      .find(existsSync) ?? null
  );
}

function remedy(directory: string, name: string, version: string): string {
  const asked = `${join(directory, FILE)} asks for the package ${name} `;
  return isPath(version)
    ? `${asked}at ${version}, and there is nothing at ${resolve(directory, version)}; correct the path`
    : `${asked}${version}, which is not there; fetch it with "mops install", or name a path to its sources`;
}

/** All packages that the project needs, those of its packages included. */
export function motokoPackages(root: string): MotokoPackages {
  const found = new Map<string, string>();
  const missing = new Map<string, string>();
  const local: string[] = [];
  const visit = (directory: string): void => {
    for (const [name, version] of Object.entries(dependenciesOf(directory))) {
      if (found.has(name) || typeof version !== "string") continue;
      const at = locate(root, directory, name, version);
      if (at === null) {
        if (name !== CORE && !missing.has(name)) missing.set(name, remedy(directory, name, version));
        continue;
      }
      found.set(name, existsSync(join(at, "src")) ? join(at, "src") : at);
      if (isPath(version)) local.push(at);
      visit(at);
    }
  };
  visit(root);
  for (const name of found.keys()) missing.delete(name);
  return { found, missing, local };
}

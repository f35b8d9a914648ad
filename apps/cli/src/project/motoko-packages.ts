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

/** Name of the package → directory of its sources. */
export type MotokoPackages = ReadonlyMap<string, string>;

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
  if (isPath(version)) return resolve(from, version);
  const [bare] = name.split("@");
  const folders = [`${bare}@${version}`, `${name}@${version}`, `${bare}/${version}`];
  return (
    caches(root)
      .flatMap((cache) => folders.map((folder) => join(cache, folder)))
      .find(existsSync) ?? null
  );
}

/** All packages that the project needs, those of its packages included. */
export function motokoPackages(root: string): MotokoPackages {
  const packages = new Map<string, string>();
  const visit = (directory: string): void => {
    for (const [name, version] of Object.entries(dependenciesOf(directory))) {
      if (packages.has(name) || typeof version !== "string") continue;
      const found = locate(root, directory, name, version);
      if (found === null) {
        if (name === CORE) continue;
        throw projectError(
          `${join(directory, FILE)}: the package ${name} ${version} is not there; fetch it with "mops install", or name a path to its sources`,
        );
      }
      packages.set(name, existsSync(join(found, "src")) ? join(found, "src") : found);
      visit(found);
    }
  };
  visit(root);
  return packages;
}

/**
 * Type declarations of the package: emitted file by file (exports have written types, so a file's declaration depends on that file
 * only), then followed from the public entries, so that only what they mention is shipped. Imports between packages become relative.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { isPeer } from "./bundle.ts";

export interface TypesOptions {
  readonly root: string;
  /** Paths of the public sources, relative to `root`. */
  readonly entries: readonly string[];
  /** Folder for the declarations, which keep their paths from `root`. */
  readonly outdir: string;
  /** Folder of a workspace package by its name, relative to `root`. */
  readonly folderByName: ReadonlyMap<string, string>;
  /** Packages whose types users have installed themselves. */
  readonly peers: readonly string[];
}

/** Throws with the compiler's output when an export has no written type, or when a declaration needs a package that is not shipped. */
export function emitTypes(options: TypesOptions): void {
  const scratch = `${options.outdir}.all`;
  const config = `${scratch}/tsconfig.json`;
  const compilerOptions = {
    noEmit: false,
    // Checking is `npm run typecheck`; declarations need the written types only.
    noCheck: true,
    emitDeclarationOnly: true,
    outDir: scratch,
    rootDir: options.root,
    typeRoots: [join(options.root, "node_modules/@types")],
  };
  // What is found through a workspace link counts as a foreign library, of which nothing is emitted: every source is a root.
  const include = [...options.folderByName.values()].map((folder) =>
    join(options.root, folder, "src/**/*.ts"),
  );
  const exclude = ["test", "testkit", "testing", "fuzz", "bench"].map((kind) =>
    join(options.root, `**/*.${kind}.ts`),
  );
  const settings = { extends: join(options.root, "tsconfig.json"), compilerOptions, include, exclude };
  mkdirSync(scratch, { recursive: true });
  writeFileSync(config, JSON.stringify(settings));
  try {
    const compiler = join(options.root, "node_modules/typescript/bin/tsc");
    const run = spawnSync(process.execPath, [compiler, "-p", config], {
      cwd: options.root,
      encoding: "utf8",
    });
    if (run.status !== 0) throw new Error(`type declarations could not be made:\n${run.stdout}${run.stderr}`);
    const queue = options.entries.map((entry) => entry.replace(/\.ts$/, ".d.ts"));
    const done = new Set<string>();
    for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
      if (done.has(path)) continue;
      done.add(path);
      const text = readFileSync(join(scratch, path), "utf8");
      const rewritten = rewriteImports(text, path, options, (target) => queue.push(target));
      const out = join(options.outdir, path);
      mkdirSync(dirname(out), { recursive: true });
      writeFileSync(out, rewritten);
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const SPECIFIER = /(\bfrom\s+|\bimport\(\s*|\bimport\s+)"([^"]+)"/g;

/** Points every specifier at a shipped declaration and reports each one. */
export function rewriteImports(
  text: string,
  path: string,
  { root, folderByName, peers }: Pick<TypesOptions, "root" | "folderByName" | "peers">,
  found: (target: string) => void,
): string {
  return text.replace(SPECIFIER, (whole, lead: string, specifier: string) => {
    if (specifier.startsWith("node:") || isPeer({ packages: peers }, specifier)) return whole;
    const source = specifier.startsWith(".")
      ? join(dirname(path), specifier)
      : sourceOf(specifier, root, folderByName);
    if (source === undefined)
      throw new Error(`${path} needs the types of ${specifier}, which is not shipped`);
    found(source.replace(/\.ts$/, ".d.ts"));
    const to = relative(dirname(path), source).replaceAll("\\", "/").replace(/\.ts$/, ".js");
    return `${lead}"${to.startsWith(".") ? to : `./${to}`}"`;
  });
}

/** Source that a workspace specifier (`@orrery/base`, `ic-orrery/pic`) stands for, relative to `root`. */
function sourceOf(
  specifier: string,
  root: string,
  folderByName: ReadonlyMap<string, string>,
): string | undefined {
  const [, name, subpath] = /^(@[^/]+\/[^/]+|[^/]+)(\/.*)?$/.exec(specifier) ?? [];
  const folder = name === undefined ? undefined : folderByName.get(name);
  if (folder === undefined) return undefined;
  const manifestPath = resolve(root, folder, "package.json");
  if (!existsSync(manifestPath)) return undefined;
  const manifest = JSON.parse(readFileSync(manifestPath, "utf8")) as { exports?: Record<string, string> };
  const target = manifest.exports?.[`.${subpath ?? ""}`];
  return target === undefined ? undefined : join(folder, target);
}

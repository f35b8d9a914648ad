/**
 * Bundles the sources into plain JavaScript files of one folder. Start-up time is why: a command that loads a few files starts faster
 * than one that resolves hundreds.
 *
 * Convention for files named at run time: `new URL("./worker.ts", import.meta.url)`, with a literal. A source file named so becomes an
 * entry of its own (a thread or a process to spawn), anything else is copied as an asset; the text is rewritten to the new place.
 * Modules that several entries share go to shared files, once.
 */
import { cpSync, existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";

export interface BundleOptions {
  /** Folder that the sources lie in; nothing outside is bundled except installed packages. */
  readonly root: string;
  /** Name of an output file (without `.js`) → absolute path of its source. */
  readonly entries: Readonly<Record<string, string>>;
  /** Output folder; emptied first. */
  readonly outdir: string;
  /** Files of copied folders that are left out. */
  readonly omit: RegExp;
  /** What it runs on: `browser` has nothing of Node.js, and an import of it is an error. */
  readonly platform: "node" | "browser";
  /** Oldest runtime that must understand the output. */
  readonly target: string;
  /** What users have installed themselves: left to be found there, where sources of these folders ask for it. */
  readonly peers: Peers;
}

export interface Peers {
  /** Names of packages. */
  readonly packages: readonly string[];
  /** Relative to the root. */
  readonly importers: readonly string[];
}

/** Whether a specifier names one of the packages, or an entry of one. */
export function isPeer({ packages }: Pick<Peers, "packages">, specifier: string): boolean {
  return packages.some((name) => specifier === name || specifier.startsWith(`${name}/`));
}

export interface BundleResult {
  /** Names of all output entries, those found on the way included. */
  readonly entries: readonly string[];
  /** Names of the assets, relative to `outdir`. */
  readonly assets: readonly string[];
  /** Folders of the installed packages of which code is in the output. */
  readonly packages: readonly string[];
}

const RUNTIME_URL = /new URL\(\s*"(\.[^"]*)"\s*,\s*import\.meta\.url\s*,?\s*\)/g;
/** What the convention does not allow, since its target is known at run time only. */
const OTHER_RUNTIME_URL = /new URL\([^()"]*import\.meta\.url/;
const ASSET_FOLDER = "assets";

export async function bundle(options: BundleOptions): Promise<BundleResult> {
  const entryBySource = new Map<string, string>();
  for (const [name, source] of Object.entries(options.entries)) entryBySource.set(source, name);
  const assets = new Map<string, string>();
  for (;;) {
    const known = entryBySource.size;
    rmSync(options.outdir, { recursive: true, force: true });
    const result = await build({
      entryPoints: [...entryBySource].map(([source, name]) => ({ in: source, out: name })),
      outdir: options.outdir,
      absWorkingDir: options.root,
      bundle: true,
      // A page loads one file.
      splitting: options.platform === "node",
      format: "esm",
      platform: options.platform,
      target: options.target,
      chunkNames: "shared-[hash]",
      banner: options.platform === "node" ? { js: REQUIRE_BANNER } : {},
      legalComments: "inline",
      logLevel: "silent",
      metafile: true,
      plugins: [leaveOut(options), runtimeFiles(entryBySource, assets)],
    });
    if (entryBySource.size > known) continue;
    const filter = (path: string): boolean => !options.omit.test(path);
    for (const [source, name] of assets) {
      cpSync(source, join(options.outdir, name), { recursive: true, filter });
    }
    return {
      entries: [...entryBySource.values()].sort(),
      assets: [...assets.values()].sort(),
      packages: packagesOf(Object.keys(result.metafile.inputs)),
    };
  }
}

/** CommonJS packages ask for built-in modules by `require`, which modules do not have. */
const REQUIRE_BANNER =
  'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);';

/** A class of a package that both sides have would be two classes: what crosses the interface has to come from the user's. */
function leaveOut({ root, peers }: Pick<BundleOptions, "root" | "peers">): Plugin {
  const folders = peers.importers.map((folder) => join(root, folder, "/"));
  return {
    name: "peers",
    setup(pluginBuild): void {
      pluginBuild.onResolve({ filter: /^[^./]/ }, ({ path, importer }) =>
        isPeer(peers, path) && folders.some((folder) => importer.startsWith(folder))
          ? { path, external: true }
          : undefined,
      );
    },
  };
}

function runtimeFiles(entryBySource: Map<string, string>, assets: Map<string, string>): Plugin {
  return {
    name: "runtime-files",
    setup(pluginBuild): void {
      pluginBuild.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        if (path.includes("/node_modules/")) return;
        const errors: { text: string }[] = [];
        const contents = readFileSync(path, "utf8").replace(RUNTIME_URL, (whole, reference: string) => {
          const target = fileURLToPath(new URL(reference, pathToFileURL(path)));
          if (!existsSync(target)) {
            errors.push({ text: `${path} names ${reference}, which does not exist` });
            return whole;
          }
          const isSource = target.endsWith(".ts");
          const places = isSource ? entryBySource : assets;
          const wanted = isSource ? basename(target, ".ts") : `${ASSET_FOLDER}/${basename(target)}`;
          const name = placeOf(target, wanted, places);
          if (name === undefined)
            errors.push({ text: `${target} is the second file to become ${wanted}: rename one` });
          const place = isSource ? `${name}.js` : name;
          const isFolder = statSync(target).isDirectory();
          return whole.replace(reference, `./${place}${isFolder ? "/" : ""}`);
        });
        if (OTHER_RUNTIME_URL.test(contents)) {
          errors.push({
            text: `${path}: the first argument of new URL(…, import.meta.url) must be a literal`,
          });
        }
        return { contents, errors, loader: "ts", resolveDir: dirname(path) };
      });
    },
  };
}

/** The name given to `target` before, or `wanted` if nothing else has it. */
function placeOf(target: string, wanted: string, places: Map<string, string>): string | undefined {
  const known = places.get(target);
  if (known !== undefined) return known;
  if (places.values().some((name) => name === wanted)) return undefined;
  places.set(target, wanted);
  return wanted;
}

/** `…/node_modules/@scope/name` of every input that comes from an installed package. */
function packagesOf(inputs: readonly string[]): string[] {
  const folders = new Set<string>();
  for (const input of inputs) {
    const folder = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
    if (folder !== undefined) folders.add(relative(".", folder));
  }
  return [...folders].sort();
}

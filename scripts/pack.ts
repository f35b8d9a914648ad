/**
 * `npm run pack` (or with a folder to put it in): makes `dist/ic-orrery-<version>.tgz`, what users install: plain JavaScript with types, the command, the threads'
 * entries, the system canisters; no dependencies, since everything is bundled, and no runtime.
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { bundle } from "./pack/bundle.ts";
import { emitTypes } from "./pack/types.ts";
import { REPOSITORY_ROOT } from "./repository.ts";

/** Oldest Node.js that the package runs on. */
export const NODE_MAJOR_MIN = 24;

const COMMANDS: Readonly<Record<string, string>> = {
  orrery: "apps/cli/src/main.ts",
  "icp-cli-network-launcher": "apps/cli/src/launcher/main.ts",
  "pocket-ic": "apps/pocketic/src/main.ts",
};

/** The entry for web pages: one file of its own, with nothing of Node.js. */
const BROWSER_ENTRY = "./browser";
const BROWSER_TARGET = "es2024";

/** What users of `ic-orrery/pic` and `ic-orrery/actor` have installed themselves: its classes are in what they pass and get. */
const PEERS: Readonly<Record<string, string>> = { "@icp-sdk/core": ">=5" };
const PEER_IMPORTERS = ["packages/orrery/src/pic", "packages/orrery/src/actor"];

/** The system canisters ship as built; their sources are in the repository. */
const CANISTER_SOURCES = /[\\/]canisters[\\/]system[\\/](.*\.mo|lib([\\/].*)?)$/;

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly license?: string;
  readonly exports: Readonly<Record<string, string>>;
}

/** Builds the package below `outdir` and returns the tarball's path. */
export async function pack(outdir: string): Promise<string> {
  const folder = join(outdir, "package");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "bin"), { recursive: true });
  const library = readManifest("packages/orrery");
  const { license, description } = readManifest(".");

  const entries: Record<string, string> = {};
  const exportMap: Record<string, unknown> = {};
  const publicSources: string[] = [];
  for (const [subpath, target] of Object.entries(library.exports)) {
    const name = subpath === "." ? "index" : subpath.slice(2);
    const source = join("packages/orrery", target);
    const isForPages = subpath === BROWSER_ENTRY;
    if (!isForPages) entries[name] = join(REPOSITORY_ROOT, source);
    publicSources.push(source);
    exportMap[subpath] = {
      types: `./types/${source.replace(/\.ts$/, ".d.ts")}`,
      default: isForPages ? "./browser/index.js" : `./lib/${name}.js`,
    };
  }
  for (const [command, source] of Object.entries(COMMANDS)) {
    entries[`command-${command}`] = join(REPOSITORY_ROOT, source);
    const launcher = join(folder, `bin/${command}.js`);
    writeFileSync(launcher, launcherText(command));
    if (process.platform !== "win32") chmodSync(launcher, 0o755);
  }

  const packages = await bundleAll(folder, entries, library.exports[BROWSER_ENTRY] as string);
  if (publicSources.length > 0)
    emitTypes({
      root: REPOSITORY_ROOT,
      entries: publicSources,
      outdir: join(folder, "types"),
      folderByName: workspaceFolders(),
      peers: Object.keys(PEERS),
    });
  writeFileSync(join(folder, "THIRD_PARTY_LICENSES.txt"), licensesOf(packages));
  for (const page of ["LICENSE", "CHANGELOG.md", "README.md"]) {
    if (existsSync(join(REPOSITORY_ROOT, page))) cpSync(join(REPOSITORY_ROOT, page), join(folder, page));
  }
  const manifest = {
    name: library.name,
    version: library.version,
    description,
    license,
    type: "module",
    engines: { node: `>=${NODE_MAJOR_MIN}` },
    bin: Object.fromEntries(Object.keys(COMMANDS).map((command) => [command, `bin/${command}.js`])),
    exports: { ...exportMap, "./package.json": "./package.json" },
    peerDependencies: PEERS,
    peerDependenciesMeta: Object.fromEntries(Object.keys(PEERS).map((name) => [name, { optional: true }])),
  };
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  npmPack(folder, outdir);
  return join(outdir, `${library.name}-${library.version}.tgz`);
}

/** What runs under Node.js and what runs in a page; the folders of the installed packages of which code is in either. */
async function bundleAll(
  folder: string,
  entries: Readonly<Record<string, string>>,
  browserEntry: string,
): Promise<readonly string[]> {
  const common = { root: REPOSITORY_ROOT, omit: CANISTER_SOURCES };
  const program = await bundle({
    ...common,
    entries,
    outdir: join(folder, "lib"),
    platform: "node",
    target: `node${NODE_MAJOR_MIN}`,
    peers: { packages: Object.keys(PEERS), importers: PEER_IMPORTERS },
  });
  const page = await bundle({
    ...common,
    entries: { index: join(REPOSITORY_ROOT, "packages/orrery", browserEntry) },
    outdir: join(folder, "browser"),
    platform: "browser",
    target: BROWSER_TARGET,
    peers: { packages: [], importers: [] },
  });
  return [...new Set([...program.packages, ...page.packages])].sort();
}

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(REPOSITORY_ROOT, folder, "package.json"), "utf8")) as Manifest;
}

/** Says in words that the runtime is too old, before anything that an old one cannot parse is loaded. */
function launcherText(command: string): string {
  return `#!/usr/bin/env node
const major = Number(process.versions.node.split(".")[0]);
if (major < ${NODE_MAJOR_MIN}) {
  console.error("${command}: Node.js ${NODE_MAJOR_MIN} or newer is needed, this is " + process.version + ": install a newer one and try again");
  process.exitCode = 1;
} else {
  await import("../lib/command-${command}.js");
}
`;
}

function workspaceFolders(): Map<string, string> {
  const folders = ["packages", "apps"].flatMap((parent) =>
    readdirSync(join(REPOSITORY_ROOT, parent)).map((name) => `${parent}/${name}`),
  );
  return new Map(folders.map((folder) => [readManifest(folder).name, folder]));
}

/** The licences of everything bundled, as they ask for. */
function licensesOf(packages: readonly string[]): string {
  const sections = packages.map((folder) => {
    const { name, version, license } = readManifest(folder);
    const file = readdirSync(join(REPOSITORY_ROOT, folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text =
      file === undefined ? "" : `\n\n${readFileSync(join(REPOSITORY_ROOT, folder, file), "utf8").trim()}`;
    return `${name} ${version} (${license})${text}\n`;
  });
  return sections.join(`\n${"-".repeat(80)}\n\n`);
}

function npmPack(folder: string, outdir: string): void {
  const npm = process.env["npm_execpath"];
  const [command, lead] = npm === undefined ? ["npm", []] : [process.execPath, [npm]];
  const run = spawnSync(command, [...lead, "pack", "--silent", "--pack-destination", outdir], {
    cwd: folder,
    encoding: "utf8",
  });
  if (run.status !== 0) throw new Error(`npm pack failed:\n${run.stdout}${run.stderr}`);
}

if (import.meta.main) {
  const tarball = await pack(resolve(process.argv[2] ?? join(REPOSITORY_ROOT, "dist")));
  console.log(tarball);
}

/**
 * The Motoko compiler on a thread of its own: it needs a deeper stack than the main thread has. It is loaded when the thread starts; each request
 * compiles one actor. Warm, it is several times as fast; what a warm compiler makes behaves the same and may name things differently. When nobody
 * asks, it gets warm and collects what the last compilation left, so that the next one waits for neither; where sources are watched only, since
 * otherwise nobody asks again and the network needs the processor.
 */
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative, sep } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parentPort, workerData } from "node:worker_threads";

export interface CompilerPaths {
  /** The `motoko` package's main file, and its copy of `core`. */
  readonly motoko: string;
  readonly core: string;
}

/** Given to the thread at its start. */
export interface CompilerStart extends CompilerPaths {
  /** Whether it is there for one save after the other; otherwise it does nothing that nobody asked for. */
  readonly keepsWarm: boolean;
}

export interface CompileRequest {
  /** Absolute; names of sources are relative to it. */
  readonly root: string;
  readonly main: string;
  /** Name → directory of sources, absolute. */
  readonly packages: readonly (readonly [name: string, directory: string])[];
  readonly flags: readonly string[];
  readonly enhanced: boolean;
}

export interface Diagnostic {
  /** Relative to the root, those of packages too. */
  readonly source: string;
  readonly severity: "error" | "warning";
  readonly code: string;
  readonly message: string;
  /** From 0, as the compiler counts. */
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}

export type CompileReply =
  | {
      readonly ok: true;
      readonly wasm: Uint8Array;
      readonly candid: string;
      readonly diagnostics: readonly Diagnostic[];
    }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[]; readonly message: string };

interface Position {
  readonly line: number;
  readonly character: number;
}

interface Told {
  readonly source: string;
  readonly severity: number;
  readonly code: string;
  readonly message: string;
  readonly range: { readonly start: Position; readonly end: Position };
}

interface Compiler {
  readonly compiler: {
    gcFlags(flag: string): void;
    /** Types are checked once for diagnostics and code; the package's own calls for either check them each. No code: null. */
    compileWasm(
      format: "ic",
      path: string,
    ): {
      readonly diagnostics: readonly Told[];
      readonly code: { readonly wasm: Uint8Array; readonly candid: string } | null;
    };
  };
  loadPackage(contents: unknown): void;
  usePackage(name: string, directory: string): void;
  setPublicMetadata(names: readonly string[]): void;
  setExtraFlags(flags: readonly string[]): void;
  write(path: string, content: string): void;
  delete(path: string): void;
}

const ERROR_SEVERITY = 1;
/** Where the compiler's own file system has the sources of packages, each in a folder of its name. */
const PACKAGES = ".packages";
/** Read by tools of anybody who calls the canister, so not for its controllers alone. */
const PUBLIC_METADATA = ["candid:service", "candid:args", "motoko:stable-types", "motoko:compiler"];
const SKIPPED = /^(node_modules|dist|target|\..*)$/;
const SOURCES_MAX = 20_000;
/** Time is the canister's that was just built: it is on its way to the network. */
const REST_MS = 700;
/** The next one takes as long as any later one. More would be in the way of a save, which waits for the one under way. */
const WARM_COMPILATIONS = 2;

const require = createRequire(import.meta.url);
const started = workerData as CompilerStart;
const motoko = require(started.motoko) as Compiler;
motoko.loadPackage(require(started.core));
motoko.setPublicMetadata(PUBLIC_METADATA);

/** Names in the compiler's own file system. */
let held = new Set<string>();

/** Puts the sources below `directory` into the compiler's own file system, under `prefix`. */
function load(directory: string, prefix: string, names: Set<string>): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (SKIPPED.test(entry.name)) continue;
    const path = join(directory, entry.name);
    const name = prefix === "" ? entry.name : `${prefix}/${entry.name}`;
    if (entry.isDirectory()) load(path, name, names);
    else if (/\.(mo|did)$/.test(entry.name)) {
      motoko.write(name, readFileSync(path, "utf8"));
      names.add(name);
    }
    if (names.size > SOURCES_MAX)
      throw new Error(`more than ${SOURCES_MAX} sources at and below ${directory}`);
  }
}

/** Makes the compiler see what the disk holds now, and nothing that is gone. */
function refresh(request: CompileRequest): void {
  const names = new Set<string>();
  load(request.root, "", names);
  for (const [name, directory] of request.packages) {
    const folder = `${PACKAGES}/${name}`;
    load(directory, folder, names);
    motoko.usePackage(name, folder);
  }
  for (const name of held) if (!names.has(name)) motoko.delete(name);
  held = names;
}

/** Names of packages' sources as the disk has them, in place of the compiler's own. */
function onDisk(text: string, { root, packages }: CompileRequest): string {
  if (!text.includes(PACKAGES)) return text;
  return packages.reduce((shown, [name, directory]) => {
    const path = relative(root, directory).split(sep).join("/");
    return shown.replaceAll(`${PACKAGES}/${name}/`, `${path}/`);
  }, text);
}

function diagnosed(told: readonly Told[], request: CompileRequest): readonly Diagnostic[] {
  return told.map(({ source, severity, code, message, range }) => ({
    source: onDisk(source, request),
    severity: severity === ERROR_SEVERITY ? "error" : "warning",
    code,
    message: onDisk(message, request),
    start: range.start,
    end: range.end,
  }));
}

function compile(request: CompileRequest): CompileReply {
  try {
    refresh(request);
    motoko.compiler.gcFlags(request.enhanced ? "enhancedOP" : "classicOP");
    if (request.flags.length > 0) motoko.setExtraFlags(request.flags);
    const { code, diagnostics: told } = motoko.compiler.compileWasm("ic", request.main);
    const diagnostics = diagnosed(told, request);
    if (code === null) return { ok: false, diagnostics, message: "" };
    return { ok: true, wasm: Uint8Array.from(code.wasm), candid: code.candid, diagnostics };
  } catch (error) {
    return { ok: false, diagnostics: [], message: (error as Error).message };
  }
}

/** Compiles again what was asked for last, for the engine to see what is worth its optimizations; the result is nobody's. */
function warm(request: CompileRequest): void {
  compilations++;
  motoko.compiler.gcFlags(request.enhanced ? "enhancedOP" : "classicOP");
  motoko.compiler.compileWasm("ic", request.main);
}

/** Nobody has asked for a while. */
function rest(request: CompileRequest): void {
  if (compilations >= WARM_COMPILATIONS) {
    collectGarbage();
    return;
  }
  try {
    warm(request);
  } catch {
    // Whoever asks next is told if it fails again.
    return;
  }
  resting = setTimeout(rest, REST_MS, request);
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;
let compilations = 0;
let resting: NodeJS.Timeout | undefined;

parentPort?.on("message", (request: CompileRequest) => {
  clearTimeout(resting);
  const reply = compile(request);
  compilations++;
  parentPort?.postMessage(reply);
  if (!started.keepsWarm) return;
  // What did not compile does not get it warm.
  resting = reply.ok ? setTimeout(rest, REST_MS, request) : setTimeout(collectGarbage, REST_MS);
});

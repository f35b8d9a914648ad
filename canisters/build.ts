/**
 * Builds every canister of this workspace from source and writes the compressed modules, their Candid
 * interfaces and `hashes.json`.
 *
 *   npm run build -w @orrery/canisters               rebuild and write
 *   npm run build -w @orrery/canisters -- --check    rebuild, compare with what is committed, write nothing
 *   npm run build -w @orrery/canisters -- counter    only the targets whose path contains a word
 *   npm run build -w @orrery/canisters -- --lock     compress and lock what the C and Azle scripts left
 *
 * Invariant: the same sources give the same module bytes on every machine. The compressed bytes are locked
 * by hash but not recomputed by `--check`: deflate output may differ between processors, what it stands for
 * may not.
 */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { gunzipSync, gzipSync } from "node:zlib";

import type { CompileReply, CompileRequest } from "./compile-worker.ts";
import type { MotokoTarget, Target, UniversalTarget, WatTarget } from "./manifest.ts";
import { EXTERNAL_FIXTURES, targets } from "./manifest.ts";
import { universalSource } from "./universal/source.ts";

/** The two hashes of one committed artifact. */
export interface ArtifactHashes {
  readonly wasmSha256: string;
  readonly gzipSha256: string;
  readonly wasmBytes: number;
}

/** The contents of `hashes.json`. */
export interface HashLock {
  readonly compiler: string;
  readonly artifacts: Readonly<Record<string, ArtifactHashes>>;
}

interface Built {
  readonly target: Target;
  readonly wasm: Uint8Array;
  readonly candid: string | null;
  readonly compiler: string | null;
}

const root = dirname(fileURLToPath(import.meta.url));
const lockPath = join(root, "hashes.json");
/** The compiler recurses deeply on long functions; the usual four megabytes are not enough. */
const COMPILER_STACK_MIB = 64;
const GZIP_LEVEL = 9;
/** Offset of the operating system in a gzip header (RFC 1952) and its value "unknown". */
const GZIP_OS_OFFSET = 9;
const GZIP_OS_UNKNOWN = 255;

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes("--lock")) return lockExternal();
  const check = argv.includes("--check");
  const words = argv.filter((word) => !word.startsWith("--"));
  const started = performance.now();
  const chosen = targets().filter(
    (target) => words.length === 0 || words.some((word) => target.wasmGzip.includes(word)),
  );
  const problems: string[] = [];
  const lock = readLock();
  const artifacts: Record<string, ArtifactHashes> = { ...lock.artifacts };
  let compiler = lock.compiler;
  for (const target of chosen) {
    const built = await build(target);
    if (built.compiler !== null) compiler = `motoko ${motokoVersion()} (moc ${built.compiler})`;
    if (check) problems.push(...compare(built, lock));
    else artifacts[target.wasmGzip] = write(built);
    process.stdout.write(`${check ? "checked" : "built"} ${target.wasmGzip} (${built.wasm.length} bytes)\n`);
  }
  if (check && compiler !== lock.compiler) {
    problems.push(
      `hashes.json was made with ${lock.compiler}, this is ${compiler}: run the build without --check`,
    );
  }
  if (!check) writeLock({ compiler, artifacts });
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  process.stdout.write(
    `${chosen.length} targets in ${((performance.now() - started) / 1000).toFixed(1)} s\n`,
  );
  return problems.length === 0 ? 0 : 1;
}

/** Compresses and locks the modules that the other toolchains left; returns the exit code. */
function lockExternal(): number {
  const lock = readLock();
  const artifacts: Record<string, ArtifactHashes> = { ...lock.artifacts };
  for (const { wasm: path, wasmGzip, command } of EXTERNAL_FIXTURES) {
    if (!existsSync(join(root, path))) {
      process.stdout.write(`kept ${wasmGzip}: no ${path}, which \`${command}\` makes\n`);
      continue;
    }
    const wasm = readFileSync(join(root, path));
    const gzip = deterministicGzip(wasm);
    writeArtifact(wasmGzip, gzip);
    artifacts[wasmGzip] = { wasmSha256: sha256(wasm), gzipSha256: sha256(gzip), wasmBytes: wasm.length };
    process.stdout.write(`locked ${wasmGzip} (${wasm.length} bytes)\n`);
  }
  writeLock({ compiler: lock.compiler, artifacts });
  return 0;
}

function build(target: Target): Promise<Built> {
  return target.kind === "motoko" ? buildMotoko(target) : buildWat(target);
}

async function buildMotoko(target: MotokoTarget): Promise<Built> {
  const request: CompileRequest = { source: target.source, mode: target.mode };
  const reply = await new Promise<CompileReply>((resolve, reject) => {
    const worker = new Worker(new URL("./compile-worker.ts", import.meta.url), {
      workerData: request,
      resourceLimits: { stackSizeMb: COMPILER_STACK_MIB },
    });
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", (code) =>
      reject(new Error(`the compiler ended with code ${code} on ${target.source}`)),
    );
  });
  if (!reply.ok) throw new Error(`${target.source} does not compile:\n${reply.errors.join("\n")}`);
  return { target, wasm: reply.wasm, candid: reply.candid, compiler: reply.compiler };
}

function watOf(target: WatTarget | UniversalTarget): { readonly name: string; readonly text: string } {
  if (target.kind === "universal") return { name: sourceOf(target), text: universalSource(target.width) };
  return { name: target.source, text: readFileSync(join(root, target.source), "utf8") };
}

function sourceOf(target: Target): string {
  return target.kind === "universal" ? "universal/source.ts" : target.source;
}

async function buildWat(target: WatTarget | UniversalTarget): Promise<Built> {
  const { default: loadWabt } = await import("wabt");
  const wabt = await loadWabt();
  const { name, text } = watOf(target);
  const module = wabt.parseWat(name, text, {
    memory64: true,
    bulk_memory: true,
  });
  const wasm = module.toBinary({}).buffer;
  module.destroy();
  return { target, wasm, candid: null, compiler: null };
}

function write(built: Built): ArtifactHashes {
  const gzip = deterministicGzip(built.wasm);
  writeArtifact(built.target.wasmGzip, gzip);
  const did = didOf(built);
  if (did !== null) writeArtifact(did.path, did.text);
  return { wasmSha256: sha256(built.wasm), gzipSha256: sha256(gzip), wasmBytes: built.wasm.length };
}

function compare(built: Built, lock: HashLock): readonly string[] {
  const path = built.target.wasmGzip;
  const locked = lock.artifacts[path];
  if (locked === undefined || !existsSync(join(root, path)))
    return [`${path} is not committed: run the build`];
  const problems: string[] = [];
  const committed = readFileSync(join(root, path));
  if (sha256(committed) !== locked.gzipSha256) problems.push(`${path} does not have the hash in hashes.json`);
  if (!gunzipSync(committed).equals(built.wasm)) {
    problems.push(
      `${path} is not what ${sourceOf(built.target)} compiles to: run the build and commit the result`,
    );
  }
  const did = didOf(built);
  if (did !== null && readFileSync(join(root, did.path), "utf8") !== did.text) {
    problems.push(`${did.path} is not the interface of ${sourceOf(built.target)}: run the build`);
  }
  return problems;
}

function didOf(built: Built): { readonly path: string; readonly text: string } | null {
  if (built.target.kind !== "motoko" || built.target.did === null || built.candid === null) return null;
  return { path: built.target.did, text: `${built.candid.trimEnd()}\n` };
}

/** Gzip with no time and no system in its header. */
function deterministicGzip(bytes: Uint8Array): Uint8Array {
  const out = gzipSync(bytes, { level: GZIP_LEVEL });
  out[GZIP_OS_OFFSET] = GZIP_OS_UNKNOWN;
  return out;
}

function writeArtifact(path: string, content: Uint8Array | string): void {
  const absolute = join(root, path);
  mkdirSync(dirname(absolute), { recursive: true });
  writeFileSync(absolute, content);
}

function readLock(): HashLock {
  if (!existsSync(lockPath)) return { compiler: "", artifacts: {} };
  return JSON.parse(readFileSync(lockPath, "utf8")) as HashLock;
}

function writeLock(lock: HashLock): void {
  const artifacts = Object.fromEntries(
    Object.entries(lock.artifacts).sort(([left], [right]) => (left < right ? -1 : 1)),
  );
  writeFileSync(lockPath, `${JSON.stringify({ compiler: lock.compiler, artifacts }, null, 2)}\n`);
}

function motokoVersion(): string {
  const require = createRequire(import.meta.url);
  return (require("motoko/package.json") as { readonly version: string }).version;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

process.exitCode = await main(process.argv.slice(2));

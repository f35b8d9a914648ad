/**
 * Compiles one Motoko actor in a worker thread: the compiler needs a deeper stack than the main thread has,
 * keeps hundreds of megabytes alive, and names things after what it compiled before, so that only a fresh
 * one gives the same bytes every time.
 *
 * Input (`workerData`): {@link CompileRequest}. Output: one message, {@link CompileReply}.
 */

import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parentPort, workerData } from "node:worker_threads";

import type { PersistenceMode } from "./manifest.ts";

/** What to compile; `source` is relative to this folder. */
export interface CompileRequest {
  readonly source: string;
  readonly mode: PersistenceMode;
}

/** The module and its interface, or the compiler's complaints. */
export type CompileReply =
  | { readonly ok: true; readonly wasm: Uint8Array; readonly candid: string; readonly compiler: string }
  | { readonly ok: false; readonly errors: readonly string[] };

/** The part of the `motoko` package that is used here. */
interface Motoko {
  readonly version: string;
  readonly compiler: { gcFlags(flag: string): void };
  loadPackage(contents: unknown): void;
  setPublicMetadata(names: readonly string[]): void;
  write(path: string, content: string): void;
  check(path: string): readonly Diagnostic[];
  wasm(path: string, format: "ic"): { readonly wasm: Uint8Array; readonly candid: string };
}

interface Diagnostic {
  readonly source: string;
  readonly severity: number;
  readonly message: string;
  readonly range?: { readonly start?: { readonly line: number } };
}

const ERROR_SEVERITY = 1;
/** Read by tools of anybody who calls the canister, so not for controllers alone. */
const PUBLIC_METADATA = ["candid:service", "candid:args", "motoko:stable-types", "motoko:compiler"];

const root = dirname(fileURLToPath(import.meta.url));

function compile(request: CompileRequest): CompileReply {
  const require = createRequire(import.meta.url);
  const motoko = require("motoko") as Motoko;
  motoko.loadPackage(require("motoko/packages/latest/core.json"));
  motoko.setPublicMetadata(PUBLIC_METADATA);
  motoko.compiler.gcFlags(request.mode === "enhanced" ? "enhancedOP" : "classicOP");
  for (const path of sources()) motoko.write(path, readFileSync(join(root, path), "utf8"));
  try {
    const { wasm, candid } = motoko.wasm(request.source, "ic");
    return { ok: true, wasm: Uint8Array.from(wasm), candid, compiler: motoko.version };
  } catch (error) {
    // Only a check says where; run before the compilation it would change the names the compiler makes up.
    const errors = motoko.check(request.source).filter(({ severity }) => severity === ERROR_SEVERITY);
    if (errors.length === 0) throw error;
    return { ok: false, errors: errors.map(describe) };
  }
}

function sources(): readonly string[] {
  return ["system", "fixtures/motoko"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
      .filter((path) => path.endsWith(".mo")),
  );
}

function describe(diagnostic: Diagnostic): string {
  return `${diagnostic.source}:${(diagnostic.range?.start?.line ?? 0) + 1}: ${diagnostic.message}`;
}

parentPort?.postMessage(compile(workerData as CompileRequest));

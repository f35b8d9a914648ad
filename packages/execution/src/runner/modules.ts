/**
 * Uploaded bytes to runnable modules (interface spec, "Canister module format"): raw or gzip, at most 100 MiB inflated, validated
 * and instrumented by the engine, cached by the hash of the uploaded bytes. Nothing here decides who may install what.
 */
import { assert, err, ok, type Result, toHex } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import type { BlobKey, InstalledModule, ModuleExports } from "@orrery/state";
import type { CompiledCanister, Engine, WasmValidationError } from "@orrery/wasm";
import { ErrorCode, type UserError } from "../error-codes.ts";
import { WASM_MODULE_BYTES_MAX } from "../limits.ts";
import { describeFailure, type ExecutionError } from "../system-api/failure.ts";
import type { CompiledUpload } from "../types.ts";

/** Compiled modules kept: each holds its bytes and machine code, so both their number and their bytes are bounded. */
export const COMPILED_MODULES_MAX = 128;
export const COMPILED_BYTES_MAX: number = 512 * 1024 * 1024;

/** Where the uploaded bytes of installed modules are found. */
export interface ModuleSource {
  get(key: BlobKey): Uint8Array | null;
}

/** Inflates gzip; throws when the data is broken or holds more than `maxBytes`. */
export type Inflate = (bytes: Uint8Array, maxBytes: number) => Uint8Array;

/** Which canister it was for is the caller's to add (`aboutCanister`). */
function invalid(text: string): ExecutionError {
  const failure = { kind: "invalid_wasm", text } as const;
  return { code: ErrorCode.CanisterInvalidWasm, message: describeFailure(failure), failure };
}

/** The replica finds out only while it instantiates that a module cannot be, and calls that an error of its engine. */
function refused({ kind, message }: WasmValidationError): ExecutionError {
  if (kind !== "instantiation") return invalid(message);
  const failure = { kind: "engine_error", text: message } as const;
  return { code: ErrorCode.CanisterWasmEngineError, message: describeFailure(failure), failure };
}

function startsWith(bytes: Uint8Array, prefix: readonly number[]): boolean {
  return prefix.every((byte, i) => bytes[i] === byte);
}

function exportsOf({ methods, hooks }: CompiledCanister["info"]): ModuleExports {
  return {
    updates: methods.update,
    queries: methods.query,
    compositeQueries: methods.compositeQuery,
    init: hooks.includes("canister_init"),
    preUpgrade: hooks.includes("canister_pre_upgrade"),
    postUpgrade: hooks.includes("canister_post_upgrade"),
    heartbeat: hooks.includes("canister_heartbeat"),
    globalTimer: hooks.includes("canister_global_timer"),
    inspectMessage: hooks.includes("canister_inspect_message"),
    onLowWasmMemory: hooks.includes("canister_on_low_wasm_memory"),
  };
}

/** Header and trailer of a gzip stream. */
const GZIP_BYTES_MIN = 16;
/** Of inflation: the same on every host and thread, as it is in the state. */
const GZIP_INVALID = "the gzip stream is cut off, damaged or larger than it says";

const GZIP_MAGIC = [0x1f, 0x8b, 0x08] as const;

/** Inflated size by the trailer of the last member, modulo 2^32 (RFC 1952, "Member trailer"). */
function statedSize(zipped: Uint8Array): number {
  return new DataView(zipped.buffer, zipped.byteOffset).getUint32(zipped.length - 4, true);
}

/** Bytes that an upload says it has once it is decoded, at least its own. */
export function statedBytes(uploaded: Uint8Array): number {
  const zipped = startsWith(uploaded, GZIP_MAGIC) && uploaded.length >= GZIP_BYTES_MIN;
  return zipped ? Math.max(statedSize(uploaded), uploaded.length) : uploaded.length;
}

/** Bytes that are looked at to find out what an upload is; none of one that says it is larger than a module may be. */
export function decodedBytes(uploaded: Uint8Array): number {
  const size = statedBytes(uploaded);
  return size > WASM_MODULE_BYTES_MAX ? 0 : size;
}

export class ModuleCache {
  readonly #engine: Engine;
  readonly #source: ModuleSource;
  readonly #inflate: Inflate;
  /** Least recently used first. */
  readonly #compiled = new Map<BlobKey, CompiledCanister>();
  /** The last of them, which need not be moved to the end when it is used again. */
  #newest: BlobKey | null = null;
  /** The records that canisters of one module share. */
  readonly #uploads = new WeakMap<CompiledCanister, CompiledUpload>();
  #bytes = 0;

  constructor(options: {
    readonly engine: Engine;
    readonly source: ModuleSource;
    readonly inflate: Inflate;
  }) {
    this.#engine = options.engine;
    this.#source = options.source;
    this.#inflate = options.inflate;
  }

  /** What an upload is, or IC0505 (or IC0521) with the reason. */
  compileUpload(uploaded: Uint8Array): Result<CompiledUpload, UserError> {
    const hash = sha256(uploaded);
    const key = toHex(hash);
    const compiled = this.#compile(key, uploaded);
    if (!compiled.ok) return compiled;
    const known = this.#uploads.get(compiled.value);
    if (known !== undefined) return ok(known);
    const { info, compileInstructions } = compiled.value;
    const customSectionBytes = info.customSections.reduce(
      (sum, one) => sum + one.name.length + one.content.length,
      0,
    );
    const module: InstalledModule = {
      blob: key,
      hash,
      bytes: uploaded.length,
      is64: info.is64,
      globalTypes: info.mutableGlobals.map(({ type }) => type),
      metadata: info.customSections,
      exports: exportsOf(info),
    };
    const upload = { module, instructions: compileInstructions, customSectionBytes, memory: info.memory };
    this.#uploads.set(compiled.value, upload);
    return ok(upload);
  }

  /** The runnable form of an installed module; its bytes must be in the source. */
  compiled(module: InstalledModule): CompiledCanister {
    const cached = this.#touch(module.blob);
    if (cached !== null) return cached;
    const uploaded = this.#source.get(module.blob);
    assert(uploaded !== null, `the bytes of installed module ${module.blob} are missing from the blob store`);
    const compiled = this.#compile(module.blob, uploaded);
    assert(compiled.ok, `installed module ${module.blob} no longer compiles`);
    return compiled.value;
  }

  cached(key: BlobKey): CompiledCanister | null {
    return this.#compiled.get(key) ?? null;
  }

  has(key: BlobKey): boolean {
    return this.#compiled.has(key);
  }

  /** Takes over what another thread compiled. */
  adopt(key: BlobKey, compiled: CompiledCanister): void {
    if (this.#touch(key) !== null) return;
    this.#put(key, compiled);
    this.#bytes += compiled.wasm.length;
    this.#shrink();
  }

  #put(key: BlobKey, compiled: CompiledCanister): void {
    this.#compiled.set(key, compiled);
    this.#newest = key;
  }

  #touch(key: BlobKey): CompiledCanister | null {
    const found = this.#compiled.get(key);
    if (found === undefined || key === this.#newest) return found ?? null;
    this.#compiled.delete(key);
    this.#put(key, found);
    return found;
  }

  #compile(key: BlobKey, uploaded: Uint8Array): Result<CompiledCanister, UserError> {
    const cached = this.#touch(key);
    if (cached !== null) return ok(cached);
    const wasm = this.#decode(uploaded);
    if (!wasm.ok) return wasm;
    const compiled = this.#engine.compile(wasm.value);
    if (!compiled.ok) return err(refused(compiled.error));
    this.#put(key, compiled.value);
    this.#bytes += compiled.value.wasm.length;
    this.#shrink();
    return compiled;
  }

  /** Drops the longest unused modules until the rest fits; the last one stays whatever its size. */
  #shrink(): void {
    for (const [key, { wasm }] of this.#compiled) {
      const fits = this.#compiled.size <= COMPILED_MODULES_MAX && this.#bytes <= COMPILED_BYTES_MAX;
      if (fits || this.#compiled.size === 1) return;
      this.#compiled.delete(key);
      this.#bytes -= wasm.length;
    }
  }

  #decode(uploaded: Uint8Array): Result<Uint8Array, UserError> {
    const zipped = startsWith(uploaded, GZIP_MAGIC);
    if (!zipped && !startsWith(uploaded, [0x00, 0x61, 0x73, 0x6d])) {
      return err(invalid("Failed to decode wasm module: unsupported canister module format"));
    }
    if (zipped && uploaded.length < GZIP_BYTES_MIN) {
      const text = "invalid Wasm module: gzip stream is too short";
      return err(invalid(`Failed to decode wasm module: ${text}`));
    }
    const size = zipped ? statedSize(uploaded) : uploaded.length;
    if (size > WASM_MODULE_BYTES_MAX) {
      const text = `Wasm module size of ${size} exceeds the maximum allowed size of ${WASM_MODULE_BYTES_MAX}.`;
      return err(invalid(text));
    }
    return zipped ? this.#unzip(uploaded, size) : ok(uploaded);
  }

  /** No more is inflated than the stream says it holds, which nobody has to believe. */
  #unzip(uploaded: Uint8Array, size: number): Result<Uint8Array, UserError> {
    let wasm: Uint8Array;
    try {
      wasm = this.#inflate(uploaded, size + 1);
    } catch {
      // An inflater's complaint about bytes from outside is an answer to their sender, not a fault of ours; its words are its host's.
      const text = `failed to decode compressed Wasm module: ${GZIP_INVALID}`;
      return err(invalid(`Failed to decode wasm module: ${text}`));
    }
    if (wasm.length === size) return ok(wasm);
    const text = `specified uncompressed size ${size} does not match extracted size ${wasm.length}`;
    return err(invalid(`Failed to decode wasm module: ${text}`));
  }
}

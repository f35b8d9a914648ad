/** An engine that compiles a module once however many networks install it: tests make many, and mostly of the same modules. */
import { ok, type Result, toHex } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { type CompiledCanister, Engine, type WasmValidationError } from "@orrery/wasm";

/** Bytes of modules that are kept compiled, beside those that some network keeps. */
const KEPT_BYTES_MAX: number = 256 * 1024 * 1024;

export class SharedEngine extends Engine {
  /** Least recently used first. */
  readonly #compiled = new Map<string, CompiledCanister>();
  #bytes = 0;

  override compile(wasm: Uint8Array): Result<CompiledCanister, WasmValidationError> {
    const key = toHex(sha256(wasm));
    const known = this.#compiled.get(key);
    if (known !== undefined) {
      this.#compiled.delete(key);
      this.#compiled.set(key, known);
      // An object of its own for each installation: one module may have been uploaded in several forms.
      return ok({ ...known });
    }
    const result = super.compile(wasm);
    if (!result.ok) return result;
    this.#compiled.set(key, result.value);
    this.#bytes += wasm.length;
    for (const [oldest, { wasm: bytes }] of this.#compiled) {
      if (this.#bytes <= KEPT_BYTES_MAX || this.#compiled.size === 1) break;
      this.#compiled.delete(oldest);
      this.#bytes -= bytes.length;
    }
    return result;
  }
}

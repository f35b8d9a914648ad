/** Locals that a rewritten body needs besides its own: numbered after them, made on demand, shared by name. */
import type { Writer } from "./writer.ts";

export const TYPE_I32 = 0x7f;
export const TYPE_I64 = 0x7e;
export const TYPE_F32 = 0x7d;
export const TYPE_F64 = 0x7c;
export const TYPE_V128 = 0x7b;

export class ExtraLocals {
  #next = 0;
  #types: number[] = [];
  readonly #named: Map<string, number> = new Map();

  /** Starts a body whose own locals, parameters included, are `own`. */
  reset(own: number): void {
    this.#next = own;
    this.#types = [];
    this.#named.clear();
  }

  make(type: number): number {
    this.#types.push(type);
    return this.#next++;
  }

  /** The local called `name`, of a type that goes with the name. */
  named(name: string, type: number): number {
    let local = this.#named.get(name);
    if (local === undefined) {
      local = this.make(type);
      this.#named.set(name, local);
    }
    return local;
  }

  get count(): number {
    return this.#types.length;
  }

  /** Writes the declarations, a group each. */
  declare(w: Writer): void {
    for (const type of this.#types) w.code(1, type);
  }
}

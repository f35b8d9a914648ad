/**
 * The operand stack of a body as far as the rewriter needs it: its height, and for each operand whether it is a constant or
 * a local's value plus a constant, so that stores around one base can share a check. A local's version grows whenever it is
 * set; an operand still equals "local plus constant" while the version it was pushed with is the current one. Versions are
 * numbered in textual order, which is enough: what lies on the stack across a loop cannot be read inside it.
 */

/** What an operand comes from: nothing known, a constant, or (0 and above) a local. */
export const UNKNOWN = -1;
export const CONSTANT = -2;

/** Constants followed are at most this in size, so that sums stay exact. */
const CONSTANT_MAX: number = 2 ** 31;

export class Operands {
  height = 0;
  heightMax = 0;
  #bases: number[] = [];
  #versions: number[] = [];
  #constants: number[] = [];
  #localVersions: number[] = [];

  reset(locals: number): void {
    this.height = this.heightMax = 0;
    this.#localVersions = new Array<number>(locals).fill(0);
  }

  push(count: number): void {
    for (let i = 0; i < count; i++) this.#bases[this.height + i] = UNKNOWN;
    this.height += count;
    if (this.height > this.heightMax) this.heightMax = this.height;
  }

  /** Removes operands, none below `floor`. */
  pop(count: number, floor: number): void {
    this.height = Math.max(floor, this.height - count);
  }

  pushLocal(local: number): void {
    this.push(1);
    this.#know(local, 0, this.#localVersions[local] ?? 0);
  }

  pushConstant(value: number): void {
    this.push(1);
    if (Math.abs(value) <= CONSTANT_MAX) this.#know(CONSTANT, value, 0);
  }

  setLocal(local: number): void {
    this.#localVersions[local] = (this.#localVersions[local] ?? 0) + 1;
  }

  /** Replaces the two operands on top by their sum or difference, of address type; `wrap` is for 32-bit addresses. */
  add(minus: boolean, wrap: boolean, floor: number): void {
    const left = this.height - 2;
    const right = this.height - 1;
    const a = this.#bases[left] ?? UNKNOWN;
    const b = this.#bases[right] ?? UNKNOWN;
    const sum = (this.#constants[left] ?? 0) + (minus ? -1 : 1) * (this.#constants[right] ?? 0);
    const base = b === CONSTANT ? a : a === CONSTANT && !minus ? b : UNKNOWN;
    const version = this.#versions[base === a ? left : right] ?? 0;
    this.pop(2, floor);
    this.push(1);
    const value = wrap ? sum | 0 : sum;
    if (base !== UNKNOWN && Math.abs(value) <= CONSTANT_MAX) this.#know(base, value, version);
  }

  /** The base of operand `slot` when it is still known, else `UNKNOWN`. */
  base(slot: number): number {
    const base = this.#bases[slot] ?? UNKNOWN;
    return base < 0 || this.#versions[slot] === this.#localVersions[base] ? base : UNKNOWN;
  }

  /** What operand `slot` adds to its base. */
  constant(slot: number): number {
    return this.#constants[slot] ?? 0;
  }

  #know(base: number, constant: number, version: number): void {
    this.#bases[this.height - 1] = base;
    this.#constants[this.height - 1] = constant;
    this.#versions[this.height - 1] = version;
  }
}

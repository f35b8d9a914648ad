/** Writing Wasm binaries, for tests that build or rebuild modules: numbers, vectors, sections. */

export function leb(value: number | bigint): number[] {
  const out: number[] = [];
  let rest = BigInt(value);
  do {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    out.push(rest === 0n ? byte : byte | 0x80);
  } while (rest !== 0n);
  return out;
}

export function sleb(value: number | bigint): number[] {
  const out: number[] = [];
  for (let rest = BigInt(value); ; ) {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    const isLast = rest === ((byte & 0x40) === 0 ? 0n : -1n);
    out.push(isLast ? byte : byte | 0x80);
    if (isLast) return out;
  }
}

export function text(value: string): number[] {
  const bytes = new TextEncoder().encode(value);
  return [...leb(bytes.length), ...bytes];
}

/** Items with their count. */
export function vector(items: readonly (readonly number[])[]): number[] {
  return [...leb(items.length), ...items.flat()];
}

export function section(id: number, content: readonly number[]): number[] {
  return [id, ...leb(content.length), ...content];
}

/** A function body from its local declarations (a type each) and its code with the final `end`. */
export function functionBody(locals: readonly number[], code: readonly number[]): number[] {
  const inner = [...vector(locals.map((type) => [1, type])), ...code];
  return [...leb(inner.length), ...inner];
}

export const HEADER: readonly number[] = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

export const TYPE_BYTES: Readonly<Record<string, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
  funcref: 0x70,
  externref: 0x6f,
};

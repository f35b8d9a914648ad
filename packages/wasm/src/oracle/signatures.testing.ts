/** Operand and result types of the instructions that random programs use, read off their names. */
import { OPCODES } from "./names.ts";

export type Scalar = "i32" | "i64" | "f32" | "f64" | "v128";

export interface Signature {
  readonly name: string;
  readonly opcode: number;
  readonly params: readonly Scalar[];
  readonly result: Scalar;
  /** Lanes of the vector that a lane immediate may name. */
  readonly lanes: number;
}

const COMPARES = /^(eq|ne|lt|gt|le|ge)(_[su])?$/;
const UNARY =
  /^(clz|ctz|popcnt|abs|neg|ceil|floor|trunc|nearest|sqrt|extend\d+_s|not|extadd.*|extend_.*|trunc_sat.*|convert.*|demote.*|promote.*)$/;
const SCALARS: Readonly<Record<string, Scalar>> = {
  i8x16: "i32",
  i16x8: "i32",
  i32x4: "i32",
  i64x2: "i64",
  f32x4: "f32",
  f64x2: "f64",
};

function signature(name: string, opcode: number): Signature | null {
  const [shape = "", operation = ""] = name.split(".");
  const scalar = SCALARS[shape];
  if (scalar === undefined && shape !== "v128") return scalarSignature(name, opcode);
  const of = (params: Scalar[], result: Scalar, lanes = 0): Signature => ({
    name,
    opcode,
    params,
    result,
    lanes,
  });
  const lanes = Number(/x(\d+)$/.exec(shape)?.[1] ?? 0);
  if (/^(load|store|const)/.test(operation)) return null;
  if (operation === "shuffle") return of(["v128", "v128"], "v128", 32);
  if (operation === "splat") return of([scalar as Scalar], "v128");
  if (operation.startsWith("extract_lane")) return of(["v128"], scalar as Scalar, lanes);
  if (operation === "replace_lane") return of(["v128", scalar as Scalar], "v128", lanes);
  if (/^(all_true|any_true|bitmask)$/.test(operation)) return of(["v128"], "i32");
  if (/^(shl|shr_s|shr_u)$/.test(operation)) return of(["v128", "i32"], "v128");
  if (operation === "bitselect") return of(["v128", "v128", "v128"], "v128");
  return of(UNARY.test(operation) ? ["v128"] : ["v128", "v128"], "v128");
}

function scalarSignature(name: string, opcode: number): Signature | null {
  const [type, operation = ""] = name.split(".") as [Scalar, string];
  if (!/^[if](32|64)$/.test(type) || /^(load|store|const)/.test(operation)) return null;
  const of = (params: Scalar[], result: Scalar): Signature => ({ name, opcode, params, result, lanes: 0 });
  if (operation === "eqz") return of([type], "i32");
  if (COMPARES.test(operation)) return of([type, type], "i32");
  const source = /_([if](?:32|64))(?:_[su])?$/.exec(operation)?.[1] as Scalar | undefined;
  if (source !== undefined) return of([source], type);
  return of(UNARY.test(operation) ? [type] : [type, type], type);
}

/** Instructions on values alone, by what they leave. */
export const SIGNATURES: Readonly<Record<Scalar, readonly Signature[]>> = (() => {
  const all = [...OPCODES].flatMap(([name, opcode]) => signature(name, opcode) ?? []);
  const of = (type: Scalar): Signature[] => all.filter(({ result }) => result === type);
  return { i32: of("i32"), i64: of("i64"), f32: of("f32"), f64: of("f64"), v128: of("v128") };
})();

/** Whether the instruction makes NaNs whose bits the core specification leaves open. */
export function makesNaNs(name: string): boolean {
  return /^f(32|64)\.(add|sub|mul|div|min|max|ceil|floor|trunc|nearest|sqrt|demote|promote)|^f(32x4|64x2)\.(add|sub|mul|div|min|max|ceil|floor|trunc|nearest|sqrt|demote|promote)/.test(
    name,
  );
}

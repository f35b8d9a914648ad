/**
 * Random canister modules, valid by construction: functions with structured control, calls in all directions, memory, globals, a
 * table, segments and System API imports. Loops and calls use up a global (`fuel`), so that every program ends.
 */

import { functionBody, HEADER, leb, section, sleb, TYPE_BYTES, text, vector } from "./encode.testing.ts";
import { BodyGenerator } from "./generate-body.testing.ts";
import {
  constant,
  type Draw,
  drawFrom,
  type FunctionShape,
  type ModuleShape,
  typeIndex,
} from "./shape.testing.ts";
import type { Scalar } from "./signatures.testing.ts";

export interface GenerateOptions {
  readonly seed: number;
  /** Bounds the instructions of a function. */
  readonly size: number;
  readonly is64: boolean;
  readonly guarded: boolean;
  readonly vectors: boolean;
}

export const METHOD = "canister_update go";
export const FUEL = 60;

const SCALARS: readonly Scalar[] = ["i32", "i64", "f32", "f64"];
const IMPORTS: readonly (readonly [string, readonly (Scalar | "I")[], readonly (Scalar | "I")[]])[] = [
  ["performance_counter", ["i32"], ["i64"]],
  ["time", [], ["i64"]],
  ["msg_arg_data_size", [], ["I"]],
  ["debug_print", ["I", "I"], []],
  ["is_controller", ["I", "I"], ["i32"]],
  ["global_timer_set", ["i64"], ["i64"]],
  ["msg_reply", [], []],
];

/** A module with method `go` and exports of its memory and globals. */
export function generateModule(options: GenerateOptions): Uint8Array {
  const draw = drawFrom(options.seed);
  const shape = drawShape(options, draw);
  const bodies = shape.functions
    .slice(shape.importCount)
    .map((target) => new BodyGenerator(shape, target, draw, options.size).body());
  return encode(shape, [...bodies, methodBody(shape, draw)], draw);
}

function drawTypes(draw: Draw, most: number, vectors: boolean): Scalar[] {
  return Array.from({ length: draw(most + 1) }, () =>
    vectors && draw(6) === 0 ? "v128" : (SCALARS[draw(4)] as Scalar),
  );
}

function drawShape(options: GenerateOptions, draw: Draw): ModuleShape {
  const { is64, guarded, vectors } = options;
  const concrete = (type: Scalar | "I"): Scalar => (type === "I" ? (is64 ? "i64" : "i32") : type);
  const imported = IMPORTS.map(([, params, results]) => ({
    params: params.map(concrete),
    results: results.map(concrete),
  }));
  const own = Array.from({ length: 2 + draw(4) }, () => ({
    params: drawTypes(draw, 3, vectors),
    results: drawTypes(draw, 2, vectors),
  }));
  const types: FunctionShape[] = [];
  const functions = [...imported, ...own].map((item) => ({ ...item, type: typeIndex(types, item) }));
  const tableSize = 4 + draw(5);
  const globals: ModuleShape["globals"] = [
    { type: "i32", mutable: true },
    ...Array.from({ length: 6 }, (_, i) => ({
      type: vectors && i === 5 ? ("v128" as const) : (SCALARS[i % 4] as Scalar),
      mutable: i < 5 || draw(2) === 0,
    })),
    { type: "i64", mutable: false },
  ];
  return {
    is64,
    functions,
    types,
    importCount: imported.length,
    globals,
    tableSize,
    entries: Array.from({ length: tableSize - 2 }, () => draw(functions.length)),
    guarded,
    vectors,
  };
}

/** The method: fills the fuel and calls every function once with constants. */
function methodBody(shape: ModuleShape, draw: Draw): number[] {
  const { functions, importCount } = shape;
  const code = [0x41, ...sleb(FUEL), 0x24, 0];
  for (const [i, target] of functions.entries()) {
    if (i < importCount) continue;
    for (const type of target.params) code.push(...constant(type, draw));
    code.push(0x10, ...leb(i));
    for (const type of target.results.toReversed()) {
      const index = shape.globals.findIndex((item, k) => k > 0 && item.mutable && item.type === type);
      code.push(...(index < 0 ? [0x1a] : [0x24, ...leb(index)]));
    }
  }
  return functionBody([], [...code, 0x0b]);
}

function encode(shape: ModuleShape, bodies: readonly number[][], draw: Draw): Uint8Array {
  const { is64, functions, types, importCount, globals, tableSize, entries } = shape;
  const method = typeIndex(types, { params: [], results: [] });
  const bytesOf = (list: readonly Scalar[]): number[][] => list.map((type) => [TYPE_BYTES[type] as number]);
  const imports = IMPORTS.map(([name], i) => [
    ...text("ic0"),
    ...text(name),
    0,
    ...leb((functions[i] as { type: number }).type),
  ]);
  const own = [...functions.slice(importCount).map(({ type }) => leb(type)), leb(method)];
  const address = (at: number): number[] => [is64 ? 0x42 : 0x41, ...sleb(at), 0x0b];
  const exports = [
    [...text(METHOD), 0, ...leb(functions.length)],
    [...text("memory"), 2, 0],
    ...globals.map((_, i) => [...text(`global ${i}`), 3, ...leb(i)]),
  ];
  const content = Array.from({ length: 40 }, () => draw(256));
  const globalBytes = globals.map(({ type, mutable }, i) => [
    TYPE_BYTES[type] as number,
    mutable ? 1 : 0,
    ...(i === 0 ? [0x41, 0] : constant(type, draw)),
    0x0b,
  ]);
  return Uint8Array.from(
    [
      HEADER,
      section(
        1,
        vector(
          types.map(({ params, results }) => [0x60, ...vector(bytesOf(params)), ...vector(bytesOf(results))]),
        ),
      ),
      section(2, vector(imports)),
      section(3, vector(own)),
      section(4, vector([[0x70, 0, ...leb(tableSize)]])),
      section(5, vector([[is64 ? 5 : 1, 2, 4]])),
      section(6, vector(globalBytes)),
      section(7, vector(exports)),
      // The first and the last entry of the table stay null.
      section(
        9,
        vector([
          [0, 0x41, 1, 0x0b, ...vector(entries.map((index) => leb(index)))],
          [3, 0, ...vector([leb(importCount)])],
          [1, 0, ...vector([leb(0)])],
        ]),
      ),
      section(12, leb(2)),
      section(10, vector(bodies)),
      section(
        11,
        vector([
          [0, ...address(4070), ...leb(content.length), ...content],
          [1, ...leb(content.length), ...content],
        ]),
      ),
    ].flat(),
  );
}

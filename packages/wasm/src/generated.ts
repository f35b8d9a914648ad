/** The functions added to an instrumented module: wrappers of imports, helpers of rewritten bodies, entries for the host. */
import { type DecodedModule, type FunctionType, KIND_FUNCTION } from "./decode.ts";
import { IC0_IMPORTS } from "./ic0-imports.ts";
import {
  COUNTER_SHIFT,
  COUNTER_UNIT,
  EXPORT_CALLBACK,
  EXPORT_CHARGE,
  EXPORT_COUNTER_GET,
  EXPORT_COUNTER_SET,
  EXPORT_GLOBAL_GET,
  EXPORT_GLOBAL_SET,
  EXPORT_STACK_SET,
  EXPORT_START,
  HOOK_MEMORY_GROWN,
  HOOK_OUT_OF_INSTRUCTIONS,
  HOOK_TRAP,
  HOOKS,
  type Layout,
  MAP_COUNT_OFFSET,
  MAP_LIST_OFFSET,
  MAP_PAGES_MAX,
  mapFunction,
  TRAP_HOST_MEMORY,
} from "./layout.ts";
import { memoryPagesMax } from "./limits.ts";
import { profiledFunctions } from "./profile-code.ts";
import type { ValueType } from "./types.ts";
import { Writer } from "./writer.ts";

export interface GeneratedFunction {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
  /** Local declarations and code, without the size. */
  readonly body: Writer;
  /** Name under which the host finds it. */
  readonly exportName?: string;
}

const END = 0x0b;
const IF = 0x04;
const CALL = 0x10;
const GET = 0x20;
const SET = 0x21;
const TEE = 0x22;
const GLOBAL_GET = 0x23;
const GLOBAL_SET = 0x24;
const EMPTY = 0x40;

/** All generated functions, in the order of the layout's indices. */
export function generatedFunctions(
  m: DecodedModule,
  layout: Layout,
  callbackType: number,
): GeneratedFunction[] {
  const functions = m.importedFunctions.map((entry, i) =>
    wrapper(m.types[entry.typeIndex] as FunctionType, entry.name, i, layout),
  );
  if (layout.profileBase >= 0) functions.push(...profiledFunctions(m, layout));
  functions.push(charge(layout));
  if (layout.hasMemory) functions.push(grow(m, layout), mark(layout), markRange(layout));
  functions.push(...counterEntries(layout), ...globalEntries(m));
  const table = m.tables[0];
  if (table?.type === "funcref") functions.push(callback(layout, callbackType, table.is64));
  functions.push(...entries(m, layout));
  return functions;
}

function code(locals: readonly number[] = []): Writer {
  const w = new Writer(64);
  w.u32(locals.length);
  for (const type of locals) w.code(1, type);
  return w;
}

function callWhenNegative(w: Writer, layout: Layout): void {
  w.op(GLOBAL_GET, layout.counterGlobal);
  w.code(0x42, 0x00, 0x53, IF, EMPTY);
  w.op(CALL, HOOK_OUT_OF_INSTRUCTIONS);
  w.u8(END);
}

/** In front of an import: its static charge. It has the calling convention of the canister's functions (`passesCounter`). */
function wrapper(type: FunctionType, name: string, index: number, layout: Layout): GeneratedFunction {
  const w = code();
  if (layout.passesCounter) w.op(GET, type.params.length);
  else w.op(GLOBAL_GET, layout.counterGlobal);
  w.i64Const((IC0_IMPORTS.get(name)?.cost ?? 0) * COUNTER_UNIT);
  w.u8(0x7d);
  w.op(GLOBAL_SET, layout.counterGlobal);
  callWhenNegative(w, layout);
  for (let i = 0; i < type.params.length; i++) w.op(GET, i);
  w.op(CALL, HOOKS.length + index);
  if (layout.passesCounter) w.op(GLOBAL_GET, layout.counterGlobal);
  w.u8(END);
  return { ...callingConvention(type, layout), body: w };
}

/** The type that a function of the canister has in the instrumented module. */
export function callingConvention({ params, results }: FunctionType, layout: Layout): FunctionType {
  return layout.passesCounter
    ? { params: [...params, "i64"], results: [...results, "i64"] }
    : { params, results };
}

/** How the host calls a function of type `() -> ()`. */
function entry(target: number, exportName: string, layout: Layout): GeneratedFunction {
  const w = code();
  w.op(GLOBAL_GET, layout.counterGlobal);
  w.op(CALL, target);
  w.op(GLOBAL_SET, layout.counterGlobal);
  w.u8(END);
  return { params: [], results: [], body: w, exportName };
}

function entries(m: DecodedModule, layout: Layout): GeneratedFunction[] {
  if (!layout.passesCounter) return [];
  const functions = m.exports
    .filter((one) => one.kind === KIND_FUNCTION && one.name.startsWith("canister_"))
    .map((one) => entry(mapFunction(layout, one.index), one.name, layout));
  return m.start === null
    ? functions
    : [...functions, entry(mapFunction(layout, m.start), EXPORT_START, layout)];
}

/** The stack left, on the operand stack. */
function stackLeft(w: Writer, layout: Layout): void {
  w.op(GLOBAL_GET, layout.counterGlobal);
  w.i64Const(COUNTER_UNIT - 1);
  w.u8(0x83);
}

function instructionsLeft(w: Writer, layout: Layout): void {
  w.op(GLOBAL_GET, layout.counterGlobal);
  w.i64Const(COUNTER_SHIFT);
  w.u8(0x87);
}

/** Subtracts an unsigned amount; an underflow gives the smallest counter. */
function subtractSaturating(w: Writer, layout: Layout, amount: () => void, scratch: number): void {
  instructionsLeft(w, layout);
  amount();
  w.u8(0x7d);
  w.op(TEE, scratch);
  instructionsLeft(w, layout);
  w.u8(0x55); // greater than before
  w.op(GET, scratch);
  w.i64Const(COUNTER_MIN);
  w.code(0x53, 0x72, IF, EMPTY); // or less than can be held
  w.i64Const(COUNTER_MIN);
  w.op(SET, scratch);
  w.u8(END);
  w.op(GET, scratch);
  w.i64Const(COUNTER_SHIFT);
  w.u8(0x86);
  stackLeft(w, layout);
  w.u8(0x84);
  w.op(GLOBAL_SET, layout.counterGlobal);
  callWhenNegative(w, layout);
}

const COUNTER_MIN: number = -(2 ** (63 - COUNTER_SHIFT));

function charge(layout: Layout): GeneratedFunction {
  const w = code([0x7e]);
  subtractSaturating(w, layout, () => w.op(GET, 0), 1);
  w.u8(END);
  return { params: ["i64"], results: [], body: w };
}

/** `memory.grow` up to the canister's own maximum; the host is told after the engine has grown, and may refuse by throwing. */
function grow(m: DecodedModule, layout: Layout): GeneratedFunction {
  const type = layout.is64 ? "i64" : "i32";
  const w = code([layout.is64 ? 0x7e : 0x7f]);
  const constant = (value: number): void => (layout.is64 ? w.i64Const(value) : w.i32Const(value));
  const declared = m.memories[0];
  const max = Math.min(declared?.max ?? Number.POSITIVE_INFINITY, memoryPagesMax(layout.is64));
  w.op(GET, 0);
  constant(max);
  w.code(0x3f, 0x00, layout.is64 ? 0x7d : 0x6b, layout.is64 ? 0x56 : 0x4b, IF, EMPTY);
  constant(-1);
  w.code(0x0f, END);
  w.op(GET, 0);
  w.code(0x40, 0x00);
  w.op(TEE, 1);
  constant(-1);
  w.code(layout.is64 ? 0x51 : 0x46, IF, EMPTY);
  w.i32Const(TRAP_HOST_MEMORY);
  w.op(CALL, HOOK_TRAP);
  w.code(0x00, END);
  for (const local of [1, 0]) {
    w.op(GET, local);
    if (layout.is64) w.u8(0xa7);
  }
  w.op(CALL, HOOK_MEMORY_GROWN);
  w.op(GET, 1);
  w.u8(END);
  return { params: [type], results: [type], body: w };
}

/** Marks the page in local `page` (i32) unless it is marked: the map's byte, the list's entry, the count. */
function markPage(w: Writer, page: number, count: number): void {
  w.op(GET, page);
  w.code(0x2d, 0x40, 0x01, 0x00, 0x45, IF, EMPTY);
  w.op(GET, page);
  w.code(0x41, 0x01, 0x3a, 0x40, 0x01, 0x00);
  w.code(0x41, 0x00, 0x28, 0x42, 0x01);
  w.u32(MAP_COUNT_OFFSET);
  w.op(TEE, count);
  w.code(0x41, 0x02, 0x74);
  w.op(GET, page);
  w.code(0x36, 0x42, 0x01);
  w.u32(MAP_LIST_OFFSET);
  w.code(0x41, 0x00);
  w.op(GET, count);
  w.code(0x41, 0x01, 0x6a, 0x36, 0x42, 0x01);
  w.u32(MAP_COUNT_OFFSET);
  w.u8(END);
}

/** (address, bytes) → start of the address's page. Marks the pages of the first and the last byte; those beyond the map are left. */
function mark(layout: Layout): GeneratedFunction {
  const { is64 } = layout;
  const w = code([0x7f, 0x7f]); // 2: page, 3: count
  const toPage = (): void => {
    if (is64) {
      w.i64Const(12);
      w.code(0x88, 0xa7);
    } else w.code(0x41, 12, 0x76);
  };
  const markEnd = (address: () => void): void => {
    if (is64) {
      address();
      w.i64Const(MAP_PAGES_MAX * 4096 - 4096);
      w.code(0x58, IF, EMPTY); // in the map ?
    }
    address();
    toPage();
    w.op(SET, 2);
    markPage(w, 2, 3);
    if (is64) w.u8(END);
  };
  markEnd(() => w.op(GET, 0));
  markEnd(() => {
    w.op(GET, 0);
    w.op(GET, 1);
    if (is64) w.code(0xad, 0x7c, 0x42, 1, 0x7d);
    else w.code(0x6a, 0x41, 1, 0x6b);
  });
  w.op(GET, 0);
  if (is64) {
    w.i64Const(-4096);
    w.u8(0x83);
  } else {
    w.i32Const(-4096);
    w.u8(0x71);
  }
  w.u8(END);
  const address = is64 ? "i64" : "i32";
  return { params: [address, "i32"], results: [address], body: w };
}

/** (address, length): marks the range's pages when it lies in memory; otherwise the operator that follows traps. */
function markRange(layout: Layout): GeneratedFunction {
  const { is64 } = layout;
  const w = code([0x7e, 0x7f, 0x7f, 0x7f]); // 2: end, 3: page, 4: count, 5: last page
  const extend = (): void => {
    if (!is64) w.u8(0xad);
  };
  w.op(GET, 0);
  extend();
  w.op(GET, 1);
  extend();
  w.u8(0x7c);
  w.op(TEE, 2);
  w.code(0x3f, 0x00);
  extend();
  w.i64Const(16);
  w.code(0x86, 0x56); // end > size ?
  w.op(GET, 2);
  w.op(GET, 0);
  extend();
  w.code(0x58, 0x72, IF, EMPTY, 0x0f, END); // or end <= address (empty, or an overflow) ?
  w.op(GET, 0);
  if (is64) {
    w.i64Const(12);
    w.code(0x88, 0xa7);
  } else w.code(0x41, 12, 0x76);
  w.op(SET, 3);
  w.op(GET, 2);
  w.i64Const(1);
  w.u8(0x7d);
  w.i64Const(12);
  w.code(0x88, 0xa7);
  w.op(SET, 5);
  w.code(0x03, EMPTY);
  markPage(w, 3, 4);
  w.op(GET, 3);
  w.op(GET, 5);
  w.code(0x49, IF, EMPTY);
  w.op(GET, 3);
  w.code(0x41, 0x01, 0x6a);
  w.op(SET, 3);
  w.code(0x0c, 0x01, END, END, END);
  const address = is64 ? "i64" : "i32";
  return { params: [address, address], results: [], body: w };
}

function counterEntries(layout: Layout): GeneratedFunction[] {
  const get = code();
  instructionsLeft(get, layout);
  get.u8(END);
  const set = code();
  set.op(GET, 0);
  set.i64Const(COUNTER_SHIFT);
  set.u8(0x86);
  stackLeft(set, layout);
  set.u8(0x84);
  set.op(GLOBAL_SET, layout.counterGlobal);
  set.u8(END);
  const setStack = code();
  instructionsLeft(setStack, layout);
  setStack.i64Const(COUNTER_SHIFT);
  setStack.u8(0x86);
  setStack.op(GET, 0);
  setStack.code(0xad, 0x84);
  setStack.op(GLOBAL_SET, layout.counterGlobal);
  setStack.u8(END);
  const chargeFloat = code([0x7e]);
  subtractSaturating(
    chargeFloat,
    layout,
    () => {
      chargeFloat.op(GET, 0);
      chargeFloat.code(0xfc, 0x07); // i64.trunc_sat_f64_u
    },
    1,
  );
  chargeFloat.u8(END);
  return [
    { params: [], results: ["i64"], body: get, exportName: EXPORT_COUNTER_GET },
    { params: ["i64"], results: [], body: set, exportName: EXPORT_COUNTER_SET },
    { params: ["i32"], results: [], body: setStack, exportName: EXPORT_STACK_SET },
    { params: ["f64"], results: [], body: chargeFloat, exportName: EXPORT_CHARGE },
  ];
}

/** Accessors for the bits of mutable f32, f64 and v128 globals; JavaScript numbers would lose a NaN's bits. */
function globalEntries(m: DecodedModule): GeneratedFunction[] {
  return m.globals.flatMap((global, index) => {
    if (!global.mutable || global.type === "i32" || global.type === "i64") return [];
    const get = code();
    const set = code();
    const words: ValueType[] = global.type === "v128" ? ["i64", "i64"] : ["i64"];
    get.op(GLOBAL_GET, index);
    set.op(GET, 0);
    if (global.type === "f32") {
      get.code(0xbc, 0xad);
      set.code(0xa7, 0xbe);
    } else if (global.type === "f64") {
      get.u8(0xbd);
      set.u8(0xbf);
    } else {
      get.code(0xfd, 29, 0);
      get.op(GLOBAL_GET, index);
      get.code(0xfd, 29, 1);
      set.code(0xfd, 18);
      set.op(GET, 1);
      set.code(0xfd, 30, 1);
    }
    get.u8(END);
    set.op(GLOBAL_SET, index);
    set.u8(END);
    return [
      { params: [], results: words, body: get, exportName: `${EXPORT_GLOBAL_GET}${index}` },
      { params: words, results: [], body: set, exportName: `${EXPORT_GLOBAL_SET}${index}` },
    ];
  });
}

/** Calls entry (index) of table 0 with the callback's environment. */
function callback(layout: Layout, type: number, wideIndex: boolean): GeneratedFunction {
  const environment = layout.is64 ? "i64" : "i32";
  const w = code();
  w.op(GET, 1);
  if (layout.passesCounter) w.op(GLOBAL_GET, layout.counterGlobal);
  w.op(GET, 0);
  w.op(0x11, type);
  w.u8(0x00);
  if (layout.passesCounter) w.op(GLOBAL_SET, layout.counterGlobal);
  w.u8(END);
  return {
    params: [wideIndex ? "i64" : "i32", environment],
    results: [],
    body: w,
    exportName: EXPORT_CALLBACK,
  };
}

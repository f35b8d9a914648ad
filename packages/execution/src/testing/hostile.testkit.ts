/**
 * Modules made to hurt whoever takes them, and modules on either side of every limit of the format, each made by code when it is
 * asked for, with the verdict that an installation must come to (interface spec, "Canister module format"; limits and texts of the
 * replica). Written in the binary format, since most of them are what no assembler would make.
 */
import { gzipSync } from "node:zlib";
import {
  body,
  brTable,
  CODE,
  claiming,
  codeSection,
  custom,
  DATA,
  ELEMENT,
  END,
  EXPORT,
  exporting,
  FUNCTION,
  fill,
  filledTable,
  functions,
  GLOBAL,
  HEADER,
  I32,
  IMPORT,
  join,
  leb,
  MEMORY,
  MIB,
  module,
  NO_PARAMETERS,
  NOP,
  one,
  parameters,
  section,
  startLoop,
  TABLE,
  TYPE,
  table,
  vector,
  zeros,
} from "./hostile-bytes.testkit.ts";

/** What an installation answers: nothing more to say, or `IC0505` with a text that begins like this. */
export type Verdict = "installed" | { readonly refused: string };

export interface HostileModule {
  readonly name: string;
  readonly wasm: () => Uint8Array;
  readonly verdict: Verdict;
  /** Takes seconds: for the long run only. */
  readonly slow?: boolean;
}

const decoding = (why: string): Verdict => ({ refused: `Failed to decode wasm module: ${why}` });
const engine: Verdict = {
  refused: "Wasmtime failed to validate wasm module wasmtime::Module::validate() failed with ",
};
const PREFIX = "Wasm module ";
const refused = (why: string): Verdict => ({ refused: `${PREFIX}${why}` });

const METHODS = "`canister_update <name>`, `canister_query <name>`, or `canister_composite_query <name>`";
const tooManyMethods = (count: number): Verdict => ({
  refused: `The number of exported functions called ${METHODS} is ${count} which exceeds 1000.`,
});

const BOMBS: readonly HostileModule[] = [
  { name: "nothing", wasm: () => new Uint8Array(0), verdict: decoding("unsupported canister module format") },
  {
    name: "half a header",
    wasm: () => Uint8Array.from(HEADER.slice(0, 6)),
    verdict: decoding("not a Wasm module of version 1"),
  },
  { name: "the header and nothing else", wasm: () => module(), verdict: "installed" },
  {
    name: "a section of four billion bytes",
    wasm: () => module(join(TYPE, leb(2 ** 32 - 1))),
    verdict: decoding("section extends past the end of the module"),
  },
  ...(
    [
      ["types", TYPE, "types"],
      ["imports", IMPORT, "imports"],
      ["functions", FUNCTION, "functions"],
      ["tables", TABLE, "tables"],
      ["memories", MEMORY, "memories"],
      ["globals", GLOBAL, "globals"],
      ["exports", EXPORT, "exports"],
      ["element segments", ELEMENT, "element segments"],
      ["bodies", CODE, "function bodies"],
      ["data segments", DATA, "data segments"],
    ] as const
  ).map(
    ([name, id, what]): HostileModule => ({
      name: `four billion ${name} in five bytes`,
      wasm: () => module(section(id, leb(2 ** 32 - 1))),
      verdict: decoding(`${what}: more elements than bytes`),
    }),
  ),
  {
    name: "a count in six bytes",
    wasm: () => module(section(TYPE, [0x80, 0x80, 0x80, 0x80, 0x80, 0x00])),
    verdict: decoding("invalid LEB128 of 32 bits"),
  },
  {
    name: "a count above 32 bits",
    wasm: () => module(section(TYPE, [0xff, 0xff, 0xff, 0xff, 0x1f])),
    verdict: decoding("invalid LEB128 of 32 bits"),
  },
  {
    name: "a body longer than its section",
    wasm: () => {
      const [types, declared] = functions(body(0));
      return module(types, declared, section(CODE, 1, leb(MIB), 0, END));
    },
    verdict: decoding("unexpected end"),
  },
  {
    name: "a name of four billion bytes",
    wasm: () => module(section(0, leb(2 ** 32 - 1))),
    verdict: decoding("unexpected end"),
  },
  {
    name: "four billion locals in ten bytes",
    wasm: () => one([], join(1, leb(2 ** 32 - 1), I32)),
    verdict: engine,
  },
  { name: "200,000 custom sections", wasm: () => module(fill(200_000, 0, 1, 0)), verdict: "installed" },
  {
    name: "a gzip stream that ends in the middle",
    wasm: () => zeros(MIB).subarray(0, 500),
    // What would be the size is a piece of the data.
    verdict: { refused: "" },
  },
  {
    name: "100 MiB of zeros in 100 KiB",
    wasm: () => zeros(100 * MIB),
    verdict: decoding("not a Wasm module of version 1"),
  },
  {
    name: "one byte more than 100 MiB of zeros",
    wasm: () => zeros(100 * MIB + 1),
    verdict: refused("size of 104857601 exceeds the maximum allowed size of 104857600."),
  },
  {
    name: "300 MiB of zeros in three members",
    wasm: () => join(...Array.from({ length: 3 }, () => zeros(100 * MIB))),
    verdict: decoding("failed to decode compressed Wasm module: "),
    slow: true,
  },
  {
    name: "a module in a gzip stream in another",
    wasm: () => new Uint8Array(gzipSync(gzipSync(module()))),
    verdict: decoding("not a Wasm module of version 1"),
  },
  {
    name: "a module in two members",
    wasm: () => join(gzipSync(module().subarray(0, 3)), gzipSync(module().subarray(3))),
    verdict: decoding("failed to decode compressed Wasm module: "),
  },
  {
    name: "100 MiB of zeros that say they are eight bytes",
    wasm: () => claiming(zeros(100 * MIB), 8),
    verdict: decoding("failed to decode compressed Wasm module: "),
  },
  {
    name: "eight bytes that say they are 100 MiB",
    wasm: () => claiming(new Uint8Array(gzipSync(module())), 100 * MIB),
    verdict: decoding("failed to decode compressed Wasm module: "),
  },
  {
    name: "the beginning of a gzip stream",
    wasm: () => Uint8Array.of(0x1f, 0x8b, 0x08),
    verdict: decoding("invalid Wasm module: gzip stream is too short"),
  },
  {
    name: "490,000 blocks in one another",
    wasm: () => one(join(fill(490_000, 0x02, 0x40), fill(490_000, END))),
    verdict: refused(
      "contains a function at index 0 with complexity 24990001 which exceeds the maximum complexity allowed 1000000.",
    ),
  },
  {
    name: "490,000 loops in one another",
    wasm: () => one(join(fill(490_000, 0x03, 0x40), fill(490_000, END))),
    verdict: refused(
      "contains a function at index 0 with complexity 24990001 which exceeds the maximum complexity allowed 1000000.",
    ),
  },
  { name: "200,000 blocks that nobody closes", wasm: () => one(fill(200_000, 0x02, 0x40)), verdict: engine },
  {
    name: "a million types",
    wasm: () => module(section(TYPE, vector(1_000_000, NO_PARAMETERS))),
    verdict: refused("exceeds the engine's limits: "),
    slow: true,
  },
  { name: "a filled table of a million", wasm: () => filledTable(1_000_000), verdict: "installed" },
  {
    name: "10,000 exports",
    wasm: () => exporting(10_000, (i) => `canister_query ${i}`),
    verdict: tooManyMethods(10_000),
  },
];

/** Modules at a limit and one beyond it. */
const LIMITS: readonly HostileModule[] = [
  { name: "65,520 branch targets", wasm: () => brTable(65_520), verdict: "installed" },
  // Fewer than the 50,000 of the engine, which must have room for the locals of metering.
  { name: "48,900 locals", wasm: () => one([], join(1, leb(48_900), I32)), verdict: "installed" },
  {
    name: "48,901 locals",
    wasm: () => one([], join(1, leb(48_901), I32)),
    verdict: decoding("too many locals: more than 48900"),
  },
  {
    name: "50,000 locals",
    wasm: () => one([], join(1, leb(50_000), I32)),
    verdict: decoding("too many locals: more than 48900"),
  },
  { name: "50,001 locals", wasm: () => one([], join(1, leb(50_001), I32)), verdict: engine },
  { name: "1,000 parameters", wasm: () => parameters(1_000), verdict: "installed" },
  { name: "1,001 parameters", wasm: () => parameters(1_001), verdict: engine },
  {
    name: "50,000 functions",
    wasm: () => module(...functions(...Array.from({ length: 50_000 }, () => body(0)))),
    verdict: "installed",
  },
  {
    name: "50,001 functions",
    wasm: () => module(...functions(...Array.from({ length: 50_001 }, () => body(0)))),
    verdict: refused("defined 50001 functions which exceeds the maximum number allowed 50000."),
  },
  {
    name: "1,000 globals",
    wasm: () => module(section(GLOBAL, vector(1_000, [I32, 1, 0x41, 0, END]))),
    verdict: "installed",
  },
  {
    name: "1,001 globals",
    wasm: () => module(section(GLOBAL, vector(1_001, [I32, 1, 0x41, 0, END]))),
    verdict: refused("defined 1001 globals which exceeds the maximum number allowed 1000."),
  },
  { name: "a table of 1,000,000", wasm: () => table(1_000_000), verdict: "installed" },
  {
    name: "a table of 1,000,001",
    wasm: () => table(1_000_001),
    verdict: refused("defined 1 tables, the largest of 1000001 elements"),
  },
  {
    name: "two tables",
    wasm: () => module(section(TABLE, vector(2, [0x70, 0, 1]))),
    verdict: refused("defined 2 tables"),
  },
  {
    name: "a memory of 65,536 pages",
    wasm: () => module(section(MEMORY, 1, 0, leb(65_536))),
    verdict: "installed",
    slow: true,
  },
  {
    name: "a memory of 65,537 pages",
    wasm: () => module(section(MEMORY, 1, 0, leb(65_537))),
    verdict: engine,
  },
  {
    name: "two memories",
    wasm: () => module(section(MEMORY, vector(2, [0, 1]))),
    verdict: refused("has 2 memory sections but should have had 1"),
  },
  {
    name: "1,000 methods",
    wasm: () => exporting(1_000, (i) => `canister_update ${i}`),
    verdict: "installed",
  },
  {
    name: "1,001 methods",
    wasm: () => exporting(1_001, (i) => `canister_update ${i}`),
    verdict: tooManyMethods(1_001),
  },
  {
    name: "method names of 20,000 bytes",
    wasm: () => exporting(1, () => `canister_query ${"a".repeat(20_000)}`),
    verdict: "installed",
  },
  {
    name: "method names of 20,001 bytes",
    wasm: () => exporting(1, () => `canister_query ${"a".repeat(20_001)}`),
    verdict: {
      refused: `The sum of \`<name>\` lengths in exported functions called ${METHODS} is 20001 which exceeds the allowed limit of 20000.`,
    },
  },
  {
    name: "16 custom sections",
    wasm: () => module(...Array.from({ length: 16 }, (_, i) => custom(`icp:public ${i}`, 1))),
    verdict: "installed",
  },
  {
    name: "17 custom sections",
    wasm: () => module(...Array.from({ length: 17 }, (_, i) => custom(`icp:public ${i}`, 1))),
    verdict: refused("defined 17 custom sections which exceeds the maximum number allowed 16."),
  },
  {
    name: "a custom section of 1 MiB",
    wasm: () => module(custom("icp:private a", MIB - 1)),
    verdict: "installed",
  },
  {
    name: "a custom section of 1 MiB and a byte",
    wasm: () => module(custom("icp:private a", MIB)),
    verdict: refused(
      "has an invalid custom section. Invalid custom sections: total size of the custom sections exceeds the maximum " +
        "allowed: size 1048577 bytes, allowed 1048576 bytes",
    ),
  },
  { name: "a function of 1,000,000 operators", wasm: () => one(fill(999_999, NOP)), verdict: "installed" },
  {
    name: "a function of 1,000,001 operators",
    wasm: () => one(fill(1_000_000, NOP)),
    verdict: refused(
      "contains a function at index 0 with complexity 1000001 which exceeds the maximum complexity allowed 1000000.",
    ),
  },
];

/** Modules whose making or upload takes long. */
const LARGE: readonly HostileModule[] = [
  {
    name: "a code section of 10 MiB",
    wasm: () => new Uint8Array(gzipSync(codeSection(10 * MIB))),
    verdict: "installed",
    slow: true,
  },
  {
    name: "a code section of 10 MiB and a byte",
    wasm: () => new Uint8Array(gzipSync(codeSection(10 * MIB + 1))),
    verdict: refused("code section size of 10485761 exceeds the maximum allowed size of 10485760."),
  },
];

/** Never gets to its end: out of instructions in the start function. */
export const ENDLESS_START: () => Uint8Array = startLoop;

export const HOSTILE_MODULES: readonly HostileModule[] = [...BOMBS, ...LIMITS, ...LARGE];

/**
 * Modules made to hurt whoever takes them, each made by code when it is asked for, with the verdict that an installation must come to
 * (interface spec, "Canister module format"; texts of the replica). Written in the binary format, since most of them are what no
 * assembler would make. Those at limits are in a file of their own.
 */
import { gzipSync } from "node:zlib";
import {
  body,
  CODE,
  claiming,
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
  one,
  section,
  startLoop,
  TABLE,
  TYPE,
  vector,
  zeros,
} from "./hostile-bytes.testkit.ts";
import { LARGE, LIMITS } from "./hostile-limits.testkit.ts";
import {
  decoding,
  framing,
  type HostileModule,
  invalid,
  refused,
  tooManyMethods,
} from "./hostile-verdicts.testkit.ts";

export type { HostileModule, Verdict } from "./hostile-verdicts.testkit.ts";

const BOMBS: readonly HostileModule[] = [
  { name: "nothing", wasm: () => new Uint8Array(0), verdict: decoding("unsupported canister module format") },
  {
    name: "half a header",
    wasm: () => Uint8Array.from(HEADER.slice(0, 6)),
    verdict: framing("not a Wasm module of version 1"),
  },
  { name: "the header and nothing else", wasm: () => module(), verdict: "installed" },
  {
    name: "a section of four billion bytes",
    wasm: () => module(join(TYPE, leb(2 ** 32 - 1))),
    verdict: framing("section extends past the end of the module"),
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
      verdict: invalid(`${what}: more elements than bytes`),
    }),
  ),
  {
    name: "a count in six bytes",
    wasm: () => module(section(TYPE, [0x80, 0x80, 0x80, 0x80, 0x80, 0x00])),
    verdict: invalid("invalid LEB128 of 32 bits"),
  },
  {
    name: "a count above 32 bits",
    wasm: () => module(section(TYPE, [0xff, 0xff, 0xff, 0xff, 0x1f])),
    verdict: invalid("invalid LEB128 of 32 bits"),
  },
  {
    name: "a body longer than its section",
    wasm: () => {
      const [types, declared] = functions(body(0));
      return module(types, declared, section(CODE, 1, leb(MIB), 0, END));
    },
    verdict: invalid("unexpected end"),
  },
  {
    name: "a name of four billion bytes",
    wasm: () => module(section(0, leb(2 ** 32 - 1))),
    verdict: invalid("unexpected end"),
  },
  {
    name: "four billion locals in ten bytes",
    wasm: () => one([], join(1, leb(2 ** 32 - 1), I32)),
    verdict: invalid("too many locals: more than 48900"),
  },
  { name: "200,000 custom sections", wasm: () => module(fill(200_000, 0, 1, 0)), verdict: "installed" },
  {
    name: "a gzip stream that ends in the middle",
    wasm: () => claiming(zeros(MIB).subarray(0, 500), MIB),
    verdict: decoding("failed to decode compressed Wasm module: "),
  },
  {
    name: "100 MiB of zeros in 100 KiB",
    wasm: () => zeros(100 * MIB),
    verdict: framing("not a Wasm module of version 1"),
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
    verdict: framing("not a Wasm module of version 1"),
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
  {
    name: "200,000 blocks that nobody closes",
    wasm: () => one(fill(200_000, 0x02, 0x40)),
    verdict: invalid("control frames remain at end of function body or expression (at offset "),
  },
  {
    name: "a million types",
    wasm: () => module(section(TYPE, vector(1_000_000, NO_PARAMETERS))),
    verdict: refused("exceeds the engine's limits: 2000008 types, at most 1000000"),
    slow: true,
  },
  { name: "a filled table of a million", wasm: () => filledTable(1_000_000), verdict: "installed" },
  {
    name: "10,000 exports",
    wasm: () => exporting(10_000, (i) => `canister_query ${i}`),
    verdict: tooManyMethods(10_000),
  },
];

/** Never gets to its end: out of instructions in the start function. */
export const ENDLESS_START: () => Uint8Array = startLoop;

export const HOSTILE_MODULES: readonly HostileModule[] = [...BOMBS, ...LIMITS, ...LARGE];

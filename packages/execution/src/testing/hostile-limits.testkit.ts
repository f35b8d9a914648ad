/** Modules on either side of every limit of the format, most of them small in bytes (limits of the replica and of its engine). */
import { gzipSync } from "node:zlib";
import {
  body,
  brTable,
  codeSection,
  custom,
  dataSegments,
  END,
  elementSegments,
  exporting,
  fill,
  functionNamed,
  functions,
  GLOBAL,
  I32,
  imports,
  indirectCalls,
  join,
  leb,
  longBody,
  MEMORY,
  MIB,
  module,
  NOP,
  one,
  padded,
  parameters,
  results,
  section,
  TABLE,
  table,
  types,
  vector,
  WITH_64_BITS,
  WITH_MAXIMUM,
} from "./hostile-bytes.testkit.ts";
import { type HostileModule, invalid, METHODS, refused, tooManyMethods } from "./hostile-verdicts.testkit.ts";

/** Modules at a limit and one beyond it. */
export const LIMITS: readonly HostileModule[] = [
  { name: "65,520 branch targets", wasm: () => brTable(65_520), verdict: "installed" },
  {
    name: "65,521 branch targets",
    wasm: () => brTable(65_521),
    verdict: invalid("br_table size is out of bounds"),
  },
  // Fewer than the 50,000 of the engine, which must have room for the locals of metering.
  { name: "48,900 locals", wasm: () => one([], join(1, leb(48_900), I32)), verdict: "installed" },
  {
    name: "48,901 locals",
    wasm: () => one([], join(1, leb(48_901), I32)),
    verdict: invalid("too many locals: more than 48900"),
  },
  {
    name: "50,000 locals",
    wasm: () => one([], join(1, leb(50_000), I32)),
    verdict: invalid("too many locals: more than 48900"),
  },
  {
    name: "50,001 locals",
    wasm: () => one([], join(1, leb(50_001), I32)),
    verdict: invalid("too many locals: more than 48900"),
  },
  { name: "1,000 parameters", wasm: () => parameters(1_000), verdict: "installed" },
  {
    name: "1,001 parameters",
    wasm: () => parameters(1_001),
    verdict: invalid("function params size is out of bounds"),
  },
  { name: "1,000 results", wasm: () => results(1_000), verdict: "installed" },
  {
    name: "1,001 results",
    wasm: () => results(1_001),
    verdict: invalid("function returns size is out of bounds"),
  },
  // Each type is there twice in what the engine gets, which takes a million.
  { name: "499,996 types", wasm: () => types(499_996), verdict: "installed", slow: true },
  {
    name: "499,997 types",
    wasm: () => types(499_997),
    verdict: refused("exceeds the engine's limits: 1000002 types, at most 1000000"),
    slow: true,
  },
  { name: "100,000 data segments", wasm: () => dataSegments(100_000), verdict: "installed" },
  {
    name: "100,001 data segments",
    wasm: () => dataSegments(100_001),
    verdict: invalid("data segments count exceeds limit of 100000"),
  },
  { name: "100,000 element segments", wasm: () => elementSegments(100_000), verdict: "installed" },
  {
    name: "100,001 element segments",
    wasm: () => elementSegments(100_001),
    verdict: invalid("element segments count of 100001 exceeds the limit of 100000"),
  },
  {
    name: "a million element segments",
    wasm: () => elementSegments(1_000_000),
    verdict: invalid("element segments count of 1000000 exceeds the limit of 100000"),
  },
  // Metering imports five.
  { name: "999,995 imports", wasm: () => imports(999_995), verdict: "installed", slow: true },
  {
    name: "999,996 imports",
    wasm: () => imports(999_996),
    verdict: refused("exceeds the engine's limits: 1000001 imports, at most 1000000"),
    slow: true,
  },
  { name: "10,000 imports", wasm: () => imports(10_000), verdict: "installed" },
  {
    name: "an imported name of 100,000 bytes",
    wasm: () => imports(1, 100_000),
    verdict: refused("has an invalid import section. Module imports function 'ttt"),
  },
  {
    name: "an imported name of 100,001 bytes",
    wasm: () => imports(1, 100_001),
    verdict: invalid("string size out of bounds"),
  },
  {
    name: "10,000 exports of another kind",
    wasm: () => exporting(10_000, (i) => `e${i}`),
    verdict: "installed",
  },
  {
    name: "1,000,000 exports of another kind",
    wasm: () => exporting(1_000_000, (i) => `e${i}`),
    verdict: "installed",
    slow: true,
  },
  {
    name: "1,000,001 exports of another kind",
    wasm: () => exporting(1_000_001, (i) => `e${i}`),
    verdict: invalid("exports count exceeds limit of 1000000"),
    slow: true,
  },
  {
    name: "an exported name of 100,000 bytes",
    wasm: () => exporting(1, () => "a".repeat(100_000)),
    verdict: "installed",
  },
  {
    name: "an exported name of 100,001 bytes",
    wasm: () => exporting(1, () => "a".repeat(100_001)),
    verdict: invalid("string size out of bounds"),
  },
  // Names are for backtraces, where they are cut: any that fits a module may stand there.
  { name: "a function called a mebibyte", wasm: () => functionNamed(MIB), verdict: "installed" },
  {
    name: "a function called a mebibyte and a byte",
    wasm: () => functionNamed(MIB + 1),
    verdict: "installed",
  },
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
    verdict: invalid("memory size must be at most 0x10000 65536-byte pages"),
  },
  {
    name: "a 64-bit memory of 98,304 pages",
    wasm: () => module(section(MEMORY, 1, WITH_64_BITS, leb(98_304))),
    verdict: "installed",
  },
  {
    name: "a 64-bit memory of 98,305 pages",
    wasm: () => module(section(MEMORY, 1, WITH_64_BITS, leb(98_305))),
    verdict: refused("declares a memory of 98305 pages which exceeds the maximum allowed 98304."),
  },
  {
    name: "a 64-bit memory of up to 98,304 pages",
    wasm: () => module(section(MEMORY, 1, WITH_64_BITS + WITH_MAXIMUM, 0, leb(98_304))),
    verdict: "installed",
  },
  {
    name: "a 64-bit memory of up to 98,305 pages",
    wasm: () => module(section(MEMORY, 1, WITH_64_BITS + WITH_MAXIMUM, 0, leb(98_305))),
    verdict: refused("declares a memory of 98305 pages which exceeds the maximum allowed 98304."),
  },
  {
    name: "two memories",
    wasm: () => module(section(MEMORY, vector(2, [0, 1]))),
    verdict: invalid("multiple memories (at offset 0xa)"),
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
  { name: "a function of 19,999 calls", wasm: () => one(fill(19_999, 0x10, 0)), verdict: "installed" },
  {
    name: "a function of 20,000 calls",
    wasm: () => one(fill(20_000, 0x10, 0)),
    verdict: refused(
      "contains a function at index 0 with complexity 1000001 which exceeds the maximum complexity allowed 1000000.",
    ),
  },
  // Of the engine's 7,654,321 bytes metering takes 34.
  { name: "a body of 7,654,287 bytes", wasm: () => longBody(7_654_287), verdict: "installed", slow: true },
  {
    name: "a body of 7,654,288 bytes",
    wasm: () => longBody(7_654_288),
    verdict: refused(
      "exceeds the engine's limits: function 0 takes 7654322 bytes with its metering, at most 7654321",
    ),
    slow: true,
  },
  {
    // What a trap is counted with must fit as well.
    name: "a body that is too long only as it runs again after a trap",
    wasm: () => indirectCalls({ calls: 15_000, jumpTables: 22, nops: 200_000 }),
    verdict: refused(
      "exceeds the engine's limits: function 0 takes 7707703 bytes with its metering, at most 7654321",
    ),
  },
  {
    name: "a body of 7,654,322 bytes",
    wasm: () => longBody(7_654_322),
    verdict: invalid("function body size is out of bounds"),
    slow: true,
  },
];

/** Modules whose making or upload takes long. */
export const LARGE: readonly HostileModule[] = [
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
  {
    name: "a module of 100 MiB",
    wasm: () => new Uint8Array(gzipSync(padded(100 * MIB))),
    verdict: "installed",
    slow: true,
  },
  {
    name: "a module of 100 MiB and a byte",
    wasm: () => new Uint8Array(gzipSync(padded(100 * MIB + 1))),
    verdict: refused("size of 104857601 exceeds the maximum allowed size of 104857600."),
    slow: true,
  },
];

/**
 * Differential fuzzing with modules of a maintained generator, Binaryen's (`wasm-opt -ttf`), which turns random bytes into valid
 * modules, half of them with a 64-bit memory: each goes through modules.fuzz.ts on the optimising tier, on the baseline tier and moving
 * from one to the other, as the engine is by default and with the flags that nodes give it. There plain code, the oracle and both
 * instrumented forms must agree, so whatever agrees with the oracle in each of these ways agrees between them.
 *
 *     node packages/wasm/src/generator.fuzz.ts [SECONDS [SEED [FOLDER]]]
 *
 * The generator is large and installed for the run, in FOLDER (a temporary one by default, removed at the end), by npm. The same seed
 * makes the same modules. Prints the counts of each batch; exits 1, and keeps the folder, when something disagrees.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tamed } from "./oracle/tame.testing.ts";

const GENERATOR = "binaryen@132.0.0";
/** What canisters may use: a module with anything else would only be refused. */
const FEATURES: readonly string[] = [
  "--mvp-features",
  "--enable-simd",
  "--enable-bulk-memory",
  "--enable-sign-ext",
  "--enable-nontrapping-float-to-int",
  "--enable-multivalue",
  "--enable-mutable-globals",
  "--enable-memory64",
];
/** Modules with references, each tamed: it takes as long again to make one. */
const REFERENCES_EVERY = 3;
/** What the engine is told, by name. Functions are inlined in what has run before it is optimised only, so soon. */
const TIERS: Readonly<Record<string, readonly string[]>> = {
  optimising: ["--no-liftoff"],
  baseline: ["--liftoff-only"],
  "both in turn": ["--wasm-sync-tier-up", "--wasm-tiering-budget=300", "--wasm-inlining-ignore-call-counts"],
};
/** A process of a node starts like this. */
const PREPARED = `data:text/javascript,${encodeURIComponent(
  `import { prepareEngine } from ${JSON.stringify(import.meta.resolve("@orrery/host/engine-flags"))}; prepareEngine();`,
)}`;
const MODULES_PER_BATCH = 50;
const BYTES_MIN = 500;
const BYTES_RANGE = 6_000;

/** The bytes that module `index` is made of. */
function bytesOf(seed: number, index: number): Uint8Array {
  const hash = (block: number): Buffer =>
    createHash("sha256").update(`modules ${seed} ${index} ${block}`).digest();
  const length = BYTES_MIN + (hash(0).readUInt32BE() % BYTES_RANGE);
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, block) => hash(block + 1));
  return Buffer.concat(blocks).subarray(0, length);
}

/** Makes module `index`; false when the tool does not take what it made, tamed. */
function generate(folder: string, seed: number, index: number): boolean {
  const input = join(folder, "input");
  writeFileSync(input, bytesOf(seed, index));
  const output = join(folder, "modules", `${seed}-${index}.wasm`);
  const bounds = index % 2 === 0 ? ["--no-fuzz-oob"] : [];
  const tool = join(folder, "node_modules", "binaryen", "bin", "wasm-opt");
  const isReferring = index % REFERENCES_EVERY === 0;
  const features = [...FEATURES, ...(isReferring ? ["--enable-reference-types"] : [])];
  const run = (...args: readonly string[]): void => {
    // Optimising the tool itself takes longer than its work.
    execFileSync(process.execPath, ["--liftoff-only", tool, ...features, ...args], { stdio: "ignore" });
  };
  const make = ["-ttf", `-O${(index >> 1) % 3}`, ...bounds, input];
  if (!isReferring) {
    run(...make, "-o", output);
    return true;
  }
  const text = join(folder, "module.wat");
  run(...make, "-S", "-o", text);
  writeFileSync(text, tamed(readFileSync(text, "utf8")));
  try {
    run(text, "-o", output);
    return true;
  } catch {
    return false;
  }
}

/** Runs the modules as the engine is told; whether all agreed. */
function check(folder: string, tier: string, prepared: boolean): boolean {
  const script = fileURLToPath(new URL("./modules.fuzz.ts", import.meta.url));
  const flags = [...(TIERS[tier] ?? []), ...(prepared ? ["--import", PREPARED] : [])];
  const run = spawnSync(process.execPath, [...flags, script, join(folder, "modules")], { encoding: "utf8" });
  console.log(`${tier}${prepared ? ", with the flags of nodes" : ""}\n${run.stdout}${run.stderr}`);
  return run.status === 0;
}

/** In every way; whether all agreed. */
function checkAll(folder: string): boolean {
  const ways = Object.keys(TIERS).flatMap((tier) =>
    [false, true].map((prepared) => [tier, prepared] as const),
  );
  return ways.map(([tier, prepared]) => check(folder, tier, prepared)).every(Boolean);
}

function main(): number {
  const [seconds = 120, seed = 1] = process.argv.slice(2, 4).map(Number);
  const given = process.argv[4];
  const folder = given ?? mkdtempSync(join(tmpdir(), "orrery-modules-"));
  console.error(`installing ${GENERATOR} in ${folder}`);
  execFileSync("npm", [
    "install",
    "--silent",
    "--no-save",
    "--ignore-scripts",
    "--prefix",
    folder,
    GENERATOR,
  ]);
  const started = performance.now();
  for (let index = 0; performance.now() - started < seconds * 1000; ) {
    rmSync(join(folder, "modules"), { recursive: true, force: true });
    mkdirSync(join(folder, "modules"), { recursive: true });
    let made = 0;
    for (let n = 0; n < MODULES_PER_BATCH; n++, index++) made += generate(folder, seed, index) ? 1 : 0;
    console.log(`modules ${index - MODULES_PER_BATCH} to ${index - 1} of seed ${seed}: ${made} made`);
    if (!checkAll(folder)) {
      console.log(`they disagree: the modules are in ${join(folder, "modules")}`);
      return 1;
    }
  }
  if (given === undefined) rmSync(folder, { recursive: true, force: true });
  return 0;
}

process.exitCode = main();

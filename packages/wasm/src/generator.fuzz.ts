/**
 * Differential fuzzing with modules of a maintained generator, Binaryen's (`wasm-opt -ttf`), which turns random bytes into valid
 * modules: each goes through modules.fuzz.ts twice, on the optimising and on the baseline tier. There plain code, the oracle and both
 * instrumented forms must agree, so whatever agrees with the oracle on both tiers agrees between them.
 *
 *     node packages/wasm/src/generator.fuzz.ts [SECONDS [SEED [FOLDER]]]
 *
 * The generator is large and installed for the run, in FOLDER (a temporary one by default, removed at the end), by npm. The same seed
 * makes the same modules. Prints the counts of each batch; exits 1, and keeps the folder, when something disagrees.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

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
];
const TIERS: readonly string[] = ["--no-liftoff", "--liftoff-only"];
const MODULES_PER_BATCH = 20;
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

function generate(folder: string, seed: number, index: number): void {
  const input = join(folder, "input");
  writeFileSync(input, bytesOf(seed, index));
  const output = join(folder, "modules", `${seed}-${index}.wasm`);
  const bounds = index % 2 === 0 ? ["--no-fuzz-oob"] : [];
  const args = ["-ttf", `-O${index % 3}`, "-o", output, ...FEATURES, ...bounds, input];
  const tool = join(folder, "node_modules", "binaryen", "bin", "wasm-opt");
  execFileSync(process.execPath, [tool, ...args], { stdio: "ignore" });
}

/** Runs the modules on one tier; whether all agreed. */
function check(folder: string, tier: string): boolean {
  const script = fileURLToPath(new URL("./modules.fuzz.ts", import.meta.url));
  const run = spawnSync(process.execPath, [tier, script, join(folder, "modules")], { encoding: "utf8" });
  console.log(`${tier}\n${run.stdout}${run.stderr}`);
  return run.status === 0;
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
    for (let n = 0; n < MODULES_PER_BATCH; n++, index++) generate(folder, seed, index);
    console.log(`modules ${index - MODULES_PER_BATCH} to ${index - 1} of seed ${seed}`);
    if (!TIERS.map((tier) => check(folder, tier)).every(Boolean)) {
      console.log(`they disagree: the modules are in ${join(folder, "modules")}`);
      return 1;
    }
  }
  if (given === undefined) rmSync(folder, { recursive: true, force: true });
  return 0;
}

process.exitCode = main();

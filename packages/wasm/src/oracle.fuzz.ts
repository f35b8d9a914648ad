/**
 * Random modules on the oracle, both instrumented forms and the plain engine, for as long as wanted.
 *
 *     node packages/wasm/src/oracle.fuzz.ts [SECONDS [FIRST_SEED]]
 *
 * Prints progress and outcomes; at a disagreement the seed, the smallest size at which it remains, and that module's text, and
 * exits 1. One seed gives one run.
 */
import wabt from "wabt";
import { compare } from "./oracle/compare.testing.ts";
import { type GenerateOptions, generateModule } from "./oracle/generate.testing.ts";
import { drawFrom } from "./oracle/shape.testing.ts";

const PROGRESS_MS = 10_000;
const UNLIMITED = 10n ** 12n;

/** What a seed stands for. */
function plan(seed: number): GenerateOptions & { limit: bigint; refills: number; plain: boolean } {
  const draw = drawFrom(seed ^ 0x5eed);
  const isLimited = draw(3) === 0;
  const guarded = draw(2) === 0;
  return {
    seed,
    size: 3 + draw(250),
    is64: draw(2) === 0,
    guarded,
    vectors: !guarded,
    limit: isLimited ? BigInt(draw(6000)) : UNLIMITED,
    refills: isLimited ? draw(8) : 0,
    plain: guarded && !isLimited,
  };
}

function attempt(seed: number, size?: number): { outcomes: string[]; error: unknown } {
  const options = plan(seed);
  try {
    const wasm = generateModule({ ...options, size: size ?? options.size });
    return { outcomes: compare(wasm, options).map(({ outcome }) => outcome), error: null };
  } catch (error) {
    return { outcomes: [], error };
  }
}

async function report(seed: number): Promise<void> {
  const options = plan(seed);
  let size = 1;
  while (attempt(seed, size).error === null) size++;
  const { error } = attempt(seed, size);
  const module = (await wabt()).readWasm(generateModule({ ...options, size }), { memory64: true });
  console.log(module.toText({}));
  console.log(`seed ${seed}, size ${size}: ${error instanceof Error ? error.stack : error}`);
}

const [seconds = 60, firstSeed = 1] = process.argv.slice(2).map(Number);
const startedMs = performance.now();
let printedMs = startedMs;
const counts = new Map<string, number>();
let seed = firstSeed;
for (; performance.now() - startedMs < seconds * 1000; seed++) {
  const { outcomes, error } = attempt(seed);
  if (error !== null) {
    await report(seed);
    process.exit(1);
  }
  for (const outcome of outcomes) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  if (performance.now() - printedMs > PROGRESS_MS) {
    printedMs = performance.now();
    console.error(`${seed - firstSeed + 1} modules in ${Math.round((printedMs - startedMs) / 1000)} s`);
  }
}
console.log(`${seed - firstSeed} modules agreed (seeds ${firstSeed} to ${seed - 1}); messages by outcome:`);
for (const [outcome, count] of [...counts].sort(([, a], [, b]) => b - a))
  console.log(`${String(count).padStart(7)}  ${outcome}`);

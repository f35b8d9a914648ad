/**
 * What instrumentation costs: every method of bench/workloads/workloads.wasm (source and build command in workloads.c) run
 * as it is, in the fast and in the exact form, the best of some warm runs. Checks on the way that results and counts agree.
 * Run: node bench/src/instrumentation.ts [rounds]
 */
import { readFileSync } from "node:fs";
import { prepareEngine } from "@orrery/host/engine-flags";
import { type CanisterInstance, createEngine } from "@orrery/wasm";

const ROUNDS = Number(process.argv[2] ?? 7);
const LIMIT = (1n << 40n) - 1n;

function best(run: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < ROUNDS; i++) {
    const start = performance.now();
    run();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

function main(): void {
  prepareEngine();
  const wasm = new Uint8Array(readFileSync(new URL("../workloads/workloads.wasm", import.meta.url)));
  const plain = new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports as Record<string, () => void>;
  const engine = createEngine();
  const compiled = engine.compile(wasm);
  if (!compiled.ok) throw new Error(compiled.error.message);
  const { info, image } = compiled.value;
  const instantiate = (form: "fast" | "exact"): CanisterInstance => {
    const memory = engine.memories.acquire({ is64: false, pages: info.memory?.minPages ?? 0 });
    const instance = engine.instantiate(compiled.value, { memory, ic0: {}, form });
    for (const [i, page] of image.pages.entries()) instance.write(page * 4096, image.bytes[i] as Uint8Array);
    return instance;
  };
  const fast = instantiate("fast");
  const exact = instantiate("exact");
  console.log("workload             plain ms   fast  exact   M instructions   dirty pages");
  for (const name of info.methods.update) {
    const method = `canister_update ${name}`;
    const run = (instance: CanisterInstance): bigint => {
      instance.clearDirty();
      instance.setCounter(LIMIT);
      instance.call(method);
      return LIMIT - instance.counter();
    };
    const counts = [run(fast), run(exact)];
    plain[method]?.();
    if (counts[0] !== counts[1]) throw new Error(`${name}: counts differ: ${counts}`);
    const base = best(() => plain[method]?.());
    const slow = best(() => run(exact));
    const quick = best(() => run(fast));
    console.log(
      name.padEnd(20),
      base.toFixed(2).padStart(8),
      (quick / base).toFixed(2).padStart(6),
      (slow / base).toFixed(2).padStart(6),
      (Number(counts[0]) / 1e6).toFixed(1).padStart(16),
      String(fast.dirtyPages().length).padStart(13),
    );
  }
}

main();

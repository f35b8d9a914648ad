/**
 * What the engine is told before anything else is loaded. Its limits on inlining are counted in bytes of WebAssembly, and
 * instrumented code has two to three times as many as the canister's own: under the default limits small functions that a compiler
 * counts on being inlined stay calls. With these, instrumented programs are inlined as they would be without instrumentation.
 *
 * To be called first thing in a process, in a module that its threads do not load: compiled modules are cached under the flags they
 * were compiled with. None of these changes what a program computes; an engine that does not know one says so and goes on.
 */
import { setFlagsFromString } from "node:v8";

const FLAGS: readonly string[] = [
  // Bytes of a function that may be inlined; 500 by default.
  "--wasm-inlining-max-size=2000",
  // How far a function may grow by it: in bytes (5,000 and 50 by default), and as a multiple of its size (3).
  "--wasm-inlining-budget=20000",
  "--wasm-inlining-min-budget=500",
  "--wasm-inlining-factor=5",
];

/** Sets the process up for instrumented code. */
export function prepareEngine(): void {
  for (const flag of FLAGS) setFlagsFromString(flag);
}

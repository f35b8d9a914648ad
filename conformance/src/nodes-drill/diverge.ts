/**
 * The switch of nodes that come to another state than their subnet, for tests: it lies outside of the node's own build, which knows nothing of it.
 * A process that loads this before its program (`--import`, its threads then too) executes blocks by `diverging-execution.ts`.
 */
import { registerHooks } from "node:module";

const REAL_EXECUTION: string = new URL("./subnet-execution.ts", import.meta.resolve("@orrery/node")).href;
const OWN_EXECUTION: string = new URL("./diverging-execution.ts", import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    return found.url === REAL_EXECUTION && context.parentURL !== OWN_EXECUTION
      ? { ...found, url: OWN_EXECUTION }
      : found;
  },
});

/**
 * Loaded before each test file of `npm test`: properties are tried with the same values in every run, so that a change is all that can make one fail.
 * `node --test FILE` draws new values each time.
 */
import { registerHooks } from "node:module";

const SEED = 20_260_101;
const SEEDED = "?seeded";

registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context);
    return specifier === "fast-check" ? { ...resolved, url: `${resolved.url}${SEEDED}` } : resolved;
  },
  load(url, context, next) {
    if (!url.endsWith(SEEDED)) return next(url, context);
    const from = JSON.stringify(url.slice(0, -SEEDED.length));
    const source = `import fc from ${from}; fc.configureGlobal({ seed: ${SEED} }); export * from ${from}; export default fc;`;
    return { format: "module", source, shortCircuit: true };
  },
});

/**
 * Our verifier against the published one, for as long as one likes: `node cross-check.fuzz.ts [CASES] [SEED]`. A disagreement is
 * shown shrunk, with the seed that leads to it.
 */
import { createMclBls } from "@orrery/crypto/mcl";
import fc from "fast-check";
import { currentCase, judge, legacyCase } from "./cross-check.testkit.ts";

const [cases = "100", seed = "1"] = process.argv.slice(2);
const CHANGES = 26;

const bls = await createMclBls();
for (const drawn of [currentCase(bls), legacyCase(bls)]) {
  const property = fc.property(drawn, fc.nat(), (original, n) => {
    judge(bls, original, n, CHANGES);
  });
  fc.assert(property, { numRuns: Number(cases), seed: Number(seed) });
}
process.stdout.write(`${cases} cases of each version with ${CHANGES} changes agreed\n`);

/** Everything that the gateway decodes, for as long as one likes: `node decoders.fuzz.ts [RUNS] [SEED]`. */
import { createMclBls } from "@orrery/crypto/mcl";
import { decoderProperties } from "./decoders.testkit.ts";

const [runs = "10000", seed = "1"] = process.argv.slice(2);

for (const { name, check } of decoderProperties(await createMclBls())) {
  const failure = check(Number(runs), Number(seed));
  if (failure !== null) throw new Error(`${name}: ${failure}`);
  process.stdout.write(`${name}: ${runs} runs\n`);
}

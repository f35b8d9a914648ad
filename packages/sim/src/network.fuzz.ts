/**
 * The long network workload: subnets of every kind, every fault of slices, small and large streams. Arguments: first seed, number of
 * seeds (`node packages/sim/src/network.fuzz.ts 1 100`). Stops at the first fault, whose seed it names.
 */
import { ed25519ToDer, sha256 } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { runNetworkWorkload } from "./network-workload.ts";
import { seededRandom } from "./random.ts";

const [first = 1, count = 20] = process.argv.slice(2).map(Number);
const bls = await createMclBls();
const TYPES = ["application", "verified_application", "system"] as const;
const FAULTS = [
  "delayed",
  "duplicated",
  "dropped",
  "partial",
  "truncated",
  "damaged",
  "misSigned",
  "stale",
] as const;
let messages = 0;
let refused = 0;

for (let seed = first; seed < first + count; seed++) {
  const random = seededRandom(seed, 0xf022);
  const subnets = Array.from({ length: 2 + random.below(5) }, (_, i) => ({
    type: i === 0 ? ("system" as const) : (TYPES[random.below(TYPES.length)] ?? "application"),
    feeSize: 13,
  }));
  const faults = Object.fromEntries(
    FAULTS.map((fault) => [fault, random.chance(0.5) ? random.next() / 2 : 0]),
  );
  const narrow = random.chance(0.5);
  const report = runNetworkWorkload({
    seed,
    subnets,
    bls,
    ed25519PublicKeyDer: (secret) => ed25519ToDer(sha256(secret)),
    faults,
    stall: random.next() / 3,
    restart: random.next() / 10,
    ...(narrow
      ? {
          limits: {
            streamMessages: 1 + random.below(8),
            streamBytes: 3_000,
            systemStreamMessages: 1 + random.below(3),
          },
        }
      : {}),
    canistersPerSubnet: 1 + random.below(4),
    steps: 60,
    callsPerStep: 1 + random.below(6),
  });
  messages += report.messages;
  refused += report.refused;
  console.log(
    `seed ${seed}: ${subnets.length} subnets, ${messages} messages and ${refused} refused slices so far, trace ${report.traceHash.slice(0, 16)}`,
  );
}

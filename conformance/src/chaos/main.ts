/** `node conformance/src/chaos/main.ts [FIRST] [SEEDS] [ROUNDS]`: the chaos with many seeds. Ends with 1 at the first that fails. */
import { chaos } from "./chaos.testkit.ts";

const [first = 1, seeds = 100, rounds = 60] = process.argv.slice(2).map(Number);
let sent = 0;
for (let seed = first; seed < first + seeds; seed++) {
  sent += chaos({ seed, rounds }).sent;
  if ((seed - first) % 10 === 9) console.log(`${seed - first + 1} seeds, ${sent} messages`);
}
console.log(`${seeds} seeds, ${sent} messages, no fault`);

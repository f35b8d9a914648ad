/**
 * Modules of any generator (`wasm-opt -ttf`, `wasm-tools smith`, compilers) on the plain engine, the oracle and both instrumented
 * forms: every exported function is called with a few operands, one after another on the same instance; outcomes, results,
 * memory and counts must agree. Imported functions return zeros.
 *
 *     node packages/wasm/src/modules.fuzz.ts FOLDER
 *
 * Prints how many modules and calls agreed, what was refused, and every disagreement; exits 1 when there is one, or when no module was
 * compared.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createEngine } from "./index.ts";
import { internalise, NotAlone } from "./oracle/internalise.testing.ts";
import {
  CanisterPlayer,
  disagreement,
  OraclePlayer,
  PlainPlayer,
  type Player,
} from "./oracle/players.testing.ts";

/** Operands as words; each call uses as many as it needs, in turn. */
const WORDS: readonly bigint[] = [
  0n,
  1n,
  0xffffffffn,
  0x3f800000n,
  0x7fc00001n,
  1n << 63n,
  0x4009_21fb_5444_2d18n,
  77n,
];
const CALLS_PER_FUNCTION = 3;

const counts = new Map<string, number>();
let failures = 0;

function count(what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

function sameMemory([, oracle, ...ours]: readonly Player[]): string | null {
  const expected = (oracle as Player).memory();
  const other = ours.find((player) => Buffer.compare(player.memory(), expected) !== 0);
  return other === undefined ? null : `${other.name}: memory`;
}

/** What is wrong with a module, or null. */
function check(wasm: Uint8Array): string | null {
  const module = internalise(wasm, { stubs: true });
  const engine = createEngine();
  const compiled = engine.compile(module.wasm);
  if (!compiled.ok) {
    count(`refused: ${compiled.error.message.replaceAll(/\d+/g, "N").slice(0, 120)}`);
    return null;
  }
  const players: Player[] = [new PlainPlayer(module), new OraclePlayer(module)];
  for (const form of ["fast", "exact"] as const)
    players.push(new CanisterPlayer(module, form, engine, compiled.value));
  const started = players.map((player) => player.start());
  const problem = disagreement(players, started);
  if (problem !== null) return `start: ${problem}`;
  if (started[0]?.kind !== "returned") {
    count(`modules whose start function ${started[0]?.kind}`);
    return null;
  }
  let turn = 0;
  for (let n = 0; n < CALLS_PER_FUNCTION; n++) {
    for (const entry of module.entries) {
      const words = Array.from({ length: module.ports }, () => WORDS[turn++ % WORDS.length] as bigint);
      const outcomes = players.map((player) => player.call(entry, words));
      const found = disagreement(players, outcomes) ?? sameMemory(players);
      if (found !== null) return `${entry.exportName}, call ${n}: ${found}`;
      count(`calls ${outcomes[1]?.kind}`);
    }
  }
  count("modules");
  return null;
}

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error("usage: node packages/wasm/src/modules.fuzz.ts FOLDER");
  process.exit(2);
}
for (const name of readdirSync(folder).sort()) {
  if (!name.endsWith(".wasm")) continue;
  try {
    const problem = check(new Uint8Array(readFileSync(join(folder, name))));
    if (problem === null) continue;
    failures++;
    console.log(`✖ ${name}: ${problem}`);
  } catch (error) {
    if (error instanceof NotAlone) count(`not run: ${error.message}`);
    else {
      failures++;
      console.log(`✖ ${name}: ${error instanceof Error ? error.stack : error}`);
    }
  }
}
for (const [what, n] of [...counts].sort(([, a], [, b]) => b - a))
  console.log(`${String(n).padStart(7)}  ${what}`);
console.log(`failed: ${failures}`);
process.exitCode = failures === 0 && counts.has("modules") ? 0 : 1;

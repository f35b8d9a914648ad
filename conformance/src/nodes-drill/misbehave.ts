/**
 * The switch of the process of a drill that misbehaves: it lies outside of the node's own build, which knows nothing of it. Once it is imported,
 * the node's rounds are those of `misbehaving-rounds.ts`, which do as this says at each moment.
 */
import { registerHooks } from "node:module";
import type { actorFor } from "@orrery/sim/misbehaving";

export type Misbehaviour = NonNullable<Parameters<typeof actorFor>[0]>[number];

export const REAL_ROUNDS: string = new URL("./replica/replica-rounds.ts", import.meta.resolve("@orrery/node"))
  .href;
const OWN_ROUNDS: string = new URL("./misbehaving-rounds.ts", import.meta.url).href;

/** How it misbehaves now; null: it does as it should. Counts what others were not told as it is. */
export const conduct: { how: Misbehaviour | null; generation: number; twisted: number } = {
  how: null,
  generation: 0,
  twisted: 0,
};

export function misbehave(how: Misbehaviour | null): void {
  conduct.how = how;
  conduct.generation++;
}

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    return found.url === REAL_ROUNDS && context.parentURL !== OWN_ROUNDS
      ? { ...found, url: OWN_ROUNDS }
      : found;
  },
});

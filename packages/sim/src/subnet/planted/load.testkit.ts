/**
 * Loads the simulator and consensus once more with a bug planted: modules of both have the plant's number in their address, so that each
 * plant has its own. The rest of the program is shared.
 */
import { readFileSync } from "node:fs";
import { registerHooks, stripTypeScriptTypes } from "node:module";
import { fileURLToPath } from "node:url";
import { PLANTS, plantIn } from "./plants.testkit.ts";

const MARK = "?planted=";
const ANEW = /\/packages\/(consensus\/src|sim\/src\/(subnet|simulate))\//;

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    const mark = context.parentURL?.split(MARK)[1];
    if (mark === undefined || found.url.includes(MARK) || !ANEW.test(found.url)) return found;
    return { ...found, url: `${found.url}${MARK}${mark}` };
  },
  load(url, context, next) {
    const [address, mark] = url.split(MARK);
    if (address === undefined || mark === undefined) return next(url, context);
    const source = readFileSync(fileURLToPath(address), "utf8");
    const plant = PLANTS[Number(mark)];
    const isPlace = plant !== undefined && address.endsWith(`/consensus/src/member/${plant.file}`);
    const text = isPlace ? plantIn(source, plant) : source;
    return { format: "module", source: stripTypeScriptTypes(text), shortCircuit: true };
  },
});

type Runs = typeof import("./try.testkit.ts");

/** The battery with a plant. */
export function loadPlanted(number: number): Promise<Runs> {
  return import(`./try.testkit.ts${MARK}${number}`) as Promise<Runs>;
}

type Explores = typeof import("../explore/menus.ts");

/** Explorations with a plant. */
export function exploringPlanted(number: number): Promise<Explores> {
  return import(`../explore/menus.ts${MARK}${number}`) as Promise<Explores>;
}

type Simulates = typeof import("../../simulate/simulate.ts");

/** Simulated networks with a plant. */
export function simulatingPlanted(number: number): Promise<Simulates> {
  return import(`../../simulate/simulate.ts${MARK}${number}`) as Promise<Simulates>;
}

type Shrinks = typeof import("../../simulate/shrink.ts");

/** Simulated networks and their shrinking with a plant. */
export function shrinkingPlanted(number: number): Promise<Shrinks> {
  return import(`../../simulate/shrink.ts${MARK}${number}`) as Promise<Shrinks>;
}

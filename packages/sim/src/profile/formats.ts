/** Profiles in the formats of other tools: folded stacks, and speedscope's file format (both documented by their projects). */
import type { FunctionProfile } from "@orrery/wasm";

/**
 * A line for each stack: its functions from the outermost, separated by semicolons, then its instructions. What
 * `flamegraph.pl`, inferno, speedscope and others read.
 */
export function profileToFolded({ stacks }: FunctionProfile): string {
  const lines = new Map<string, bigint>();
  for (const { frames, instructions } of stacks) {
    const key = frames.map(foldable).join(";");
    lines.set(key, (lines.get(key) ?? 0n) + instructions);
  }
  return [...lines].map(([key, instructions]) => `${key} ${instructions}\n`).join("");
}

/** A name without what separates frames and lines. */
function foldable(name: string): string {
  return name.replaceAll(";", ",").replaceAll(/[\r\n]+/g, " ");
}

const SPEEDSCOPE_SCHEMA = "https://www.speedscope.app/file-format-schema.json";

/** A sampled profile, each stack a sample whose weight is its instructions; JSON text. */
export function profileToSpeedscope(
  { stacks }: FunctionProfile,
  options: { readonly title: string },
): string {
  const indices = new Map<string, number>();
  const indexOf = (name: string): number => {
    const known = indices.get(name);
    if (known !== undefined) return known;
    indices.set(name, indices.size);
    return indices.size - 1;
  };
  const samples = stacks.map(({ frames }) => frames.map(indexOf));
  const weights = stacks.map(({ instructions }) => Number(instructions));
  const profile = {
    type: "sampled",
    name: options.title,
    unit: "none",
    startValue: 0,
    endValue: weights.reduce((sum, weight) => sum + weight, 0),
    samples,
    weights,
  };
  return JSON.stringify({
    $schema: SPEEDSCOPE_SCHEMA,
    exporter: "orrery",
    name: options.title,
    activeProfileIndex: 0,
    shared: { frames: [...indices.keys()].map((name) => ({ name })) },
    profiles: [profile],
  });
}

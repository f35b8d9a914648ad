/** Whether intervals have the lengths that summaries say: each as long as the summary before it announced. */
import type { Summary } from "@orrery/consensus/member";

interface Run {
  /** By height. */
  readonly summaries: ReadonlyMap<number, Pick<Summary, "length" | "nextLength">>;
}

/** Where they have not. */
export function faultsOfLengths({ summaries }: Run): readonly string[] {
  const all = [...summaries].sort(([a], [b]) => a - b);
  return all.slice(1).flatMap(([height, { length }], place) => {
    const [before, said] = all[place] as (typeof all)[number];
    if (height !== before + said.length)
      return [`the interval at ${before} has ${height - before} heights in place of ${said.length}`];
    if (length === said.nextLength) return [];
    return [`the interval at ${height} is to have ${length} heights in place of ${said.nextLength}`];
  });
}

/** What `orrery status` says of intervals of a subnet that ended without keys. */
import type { SubnetSummary } from "@orrery/node";

/** As `/_/subnets` has it. */
export type UnfinishedKeys = SubnetSummary["unfinished_keys"][number];

export function tellUnfinished(subnet: string, keys: UnfinishedKeys): string {
  const { creates, intervals, dealings, dealings_needed: needed, interval_length: blocks } = keys;
  const whose = creates === null ? "new keys of its nodes" : `keys of subnet ${creates}, which it creates`;
  const least = keys.interval_needed;
  const remedy =
    blocks < least
      ? `have intervals of ${least} blocks or more (orrery node propose --interval)`
      : "see whether all of its nodes run, and have longer intervals if they are too slow (orrery node propose --interval)";
  const ended = intervals === 1 ? "the last interval" : `the last ${intervals} intervals`;
  return `subnet ${subnet}: ${ended}, of ${blocks} blocks, ended without ${whose}: ${dealings} of ${needed} dealings came together; ${remedy}`;
}

/** Whether intervals have room for the keys that are dealt in them: what could never come to be is neither proposed nor approved. */
import { intervalNeeded } from "@orrery/consensus/member";
import type { Outcome } from "./draft.ts";
import type { Registry } from "./registry.ts";

/** Why an interval is too short for what a change would have it do; null: none is. `created`: subnets that have their keys. */
export function roomFault(
  registry: Pick<Registry, "members" | "intervalLength" | "version" | "created" | "subnets">,
  { subnets }: Pick<Outcome, "subnets">,
  created: number,
): string | null {
  const { version } = registry;
  const planned = subnets.filter((each) => each.created !== null).length;
  const before = registry.subnets.filter((subnet) => registry.created(subnet) !== null).length;
  for (const [subnet, { members, intervalLength: blocks }] of subnets.entries()) {
    const dealers = registry.members(subnet, version);
    const isSame =
      blocks === registry.intervalLength(subnet, version) &&
      dealers.join() === members.join() &&
      (subnet !== 0 || planned === before);
    const creates = subnet === 0 && planned > created;
    // Those who are there deal to those who come.
    const count = Math.max(dealers.length, members.length);
    const needed = intervalNeeded(count, creates);
    if (isSame || blocks >= needed) continue;
    const whose = creates ? "the keys of its own and of the subnet that it creates" : "its keys";
    return (
      `an interval of subnet ${subnet} would have ${blocks} blocks, and ${count} nodes need ${needed} to deal ${whose}: ` +
      `have it changed as well, with --interval ${subnet}=${needed} or more`
    );
  }
  return null;
}

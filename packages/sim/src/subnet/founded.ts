/** The subnets that a simulated one created, each in a run of its own: its nodes begin with what the package of their creation has. */
import type { SubnetId } from "@orrery/base";
import type { FoundedEpoch } from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import { foundedBy } from "./creating.ts";
import { CALM, type FaultPlan } from "./faults.ts";
import { runSubnet, type SubnetVerdict } from "./run.ts";
import { nodeOf } from "./sim-registry.ts";
import type { World } from "./world.ts";

/** Of virtual time: two of their intervals at least. */
const SECONDS = 10;
/** Room for their dealings. */
const INTERVAL = (nodes: number): number => 3 * Math.floor((nodes - 1) / 3) + 8;

/** Its run: links are as those of its creators, and everybody is honest. */
export function runFounded(world: World, seed: number, { subnet, epoch }: FoundedEpoch): SubnetVerdict {
  const { delayNs, loss, duplicate, reorder } = world.faults;
  const faults: FaultPlan = { ...CALM, delayNs, loss, duplicate, reorder };
  const { members, transcripts } = epoch;
  return runSubnet({
    seed: seed + subnet,
    nodes: members.length,
    spares: 0,
    firstNode: nodeOf(members[0] as (typeof members)[number]),
    seconds: SECONDS,
    messagesPerSecond: 1,
    catchUpInterval: INTERVAL(members.length),
    faults,
    subnetId: sha256(transcripts.high).subarray(0, 29) as Uint8Array as SubnetId,
    keys: () => ({ genesis: () => epoch, of: (nodeId) => world.keys.of(nodeId) }),
  });
}

/** What is wrong with any of those that packages create. */
export function faultsOfFounded(world: World, seed: number): readonly string[] {
  return foundedBy(world).flatMap((founded) => {
    const { verdict, violations } = runFounded(world, seed, founded);
    return verdict === "ok" ? [] : [`subnet ${founded.subnet} that was created: ${violations[0] ?? verdict}`];
  });
}

/** A network in one place made of states that are already there: a node's, for a copy of it that goes its own way. */
import { assert, equalBytes, OrreryError, type SubnetId } from "@orrery/base";
import type { PageArena, ReplicatedState } from "@orrery/state";
import { newCore, placeOptions } from "./core.ts";
import { Holders } from "./holders.ts";
import { LocalInstance } from "./instance.ts";
import { type MakeReplica, Members } from "./members.ts";
import { nodePlaces } from "./places.ts";
import { Replica } from "./replica.ts";
import type { Instance, InstanceOptions } from "./types.ts";

/** A subnet's state, and where its pages are. Both are the instance's from then on. */
export interface LoadedSubnet {
  readonly state: ReplicatedState;
  readonly arena: PageArena;
}

/**
 * Subnets by the order of the topology, whose kinds and seed are the node's, as are `subnetIds` where they do not follow from the
 * seed; `topology_invalid` when they are not. It goes on from the
 * newest of their times. `onGone` is called when it and all its forks are disposed of.
 */
export function joinInstance(
  options: InstanceOptions & { readonly subnetIds: readonly SubnetId[] | undefined },
  loaded: readonly LoadedSubnet[],
  onGone: () => void,
): Instance {
  const core = newCore({ ...options, ids: "node" });
  const places = nodePlaces(options.topology, placeOptions(core), options.subnetIds);
  const makers = places.map(({ place }, i): MakeReplica => {
    const own = loaded[i];
    if (own === undefined || !equalBytes(own.state.subnet.subnetId, place.id)) {
      throw new OrreryError("topology_invalid", `the state of subnet ${i} belongs to another network`);
    }
    return (delegation) => new Replica({ commons: core.commons, place, ...own, delegation });
  });
  const [root] = places;
  assert(root !== undefined, "a network has a subnet");
  const members = new Members(makers, root.info.rootSubnetId);
  // Their states tell of the keys that they had, which nobody has.
  if (options.subnetIds !== undefined)
    members.reshape(
      places.map(({ info }) => info),
      null,
    );
  // What was on its way between them when it was written down still is.
  for (const replica of members.all) {
    for (const source of members.all) if (source !== replica) replica.sources.add(source);
  }
  const times = loaded.map(({ state }) => state.time);
  core.time = times.reduce((newest, time) => (time > newest ? time : newest), options.time);
  core.roundTime = core.time;
  core.nextPlace = places.length;
  return new LocalInstance({ core, members }, { holders: new Holders(onGone) });
}

/** What a network in one place is besides its subnets, and how its subnets come to be. */
import { OrreryError, type TimeNs } from "@orrery/base";
import { createChainKeys } from "@orrery/crypto/chain-keys";
import { type CanisterRange, newState, PageArena, type SubnetInfo } from "@orrery/state";
import { SharedEngine } from "./engine.ts";
import { type MakeReplica, Members } from "./members.ts";
import {
  mainPlace,
  newPlace,
  nodePlaces,
  type Place,
  type PlaceOptions,
  placesOf,
  recordsOf,
  SUBNETS_MAX,
} from "./places.ts";
import { type Commons, Replica } from "./replica.ts";
import type { InstanceOptions, SubnetSpec } from "./types.ts";

/** Plain data but for the host's part. */
export interface Core {
  readonly options: Required<Pick<InstanceOptions, "ids" | "mainnetNnsId">> & {
    readonly ingressBytesMax: number | null;
  };
  readonly commons: Commons;
  time: TimeNs;
  /** Of the newest round. */
  roundTime: TimeNs;
  /** Envelopes that it made. */
  nonce: bigint;
  /** Number of the next subnet. */
  nextPlace: number;
}

export interface Network {
  readonly core: Core;
  readonly members: Members;
}

/** A network at its beginning. `topology_invalid`, `seed_invalid`. */
export function newNetwork(options: InstanceOptions): Network {
  const { topology } = options;
  const core = newCore(options);
  const makers = placeOptions(core);
  const places =
    core.options.ids === "node" ? nodePlaces(topology, makers) : withRecords(placesOf(topology, makers));
  const replicas = places.map(({ place, info }) => begin(core, place, info));
  const rootId = (places[0] as (typeof places)[number]).info.rootSubnetId;
  core.nextPlace = places.length;
  return { core, members: new Members(replicas, rootId) };
}

export function newCore(options: InstanceOptions): Core {
  const { seed, host, limits = {}, time, ids = "pocketic", mainnetNnsId = false, ingressBytesMax } = options;
  if (seed.length !== 32) {
    throw new OrreryError("seed_invalid", `a seed has 32 bytes, this one ${seed.length}: hash what you have`);
  }
  const engine = host.engine ?? new SharedEngine();
  const commons: Commons = { seed, host, limits, engine, chainKeys: createChainKeys(seed) };
  return {
    options: { ids, mainnetNnsId, ingressBytesMax: ingressBytesMax ?? null },
    commons,
    time,
    roundTime: time,
    nonce: 0n,
    nextPlace: 0,
  };
}

export function placeOptions({ commons, options }: Pick<Core, "commons" | "options">): PlaceOptions {
  const { bls, ed25519PublicKeyDer } = commons.host;
  return {
    seed: commons.seed,
    makers: { bls, ed25519PublicKeyDer },
    mainnetNnsId: options.mainnetNnsId,
  };
}

function withRecords(places: readonly Place[]): ReturnType<typeof nodePlaces> {
  const records = recordsOf(places);
  return places.map((place, i) => ({ place, info: records[i] as (typeof records)[number] }));
}

/** A subnet without canisters. */
function begin({ commons, roundTime }: Core, place: Place, info: SubnetInfo): MakeReplica {
  const state = newState({ subnet: info, time: roundTime });
  const arena = new PageArena();
  return (delegation) => new Replica({ commons, place, state, arena, delegation });
}

/** Adds a subnet that also holds `range`. */
export function addSubnet({ core, members }: Network, spec: SubnetSpec, range: CanisterRange): Replica {
  const places = members.all.map(({ place }) => place);
  if (places.length >= SUBNETS_MAX) {
    throw new OrreryError("topology_invalid", `a network has at most ${SUBNETS_MAX} subnets`);
  }
  const place = newPlace(spec, { ...placeOptions(core), number: core.nextPlace++, ranges: [range] });
  const records = recordsOf([...places, place]);
  members.reshape(records, begin(core, place, records.at(-1) as SubnetInfo));
  return members.named(place.id);
}

/** The subnet where canisters come to be that are made for none in particular. */
export function mainReplica({ core, members }: Network): Replica {
  const places = members.all.map(({ place }) => place);
  const main =
    core.options.ids === "node"
      ? mainPlace(places.length > 1 ? places.slice(1) : places, ["application"])
      : mainPlace(places);
  return members.named(main.id);
}

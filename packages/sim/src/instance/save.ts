/**
 * A network in one place on disks: one directory that says which subnets there are, and one with a checkpoint for each of them, all in
 * the store's own format. What waits for the next round is saved with it.
 */
import {
  type CborValue,
  decodeCbor,
  decodeResponses,
  encodeCbor,
  encodeResponse,
  OrreryError,
  type Principal,
  type SubnetId,
  utf8,
} from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { deriveLocalKeys } from "@orrery/execution/local-network";
import {
  CheckpointCollector,
  type Disk,
  openStore,
  type PageArena,
  type PageId,
  PageReader,
  type Store,
} from "@orrery/state";
import { type Core, type Network, newCore, placeOptions } from "./core.ts";
import { type MakeReplica, Members } from "./members.ts";
import type { Place } from "./places.ts";
import { Replica } from "./replica.ts";
import type { InstanceOptions, SubnetKind } from "./types.ts";

const VERSION = 1;
/** The directory that lists the subnets; those of the subnets are named by their numbers. */
const NETWORK = "network";
const subnetName = (number: number): string => `subnet-${number}`;
/** Generations of checkpoint files are far below. */
const NO_GENERATION = 0xffff_ffff;

/** Reads the pages of an arena whose contents are about to be in files that it has nothing to do with. */
class CopyingReader extends PageReader {
  readonly #arena: PageArena;

  constructor(arena: PageArena) {
    super();
    this.#arena = arena;
  }

  override view(id: PageId): Uint8Array {
    return this.#arena.view(id);
  }

  override location(): null {
    return null;
  }

  override place(): void {}

  override supersede(): void {}
}

/** Writes everything. The directories are to be empty, or to hold an earlier state of the same network. */
export function saveNetwork({ core, members }: Network, open: (name: string) => Disk): void {
  const networkId = sha256(utf8("orrery instance"), members.root.place.keys.subnetPublicKey);
  const within = (name: string, write: (store: Store) => void): void => {
    const store = openStore(open(name), { networkId, createIfMissing: true, salt: networkId });
    try {
      write(store);
    } finally {
      store.close();
    }
  };
  for (const { place, state, arena } of members.all) {
    within(subnetName(place.number), (store) => {
      const input = new CheckpointCollector(state, null).collect(state, "full", arena);
      store.writeCheckpoint(input, new CopyingReader(arena));
    });
  }
  // Last: what it lists is there.
  within(NETWORK, (store) => store.writeGenesis(encodeCbor(describe(core, members))));
}

function describe(
  { options, commons, time, roundTime, nonce, nextPlace }: Core,
  members: Members,
): CborValue {
  return [
    VERSION,
    options.ids,
    options.mainnetNnsId,
    commons.seed,
    [time, roundTime, nonce, nextPlace],
    members.root.place.id,
    members.all.map(({ place, ingress, responses, sources }) => [
      [place.kind, place.instructions, place.costSchedule, place.admins, place.number, place.id],
      [...place.ranges, place.allocation].map(({ start, end }) => [start, end]),
      ingress.map(({ requestId, envelope }) => [requestId, envelope]),
      responses.length === 0 ? null : byNumber(responses).map(encodeResponse),
      [...sources].map((source) => members.all.indexOf(source)),
    ]),
  ];
}

function byNumber<T extends { readonly outcall: number }>(responses: readonly T[]): readonly T[] {
  return [...responses].sort((a, b) => a.outcall - b.outcall);
}

/** Field by field what `describe` wrote; the store vouches for the bytes. */
interface SavedSubnet {
  readonly place: Omit<Place, "keys">;
  readonly ingress: readonly (readonly [Uint8Array, Uint8Array])[];
  readonly responses: CborValue;
  readonly sources: readonly number[];
}

type SavedPlace = readonly [
  SubnetKind,
  Place["instructions"],
  Place["costSchedule"],
  Principal[] | null,
  number,
  SubnetId,
];
type SavedList = readonly [
  SavedPlace,
  readonly (readonly [Principal, Principal])[],
  SavedSubnet["ingress"],
  CborValue,
  readonly number[],
];

function savedSubnet([facts, ranges, ingress, responses, sources]: SavedList): SavedSubnet {
  const [kind, instructions, costSchedule, admins, number, id] = facts;
  const all = ranges.map(([start, end]) => ({ start, end }));
  const place = {
    kind,
    instructions,
    costSchedule,
    admins,
    number,
    id,
    ranges: all.slice(0, -1),
    allocation: all.at(-1) as (typeof all)[number],
  };
  return { place, ingress, responses, sources };
}

/** Opens what was saved. Of the options the host, the limits and the size of messages count. */
export function openNetwork(options: InstanceOptions, open: (name: string) => Disk): Network {
  const saved = readNetwork(open(NETWORK));
  const [, ids, mainnetNnsId, seed, [time, roundTime, nonce, nextPlace], rootId, list] = saved;
  const fresh = newCore({ ...options, ids, mainnetNnsId, seed, time: BigInt(time) });
  const core = { ...fresh, roundTime: BigInt(roundTime), nonce: BigInt(nonce), nextPlace };
  const subnets = list.map(savedSubnet);
  const makers = subnets.map(({ place }): MakeReplica => {
    const { makers: keyMakers } = placeOptions(core);
    const loaded = loadSubnet(open(subnetName(place.number)));
    const keys = deriveLocalKeys(seed, keyMakers, place.number);
    return (delegation) =>
      new Replica({ commons: core.commons, place: { ...place, keys }, ...loaded, delegation });
  });
  const members = new Members(makers, rootId);
  for (const [i, { ingress, responses, sources }] of subnets.entries()) {
    const replica = members.all[i] as Replica;
    replica.ingress.push(...ingress.map(([requestId, envelope]) => ({ requestId, envelope })));
    if (responses !== null) replica.responses.push(...decodeResponses(responses));
    for (const source of sources) replica.sources.add(members.all[source] as Replica);
  }
  return { core, members };
}

type SavedNetwork = readonly [
  version: number,
  ids: "pocketic" | "node",
  mainnetNnsId: boolean,
  seed: Uint8Array,
  clock: readonly [number | bigint, number | bigint, number | bigint, number],
  rootId: SubnetId,
  subnets: readonly SavedList[],
];

function readNetwork(disk: Disk): SavedNetwork {
  const store = openStore(disk, { networkId: null, createIfMissing: false });
  const { genesis } = store;
  store.close();
  const decoded = genesis === null ? null : decodeCbor(genesis);
  if (!Array.isArray(decoded)) throw corrupt("it lists no subnets");
  if (decoded[0] !== VERSION) {
    throw new OrreryError(
      "store_newer",
      `the saved network has version ${String(decoded[0])}, this program reads ${VERSION}: use the program that saved it`,
    );
  }
  return decoded as unknown as SavedNetwork;
}

function loadSubnet(disk: Disk): Pick<ConstructorParameters<typeof Replica>[0], "state" | "arena"> {
  const store = openStore(disk, { networkId: null, createIfMissing: false });
  try {
    const loaded = store.loadState();
    if (loaded === null) throw corrupt("a subnet has no state");
    const { state, arena } = loaded;
    // All pages are in memory: nobody will look at the files again.
    arena.supersede(NO_GENERATION);
    arena.closeSuperseded();
    return { state, arena };
  } finally {
    store.close();
  }
}

function corrupt(why: string): OrreryError {
  return new OrreryError("store_corrupt", `a saved network cannot be read: ${why}`);
}

/**
 * A replicated state that lives through made-up rounds, each a function of seed and height alone: whoever knows the height knows
 * what every record, page and blob must be. It drives the real store in the power-cut and damage tests and stands in for
 * execution there.
 */
import {
  type CanisterId,
  canisterIdFromIndex,
  concatBytes,
  type Height,
  type Principal,
  type SubnetId,
  toHex,
  u64be,
  utf8,
} from "@orrery/base";
import { sha256, treeHash } from "@orrery/crypto";
import {
  addSnapshot,
  type CanisterSnapshot,
  type CanisterState,
  ColdPages,
  canisterKey,
  checksum,
  type Disk,
  encodeCanister,
  encodeIngressEntry,
  encodeSnapshot,
  encodeSystem,
  newCanister,
  newState,
  PAGE_BYTES,
  PageArena,
  PageTable,
  type ReplicatedState,
  type RoundChanges,
  removeSnapshot,
  removeSnapshots,
  replaceMemory,
  type SubnetInfo,
  shareTable,
  snapshotId,
  touch,
  updateTree,
} from "@orrery/state";
import { type Random, seededRandom } from "./random.ts";

const CANISTERS = 5;
const PAGES = 24;
const START_TIME = 1_700_000_000_000_000_000n;

export interface World {
  readonly state: ReplicatedState;
  readonly arena: PageArena;
}

export function workloadSubnet(seed: number): SubnetInfo {
  const subnetId = sha256(utf8(`subnet ${seed}`)).subarray(0, 29) as SubnetId;
  const allocation = { start: canisterIdFromIndex(0n), end: canisterIdFromIndex(0xfffffn) };
  return {
    subnetId,
    type: "application",
    publicKey: utf8("public key"),
    rootKey: utf8("public key"),
    rootSubnetId: subnetId,
    routing: [{ subnetId, ranges: [allocation] }],
    allocation,
    nodes: [{ nodeId: utf8("node") as Principal, publicKey: utf8("node key") }],
    feeSize: 13,
    local: true,
  };
}

/** Pages kept in memory by worlds over a disk: few, so that most of what a round touches has gone cold. */
export const HOT_PAGES_MAX = 12;

/** Over a disk, pages go cold to its checkpoints; without one, all stay in memory. */
export function newWorld(seed: number, disk?: Disk): World {
  const arena = new PageArena(
    disk === undefined ? {} : { cold: new ColdPages(disk, { cachedPages: 4 }), hotPagesMax: HOT_PAGES_MAX },
  );
  return { state: newState({ subnet: workloadSubnet(seed), time: START_TIME }), arena };
}

/** The block of a height; a few bytes or a few kilobytes. */
export function blockOf(seed: number, height: Height): Uint8Array {
  const random = seededRandom(seed, height, 7);
  const filler = new Uint8Array(random.chance(0.2) ? random.below(5_000) : random.below(200)).fill(height);
  return concatBytes(utf8(`block ${seed} ${height}`), filler);
}

/** Executes the round of `state.height + 1` and returns what it changed. */
export function runRound(world: World, seed: number): RoundChanges {
  const { state, arena } = world;
  const height = state.height + 1;
  const random = seededRandom(seed, height);
  arena.advance(height);
  state.height = height;
  state.time += 1_000_000_000n;
  state.randomness = sha256(u64be(BigInt(height)));
  state.updateTransactionsTotal += 1n;
  state.consumedCyclesTotal += 1n << BigInt(random.below(70));
  for (let i = 0; i < 1 + random.below(3); i++) changeCanister(world, random);
  changeIngress(state, random);
  updateTree(state);
  const ingress = [...state.changed.ingress].sort();
  const changes: RoundChanges = {
    deleted: [...state.changed.canisters].filter((key) => !state.canisters.has(key)),
    canisters: [...state.changed.canisters].sort().flatMap((key) => {
      const canister = state.canisters.get(key);
      if (canister === undefined) return [];
      const { heap, stable } = canister.memory;
      return [{ meta: canister.meta, heap: heap.takeDelta(), stable: stable.takeDelta() }];
    }),
    ingress: ingress.flatMap((key) => state.ingressHistory.get(key) ?? []),
    ingressPruned: ingress.filter((key) => !state.ingressHistory.has(key)),
  };
  state.changed.canisters.clear();
  state.changed.ingress.clear();
  return changes;
}

function changeCanister(world: World, random: Random): void {
  const { state, arena } = world;
  const id = canisterIdFromIndex(BigInt(random.below(CANISTERS)));
  const key = toHex(id);
  let canister = state.canisters.get(key);
  if (canister !== undefined && random.chance(0.06)) {
    removeSnapshots(state, canister, arena);
    clearPages(arena, canister);
    dropModule(state, canister);
    state.canisters.delete(key);
    state.changed.canisters.add(key);
    // Sometimes another canister takes the id at once, so that the round's changes do not show the deletion.
    if (random.chance(0.5)) return;
    canister = undefined;
  }
  if (canister === undefined) {
    canister = newCanister({
      id,
      controllers: [utf8("user") as Principal],
      cycles: 10n ** 12n,
      time: state.time,
    });
    state.canisters.set(key, canister);
  }
  if (canister.meta.module === null || random.chance(0.1)) install(state, canister, random);
  if (random.chance(0.05)) clearPages(arena, canister);
  canister.meta.cycles -= 1n;
  canister.meta.version += 1n;
  canister.meta.certifiedData = random.bytes(8);
  for (const memory of [canister.memory.heap, canister.memory.stable]) {
    for (let i = 0; i < random.below(4); i++) changePage(arena, memory, random);
  }
  if (random.chance(0.4)) changeSnapshots(world, canister, random);
  touch(state, canister);
}

/** Takes, loads, writes to and deletes snapshots: they share pages with their canister and with each other. */
function changeSnapshots({ state, arena }: World, canister: CanisterState, random: Random): void {
  const count = canister.snapshots.length;
  const key = canister.snapshots[random.below(Math.max(count, 1))];
  const known = key === undefined ? undefined : state.snapshots.get(key);
  if (key === undefined || known === undefined || (count < 4 && random.chance(0.5))) {
    takeSnapshot({ state, arena }, canister, random);
  } else if (random.chance(0.3)) {
    removeSnapshot(state, canister, { key, pages: arena });
  } else if (known.source === "metadata_upload") {
    changePage(arena, random.chance(0.3) ? known.memory.module : known.memory.heap, random);
    state.changedSnapshots.add(key);
  } else {
    replaceMemory(canister.memory, known.memory, arena);
  }
}

function takeSnapshot({ state, arena }: World, canister: CanisterState, random: Random): void {
  const { module } = canister.meta;
  const uploaded = module === null || random.chance(0.3);
  const { heap, stable } = canister.memory;
  const chunk = utf8(`chunk ${random.below(6)}`);
  addSnapshot(state, canister, {
    id: snapshotId(canister.meta.id, canister.nextSnapshot),
    canisterId: canister.meta.id,
    source: uploaded ? "metadata_upload" : "taken_from_canister",
    takenAt: state.time,
    canisterVersion: canister.meta.version,
    sizeBytes: 1_000,
    module: uploaded
      ? { blob: null, bytes: 10 }
      : { blob: state.blobs.put(state.blobs.get(module.blob)), bytes: 10 },
    globals: [{ type: "f64", bits: BigInt(random.below(1_000)) }],
    heapPages: 1,
    stablePages: 2,
    certifiedData: canister.meta.certifiedData,
    globalTimer: null,
    lowMemoryHook: "ready",
    chunks: new Map([[state.blobs.put(chunk), { bytes: chunk.length }]]),
    memory: uploaded
      ? { heap: new PageTable(), stable: new PageTable(), module: new PageTable() }
      : { heap: shareTable(heap, arena), stable: shareTable(stable, arena), module: new PageTable() },
  });
}

function changePage(arena: PageArena, table: PageTable, random: Random): void {
  const index = random.chance(0.1) ? 70_000 + random.below(4) : random.below(PAGES);
  const page = new Uint8Array(PAGE_BYTES).fill(random.below(256), random.below(PAGE_BYTES));
  const id = random.chance(0.1) ? 0 : arena.allocate(page);
  arena.retire(table.set(index, id));
}

function clearPages(arena: PageArena, canister: CanisterState): void {
  for (const table of [canister.memory.heap, canister.memory.stable])
    for (const id of table.clear()) arena.retire(id);
}

function dropModule(state: ReplicatedState, canister: CanisterState): void {
  if (canister.meta.module !== null) state.blobs.release(canister.meta.module.blob);
  canister.meta.module = null;
}

function install(state: ReplicatedState, canister: CanisterState, random: Random): void {
  dropModule(state, canister);
  const code = utf8(`module ${random.below(6)}`.repeat(40));
  canister.meta.module = {
    blob: state.blobs.put(code),
    hash: sha256(code),
    bytes: code.length,
    is64: false,
    globalTypes: [],
    metadata: [{ name: "candid:service", visibility: "public", content: code.subarray(0, 12) }],
    exports: {
      updates: ["go"],
      queries: [],
      compositeQueries: [],
      init: true,
      preUpgrade: false,
      postUpgrade: false,
      heartbeat: false,
      globalTimer: false,
      inspectMessage: false,
      onLowWasmMemory: false,
    },
  };
  canister.meta.installedAt = state.time;
}

function changeIngress(state: ReplicatedState, random: Random): void {
  const requestId = sha256(u64be(BigInt(random.below(12))));
  const key = toHex(requestId);
  state.changed.ingress.add(key);
  if (state.ingressHistory.has(key) && random.chance(0.3)) {
    state.ingressHistory.delete(key);
    return;
  }
  state.ingressHistory.set(key, {
    requestId,
    sender: utf8("user") as Principal,
    receiver: canisterIdFromIndex(0n) as CanisterId,
    effectiveId: canisterIdFromIndex(0n),
    status: random.chance(0.5) ? { kind: "processing" } : { kind: "replied", reply: random.bytes(20) },
    expiry: state.time,
    pruneAt: null,
  });
}

/** Hash of everything that a state is: records, checksums of pages, blobs, certified tree. */
export function stateDigest({ state, arena }: World): string {
  const parts: Uint8Array[] = [encodeSystem(state), treeHash(state.tree)];
  for (const key of [...state.canisters.keys()].sort()) {
    const canister = state.canisters.get(key) as CanisterState;
    parts.push(utf8(canisterKey(canister)), encodeCanister(canister));
    for (const table of [canister.memory.heap, canister.memory.stable]) {
      for (const [index, id] of table.entries()) {
        parts.push(u64be((BigInt(index) << 32n) | BigInt(checksum(arena.view(id)))));
      }
      parts.push(utf8("end"));
    }
  }
  for (const key of [...state.snapshots.keys()].sort()) {
    const snapshot = state.snapshots.get(key) as CanisterSnapshot;
    parts.push(utf8(key), encodeSnapshot(snapshot));
    for (const table of [snapshot.memory.heap, snapshot.memory.stable, snapshot.memory.module]) {
      for (const [index, id] of table.entries()) {
        parts.push(u64be((BigInt(index) << 32n) | BigInt(checksum(arena.view(id)))));
      }
      parts.push(utf8("end"));
    }
  }
  for (const key of [...state.ingressHistory.keys()].sort()) {
    const entry = state.ingressHistory.get(key);
    if (entry !== undefined) parts.push(encodeIngressEntry(entry));
  }
  for (const key of state.blobs.keys()) parts.push(utf8(key), state.blobs.get(key));
  return toHex(sha256(...parts));
}

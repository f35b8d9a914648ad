/** A state that is fetched from peers: lies are told from chunks, a cut loses nothing that was here, what a node has itself is not asked for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Height, toHex, utf8 } from "@orrery/base";
import {
  encodeManifest,
  loadCheckpoint,
  openAdopting,
  openStore,
  type StateAsk,
  StateDescriber,
  StateReception,
  type Store,
  stateHashOf,
} from "@orrery/state";
import { blockOf, newWorld, runRound, stateDigest, type World } from "./disk-workload.ts";
import { FaultyDisk } from "./faulty-disk.ts";

const networkId = utf8("a network");
const SEED = 4;
const HEIGHT = 30;
const open = (disk: FaultyDisk) => (): Store => openStore(disk, { networkId, createIfMissing: true });
const nothing = (): null => null;

function worldAt(height: Height): World {
  const world = newWorld(SEED);
  while (world.state.height < height) runRound(world, SEED);
  return world;
}

/** A peer that has the state of a height. */
function peer({ state, arena }: World) {
  const describer = new StateDescriber(arena);
  const manifest = describer.manifest(state);
  const { head, slices } = encodeManifest(manifest);
  return {
    stateHash: stateHashOf(head),
    tell({ part, places }: StateAsk): readonly Uint8Array[] {
      if (part === "head") return [head];
      if (part === "slices") return places.map((place) => slices[place] as Uint8Array);
      return places.map((place) =>
        describer.read(state, manifest.chunks[place] as (typeof manifest.chunks)[number]),
      );
    },
    /** By hash. */
    has(hash: string): Uint8Array | null {
      const chunk = manifest.chunks.find((each) => toHex(each.hash) === hash);
      return chunk === undefined ? null : describer.read(state, chunk);
    },
  };
}

function fetchAll(reception: StateReception, tell: (ask: StateAsk) => readonly Uint8Array[]): number {
  let asked = 0;
  for (let ask = reception.next(); ask !== null; ask = reception.next()) {
    asked += ask.part === "chunks" ? ask.places.length : 0;
    assert.equal(reception.take(ask, tell(ask)), null);
  }
  assert.ok(reception.isWhole);
  return asked;
}

test("a state is fetched, and is there when the store is opened next", () => {
  const world = worldAt(HEIGHT);
  const { stateHash, tell } = peer(world);
  const disk = new FaultyDisk({ seed: 1 });
  open(disk)().close();
  const reception = new StateReception({ disk, stateHash, own: nothing });
  fetchAll(reception, tell);
  assert.equal(reception.height, HEIGHT);
  reception.finish(blockOf(SEED, HEIGHT));
  const store = openAdopting(disk, open(disk));
  assert.equal(store.recovered.checkpoint?.height, HEIGHT);
  assert.equal(store.recovered.lastHeight, HEIGHT);
  assert.deepEqual(
    disk.list().filter((name) => name.startsWith("fetched")),
    [],
  );
  assert.equal(stateDigest(loadCheckpoint(disk, { networkId }) as World), stateDigest(world));
});

test("an empty chunk of a module is fetched with everything around it", () => {
  const world = worldAt(HEIGHT);
  const [canister] = world.state.canisters.values();
  canister?.chunks.set(world.state.blobs.put(new Uint8Array(0)), { bytes: 0 });
  const { stateHash, tell } = peer(world);
  const disk = new FaultyDisk({ seed: 1 });
  open(disk)().close();
  const first = new StateReception({ disk, stateHash, own: nothing });
  fetchAll(first, tell);
  first.finish(blockOf(SEED, HEIGHT));
  assert.equal(openAdopting(disk, open(disk)).recovered.checkpoint?.height, HEIGHT);
  assert.equal(stateDigest(loadCheckpoint(disk, { networkId }) as World), stateDigest(world));
});

test("what is twisted, too much or of another state is a lie, and is asked of others", () => {
  const { stateHash, tell } = peer(worldAt(HEIGHT));
  const other = peer(worldAt(HEIGHT - 1));
  const disk = new FaultyDisk({ seed: 1 });
  open(disk)().close();
  const reception = new StateReception({ disk, stateHash, own: nothing });
  const lies: ((told: readonly Uint8Array[]) => readonly Uint8Array[])[] = [
    (told) => told.map((bytes) => bytes.map((byte, i) => (i === 9 ? byte ^ 4 : byte))),
    (told) => Array.from({ length: 300 }, () => told[0] as Uint8Array),
    (told) => told.map((bytes) => bytes.subarray(0, -1)),
    (told) => told.map(() => new Uint8Array(0)),
  ];
  let caught = 0;
  for (let turn = 0; !reception.isWhole; turn++) {
    const ask = reception.next() as StateAsk;
    const lie = lies[turn % (2 * lies.length)];
    const told =
      turn % 11 === 10 ? other.tell({ ...ask, places: ask.places.slice(0, 1) }) : tell(ask).slice(0, 2);
    const fault = reception.take(ask, lie === undefined ? told : lie(told));
    if (fault !== null) caught++;
    assert.ok(turn < 100);
  }
  assert.ok(caught > 3, `${caught}`);
  reception.finish(blockOf(SEED, HEIGHT));
  assert.equal(openAdopting(disk, open(disk)).recovered.checkpoint?.height, HEIGHT);
});

test("a part of an answer is taken, and no answer is asked for again", () => {
  const { stateHash, tell } = peer(worldAt(HEIGHT));
  const disk = new FaultyDisk({ seed: 1 });
  const reception = new StateReception({ disk, stateHash, own: nothing });
  for (let turn = 0; !reception.isWhole; turn++) {
    const ask = reception.next() as StateAsk;
    assert.equal(reception.take(ask, turn % 3 === 0 ? [] : tell(ask).slice(0, 2)), null);
    assert.ok(turn < 200);
  }
  assert.equal(reception.progress.missing, 0);
});

test("after a cut what was here is not asked for again, unless the disk lost or damaged it", () => {
  const { stateHash, tell } = peer(worldAt(HEIGHT));
  for (let seed = 1; seed <= 20; seed++) {
    const disk = new FaultyDisk({ seed });
    open(disk)().close();
    const first = new StateReception({ disk, stateHash, own: nothing });
    const whole: StateAsk[] = [];
    for (let ask = first.next(); ask !== null && ask.part !== "chunks"; ask = first.next())
      first.take(ask, tell(ask));
    const { missing } = first.progress;
    // The first half comes, and then the power goes.
    const ask = { part: "chunks", places: [...Array(missing >> 1).keys()] } as const;
    whole.push(ask);
    first.take(ask, tell(ask));
    if (seed % 2 === 0) first.close();
    disk.powerUp();
    const second = new StateReception({ disk, stateHash, own: nothing });
    const asked = fetchAll(second, tell);
    assert.ok(asked <= missing);
    second.finish(blockOf(SEED, HEIGHT));
    assert.equal(openAdopting(disk, open(disk)).recovered.checkpoint?.height, HEIGHT);
  }
});

test("what the node's own state has is not asked for, and a state that is damaged on the disk is fetched again", () => {
  const behind = peer(worldAt(HEIGHT - 2));
  const { stateHash, tell } = peer(worldAt(HEIGHT));
  const fresh = new StateReception({ disk: new FaultyDisk({ seed: 1 }), stateHash, own: nothing });
  const all = fetchAll(fresh, tell);
  const disk = new FaultyDisk({ seed: 2 });
  open(disk)().close();
  const near = new StateReception({ disk, stateHash, own: behind.has });
  const asked = fetchAll(near, tell);
  assert.ok(asked > 0 && asked < all / 2, `${asked} of ${all}`);
  near.finish(blockOf(SEED, HEIGHT));
  const file = disk.open("fetched-chunks", { create: false });
  file.write(file.size - 10, Uint8Array.of(1, 2, 3));
  file.close();
  assert.equal(openAdopting(disk, open(disk)).recovered.checkpoint, null);
  const again = new StateReception({ disk, stateHash, own: nothing });
  const rest = fetchAll(again, tell);
  assert.ok(rest >= 1 && rest < asked + 2, `${rest} of ${asked}`);
  again.finish(blockOf(SEED, HEIGHT));
  assert.equal(openAdopting(disk, open(disk)).recovered.checkpoint?.height, HEIGHT);
});

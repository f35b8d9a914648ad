/** Whole states as chunks: the same for equal states however they came to be, each chunk checked alone, and a store out of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { equalBytes, type Height, toHex, utf8 } from "@orrery/base";
import {
  CheckpointCollector,
  type Disk,
  decodeManifest,
  decodeManifestHead,
  encodeManifest,
  isChunk,
  loadCheckpoint,
  openStore,
  restoreState,
  STATE_CHUNK_BYTES_MAX,
  StateDescriber,
  type StateManifest,
  type Store,
  StoredPageHashes,
  stateHash,
  stateHashOf,
} from "@orrery/state";
import { blockOf, newWorld, runRound, stateDigest, type World } from "./disk-workload.ts";
import { FaultyDisk, PowerCut } from "./faulty-disk.ts";

const SEEDS = 6;
const ROUNDS = 40;
const networkId = utf8("a network");
const open = (disk: FaultyDisk): Store =>
  openStore(disk, { networkId, createIfMissing: true, keepRounds: 1_000 });

interface Told {
  readonly manifest: StateManifest;
  readonly chunks: ReadonlyMap<string, Uint8Array>;
}

function worldAt(seed: number, height: Height): World {
  const world = newWorld(seed);
  while (world.state.height < height) runRound(world, seed);
  return world;
}

function tell({ state, arena }: World): Told {
  const describer = new StateDescriber(arena);
  const manifest = describer.manifest(state);
  const chunks = new Map(manifest.chunks.map((chunk) => [toHex(chunk.hash), describer.read(state, chunk)]));
  return { manifest, chunks };
}

/** A store with a life of its own, up to a height. */
function live(disk: FaultyDisk, seed: number, height: Height, onCheckpoint = (): void => {}): void {
  const store = open(disk);
  const world = newWorld(seed);
  const collector = new CheckpointCollector(world.state, null);
  for (let at = 1; at <= height; at++) {
    store.appendBlocks([{ height: at, bytes: blockOf(seed, at) }]);
    collector.absorb(runRound(world, seed));
    if (at % 7 !== 0) continue;
    store.writeCheckpoint(collector.collect(world.state, "delta", world.arena), world.arena);
    collector.finished();
    onCheckpoint();
  }
  store.close();
}

function adopt(disk: FaultyDisk, { manifest, chunks }: Told, block: Uint8Array): void {
  const store = open(disk);
  const restored = restoreState(manifest, ({ hash }) => chunks.get(toHex(hash)) as Uint8Array);
  const steps = store.adoptionSteps(restored, { height: manifest.height, bytes: block });
  while (steps.next().done !== true);
  store.close();
  open(disk).close();
}

test("a description that goes on with a state is that of the state, and travels in pieces that are checked alone", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = newWorld(seed);
    const describer = new StateDescriber(world.arena);
    for (let round = 1; round <= ROUNDS; round++) {
      runRound(world, seed);
      world.arena.reclaim(world.arena.epoch - 1);
      if (round % 3 !== 0) continue;
      const { head, slices } = encodeManifest(describer.manifest(world.state));
      const fresh = worldAt(seed, round);
      assert.deepEqual(
        stateHashOf(head),
        stateHash(fresh.state, new StateDescriber(fresh.arena)),
        `${seed}/${round}`,
      );
      const manifest = decodeManifest(decodeManifestHead(head), slices);
      for (const chunk of manifest.chunks) {
        const bytes = describer.read(world.state, chunk);
        assert.ok(isChunk(chunk, bytes) && bytes.length <= STATE_CHUNK_BYTES_MAX);
        const twisted = bytes.slice();
        twisted[round % twisted.length] = (twisted[round % twisted.length] as number) ^ 1;
        assert.ok(bytes.length === 0 || !isChunk(chunk, twisted));
        assert.ok(!isChunk(chunk, bytes.subarray(1)) || bytes.length === 0);
      }
    }
  }
});

test("a checkpoint is described by what was written since the one before, and as if nothing were known", () => {
  const seed = 2;
  const disk = new FaultyDisk({ seed });
  const stored = new StoredPageHashes();
  /** Of the newest checkpoint, read anew; the bytes that it takes to describe it. */
  const described = (
    hashes: StoredPageHashes | null,
  ): { readonly hash: Uint8Array; readonly read: number } => {
    let read = 0;
    const counted: Disk = {
      list: () => disk.list(),
      open(name, options) {
        const file = disk.open(name, options);
        const plain = file.read.bind(file);
        file.read = (offset, length) => {
          read += length;
          return plain(offset, length);
        };
        return file;
      },
      rename: (from, to) => disk.rename(from, to),
      remove: (name) => disk.remove(name),
      syncDirectory: () => disk.syncDirectory(),
    };
    const loaded = loadCheckpoint(counted, { networkId, hotPagesMax: 0 });
    assert.ok(loaded !== null);
    read = 0;
    return { hash: stateHash(loaded.state, new StateDescriber(loaded.arena, hashes)), read };
  };
  let spared = 0;
  let before: Uint8Array = new Uint8Array(0);
  live(disk, seed, 28, () => {
    const fresh = described(null);
    const later = described(stored);
    assert.deepEqual(later.hash, fresh.hash);
    assert.notDeepEqual(later.hash, before);
    assert.deepEqual(described(stored), { hash: fresh.hash, read: 0 });
    before = fresh.hash;
    spared += fresh.read - later.read;
  });
  assert.ok(spared > 0, "pages of earlier checkpoints are not read again");
});

test("different states have different hashes, and heads and manifests that nobody made are refused", () => {
  const hashes = new Set<string>();
  for (let height = 1; height <= ROUNDS; height++) {
    const { state, arena } = worldAt(3, height);
    hashes.add(toHex(stateHash(state, new StateDescriber(arena))));
  }
  assert.equal(hashes.size, ROUNDS);
  const { manifest } = tell(worldAt(3, 9));
  const { head, slices } = encodeManifest(manifest);
  const refused = { code: "manifest_invalid" };
  assert.throws(() => decodeManifestHead(head.subarray(1)), refused);
  assert.throws(() => decodeManifestHead(new Uint8Array(0)), refused);
  const read = decodeManifestHead(head);
  assert.throws(() => decodeManifest(read, []), refused);
  assert.throws(() => decodeManifest(read, [new Uint8Array(read.manifestBytes).fill(0xff)]), refused);
  const disordered = encodeManifest({ ...manifest, chunks: [...manifest.chunks].reverse() });
  assert.throws(() => decodeManifest(decodeManifestHead(disordered.head), disordered.slices), refused);
  assert.throws(() => restoreState({ ...manifest, chunks: [] }, () => new Uint8Array(0)), refused);
  assert.ok(slices.every((slice) => slice.length > 0));
});

test("a store takes another node's state in place of its own, wherever it was, and goes on", () => {
  for (const own of [0, 13, 30, 45]) {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const theirs = worldAt(seed, 30);
      const told = tell(theirs);
      const disk = new FaultyDisk({ seed });
      live(disk, seed + (own > 30 ? 100 : 0), own);
      adopt(disk, told, blockOf(seed, 30));
      const loaded = loadCheckpoint(disk, { networkId });
      assert.ok(loaded !== null);
      assert.equal(stateDigest(loaded), stateDigest(theirs));
      const store = open(disk);
      assert.deepEqual([...store.blocksFrom(0)], [{ height: 30, bytes: blockOf(seed, 30) }]);
      assert.equal(disk.list().filter((name) => name.startsWith("checkpoint-")).length, 1);
      const collector = new CheckpointCollector(loaded.state, 30);
      for (let at = 31; at <= 40; at++) {
        store.appendBlocks([{ height: at, bytes: blockOf(seed, at) }]);
        collector.absorb(runRound(loaded, seed));
        runRound(theirs, seed);
      }
      store.writeCheckpoint(collector.collect(loaded.state, "delta", loaded.arena), loaded.arena);
      store.close();
      assert.equal(stateDigest(loadCheckpoint(disk, { networkId }) as World), stateDigest(theirs));
    }
  }
});

test("after a power cut there is the state before or the other node's, whole", () => {
  const outcomes = { before: 0, after: 0 };
  const seed = 5;
  const told = tell(worldAt(seed, 30));
  for (let cut = 1; ; cut++) {
    const disk = new FaultyDisk({ seed: cut });
    live(disk, seed, 20);
    disk.cutAfter(cut);
    let wasCut = false;
    try {
      adopt(disk, told, blockOf(seed, 30));
    } catch (cause) {
      if (!(cause instanceof PowerCut)) throw cause;
      wasCut = true;
    }
    disk.powerUp();
    const store = open(disk);
    const loaded = loadCheckpoint(disk, { networkId });
    const { lastHeight } = store.recovered;
    store.close();
    assert.ok(loaded !== null);
    const { height } = loaded.state;
    assert.equal(stateDigest(loaded), stateDigest(worldAt(seed, height)));
    assert.equal(lastHeight, height === 30 ? 30 : 20);
    outcomes[height === 30 ? "after" : "before"]++;
    if (!wasCut) break;
  }
  assert.ok(outcomes.before > 5 && outcomes.after > 5, JSON.stringify(outcomes));
});

test("what is alike is one chunk: a snapshot costs its record, and a round what it touched", () => {
  const world = worldAt(2, 30);
  const known = new Set(tell(world).chunks.keys());
  runRound(world, 2);
  const { manifest } = tell(world);
  const missing = manifest.chunks.filter(({ hash }) => !known.has(toHex(hash)));
  assert.ok(missing.length < manifest.chunks.length, `${missing.length} of ${manifest.chunks.length}`);
  const pages = manifest.chunks.filter(({ kind }) => kind === 2);
  const distinct = new Set(pages.map(({ hash }) => toHex(hash)));
  assert.ok(distinct.size <= pages.length);
  assert.ok(pages.some(({ hash }, i) => pages.some((other, j) => j > i && equalBytes(hash, other.hash))));
});

/** The stores of a network's subnets: begun together, opened as what they were, missed when they are gone. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { OrreryError } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { createFileDisk } from "@orrery/host";
import { nodeDirectory, storeDirectory } from "@orrery/host/directory-content";
import { pinNetwork, pinSubnets } from "@orrery/host/kept-stores";
import { openHistory, openStore } from "@orrery/state";
import { encodeGenesis, networkOf } from "./genesis.ts";
import { writeCreationsFile } from "./registry/registry-file.ts";
import { BLOCK_ANSWER_BYTES_MAX, BLOCKS_PER_ANSWER_MAX } from "./replica/rules.ts";
import { makeStoreDirectory } from "./state-directory.ts";
import { type OpenedStores, openStores } from "./subnet-store.ts";

const SEED = new Uint8Array(32).fill(5);
const FRESH = encodeGenesis({
  seed: SEED,
  time: 1n,
  subnets: networkOf(["application", "system"]),
  profile: "local",
});

function inTemp(action: (stateDirectory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), "orrery-stores-"));
  try {
    action(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function open(
  stateDirectory: string,
  freshGenesis: Uint8Array = FRESH,
  hosted: readonly number[] | null = null,
): OpenedStores {
  return openStores({ stateDirectory, hosted, freshGenesis, salt: new Uint8Array(16) });
}

function close({ stores }: OpenedStores): void {
  for (const store of stores.values()) store.close();
}

const corrupt = (error: unknown): boolean => error instanceof OrreryError && error.code === "store_corrupt";

test("every subnet has a store of its own, all of them before the first block", () =>
  inTemp((directory) => {
    const first = open(directory);
    assert.equal(first.opened.subnets.size, 3);
    assert.deepEqual(readdirSync(directory).sort(), ["store", "store-1", "store-2"]);
    first.stores.get(1)?.append({ height: 1, bytes: Uint8Array.of(7) });
    assert.deepEqual(
      [...first.stores.values()].map((store) => store.commit()),
      [null, 1, null],
    );
    close(first);
    const again = open(directory, encodeGenesis({ seed: SEED, time: 2n, subnets: [], profile: "local" }));
    assert.deepEqual(again.opened.genesis, FRESH);
    assert.deepEqual(
      [...again.opened.subnets.values()].map(({ records }) => records.map(({ height }) => height)),
      [[], [1], []],
    );
    close(again);
  }));

test("a process of some of the subnets has their stores, the first with the genesis, and reads them alone", () =>
  inTemp((directory) => {
    const several = encodeGenesis({
      seed: SEED,
      time: 1n,
      subnets: networkOf(["application", "application"], [], 4),
      profile: "local",
    });
    const opened = open(directory, several, [1]);
    assert.deepEqual(readdirSync(directory), ["store-1"]);
    opened.stores.get(1)?.append({ height: 1, bytes: Uint8Array.of(7) });
    opened.stores.get(1)?.commit();
    close(opened);
    const again = open(directory, several, [1]);
    assert.deepEqual(again.opened.genesis, several);
    assert.deepEqual([...again.opened.subnets.keys()], [1]);
    close(again);
    const pinned = pinSubnets(directory);
    assert.deepEqual([[...pinned.stores.keys()], pinned.genesis], [[1], several]);
    pinned.close();
    assert.throws(
      () => pinNetwork(directory),
      (error) => error instanceof OrreryError && /but 1 of its 3 subnets/.test(error.message),
    );
    assert.equal(networkHeights(directory, several), "1 2 3");
  }));

/** Last blocks as a reader of a network has them whose nodes of one subnet have come differently far. */
function networkHeights(directory: string, genesis: Uint8Array): string {
  const network = join(directory, "network");
  const nodes = [
    [0, 1],
    [1, 1],
    [1, 2],
    [2, 3],
  ] as const;
  for (const [place, [subnet, heights]] of nodes.entries()) {
    const node = nodeDirectory(network, place);
    const opened = open(node, genesis, [subnet]);
    for (let height = 1; height <= heights; height++)
      opened.stores.get(subnet)?.append({ height, bytes: Uint8Array.of(height) });
    opened.stores.get(subnet)?.commit();
    close(opened);
  }
  const pinned = pinNetwork(network);
  try {
    return pinned.stores.map((store) => openHistory(store).last).join(" ");
  } finally {
    pinned.close();
    requireRefusedOnceGrown(network);
  }
}

/** One of its nodes knows of a subnet that was created, of which there may be nothing here. */
function requireRefusedOnceGrown(network: string): void {
  writeCreationsFile(nodeDirectory(network, 1), [Uint8Array.of(1)]);
  assert.throws(
    () => pinNetwork(network),
    (error) => error instanceof OrreryError && error.code === "network_grown",
  );
  const { stores, close: release } = pinSubnets(network);
  assert.deepEqual([...stores.keys()], [0, 1, 2]);
  release();
}

test("a start that ended between two stores is finished by the next", () =>
  inTemp((directory) => {
    close(open(directory));
    rmSync(storeDirectory(directory, 2), { recursive: true });
    close(open(directory));
    assert.ok(existsSync(storeDirectory(directory, 2)));
  }));

test("a store that is gone from a network that had begun is damage", () =>
  inTemp((directory) => {
    const opened = open(directory);
    opened.stores.get(0)?.append({ height: 1, bytes: Uint8Array.of(7) });
    opened.stores.get(0)?.commit();
    close(opened);
    rmSync(storeDirectory(directory, 1), { recursive: true });
    assert.throws(() => open(directory), corrupt);
  }));

test("peers are told blocks from a height on down, none from one that is not there", () =>
  inTemp((directory) => {
    const opened = open(directory);
    const store = opened.stores.get(0);
    assert.ok(store !== undefined);
    const size = BLOCK_ANSWER_BYTES_MAX / 4;
    const lengthOf = (height: number): number => (height > 30 ? size : 1);
    for (let height = 1; height <= 40; height++)
      store.append({ height, bytes: new Uint8Array(lengthOf(height)).fill(height) });
    store.commit();
    const told = (from: number): readonly (number | undefined)[] =>
      store.blocks(from).map(([first]) => first);
    assert.deepEqual(told(3), [3, 2, 1]);
    assert.deepEqual(
      told(30),
      Array.from({ length: BLOCKS_PER_ANSWER_MAX }, (_, i) => 30 - i),
    );
    assert.deepEqual(told(40), [40, 39, 38, 37]);
    assert.deepEqual(told(41), []);
    close(opened);
  }));

test("stores of subnets cannot stand in for one another", () =>
  inTemp((directory) => {
    close(open(directory));
    const disk = createFileDisk(storeDirectory(directory, 1));
    const networkId = sha256(FRESH);
    assert.throws(() => openStore(disk, { networkId, createIfMissing: false }), { code: "store_foreign" });
  }));

test("a directory of the first format, which had one subnet, is refused as older, unchanged", () =>
  inTemp((directory) => {
    const store = makeStoreDirectory(directory, 0);
    const identity = `Orrery state directory, format 1. Everything here belongs together; change nothing by hand.\nnetwork ${"0".repeat(64)}\nseed 00000000\nchecksum 00000000\n`;
    writeFileSync(join(store, "ORRERY"), identity);
    assert.throws(() => open(directory), { code: "store_older", message: /--clean/ });
    assert.deepEqual(readdirSync(directory), ["store"]);
    assert.deepEqual(readdirSync(store), ["ORRERY"]);
  }));

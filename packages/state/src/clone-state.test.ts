/** Clones of states: the same in every record and page, and independent from then on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type CanisterId,
  canisterIdFromIndex,
  type Principal,
  principalKey,
  type SubnetId,
  toHex,
  type UserId,
} from "@orrery/base";
import { cloneState, dropState } from "./clone-state.ts";
import { fullStateHash } from "./full-hash.ts";
import { newCanister, newState } from "./new-state.ts";
import { PAGE_BYTES, type PageTable } from "./page-table.ts";
import { PageArena } from "./pages.ts";
import { addSnapshot, shareTable, snapshotId } from "./snapshots.ts";
import type { CanisterState, ReplicatedState, SubnetInfo } from "./types.ts";

const ID: CanisterId = canisterIdFromIndex(1n);
const KEY = new Uint8Array(133);
const OWN: SubnetId = Uint8Array.of(9) as Principal as SubnetId;
const SUBNET: SubnetInfo = {
  subnetId: OWN,
  type: "application",
  publicKey: KEY,
  rootKey: KEY,
  rootSubnetId: OWN,
  routing: [],
  allocation: { start: canisterIdFromIndex(0n), end: canisterIdFromIndex(1_000n) },
  nodes: [],
  feeSize: 13,
  local: true,
};

function put(arena: PageArena, table: PageTable, index: number, byte: number): void {
  arena.retire(table.set(index, arena.allocate(new Uint8Array(PAGE_BYTES).fill(byte))));
}

function filled(arena: PageArena): { readonly state: ReplicatedState; readonly canister: CanisterState } {
  const state = newState({ subnet: SUBNET, time: 5n });
  const canister = newCanister({ id: ID, controllers: [], cycles: 7n, time: 5n });
  for (let i = 0; i < 700; i++) put(arena, canister.memory.heap, 3 * i, i & 0xff);
  put(arena, canister.memory.stable, 9, 200);
  state.canisters.set(principalKey(ID), canister);
  const chunk = state.blobs.put(Uint8Array.of(1, 2, 3));
  canister.chunks.set(chunk, { bytes: 3 });
  canister.callContexts.set(1, {
    id: 1,
    origin: { kind: "task" },
    needsToRespond: false,
    deleted: false,
    availableCycles: 1n,
    instructionsExecuted: 0n,
    outstanding: 1,
    createdAt: 5n,
  });
  canister.consumed.set("memory", 3n);
  state.ingressHistory.set("aa", {
    requestId: Uint8Array.of(0xaa),
    sender: ID as Uint8Array as UserId,
    receiver: ID,
    effectiveId: ID,
    status: { kind: "received" },
    expiry: 10n,
    pruneAt: null,
  });
  state.streams.set("bb", { begin: 1n, messages: [], messageBytes: 0, signalsEnd: 2n, rejectSignals: [] });
  addSnapshot(state, canister, {
    id: snapshotId(ID, 0n),
    canisterId: ID,
    source: "taken_from_canister",
    takenAt: 5n,
    canisterVersion: 1n,
    sizeBytes: 4_096,
    module: { blob: null, bytes: 0 },
    globals: [],
    heapPages: 1,
    stablePages: 1,
    certifiedData: new Uint8Array(0),
    globalTimer: null,
    lowMemoryHook: null,
    chunks: new Map(),
    memory: {
      heap: shareTable(canister.memory.heap, arena),
      stable: shareTable(canister.memory.stable, arena),
      module: shareTable(canister.memory.stable, arena),
    },
  });
  return { state, canister };
}

const hashOf = (state: ReplicatedState, arena: PageArena): string => toHex(fullStateHash(state, arena));

test("a clone is the same, and what becomes of it is its own affair", () => {
  const arena = new PageArena();
  const { state } = filled(arena);
  arena.advance(1);
  const before = hashOf(state, arena);
  const live = arena.livePages;
  const clone = cloneState(state, arena);
  assert.equal(hashOf(clone, arena), before);
  assert.equal(arena.livePages, live);
  const canister = clone.canisters.get(principalKey(ID)) as CanisterState;
  put(arena, canister.memory.heap, 0, 77);
  put(arena, canister.memory.stable, 9, 78);
  canister.meta.cycles = 1n;
  canister.consumed.set("memory", 4n);
  (canister.callContexts.get(1) as { outstanding: number }).outstanding = 0;
  (clone.ingressHistory.get("aa") as { status: unknown }).status = { kind: "done" };
  (clone.streams.get("bb") as { signalsEnd: bigint }).signalsEnd = 3n;
  canister.queues.ingress.push({} as never);
  clone.blobs.release(clone.blobs.keys()[0] as string);
  assert.equal(hashOf(state, arena), before);
});

test("whatever is dropped goes back, and nothing that the other has", () => {
  const arena = new PageArena();
  const { state } = filled(arena);
  arena.advance(1);
  const before = hashOf(state, arena);
  const live = arena.livePages;
  const clone = cloneState(state, arena);
  const canister = clone.canisters.get(principalKey(ID)) as CanisterState;
  put(arena, canister.memory.heap, 0, 77);
  assert.equal(arena.livePages, live + 1);
  dropState(clone, arena);
  arena.reclaim(arena.epoch);
  assert.equal(arena.livePages, live);
  assert.equal(hashOf(state, arena), before);
  arena.advance(2);
  dropState(state, arena);
  arena.reclaim(arena.epoch);
  assert.equal(arena.livePages, 0);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ANONYMOUS,
  type CanisterId,
  canisterIdFromIndex,
  decodeCbor,
  encodeUleb128,
  type Principal,
  type SubnetId,
  toHex,
  utf8,
} from "@orrery/base";
import {
  decodeRanges,
  emptyTree,
  type LabelTree,
  sha256,
  treeEntries,
  treeGet,
  treeHash,
} from "@orrery/crypto";
import fc from "fast-check";
import {
  applyTreeChanges,
  encodeSubnetMetrics,
  fullTree,
  memoryUsageBytes,
  updateTree,
} from "./canonical-state.ts";
import { newCanister, newState } from "./new-state.ts";
import type { CanisterState, IngressStatus, InstalledModule, ReplicatedState, SubnetInfo } from "./types.ts";

const OWN = utf8("own subnet") as SubnetId;
const ROOT = utf8("root subnet") as SubnetId;

function range(from: number, to: number): { start: CanisterId; end: CanisterId } {
  return { start: canisterIdFromIndex(BigInt(from)), end: canisterIdFromIndex(BigInt(to)) };
}

const subnet: SubnetInfo = {
  subnetId: OWN,
  type: "application",
  publicKey: utf8("own key"),
  rootKey: utf8("root key"),
  rootSubnetId: ROOT,
  routing: [
    { subnetId: OWN, ranges: Array.from({ length: 7 }, (_, i) => range(100 * i, 100 * i + 9)) },
    { subnetId: ROOT, ranges: [], type: "system" },
  ],
  allocation: range(0, 9),
  nodes: [{ nodeId: utf8("node") as Principal, publicKey: utf8("node key") }],
  feeSize: 13,
  local: true,
};

function at(tree: LabelTree, ...path: (string | Uint8Array)[]): Uint8Array | LabelTree | null {
  return treeGet(
    tree,
    path.map((label) => (typeof label === "string" ? utf8(label) : label)),
  );
}

function labels(tree: Uint8Array | LabelTree | null): string[] {
  assert.ok(tree !== null && !(tree instanceof Uint8Array));
  return [...treeEntries(tree)].map(({ label }) => new TextDecoder().decode(label));
}

function moduleOf(text: string): InstalledModule {
  const code = utf8(text);
  return {
    blob: toHex(sha256(code)),
    hash: sha256(code),
    bytes: code.length,
    is64: false,
    globalTypes: [],
    metadata: [{ name: `section ${text}`, visibility: "public", content: code }],
    exports: {
      updates: [],
      queries: [],
      compositeQueries: [],
      init: false,
      preUpgrade: false,
      postUpgrade: false,
      heartbeat: false,
      globalTimer: false,
      inspectMessage: false,
      onLowWasmMemory: false,
    },
  };
}

test("the tree of a fresh subnet", () => {
  const { tree } = newState({ subnet, time: 42n });
  assert.deepEqual(at(tree, "time"), encodeUleb128(42n));
  assert.deepEqual(labels(tree), ["canister_ranges", "subnet", "time"]);
  assert.deepEqual(at(tree, "subnet", OWN, "public_key"), utf8("own key"));
  assert.deepEqual(at(tree, "subnet", OWN, "type"), utf8("application"));
  assert.deepEqual(at(tree, "subnet", OWN, "node", "node", "public_key"), utf8("node key"));
  assert.deepEqual(labels(at(tree, "subnet", OWN)), [
    "canister_ranges",
    "metrics",
    "node",
    "public_key",
    "type",
  ]);
  assert.deepEqual(labels(at(tree, "subnet", ROOT)), ["canister_ranges", "public_key", "type"]);
  assert.deepEqual(at(tree, "subnet", ROOT, "public_key"), utf8("root key"));
  const flat = decodeRanges(at(tree, "subnet", OWN, "canister_ranges") as Uint8Array);
  assert.ok(flat.ok && flat.value.length === 7);
});

test("range shards hold at most five ranges and begin at their label", () => {
  const { tree } = newState({ subnet, time: 42n });
  const shards = [...treeEntries(at(tree, "canister_ranges", OWN) as LabelTree)];
  const ranges = shards.map(({ label, value }) => {
    const decoded = decodeRanges(value as Uint8Array);
    assert.ok(decoded.ok);
    assert.deepEqual(decoded.value[0]?.start, label);
    return decoded.value.length;
  });
  assert.deepEqual(ranges, [5, 2]);
  const empty = [...treeEntries(at(tree, "canister_ranges", ROOT) as LabelTree)];
  assert.deepEqual(
    empty.map(({ label }) => label),
    [canisterIdFromIndex(0n)],
  );
  assert.deepEqual(decodeRanges(empty[0]?.value as Uint8Array), { ok: true, value: [] });
});

test("subnet metrics use integer keys, with a high word only from 2^64 on", () => {
  const metrics = { canisters: 2, canisterStateBytes: 300n, updateTransactionsTotal: 7n };
  assert.equal(
    toHex(encodeSubnetMetrics({ ...metrics, consumedCyclesTotal: 5n })),
    "a400020119012c02a100050307",
  );
  assert.equal(
    toHex(encodeSubnetMetrics({ ...metrics, consumedCyclesTotal: (3n << 64n) + 5n })),
    "a400020119012c02a2000501030307",
  );
});

test("subnet metrics count what snapshots take as well", () => {
  const canister = newCanister({ id: canisterIdFromIndex(1n), controllers: [], cycles: 0n, time: 1n });
  const before = memoryUsageBytes(canister.meta);
  canister.meta.snapshotBytes += 1_000;
  canister.meta.chunkStoreBytes += 20;
  assert.equal(memoryUsageBytes(canister.meta) - before, 1_020n);
});

test("a canister without a module shows controllers and creation time only", () => {
  const state = newState({ subnet, time: 1n });
  const canister = newCanister({
    id: canisterIdFromIndex(1n),
    controllers: [utf8("b") as Principal, utf8("a") as Principal],
    cycles: 0n,
    time: 9n,
  });
  const key = toHex(canister.meta.id);
  state.canisters.set(key, canister);
  state.changed.canisters.add(key);
  updateTree(state);
  assert.deepEqual(labels(at(state.tree, "canister", canister.meta.id)), [
    "canister_creation_timestamp",
    "controllers",
  ]);
  assert.deepEqual(decodeCbor(at(state.tree, "canister", canister.meta.id, "controllers") as Uint8Array), [
    utf8("a"),
    utf8("b"),
  ]);
  canister.meta.module = moduleOf("one");
  canister.meta.installedAt = 10n;
  updateTree(state);
  assert.deepEqual(labels(at(state.tree, "canister", canister.meta.id)), [
    "canister_creation_timestamp",
    "certified_data",
    "controllers",
    "last_install_timestamp",
    "metadata",
    "module_hash",
  ]);
  canister.meta.module = moduleOf("two");
  updateTree(state);
  assert.deepEqual(labels(at(state.tree, "canister", canister.meta.id, "metadata")), ["section two"]);
});

test("a rejected request shows code, message and error code; done shows the status alone", () => {
  const state = newState({ subnet, time: 1n });
  const requestId = sha256(utf8("request"));
  const common = {
    requestId,
    sender: utf8("u") as Principal,
    receiver: utf8("c") as Principal,
    effectiveId: utf8("c") as Principal,
  };
  const put = (status: IngressStatus): void => {
    state.ingressHistory.set(toHex(requestId), { ...common, status, expiry: 5n, pruneAt: null });
    state.changed.ingress.add(toHex(requestId));
    updateTree(state);
  };
  put({ kind: "rejected", code: 5, message: "no", errorCode: "IC0503" });
  assert.deepEqual(labels(at(state.tree, "request_status", requestId)), [
    "error_code",
    "reject_code",
    "reject_message",
    "status",
  ]);
  assert.deepEqual(at(state.tree, "request_status", requestId, "reject_code"), Uint8Array.of(5));
  put({ kind: "done" });
  assert.deepEqual(labels(at(state.tree, "request_status", requestId)), ["status"]);
  state.ingressHistory.delete(toHex(requestId));
  updateTree(state);
  assert.equal(at(state.tree, "request_status"), null);
});

type Step =
  | {
      readonly kind: "canister";
      readonly n: number;
      readonly module: number | null;
      readonly data: Uint8Array;
      readonly pages: number;
    }
  | { readonly kind: "delete"; readonly n: number }
  | { readonly kind: "ingress"; readonly n: number; readonly status: IngressStatus | null }
  | { readonly kind: "round" };

const status: fc.Arbitrary<IngressStatus> = fc.oneof(
  fc.constant({ kind: "processing" as const }),
  fc.constant({ kind: "done" as const }),
  fc.record({ kind: fc.constant("replied" as const), reply: fc.uint8Array({ maxLength: 4 }) }),
  fc.record({
    kind: fc.constant("rejected" as const),
    code: fc.constantFrom(4 as const, 5 as const),
    message: fc.string({ maxLength: 3 }),
    errorCode: fc.constant("IC0406"),
  }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("canister" as const),
    n: fc.nat(4),
    module: fc.option(fc.nat(2)),
    data: fc.uint8Array({ maxLength: 3 }),
    pages: fc.nat(10),
  }),
  fc.record({ kind: fc.constant("delete" as const), n: fc.nat(4) }),
  fc.record({ kind: fc.constant("ingress" as const), n: fc.nat(4), status: fc.option(status) }),
  fc.record({ kind: fc.constant("round" as const) }),
);

function apply(state: ReplicatedState, change: Exclude<Step, { kind: "round" }>): void {
  const id = canisterIdFromIndex(BigInt(change.n));
  const key = change.kind === "ingress" ? toHex(sha256(id)) : toHex(id);
  state.changed[change.kind === "ingress" ? "ingress" : "canisters"].add(key);
  if (change.kind === "delete") {
    state.canisters.delete(key);
  } else if (change.kind === "ingress") {
    if (change.status === null) state.ingressHistory.delete(key);
    else {
      const entry = {
        requestId: sha256(id),
        sender: ANONYMOUS,
        receiver: id,
        effectiveId: id,
        expiry: 0n,
        pruneAt: null,
      };
      state.ingressHistory.set(key, { ...entry, status: change.status });
    }
  } else {
    const made = state.canisters.get(key) ?? newCanister({ id, controllers: [id], cycles: 0n, time: 3n });
    const canister: CanisterState = made;
    state.canisters.set(key, canister);
    canister.meta.module = change.module === null ? null : moduleOf(`module ${change.module}`);
    canister.meta.certifiedData = change.data;
    canister.meta.heapPages = change.pages;
  }
}

test("stepping round by round, rebuilding and following as a mirror give one root hash", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const state = newState({ subnet, time: 1n });
      let mirror = state.tree;
      for (const one of [...steps, { kind: "round" as const }]) {
        if (one.kind !== "round") {
          apply(state, one);
          continue;
        }
        state.time += 1n;
        const changes = structuredClone(updateTree(state));
        state.changed.canisters.clear();
        state.changed.ingress.clear();
        mirror = applyTreeChanges(mirror, changes);
        const hash = toHex(treeHash(state.tree));
        assert.equal(toHex(treeHash(mirror)), hash);
        assert.equal(toHex(treeHash(fullTree(state))), hash);
      }
    }),
    { numRuns: 300 },
  );
});

test("a round reports only what it changed", () => {
  const state = newState({ subnet, time: 1n });
  assert.notEqual(treeHash(state.tree), treeHash(emptyTree()));
  assert.deepEqual(updateTree(state), []);
  state.time = 2n;
  assert.deepEqual(updateTree(state), [{ path: [utf8("time")], value: encodeUleb128(2n) }]);
});

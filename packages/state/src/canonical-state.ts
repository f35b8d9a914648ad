/**
 * The certified state tree, kept in step with the records (interface spec, "The system state tree"). Invariants: the tree is a
 * function of the records alone, so that stepping it round by round and building it from scratch give the same root hash; a
 * round costs the records it changed; levels without labels do not exist.
 */
import {
  assert,
  concatBytes,
  encodeCbor,
  encodeUleb128,
  equalBytes,
  fromHex,
  type PrincipalKey,
  principalKey,
  type TimeNs,
  u64be,
  utf8,
} from "@orrery/base";
import {
  emptyTree,
  encodeRanges,
  type LabelTree,
  type LevelChange,
  shardRanges,
  treeDelete,
  treeGet,
  treeMerge,
  treeSet,
  treeSize,
} from "@orrery/crypto";
import { CANISTER_LEAVES, canisterLeaves, type Leaf, METADATA, MODULE_HASH } from "./canister-tree.ts";
import { decodePacked, natural, smallNatural, struct } from "./packed-cbor.ts";
import { reportStatus, statusTree } from "./status-tree.ts";
import { decodeStreamHeader, encodeStreamHeader, encodeStreamMessage, headerOf } from "./streams-codec.ts";
import { TreeLevels } from "./tree-levels.ts";
import type {
  CanisterMeta,
  CanisterState,
  ReplicatedState,
  Stream,
  StreamMessage,
  SubnetInfo,
} from "./types.ts";

/** One change of the certified tree; null deletes the path with all that is below it. */
export interface TreeChange {
  readonly path: readonly Uint8Array[];
  readonly value: Uint8Array | null;
}

const LABELS = {
  time: utf8("time"),
  subnet: utf8("subnet"),
  canister: utf8("canister"),
  canisterRanges: utf8("canister_ranges"),
  requestStatus: utf8("request_status"),
  metrics: utf8("metrics"),
  streams: utf8("streams"),
  header: utf8("header"),
  messages: utf8("messages"),
  node: utf8("node"),
  publicKey: utf8("public_key"),
  type: utf8("type"),
} as const;

/** Collects changes and applies each to the tree at once, leaving out those that change nothing. */
class TreeEditor {
  tree: LabelTree;
  readonly changes: TreeChange[] = [];

  constructor(tree: LabelTree) {
    this.tree = tree;
  }

  set(path: readonly Uint8Array[], value: Uint8Array): void {
    const old = treeGet(this.tree, path);
    if (old instanceof Uint8Array && equalBytes(old, value)) return;
    this.tree = treeSet(this.tree, path, value);
    this.changes.push({ path, value });
  }

  delete(path: readonly Uint8Array[]): void {
    if (treeGet(this.tree, path) === null) return;
    this.tree = treeDelete(this.tree, path, { pruneEmpty: true });
    this.changes.push({ path, value: null });
  }

  /** Makes the leaves among `names` below `path` exactly `leaves`. */
  setLeaves(path: readonly Uint8Array[], labels: readonly Uint8Array[], leaves: readonly Leaf[]): void {
    if (treeGet(this.tree, path) !== null) {
      const present = new Set(leaves.map(({ label }) => label));
      for (const label of labels) if (!present.has(label)) this.delete([...path, label]);
    }
    for (const { label, value } of leaves) this.set([...path, label], value);
  }
}

function editCanister(editor: TreeEditor, meta: CanisterMeta): void {
  const path = [LABELS.canister, meta.id];
  const oldHash = treeGet(editor.tree, [...path, MODULE_HASH]);
  const newHash = meta.module?.hash ?? null;
  // The sections are part of the module: the same hash has the same ones.
  const sameModule = oldHash instanceof Uint8Array && newHash !== null && equalBytes(oldHash, newHash);
  if (!sameModule) {
    editor.delete([...path, METADATA]);
    for (const section of meta.module?.metadata ?? []) {
      editor.set([...path, METADATA, utf8(section.name)], section.content);
    }
  }
  editor.setLeaves(path, CANISTER_LEAVES, canisterLeaves(meta));
}

/** The statuses under the keys, which are in order, all at once. */
function editRequests(editor: TreeEditor, state: ReplicatedState, keys: readonly string[]): void {
  const found = treeGet(editor.tree, [LABELS.requestStatus]);
  const level = found === null || found instanceof Uint8Array ? emptyTree() : found;
  const edits: LevelChange[] = [];
  for (const key of keys) {
    const entry = state.ingressHistory.get(key);
    const label = entry === undefined ? fromHex(key) : entry.requestId;
    const old = treeGet(level, [label]);
    const was = old instanceof Uint8Array ? null : old;
    const value = entry === undefined ? null : statusTree(entry.status);
    reportStatus(was, value, (name, leaf) => {
      const path = name === null ? [LABELS.requestStatus, label] : [LABELS.requestStatus, label, name];
      editor.changes.push({ path, value: leaf });
    });
    edits.push({ label, value });
  }
  const edited = treeMerge(level, edits);
  if (edited === level) return;
  editor.tree =
    treeSize(edited) === 0
      ? treeDelete(editor.tree, [LABELS.requestStatus])
      : treeSet(editor.tree, [LABELS.requestStatus], edited);
}

/** Where the header of the stream to a subnet stands. */
export function streamHeaderPath(subnet: Uint8Array): readonly Uint8Array[] {
  return [LABELS.streams, subnet, LABELS.header];
}

export function streamMessagePath(subnet: Uint8Array, index: bigint): readonly Uint8Array[] {
  return [LABELS.streams, subnet, LABELS.messages, u64be(index)];
}

/** Messages never change, so what is there below the old header's end and above the new one's beginning stays. */
function editStream(editor: TreeEditor, subnet: Uint8Array, stream: Stream): void {
  const path = streamHeaderPath(subnet);
  const header = headerOf(stream);
  const old = treeGet(editor.tree, path);
  const was =
    old instanceof Uint8Array ? decodeStreamHeader(old) : { begin: header.begin, end: header.begin };
  const gone = was.end < header.begin ? was.end : header.begin;
  for (let index = was.begin; index < gone; index++) editor.delete(streamMessagePath(subnet, index));
  const first = was.end > header.begin ? was.end : header.begin;
  for (let index = first; index < header.end; index++) {
    const message = stream.messages[Number(index - header.begin)] as StreamMessage;
    editor.set(streamMessagePath(subnet, index), encodeStreamMessage(message));
  }
  editor.set(path, encodeStreamHeader(header));
}

/** The nodes under these keys. */
function editNodes(editor: TreeEditor, subnet: SubnetInfo, keys: readonly PrincipalKey[]): void {
  for (const key of keys) {
    const path = [LABELS.subnet, subnet.subnetId, LABELS.node, fromHex(key)];
    const node = subnet.nodes.find(({ nodeId }) => principalKey(nodeId) === key);
    if (node === undefined) editor.delete([...path, LABELS.publicKey]);
    else editor.set([...path, LABELS.publicKey], node.publicKey);
  }
}

/** Keys, types and ranges of the network's subnets as they are now. */
function editRouting(editor: TreeEditor, subnet: SubnetInfo): void {
  const others = subnet.routing.filter(({ subnetId }) => !equalBytes(subnetId, subnet.subnetId));
  const ownRanges =
    subnet.routing.find(({ subnetId }) => equalBytes(subnetId, subnet.subnetId))?.ranges ?? [];
  const own = {
    subnetId: subnet.subnetId,
    ranges: ownRanges,
    publicKey: subnet.publicKey,
    type: subnet.type,
  };
  for (const entry of [own, ...others]) {
    const { subnetId, ranges, type } = entry;
    const publicKey =
      entry.publicKey ?? (equalBytes(subnetId, subnet.rootSubnetId) ? subnet.rootKey : undefined);
    const path = [LABELS.subnet, subnetId];
    if (publicKey !== undefined) editor.set([...path, LABELS.publicKey], publicKey);
    if (type !== undefined) editor.set([...path, LABELS.type], utf8(type));
    editor.set([...path, LABELS.canisterRanges], encodeRanges(ranges));
    editor.delete([LABELS.canisterRanges, subnetId]);
    for (const shard of shardRanges(ranges)) {
      editor.set([LABELS.canisterRanges, subnetId, shard.label], encodeRanges(shard.ranges));
    }
  }
}

/** What the subnet begins with: keys, types, ranges and nodes. */
function editSubnets(editor: TreeEditor, subnet: SubnetInfo): void {
  editRouting(editor, subnet);
  for (const { nodeId, publicKey } of subnet.nodes) {
    editor.set([LABELS.subnet, subnet.subnetId, LABELS.node, nodeId, LABELS.publicKey], publicKey);
  }
}

/** What a canister takes of its subnet: memories, globals, module, sections, history, chunks, logs and snapshots. */
export function memoryUsageBytes(meta: CanisterMeta): bigint {
  return (
    BigInt(meta.heapPages + meta.stablePages) * 65_536n +
    BigInt(meta.globals.length * 8 + (meta.module?.bytes ?? 0)) +
    BigInt(meta.customSectionBytes + meta.historyBytes) +
    BigInt(meta.chunkStoreBytes + meta.logBytes + meta.snapshotBytes)
  );
}

/** Sum of the canisters' bytes with each one's part in it, so that a round looks at the changed ones only. */
interface StateBytes {
  readonly parts: Map<PrincipalKey, bigint>;
  total: bigint;
}

const stateBytes = new WeakMap<ReplicatedState, StateBytes>();

function countBytes(sum: StateBytes, key: PrincipalKey, canister: CanisterState | undefined): void {
  const now = canister === undefined ? 0n : memoryUsageBytes(canister.meta);
  sum.total += now - (sum.parts.get(key) ?? 0n);
  if (canister === undefined) sum.parts.delete(key);
  else sum.parts.set(key, now);
}

function totalStateBytes(state: ReplicatedState): bigint {
  let sum = stateBytes.get(state);
  if (sum === undefined) {
    sum = { parts: new Map(), total: 0n };
    stateBytes.set(state, sum);
    for (const [key, canister] of state.canisters) countBytes(sum, key, canister);
    return sum.total;
  }
  for (const key of state.changed.canisters) countBytes(sum, key, state.canisters.get(key));
  return sum.total;
}

function cborUint(value: bigint): Uint8Array {
  return encodeCbor(value).subarray(3);
}

export interface SubnetMetrics {
  readonly canisters: number;
  readonly canisterStateBytes: bigint;
  readonly consumedCyclesTotal: bigint;
  readonly updateTransactionsTotal: bigint;
}

const U128_MAX = (1n << 128n) - 1n;

/**
 * CBOR map with the integer keys 0–3 in declaration order; the cycles are `{0: low, 1: high}`, without `high` below 2^64. No more than
 * 128 bits hold, which local networks, where anybody makes cycles, may exceed.
 */
export function encodeSubnetMetrics(metrics: SubnetMetrics): Uint8Array {
  const total = metrics.consumedCyclesTotal > U128_MAX ? U128_MAX : metrics.consumedCyclesTotal;
  const low = cborUint(total & 0xffff_ffff_ffff_ffffn);
  const high = total >> 64n;
  const cycles =
    high === 0n
      ? concatBytes(Uint8Array.of(0xa1, 0), low)
      : concatBytes(Uint8Array.of(0xa2, 0), low, Uint8Array.of(1), cborUint(high));
  return concatBytes(
    Uint8Array.of(0xa4, 0),
    cborUint(BigInt(metrics.canisters)),
    Uint8Array.of(1),
    cborUint(metrics.canisterStateBytes),
    Uint8Array.of(2),
    cycles,
    Uint8Array.of(3),
    cborUint(metrics.updateTransactionsTotal),
  );
}

/** What the certified tree says of the subnet as a whole: as of the end of the round before. */
export function certifiedMetrics({ tree, subnet }: Pick<ReplicatedState, "tree" | "subnet">): SubnetMetrics {
  const leaf = treeGet(tree, [LABELS.subnet, subnet.subnetId, LABELS.metrics]);
  assert(leaf instanceof Uint8Array, "the certified tree has no metrics");
  const fields = decodePacked(leaf);
  const cycles = struct(fields.get(2));
  return {
    canisters: smallNatural(fields.get(0)),
    canisterStateBytes: natural(fields.get(1)),
    consumedCyclesTotal: (natural(cycles.get(1), 0n) << 64n) + natural(cycles.get(0)),
    updateTransactionsTotal: natural(fields.get(3)),
  };
}

function editRound(editor: TreeEditor, state: ReplicatedState, time: TimeNs, bytes: bigint): void {
  editor.set([LABELS.time], encodeUleb128(time));
  const metrics = encodeSubnetMetrics({
    canisters: state.canisters.size,
    canisterStateBytes: bytes,
    consumedCyclesTotal: state.consumedCyclesTotal,
    updateTransactionsTotal: state.updateTransactionsTotal,
  });
  editor.set([LABELS.subnet, state.subnet.subnetId, LABELS.metrics], metrics);
}

/**
 * Brings `state.tree` in step with the records named in `state.changed`, the time and the metrics, and returns what it changed,
 * in an order in which a mirror can apply it. `state.changed` stays the caller's to clear. Cost: the changed records.
 */
export function updateTree(state: ReplicatedState): TreeChange[] {
  const editor = new TreeEditor(state.tree);
  for (const key of [...state.changed.canisters].sort()) {
    const canister = state.canisters.get(key);
    if (canister === undefined) editor.delete([LABELS.canister, fromHex(key)]);
    else editCanister(editor, canister.meta);
  }
  editRequests(editor, state, [...state.changed.ingress].sort());
  for (const key of [...state.changed.streams].sort())
    editStream(editor, fromHex(key), state.streams.get(key) as Stream);
  if (state.changed.subnets.size > 0) editRouting(editor, state.subnet);
  editNodes(editor, state.subnet, [...state.changed.nodes].sort());
  editRound(editor, state, state.time, totalStateBytes(state));
  state.tree = editor.tree;
  return editor.changes;
}

/** A mirror's tree moved forward by what `updateTree` returned: the same root hash as the state's. */
export function applyTreeChanges(tree: LabelTree, changes: readonly TreeChange[]): LabelTree {
  let at = tree;
  for (const { path, value } of changes) {
    at = value === null ? treeDelete(at, path, { pruneEmpty: true }) : treeSet(at, path, value);
  }
  return at;
}

/** The tree of a state from its records alone; the state itself is not changed. Cost: the whole state. */
export function fullTree(state: ReplicatedState): LabelTree {
  const levels = new TreeLevels();
  const metas = [...state.canisters.values()].map(({ meta }) => meta);
  levels.putCanisters(metas);
  const editor = new TreeEditor(levels.joined(emptyTree()));
  editSubnets(editor, state.subnet);
  const bytes = metas.reduce((sum, meta) => sum + memoryUsageBytes(meta), 0n);
  editRequests(editor, state, [...state.ingressHistory.keys()].sort());
  for (const [key, stream] of state.streams) editStream(editor, fromHex(key), stream);
  editRound(editor, state, state.time, bytes);
  return editor.tree;
}

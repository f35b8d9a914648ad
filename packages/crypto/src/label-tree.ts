/**
 * The labelled tree behind the certified state (interface spec, "The system state tree"): persistent,
 * structure-sharing, with cached hashes. One level is a crit-bit trie over its labels, so its shape, and with
 * it the root hash, is a function of the set of labels alone and never of the order in which they came. A
 * label reads as bits: before each byte a 1 ("goes on"), after the last a 0 ("ends"), so that a prefix sorts
 * before its extensions and bit order is byte order. An update makes new nodes on its path only; hashing
 * afterwards costs the changes times log n, and small levels whole. Nodes never change, except that their hashes
 * are filled in on first use; labels and values given to a tree must not be changed afterwards.
 */
import { assert, compareBytes } from "@orrery/base";
import type { Digest } from "./sha256-short.ts";

export interface Tip {
  readonly kind: "tip";
  readonly label: Uint8Array;
  readonly value: Uint8Array | LabelTree;
  /** Hash of a long value alone, and of the labelled value; null until asked for, or not kept. */
  valueHash: Digest | null;
  hash: Digest | null;
}

export interface Branch {
  readonly kind: "branch";
  /** The first bit at which labels below differ; it grows strictly from the root to the tips. */
  readonly bit: number;
  readonly left: TrieNode;
  readonly right: TrieNode;
  /** Labels below. */
  readonly count: number;
  hash: Digest | null;
}

export type TrieNode = Tip | Branch;

/** One level of the tree: labels with values or further levels. */
export interface LabelTree {
  readonly kind: "labels";
  readonly root: TrieNode | null;
}

export interface LabelEntry {
  readonly label: Uint8Array;
  readonly value: Uint8Array | LabelTree;
}

const EMPTY: LabelTree = { kind: "labels", root: null };

export function emptyTree(): LabelTree {
  return EMPTY;
}

/** Bit number `bit` of a label; past its end every bit is 0. */
export function labelBit(label: Uint8Array, bit: number): 0 | 1 {
  const at = Math.floor(bit / 9);
  if (at >= label.length) return 0;
  const within = bit - 9 * at;
  if (within === 0) return 1;
  return (((label[at] as number) >> (8 - within)) & 1) as 0 | 1;
}

/** The first bit at which two labels differ; -1 when they are equal. */
export function criticalBit(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const difference = (a[i] as number) ^ (b[i] as number);
    if (difference !== 0) return 9 * i + 1 + (Math.clz32(difference) - 24);
  }
  return a.length === b.length ? -1 : 9 * n;
}

/** The tip that shares the longest prefix with `label` among those that the trie can tell apart. */
function nearestTip(root: TrieNode, label: Uint8Array): Tip {
  let node = root;
  while (node.kind === "branch") node = labelBit(label, node.bit) === 1 ? node.right : node.left;
  return node;
}

export function findTip(tree: LabelTree, label: Uint8Array): Tip | null {
  if (tree.root === null) return null;
  const tip = nearestTip(tree.root, label);
  return compareBytes(tip.label, label) === 0 ? tip : null;
}

function countOf(node: TrieNode | null): number {
  return node === null ? 0 : node.kind === "tip" ? 1 : node.count;
}

/** Number of labels on the tree's top level. */
export function treeSize(tree: LabelTree): number {
  return countOf(tree.root);
}

export function makeTip(label: Uint8Array, value: Uint8Array | LabelTree): Tip {
  return { kind: "tip", label, value, valueHash: null, hash: null };
}

export function makeBranch(bit: number, left: TrieNode, right: TrieNode): Branch {
  return { kind: "branch", bit, left, right, count: countOf(left) + countOf(right), hash: null };
}

function putTip(node: TrieNode, tip: Tip, critical: number): TrieNode {
  if (node.kind === "tip" ? critical >= 0 : critical >= 0 && critical < node.bit) {
    return labelBit(tip.label, critical) === 1
      ? makeBranch(critical, node, tip)
      : makeBranch(critical, tip, node);
  }
  if (node.kind === "tip") return tip;
  return labelBit(tip.label, node.bit) === 1
    ? makeBranch(node.bit, node.left, putTip(node.right, tip, critical))
    : makeBranch(node.bit, putTip(node.left, tip, critical), node.right);
}

function put(tree: LabelTree, label: Uint8Array, value: Uint8Array | LabelTree): LabelTree {
  if (tree.root === null) return { kind: "labels", root: makeTip(label, value) };
  const nearest = nearestTip(tree.root, label);
  const critical = criticalBit(nearest.label, label);
  // Setting what is there already keeps the node and its cached hash.
  if (critical < 0 && sameValue(nearest.value, value)) return tree;
  return { kind: "labels", root: putTip(tree.root, makeTip(label, value), critical) };
}

export function sameValue(a: Uint8Array | LabelTree, b: Uint8Array | LabelTree): boolean {
  if (a === b) return true;
  return a instanceof Uint8Array && b instanceof Uint8Array && compareBytes(a, b) === 0;
}

function removeTip(node: TrieNode, label: Uint8Array): TrieNode | null {
  if (node.kind === "tip") return null;
  if (labelBit(label, node.bit) === 1) {
    const right = removeTip(node.right, label);
    return right === null ? node.left : makeBranch(node.bit, node.left, right);
  }
  const left = removeTip(node.left, label);
  return left === null ? node.right : makeBranch(node.bit, left, node.right);
}

/** The value or subtree at `path`, null when nothing is there. The empty path gives the tree itself. */
export function treeGet(tree: LabelTree, path: readonly Uint8Array[]): Uint8Array | LabelTree | null {
  let at: Uint8Array | LabelTree = tree;
  for (const label of path) {
    if (at instanceof Uint8Array) return null;
    const tip = findTip(at, label);
    if (tip === null) return null;
    at = tip.value;
  }
  return at;
}

/**
 * The same tree with `value` at `path`; levels that are missing on the way are made, a value on the way is an
 * error.
 */
export function treeSet(
  tree: LabelTree,
  path: readonly Uint8Array[],
  value: Uint8Array | LabelTree,
): LabelTree {
  return setFrom(tree, path, 0, value);
}

function setFrom(
  tree: LabelTree,
  path: readonly Uint8Array[],
  at: number,
  value: Uint8Array | LabelTree,
): LabelTree {
  const label = path[at];
  assert(label !== undefined, "a tree's value is set under at least one label");
  if (at === path.length - 1) return put(tree, label, value);
  const below = findTip(tree, label)?.value ?? EMPTY;
  assert(!(below instanceof Uint8Array), "a path of the state tree leads through a value");
  return put(tree, label, setFrom(below, path, at + 1, value));
}

/**
 * The same tree without what is at `path`; the tree itself when nothing is there. With `pruneEmpty`, levels
 * on the path that are left without labels disappear too; otherwise they stay as empty subtrees.
 */
export function treeDelete(
  tree: LabelTree,
  path: readonly Uint8Array[],
  options: { readonly pruneEmpty?: boolean } = {},
): LabelTree {
  return deleteFrom(tree, path, 0, options.pruneEmpty ?? false);
}

function deleteFrom(
  tree: LabelTree,
  path: readonly Uint8Array[],
  at: number,
  pruneEmpty: boolean,
): LabelTree {
  const label = path[at];
  assert(label !== undefined, "a tree's value is deleted under at least one label");
  const tip = findTip(tree, label);
  if (tip === null || tree.root === null) return tree;
  if (at < path.length - 1) {
    if (tip.value instanceof Uint8Array) return tree;
    const below = deleteFrom(tip.value, path, at + 1, pruneEmpty);
    if (below === tip.value) return tree;
    if (!(pruneEmpty && below.root === null)) return put(tree, label, below);
  }
  return { kind: "labels", root: removeTip(tree.root, label) };
}

/** The top level's labels and values in label order. */
export function* treeEntries(tree: LabelTree): Generator<LabelEntry, void, undefined> {
  const pending: TrieNode[] = tree.root === null ? [] : [tree.root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (node.kind === "branch") pending.push(node.right, node.left);
    else yield node;
  }
}

/** The entry with the largest label not above `label`, null when every label is above it. */
export function treeFloor(tree: LabelTree, label: Uint8Array): LabelEntry | null {
  return neighbours(tree, label).floor;
}

/** Largest tip at or below `label` and smallest tip above it. */
export function neighbours(tree: LabelTree, label: Uint8Array): { floor: Tip | null; above: Tip | null } {
  if (tree.root === null) return { floor: null, above: null };
  const critical = criticalBit(nearestTip(tree.root, label).label, label);
  let floor: TrieNode | null = null;
  let above: TrieNode | null = null;
  let node: TrieNode = tree.root;
  // Down to the node all of whose labels agree with `label` before the critical bit and differ from it there.
  while (node.kind === "branch" && (critical < 0 || node.bit < critical)) {
    if (labelBit(label, node.bit) === 1) {
      floor = node.left;
      node = node.right;
    } else {
      above = node.right;
      node = node.left;
    }
  }
  if (critical < 0 || labelBit(label, critical) === 1) floor = node;
  else above = node;
  return { floor: floor && lastTip(floor), above: above && firstTip(above) };
}

export function firstTip(node: TrieNode): Tip {
  let at = node;
  while (at.kind === "branch") at = at.left;
  return at;
}

function lastTip(node: TrieNode): Tip {
  let at = node;
  while (at.kind === "branch") at = at.right;
  return at;
}

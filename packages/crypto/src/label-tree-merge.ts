/** Many changes of one level of a labelled tree at once: each node above them is made anew once, not once a change. */
import {
  criticalBit,
  firstTip,
  type LabelTree,
  labelBit,
  makeBranch,
  makeTip,
  sameValue,
  type TrieNode,
} from "./label-tree.ts";

/** A label's new value; null takes the label out. */
export interface LevelChange {
  readonly label: Uint8Array;
  readonly value: Uint8Array | LabelTree | null;
}

/** The level with the changes made, which come in label order, each label once. It may be left without labels. */
export function treeMerge(tree: LabelTree, changes: readonly LevelChange[]): LabelTree {
  const root = mergeRange(tree.root, changes, 0, changes.length);
  return root === tree.root ? tree : { kind: "labels", root };
}

/** What `node` becomes by the changes `from` to `to`, all of which belong where it stands. */
function mergeRange(
  node: TrieNode | null,
  changes: readonly LevelChange[],
  from: number,
  to: number,
): TrieNode | null {
  if (from === to) return node;
  const first = changes[from] as LevelChange;
  const last = changes[to - 1] as LevelChange;
  if (node === null) {
    if (to - from === 1) return first.value === null ? null : makeTip(first.label, first.value);
    const bit = criticalBit(first.label, last.label);
    const middle = firstWithBit(changes, from, to, bit);
    return join(bit, mergeRange(null, changes, from, middle), mergeRange(null, changes, middle, to));
  }
  const known = firstTip(node).label;
  // Labels in order differ from another one first where the first or the last of them does.
  const bit = Math.min(differenceBit(first.label, known), differenceBit(last.label, known));
  if (node.kind === "branch" && bit >= node.bit) {
    const middle = firstWithBit(changes, from, to, node.bit);
    const left = mergeRange(node.left, changes, from, middle);
    const right = mergeRange(node.right, changes, middle, to);
    return left === node.left && right === node.right ? node : join(node.bit, left, right);
  }
  if (node.kind === "tip" && bit === Number.POSITIVE_INFINITY) {
    if (first.value === null) return null;
    return sameValue(node.value, first.value) ? node : makeTip(first.label, first.value);
  }
  const middle = firstWithBit(changes, from, to, bit);
  const right = labelBit(known, bit) === 1;
  return join(
    bit,
    mergeRange(right ? null : node, changes, from, middle),
    mergeRange(right ? node : null, changes, middle, to),
  );
}

function differenceBit(a: Uint8Array, b: Uint8Array): number {
  const bit = criticalBit(a, b);
  return bit < 0 ? Number.POSITIVE_INFINITY : bit;
}

/** The first of the changes, which agree before `bit`, whose label has it set. */
function firstWithBit(changes: readonly LevelChange[], from: number, to: number, bit: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (labelBit((changes[middle] as LevelChange).label, bit) === 1) high = middle;
    else low = middle + 1;
  }
  return low;
}

function join(bit: number, left: TrieNode | null, right: TrieNode | null): TrieNode | null {
  if (left === null) return right;
  return right === null ? left : makeBranch(bit, left, right);
}

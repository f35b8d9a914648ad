/**
 * Pruned views of a labelled tree (interface spec, "Certificate": a partial state tree with the root hash of
 * the whole). A witness reveals everything under each asked path; for a path that is not there it reveals the
 * labels on both sides, and nothing else, so that the specification's lookup answers Absent and never
 * Unknown.
 */
import { toHex } from "@orrery/base";
import { EMPTY_TREE, type HashTree } from "./hash-tree.ts";
import { findTip, type LabelTree, labelBit, neighbours, type Tip, type TrieNode } from "./label-tree.ts";
import { levelHash, nodeHash, valueHash } from "./label-tree-hash.ts";

/** The asked paths as a trie of labels; `all` asks for everything from here on. */
interface Asked {
  all: boolean;
  readonly below: Map<string, { readonly label: Uint8Array; readonly asked: Asked }>;
}

function collect(paths: readonly (readonly Uint8Array[])[]): Asked {
  const root: Asked = { all: false, below: new Map() };
  for (const path of paths) {
    let at = root;
    for (const label of path) {
      const key = toHex(label);
      let next = at.below.get(key);
      if (next === undefined) {
        next = { label, asked: { all: false, below: new Map() } };
        at.below.set(key, next);
      }
      at = next.asked;
    }
    at.all = true;
  }
  return root;
}

/** A tip that stays visible: with what was asked below it, or, as a neighbour, by its label only. */
interface Kept {
  readonly tip: Tip;
  readonly asked: Asked | null;
}

function keptTips(tree: LabelTree, asked: Asked): readonly Kept[] {
  const kept = new Map<Tip, Kept>();
  for (const { label, asked: inner } of asked.below.values()) {
    const tip = findTip(tree, label);
    if (tip !== null) {
      kept.set(tip, { tip, asked: inner });
      continue;
    }
    const { floor, above } = neighbours(tree, label);
    for (const side of [floor, above])
      if (side !== null && !kept.has(side)) kept.set(side, { tip: side, asked: null });
  }
  return [...kept.values()];
}

function valueWitness({ tip, asked }: Kept): HashTree {
  if (asked === null) return { kind: "pruned", hash: valueHash(tip) };
  if (!(tip.value instanceof Uint8Array)) return levelWitness(tip.value, asked);
  // A path that goes on below a value is shown absent by the value itself, which stands where labels would
  // be.
  return { kind: "leaf", value: tip.value };
}

function nodeWitness(node: TrieNode, kept: readonly Kept[]): HashTree {
  if (kept.length === 0) return { kind: "pruned", hash: nodeHash(node) };
  if (node.kind === "tip") return { kind: "labeled", label: node.label, tree: valueWitness(kept[0] as Kept) };
  const left: Kept[] = [];
  const right: Kept[] = [];
  for (const one of kept) (labelBit(one.tip.label, node.bit) === 1 ? right : left).push(one);
  return { kind: "fork", left: nodeWitness(node.left, left), right: nodeWitness(node.right, right) };
}

function levelWitness(tree: LabelTree, asked: Asked): HashTree {
  if (asked.all) return revealAll(tree);
  if (tree.root === null) return EMPTY_TREE;
  if (asked.below.size === 0) return { kind: "pruned", hash: levelHash(tree) };
  return nodeWitness(tree.root, keptTips(tree, asked));
}

function revealNode(node: TrieNode): HashTree {
  if (node.kind === "branch")
    return { kind: "fork", left: revealNode(node.left), right: revealNode(node.right) };
  const tree: HashTree =
    node.value instanceof Uint8Array ? { kind: "leaf", value: node.value } : revealAll(node.value);
  return { kind: "labeled", label: node.label, tree };
}

/** The whole tree, nothing pruned. */
export function revealAll(tree: LabelTree): HashTree {
  return tree.root === null ? EMPTY_TREE : revealNode(tree.root);
}

/**
 * The tree pruned to what proves the answer for every path: its root hash is the tree's, a lookup of an asked
 * path in it is Found with everything below, or Absent. The empty path reveals the whole tree; no path at all
 * gives one pruned node.
 */
export function witness(tree: LabelTree, paths: readonly (readonly Uint8Array[])[]): HashTree {
  return levelWitness(tree, collect(paths));
}

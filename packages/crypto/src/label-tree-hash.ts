/**
 * Hashes of the labelled tree (interface spec, "Certificate": the root hash of a hash tree), computed where they are missing and
 * kept where that pays. Inside they are words; the bytes that come out are fresh.
 */
import { domainSep, sha256 } from "./hashes.ts";
import { type LabelTree, type Tip, type TrieNode, treeSize } from "./label-tree.ts";
import {
  type Digest,
  digestBytes,
  digestFromBytes,
  digestOfBytes,
  digestOfLabelled,
  digestOfPair,
  SHORT_MESSAGE_BYTES_MAX,
} from "./sha256-short.ts";

/**
 * Levels of at most so many labels do not keep the hashes inside them: there are as many such levels as canisters, a hash takes 90
 * bytes of memory and half a microsecond, and what is above them keeps theirs.
 */
const SMALL_LEVEL_LABELS = 8;
/**
 * The topmost levels (the state tree's root, and all canisters or all requests below it) keep theirs however few labels they have:
 * every certificate shows them pruned, and would hash all that is below them again.
 */
const KEPT_LEVELS = 2;
/** Hashing a shorter value again costs less than keeping its hash. */
const KEPT_VALUE_BYTES_MIN = 256;

const SEP_FORK: Uint8Array = domainSep("ic-hashtree-fork");
const SEP_LABELED: Uint8Array = domainSep("ic-hashtree-labeled");
const SEP_LEAF: Uint8Array = domainSep("ic-hashtree-leaf");
const EMPTY: Digest = digestFromBytes(sha256(domainSep("ic-hashtree-empty")));
/** A label so long does not fit beside the separator and the hash below it. */
const LONG_LABEL_BYTES_MIN: number = SHORT_MESSAGE_BYTES_MAX - SEP_LABELED.length - 32 + 1;

function leafDigest(value: Uint8Array): Digest {
  if (value.length + SEP_LEAF.length > SHORT_MESSAGE_BYTES_MAX)
    return digestFromBytes(sha256(SEP_LEAF, value));
  return digestOfBytes(SEP_LEAF, value);
}

function labeledDigest(label: Uint8Array, below: Digest): Digest {
  if (label.length >= LONG_LABEL_BYTES_MIN)
    return digestFromBytes(sha256(SEP_LABELED, label, digestBytes(below)));
  return digestOfLabelled(SEP_LABELED, label, below);
}

function valueDigest(tip: Tip, depth: number): Digest {
  if (!(tip.value instanceof Uint8Array)) return levelDigest(tip.value, depth);
  if (tip.value.length < KEPT_VALUE_BYTES_MIN) return leafDigest(tip.value);
  tip.valueHash ??= leafDigest(tip.value);
  return tip.valueHash;
}

/** `keep`: remember the hashes from here down to the tips of this level, which is the one at `depth`. */
function nodeDigest(node: TrieNode, keep: boolean, depth: number): Digest {
  if (node.hash !== null) return node.hash;
  const digest =
    node.kind === "tip"
      ? labeledDigest(node.label, valueDigest(node, depth + 1))
      : digestOfPair(SEP_FORK, nodeDigest(node.left, keep, depth), nodeDigest(node.right, keep, depth));
  if (keep) node.hash = digest;
  return digest;
}

function levelDigest(tree: LabelTree, depth: number): Digest {
  if (tree.root === null) return EMPTY;
  return nodeDigest(tree.root, depth < KEPT_LEVELS || treeSize(tree) > SMALL_LEVEL_LABELS, depth);
}

/** Hash of a value or subtree alone. */
export function valueHash(tip: Tip): Uint8Array {
  return digestBytes(valueDigest(tip, KEPT_LEVELS));
}

/** Hash of a trie node as the hash tree's forks and labels have it. */
export function nodeHash(node: TrieNode): Uint8Array {
  return digestBytes(nodeDigest(node, false, KEPT_LEVELS));
}

/** Hash of a level that stands deep in a tree. */
export function levelHash(tree: LabelTree): Uint8Array {
  return digestBytes(levelDigest(tree, KEPT_LEVELS));
}

/** Root hash of a whole tree. */
export function treeHash(tree: LabelTree): Uint8Array {
  return digestBytes(levelDigest(tree, 0));
}

/** Keeps the hash of a small level that is to stand in many places of a tree. */
export function keepTreeHash({ root }: LabelTree): void {
  if (root !== null) root.hash ??= nodeDigest(root, false, KEPT_LEVELS);
}

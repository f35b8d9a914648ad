/**
 * Hash trees (interface spec, "Certificate", "Lookup", "Encoding of certificates"): the data, its root hash,
 * the strict codec and the lookups, which follow the specification's text to the letter, pruned nodes
 * included. A decoded tree is well formed: labels strictly increase along a forest and leaves stand alone.
 */
import {
  assertNever,
  CBOR_DEPTH_MAX,
  type CborValue,
  compareBytes,
  decodeCbor,
  encodeCborBare,
  OrreryError,
} from "@orrery/base";
import { domainSep, sha256 } from "./hashes.ts";

export type HashTree =
  | { readonly kind: "empty" }
  | { readonly kind: "fork"; readonly left: HashTree; readonly right: HashTree }
  | { readonly kind: "labeled"; readonly label: Uint8Array; readonly tree: HashTree }
  | { readonly kind: "leaf"; readonly value: Uint8Array }
  | { readonly kind: "pruned"; readonly hash: Uint8Array };

/** Answer of a lookup: `error` means that the path leads to a subtree, not to a value. */
export type Lookup<T> =
  | { readonly kind: "found"; readonly value: T }
  | { readonly kind: "absent" }
  | { readonly kind: "unknown" }
  | { readonly kind: "error" };

/** Nesting of forks and labels together; the CBOR decoder's own bound, kept for trees that come as values. */
export const HASH_TREE_DEPTH_MAX: number = CBOR_DEPTH_MAX;
export const HASH_BYTES = 32;

export const EMPTY_TREE: HashTree = { kind: "empty" };

const SEP_EMPTY: Uint8Array = domainSep("ic-hashtree-empty");
const SEP_FORK: Uint8Array = domainSep("ic-hashtree-fork");
const SEP_LABELED: Uint8Array = domainSep("ic-hashtree-labeled");
const SEP_LEAF: Uint8Array = domainSep("ic-hashtree-leaf");

/** Root hash of the empty tree. */
function emptyHash(): Uint8Array {
  return sha256(SEP_EMPTY);
}
function forkHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(SEP_FORK, left, right);
}
function labeledHash(label: Uint8Array, tree: Uint8Array): Uint8Array {
  return sha256(SEP_LABELED, label, tree);
}
function leafHash(value: Uint8Array): Uint8Array {
  return sha256(SEP_LEAF, value);
}

/** Root hash of a tree (the specification's `reconstruct`): 32 bytes. */
export function reconstruct(tree: HashTree): Uint8Array {
  switch (tree.kind) {
    case "empty":
      return emptyHash();
    case "fork":
      return forkHash(reconstruct(tree.left), reconstruct(tree.right));
    case "labeled":
      return labeledHash(tree.label, reconstruct(tree.tree));
    case "leaf":
      return leafHash(tree.value);
    case "pruned":
      return tree.hash;
    default:
      return assertNever(tree, "hash tree node");
  }
}

/** The specification's `flatten_forks`: the nodes of a forest from left to right, empty ones dropped. */
export function flattenForks(tree: HashTree): readonly HashTree[] {
  const out: HashTree[] = [];
  const pending: HashTree[] = [tree];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (node.kind === "fork") pending.push(node.right, node.left);
    else if (node.kind !== "empty") out.push(node);
  }
  return out;
}

/** Labels of the top level that are visible, in order; pruned parts may hide others. */
export function listLabels(tree: HashTree): readonly Uint8Array[] {
  const labels: Uint8Array[] = [];
  for (const node of flattenForks(tree)) if (node.kind === "labeled") labels.push(node.label);
  return labels;
}

const ABSENT: { readonly kind: "absent" } = { kind: "absent" };
const UNKNOWN: { readonly kind: "unknown" } = { kind: "unknown" };
const ERROR: { readonly kind: "error" } = { kind: "error" };

/**
 * The specification's `find_label`: absence is proved only by two adjacent labels, an end of the forest or a
 * lone leaf.
 */
function findLabel(label: Uint8Array, forest: readonly HashTree[]): Lookup<HashTree> {
  if (forest.length === 0) return ABSENT;
  if (forest.length === 1 && forest[0]?.kind === "leaf") return ABSENT;
  /** Whether everything before the current node is known to be smaller than `label`. */
  let smallerBefore = true;
  let absent = false;
  for (const node of forest) {
    if (node.kind !== "labeled") {
      smallerBefore = false;
      continue;
    }
    const order = compareBytes(label, node.label);
    if (order === 0) return { kind: "found", value: node.tree };
    if (order < 0 && smallerBefore) absent = true;
    smallerBefore = order > 0;
  }
  return absent || smallerBefore ? ABSENT : UNKNOWN;
}

/** The subtree at `path`, or why there is none to be seen. The empty path finds the tree itself. */
export function lookupSubtree(tree: HashTree, path: readonly Uint8Array[]): Lookup<HashTree> {
  let at = tree;
  for (const label of path) {
    const step = findLabel(label, flattenForks(at));
    if (step.kind !== "found") return step;
    at = step.value;
  }
  return { kind: "found", value: at };
}

/** The value at `path` (the specification's `lookup_path`). */
export function lookupPath(tree: HashTree, path: readonly Uint8Array[]): Lookup<Uint8Array> {
  const subtree = lookupSubtree(tree, path);
  if (subtree.kind !== "found") return subtree;
  const node = subtree.value;
  switch (node.kind) {
    case "leaf":
      return { kind: "found", value: node.value };
    case "empty":
      return ABSENT;
    case "pruned":
      return UNKNOWN;
    case "labeled":
    case "fork":
      return ERROR;
    default:
      return assertNever(node, "hash tree node");
  }
}

function invalid(why: string, cause?: unknown): OrreryError {
  return new OrreryError(
    "hash_tree_invalid",
    `not a hash tree: ${why}`,
    cause === undefined ? {} : { cause },
  );
}

function bytesOf(value: CborValue, what: string): Uint8Array {
  if (!(value instanceof Uint8Array)) throw invalid(`${what} is not a byte string`);
  return value;
}

/** The largest label seen so far in the forest under decoding, and whether the forest is a forest at all. */
interface Forest {
  last: Uint8Array | null;
  readonly alone: boolean;
}

function fromCbor(value: CborValue, depth: number, forest: Forest): HashTree {
  if (depth > HASH_TREE_DEPTH_MAX) throw invalid(`nesting over ${HASH_TREE_DEPTH_MAX} levels`);
  if (!Array.isArray(value)) throw invalid("a node is not an array");
  const node = value as readonly CborValue[];
  const arity = [1, 3, 3, 2, 2][node[0] as number];
  if (typeof node[0] !== "number" || arity !== node.length)
    throw invalid("unknown node type or wrong number of parts");
  switch (node[0]) {
    case 0:
      return EMPTY_TREE;
    case 1: {
      const inner: Forest = forest.alone ? { last: null, alone: false } : forest;
      const left = fromCbor(node[1], depth + 1, inner);
      return { kind: "fork", left, right: fromCbor(node[2], depth + 1, inner) };
    }
    case 2: {
      const label = bytesOf(node[1], "a label");
      if (forest.last !== null && compareBytes(forest.last, label) >= 0)
        throw invalid("labels do not increase");
      forest.last = label;
      return { kind: "labeled", label, tree: fromCbor(node[2], depth + 1, { last: null, alone: true }) };
    }
    case 3:
      if (!forest.alone) throw invalid("a leaf stands beside other nodes");
      return { kind: "leaf", value: bytesOf(node[1], "a leaf") };
    default: {
      const hash = bytesOf(node[1], "a pruned hash");
      if (hash.length !== HASH_BYTES)
        throw invalid(`a pruned hash has ${hash.length} bytes, not ${HASH_BYTES}`);
      return { kind: "pruned", hash };
    }
  }
}

/** Reads a tree from decoded CBOR; anything but a well-formed tree is `hash_tree_invalid`. */
export function hashTreeFromCbor(value: CborValue): HashTree {
  return fromCbor(value, 0, { last: null, alone: true });
}

/**
 * Decodes a tree, with or without the self-describing tag; `hash_tree_invalid` when it is not well formed.
 */
export function decodeHashTree(bytes: Uint8Array): HashTree {
  let value: CborValue;
  try {
    value = decodeCbor(bytes);
  } catch (cause) {
    throw invalid((cause as Error).message, cause);
  }
  return hashTreeFromCbor(value);
}

/** The tree as a CBOR value, for embedding in a certificate. */
export function hashTreeToCbor(tree: HashTree): CborValue {
  switch (tree.kind) {
    case "empty":
      return [0];
    case "fork":
      return [1, hashTreeToCbor(tree.left), hashTreeToCbor(tree.right)];
    case "labeled":
      return [2, tree.label, hashTreeToCbor(tree.tree)];
    case "leaf":
      return [3, tree.value];
    case "pruned":
      return [4, tree.hash];
    default:
      return assertNever(tree, "hash tree node");
  }
}

/** Encodes a tree without the tag. */
export function encodeHashTree(tree: HashTree): Uint8Array {
  return encodeCborBare(hashTreeToCbor(tree));
}

/**
 * Every visible value under `prefix` with its path, in order (the specification's `lookup*` keeps the values
 * only).
 */
export function lookupAll(
  tree: HashTree,
  prefix: readonly Uint8Array[],
): readonly { readonly path: readonly Uint8Array[]; readonly value: Uint8Array }[] {
  const start = lookupSubtree(tree, prefix);
  const out: { path: readonly Uint8Array[]; value: Uint8Array }[] = [];
  const visit = (node: HashTree, path: readonly Uint8Array[]): void => {
    if (node.kind === "leaf") out.push({ path, value: node.value });
    else if (node.kind === "labeled") visit(node.tree, [...path, node.label]);
    else if (node.kind === "fork") for (const inner of flattenForks(node)) visit(inner, path);
  };
  if (start.kind === "found") visit(start.value, prefix);
  return out;
}

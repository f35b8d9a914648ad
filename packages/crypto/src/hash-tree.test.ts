/** Hash trees against the specification's vectors, and the codec against hostile input. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compareBytes, encodeCborBare, fromHex, toHex, utf8 } from "@orrery/base";
import fc from "fast-check";
import {
  decodeHashTree,
  encodeHashTree,
  type HashTree,
  listLabels,
  lookupAll,
  lookupPath,
  lookupSubtree,
  reconstruct,
} from "./hash-tree.ts";

const ROOT = "eb5c5b2195e62d996b84c9bcc8259d19a83786a2f59e0878cec84c811f669aa0";
const FULL =
  "8301830183024161830183018302417882034568656c6c6f810083024179820345776f726c6483024162820344676f6f648301" +
  "830241638100830241648203476d6f726e696e67";
const PRUNED =
  "83018301830241618301820458201b4feff9bef8131788b0c9dc6dbad6e81e524249c879e9f10f71ce3749f5a6388302417982" +
  "0345776f726c6483024162820458207b32ac0c6ba8ce35ac82c255fc7906f7fc130dab2a090f80fe12f9c2cae83ba6830182" +
  "045820ec8324b8a1f1ac16bd2e806edba78006479c9877fed4eb464a25485465af601d830241648203476d6f726e696e67";

function look(tree: HashTree, ...path: string[]): string {
  const found = lookupPath(tree, path.map(utf8));
  return found.kind === "found" ? `found ${new TextDecoder().decode(found.value)}` : found.kind;
}

test("the specification's tree has its root hash and encoding, whole and pruned", () => {
  for (const hex of [FULL, PRUNED]) {
    const tree = decodeHashTree(fromHex(hex));
    assert.equal(toHex(reconstruct(tree)), ROOT);
    assert.equal(toHex(encodeHashTree(tree)), hex);
  }
});

test("lookups in the specification's pruned tree", () => {
  const tree = decodeHashTree(fromHex(PRUNED));
  const expected: Readonly<Record<string, string>> = {
    "a/a": "unknown",
    "a/y": "found world",
    aa: "absent",
    ax: "absent",
    b: "unknown",
    bb: "unknown",
    d: "found morning",
    e: "absent",
  };
  for (const [path, answer] of Object.entries(expected))
    assert.equal(look(tree, ...path.split("/")), answer, path);
});

test("lookups in the specification's whole tree", () => {
  const tree = decodeHashTree(fromHex(FULL));
  const expected: Readonly<Record<string, string>> = {
    "a/x": "found hello",
    a: "error",
    "": "absent",
    "b/c": "absent",
    c: "absent",
    "c/x": "absent",
    "a/xx": "absent",
  };
  for (const [path, answer] of Object.entries(expected))
    assert.equal(look(tree, ...path.split("/")), answer, path);
  assert.equal(lookupPath(tree, []).kind, "error");
  assert.deepEqual(listLabels(tree).map(toHex), ["61", "62", "63", "64"]);
  assert.deepEqual(
    lookupAll(tree, [utf8("a")]).map(({ path, value }) => [path.length, toHex(value)]),
    [
      [2, toHex(utf8("hello"))],
      [2, toHex(utf8("world"))],
    ],
  );
  assert.equal(lookupSubtree(tree, [utf8("a")]).kind, "found");
  assert.equal(lookupSubtree(tree, [utf8("b"), utf8("c")]).kind, "absent");
});

test("a label with a sibling as its prefix is found", () => {
  const leaf = (text: string): HashTree => ({ kind: "leaf", value: utf8(text) });
  const tree: HashTree = {
    kind: "fork",
    left: { kind: "labeled", label: utf8("candid"), tree: leaf("1") },
    right: { kind: "labeled", label: utf8("candid:service"), tree: leaf("2") },
  };
  assert.equal(look(tree, "candid"), "found 1");
  assert.equal(look(tree, "candid:service"), "found 2");
  assert.equal(look(tree, "candid:"), "absent");
});

/** The specification's patterns of `find_label` and `lookup_path`, tried one after the other as they are written. */
function literalLookup(path: readonly Uint8Array[], tree: HashTree): string {
  const [label, ...rest] = path;
  if (label === undefined) {
    if (tree.kind === "leaf") return `found ${toHex(tree.value)}`;
    return tree.kind === "empty" ? "absent" : tree.kind === "pruned" ? "unknown" : "error";
  }
  const flatten = (node: HashTree): readonly HashTree[] =>
    node.kind === "empty"
      ? []
      : node.kind === "fork"
        ? [...flatten(node.left), ...flatten(node.right)]
        : [node];
  const trees = flatten(tree);
  const order = (node: HashTree | undefined): number | null =>
    node?.kind === "labeled" ? Math.sign(compareBytes(label, node.label)) : null;
  const found = trees.find((node) => order(node) === 0);
  if (found?.kind === "labeled") return literalLookup(rest, found.tree);
  const between = trees.some((node, i) => order(node) === 1 && order(trees[i + 1]) === -1);
  const atEnd = order(trees[0]) === -1 || order(trees.at(-1)) === 1;
  const loneLeaf = trees.length === 1 && trees[0]?.kind === "leaf";
  return between || atEnd || loneLeaf || trees.length === 0 ? "absent" : "unknown";
}

test("lookups agree with the specification's patterns on any pruned tree", () => {
  const label = fc.uint8Array({ maxLength: 2 }).map((bytes) => bytes.map((b) => b & 3));
  const pruned: fc.Arbitrary<HashTree> = fc.constant({ kind: "pruned", hash: new Uint8Array(32) });
  /** A balanced or lopsided forest of the given nodes, with empty ones strewn in. */
  const forest = (nodes: readonly HashTree[], shape: number): HashTree => {
    const [only] = nodes;
    if (only === undefined) return { kind: "empty" };
    if (nodes.length === 1)
      return shape % 3 === 0 ? { kind: "fork", left: only, right: { kind: "empty" } } : only;
    const at = 1 + (shape % (nodes.length - 1));
    return {
      kind: "fork",
      left: forest(nodes.slice(0, at), shape),
      right: forest(nodes.slice(at), shape >> 1),
    };
  };
  const level = (below: fc.Arbitrary<HashTree>): fc.Arbitrary<HashTree> =>
    fc
      .tuple(fc.array(fc.tuple(label, fc.option(below), fc.boolean()), { maxLength: 5 }), fc.nat(1_000))
      .map(([entries, shape]) => {
        const byLabel = new Map(entries.map((entry) => [toHex(entry[0]), entry]));
        const sorted = [...byLabel.values()].sort(([a], [b]) => compareBytes(a, b));
        const nodes = sorted.map(([name, tree, hidden]): HashTree => {
          if (hidden) return { kind: "pruned", hash: new Uint8Array(32) };
          return { kind: "labeled", label: name, tree: tree ?? { kind: "leaf", value: Uint8Array.of(7) } };
        });
        return forest(nodes, shape);
      });
  const leaf: fc.Arbitrary<HashTree> = fc.constant({ kind: "leaf", value: Uint8Array.of(1) });
  const tree = level(fc.oneof(leaf, pruned, level(fc.oneof(leaf, pruned))));
  fc.assert(
    fc.property(tree, fc.array(label, { maxLength: 3 }), (any, path) => {
      const seen = lookupPath(any, path);
      assert.equal(
        seen.kind === "found" ? `found ${toHex(seen.value)}` : seen.kind,
        literalLookup(path, any),
      );
      assert.equal(toHex(encodeHashTree(decodeHashTree(encodeHashTree(any)))), toHex(encodeHashTree(any)));
    }),
    { numRuns: 2_000 },
  );
});

test("trees that are not well formed are refused", () => {
  const bad: readonly (readonly [string, string])[] = [
    ["equal labels", "8301" + "830241618100" + "830241618100"],
    ["falling labels", "8301" + "830241628100" + "830241618100"],
    ["falling labels behind nested forks", "8301" + "8301830241618100830241638100" + "830241628100"],
    ["a leaf in a forest", "8301" + "830241618100" + "820341ff"],
    ["a short pruned hash", "820441ff"],
    ["an unknown node", "8105"],
    ["a node of the wrong size", "820041ff"],
    ["a text label", "830261618100"],
    ["trailing bytes", "810000"],
    ["no array", "a0"],
    ["an empty array", "80"],
    ["a negative node type", "8120"],
  ];
  for (const [what, hex] of bad) {
    assert.throws(() => decodeHashTree(fromHex(hex)), { code: "hash_tree_invalid" }, what);
  }
});

test("nesting is bounded and does not exhaust the stack", () => {
  const nested = (levels: number): Uint8Array => {
    const open = new Uint8Array(4 * levels);
    for (let i = 0; i < levels; i++) open.set([0x83, 0x02, 0x41, 0x61], 4 * i);
    const out = new Uint8Array(open.length + 2);
    out.set(open);
    out.set([0x81, 0x00], open.length);
    return out;
  };
  assert.equal(lookupSubtree(decodeHashTree(nested(500)), new Array(500).fill(utf8("a"))).kind, "found");
  for (const levels of [600, 5_000, 1_000_000]) {
    assert.throws(() => decodeHashTree(nested(levels)), { code: "hash_tree_invalid" });
  }
});

test("random bytes and random CBOR give a tree or hash_tree_invalid", () => {
  const attempt = (bytes: Uint8Array): void => {
    try {
      const tree = decodeHashTree(bytes);
      assert.equal(toHex(reconstruct(decodeHashTree(encodeHashTree(tree)))), toHex(reconstruct(tree)));
    } catch (error) {
      assert.equal((error as { code?: string }).code, "hash_tree_invalid");
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), attempt));
  fc.assert(
    fc.property(fc.nat(), fc.nat(255), (at, value) => {
      const bytes = fromHex(PRUNED);
      bytes[at % bytes.length] = value;
      attempt(bytes);
    }),
  );
  const { node } = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 5 },
      fc.constant([0]),
      fc.tuple(fc.constant(1), tie("node"), tie("node")),
      fc.tuple(fc.constant(2), fc.uint8Array({ maxLength: 2 }), tie("node")),
      fc.tuple(fc.constant(3), fc.uint8Array({ maxLength: 2 })),
      fc.tuple(fc.constant(4), fc.uint8Array({ minLength: 32, maxLength: 32 })),
    ),
  }));
  fc.assert(fc.property(node, (value) => attempt(encodeCborBare(value as never))));
});

/** The labelled tree against a plain sorted map, and its witnesses against the truth. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compareBytes, fromHex, toHex, utf8 } from "@orrery/base";
import fc from "fast-check";
import {
  decodeHashTree,
  encodeHashTree,
  type HashTree,
  lookupPath,
  lookupSubtree,
  reconstruct,
} from "./hash-tree.ts";
import {
  emptyTree,
  type LabelTree,
  treeDelete,
  treeEntries,
  treeFloor,
  treeGet,
  treeSet,
  treeSize,
} from "./label-tree.ts";
import { keepTreeHash, treeHash } from "./label-tree-hash.ts";
import { treeMerge } from "./label-tree-merge.ts";
import { revealAll, witness } from "./witness.ts";

/** Short labels over few letters, so that prefixes and neighbours occur all the time. */
const label = fc.oneof(
  fc.uint8Array({ maxLength: 3 }).map((bytes) => bytes.map((b) => [0, 1, 0x80, 0xff][b & 3] as number)),
  fc.constantFrom("candid", "candid:service", "candid:args", "time").map(utf8),
);
const leaf = fc.uint8Array({ maxLength: 3 });
const levelEntries = fc.array(fc.tuple(label, leaf), { maxLength: 24 });

function build(entries: readonly (readonly [Uint8Array, Uint8Array | LabelTree])[]): LabelTree {
  return entries.reduce((tree, [key, value]) => treeSet(tree, [key], value), emptyTree());
}

/** Trees of up to three levels, empty subtrees included. */
const forest: fc.Arbitrary<LabelTree> = fc
  .array(
    fc.tuple(
      label,
      fc.oneof(
        leaf,
        levelEntries.map(build),
        fc.array(fc.tuple(label, levelEntries.map(build)), { maxLength: 4 }).map(build),
      ),
    ),
    {
      maxLength: 8,
    },
  )
  .map(build);
const path = fc.array(label, { maxLength: 4 });

const same = (a: Uint8Array, b: Uint8Array): void => assert.equal(toHex(a), toHex(b));

test("entries come in label order whatever the order of insertion, and so does the hash", () => {
  fc.assert(
    fc.property(levelEntries, fc.infiniteStream(fc.nat()), (entries, random) => {
      const model = new Map(entries.map(([key, value]) => [toHex(key), value]));
      const tree = build(entries);
      const expected = [...model].sort(([a], [b]) => compareBytes(fromHex(a), fromHex(b)));
      assert.deepEqual(
        [...treeEntries(tree)].map((entry) => [toHex(entry.label), entry.value]),
        expected,
      );
      assert.equal(treeSize(tree), model.size);
      const shuffled = [...model]
        .map(([key, value]) => ({ at: random.next().value as number, key, value }))
        .sort((a, b) => a.at - b.at);
      const again = build(shuffled.map(({ key, value }) => [fromHex(key), value]));
      same(treeHash(again), treeHash(tree));
      same(reconstruct(revealAll(tree)), treeHash(tree));
    }),
  );
});

test("deleting gives the tree that never had the label; hashes cached before do not leak", () => {
  fc.assert(
    fc.property(levelEntries, label, (entries, extra) => {
      const without = build(entries.filter(([key]) => toHex(key) !== toHex(extra)));
      treeHash(without);
      const added = treeSet(without, [extra], utf8("extra"));
      treeHash(added);
      assert.notEqual(toHex(treeHash(added)), toHex(treeHash(without)));
      const removed = treeDelete(added, [extra]);
      same(treeHash(removed), treeHash(without));
      assert.equal(treeGet(removed, [extra]), null);
      assert.equal(treeDelete(without, [extra]), without);
    }),
  );
});

test("many changes at once give the trie that one after another gives, and leave what they do not concern", () => {
  const edits = fc.array(fc.tuple(label, fc.option(leaf)), { maxLength: 24 });
  fc.assert(
    fc.property(levelEntries, edits, (entries, asked) => {
      const before = build(entries);
      treeHash(before);
      const byLabel = new Map(asked.map(([key, value]) => [toHex(key), { label: key, value }]));
      const changes = [...byLabel.values()].sort((a, b) => compareBytes(a.label, b.label));
      let singly = before;
      for (const change of changes) {
        singly =
          change.value === null
            ? treeDelete(singly, [change.label])
            : treeSet(singly, [change.label], change.value);
      }
      const merged = treeMerge(before, changes);
      same(treeHash(merged), treeHash(singly));
      assert.deepEqual(merged, singly);
      if (toHex(treeHash(singly)) === toHex(treeHash(before))) assert.equal(merged, before);
    }),
    { numRuns: 1_000 },
  );
});

test("paths set and delete at depth; emptied levels stay unless pruned", () => {
  const path = ["request_status", "id", "status"].map(utf8);
  const tree = treeSet(emptyTree(), path, utf8("received"));
  assert.equal(treeGet(tree, path) instanceof Uint8Array, true);
  assert.equal(treeGet(tree, [...path, utf8("below")]), null);
  assert.equal(treeSize(treeGet(treeDelete(tree, path), path.slice(0, 2)) as LabelTree), 0);
  assert.equal(treeSize(treeDelete(tree, path, { pruneEmpty: true })), 0);
  const two = treeSet(tree, ["request_status", "other"].map(utf8), emptyTree());
  assert.equal(
    treeSize(treeGet(treeDelete(two, path, { pruneEmpty: true }), path.slice(0, 1)) as LabelTree),
    1,
  );
  assert.equal(treeDelete(tree, [...path, utf8("below")]), tree);
  assert.equal(treeSet(tree, path, utf8("received")), tree);
});

test("a set shares everything off its path and hashes only the changes", () => {
  let tree = emptyTree();
  const keys = Array.from({ length: 1_000 }, (_, i) => utf8(`key ${i * 7919}`));
  for (const key of keys) tree = treeSet(tree, [key], key);
  treeHash(tree);
  const changed = treeSet(tree, [keys[500] as Uint8Array], utf8("new"));
  const unhashed = (node: LabelTree["root"]): number =>
    node === null || node.hash !== null
      ? 0
      : 1 + (node.kind === "branch" ? unhashed(node.left) + unhashed(node.right) : 0);
  assert.ok(unhashed(changed.root) < 40, `${unhashed(changed.root)} nodes to hash again`);
});

test("a level that stands in many places keeps its hash when told to", () => {
  const level = build([
    [utf8("reply"), utf8("yes")],
    [utf8("status"), utf8("replied")],
  ]);
  const one = treeSet(emptyTree(), [utf8("a"), utf8("b"), utf8("c")], level);
  const hash = toHex(treeHash(one));
  assert.equal(level.root?.hash, null);
  keepTreeHash(level);
  keepTreeHash(emptyTree());
  assert.notEqual(level.root?.hash, null);
  assert.equal(toHex(treeHash(treeSet(emptyTree(), [utf8("a"), utf8("b"), utf8("c")], level))), hash);
});

test("the two topmost levels keep their hashes however small, small levels below them do not", () => {
  let tree = emptyTree();
  for (const [a, b, c] of ["aax", "aay", "abx", "bax"].map((text) => [...text].map((letter) => utf8(letter))))
    tree = treeSet(tree, [a, b, c] as Uint8Array[], utf8("value"));
  const kept = ({ root }: LabelTree): boolean[] => {
    if (root === null) return [];
    const below = [...treeEntries({ kind: "labels", root })].map(({ value }) => value as LabelTree);
    return [root.hash !== null, ...below.filter((one) => one.kind === "labels").flatMap(kept)];
  };
  const root = treeHash(tree);
  // The root; level a and what is in it, aa and ab; level b and ba in it.
  const expected = [true, true, false, false, true, false];
  assert.deepEqual(kept(tree), expected);
  same(reconstruct(witness(tree, [[utf8("a"), utf8("a")]])), root);
  assert.deepEqual(kept(tree), expected);
});

test("floor finds the largest label not above", () => {
  fc.assert(
    fc.property(levelEntries, label, (entries, probe) => {
      const tree = build(entries);
      const below = [...treeEntries(tree)].filter((entry) => compareBytes(entry.label, probe) <= 0).at(-1);
      const floor = treeFloor(tree, probe);
      assert.equal(floor && toHex(floor.label), below === undefined ? null : toHex(below.label));
    }),
  );
});

/** What a lookup in the unpruned tree answers. */
function truth(tree: LabelTree, at: readonly Uint8Array[]): string {
  const value = treeGet(tree, at);
  if (value === null) return "absent";
  if (value instanceof Uint8Array) return `found ${toHex(value)}`;
  return treeSize(value) === 0 ? "absent" : "error";
}

function answer(tree: HashTree, at: readonly Uint8Array[]): string {
  const found = lookupPath(tree, at);
  return found.kind === "found" ? `found ${toHex(found.value)}` : found.kind;
}

test("a witness has the tree's hash and answers every asked path with the truth", () => {
  fc.assert(
    fc.property(forest, fc.array(path, { maxLength: 5 }), (tree, paths) => {
      const pruned = decodeHashTree(encodeHashTree(witness(tree, paths)));
      same(reconstruct(pruned), treeHash(tree));
      for (const asked of paths) {
        assert.equal(answer(pruned, asked), truth(tree, asked));
        const below = treeGet(tree, asked);
        const shown = lookupSubtree(pruned, asked);
        if (below !== null && !(below instanceof Uint8Array) && shown.kind === "found") {
          assert.deepEqual(shown.value, revealAll(below), "everything under an asked path is revealed");
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("a witness never answers wrongly what was not asked", () => {
  fc.assert(
    fc.property(forest, fc.array(path, { maxLength: 3 }), path, (tree, paths, other) => {
      const seen = answer(witness(tree, paths), other);
      assert.ok(seen === "unknown" || seen === truth(tree, other), `${seen} is not ${truth(tree, other)}`);
    }),
    { numRuns: 500 },
  );
});

test("absence reveals the labels on both sides and nothing of their content", () => {
  const tree = build(["b", "d", "f", "h"].map((key) => [utf8(key), utf8("secret")]));
  const between = witness(tree, [[utf8("e")]]);
  const text = new TextDecoder("latin1").decode(encodeHashTree(between));
  assert.ok(!text.includes("secret"));
  assert.equal(answer(between, [utf8("e")]), "absent");
  assert.equal(answer(between, [utf8("a")]), "unknown");
  assert.equal(answer(between, [utf8("b")]), "unknown");
  assert.equal(answer(between, [utf8("d")]), "unknown");
});

test("the empty tree, the empty path and no paths", () => {
  assert.deepEqual(witness(emptyTree(), [[utf8("x")]]), { kind: "empty" });
  const tree = build([[utf8("a"), utf8("1")]]);
  assert.deepEqual(witness(tree, [[]]), revealAll(tree));
  assert.equal(witness(tree, []).kind, "pruned");
});

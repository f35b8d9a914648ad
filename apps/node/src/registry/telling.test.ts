/** Nodes that tell each other records: all come to the same version, whoever has it first, and who tells what does not hold is reported. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { encodeCborBare, type SubnetId, silentLogger } from "@orrery/base";
import { Creations } from "./creations.ts";
import { decodeRecord, type RegistryRecord } from "./record.ts";
import { approved, idOf, joining, leaving, registryOf } from "./registry.testkit.ts";
import type { Registry } from "./registry.ts";
import {
  encodeRecords,
  readCreationsFile,
  readRegistryFile,
  writeCreationsFile,
  writeRegistryFile,
} from "./registry-file.ts";
import { encodeTold, RegistryTelling } from "./telling.ts";

const ROOT = { subnetId: new Uint8Array(29) as SubnetId, publicKey: new Uint8Array(133) };

interface Node {
  readonly registry: Registry;
  readonly telling: RegistryTelling;
  readonly kept: RegistryRecord[][];
  readonly reported: string[];
  grown: number;
}

/** Nodes by name, who reach each other; `lies`: what some answer instead. */
function network(
  names: readonly string[],
  lies: ReadonlyMap<string, Uint8Array> = new Map(),
): Map<string, Node> {
  const nodes = new Map<string, Node>();
  for (const name of names) {
    const registry = registryOf(4);
    const [kept, reported]: [RegistryRecord[][], string[]] = [[], []];
    const telling = new RegistryTelling({
      registry,
      creations: new Creations({ registry, root: ROOT, begun: 2, verifyBls: () => false }),
      peers: () => names.filter((other) => other !== name),
      async ask(body, [peer = ""]) {
        await Promise.resolve();
        const said = lies.get(peer) ?? nodes.get(peer)?.telling.answer(name, body) ?? null;
        return said === null ? null : { peer, body: said };
      },
      report: (peer) => reported.push(peer),
      keep: (records) => kept.push([...records]),
      keepCreations: () => assert.fail("there are none"),
      onGrown: () => {
        node.grown++;
      },
      logger: silentLogger,
      onFailure(error): void {
        throw error;
      },
    });
    const node: Node = { registry, telling, kept, reported, grown: 0 };
    nodes.set(name, node);
  }
  return nodes;
}

const at = (nodes: ReadonlyMap<string, Node>, name: string): Node => nodes.get(name) as Node;
const settled = (): Promise<void> => new Promise((done) => setImmediate(() => setImmediate(done)));
/** The operators of 0, 1 and 2 have 4 join. */
const added = decodeRecord(approved(registryOf(4).propose([joining(4)]), [0, 1, 2]));
function second(): RegistryRecord {
  const registry = registryOf(4);
  assert.ok(registry.append(approved(added.mutation, [0, 1, 2])).ok);
  return decodeRecord(approved(registry.propose([leaving(0, 0)]), [1, 2, 3, 4]));
}

test("what one is brought all know, and each keeps it before anybody is told", async () => {
  const nodes = network(["a", "b", "c"]);
  assert.ok(at(nodes, "a").telling.submit(added).ok);
  await settled();
  assert.ok(at(nodes, "b").telling.submit(second()).ok);
  await settled();
  for (const { registry, kept, reported, grown } of nodes.values()) {
    assert.equal(registry.version, 3);
    assert.equal(grown, 2);
    assert.deepEqual(kept.at(-1), registry.since(1));
    assert.deepEqual(reported, []);
  }
  // Brought again it is known, and nobody is told.
  assert.ok(at(nodes, "c").telling.submit(added).ok);
  assert.equal(at(nodes, "c").grown, 2);
});

test("who was away asks whoever it meets, for all that it missed", async () => {
  const nodes = network(["a", "b"]);
  const [a, b] = [at(nodes, "a"), at(nodes, "b")];
  for (const record of [added, second()]) assert.ok(a.registry.append(encodeOne(record)).ok);
  b.telling.connected("a");
  await settled();
  assert.equal(b.registry.version, 3);
  assert.equal(b.grown, 1);
});

const encodeOne = (record: RegistryRecord): Uint8Array =>
  approved(record.mutation, record === added ? [0, 1, 2] : [1, 2, 3, 4]);

test("lies are reported and change nothing, and what is no question is not answered", async () => {
  const few = decodeRecord(approved(added.mutation, [0, 1]));
  for (const lie of [
    Uint8Array.of(1),
    encodeTold({ records: [few], creation: null }),
    encodeTold({ records: [second()], creation: null }),
    encodeTold({ records: [], creation: Uint8Array.of(1) }),
    encodeRecords([]),
  ]) {
    const nodes = network(["a", "b"], new Map([["b", lie]]));
    const { telling, registry, reported } = at(nodes, "a");
    telling.connected("b");
    await settled();
    assert.equal(registry.version, 1);
    assert.deepEqual(reported, ["b"]);
    for (const question of [Uint8Array.of(0x20), encodeCborBare(1), encodeCborBare([1, -1])])
      assert.equal(telling.answer("b", question), null);
    assert.match(telling.submit(few).ok ? "" : "refused", /refused/);
  }
});

test("records survive in a file, and another file is refused", () => {
  const directory = mkdtempSync(join(tmpdir(), "orrery-registry-"));
  try {
    assert.deepEqual(readRegistryFile(directory), []);
    writeRegistryFile(directory, [added]);
    assert.deepEqual(readRegistryFile(directory), [added]);
    writeFileSync(join(directory, "registry"), "no records");
    assert.throws(() => readRegistryFile(directory), { code: "registry_corrupt" });
    assert.deepEqual(readCreationsFile(directory), []);
    writeCreationsFile(directory, [Uint8Array.of(1), Uint8Array.of(2, 3)]);
    assert.deepEqual(readCreationsFile(directory), [Uint8Array.of(1), Uint8Array.of(2, 3)]);
    for (const content of [Uint8Array.of(1), encodeCborBare([1, [1]]), encodeCborBare([2, []])]) {
      writeFileSync(join(directory, "creations"), content);
      assert.throws(() => readCreationsFile(directory), { code: "registry_corrupt" });
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("processes are known while a version in use lists a node of theirs, and this one always", () => {
  const registry = registryOf(4);
  assert.ok(registry.append(approved(registry.propose([joining(4), leaving(0, 0)]), [0, 1, 2])).ok);
  assert.ok(registry.append(approved(registry.propose([joining(5), leaving(0, 1)]), [1, 2, 3, 4])).ok);
  const all = registry.processes.map(({ id }) => id);
  const known = (oldest: number, self = 1): readonly (readonly number[])[] =>
    registry
      .processesSince(() => oldest, all[self] as string)
      .map(({ id, nodes }) => [all.indexOf(id), ...nodes.map(({ subnet }) => subnet)]);
  assert.deepEqual(known(1)[0], [0, 0, 1]);
  // It left one subnet, and is of the other one's version that is in use.
  assert.deepEqual(known(2)[0], [0, 1]);
  assert.deepEqual(known(3)[0], [1, 0, 1]);
  assert.deepEqual(known(3, 0)[0], [0, 0, 1]);
  assert.equal(known(3).length, 5);
  assert.equal(registry.node(0, idOf(5, 0))?.place, 5);
});

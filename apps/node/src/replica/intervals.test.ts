/** Members of a founded subnet, as their nodes make them: they deal keys to themselves, then to others, and the subnet's own key stays. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex, utf8 } from "@orrery/base";
import { type DkgMeans, foundedKey, runKeyJob } from "@orrery/consensus/keys";
import { decodeSummary, Member, type MemberEffect, type MemberInput } from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import { createMclBls, createMclCurve } from "@orrery/crypto/mcl";
import { createNodeSigner } from "@orrery/host";
import { dealFor, foundGenesis, foundingRecord, keyMeansOf } from "../founding/founding.ts";
import { showNode } from "../founding/introduction.ts";
import { nodeSecretsOf } from "../founding/node-seed.ts";
import { decodeGenesis, encodeGenesis, type Genesis, networkOf, subnetsOf } from "../genesis.ts";
import { genesisRegistry } from "../registry/begin.ts";
import { approvalContent, encodeRecord, type RegistryChange } from "../registry/record.ts";
import type { Registry } from "../registry/registry.ts";
import { environmentOf, genesisStart } from "./environment.ts";
import type { PayloadRules } from "./payloads.ts";
import { keysFromFounding } from "./subnet-keys.ts";

/** As many as make key generation one of several dealers: two of each may be away. */
const NODES = 4;
/** Room for five dealings, one a block. */
const INTERVAL = 7;
const STEP_NS = 100_000_000n;
const STEPS_MAX = 2_000;
const [mcl, curve] = [await createMclBls(), await createMclCurve()];
/** What one node found out the others need not: it is the same for everybody. */
const found = new Map<string, unknown>();
function once<T>(name: string, find: () => T): T {
  if (!found.has(name)) found.set(name, find());
  return found.get(name) as T;
}
const bls: typeof mcl = {
  ...mcl,
  verify: (key, message, signature) =>
    once([key, message, signature].map(toHex).join(), () => mcl.verify(key, message, signature)),
};
/** Of four nodes, and one that comes later. */
const seeds = Array.from({ length: NODES + 1 }, (_, place) => sha256(utf8(`node ${place}`)));

const rules: PayloadRules = {
  ingressBytesMax: 0,
  ingressId: () => null,
  readIngress: () => "later",
  readSlice: () => ({ ok: false, error: "there are none" }),
  responseFault: () => null,
  subnetFault: () => "later",
  ordered: { left: () => 0 },
} as never;

async function foundedNetwork(): Promise<Genesis> {
  const plan = encodeGenesis({
    seed: sha256(utf8("a network")),
    time: 1n,
    subnets: networkOf([], [], NODES),
    catchUpInterval: INTERVAL,
    profile: "local",
  });
  const founders = seeds.slice(0, NODES);
  const records = await Promise.all(founders.map((seed) => foundingRecord(plan, seed)));
  const dealings = await Promise.all(founders.map((seed) => dealFor(plan, records, seed)));
  return decodeGenesis(await foundGenesis(plan, records, dealings));
}

interface Node {
  readonly member: Member;
  readonly registry: Registry;
}

function nodeOf(genesis: Genesis, self: number): Node {
  const seed = seeds[self] as Uint8Array;
  const subnets = subnetsOf(genesis, bls, self, seed);
  const [local] = subnets;
  const [founded] = genesis.founding ?? [];
  assert.ok(local !== undefined && founded !== undefined);
  const registry = genesisRegistry({ genesis, subnets, processes: [], curve });
  const means = keyMeansOf(curve, seed, 0);
  const compute: DkgMeans["compute"] = (job, name) =>
    (job.kind === "judge" || job.kind === "combine"
      ? once(name, () => runKeyJob(means, job))
      : runKeyJob(means, job)) as never;
  const own = registry.of(0);
  const keys = keysFromFounding({ bls, local, founded, registry: own, compute });
  const nothing = { ingress: [], slices: [], queryStats: [], responses: [], holdsLong: false, subnets: [] };
  const environment = environmentOf({
    local,
    self,
    keys,
    registry: own,
    catchUpInterval: INTERVAL,
    runs: () => true,
    rules,
    waiting: () => nothing as never,
    isBusy: () => true,
  });
  return { member: new Member(environment, genesisStart(local, genesis, keys)), registry };
}

/** Nodes that hear each other at once, with one clock. */
class Network {
  readonly nodes: Node[];
  /** As the first that delivered them had them, by height. */
  readonly summaries = new Map<number, Uint8Array>();
  /** Makers by height. */
  readonly makers = new Map<number, string>();
  #now = 1n;

  constructor(nodes: Node[]) {
    this.nodes = nodes;
  }

  run(isDone: () => boolean): void {
    for (let steps = 0; !isDone(); steps++) {
      assert.ok(steps < STEPS_MAX, "it does not come to an end");
      this.#now += STEP_NS;
      const queue: { readonly to: number; readonly input: MemberInput }[] = [];
      for (const to of this.nodes.keys()) queue.push({ to, input: { kind: "time", now: this.#now } });
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const effects = (this.nodes[next.to] as Node).member.step(next.input);
        for (const effect of effects) queue.push(...this.#follow(next.to, effect));
      }
    }
  }

  #follow(
    from: number,
    effect: MemberEffect,
  ): readonly { readonly to: number; readonly input: MemberInput }[] {
    if (effect.kind === "misbehaved") assert.fail(effect.why);
    if (effect.kind === "publish") {
      const input: MemberInput = { kind: "artifact", from, artifact: effect.artifact };
      return [...this.nodes.keys()].filter((to) => to !== from).map((to) => ({ to, input }));
    }
    if (effect.kind !== "deliver") return [];
    const { block, maker } = effect;
    const { summary } = block.payload;
    const known = this.summaries.get(block.height);
    if (summary !== undefined && known !== undefined) assert.deepEqual(summary, known);
    if (summary !== undefined) this.summaries.set(block.height, summary);
    this.makers.set(block.height, (maker ?? []).join());
    const input = {
      kind: "executed",
      height: block.height,
      rootHash: sha256(utf8(`${block.height}`)),
    } as const;
    return [{ to: from, input }];
  }
}

test("a summary has shares for the next interval under the same key, and another key for randomness", async () => {
  const genesis = await foundedNetwork();
  const network = new Network(seeds.slice(0, NODES).map((_, self) => nodeOf(genesis, self)));
  network.run(() => network.summaries.size > 0);
  const { current, next } = decodeSummary(network.summaries.get(INTERVAL) as Uint8Array);
  assert.ok(next !== null);
  assert.deepEqual(foundedKey(next.transcripts), foundedKey(current.transcripts));
  assert.notDeepEqual(next.transcripts.high, current.transcripts.high);
  const [before, after] = [current, next].map(({ transcripts: { low } }) => foundedKey({ low, high: low }));
  assert.notDeepEqual(after, before);
});

/** One comes, another goes. */
function mutated(registry: Registry): Uint8Array {
  const [gone] = registry.nodes(0);
  assert.ok(gone !== undefined);
  const changes: readonly RegistryChange[] = [
    {
      kind: "join",
      address: { host: "localhost", port: 1 },
      nodes: [{ subnet: 0, ...showNode(curve, seeds[NODES] as Uint8Array, 0) }],
    },
    { kind: "leave", subnet: 0, nodeId: gone.nodeId },
  ];
  const mutation = registry.propose(changes);
  const approvals = registry
    .nodes(0)
    .map(({ nodeId }, place) => {
      const { signing } = nodeSecretsOf(seeds[place] as Uint8Array, 0);
      return { nodeId, signature: createNodeSigner(signing)(approvalContent(mutation)) };
    })
    .sort((a, b) => Buffer.compare(a.nodeId, b.nodeId));
  return encodeRecord({ mutation, approvals });
}

test("who comes by the registry takes part two intervals later, who goes does not, and the subnet's key stays", async () => {
  const genesis = await foundedNetwork();
  const network = new Network(seeds.map((_, self) => nodeOf(genesis, self)));
  const [first, , , , last] = network.nodes as [Node, Node, Node, Node, Node];
  network.run(() => first.member.delivered >= 2);
  const record = mutated(first.registry);
  for (const { registry } of network.nodes) assert.ok(registry.append(record).ok);
  // The first summary that knows the version, the dealings of its interval, the interval that these are for.
  network.run(() => last.member.delivered >= 4 * INTERVAL);
  const at = (number: number) => decodeSummary(network.summaries.get(number * INTERVAL) as Uint8Array);
  const ids = first.registry.nodes(0).map(({ nodeId }) => nodeId);
  assert.deepEqual(at(2).current.members, ids.slice(0, NODES));
  assert.deepEqual(at(3).current.members, ids.slice(1));
  assert.deepEqual(
    at(3).current.publicKeys,
    first.registry
      .nodes(0)
      .slice(1)
      .map(({ publicKey }) => publicKey),
  );
  assert.deepEqual(foundedKey(at(3).current.transcripts), foundedKey(at(1).current.transcripts));
  const [gone, come] = [ids[0], ids.at(-1)].map((id) => (id ?? []).join());
  const makersFrom = (height: number): readonly string[] =>
    [...network.makers].filter(([at]) => at > height).map(([, maker]) => maker);
  assert.ok(makersFrom(3 * INTERVAL).includes(come ?? ""), "the new node makes blocks");
  assert.ok(!makersFrom(3 * INTERVAL).includes(gone ?? ""), "the old one does not any more");
});

/**
 * A state between nodes that talk over real connections: one that has nothing takes it from others, of which one lies and one has nothing;
 * what is on its disk then is the state that the package names.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { after, test } from "node:test";
import { canisterIdFromIndex, principalKey, silentLogger, toHex, utf8 } from "@orrery/base";
import { createMclBls } from "@orrery/crypto/mcl";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { systemRng } from "@orrery/host";
import { FaultyDisk } from "@orrery/sim";
import {
  encodeManifest,
  loadCheckpoint,
  newCanister,
  newState,
  openAdopting,
  openStore,
  PAGE_BYTES,
  PageArena,
  StateDescriber,
  type Store,
  stateHash,
  stateHashOf,
  updateTree,
} from "@orrery/state";
import { type Genesis, networkOf, subnetsOf } from "../genesis.ts";
import { Receptions } from "../state/receptions.ts";
import type { ReceiveCall, StateRequest } from "../state/state-calls.ts";
import { genesisTopology } from "../topology.ts";
import { chain, crypto, type Made, nodes, subnetId } from "./chain.testkit.ts";
import { Conversation } from "./conversation.ts";
import { StateFetch } from "./state-fetch.ts";
import type { Listener } from "./voice.ts";

const NODES = 4;
const HEIGHT = 20;
const HONEST = 1;
const LIAR = 2;
const blocks = chain(HEIGHT);
const networkId = utf8("a network");
const genesis: Genesis = {
  seed: new Uint8Array(32).fill(4),
  time: 1n,
  subnets: networkOf(["application"], [], NODES),
  profile: "local",
};
const closers: (() => Promise<void>)[] = [];
after(() => Promise.all(closers.map((close) => close())));

/** Some hundred canisters, one with pages. */
function theirState(subnet: LocalSubnet) {
  const arena = new PageArena();
  const state = newState({ subnet: subnet.info, time: 5n });
  for (let i = 0; i < 300; i++) {
    const id = canisterIdFromIndex(BigInt(i));
    state.canisters.set(principalKey(id), newCanister({ id, controllers: [], cycles: BigInt(i), time: 5n }));
    state.changed.canisters.add(principalKey(id));
  }
  const [first] = state.canisters.values();
  for (let page = 0; page < 700; page++)
    first?.memory.heap.set(page, arena.allocate(new Uint8Array(PAGE_BYTES).fill(page)));
  state.height = HEIGHT;
  updateTree(state);
  const describer = new StateDescriber(arena);
  const manifest = describer.manifest(state);
  const { head, slices } = encodeManifest(manifest);
  return {
    name: { height: HEIGHT, stateHash: stateHashOf(head) },
    tell({ ask: { part, places } }: StateRequest): readonly Uint8Array[] {
      if (part === "head") return [head];
      if (part === "slices") return places.map((place) => slices[place] as Uint8Array);
      return places.map((place) =>
        describer.read(state, manifest.chunks[place] as (typeof manifest.chunks)[number]),
      );
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}

test("a node that has nothing takes the state from peers that have it, and knows the one that lies", async () => {
  const bls = await createMclBls();
  const locals = subnetsOf(genesis, bls);
  const { name, tell } = theirState(locals[1] as LocalSubnet);
  const { block, record } = blocks.at(-1) as Made;
  const told = new Map<number, number>();
  const listener = (place: number): Listener => ({
    ingressBytesMax: 1_000,
    hearArtifact: () => {},
    hearIngress: () => {},
    knowsIngress: () => false,
    outcalls: { hear: () => {}, wants: () => "never" },
    ingressPart: () => null,
    tellBlocks: async (from) => (place !== HONEST && place !== LIAR ? [] : from === HEIGHT ? [record] : []),
    async tellState(request) {
      told.set(place, (told.get(place) ?? 0) + 1);
      if (place === HONEST) return tell(request);
      return place === LIAR ? tell(request).map((bytes) => bytes.map((byte) => byte ^ 1)) : [];
    },
  });
  const addresses: { readonly host: string; readonly port: number }[] = [];
  for (let place = 0; place < NODES; place++) addresses.push({ host: "127.0.0.1", port: await freePort() });
  const conversations = await Promise.all(
    addresses.map(async (_, self) => {
      const subnets = subnetsOf(genesis, bls, self);
      const conversation = new Conversation({
        topology: genesisTopology(subnets, addresses, self),
        subnets: subnets.length,
        nodeSecret: (subnets[0] as LocalSubnet).keys.nodeSecret,
        rng: systemRng,
        now: () => BigInt(Date.now()) * 1_000_000n,
        onPeer: () => {},
        onFull: () => {},
        onFailure: (error) => assert.fail(String(error)),
      });
      closers.push(() => conversation.close());
      const listeners = new Map([0, 1].map((subnet) => [subnet, listener(self)]));
      await conversation.listen(listeners, {
        wantsStream: () => "never",
        hearStream: () => {},
        tellSlice: async () => null,
        tellDelegation: async () => null,
      });
      return conversation;
    }),
  );
  for (const conversation of conversations) conversation.admit();

  const disk = new FaultyDisk({ seed: 1 });
  const open = (): Store => openStore(disk, { networkId, createIfMissing: true });
  open().close();
  const receptions = new Receptions({ diskOf: () => disk, ownOf: () => () => null });
  const liars = new Set<number>();
  const fetched = Promise.withResolvers<number>();
  const fetch = new StateFetch({
    local: { info: { ...(locals[1] as LocalSubnet).info, subnetId, nodes: nodes as never } },
    crypto,
    tapes: null,
    voice: (conversations[0] as Conversation).voiceOf(1),
    state: async <T>(call: ReceiveCall) => receptions.answer({ ...call, subnet: 1 }) as T,
    logger: silentLogger,
    onFetched: fetched.resolve,
    onLie: (peer) => liars.add(peer),
    onFailure: fetched.reject,
  });
  fetch.begin({ height: HEIGHT, block, stateHash: name.stateHash });
  assert.equal(await fetched.promise, HEIGHT);
  fetch.stop();
  assert.deepEqual(
    [...liars].filter((peer) => peer !== LIAR),
    [],
  );
  assert.ok((told.get(HONEST) ?? 0) > 2);

  const store = openAdopting(disk, open);
  assert.deepEqual(
    [...store.blocksFrom(0)].map(({ bytes }) => toHex(bytes)),
    [toHex(record)],
  );
  store.close();
  const loaded = loadCheckpoint(disk, { networkId });
  assert.ok(loaded !== null);
  assert.deepEqual(stateHash(loaded.state, new StateDescriber(loaded.arena)), name.stateHash);
});

test("the block is asked for first: logs may not reach so far back when the state is here", async () => {
  const [, local] = subnetsOf(genesis, await createMclBls()) as [LocalSubnet, LocalSubnet];
  const { name, tell } = theirState(local);
  const { block, record } = blocks.at(-1) as Made;
  const disk = new FaultyDisk({ seed: 1 });
  const receptions = new Receptions({ diskOf: () => disk, ownOf: () => () => null });
  const fetched = Promise.withResolvers<number>();
  let told = 0;
  const fetch = new StateFetch({
    local: { info: { ...local.info, subnetId, nodes: nodes as never } },
    crypto,
    tapes: null,
    voice: {
      async askBlocks() {
        if (told > 0) throw new Error("the block is in no log any more");
        return { peer: HONEST, records: [record] };
      },
      async askState(request) {
        told++;
        return { peer: HONEST, parts: tell(request) };
      },
    },
    state: async <T>(call: ReceiveCall) => receptions.answer({ ...call, subnet: 1 }) as T,
    logger: silentLogger,
    onFetched: fetched.resolve,
    onLie: () => {},
    onFailure: fetched.reject,
  });
  fetch.begin({ height: HEIGHT, block, stateHash: name.stateHash });
  assert.equal(await fetched.promise, HEIGHT);
  fetch.stop();
});

/** What replicas say to peers: an artifact that has no room among those that are live is never lost in silence. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { BlockPayload } from "@orrery/base";
import type { Artifact } from "@orrery/consensus/member";
import { createMclBls } from "@orrery/crypto/mcl";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { type Genesis, networkOf, subnetsOf } from "../genesis.ts";
import { genesisTopology } from "../topology.ts";
import { Conversation } from "./conversation.ts";
import type { AbroadListener, Listener } from "./voice.ts";

const BLOCK_BYTES = 10_000;
const LARGE = new Uint8Array(BLOCK_BYTES);
const genesis: Genesis = {
  seed: new Uint8Array(32).fill(3),
  time: 1n,
  subnets: networkOf(["application"], [], 4),
  profile: "local",
};

const deaf: Listener = {
  ingressBytesMax: 1_000,
  hearArtifact: () => {},
  hearIngress: () => {},
  knowsIngress: () => false,
  outcalls: { hear: () => {}, wants: () => "never" },
  ingressPart: () => null,
  tellBlocks: async () => [],
  tellState: async () => [],
};

const nobody: AbroadListener = {
  wantsStream: () => "never",
  hearStream: () => {},
  tellSlice: async () => null,
  tellDelegation: async () => null,
};

function proposal(height: number, payload: BlockPayload = { ingress: [], xnet: [LARGE] }): Artifact {
  return {
    kind: "proposal",
    block: {
      version: 1,
      parent: new Uint8Array(32),
      height,
      rank: 0,
      context: { registryVersion: 1, certifiedHeight: 0, time: 1n },
      payload,
    },
    hash: new Uint8Array(32).fill(height),
    signer: 0,
    signature: new Uint8Array(64),
  };
}

async function conversationOf(t: TestContext, full: (readonly [number, string])[]): Promise<Conversation> {
  const subnets = subnetsOf(genesis, await createMclBls());
  const addresses = Array.from({ length: 4 }, () => ({ host: "127.0.0.1", port: 0 }));
  const conversation = new Conversation({
    topology: genesisTopology(subnets, addresses, 0),
    subnets: subnets.length,
    nodeSecret: (subnets[0] as LocalSubnet).keys.nodeSecret,
    rng: { bytes: (length) => new Uint8Array(length) },
    now: () => 1n,
    onPeer: () => {},
    onFull: (...what) => full.push(what),
    onFailure: (error) => {
      throw error;
    },
    artifactBytesMax: 2.5 * BLOCK_BYTES,
  });
  t.after(() => conversation.close());
  const listeners = new Map([
    [0, deaf],
    [1, deaf],
  ]);
  await conversation.listen(listeners, nobody);
  return conversation;
}

test("an artifact without room is told, and the one that made room goes out", async (t) => {
  const full: (readonly [number, string])[] = [];
  const conversation = await conversationOf(t, full);
  const voice = conversation.voiceOf(1);
  for (const height of [1, 2]) voice.publish(proposal(height));
  assert.deepEqual(full, []);
  voice.publish(proposal(3));
  assert.deepEqual(full, [[1, `proposal/3/${"03".repeat(32)}`]]);
  voice.retract(`proposal/1/${"01".repeat(32)}`);
  voice.publish(proposal(4));
  assert.equal(full.length, 1);
});

test("blocks are offered without their messages, which have room of their own", async (t) => {
  const full: (readonly [number, string])[] = [];
  const voice = (await conversationOf(t, full)).voiceOf(1);
  for (let height = 1; height <= 20; height++) voice.publish(proposal(height, { ingress: [LARGE] }));
  assert.deepEqual(full, []);
});

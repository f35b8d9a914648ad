/** What goes between subnets of other processes: when it is asked for and of whom, what is believed, what strangers are told. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type SubnetId, silentLogger, u64be } from "@orrery/base";
import type { SliceRequest, StreamEnds } from "@orrery/execution";
import type { Delegation } from "@orrery/execution/delegation";
import { LOCAL_SUBNETS_MAX } from "@orrery/execution/local-network";
import type { SubnetInfo } from "@orrery/state";
import fc from "fast-check";
import { networkOf, subnetsOf } from "../genesis.ts";
import type { SliceVerdict, ViewCall } from "../protocol.ts";
import { SLICE_MESSAGES_MAX } from "../slice-limits.ts";
import { Abroad } from "./abroad.ts";
import {
  decodeDelegation,
  decodeEnds,
  decodeSliceRequest,
  decodeSubnet,
  encodeDelegation,
  encodeEnds,
  encodeSliceRequest,
  encodeSubnet,
} from "./abroad-wire.ts";
import type { Answer } from "./voice.ts";

const infos: readonly SubnetInfo[] = subnetsOf(
  { seed: new Uint8Array(32), time: 1n, subnets: networkOf(["application"], [], 4), profile: "local" },
  { publicKey: (secret) => new Uint8Array(96).fill(secret[0] ?? 0) },
).map(({ info }) => info);
const SLICE = Uint8Array.of(7, 7, 7);
const NEXT: SliceRequest = {
  to: (infos[1] as SubnetInfo).subnetId,
  messageIndex: 4n,
  signalIndex: 2n,
  maxMessages: 100,
  maxBytes: 1_000,
};

/** A process with a node of one of two subnets. */
function world(hosted: 0 | 1) {
  const at = {
    request: NEXT as SliceRequest | null,
    answer: { peer: "b", body: SLICE } as Answer | null,
    verdict: "good" as SliceVerdict,
    ends: null as StreamEnds | null,
    delegation: null as Delegation | null,
    asked: [] as { readonly body: Uint8Array; readonly peers: readonly string[] }[],
    viewed: [] as ViewCall[],
    told: [] as string[],
    reported: [] as string[],
    streams: [] as string[],
  };
  const abroad = new Abroad({
    subnets: infos,
    hosted: new Set([hosted]),
    voice: {
      tellStream: (source, to, label, body) =>
        at.told.push(`${source}>${to} ${label.join()} ${body.join("")}`),
      async askSlice(_source, body, peers) {
        at.asked.push({ body, peers });
        return at.answer;
      },
      askDelegation: async () => at.answer,
      report: (peer) => at.reported.push(peer),
    },
    async view<T>(subnet: number, call: ViewCall): Promise<T> {
      assert.equal(subnet, hosted, "only what is here is looked at");
      at.viewed.push(call);
      const answers: Partial<Record<ViewCall["kind"], unknown>> = {
        slice_request: at.request,
        judge_slice: at.verdict,
        slice_for: SLICE,
        stream_ends: at.ends,
        delegation: at.delegation,
      };
      return answers[call.kind] as T;
    },
    onStream: (source, destination) => at.streams.push(`${source}>${destination}`),
    logger: silentLogger,
  });
  const hear = (peer: string, messagesEnd: bigint, signalsEnd: bigint): void =>
    abroad.hearStream(peer, 0, encodeSubnet(1), encodeEnds({ messagesEnd, signalsEnd }));
  return { at, abroad, hear };
}

test("nothing is asked for that nobody has, and then only of those who have it", async () => {
  const { at, abroad, hear } = world(1);
  assert.equal(await abroad.cut(0, 1), null);
  hear("a", 4n, 2n);
  hear("b", 5n, 2n);
  hear("c", 4n, 3n);
  assert.deepEqual(at.streams, ["0>1", "0>1", "0>1"]);
  assert.deepEqual(await abroad.cut(0, 1), SLICE);
  assert.deepEqual(at.asked, [{ body: encodeSliceRequest({ ...NEXT, to: 1 }), peers: ["b", "c"] }]);
  // Where the state has come as far, nobody is asked; nor for messages that there is no room for.
  at.request = { ...NEXT, messageIndex: 5n, signalIndex: 3n };
  assert.equal(await abroad.cut(0, 1), null);
  at.request = { ...NEXT, maxMessages: 0, signalIndex: 3n };
  assert.equal(await abroad.cut(0, 1), null);
  assert.equal(at.asked.length, 1);
});

test("streams of a subnet that this node has not heard of yet wait until it has", async () => {
  const { at, abroad } = world(1);
  const hear = (source: number): void =>
    abroad.hearStream("a", source, encodeSubnet(1), encodeEnds({ messagesEnd: 9n, signalsEnd: 9n }));
  hear(2);
  hear(LOCAL_SUBNETS_MAX - 1);
  assert.deepEqual([at.streams, at.reported], [[], []]);
  assert.equal(await abroad.cut(2, 1), null, "its stream cannot be named yet");
  abroad.grow([{ place: 2, subnetId: Uint8Array.of(9) as SubnetId }]);
  assert.deepEqual(at.streams, ["2>1"]);
  assert.deepEqual(await abroad.cut(2, 1), SLICE);
  hear(2);
  assert.deepEqual(at.streams, ["2>1", "2>1"]);
});

test("what is not to be had yet is asked for again; who gives what its subnet did not certify is reported and not asked", async () => {
  const { at, abroad, hear } = world(1);
  hear("a", 9n, 9n);
  hear("b", 9n, 9n);
  at.answer = null;
  assert.equal(await abroad.cut(0, 1), "later");
  at.answer = { peer: "b", body: SLICE };
  at.verdict = "unfit";
  assert.equal(await abroad.cut(0, 1), "later");
  assert.deepEqual(at.reported, []);
  at.verdict = "wrong";
  assert.equal(await abroad.cut(0, 1), "later");
  assert.deepEqual(at.reported, ["b"]);
  at.verdict = "good";
  at.answer = { peer: "a", body: SLICE };
  assert.deepEqual(await abroad.cut(0, 1), SLICE);
  assert.deepEqual(at.asked.at(-1)?.peers, ["a"]);
  at.request = null;
  assert.equal(await abroad.cut(0, 1), "later", "no state is shown yet");
});

test("a published change of a stream is told, and what makes no sense is reported", async () => {
  const { at, abroad } = world(0);
  await abroad.published(0, ["no subnet"]);
  await abroad.begin();
  assert.deepEqual(at.told, [], "there is no stream yet");
  at.ends = { messagesEnd: 3n, signalsEnd: 1n };
  await abroad.begin();
  assert.deepEqual(at.told, [`0>1 1 ${[...u64be(3n), ...u64be(1n)].join("")}`]);
  assert.equal(abroad.wantsStream(encodeSubnet(0)), "now");
  assert.equal(abroad.wantsStream(encodeSubnet(1)), "never");
  for (const [source, label, body] of [
    [1, encodeSubnet(0), new Uint8Array(3)],
    [1, encodeSubnet(1), new Uint8Array(16)],
    [1, new Uint8Array(0), new Uint8Array(16)],
  ] as const)
    abroad.hearStream("x", source, label, body);
  assert.deepEqual(at.reported, ["x", "x", "x"]);
});

test("slices are for nodes of the subnet that they go to, and bounded whatever is asked", async () => {
  const { at, abroad } = world(0);
  const body = encodeSliceRequest({ to: 1, messageIndex: 1n, signalIndex: 2n, maxMessages: 1_000_000 });
  const ofOne = new Set([1]);
  assert.equal(await abroad.tellSlice(0, body, new Set([0])), null);
  assert.equal(await abroad.tellSlice(1, body, ofOne), null, "its own streams alone");
  assert.equal(await abroad.tellSlice(0, body.subarray(1), ofOne), null);
  assert.deepEqual(at.viewed, []);
  assert.deepEqual(await abroad.tellSlice(0, body, ofOne), SLICE);
  const [call] = at.viewed as readonly ViewCall[];
  assert.ok(call?.kind === "slice_for");
  assert.equal(call.request.maxMessages, SLICE_MESSAGES_MAX);
  assert.deepEqual(call.request.to, infos[1]?.subnetId);
});

test("delegations are the root's to give; one that cannot be read is a lie", async () => {
  const root = world(0);
  assert.equal(await root.abroad.tellDelegation(encodeSubnet(1)), null, "there is none yet");
  const { subnetId } = infos[1] as SubnetInfo;
  const certificate = Uint8Array.of(1);
  const shards = [{ start: infos[1]?.allocation.start as Delegation["shards"][0]["start"], certificate }];
  root.at.delegation = { subnetId, time: 1n << 63n, flat: certificate, shards, bare: certificate };
  const body = await root.abroad.tellDelegation(encodeSubnet(1));
  assert.ok(body !== null);
  const { at, abroad } = world(1);
  assert.equal(await abroad.tellDelegation(encodeSubnet(1)), null);
  at.answer = { peer: "r", body };
  const told = await abroad.delegation(1);
  assert.deepEqual(told?.delegation, root.at.delegation);
  told?.lie("it does not hold");
  at.answer = { peer: "s", body: body.subarray(1) };
  assert.equal(await abroad.delegation(1), null);
  assert.deepEqual(at.reported, ["r", "s"]);
  at.answer = null;
  assert.equal(await abroad.delegation(1), null);
});

test("what strangers send is read or refused, never more", () => {
  const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const { subnetId } = infos[1] as SubnetInfo;
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 64 }),
      u64,
      u64,
      fc.nat(255),
      fc.nat(),
      (bytes, a, b, to, most) => {
        for (const decode of [decodeEnds, decodeSliceRequest, decodeSubnet]) decode(bytes);
        decodeDelegation(bytes, subnetId);
        const ends = { messagesEnd: a, signalsEnd: b };
        assert.deepEqual(decodeEnds(encodeEnds(ends)), ends);
        const request = { to, messageIndex: a, signalIndex: b, maxMessages: most };
        assert.deepEqual(decodeSliceRequest(encodeSliceRequest(request)), request);
        const delegation = { subnetId, time: a, flat: bytes, shards: [], bare: bytes };
        assert.deepEqual(decodeDelegation(encodeDelegation(delegation), subnetId), delegation);
      },
    ),
  );
});

/** Certified slices: what they show, how they are bounded, and that nothing but what was signed is taken for right. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, canisterIdFromIndex, type SubnetId, utf8 } from "@orrery/base";
import { blsToDer, secretFromSeed, stateRootMessage, treeHash, witness } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import {
  encodeStreamMessage,
  newState,
  type ReplicatedState,
  type StreamMessage,
  streamHeaderPath,
  streamMessagePath,
  updateTree,
} from "@orrery/state";
import fc from "fast-check";
import { subnetIdOf, TestSubnets } from "../testing/subnets.testkit.ts";
import { chooseSlices, judgeSlice, sliceRequest, validateSlices } from "./payload.ts";
import {
  type CertifiedSlice,
  certifySlice,
  decodeCertifiedSlice,
  expectedIndices,
  indicesAfter,
  sliceFits,
  takeSlice,
  verifySlice,
} from "./slices.ts";

const bls = await createMclBls();
const secrets = [0, 1, 2].map((n) => secretFromSeed(new Uint8Array(32).fill(n + 1)));
const keyDer = (n: number): Uint8Array => blsToDer(bls.publicKey(secrets[n] as Uint8Array));
const verifyBls = bls.verify.bind(bls);
const [SOURCE, TARGET] = [subnetIdOf(0), subnetIdOf(1)];
const LIMITS = { maxBytes: 1 << 20, maxMessages: 1_000 };

function network(): TestSubnets {
  let n = 0;
  return new TestSubnets({
    types: ["application", "application", "system"],
    routing: (entry) => ({ ...entry, publicKey: keyDer(n++) }),
  });
}

const SUBNET = network().at(0).state.subnet;

function message(size: number, i: number): StreamMessage {
  return {
    kind: "request",
    callee: canisterIdFromIndex(1_000n),
    input: {
      kind: "request",
      from: canisterIdFromIndex(0n) as CanisterId,
      callbackId: i,
      methodName: "m",
      payload: new Uint8Array(size).fill(i),
      cycles: 0n,
      deadline: 0n,
    },
  };
}

/** A source whose stream to the target holds these messages from `begin` on. */
function sourceWith(sizes: readonly number[], begin = 0n, rejected = 0): ReplicatedState {
  const state = newState({ subnet: SUBNET, time: 1n });
  const messages = sizes.map(message);
  for (const [key, held] of [
    ["bb", []],
    [Buffer.from(TARGET).toString("hex"), messages],
  ] as const) {
    state.streams.set(key, {
      begin,
      messages: [...held],
      messageBytes: 0,
      signalsEnd: BigInt(4 + rejected),
      rejectSignals: Array.from({ length: rejected }, (_, i) => ({
        reason: "canister_stopped",
        index: BigInt(4 + i),
      })),
    });
    state.changed.streams.add(key);
  }
  updateTree(state);
  return state;
}

function signed(state: ReplicatedState, n = 0): Uint8Array {
  return bls.sign(secrets[n] as Uint8Array, stateRootMessage(treeHash(state.tree)));
}

function certified(
  state: ReplicatedState,
  request: Partial<Parameters<typeof takeSlice>[1]> = {},
): Uint8Array {
  const slice = takeSlice(state, { to: TARGET, messageIndex: 0n, signalIndex: 0n, ...LIMITS, ...request });
  assert.ok(slice !== null);
  return certifySlice(slice, signed(state));
}

function decode(bytes: Uint8Array): CertifiedSlice {
  const slice = decodeCertifiedSlice(bytes);
  assert.ok(slice.ok, slice.ok ? "" : slice.error);
  return slice.value;
}

test("a slice shows header and messages in order, within its limits, and verifies", () => {
  const options = { source: SOURCE, destination: TARGET, publicKeyDer: keyDer(0), verifyBls };
  fc.assert(
    fc.property(
      fc.array(fc.nat(2_000), { maxLength: 12 }),
      fc.nat(12),
      fc.nat(14),
      fc.integer({ min: 4_500, max: 12_000 }),
      fc.bigInt({ min: 0n, max: 1n << 40n }),
      (sizes, from, maxMessages, maxBytes, begin) => {
        const state = sourceWith(sizes, begin);
        const messageIndex = begin + BigInt(from);
        const slice = takeSlice(state, { to: TARGET, messageIndex, signalIndex: 3n, maxBytes, maxMessages });
        if (from > sizes.length) {
          assert.equal(slice, null);
          return;
        }
        assert.ok(slice !== null);
        const bytes = certifySlice(slice, signed(state));
        assert.ok(bytes.length <= maxBytes, `${bytes.length} bytes of ${maxBytes}`);
        const back = decode(bytes);
        const expected = sizes.map(message).slice(from, from + back.messages.length);
        assert.deepEqual(back.messages, expected);
        assert.ok(back.messages.length <= maxMessages);
        const next = sizes[from + back.messages.length];
        if (next !== undefined && back.messages.length < maxMessages)
          assert.ok(bytes.length + next + 4_300 > maxBytes, "there was room for one more");
        assert.ok(back.messages.length === 0 || back.begin === messageIndex);
        assert.equal(back.header.signalsEnd, 4n);
        assert.ok(verifySlice(back, options).ok);
      },
    ),
    { numRuns: 60 },
  );
});

test("a header of many reject signals leaves less room for messages", () => {
  const state = sourceWith(
    Array.from({ length: 100 }, () => 1_000),
    0n,
    10_000,
  );
  const maxBytes = 60_000;
  const slice = takeSlice(state, {
    to: TARGET,
    messageIndex: 0n,
    signalIndex: 0n,
    maxBytes,
    maxMessages: 1_000,
  });
  assert.ok(slice !== null && slice.messages > 0);
  const bytes = certifySlice(slice, signed(state));
  assert.ok(bytes.length <= maxBytes, `${bytes.length} bytes of ${maxBytes}`);
});

test("there is no slice where there is nothing new", () => {
  const state = sourceWith([5, 5]);
  const request = { to: TARGET, messageIndex: 2n, signalIndex: 4n, ...LIMITS };
  assert.equal(takeSlice(state, request), null);
  assert.equal(takeSlice(state, { ...request, messageIndex: 3n }), null);
  assert.equal(takeSlice(state, { ...request, to: subnetIdOf(2) }), null);
  assert.ok(takeSlice(state, { ...request, signalIndex: 3n }) !== null);
  assert.deepEqual(expectedIndices(state, TARGET), { messageIndex: 4n, signalIndex: 0n });
  assert.deepEqual(expectedIndices(state, subnetIdOf(2)), { messageIndex: 0n, signalIndex: 0n });
});

test("another subnet's slice, another target's and any changed bit are refused", () => {
  const bytes = certified(sourceWith([20, 30]));
  const slice = decode(bytes);
  const options = { source: SOURCE, destination: TARGET, publicKeyDer: keyDer(0), verifyBls };
  assert.deepEqual(indicesAfter(slice), { messageIndex: 2n, signalIndex: 4n });
  for (const wrong of [
    { source: subnetIdOf(2) },
    { destination: subnetIdOf(2) },
    { publicKeyDer: keyDer(1) },
    { publicKeyDer: new Uint8Array(133) },
  ])
    assert.ok(!verifySlice(slice, { ...options, ...wrong }).ok);
  let decodable = 0;
  fc.assert(
    fc.property(fc.nat(8 * bytes.length - 1), (bit) => {
      const damaged = bytes.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      const other = decodeCertifiedSlice(damaged);
      if (!other.ok) return;
      decodable++;
      assert.ok(!verifySlice(other.value, options).ok, `bit ${bit}`);
    }),
    { numRuns: 300 },
  );
  assert.ok(decodable > 50, `only ${decodable} damaged slices could be decoded at all`);
  for (const junk of [new Uint8Array(0), utf8("junk"), bytes.subarray(0, bytes.length - 1)])
    assert.ok(!decodeCertifiedSlice(junk).ok);
});

test("a slice that leaves out a message, or shows no header, is none", () => {
  const state = sourceWith([1, 1, 1]);
  const shown = (...paths: (readonly Uint8Array[])[]): boolean =>
    decodeCertifiedSlice(
      certifySlice(
        { source: SOURCE, destination: TARGET, tree: witness(state.tree, paths), messages: 0 },
        signed(state),
      ),
    ).ok;
  const header = streamHeaderPath(TARGET);
  const path = (index: bigint): readonly Uint8Array[] => streamMessagePath(TARGET, index);
  assert.ok(shown(header, path(0n), path(1n)));
  assert.ok(shown(header, path(1n), path(2n)));
  assert.ok(!shown(header, path(0n), path(2n)));
  assert.ok(!shown(path(0n)));
  assert.ok(!shown([utf8("time")]));
});

test("indices that leave gaps, repeat or reach too far do not fit", () => {
  const slice = decode(certified(sourceWith([1, 1, 1], 5n), { messageIndex: 6n }));
  const fits = (messageIndex: bigint, signalIndex: bigint, sentEnd: bigint): boolean =>
    sliceFits(slice, { messageIndex, signalIndex }, sentEnd).ok;
  assert.ok(fits(6n, 0n, 4n));
  assert.ok(fits(6n, 4n, 9n));
  assert.ok(!fits(5n, 0n, 4n));
  assert.ok(!fits(7n, 0n, 4n));
  assert.ok(!fits(6n, 5n, 9n));
  assert.ok(!fits(6n, 0n, 3n));
});

test("a block takes one right slice of each subnet, as much as a system subnet has room for", () => {
  const net = network();
  const target = net.at(1).state;
  const source = sourceWith([10, 10]);
  const context = { state: target, past: new Map(), verifyBls };
  const request = sliceRequest(context, SOURCE);
  assert.deepEqual([request.messageIndex, request.signalIndex, request.to], [0n, 0n, TARGET as SubnetId]);
  assert.equal(sliceRequest({ state: net.at(2).state, past: new Map() }, SOURCE).maxMessages, 100);
  // The signals of this source are for messages that the target never sent.
  const early = certified(source);
  assert.deepEqual(chooseSlices(context, [early]).xnet, []);
  for (const stream of source.streams.values()) stream.signalsEnd = 0n;
  for (const key of source.streams.keys()) source.changed.streams.add(key);
  updateTree(source);
  const right = certified(source);
  const wrong = certifySlice({ ...decode(right), messages: 2 }, signed(source, 1));
  const { xnet, taken, refused } = chooseSlices(context, [wrong, utf8("junk"), right, right]);
  assert.deepEqual(xnet, [right]);
  assert.equal(taken[0]?.messages.length, 2);
  assert.equal(refused.length, 2);
  assert.ok(validateSlices(context, xnet).ok);
  assert.ok(!validateSlices(context, [right, right]).ok);
  assert.ok(!validateSlices(context, [wrong]).ok);
  // Blocks that are not executed yet count.
  const past = new Map([[Buffer.from(SOURCE).toString("hex"), { messageIndex: 2n, signalIndex: 0n }]]);
  assert.ok(!judgeSlice({ ...context, past }, right).ok);
  assert.ok(encodeStreamMessage(message(10, 0)).length > 10);
});

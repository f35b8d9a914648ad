/** Questions about the past on blocks made by hand: which messages are found, what is gone, and that a state which differs is told. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ANONYMOUS,
  type CborMap,
  canisterIdFromIndex,
  encodeCbor,
  type Height,
  principalToText,
  utf8,
} from "@orrery/base";
import { encodeFinalizedBlock } from "@orrery/consensus";
import { createMclBls } from "@orrery/crypto/mcl";
import type { History } from "@orrery/state";
import { type Genesis, networkOf, subnetsOf } from "../genesis.ts";
import { answerHistory } from "./answer.ts";
import { firstRound, messages, type NetworkPast, type PastSubnet } from "./network.ts";
import type { HistoryAnswer, HistoryAsk } from "./types.ts";

const bls = await createMclBls();
const TIME = 1_700_000_000_000_000_000n;
const GENESIS: Genesis = {
  seed: new Uint8Array(32).fill(9),
  time: TIME,
  subnets: networkOf(["application", "application"]),
  profile: "local",
};
const locals = subnetsOf(GENESIS, bls);
const canister = canisterIdFromIndex(2n ** 64n - 1n);

function envelope(nonce: number): Uint8Array {
  const content: CborMap = new Map<string, never>(
    Object.entries({
      request_type: "call",
      sender: ANONYMOUS,
      nonce: Uint8Array.of(nonce),
      ingress_expiry: TIME + 60_000_000_000n,
      canister_id: canister,
      method_name: `method ${nonce}`,
      arg: utf8("DIDL"),
    }) as never,
  );
  return encodeCbor(new Map([["content", content]]));
}

/** Blocks of consecutive heights, each with the messages of these numbers. */
function historyOf(
  blocks: readonly (readonly number[])[],
  options: Partial<History> & { readonly start?: Height } = {},
): History {
  const { start = 1, ...rest } = options;
  const block = (height: Height): Uint8Array | null => {
    const nonces = blocks[height - start];
    if (nonces === undefined) return null;
    const context = { registryVersion: 1, certifiedHeight: 0, time: TIME + BigInt(height) };
    const payload = { ingress: nonces.map(envelope) };
    return encodeFinalizedBlock({
      proposal: {
        block: { version: 1, parent: new Uint8Array(32), height, rank: 0, context, payload },
        signer: (locals[1] as (typeof locals)[number]).keys.nodeId,
        signature: new Uint8Array(64),
      },
      tape: new Uint8Array(48),
    });
  };
  return {
    networkId: new Uint8Array(32),
    checkpoints: [],
    first: blocks.length === 0 ? null : start,
    last: blocks.length === 0 ? null : start + blocks.length - 1,
    load: () => null,
    *blocks(from) {
      for (let height = from; ; height++) {
        const bytes = block(height);
        if (bytes === null) return;
        yield { height, bytes };
      }
    },
    block,
    rootHash: () => null,
    ...rest,
  };
}

/** The root and one of the application subnets have no blocks: system canisters take their time. */
function pastOf(history: History): NetworkPast {
  const subnets = [historyOf([]), history, historyOf([])].map((one, i): [number, PastSubnet] => [
    i,
    { local: locals[i] as PastSubnet["local"], history: one },
  ]);
  return { genesis: GENESIS, locals, subnets: new Map(subnets), close: () => undefined };
}

const answer = (history: History, ask: HistoryAsk): HistoryAnswer =>
  answerHistory({ past: pastOf(history), ask, onProgress: () => undefined });

test("messages are listed with the newest first, and named by their first digits", () => {
  const history = historyOf([[1, 2], [], [3]]);
  const list = answer(history, { kind: "recent", count: 2 });
  assert.ok(list.kind === "recent");
  assert.deepEqual(
    list.messages.map(({ message: { method, height, canisterId } }) => [method, height, canisterId]),
    [
      ["method 3", 3, principalToText(canister)],
      ["method 2", 1, principalToText(canister)],
    ],
  );
  // There is no such canister: nothing executes, and the messages are rejected in the end.
  for (const { outcome } of list.messages)
    assert.deepEqual([outcome?.status, outcome?.trace], ["rejected", null]);
  const [, { message }] = list.messages as [never, (typeof list.messages)[number]];
  const one = answer(history, { kind: "trace", target: message.requestId.slice(0, 10).toUpperCase() });
  assert.ok(one.kind === "trace");
  assert.deepEqual(one.message, message);
  assert.equal(one.outcome.reject?.errorCode, "IC0301");
});

test("rounds that came to another state than was certified are told", () => {
  const history = historyOf([[1], [2], [3]], {
    rootHash: (height) => (height === 2 ? new Uint8Array(32) : null),
  });
  const { checked } = answer(history, { kind: "trace", target: "last" });
  const subnetId = principalToText((locals[1] as (typeof locals)[number]).info.subnetId);
  assert.deepEqual(checked, { rounds: 3, same: 0, differs: { subnetId, height: 2 } });
});

test("what is gone is said to be, with the oldest round that is not", () => {
  const blocks = Array.from({ length: 11 }, (_, i) => [i]);
  const history = historyOf(blocks, { start: 500, checkpoints: [300, 505] });
  assert.equal(firstRound(history), 506);
  const found = [...messages(pastOf(history))].map(({ message }) => message);
  assert.deepEqual([found.length, found.at(-1)?.height], [11, 500]);
  const target = found.at(-1)?.requestId ?? "";
  assert.throws(() => answer(history, { kind: "trace", target }), {
    code: "rounds_gone",
    message: /^round 500 of subnet .* cannot run again: the oldest that can is 506, /,
  });
});

test("where there is nothing to find, that is said", () => {
  const empty = historyOf([]);
  assert.throws(() => answer(empty, { kind: "trace", target: "last" }), { code: "message_not_found" });
  assert.throws(() => answer(empty, { kind: "trace", target: "aaaaa-aa" }), { code: "message_not_found" });
  for (const target of ["", "abc", "no id", "-", "zzzzzz"])
    assert.throws(() => answer(empty, { kind: "trace", target }), { code: "target_invalid" });
  assert.equal(firstRound(empty), null);
  const list = answer(empty, { kind: "recent", count: 5 });
  assert.ok(list.kind === "recent" && list.messages.length === 0);
});

test("a log that begins at the first block begins with the genesis", () => {
  assert.equal(firstRound(historyOf([[], []])), 1);
  assert.equal(firstRound(historyOf([[], []], { start: 2 })), null);
  assert.equal(firstRound(historyOf([[], []], { start: 2, checkpoints: [1] })), 2);
  // Nothing comes after the newest state.
  assert.equal(firstRound(historyOf([[], []], { start: 2, checkpoints: [3] })), null);
});

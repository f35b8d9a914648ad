/** Jobs of key generation on their thread: the answers are those of the same work done here, and who asked is woken. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@orrery/base";
import { type KeyJob, runKeyJob } from "@orrery/consensus/keys";
import { sha256 } from "@orrery/crypto";
import { decodeDkgConfig, encodeDkgConfig } from "@orrery/crypto/dkg";
import { createMclCurve } from "@orrery/crypto/mcl";
import { keyMeansOf } from "../founding/founding.ts";
import { KeyThread } from "./key-thread.ts";

const seed = sha256(utf8("a node"));
const SUBNET = 1;

test("a job is later at first, wakes who asked when it is done, and has the answer that it would have here", async () => {
  const means = keyMeansOf(await createMclCurve(), seed, SUBNET);
  const receiver = means.curve.g1.encode(
    means.curve.g1.multiply(
      means.curve.g1.generator,
      BigInt(`0x${Buffer.from(means.encryptionSecret).toString("hex")}`),
    ),
  );
  const config = encodeDkgConfig({
    id: utf8("a run"),
    threshold: 1,
    receivers: [receiver],
    dealers: 1,
    dealingsNeeded: 1,
    reshared: null,
  });
  assert.ok(decodeDkgConfig(config).ok);
  const done = Promise.withResolvers<number>();
  const thread = new KeyThread({ seed, onDone: done.resolve, onFailure: done.reject });
  try {
    const job = { kind: "deal", config, dealer: 0, share: null } as const satisfies KeyJob;
    assert.equal(thread.compute(SUBNET, job, "one"), "later");
    assert.equal(thread.compute(SUBNET, job, "one"), "later");
    assert.equal(await done.promise, SUBNET);
    assert.deepEqual(thread.compute(SUBNET, job, "one"), runKeyJob(means, job));
    // It was taken: asked once more, it is done once more.
    assert.equal(thread.compute(SUBNET, job, "one"), "later");
  } finally {
    await thread.close();
  }
});

test("a subnet for whose job there was no room is woken when there is", async () => {
  const woken = Promise.withResolvers<void>();
  const asked = new Set<number>();
  const thread = new KeyThread({
    seed,
    onDone(subnet) {
      asked.add(subnet);
      if (subnet === SUBNET) woken.resolve();
    },
    onFailure: woken.reject,
  });
  try {
    const config = encodeDkgConfig({
      id: utf8("a run"),
      threshold: 1,
      receivers: [new Uint8Array(48)],
      dealers: 1,
      dealingsNeeded: 1,
      reshared: null,
    });
    const job = { kind: "judge", config, dealer: 0, dealing: new Uint8Array(0) } as const satisfies KeyJob;
    // All the room that there is, for a subnet that does not ask again.
    for (let i = 0; i < 64; i++) assert.equal(thread.compute(0, job, `${i}`), "later");
    assert.equal(thread.compute(SUBNET, job, "one"), "later");
    await woken.promise;
    assert.deepEqual([...asked], [0, SUBNET]);
  } finally {
    await thread.close();
  }
});

test("a node that has not the key that it had fails by name", async () => {
  const failed = Promise.withResolvers<unknown>();
  const thread = new KeyThread({ seed, onDone: () => {}, onFailure: failed.resolve });
  try {
    const job = { kind: "open", transcript: new Uint8Array(3), place: 0 } as const satisfies KeyJob;
    assert.equal(thread.compute(0, job, "two"), "later");
    assert.equal(((await failed.promise) as { readonly code: string }).code, "key_share_missing");
  } finally {
    await thread.close();
  }
});

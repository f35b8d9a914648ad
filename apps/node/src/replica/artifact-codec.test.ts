import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BLOCK_PAYLOAD_BYTES_MAX,
  type Block,
  encodeCborBare,
  INGRESS_PER_BLOCK_MAX,
  OrreryError,
} from "@orrery/base";
import { blockHash } from "@orrery/consensus";
import { type Artifact, heightOf, type Proposal } from "@orrery/consensus/member";
import fc from "fast-check";
import { decodeArtifact, encodeArtifact, encodeStripped, newestPackage } from "./artifact-codec.ts";

const block: Block = {
  version: 1,
  parent: new Uint8Array(32).fill(1),
  height: 7,
  rank: 1,
  context: { registryVersion: 1, certifiedHeight: 5, time: 1_800_000_000_000_000_001n },
  payload: { ingress: [Uint8Array.of(1, 2, 3)], holdsLong: true, dealings: [Uint8Array.of(6, 7, 8)] },
};
const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const height = fc.integer({ min: 0, max: 2 ** 40 });
const signer = fc.integer({ min: 0, max: 39 });
const [hash, signature] = [bytes(32), bytes(48)];

const artifacts: fc.Arbitrary<Artifact> = fc.oneof(
  fc.record({
    kind: fc.constant("proposal" as const),
    block: fc.constant(block),
    hash: fc.constant(blockHash(block)),
    signer,
    signature,
  }),
  fc.record({
    kind: fc.constantFrom("notarization_share" as const, "finalization_share" as const),
    height,
    hash,
    signer,
    signature,
  }),
  fc.record({
    kind: fc.constantFrom("notarization" as const, "finalization" as const),
    height,
    hash,
    signatures: fc.array(fc.tuple(signer, signature), { maxLength: 27 }),
  }),
  fc.record({
    kind: fc.constantFrom(
      "beacon_share" as const,
      "tape_share" as const,
      "certification_share" as const,
      "catch_up_share" as const,
    ),
    height,
    content: fc.oneof(hash, bytes(0)),
    signer,
    signature,
  }),
  fc.record({
    kind: fc.constantFrom("beacon" as const, "tape" as const, "certification" as const),
    height,
    content: fc.oneof(hash, bytes(0)),
    signature,
  }),
  fc.record({
    kind: fc.constant("catch_up" as const),
    height: fc.constant(block.height),
    block: fc.constant(block),
    beacon: signature,
    stateHash: hash,
    signature,
  }),
  fc.record({
    kind: fc.constant("dealing" as const),
    height,
    keys: fc.constantFrom("low" as const, "high" as const),
    signer,
    dealing: fc.uint8Array({ maxLength: 300 }),
    signature,
  }),
  fc.record({
    kind: fc.constant("equivocation" as const),
    height,
    signer,
    hashes: fc.tuple(hash, hash),
    signatures: fc.tuple(signature, signature),
  }),
);

function withMessages(proposal: Proposal, ingress: readonly Uint8Array[]): Proposal {
  const filled = { ...proposal.block, payload: { ...proposal.block.payload, ingress } };
  return { ...proposal, block: filled, hash: blockHash(filled) };
}

test("what is decoded is what was encoded, of every kind", () => {
  fc.assert(
    fc.property(artifacts, (artifact) => {
      assert.deepEqual(decodeArtifact(encodeArtifact(artifact)), { ...artifact });
    }),
  );
});

test("a block travels without its messages, and is the same with them", () => {
  const messages = fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 4 });
  fc.assert(
    fc.property(artifacts, messages, (artifact, ingress) => {
      const whole = artifact.kind === "proposal" ? withMessages(artifact, ingress) : artifact;
      const stripped = encodeStripped(whole);
      assert.deepEqual(decodeArtifact(stripped.body, stripped.ingress), { ...whole });
      if (whole.kind === "proposal") assert.deepEqual(stripped.ingress, ingress);
    }),
  );
});

test("messages that a block did not leave out, or too many of them, are refused", () => {
  const isRefused = (bytes: Uint8Array, ingress: readonly Uint8Array[]): void =>
    assert.throws(
      () => decodeArtifact(bytes, ingress),
      (error) => error instanceof OrreryError && error.code === "artifact_invalid",
    );
  const [one] = fc.sample(
    artifacts.filter(({ kind }) => kind === "proposal"),
    1,
  );
  assert.ok(one?.kind === "proposal");
  const whole = withMessages(one, [Uint8Array.of(1)]);
  isRefused(encodeArtifact(whole), [Uint8Array.of(1)]);
  const { body } = encodeStripped(whole);
  isRefused(body, new Array(INGRESS_PER_BLOCK_MAX + 1).fill(Uint8Array.of(1)));
  isRefused(body, [new Uint8Array(BLOCK_PAYLOAD_BYTES_MAX), Uint8Array.of(1)]);
  const beacon = {
    kind: "beacon",
    height: 1,
    content: new Uint8Array(0),
    signature: new Uint8Array(48),
  } as const;
  isRefused(encodeArtifact(beacon), [Uint8Array.of(1)]);
});

test("the newest catch-up package among artifacts is found by its first bytes", () => {
  fc.assert(
    fc.property(fc.array(artifacts, { maxLength: 8 }), (all) => {
      const records = all.map((artifact) => ({
        height: heightOf(artifact),
        bytes: encodeArtifact(artifact),
      }));
      const heights = all.filter(({ kind }) => kind === "catch_up").map(heightOf);
      assert.equal(newestPackage(records), Math.max(0, ...heights));
    }),
  );
});

test("anything else is refused under one code", () => {
  const isRefused = (what: Uint8Array): void =>
    assert.throws(
      () => decodeArtifact(what),
      (error) => error instanceof OrreryError && error.code === "artifact_invalid",
    );
  const share = ["beacon_share", 1, new Uint8Array(0), 2, new Uint8Array(48)] as const;
  isRefused(new Uint8Array(0));
  isRefused(encodeCborBare({ kind: "beacon" }));
  isRefused(encodeCborBare(["toString", ...share.slice(1)]));
  isRefused(encodeCborBare([...share, 1]));
  isRefused(encodeCborBare(share.slice(0, 4)));
  isRefused(encodeCborBare(["beacon_share", -1, ...share.slice(2)]));
  isRefused(encodeCborBare([...share.slice(0, 3), 1_000, share[4]]));
  isRefused(encodeCborBare([...share.slice(0, 4), new Uint8Array(97)]));
  isRefused(encodeCborBare(["proposal", Uint8Array.of(1), 0, new Uint8Array(64)]));
  const dealing = ["dealing", 1, "low", 2, new Uint8Array(300), new Uint8Array(48)] as const;
  assert.equal(decodeArtifact(encodeCborBare([...dealing])).kind, "dealing");
  isRefused(encodeCborBare([...dealing, 1]));
  isRefused(encodeCborBare(dealing.slice(0, 5)));
  isRefused(encodeCborBare(["dealing", -1, ...dealing.slice(2)]));
  isRefused(encodeCborBare(["dealing", 1, "middle", ...dealing.slice(3)]));
  isRefused(encodeCborBare([...dealing.slice(0, 3), 1_000, ...dealing.slice(4)]));
  isRefused(encodeCborBare([...dealing.slice(0, 4), "text", dealing[5]]));
  isRefused(encodeCborBare([...dealing.slice(0, 5), new Uint8Array(97)]));
  fc.assert(
    fc.property(artifacts, fc.nat(), fc.integer({ min: 1, max: 255 }), (artifact, place, flip) => {
      const changed = encodeArtifact(artifact);
      changed[place % changed.length] = (changed[place % changed.length] as number) ^ flip;
      try {
        decodeArtifact(changed);
      } catch (error) {
        assert.equal((error as OrreryError).code, "artifact_invalid");
      }
    }),
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { PrincipalKey } from "@orrery/base";
import type { ThresholdSignature } from "@orrery/consensus/member";
import { Publications } from "./publications.ts";

const root = (height: number): Uint8Array => new Uint8Array(32).fill(height);

function certification(height: number, content: Uint8Array = root(height)): ThresholdSignature {
  return { kind: "certification", height, content, signature: Uint8Array.of(height) };
}

function executed(publications: Publications, height: number): void {
  publications.onDelivered(height, BigInt(height));
  const streams = [`subnet ${height % 2}` as PrincipalKey];
  publications.onExecuted(height, { rootHash: root(height), answered: [`request ${height}`], streams });
}

test("nothing is shown before it is durable, executed and certified, in whatever order that comes", () => {
  const publications = new Publications({ height: 3, time: 3n });
  publications.onCertified(certification(4));
  assert.deepEqual(publications.take(), { kind: "nothing" });
  executed(publications, 4);
  assert.deepEqual(publications.take(), { kind: "nothing" });
  assert.equal(publications.height, null);
  publications.onReady([4]);
  assert.equal(publications.take().kind, "publish");
  assert.deepEqual([publications.height, publications.time], [4, 4n]);
  // Once.
  publications.onCertified(certification(4));
  assert.deepEqual(publications.take(), { kind: "nothing" });
});

test("the newest certification brings the heights below it along", () => {
  const publications = new Publications({ height: 0, time: 0n });
  for (const height of [1, 2, 3, 4]) executed(publications, height);
  publications.onReady([1, 2, 3, 4]);
  publications.onCertified(certification(3));
  publications.onCertified(certification(1));
  assert.deepEqual(publications.take(), {
    kind: "publish",
    height: 3,
    signature: Uint8Array.of(3),
    answered: ["request 1", "request 2", "request 3"],
    streams: ["subnet 1", "subnet 0"],
  });
  publications.onCertified(certification(2));
  assert.deepEqual(publications.take(), { kind: "nothing" });
  publications.onCertified(certification(4));
  const last = publications.take();
  assert.deepEqual(last.kind === "publish" ? last.answered : null, ["request 4"]);
});

test("a state that is not the certified one is not shown", () => {
  const publications = new Publications({ height: 0, time: 0n });
  executed(publications, 1);
  publications.onReady([1]);
  publications.onCertified(certification(1, root(9)));
  assert.deepEqual(publications.take(), { kind: "diverged", height: 1 });
  assert.equal(publications.height, null);
});

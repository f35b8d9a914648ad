/** A view of a subnet that begins while rounds go on: it shows nothing before it has the whole state, and then the state of one height. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { silentLogger, utf8 } from "@orrery/base";
import { createChainKeys } from "@orrery/crypto/chain-keys";
import { ViewGathering } from "@orrery/execution";
import { localNetwork } from "@orrery/execution/local-network";
import { createFileDisk } from "@orrery/host";
import type { ViewFeed, ViewProgress } from "./protocol.ts";
import { SubnetView } from "./subnet-view.ts";
import { openTip } from "./tip.ts";

const SEED = new Uint8Array(32);
const SIGNATURE = new Uint8Array(48);
const SMALL = { canistersMax: 1, pagesMax: 1, ingressMax: 1 };
const subnet = 0;

test("parts and rounds in turn, then publications: nothing is answered before, and each height once", async () => {
  const directory = mkdtempSync(join(tmpdir(), "orrery-view-"));
  const makers = {
    bls: { publicKey: () => new Uint8Array(96) },
    ed25519PublicKeyDer: () => new Uint8Array(44),
  };
  const subnets = [{ type: "system", feeSize: 13 } as const];
  const [local] = localNetwork({ seed: SEED, subnets, local: true, makers });
  assert.ok(local !== undefined);
  try {
    const { state, arena, apply } = openTip({
      source: { kind: "store", disk: createFileDisk(directory), networkId: utf8("a network") },
      subnet: local.info,
      creationSubnets: [],
      genesisTime: 1n,
      chainKeys: createChainKeys(SEED),
      logger: silentLogger,
    });
    assert.ok(state.canisters.size > 2, "the root's system canisters");
    const said: ViewProgress[] = [];
    const view = new SubnetView(directory, (progress) => said.push(progress));
    let sent = 0;
    const slabs = (): ReturnType<typeof arena.slabs> => {
      const more = arena.slabs(sent);
      sent += more.length;
      return more;
    };
    const feed = (one: ViewFeed): void => view.feed(structuredClone(one));
    const round = (): void => {
      const height = state.height + 1;
      const time = BigInt(height) * 1_000_000_000n;
      const { delta } = apply({ height, time, registryVersion: 1, randomness: SEED, ingress: [] });
      feed({ kind: "delta", subnet, delta, slabs: slabs(), signature: SIGNATURE });
    };
    const stats = (): unknown => view.call({ kind: "take_query_stats" });

    assert.equal(stats(), null);
    const gathering = new ViewGathering(state);
    let parts = 0;
    for (; !gathering.isDone; parts++) {
      feed({ kind: "part", subnet, part: gathering.next(SMALL) });
      round();
    }
    assert.ok(parts > state.canisters.size);
    assert.deepEqual(said.splice(0), Array(parts).fill({ kind: "taken" }));
    // Others of the node are still gathered.
    round();
    const begun = state.height;
    assert.equal(stats(), null);
    // Main may hear that it begins before its thread does.
    view.publish({ height: begun, signature: null });
    const asked = stats();
    assert.deepEqual(said, []);
    feed({ kind: "end", subnet, end: gathering.end(), slabs: slabs(), signature: SIGNATURE });
    assert.deepEqual(await asked, []);
    assert.deepEqual(said.splice(0), [{ kind: "applied", height: begun }]);
    round();
    round();
    assert.deepEqual(said, []);
    for (const height of [begun + 1, begun + 2]) {
      view.publish({ height, signature: null });
      assert.deepEqual(said.splice(0), [{ kind: "applied", height }]);
    }
    assert.throws(
      () => feed({ kind: "end", subnet, end: gathering.end(), slabs: [], signature: SIGNATURE }),
      /one end/,
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});

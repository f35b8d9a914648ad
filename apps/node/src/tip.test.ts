/** The tip's checkpoints over starts: a chain that is too long is rewritten by the next session, be it of one round. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { silentLogger, utf8 } from "@orrery/base";
import { createChainKeys } from "@orrery/crypto/chain-keys";
import { localNetwork } from "@orrery/execution/local-network";
import { createFileDisk } from "@orrery/host";
import { type CheckpointInput, openStore, withGathered } from "@orrery/state";
import { openTip, type Tip } from "./tip.ts";

const SEED = new Uint8Array(32);
const FILES_MAX = 256;

test("sessions of one round each rewrite a chain that has become long", () => {
  const directory = mkdtempSync(join(tmpdir(), "orrery-tip-"));
  const networkId = utf8("a network");
  const makers = {
    bls: { publicKey: () => new Uint8Array(96) },
    ed25519PublicKeyDer: () => new Uint8Array(44),
  };
  const [local] = localNetwork({
    seed: SEED,
    subnets: [{ type: "application", feeSize: 13 }],
    local: true,
    makers,
  });
  assert.ok(local !== undefined);
  const disk = createFileDisk(directory);
  const store = openStore(disk, { networkId, createIfMissing: true, salt: new Uint8Array(16) });
  const open = (): Tip =>
    openTip({
      source: { kind: "store", disk, networkId },
      subnet: local.info,
      creationSubnets: [],
      genesisTime: 1n,
      chainKeys: createChainKeys(SEED),
      logger: silentLogger,
    });
  const round = (tip: Tip): void => {
    const height = tip.state.height + 1;
    tip.apply({ height, time: BigInt(height) + 1n, registryVersion: 1, randomness: SEED, ingress: [] });
    store.appendBlocks([{ height, bytes: utf8("block") }]);
  };
  const write = (tip: Tip, input: CheckpointInput | null): void => {
    assert.ok(input !== null);
    tip.checkpointed(store.writeCheckpoint(input, tip.arena));
  };
  try {
    const first = open();
    for (let files = 0; files < FILES_MAX; files++) {
      round(first);
      write(first, first.collect("ending"));
    }
    assert.equal(store.checkpoint?.chainFiles, FILES_MAX);
    const next = open();
    round(next);
    const part = next.gather();
    assert.ok(part !== null, "nothing is gathered");
    const input = next.collect("working");
    write(next, input === null ? null : withGathered(input, part));
    assert.equal(store.checkpoint?.chainFiles, 1);
    assert.equal(next.gather(), null);
  } finally {
    store.close();
    rmSync(directory, { recursive: true });
  }
});

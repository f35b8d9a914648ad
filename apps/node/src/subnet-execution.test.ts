/** What one subnet's execution does at a start, and when it writes down what the next start would repeat. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { silentLogger, utf8 } from "@orrery/base";
import { blockHash, encodeFinalizedBlock } from "@orrery/consensus";
import { createChainKeys } from "@orrery/crypto/chain-keys";
import { createMclBls } from "@orrery/crypto/mcl";
import type { CheckpointInfo } from "@orrery/state";
import { type Genesis, networkOf, subnetsOf } from "./genesis.ts";
import type { RecoveredSubnet, StorageFeed } from "./protocol.ts";
import { SubnetExecution } from "./subnet-execution.ts";

const INTERVAL = 2;
const genesis: Genesis = {
  seed: new Uint8Array(32).fill(3),
  time: 1n,
  subnets: networkOf([], [], 4),
  catchUpInterval: INTERVAL,
  profile: "local",
};
const NOTHING: Uint8Array = new Uint8Array(32);

async function executing(
  restMs: number,
  action: (execution: SubnetExecution, fed: readonly StorageFeed[]) => void | Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "orrery-execution-"));
  const bls = await createMclBls();
  const [local] = subnetsOf(genesis, bls);
  assert.ok(local !== undefined);
  const fed: StorageFeed[] = [];
  const execution = new SubnetExecution({
    ...{ subnet: 0, local, genesis, creationSubnets: [], bls, restMs },
    storeDirectory: directory,
    storeId: utf8("a network"),
    chainKeys: createChainKeys(genesis.seed),
    logger: silentLogger,
    toView: () => {},
    toStorage: (feed) => void fed.push(feed),
    toMain: () => {},
    onFailure: (error) => assert.fail(String(error)),
  });
  try {
    await action(execution, fed);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Of blocks that order nothing. */
function recorded(heights: number): RecoveredSubnet["records"] {
  const records: { height: number; bytes: Uint8Array }[] = [];
  let parent = NOTHING;
  for (let height = 1; height <= heights; height++) {
    const context = { registryVersion: 1, certifiedHeight: 0, time: BigInt(height) + 1n };
    const block = { version: 1, parent, height, rank: 0, context, payload: { ingress: [] } } as const;
    const proposal = { block, signer: utf8("a node") as never, signature: NOTHING };
    records.push({ height, bytes: encodeFinalizedBlock({ proposal, tape: NOTHING }) });
    parent = blockHash(block);
  }
  return records;
}

test("whole states are hashed again above the newest package alone", async () => {
  const hashed = async (packaged: number): Promise<readonly number[]> => {
    let heights: readonly number[] = [];
    await executing(1_000, (execution) => {
      const records = recorded(3 * INTERVAL);
      heights = execution
        .start({ checkpointBlock: null, records, packaged })
        .stateHashes.map(({ height }) => height);
    });
    return heights;
  };
  assert.deepEqual(await hashed(0), [2, 4, 6]);
  assert.deepEqual(await hashed(4), [6]);
});

test("a subnet that does nothing rests, whatever rounds it has, and writes down what it did before, once", async () => {
  // No time has to pass: where nothing is done in a round the subnet rests.
  await executing(0, (execution, fed) => {
    let height = 0;
    let written = 0;
    const acknowledge = (): void => {
      const collected = fed.filter(({ kind }) => kind === "checkpoint").length;
      for (; written < collected; written++)
        execution.checkpointed({ height, chainBytes: 0, liveBytes: 0, chainFiles: 1 } as CheckpointInfo);
    };
    const rounds = (count: number, ingress: readonly Uint8Array[]): number => {
      const before = written;
      for (let left = count; left > 0; left--) {
        height++;
        const time = BigInt(height) + 1n;
        execution.execute({ height, time, registryVersion: 1, randomness: NOTHING, ingress });
        execution.afterRound();
        acknowledge();
      }
      return written - before;
    };
    execution.start({ checkpointBlock: null, records: [], packaged: 0 });
    acknowledge();
    assert.equal(rounds(120, []), 0, "rounds in which nothing is done are quickly repeated");
    assert.equal(rounds(49, [Uint8Array.of(1)]) + rounds(10, []), 0);
    assert.equal(rounds(1, [Uint8Array.of(1)]) + rounds(200, []), 1);
  });
});

test("a subnet that is never at rest writes down what it did when it would take long to repeat", async () => {
  await executing(1_000_000, (execution, fed) => {
    const ingress = Array.from({ length: 1_000 }, () => Uint8Array.of(1));
    execution.start({ checkpointBlock: null, records: [], packaged: 0 });
    execution.checkpointed({ height: 0, chainBytes: 0, liveBytes: 0, chainFiles: 1 } as CheckpointInfo);
    for (let height = 1; height <= 60; height++) {
      const time = BigInt(height) + 1n;
      execution.execute({ height, time, registryVersion: 1, randomness: NOTHING, ingress });
      execution.afterRound();
    }
    const heights = fed.flatMap((feed) => (feed.kind === "checkpoint" ? [feed.input.height] : []));
    assert.deepEqual(heights, [0, 50]);
  });
});

/** A slice of the kill drill, and the drill's own checks against planted faults. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { DrillCounts, DrillReport } from "./canister.ts";
import type { Client } from "./client.ts";
import { killDrill } from "./kill-drill.ts";
import { startNodeProcess, watchStore } from "./node-under-test.ts";
import { checkCanister, type Op, type OpKind } from "./records.ts";

const KILLS = 6;
/** One kill of six kinds: after answers, in calls, while starting, in an installation, while stopping, in a checkpoint. */
const SEED = 594;

test(`${KILLS} kills under load: nothing lost, doubled or torn`, async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), "kill-drill-"));
  try {
    const result = await killDrill({
      stateDir,
      kills: KILLS,
      seed: SEED,
      report: (line) => t.diagnostic(line),
    });
    assert.equal(result.kills, KILLS);
    assert.ok(result.answered > KILLS);
    t.diagnostic(JSON.stringify(result));
  } finally {
    rmSync(stateDir, { recursive: true });
  }
});

/** The first of them while the directory gets its identity, the last when the first checkpoints are being written. */
const CHANGES_OF_A_FIRST_START = [1, 3, 6, 9, 12, 18, 24] as const;

for (const changes of CHANGES_OF_A_FIRST_START) {
  test(`killed at change ${changes} of its first start: it begins again`, async () => {
    const stateDir = mkdtempSync(join(tmpdir(), "kill-first-start-"));
    const watched = watchStore(stateDir, 1);
    const failures: Error[] = [];
    const options = {
      stateDir,
      checkpointRounds: 4,
      logSegmentBytes: 32_768,
      hotPagesMax: 32,
      applications: 1,
    };
    try {
      const changed = watched.changes(changes);
      const first = startNodeProcess(options, (error) => failures.push(error));
      await Promise.race([changed, first.started]);
      await first.kill();
      const second = startNodeProcess(options, (error) => failures.push(error));
      assert.notEqual(await second.started, null);
      await second.stop();
      assert.deepEqual(failures, []);
    } finally {
      watched.close();
      rmSync(stateDir, { recursive: true });
    }
  });
}

describe("the checks find what is planted", () => {
  const op = (kind: OpKind, slot: number, more: Partial<Op> = {}): Op => ({
    kind,
    canister: 0,
    peer: -1,
    slot,
    amount: 0,
    cycles: 0n,
    request: {
      requestId: new Uint8Array(32),
      body: new Uint8Array(),
      expiresAtMs: 0,
      effectiveCanisterId: null as never,
    },
    client: null as unknown as Client,
    answer: { kind: "replied", reply: new Uint8Array() },
    answeredIn: 1,
    sent: 1,
    ...more,
  });
  const ops: readonly Op[] = [
    op("install", 0),
    op("bump", 1),
    op("transfer", 2, { peer: 1, amount: 7, cycles: 100n }),
    op("transfer", 3, { canister: 1, peer: 0, amount: 5, cycles: 100n }),
    op("schedule", 4),
    op("bump", 5, { answer: null }),
  ];
  interface Seen {
    report: Record<keyof DrillReport, bigint>;
    counts: DrillCounts;
  }
  const sound = (): Seen => ({
    report: {
      a: 1n,
      b: 1n,
      stableA: 1n,
      balance: 1_000_000_000n - 7n + 5n,
      inFlight: 0n,
      sent: 7n,
      received: 5n,
      cyclesSent: 100n,
      cyclesRefunded: 25n,
      cyclesAccepted: 75n,
      queued: 0n,
      upgrades: 0n,
      timerRuns: 1n,
      rejected: 0n,
      armed: 0n,
      cycles: 0n,
      tornPages: 0n,
      tornStablePages: 0n,
    },
    counts: {
      executed: Uint8Array.of(1, 1, 1, 0, 1, 0),
      executedStable: Uint8Array.of(1, 1, 1, 0, 1, 0),
      done: Uint8Array.of(0, 0, 1, 0, 0, 0),
      fired: Uint8Array.of(0, 0, 0, 0, 1, 0),
      received: Uint8Array.of(0, 0, 0, 1, 0, 0),
    },
  });
  const wrongs = (change: (seen: Seen) => void, settled = true): string => {
    const seen = sound();
    change(seen);
    return checkCanister({ canister: 0, ...seen, ops, settled }).join("\n");
  };

  test("a sound canister passes", () => {
    assert.equal(
      wrongs(() => {}),
      "",
    );
  });
  test("an answered update that is gone", () => {
    assert.match(
      wrongs(({ counts, report }) => {
        counts.executed[1] = counts.executedStable[1] = 0;
        report.a = report.b = report.stableA = 0n;
      }),
      /slot 1: executed 0 times, expected 1 to 1 \(bump, answered/,
    );
  });
  test("an update executed twice", () => {
    assert.match(
      wrongs(({ counts }) => (counts.executed[5] = counts.executedStable[5] = 2)),
      /slot 5: executed 2 times, expected 0 to 1/,
    );
  });
  test("heap and stable memory of different heights", () => {
    assert.match(
      wrongs(({ counts }) => (counts.executedStable[1] = 0)),
      /by stable memory 0 times, expected 1/,
    );
  });
  test("half a message", () => {
    assert.match(
      wrongs(({ report }) => (report.b = 0n)),
      /b is 0, expected 1/,
    );
    assert.match(
      wrongs(({ report }) => (report.tornPages = 3n)),
      /pages unlike a is 3/,
    );
  });
  test("a transfer without its effect, a lost callback, lost cycles", () => {
    assert.match(
      wrongs(({ report }) => (report.balance += 7n)),
      /balance is/,
    );
    assert.match(
      wrongs(({ counts }) => (counts.done[2] = 0)),
      /called back 0 times, expected 1/,
    );
    assert.match(
      wrongs(({ counts }) => (counts.received[3] = 0)),
      /received 0 times, expected 1/,
    );
    assert.match(
      wrongs(({ report }) => (report.cyclesRefunded = 0n)),
      /cycles refunded is 0, expected 25/,
    );
  });
  test("a timer that never fired, or fired twice", () => {
    assert.match(
      wrongs(({ counts }) => (counts.fired[4] = 0)),
      /fired 0 times, expected 1/,
    );
    assert.equal(
      wrongs(({ counts }) => (counts.fired[4] = 0), false),
      "",
    );
    assert.match(
      wrongs(({ counts }) => (counts.fired[4] = 2), false),
      /fired 2 times/,
    );
  });
});

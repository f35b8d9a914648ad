/** Which package a member shares: one that creates a subnet comes before those above it, which do not say so. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Block, Height, NodeId } from "@orrery/base";
import { encodeSummary, type Summary } from "../summary-codec.ts";
import { catchUpOf } from "./catch-up.ts";
import type { Pool } from "./pool.ts";
import type { Schedule } from "./schedule.ts";

const NODE = new Uint8Array(29).fill(1) as Uint8Array as NodeId;
const BYTES = new Uint8Array(32);
const EPOCH = { registryVersion: 1, members: [NODE], transcripts: { low: BYTES, high: BYTES } };
const SUMMARY: Summary = { length: 10, nextLength: 10, halts: false, current: EPOCH, next: null };
const FOUNDING: Partial<Summary> = { created: [1], founded: { subnet: 1, epoch: EPOCH } };
const LENGTH = 10;

interface Chain {
  /** Of the newest package. */
  readonly catchUpHeight?: Height;
  /** Of the newest final block, which is at 35. */
  readonly certifiedHeight?: Height;
  /** By height, beside what each summary has. */
  readonly summaries?: Readonly<Record<Height, Partial<Summary>>>;
}

function sharesAt(height: Height, chain: Chain): boolean {
  const { catchUpHeight = 0, certifiedHeight = 30, summaries = {} } = chain;
  const blockAt = (at: Height): Block => ({
    ...{ version: 1, parent: BYTES, height: at, rank: 0 },
    context: { registryVersion: 1, certifiedHeight, time: 1n },
    payload:
      at % LENGTH > 0
        ? { ingress: [] }
        : { ingress: [], summary: encodeSummary({ ...SUMMARY, ...summaries[at] }) },
  });
  const pool = {
    ...{ catchUpHeight, finalizedHeight: 35, beaconAt: () => BYTES },
    finalizedAt: (at: Height) => (at > 35 ? null : { block: blockAt(at) }),
  } as unknown as Pool;
  const nextSummary = (at: Height): Height => at - (at % LENGTH) + LENGTH;
  const schedule = { nextSummary } as Pick<Schedule, "nextSummary"> as Schedule;
  return catchUpOf({ pool, schedule }, height, BYTES) !== null;
}

test("a package waits for those below it that create subnets, and for no others", () => {
  assert.ok(sharesAt(20, {}));
  const summaries = { 10: FOUNDING, 20: { created: [1] }, 30: { created: [1] } };
  assert.ok(sharesAt(10, { summaries }));
  assert.ok(!sharesAt(20, { summaries }));
  assert.ok(!sharesAt(30, { summaries }));
  assert.ok(sharesAt(20, { summaries, catchUpHeight: 10 }));
  assert.ok(sharesAt(30, { summaries, catchUpHeight: 10 }));
});

test("nor does one at which the subnet halts, where nothing may be certified any more", () => {
  const halts = { ...SUMMARY, halts: true };
  assert.ok(sharesAt(20, { summaries: { 10: FOUNDING, 20: halts }, certifiedHeight: 5 }));
  const upgrades = { replicaVersion: "2.0.0", upgrades: true } as const;
  assert.ok(sharesAt(20, { summaries: { 20: upgrades }, certifiedHeight: 5 }));
  assert.ok(!sharesAt(20, { summaries: { 10: FOUNDING, 20: upgrades }, certifiedHeight: 5 }));
});

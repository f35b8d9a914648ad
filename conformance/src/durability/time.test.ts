/**
 * A node whose clock the test holds (simulated: the clock is an input of the node; nothing touches the machine's): ten hours of sleep,
 * clocks that jump back, and an idle network that does nothing.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { lookupResultToBuffer } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { fromHex, type TimeNs } from "@orrery/base";
import { createMclBls } from "@orrery/crypto/mcl";
import { createStreamLogger, systemRng } from "@orrery/host";
import { type NodeHandle, startNode } from "@orrery/node";
import { canisterArgument, createArgument, decodeCreated, installArgument, MANAGEMENT } from "./candid.ts";
import { decodeLook, drillModule, pack } from "./canister.ts";
import { CertificateClock } from "./certificate-clock.ts";
import { Client, type Endpoint } from "./client.ts";

const SECOND: TimeNs = 1_000_000_000n;
const HOUR: TimeNs = 3_600n * SECOND;
/** Certified time may be this much older than the clock when an answer leaves. */
/** On the root subnet. */
const ICP_LEDGER: Principal = Principal.fromText("ryjl3-tyaaa-aaaaa-aaaba-cai");
const FRESH: TimeNs = 2n * SECOND;
/** Of the fixture's loop: a good part of a second. */
const LONG_ITERATIONS = 200_000_000;
const BEGINNING: TimeNs = 1_800_000_000n * SECOND;

let stateDir: string;
let now: TimeNs;
let node: NodeHandle;
let at: Endpoint;
let client: Client;
let newest: CertificateClock;
let failures: Error[];

async function start(): Promise<void> {
  node = await startNode({
    stateDir,
    port: 0,
    bind: "127.0.0.1",
    clean: false,
    logger: createStreamLogger({ write: () => {}, level: "error" }),
    clock: { now: () => now },
    rng: systemRng,
    onFatal: (error) => failures.push(error),
  });
  at = { url: node.url, rootKey: fromHex(node.rootKeyHex) };
}

beforeEach(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "kill-time-"));
  now = BEGINNING;
  newest = new CertificateClock();
  failures = [];
  client = new Client({
    bls: await createMclBls(),
    clock: newest,
    identity: Ed25519KeyIdentity.generate(),
    nowMs: () => Number(now / 1_000_000n),
  });
  await start();
});

afterEach(async () => {
  await node.stop();
  rmSync(stateDir, { recursive: true });
  assert.deepEqual(failures, []);
});

async function call(call: Parameters<Client["sign"]>[0]): Promise<Uint8Array> {
  const answer = await client.submit(at, await client.sign(call));
  assert.equal(answer.kind, "replied", JSON.stringify(answer));
  return (answer as { reply: Uint8Array }).reply;
}

async function installed(): Promise<Principal> {
  const near = Principal.fromText(node.defaultEffectiveCanisterId);
  const method = "provisional_create_canister_with_cycles";
  const id = decodeCreated(
    await call({ canisterId: MANAGEMENT, method, arg: createArgument(), effectiveCanisterId: near }),
  );
  const arg = installArgument({ id, mode: "install", module: await drillModule(), arg: pack(0) });
  await call({ canisterId: MANAGEMENT, method: "install_code", arg, effectiveCanisterId: id });
  return id;
}

/** Published height of the application subnet. */
function heightNow(): number {
  return node.status().subnets[1]?.height ?? 0;
}

async function certifiedTime(id: Principal): Promise<TimeNs> {
  const path = [new TextEncoder().encode("time")];
  const time = lookupResultToBuffer((await client.readState(at, id, [path])).lookup_path(path));
  return (time as Uint8Array).reduceRight((value, byte) => (value << 7n) | BigInt(byte & 0x7f), 0n);
}

async function look(id: Principal): Promise<ReturnType<typeof decodeLook>> {
  return decodeLook(await client.query(at, id, "look", pack(0, 16)));
}

/** What the canister counted as fired once its timer has run; each look is a query of fresh state. */
async function firedAfterLooking(id: Principal, slot: number): Promise<number | undefined> {
  for (let looks = 0; looks < 50; looks++) {
    const { report, counts } = await look(id);
    if (report.queued === 0n) return counts.fired[slot];
  }
  return undefined;
}

test("ten hours asleep: the first certificate is fresh", async () => {
  const id = await installed();
  now += 10n * HOUR;
  const time = await certifiedTime(id);
  assert.ok(time > now - FRESH && time <= now, `certified ${time}, clock ${now}`);
});

test("ten hours asleep: the first query sees fresh time, the first call is certified fresh", async () => {
  const id = await installed();
  now += 10n * HOUR;
  const height = heightNow();
  await look(id);
  assert.equal(heightNow(), height + 1);
  now += 10n * HOUR;
  await call({ canisterId: id, method: "bump", arg: pack(1, 0) });
  assert.ok(newest.newest(id) > now - FRESH);
});

test("ten hours asleep in the middle of a round: what it publishes late is not shown as fresh", async () => {
  const id = await installed();
  const long = await client.sign({ canisterId: id, method: "bump", arg: pack(1, LONG_ITERATIONS) });
  await client.send(at, long);
  // The round of that message was begun when this one was sent back.
  await client.send(at, await client.sign({ canisterId: id, method: "bump", arg: pack(2, 0) }));
  now += 10n * HOUR;
  const time = await certifiedTime(id);
  assert.ok(time > now - FRESH, `certified ${time}, clock ${now}`);
  // Waits its turn behind the long one, which may take more rounds than this.
  await call({ canisterId: id, method: "bump", arg: pack(3, 0) });
  const { counts } = await look(id);
  assert.deepEqual([counts.executed[1], counts.executed[3]], [1, 1]);
});

test("a timer that came due meanwhile fires once, at the time of waking", async () => {
  const id = await installed();
  await call({ canisterId: id, method: "schedule", arg: pack(5, 0, 1n * HOUR) });
  now += HOUR / 2n;
  assert.equal((await look(id)).counts.fired[5], 0);
  now += 10n * HOUR;
  assert.equal(await firedAfterLooking(id, 5), 1);
});

test("a clock that jumps back: time goes on from where it was, and the node goes on", async () => {
  const id = await installed();
  const before = await certifiedTime(id);
  now -= SECOND;
  await call({ canisterId: id, method: "bump", arg: pack(1, 0) });
  const after = await certifiedTime(id);
  assert.ok(after > before);
  assert.ok(after - before < SECOND, "time creeps until the clock has caught up");
  await node.stop();
  now -= SECOND;
  await start();
  assert.ok((await certifiedTime(id)) >= after);
  await call({ canisterId: id, method: "bump", arg: pack(2, 0) });
  assert.equal((await look(id)).report.a, 2n);
  now += 2n * SECOND + HOUR;
  assert.ok((await certifiedTime(id)) > now - FRESH);
});

test("a clock that jumps back by hours: clients are told that their requests expire too early, and none is dropped", async () => {
  const id = await installed();
  const before = await certifiedTime(id);
  now -= 10n * HOUR;
  const tooEarly = call({ canisterId: id, method: "bump", arg: pack(1, 0) });
  await assert.rejects(tooEarly, /HTTP 400: Invalid request expiry/);
  now += 10n * HOUR;
  await call({ canisterId: id, method: "bump", arg: pack(2, 0) });
  assert.ok((await certifiedTime(id)) > before);
});

test("an idle network makes no block and writes nothing", async () => {
  const id = await installed();
  await call({ canisterId: id, method: "bump", arg: pack(1, 0) });
  await node.stop();
  await start();
  now += 5n * SECOND;
  // Its answer comes after a round that the start made, or one for fresh time: then everything is written.
  await certifiedTime(ICP_LEDGER);
  await certifiedTime(id);
  const files = (): unknown[] =>
    ["store", "store-1"].flatMap((store) =>
      readdirSync(join(stateDir, store)).map((name) => {
        const { size, mtimeMs, ctimeMs, ino } = statSync(join(stateDir, store, name));
        return [store, name, size, mtimeMs, ctimeMs, ino];
      }),
    );
  const height = heightNow();
  const idle = files();
  for (let minute = 0; minute < 600; minute++) {
    now += 60n * SECOND;
    await new Promise((resolve) => setImmediate(resolve));
  }
  // Status reads nothing that needs a block; its answer has been through every thread that could have made one.
  assert.equal(await client.height(at), height);
  assert.deepEqual(files(), idle);
  await call({
    canisterId: MANAGEMENT,
    method: "canister_status",
    arg: canisterArgument(id),
    effectiveCanisterId: id,
  });
  assert.ok(heightNow() > height, "work wakes it");
});

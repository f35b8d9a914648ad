/**
 * kill -9 with a message or an installation of many rounds under way: it is answered after the restart as if nothing had happened,
 * and once.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import type { Principal } from "@icp-sdk/core/principal";
import { createMclBls } from "@orrery/crypto/mcl";
import wabt from "wabt";
import { createArgument, decodeCreated, installArgument, MANAGEMENT } from "./candid.ts";
import { CertificateClock } from "./certificate-clock.ts";
import { type Answer, Client } from "./client.ts";
import { type NodeProcess, type RunningNode, startNodeProcess } from "./node-under-test.ts";

/** Turns of the loop, 11 instructions each: seven slices. */
const TURNS = 1_200_000_000;
/** Kills, this long after the message or the node began. */
const KILLS_AFTER_MS = [300, 600, 900] as const;

async function spinModule(): Promise<Uint8Array> {
  const toolkit = await wabt();
  const module = toolkit.parseWat("spin.wat", readFileSync(new URL("./spin.wat", import.meta.url), "utf8"));
  try {
    return new Uint8Array(module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

describe("a node that is killed in the middle of something long", () => {
  const failures: Error[] = [];
  let stateDir: string;
  let node: NodeProcess;
  let at: RunningNode;
  let client: Client;

  async function start(): Promise<void> {
    node = startNodeProcess(
      { stateDir, checkpointRounds: 3, logSegmentBytes: 32_768, hotPagesMax: 32, applications: 1 },
      (error) => failures.push(error),
    );
    const started = await node.started;
    assert.ok(started !== null);
    at = started;
  }

  async function call(options: Parameters<Client["sign"]>[0]): Promise<Uint8Array> {
    const answer = await client.submit(at, await client.sign(options));
    assert.equal(answer.kind, "replied", JSON.stringify(answer));
    return (answer as { reply: Uint8Array }).reply;
  }

  async function created(): Promise<Principal> {
    const method = "provisional_create_canister_with_cycles";
    const [near] = at.effectiveCanisterIds as [Principal];
    return decodeCreated(
      await call({ canisterId: MANAGEMENT, method, arg: createArgument(), effectiveCanisterId: near }),
    );
  }

  /** What installs the canister and turns its loop so often meanwhile. */
  async function installation(id: Principal, turns: number): Promise<Parameters<Client["sign"]>[0]> {
    const arg = installArgument({ id, mode: "install", module: await spinModule(), arg: u32(turns) });
    return { canisterId: MANAGEMENT, method: "install_code", arg, effectiveCanisterId: id };
  }

  async function installed(): Promise<Principal> {
    const id = await created();
    await call(await installation(id, 0));
    return id;
  }

  /** Sends it, kills the node again and again while it is under way, and asks for its answer. */
  async function throughKills(options: Parameters<Client["sign"]>[0], other: Principal): Promise<Answer> {
    const request = await client.sign(options);
    await client.send(at, request);
    let inTheMiddle = 0;
    for (const afterMs of KILLS_AFTER_MS) {
      // The moment is the point: in the middle of whatever the node does then.
      await delay(afterMs);
      if ((await client.status(at, request)) === null) inTheMiddle++;
      await node.kill();
      await start();
      await call({ canisterId: other, method: "spin", arg: u32(1) });
    }
    assert.ok(inTheMiddle > 0, "it was over before the first kill");
    return await client.submit(at, request);
  }

  async function totalOf(id: Principal): Promise<Uint8Array> {
    return await client.query(at, id, "total", new Uint8Array(0));
  }

  before(async () => {
    stateDir = mkdtempSync(join(tmpdir(), "kill-long-"));
    client = new Client({
      bls: await createMclBls(),
      clock: new CertificateClock(),
      identity: Ed25519KeyIdentity.generate(),
    });
    await start();
  });

  after(async () => {
    await node.stop();
    rmSync(stateDir, { recursive: true });
  });

  test("answers a message once, and others meanwhile", async () => {
    const [slow, other] = [await installed(), await installed()];
    const answer = await throughKills({ canisterId: slow, method: "spin", arg: u32(TURNS) }, other);
    assert.deepEqual(answer, { kind: "replied", reply: u32(TURNS) });
    assert.deepEqual(await totalOf(slow), u32(TURNS));
    assert.deepEqual(await totalOf(other), u32(KILLS_AFTER_MS.length));
    assert.deepEqual(failures, []);
  });

  test("ends an installation once, and answers others meanwhile", async () => {
    const [slow, other] = [await created(), await installed()];
    const answer = await throughKills(await installation(slow, TURNS), other);
    assert.equal(answer.kind, "replied", JSON.stringify(answer));
    assert.deepEqual(await totalOf(slow), u32(TURNS));
    assert.deepEqual(await totalOf(other), u32(KILLS_AFTER_MS.length));
    const again = await client.submit(at, await client.sign(await installation(slow, 0)));
    assert.ok(again.kind === "rejected" && /not empty/.test(again.message), JSON.stringify(again));
    assert.deepEqual(failures, []);
  });
});

/**
 * Canister logs (interface spec, "IC method fetch_canister_logs", "Debugging aids"): what is printed and what trapped, in order and in
 * time, for whom it is visible, how much is kept.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AnonymousIdentity } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { motokoFixture, otherFixture } from "@orrery/canisters/fixtures";
import { installCode } from "../management.ts";
import { eventually, install, PERSISTENCE_MODES, type Program } from "../programs.ts";
import { changeSettings, type LogRecord, logOf, statusOf } from "./management-service.ts";
import { rejectionOf } from "./rejection.ts";
import { shareNetwork } from "./shared-network.ts";

const shared = shareNetwork();
const LOG_BYTES = 4_096;

async function log(program: { readonly id: Principal }): Promise<readonly LogRecord[]> {
  const records = await logOf(shared.agent, program.id);
  assert.ok(records !== undefined);
  return records;
}

for (const mode of PERSISTENCE_MODES) {
  describe(`logs, ${mode} persistence`, () => {
    const start = (): Promise<Program> => shared.motoko("hooks", mode, "");

    test("prints and traps, numbered and dated", async () => {
      const hooks = await start();
      assert.deepEqual(await log(hooks), []);
      for (const text of ["first", "zweitens", "三番目"]) await hooks.call("log", text);
      await rejectionOf(hooks.call("trapInUpdate"));
      await rejectionOf(hooks.call("trapInCallback"));
      await rejectionOf(hooks.call("trapInQuery"));
      const records = await log(hooks);
      assert.deepEqual(
        records.map(({ idx }) => idx),
        [0n, 1n, 2n, 3n, 4n],
      );
      assert.deepEqual(
        records.slice(0, 3).map(({ text }) => text),
        ["first", "zweitens", "三番目"],
      );
      assert.match(records[3]?.text ?? "", /update trapped on purpose/);
      assert.match(records[4]?.text ?? "", /callback trapped on purpose/);
      const times = records.map(({ timestampNanos }) => timestampNanos);
      for (const [i, time] of times.entries())
        assert.ok(time >= (times[i - 1] ?? 0n), "in the order of time");
      assert.ok(BigInt(Date.now()) * 1_000_000n - (times[0] ?? 0n) < 300_000_000_000n);
    });

    test("traps that nobody hears of otherwise", async () => {
      const hooks = await start();
      await hooks.call("trapInTimer", 1n);
      await hooks.call("arm", { preupgrade: false, postupgrade: false, heartbeat: true, inspect: false });
      await hooks.call("setHeartbeat", true);
      const texts = async (): Promise<string> => (await log(hooks)).map(({ text }) => text).join("\n");
      await eventually(
        texts,
        (text: string) => text.includes("timer trapped") && text.includes("heartbeat trapped"),
      );
    });

    test("are the controllers' unless they say otherwise", async () => {
      const hooks = await start();
      const friend = Ed25519KeyIdentity.generate();
      const seenBy = async (identity: Ed25519KeyIdentity | AnonymousIdentity): Promise<boolean> =>
        (await logOf(shared.as(identity), hooks.id)) !== undefined;
      const seen = async (): Promise<boolean[]> => [
        await seenBy(friend),
        await seenBy(new AnonymousIdentity()),
      ];
      assert.deepEqual(await seen(), [false, false]);
      await changeSettings(shared.agent, hooks.id, {
        log_visibility: { allowed_viewers: [friend.getPrincipal()] },
      });
      assert.deepEqual(await seen(), [true, false]);
      await changeSettings(shared.agent, hooks.id, { log_visibility: { public: null } });
      assert.deepEqual(await seen(), [true, true]);
      await changeSettings(shared.agent, hooks.id, { log_visibility: { controllers: null } });
      assert.deepEqual(await seen(), [false, false]);
    });

    test("keep the newest, and go with a reinstallation", async () => {
      const hooks = await start();
      for (let i = 0; i < 12; i++) await hooks.call("log", `${i} ${"x".repeat(900)}`);
      const records = await log(hooks);
      assert.equal(records.at(-1)?.idx, 11n);
      assert.ok(records.length < 12, "the oldest were dropped");
      const total = records.reduce((sum, { text }) => sum + text.length, 0);
      assert.ok(total <= LOG_BYTES && total > LOG_BYTES / 2, `${total}`);
      for (const { idx, text } of records) assert.ok(text.startsWith(`${idx} x`));
      const { wasmGzip } = motokoFixture("hooks", mode);
      await installCode(shared.agent, hooks.id, wasmGzip, { reinstall: null }, IDL.encode([IDL.Text], [""]));
      assert.deepEqual(await log(hooks), []);
    });
  });
}

test("a C program prints, a query does not", async () => {
  const { agent, network } = shared;
  const { id } = await install(network, agent, otherFixture("accumulator"));
  const arg = new TextEncoder().encode(`remembered ${"y".repeat(100)}`);
  await agent.update(id, { methodName: "remember", arg, effectiveCanisterId: id });
  const records = await log({ id });
  assert.deepEqual(
    records.map(({ text }) => text),
    [new TextDecoder().decode(arg.subarray(0, 64))],
  );
});

test("are read by queries only", async () => {
  const { id } = await shared.motoko("counter", "classic");
  const call = shared.agent.update(Principal.managementCanister(), {
    methodName: "fetch_canister_logs",
    arg: IDL.encode([IDL.Record({ canister_id: IDL.Principal })], [{ canister_id: id }]),
    effectiveCanisterId: id,
  });
  const { by, code } = await rejectionOf(call);
  assert.deepEqual([by, code], ["refusal", 4]);
  assert.ok((await statusOf(shared.agent, id)).memory_size > 0n);
});

/**
 * What installations, upgrades and removals do to a program (interface spec, "IC method install_code", "Canister lifecycle"): data kept
 * and lost, hooks run and skipped, failures that change nothing at all, versions counted.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import {
  type Fixture,
  type MotokoFixtureName,
  motokoFixture,
  otherFixture,
} from "@orrery/canisters/fixtures";
import { createCanister, type InstallMode, installCode } from "../management.ts";
import { install, PERSISTENCE_MODES, type PersistenceMode, type Program, upgrade } from "../programs.ts";
import { changeSettings, managing, type Status, statusOf } from "./management-service.ts";
import { rejectionOf } from "./rejection.ts";
import { pattern, shareNetwork } from "./shared-network.ts";

const shared = shareNetwork();
const UNARMED = { preupgrade: false, postupgrade: false, heartbeat: false, inspect: false };

function hashOf(fixture: Fixture): Uint8Array {
  return new Uint8Array(createHash("sha256").update(fixture.wasmGzip).digest());
}

function installing(
  program: Program,
  name: MotokoFixtureName,
  mode: PersistenceMode,
  how: InstallMode,
  args: readonly unknown[] = [],
): Promise<void> {
  const { wasmGzip, initTypes } = motokoFixture(name, mode);
  return installCode(shared.agent, program.id, wasmGzip, how, IDL.encode([...initTypes], [...args]));
}

/** Everything of a status that only running code or a controller changes; a trap's text in the log takes memory of its own. */
function lasting({ version, module_hash, memory_metrics, settings }: Status): object {
  const { canister_history_size: _, ...metrics } = memory_metrics;
  return { version, module_hash, metrics, settings };
}

const upgrading = (
  persistence: [] | [{ keep: null } | { replace: null }],
  skip: [] | [boolean] = [],
): InstallMode => ({ upgrade: [{ skip_pre_upgrade: skip, wasm_memory_persistence: persistence }] });

for (const mode of PERSISTENCE_MODES) {
  describe(`lifecycle, ${mode} persistence`, () => {
    test("an upgrade keeps every kind of data, a reinstallation none", async () => {
      const { agent } = shared;
      let program = await shared.motoko("stable-structures", mode);
      await program.call("put", "b", 2n);
      await program.call("put", "a", 1n << 80n);
      assert.equal(await program.call("remove", "b"), true);
      assert.equal(await program.call("remove", "b"), false);
      await program.call("setCell", 3n, 7n);
      await program.call("setScalars", -0.0, "12");
      const blob = pattern(200_000);
      assert.equal(await program.call("append", blob), 0n);
      assert.equal(await program.call("append", blob), 200_000n);
      for (let i = 0; i < 3; i++) program = await upgrade(agent, program, "stable-structures", mode);
      assert.deepEqual(await program.call("all"), [["a", 1n << 80n]]);
      assert.deepEqual(await program.call("get", "a"), [1n << 80n]);
      assert.deepEqual(await program.call("names"), ["b", "a"]);
      assert.deepEqual(await program.call("getCells"), [0n, 0n, 0n, 7n]);
      const { number, digits } = (await program.call("scalars")) as { number: number; digits: string[] };
      assert.ok(Object.is(number, -0), "the sign of zero is kept");
      assert.deepEqual(digits, ["12"]);
      assert.deepEqual(await program.call("regionSize"), { bytes: 400_000n, pages: 7n });
      assert.deepEqual(
        await program.call("read", 150_000n, 100_000n),
        new Uint8Array([...blob.subarray(150_000), ...blob.subarray(0, 50_000)]),
      );
      await installing(program, "stable-structures", mode, { reinstall: null });
      assert.deepEqual(await program.call("all"), []);
      assert.deepEqual(await program.call("regionSize"), { bytes: 0n, pages: 0n });
    });

    test("a failed upgrade changes nothing", async () => {
      const { agent } = shared;
      const hooks = await shared.motoko("hooks", mode, "");
      await hooks.call("arm", { ...UNARMED, postupgrade: true });
      const [counts, before] = [await hooks.call("counts"), await statusOf(agent, hooks.id)];
      await rejectionOf(upgrade(agent, hooks, "hooks", mode, [""]));
      // The new program's own installation argument traps, too.
      await hooks.call("arm", UNARMED);
      await hooks.call("arm", { ...UNARMED, preupgrade: true });
      const other = mode === "enhanced" ? upgrading([{ keep: null }]) : upgrading([]);
      await rejectionOf(installing(hooks, "counter", mode, other));
      const after = await statusOf(agent, hooks.id);
      assert.deepEqual(after.module_hash, before.module_hash);
      const { nanos: _, ...kept } = counts as Record<string, unknown>;
      const { nanos: __, ...found } = (await hooks.call("counts")) as Record<string, unknown>;
      assert.deepEqual(found, kept);
    });

    test("a failed installation leaves a canister empty, a failed reinstallation leaves the old program", async () => {
      const { agent, network } = shared;
      const fixture = motokoFixture("hooks", mode);
      const id = await createCanister(agent, network.effectiveCanisterId);
      const fresh = await statusOf(agent, id);
      const bad = IDL.encode([IDL.Text], ["init"]);
      await rejectionOf(installCode(agent, id, fixture.wasmGzip, { install: null }, bad));
      assert.deepEqual(lasting(await statusOf(agent, id)), lasting(fresh));
      const blobs = await shared.motoko("blobs", mode);
      await blobs.call("store", pattern(300_000));
      const before = await statusOf(agent, blobs.id);
      await rejectionOf(installing(blobs, "hooks", mode, { reinstall: null }, ["body"]));
      assert.deepEqual(lasting(await statusOf(agent, blobs.id)), lasting(before));
      assert.deepEqual(await blobs.call("load"), pattern(300_000));
    });

    test("hooks are run in order, and the first can be skipped", async () => {
      const { agent } = shared;
      let hooks = await shared.motoko("hooks", mode, "");
      hooks = await upgrade(agent, hooks, "hooks", mode, [""]);
      const counts = (await hooks.call("counts")) as Record<string, bigint>;
      assert.equal(counts["preupgrades"], 1n);
      assert.equal(counts["postupgrades"], 1n);
      await hooks.call("arm", { ...UNARMED, preupgrade: true });
      if (mode === "enhanced") {
        // The memory stays, but it is the hook that leaves in it where the variables are.
        await installing(hooks, "hooks", mode, upgrading([{ keep: null }], [true]), [""]);
        const { preupgrades } = (await hooks.call("counts")) as Record<string, bigint>;
        assert.equal(preupgrades, 0n);
      } else {
        // What the hook would have saved is missed by the next program, and the upgrade fails as a whole.
        const missed = await rejectionOf(installing(hooks, "hooks", mode, upgrading([], [true]), [""]));
        assert.equal(missed.errorCode, "IC0503");
        assert.equal(((await hooks.call("counts")) as Record<string, bigint>)["postupgrades"], 1n);
      }
    });

    test("versions count what changes a canister, and nothing else", async () => {
      const { agent } = shared;
      const counter = await shared.motoko("counter", mode);
      const versionNow = async (): Promise<bigint> => (await statusOf(agent, counter.id)).version;
      let version = await versionNow();
      const step = async (by: bigint, act: () => Promise<unknown>): Promise<void> => {
        await act();
        const now = await versionNow();
        assert.equal(now, version + by);
        version = now;
      };
      await step(1n, () => counter.call("inc"));
      await step(0n, () => counter.call("get"));
      await step(1n, () => changeSettings(agent, counter.id, { freezing_threshold: 1_000n }));
      await step(1n, () => upgrade(agent, counter, "counter", mode));
      // Running to stopping, stopping to stopped.
      await step(2n, () => managing(agent, counter.id).stop_canister({ canister_id: counter.id }));
      await step(1n, () => managing(agent, counter.id).start_canister({ canister_id: counter.id }));
      const [caller, callee] = [await shared.motoko("caller", mode), await shared.motoko("callee", mode)];
      const before = (await statusOf(agent, caller.id)).version;
      await rejectionOf(caller.call("trapBeforeAwait", callee.id));
      assert.equal((await statusOf(agent, caller.id)).version, before, "a trap is no change");
      await rejectionOf(caller.call("trapAfterAwait", callee.id));
      const changes = before + 2n;
      assert.equal(
        (await statusOf(agent, caller.id)).version,
        changes,
        "what came before it, and its cleanup",
      );
    });

    test("removed code takes its data with it and can be put back", async () => {
      const { agent } = shared;
      const blobs = await shared.motoko("blobs", mode);
      await blobs.call("store", pattern(1_000_000));
      const full = await statusOf(agent, blobs.id);
      assert.ok(full.memory_size > 1_000_000n);
      await managing(agent, blobs.id).uninstall_code({ canister_id: blobs.id, sender_canister_version: [] });
      const bare = await statusOf(agent, blobs.id);
      assert.deepEqual(bare.module_hash, []);
      assert.equal(bare.memory_metrics["wasm_memory_size"], 0n);
      assert.equal(bare.memory_metrics["stable_memory_size"], 0n);
      assert.equal(bare.memory_metrics["wasm_binary_size"], 0n);
      assert.deepEqual(bare.settings, full.settings);
      assert.equal((await rejectionOf(blobs.call("load"))).errorCode, "IC0537");
      await installing(blobs, "blobs", mode, { install: null });
      assert.deepEqual(await blobs.call("load"), new Uint8Array(0));
      assert.deepEqual(
        (await statusOf(agent, blobs.id)).module_hash[0],
        hashOf(motokoFixture("blobs", mode)),
      );
    });

    test("the second version of a program, and the first again", async () => {
      const { agent } = shared;
      let program = await shared.motoko("upgrade-v1", mode);
      await program.call("add", "lens");
      program = await upgrade(agent, program, "upgrade-v2", mode);
      await program.call("tag", 1n, "glass");
      await program.call("rename", "workshop");
      assert.deepEqual(await program.call("list"), [{ id: 1n, text: "lens" }]);
      assert.deepEqual(await program.call("tagOf", 2n), []);
      program = await upgrade(agent, program, "upgrade-v2", mode);
      assert.deepEqual(await program.call("tagOf", 1n), ["glass"]);
      assert.equal(await program.call("describe"), "workshop: version 2");
    });
  });
}

describe("persistence options", () => {
  test("an enhanced program must say what becomes of its memory", async () => {
    const counter = await shared.motoko("counter", "enhanced");
    await counter.call("inc");
    const silent = await rejectionOf(installing(counter, "counter", "enhanced", upgrading([])));
    assert.equal(silent.errorCode, "IC0504");
    assert.match(
      silent.message,
      /Missing upgrade option: Enhanced orthogonal persistence requires the `wasm_memory_persistence` upgrade option\./,
    );
    const classic = await rejectionOf(installing(counter, "counter", "classic", upgrading([{ keep: null }])));
    assert.equal(classic.errorCode, "IC0504");
    assert.match(
      classic.message,
      /Invalid upgrade option: The `wasm_memory_persistence: opt Keep` upgrade option requires that the new canister module supports enhanced orthogonal persistence\./,
    );
    assert.equal(await counter.call("get"), 1n);
    await installing(counter, "counter", "enhanced", upgrading([{ replace: null }]));
    assert.equal(await counter.call("get"), 0n, "a replaced memory begins anew");
  });

  test("a classic program does not become an enhanced one by accident", async () => {
    const counter = await shared.motoko("counter", "classic");
    await counter.call("add", 1n << 90n);
    const { errorCode, message } = await rejectionOf(
      installing(counter, "counter", "enhanced", upgrading([])),
    );
    assert.equal(errorCode, "IC0503");
    assert.match(message, /implicit upgrade from classical orthogonal persistence/);
    assert.equal(await counter.call("inc"), (1n << 90n) + 1n);
  });
});

test("C: the argument of installation, stable memory over upgrades, a failure undone", async () => {
  const { agent, network } = shared;
  const fixture = otherFixture("accumulator");
  const { id } = await install(network, agent, fixture);
  const raw = async (methodName: string, arg: Uint8Array): Promise<Uint8Array> =>
    (await agent.update(id, { methodName, arg, effectiveCanisterId: id })).reply;
  await installCode(agent, id, fixture.wasmGzip, { reinstall: null }, Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0));
  assert.deepEqual(await raw("add", new Uint8Array(8)), Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0));
  assert.match(
    (await rejectionOf(installCode(agent, id, fixture.wasmGzip, { reinstall: null }, Uint8Array.of(1))))
      .message,
    /must be empty or 8 bytes/,
  );
  const piece = pattern(250_000);
  for (let i = 1; i <= 4; i++) {
    const total = new Uint8Array(8);
    new DataView(total.buffer).setBigUint64(0, BigInt(i * piece.length), true);
    assert.deepEqual(await raw("remember", piece), total);
  }
  const before = await statusOf(agent, id);
  assert.match((await rejectionOf(raw("fail", new Uint8Array(0)))).message, /failed on purpose/);
  assert.deepEqual(lasting(await statusOf(agent, id)), lasting(before));
  await installCode(agent, id, fixture.wasmGzip, { upgrade: [] }, new Uint8Array(0));
  const range = new Uint8Array(16);
  new DataView(range.buffer).setBigUint64(0, 750_000n, true);
  new DataView(range.buffer).setBigUint64(8, 250_000n, true);
  const { reply } = await agent.update(id, { methodName: "recall", arg: range, effectiveCanisterId: id });
  assert.deepEqual(reply, piece);
  assert.deepEqual(await raw("add", new Uint8Array(8)), Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0));
});

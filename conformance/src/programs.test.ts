/**
 * Programs in Motoko on a real network, in both of its persistence modes (interface spec,
 * "Canister module" and "Callbacks", "Cycles", "Timers", "Certified data"): what they compute, what survives a trap and an
 * upgrade, what they send each other.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { AnonymousIdentity, Certificate, type HttpAgent, LookupPathStatus } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import type { Principal } from "@icp-sdk/core/principal";
import { childIdlFactory, type MotokoFixtureName, motokoFixture } from "@orrery/canisters/fixtures";
import { agentFor, type Network, startNetwork } from "./harness.ts";
import { eventually, install, PERSISTENCE_MODES, type Program, programAt, upgrade } from "./programs.ts";

let network: Network;
let agent: HttpAgent;
before(async () => {
  network = await startNetwork();
  agent = agentFor(network, Ed25519KeyIdentity.generate());
});
after(async () => {
  await network.end("SIGTERM");
});

const TRILLION = 1_000_000_000_000n;

interface Rejected {
  readonly rejection: { readonly code: string; readonly message: string };
}

function bytes(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 7) % 251);
}

for (const mode of PERSISTENCE_MODES) {
  const start = (name: MotokoFixtureName, ...args: readonly unknown[]): Promise<Program> =>
    install(network, agent, motokoFixture(name, mode), args);

  describe(`Motoko, ${mode} persistence`, () => {
    test("timers: once, again and again, cancelled, trapping", async () => {
      const timers = await start("timers");
      const counts = (): Promise<unknown> => timers.call("counts");
      const id = await timers.call("startRecurring", 20_000_000n);
      await timers.call("startOnce", 1_000_000n);
      await timers.call("startTrapping", 1_000_000n);
      await eventually(
        counts,
        ({ ticks, shots, trapsSeen }: Record<string, bigint>) =>
          (ticks ?? 0n) >= 3n && shots === 1n && trapsSeen === 1n,
      );
      await timers.call("cancel", id);
      const { ticks } = (await counts()) as Record<string, bigint>;
      await timers.call("pause");
      await timers.call("pause");
      assert.equal(((await counts()) as Record<string, bigint>)["ticks"], ticks);
    });

    test("calls: replies, rejects, traps, cleanup, parallel, deep, one-way, composite", async () => {
      const [caller, callee] = [await start("caller"), await start("callee")];
      const value = (): Promise<unknown> => callee.call("get");
      assert.equal(await caller.call("relay", callee.id, 5n), 5n);
      const trapped = (await caller.call("callTrapping", callee.id)) as Rejected;
      assert.equal(trapped.rejection.code, "#canister_error");
      assert.match(trapped.rejection.message, /IC0503.*callee trapped after adding 7/s);
      assert.equal(await value(), 5n, "a trap leaves no change");
      const rejected = (await caller.call("callRejecting", callee.id)) as Rejected;
      assert.deepEqual(rejected.rejection, {
        code: "#canister_reject",
        message: "callee rejected after adding 7",
      });
      assert.equal(await value(), 12n, "a reject keeps the change");
      const missing = (await caller.call("callMissing", callee.id)) as Rejected;
      assert.match(missing.rejection.message, /IC0536.*has no update method 'missing'/);
      await assert.rejects(caller.call("trapAfterAwait", callee.id), /caller trapped in its callback/);
      assert.equal(await caller.call("stepCount"), 1n);
      assert.equal(await value(), 13n);
      await assert.rejects(
        caller.call("trapBeforeAwait", callee.id),
        /caller trapped before its message ended/,
      );
      assert.equal(await value(), 13n, "no call leaves a message that traps");
      await assert.rejects(caller.call("cleanup", callee.id), /caller trapped with a cleanup pending/);
      assert.equal(await caller.call("stepCount"), 11n);
      const replies = (await caller.call("parallel", callee.id, 10n)) as readonly bigint[];
      assert.deepEqual(
        replies,
        Array.from({ length: 10 }, (_, i) => 15n + BigInt(i)),
      );
      assert.equal(await caller.call("deep", callee.id, 5n), 24n);
      await caller.call("oneWay", callee.id);
      await eventually(
        () => callee.call("noteCount"),
        (count) => count === 1n,
      );
      assert.deepEqual(await caller.call("bestEffort", callee.id, 60), { reply: 25n });
      assert.equal(await caller.call("ask", callee.id), 25n);
      const blob = bytes(1_000_000);
      assert.deepEqual(await caller.call("relayBlob", callee.id, blob), blob);
    });

    test("cycles: accepted, refunded, returned by a trap", async () => {
      const [caller, callee] = [await start("caller"), await start("callee")];
      const paid = (await caller.call("pay", callee.id, 5n * TRILLION, 2n * TRILLION)) as Record<
        string,
        unknown
      >;
      assert.deepEqual(paid["outcome"], { reply: 2n * TRILLION });
      assert.equal(paid["refunded"], 3n * TRILLION);
      // Motoko shows no refund where a call was rejected, so the balance has to.
      const returned = (await caller.call("payTrapping", callee.id, 5n * TRILLION)) as Record<
        string,
        unknown
      >;
      const lost = (returned["balanceBefore"] as bigint) - (returned["balanceAfter"] as bigint);
      assert.ok(lost < TRILLION / 100n, `${lost} cycles did not come back`);
      const [from, to] = [await start("wallet"), await start("wallet")];
      assert.deepEqual(await from.call("send", to.id, TRILLION, TRILLION / 2n), {
        accepted: TRILLION / 2n,
        refunded: TRILLION / 2n,
      });
      assert.equal(await from.call("sendTwice", to.id, TRILLION), TRILLION + TRILLION / 2n);
      assert.equal(await to.call("receivedTotal"), 2n * TRILLION);
      assert.deepEqual(await from.call("deposit", to.id, TRILLION), { deposited: null });
      assert.equal(await from.call("burn", TRILLION), TRILLION);
      await assert.rejects(from.call("overspend", to.id), /[Cc]ycles/);
      assert.equal(await from.call("receivedTotal"), 0n);
    });

    test("stable structures over an upgrade", async () => {
      let program = await start("stable-structures");
      assert.deepEqual(await program.call("put", "a", 1n), []);
      assert.deepEqual(await program.call("put", "a", 2n), [1n]);
      await program.call("fill", "key", 500n);
      await program.call("setCell", 2n, 1n << 100n);
      await program.call("setScalars", 2.5, "31415926535897932384626433832795");
      assert.equal(await program.call("append", bytes(100_000)), 0n);
      assert.equal(await program.call("touchTransient"), 1n);
      const digest = await program.call("digest");
      program = await upgrade(agent, program, "stable-structures", mode);
      assert.equal(await program.call("digest"), digest);
      assert.deepEqual(await program.call("getCells"), [0n, 0n, 1n << 100n, 0n]);
      assert.deepEqual(await program.call("scalars"), {
        number: 2.5,
        digits: ["31415926535897932384626433832795"],
      });
      assert.deepEqual(await program.call("read", 99_000n, 1_000n), bytes(100_000).subarray(99_000));
      assert.equal(await program.call("touchTransient"), 1n);
    });

    test("a second version keeps the data of the first", async () => {
      let program = await start("upgrade-v1");
      await program.call("rename", "inventory");
      assert.equal(await program.call("add", "lens"), 1n);
      assert.equal(await program.call("describe"), "inventory: version 1");
      program = await upgrade(agent, program, "upgrade-v2", mode);
      assert.equal(await program.call("describe"), "inventory: version 2");
      assert.equal(await program.call("add", "gear"), 2n);
      await program.call("tag", 1n, "glass");
      assert.deepEqual(await program.call("tagOf", 1n), ["glass"]);
      assert.deepEqual(await program.call("list"), [
        { id: 1n, text: "lens" },
        { id: 2n, text: "gear" },
      ]);
    });

    test("a heap that the collector works on loses nothing", async () => {
      const heap = await start("heap");
      await heap.call("grow", 20_000n);
      const checksum = await heap.call("checksum");
      for (let i = 0; i < 4; i++) await heap.call("churn", 40n, 100_000n);
      const sizes = (await heap.call("sizes")) as Record<string, bigint>;
      assert.ok((sizes["reclaimed"] ?? 0n) > 0n, "the collector ran");
      assert.equal(await heap.call("checksum"), checksum);
    });

    test("actor classes: made, upgraded, reinstalled", async () => {
      const spawner = await start("spawner");
      const id = (await spawner.call("spawn", "Tycho", 5n * TRILLION)) as Principal;
      assert.equal(await spawner.call("greet", 0n), "I am Tycho");
      const child = programAt(agent, id, childIdlFactory);
      await child.call("rename", "Johannes");
      await spawner.call("upgrade", 0n);
      assert.equal(await spawner.call("greet", 0n), "I am Johannes");
      await spawner.call("reinstall", 0n, "Galileo");
      assert.equal(await spawner.call("greet", 0n), "I am Galileo");
      assert.deepEqual(String(await spawner.call("ids")), id.toText());
    });

    test("large blobs in arguments, replies and state", async () => {
      const program = await start("blobs");
      const large = bytes(1_900_000);
      assert.equal(await program.call("store", large), BigInt(large.length));
      assert.deepEqual(await program.call("load"), large);
      assert.deepEqual(await program.call("echo", large), large);
      assert.deepEqual(await program.call("slice", 1_000_000n, 10n), large.subarray(1_000_000, 1_000_010));
      assert.equal(((await program.call("make", 1_900_000n, 3n)) as Uint8Array).length, 1_900_000);
    });

    test("a trap in every hook undoes what the hook did", async () => {
      await assert.rejects(start("hooks", "init"), /init trapped on purpose/);
      await assert.rejects(start("hooks", "body"), /the end of the body trapped on purpose/);
      let hooks = await start("hooks", "");
      const counts = async () => (await hooks.call("counts")) as Record<string, bigint>;
      await assert.rejects(hooks.call("trapInUpdate"), /update trapped on purpose/);
      await assert.rejects(hooks.call("trapInQuery"), /query trapped on purpose/);
      await assert.rejects(hooks.call("trapQuietly"), /assertion failed/);
      await assert.rejects(hooks.call("divideByZero", 0n), /arithmetic overflow|divide by zero|trapped/);
      await assert.rejects(hooks.call("trapInCallback"), /callback trapped on purpose/);
      await assert.rejects(hooks.call("trapLate"), /late callback trapped on purpose/);
      await assert.rejects(hooks.call("selfReject"), /has no update method 'missing'/);
      const armed = { preupgrade: false, postupgrade: false, heartbeat: false, inspect: false };
      for (const hook of ["preupgrade", "postupgrade"]) {
        await hooks.call("arm", { ...armed, [hook]: true });
        if (mode === "classic" || hook === "postupgrade")
          await assert.rejects(
            upgrade(agent, hooks, "hooks", mode, [""]),
            new RegExp(`${hook} trapped on purpose`),
          );
      }
      await hooks.call("arm", { ...armed, heartbeat: true });
      await hooks.call("setHeartbeat", true);
      await hooks.call("trapInTimer", 1_000_000n);
      await hooks.call("arm", { ...armed, inspect: true });
      await assert.rejects(hooks.call("nothing"), /inspect trapped on purpose/);
      await hooks.call("arm", armed);
      await hooks.call("nothing");
      await eventually(counts, ({ heartbeats }: Record<string, bigint>) => (heartbeats ?? 0n) > 0n);
      const before = await counts();
      assert.equal(before["updates"], 0n);
      assert.equal(before["timers"], 0n);
      assert.equal(before["callbacks"], 11n);
      assert.equal(before["postupgrades"], 0n);
      hooks = await upgrade(agent, hooks, "hooks", mode, [""]);
      assert.equal((await counts())["postupgrades"], 1n);
    });

    test("certified data comes with a certificate that proves it", async () => {
      const program = await start("certified");
      await program.call("set", "in the stars");
      const { value, certificate, witness } = (await program.call("get")) as {
        value: string;
        certificate: [Uint8Array];
        witness: Uint8Array;
      };
      assert.equal(value, "in the stars");
      assert.ok(witness.length > 0);
      const { rootKey } = network;
      const verified = await Certificate.create({
        certificate: certificate[0],
        rootKey,
        principal: { canisterId: program.id },
      });
      const found = verified.lookup_path(["canister", program.id.toUint8Array(), "certified_data"]);
      assert.equal(found.status, LookupPathStatus.Found);
      assert.deepEqual(await program.call("getReplicated"), []);
      await program.call("setRaw", bytes(32));
      await assert.rejects(program.call("setRaw", bytes(33)), /trapped|32/);
    });

    test("message inspection refuses before anything is charged", async () => {
      const program = await start("inspector");
      const anonymous = programAt(
        agentFor(network, new AnonymousIdentity()),
        program.id,
        motokoFixture("inspector", mode).idlFactory as never,
      );
      assert.equal(await program.call("signedOnly"), 1n);
      await assert.rejects(
        anonymous.call("signedOnly"),
        /canister_inspect_message explicitly refused message/,
      );
      assert.equal(await program.call("small", bytes(500)), 500n);
      await assert.rejects(
        program.call("small", bytes(2_000)),
        /canister_inspect_message explicitly refused message/,
      );
      await assert.rejects(program.call("closed"), /canister_inspect_message explicitly refused message/);
      assert.equal(await program.call("count"), 2n);
    });

    test("a program that manages canisters", async () => {
      const manager = await start("management");
      const [first, second] = [await manager.call("random"), await manager.call("random")] as [
        Uint8Array,
        Uint8Array,
      ];
      assert.equal(first.length, 32);
      assert.notDeepEqual(first, second);
      const id = (await manager.call("create", 2n * TRILLION)) as Principal;
      const { wasmGzip } = motokoFixture("counter", mode);
      assert.deepEqual(await manager.call("install", id, { install: null }, wasmGzip, new Uint8Array(0)), []);
      const counter = programAt(agent, id, motokoFixture("counter", mode).idlFactory as never);
      assert.equal(await counter.call("inc"), 1n);
      const status = (await manager.call("status", id)) as Record<string, unknown>;
      assert.equal(status["running"], true);
      assert.deepEqual(String(status["controllers"]), manager.id.toText());
      await manager.call("stop", id);
      await assert.rejects(counter.call("inc"), /is stopped/);
      assert.deepEqual(await manager.call("delete", id), []);
      await assert.rejects(counter.call("get"), /not found/);
      assert.equal(await manager.call("controls"), true);
    });
  });
}

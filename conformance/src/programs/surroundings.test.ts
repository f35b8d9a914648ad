/**
 * A program and its surroundings (interface spec, "IC management canister", "Inter-canister calls"): canisters that manage others, settings as
 * programs and users see them, who calls whom, deadlines, many calls at once.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AnonymousIdentity } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { childIdlFactory, motokoFixture } from "@orrery/canisters/fixtures";
import { eventually, PERSISTENCE_MODES, programAt } from "../programs.ts";
import { changeSettings, statusOf } from "./management-service.ts";
import { rejectionOf } from "./rejection.ts";
import { pattern, seenBy, shareNetwork } from "./shared-network.ts";

const shared = shareNetwork();
const TRILLION = 1_000_000_000_000n;
const NOTHING: Uint8Array = IDL.encode([], []);

for (const mode of PERSISTENCE_MODES) {
  describe(`surroundings, ${mode} persistence`, () => {
    test("a program makes, fills, runs and removes another", async () => {
      const manager = await shared.motoko("management", mode);
      const id = (await manager.call("create", 3n * TRILLION)) as Principal;
      const { wasmGzip, idlFactory } = motokoFixture("counter", mode);
      const install = (kind: string, module = wasmGzip, arg = NOTHING): Promise<unknown> =>
        manager.call("install", id, { [kind]: null }, module, arg);
      const [text] = (await install("upgrade")) as [string];
      assert.match(text, /IC0537/);
      assert.deepEqual(await install("install"), []);
      const counter = programAt(shared.agent, id, idlFactory as IDL.InterfaceFactory);
      assert.equal(await counter.call("inc"), 1n);
      assert.match(((await install("install")) as [string])[0], /IC0514.*is not empty/);
      assert.match(((await install("reinstall", pattern(9))) as [string])[0], /IC0505/);
      assert.equal(await counter.call("get"), 1n);
      const upgraded = (await install("upgrade")) as [] | [string];
      if (mode === "enhanced") assert.match(upgraded[0] ?? "", /IC0504.*Missing upgrade option/s);
      else assert.deepEqual(upgraded, []);
      assert.equal(await counter.call("get"), 1n);
      type Status = Readonly<{
        running: boolean;
        moduleHash: unknown[];
        cycles: bigint;
        memoryBytes: bigint;
        controllers: Principal[];
      }>;
      const status = async (of: Principal): Promise<Status> => (await manager.call("status", of)) as Status;
      const running = await status(id);
      assert.ok(running.running && running.moduleHash.length === 1 && running.memoryBytes > 0n);
      assert.ok(running.cycles < 3n * TRILLION - TRILLION / 2n && running.cycles > 2n * TRILLION);
      assert.deepEqual(running.controllers.map(String), [manager.id.toText()]);
      await manager.call("stop", id);
      assert.equal((await status(id)).running, false);
      assert.equal((await rejectionOf(counter.call("inc"))).errorCode, "IC0508");
      await manager.call("start", id);
      assert.equal(await counter.call("inc"), 2n);
      assert.match(((await manager.call("delete", id)) as [string])[0], /IC0510.*must be stopped/);
      await manager.call("uninstall", id);
      assert.deepEqual((await status(id)).moduleHash, []);
      await manager.call("stop", id);
      assert.deepEqual(await manager.call("delete", id), []);
      assert.match((await rejectionOf(manager.call("status", id))).message, /not found/);
      // Of itself it knows, too; the user who made it is its controller.
      assert.deepEqual((await status(manager.id)).controllers.map(String), [shared.sender.toText()]);
      assert.match(((await manager.call("delete", manager.id)) as [string])[0], /cannot delete itself/);
    });

    test("randomness, the own facts, the environment", async () => {
      const { agent } = shared;
      const manager = await shared.motoko("management", mode);
      const drawn = await Promise.all(Array.from({ length: 4 }, () => manager.call("random")));
      assert.equal(new Set(drawn.map((bytes) => Buffer.from(bytes as Uint8Array).toString("hex"))).size, 4);
      for (const bytes of drawn) assert.equal((bytes as Uint8Array).length, 32);
      type Facts = Readonly<Record<"version" | "nanos" | "balance" | "instructions", bigint>>;
      const [facts, status] = [(await manager.call("facts")) as Facts, await statusOf(agent, manager.id)];
      assert.equal(facts.version, status.version);
      assert.ok(facts.balance - status.cycles < 10_000_000n && facts.balance >= status.cycles);
      assert.ok(facts.instructions > 0n && facts.instructions < 10_000_000n);
      const nowNs = BigInt(Date.now()) * 1_000_000n;
      assert.ok(nowNs - facts.nanos < 300_000_000_000n && facts.nanos <= nowNs + 30_000_000_000n);
      assert.deepEqual(await manager.call("variable", "COLOUR"), []);
      await changeSettings(agent, manager.id, {
        environment_variables: [
          { name: "COLOUR", value: "ultramarine" },
          { name: "EMPTY", value: "" },
        ],
      });
      assert.deepEqual(await manager.call("variable", "COLOUR"), ["ultramarine"]);
      assert.deepEqual(await manager.call("variable", "EMPTY"), [""]);
      await changeSettings(agent, manager.id, { environment_variables: [] });
      assert.deepEqual(await manager.call("variable", "COLOUR"), []);
      assert.equal(await manager.call("controls"), true);
      const stranger = seenBy(shared.as(new AnonymousIdentity()), manager, "management", mode);
      assert.equal(await stranger.call("controls"), false);
    });

    test("settings as they were given, and what may not be given", async () => {
      const { agent } = shared;
      const { id } = await shared.motoko("counter", mode);
      const given = {
        compute_allocation: 1n,
        memory_allocation: 1n << 30n,
        freezing_threshold: 86_400n,
        reserved_cycles_limit: 7n * TRILLION,
        wasm_memory_limit: 1n << 31n,
        wasm_memory_threshold: 1n << 20n,
        log_visibility: { public: null },
        environment_variables: [{ name: "A", value: "1" }],
      } as const;
      await changeSettings(agent, id, given);
      const { controllers, ...settings } = (await statusOf(agent, id)).settings;
      assert.deepEqual(settings, given);
      assert.deepEqual(controllers.map(String), [shared.sender.toText()]);
      const refused = [
        { compute_allocation: 101n },
        { freezing_threshold: 1n << 64n },
        { controllers: Array.from({ length: 11 }, () => id) },
        {
          environment_variables: [
            { name: "A", value: "1" },
            { name: "A", value: "2" },
          ],
        },
        { environment_variables: [{ name: "N".repeat(129), value: "" }] },
      ];
      for (const bad of refused) await rejectionOf(changeSettings(agent, id, bad));
      const { controllers: _, ...after } = (await statusOf(agent, id)).settings;
      assert.deepEqual(after, given);
      await changeSettings(agent, id, { compute_allocation: 0n, memory_allocation: 0n });
      assert.equal((await statusOf(agent, id)).settings.compute_allocation, 0n);
    });

    test("calls: in parallel, deep, to oneself, one way, with a deadline", async () => {
      const [caller, callee] = [await shared.motoko("caller", mode), await shared.motoko("callee", mode)];
      const replies = (await caller.call("parallel", callee.id, 40n)) as bigint[];
      assert.deepEqual(
        replies,
        Array.from({ length: 40 }, (_, i) => BigInt(i + 1)),
      );
      assert.equal(await caller.call("deep", callee.id, 25n), 40n);
      for (let i = 0; i < 10; i++) await caller.call("oneWay", callee.id);
      await eventually(
        () => callee.call("noteCount"),
        (count: bigint) => count === 10n,
      );
      for (const seconds of [1, 300, 100_000])
        assert.ok("reply" in ((await caller.call("bestEffort", callee.id, seconds)) as object));
      assert.equal(await callee.call("get"), 43n);
      assert.equal(await caller.call("relay", callee.id, 7n), 50n);
      const who = await caller.call("raw", callee.id, "whoCalls", NOTHING);
      assert.deepEqual(String(IDL.decode([IDL.Principal], who as Uint8Array)[0]), caller.id.toText());
      assert.deepEqual(await caller.call("relayBlob", callee.id, pattern(1_900_000)), pattern(1_900_000));
      // Sixteen users' calls through one caller: each change counts once.
      const sums = await Promise.all(Array.from({ length: 16 }, () => caller.call("relay", callee.id, 1n)));
      assert.deepEqual(
        (sums as bigint[]).sort((a, b) => Number(a - b)),
        Array.from({ length: 16 }, (_, i) => BigInt(51 + i)),
      );
    });

    test("a class makes canisters of its own, keeps and replaces them", async () => {
      const spawner = await shared.motoko("spawner", mode);
      const names = ["Io", "Europa", "Ganymede"];
      const ids = [];
      for (const name of names) ids.push((await spawner.call("spawn", name, 3n * TRILLION)) as Principal);
      assert.deepEqual(((await spawner.call("ids")) as Principal[]).map(String), ids.map(String));
      for (const [i, name] of names.entries())
        assert.equal(await spawner.call("greet", BigInt(i)), `I am ${name}`);
      const child = programAt(shared.agent, ids[1] as Principal, childIdlFactory);
      await child.call("rename", "Callisto");
      assert.equal(String(await spawner.call("upgrade", 1n)), String(ids[1]));
      assert.equal(await spawner.call("greet", 1n), "I am Callisto");
      type State = Readonly<{ name: string; greetings: bigint }>;
      assert.equal(((await child.call("state")) as State).greetings, 2n);
      await spawner.call("reinstall", 1n, "Thebe");
      const { name, greetings } = (await child.call("state")) as State;
      assert.deepEqual([name, greetings], ["Thebe", 0n]);
      assert.equal(await spawner.call("greet", 2n), "I am Ganymede");
      assert.ok(((await spawner.call("balance")) as bigint) > 0n);
      // The spawner controls them, its user does not.
      assert.match(
        (await rejectionOf(changeSettings(shared.agent, ids[0] as Principal, { freezing_threshold: 1n })))
          .message,
        /Only the controllers/,
      );
    });

    test("inspection: open, closed, by size, by sender", async () => {
      const inspector = await shared.motoko("inspector", mode);
      const stranger = seenBy(shared.as(new AnonymousIdentity()), inspector, "inspector", mode);
      assert.equal(await inspector.call("signedOnly"), 1n);
      assert.match((await rejectionOf(stranger.call("signedOnly"))).message, /explicitly refused/);
      assert.equal(await stranger.call("small", pattern(900)), 900n);
      await rejectionOf(stranger.call("small", pattern(1_000)));
      await inspector.call("setOpen", false);
      await rejectionOf(inspector.call("signedOnly"));
      assert.equal(await inspector.call("count"), 2n, "queries are not inspected");
      await stranger.call("setOpen", true);
      assert.equal(await inspector.call("signedOnly"), 3n);
    });
  });
}

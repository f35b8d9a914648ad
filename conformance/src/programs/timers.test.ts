/**
 * Timers, heartbeats and time (interface spec, "Global timer", "Heartbeat", "Time"): when they fire, how often, what ends them. Each
 * wait is for a state that shows; none is for a span of time.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { QueryResponseStatus } from "@icp-sdk/core/agent";
import type { Principal } from "@icp-sdk/core/principal";
import { otherFixture } from "@orrery/canisters/fixtures";
import { eventually, install, PERSISTENCE_MODES, type Program, upgrade } from "../programs.ts";
import { managing } from "./management-service.ts";
import { shareNetwork } from "./shared-network.ts";

const shared = shareNetwork();
const MS = 1_000_000n;
const FAR_NS = 3_600n * 1_000n * MS;

type Counts = Readonly<Record<"ticks" | "shots" | "trapsSeen" | "lastTickNanos", bigint>>;
const countsOf = async (program: Program): Promise<Counts> => (await program.call("counts")) as Counts;

/** Rounds go by: each call is executed in one of its own. */
async function rounds(program: Program, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await program.call("pause");
}

for (const mode of PERSISTENCE_MODES) {
  describe(`timers, ${mode} persistence`, () => {
    test("shots in any order, ticks with time that grows", async () => {
      const timers = await shared.motoko("timers", mode);
      const startedNs = BigInt(Date.now()) * MS;
      const [far, id] = [
        await timers.call("startOnce", FAR_NS),
        await timers.call("startRecurring", 5n * MS),
      ];
      assert.notEqual(far, id);
      await timers.call("startOnce", 20n * MS);
      await timers.call("startOnce", 0n);
      let last = 0n;
      for (const ticks of [1n, 3n, 6n]) {
        await eventually(
          () => countsOf(timers),
          (counts: Counts) => counts.ticks >= ticks,
        );
        const { lastTickNanos } = await countsOf(timers);
        assert.ok(lastTickNanos >= last, "time does not run backwards");
        assert.ok(lastTickNanos >= startedNs, "and is the world's");
        last = lastTickNanos;
      }
      await eventually(
        () => countsOf(timers),
        (counts: Counts) => counts.shots === 2n,
      );
      await timers.call("cancel", id);
      await timers.call("cancel", far);
      await timers.call("cancel", 9_999n);
      // A tick that had begun ends.
      await rounds(timers, 2);
      const { ticks } = await countsOf(timers);
      await rounds(timers, 5);
      const { ticks: after, shots } = await countsOf(timers);
      assert.deepEqual([after, shots], [ticks, 2n]);
    });

    test("a job that traps keeps what it committed and harms no other", async () => {
      const timers = await shared.motoko("timers", mode);
      await timers.call("startTrapping", 0n);
      await timers.call("startTrapping", MS);
      await timers.call("startOnce", MS);
      await eventually(
        () => countsOf(timers),
        (counts: Counts) => counts.trapsSeen === 2n && counts.shots === 1n,
      );
      await rounds(timers, 3);
      assert.equal((await countsOf(timers)).trapsSeen, 2n);
    });

    test("an upgrade ends timers, stopping holds them", async () => {
      const { agent } = shared;
      let timers = await shared.motoko("timers", mode);
      await timers.call("startRecurring", MS);
      await eventually(
        () => countsOf(timers),
        (counts: Counts) => counts.ticks >= 2n,
      );
      timers = await upgrade(agent, timers, "timers", mode);
      await rounds(timers, 2);
      const { ticks } = await countsOf(timers);
      assert.ok(ticks >= 2n, "what they counted stays");
      await rounds(timers, 5);
      assert.equal((await countsOf(timers)).ticks, ticks);
      await timers.call("startRecurring", MS);
      await managing(agent, timers.id).stop_canister({ canister_id: timers.id });
      await managing(agent, timers.id).start_canister({ canister_id: timers.id });
      const { ticks: held } = await countsOf(timers);
      await eventually(
        () => countsOf(timers),
        (counts: Counts) => counts.ticks > held,
      );
    });

    test("heartbeats go on after one that trapped", async () => {
      const hooks = await shared.motoko("hooks", mode, "");
      const unarmed = { preupgrade: false, postupgrade: false, heartbeat: false, inspect: false };
      const beats = async (): Promise<bigint> =>
        ((await hooks.call("counts")) as Readonly<Record<string, bigint>>)["heartbeats"] ?? 0n;
      await hooks.call("arm", { ...unarmed, heartbeat: true });
      await hooks.call("setHeartbeat", true);
      const timed = await hooks.call("trapInTimer", MS);
      assert.equal(typeof timed, "bigint");
      assert.equal(await beats(), 0n);
      await hooks.call("arm", unarmed);
      await eventually(beats, (count: bigint) => count >= 1n);
    });
  });
}

test("the bare global timer fires once for each time it is set", async () => {
  const { agent, network } = shared;
  const { id } = await install(network, agent, otherFixture("memory64"));
  const call = async (methodName: string, value: bigint): Promise<void> => {
    const arg = new Uint8Array(8);
    new DataView(arg.buffer).setBigUint64(0, value, true);
    await agent.update(id as Principal, { methodName, arg, effectiveCanisterId: id });
  };
  const fired = async (): Promise<number> => {
    const answer = await agent.query(id, { methodName: "fired", arg: new Uint8Array(0) });
    assert.ok(answer.status === QueryResponseStatus.Replied);
    return answer.reply.arg[0] ?? 0;
  };
  for (const count of [1, 2, 3]) {
    // The second setting replaces the first.
    await call("arm", FAR_NS);
    await call("arm", count === 1 ? 0n : MS);
    await eventually(fired, (now: number) => now === count);
    for (let i = 0; i < 3; i++) await call("spin", 1n);
    assert.equal(await fired(), count);
  }
});

/**
 * What canisters pay as days go by, and what becomes of those that cannot (interface spec, "Canister cycles"; developer
 * documentation, "Cycles costs"; prices of a subnet of 13 nodes): cases that move the clock of a network of their own.
 */
import assert from "node:assert/strict";
import type { Principal } from "@icp-sdk/core/principal";
import { numberOf } from "../bytes.ts";
import { rejected, relayedReject, relayedReply, replied, repliedNumber } from "../checks.ts";
import { decodeResult, managementCall, principal } from "../management.ts";
import { callOut, code, GATE_TURNS, gate, get, ic0, op, openGate, reply64, set, setHook } from "../script.ts";
import { reached, type Universal, type World } from "../world.ts";
import { DAY, HOUR, SECOND, timed } from "./clock-shared.testkit.ts";
import { T } from "./cycles-shared.testkit.ts";
import { statusOf } from "./management-shared.testkit.ts";

const balance = timed("Canister cycles");
const settings = timed("Management: update_settings");
const metrics = timed("Management: canister_metrics");

const GIB: bigint = 1n << 30n;
const SECONDS_A_DAY: bigint = DAY / SECOND;
/** Per percent and second, and per GiB and second. */
const COMPUTE = 10_000_000n;
const STORAGE = 127_000n;

const cyclesOf = async (world: World, { id }: Universal): Promise<bigint> =>
  (await statusOf(world, id)).cycles;

/** What a day costs the canister. */
async function dayOf(world: World, canister: Universal): Promise<bigint> {
  // From one point of the payments' grid to another.
  await world.advance(HOUR);
  const before = await cyclesOf(world, canister);
  await world.advance(DAY);
  return before - (await cyclesOf(world, canister));
}

balance(
  "a day of allocations costs what they are priced at, to the cycle, as idle_cycles_burned_per_day says",
  async (world) => {
    const rows = [
      { compute: 0n, gib: 1n },
      { compute: 1n, gib: 2n },
      { compute: 5n, gib: 1n },
      { compute: 50n, gib: 3n },
    ];
    const canisters = await Promise.all(
      rows.map(({ compute, gib }) =>
        world.fresh({
          cycles: 10_000n * T,
          settings: { compute_allocation: compute, memory_allocation: gib * GIB },
        }),
      ),
    );
    const look = (): Promise<readonly bigint[]> => Promise.all(canisters.map((one) => cyclesOf(world, one)));
    await world.advance(HOUR);
    const before = await look();
    await world.advance(DAY);
    const after = await look();
    for (const [i, { compute, gib }] of rows.entries()) {
      const expected = (compute * COMPUTE + gib * STORAGE) * SECONDS_A_DAY;
      assert.equal((before[i] ?? 0n) - (after[i] ?? 0n), expected);
      const status = await statusOf(world, (canisters[i] as Universal).id);
      assert.equal(status.idle_cycles_burned_per_day, expected);
    }
  },
);

balance(
  "a day without allocations costs the memory that is used, rounded down at each payment",
  async (world) => {
    const canister = await world.universal();
    replied(await canister.update(16_384, ic0.stable64_grow, op.drop, ic0.msg_reply));
    const { memory_size: bytes } = await statusOf(world, canister.id);
    assert.ok(bytes > GIB);
    const exact = (bytes * STORAGE * SECONDS_A_DAY) / GIB;
    const paid = await dayOf(world, canister);
    assert.ok(paid <= exact && paid >= exact - SECONDS_A_DAY, `${paid} for ${exact}`);
  },
);

balance("a snapshot costs its memory too", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(16_384, ic0.stable64_grow, op.drop, ic0.msg_reply));
  const before = await dayOf(world, canister);
  replied(await world.manage("take_canister_snapshot", { canister_id: canister.id }));
  const after = await dayOf(world, canister);
  assert.ok(
    after > before + (before * 9n) / 10n && after < 2n * before + T / 1_000n,
    `${before}, then ${after}`,
  );
});

balance("stopped and empty canisters pay as well", async (world) => {
  for (const install of [true, false]) {
    const canister = await world.fresh({ install, settings: { memory_allocation: GIB } });
    replied(await world.manage("stop_canister", { canister_id: canister.id }));
    assert.equal(await dayOf(world, canister), STORAGE * SECONDS_A_DAY);
  }
});

balance("on a system subnet time costs nothing", async (world) => {
  const { root } = world.target;
  const near = root.ranges[0];
  assert.ok(root.type === "system" && near !== undefined);
  const value = { amount: 10n * T, settings: { memory_allocation: GIB } };
  const outcome = await world.manage("provisional_create_canister_with_cycles", value, {
    near: principal(near.start),
  });
  const id = decodeResult("create_canister", replied(outcome)).canister_id as Principal;
  await world.advance(30n * DAY);
  const { cycles, idle_cycles_burned_per_day: idle } = await statusOf(world, id);
  assert.deepEqual([cycles, idle], [10n * T, 0n]);
});

metrics("a day's payments are told by use", async (world) => {
  const canister = await world.fresh({
    cycles: 1_000n * T,
    settings: { compute_allocation: 2n, memory_allocation: GIB },
  });
  const ask = async (): Promise<{ memory: bigint; compute_allocation: bigint }> => {
    const outcome = await world.manage("canister_metrics", { canister_id: canister.id });
    return decodeResult("canister_metrics", replied(outcome)).cycles_consumed;
  };
  await world.advance(HOUR);
  const before = await ask();
  await world.advance(DAY);
  const after = await ask();
  assert.equal(after.memory - before.memory, STORAGE * SECONDS_A_DAY);
  assert.equal(after.compute_allocation - before.compute_allocation, 2n * COMPUTE * SECONDS_A_DAY);
});

/** Burns 8.64 T a day; freezes after one and a half and is empty after two and a third. */
const burning = (world: World, more: Record<string, unknown> = {}): Promise<Universal> =>
  world.fresh({
    cycles: 20n * T,
    settings: { compute_allocation: 10n, freezing_threshold: SECONDS_A_DAY, ...more },
  });

balance("a canister freezes when what is left does not last for its threshold", async (world) => {
  const [caller, canister] = [await world.universal(), await burning(world)];
  await world.advance(DAY);
  repliedNumber(await canister.update(5, reply64), 5);
  await world.advance(DAY / 2n);
  const error = "IC0207";
  rejected(await canister.update(5, reply64), { code: 2, error, from: "submission", text: "out of cycles" });
  rejected(await canister.query(5, reply64), { code: 2, error, text: "frozen" });
  relayedReject(
    await caller.update(callOut({ to: canister.bytes, arg: code(ic0.msg_reply) })),
    2,
    "out of cycles",
  );
  assert.ok("running" in (await statusOf(world, canister.id)).status);
});

balance(
  "a frozen canister wakes with its state by a deposit, and its timer that was due goes off",
  async (world) => {
    const canister = await burning(world);
    const count = setHook("global_timer", get(1), 1, op.add, set(1), ic0.time, set(3));
    const due = [ic0.time, DAY + (DAY * 3n) / 4n, op.add, ic0.global_timer_set, op.drop];
    replied(await canister.update(7, set(2), count, due, ic0.msg_reply));
    await world.advance(DAY + DAY / 2n);
    await world.advance(DAY / 2n);
    rejected(await canister.update(5, reply64), { code: 2, error: "IC0207", text: "out of cycles" });
    const helper = await world.fresh({ cycles: 1_000n * T });
    const deposit = managementCall("deposit_cycles", { canister_id: canister.id }, { cycles: 500n * T });
    relayedReply(await helper.update(ic0.time, set(1), deposit));
    const depositedAt = numberOf(replied(await helper.query(get(1), reply64)));
    await reached(canister, 1);
    repliedNumber(await canister.query(get(1), reply64), 1);
    repliedNumber(await canister.query(get(2), reply64), 7);
    const wentOffAt = numberOf(replied(await canister.query(get(3), reply64)));
    assert.ok(depositedAt > 0n && wentOffAt > depositedAt, `${wentOffAt}, deposited at ${depositedAt}`);
  },
);

settings("a lower freezing_threshold thaws a canister, for as long as it lasts", async (world) => {
  const canister = await burning(world, { freezing_threshold: 2n * SECONDS_A_DAY });
  await world.advance(DAY / 2n);
  rejected(await canister.update(5, reply64), { error: "IC0207" });
  await canister.configure({ freezing_threshold: SECONDS_A_DAY / 8n });
  repliedNumber(await canister.update(5, reply64), 5);
  await world.advance(DAY + (DAY * 3n) / 4n);
  rejected(await canister.update(5, reply64), { error: "IC0207" });
});

balance("with a threshold of zero it works until nothing is left", async (world) => {
  const canister = await burning(world, { freezing_threshold: 0n });
  await world.advance(2n * DAY);
  repliedNumber(await canister.update(5, reply64), 5);
  await world.advance(DAY);
  rejected(await canister.query(5, reply64), { error: "IC0537" });
});

balance(
  "one that has nothing left loses code, memory and allocations, and keeps id and controllers",
  async (world) => {
    const canister = await burning(world, { memory_allocation: GIB });
    replied(await canister.update("kept?", ic0.debug_print, 1, ic0.stable64_grow, op.drop, ic0.msg_reply));
    replied(await world.manage("upload_chunk", { canister_id: canister.id, chunk: new Uint8Array(100) }));
    replied(await world.manage("take_canister_snapshot", { canister_id: canister.id }));
    await world.advance(3n * DAY);
    const status = await statusOf(world, canister.id);
    assert.deepEqual(
      [
        status.cycles,
        status.module_hash,
        status.settings.compute_allocation,
        status.settings.memory_allocation,
      ],
      [0n, [], 0n, 0n],
    );
    assert.deepEqual(status.settings.controllers.map(String), [principal(world.user.sender)].map(String));
    const { memory_metrics: memory } = status;
    assert.deepEqual(
      [
        memory.stable_memory_size,
        memory.wasm_memory_size,
        memory.snapshots_size,
        memory.wasm_chunk_store_size,
      ],
      [0n, 0n, 0n, 0n],
    );
    assert.equal(await canister.log(), "");
  },
);

balance("it can be topped up and installed again", async (world) => {
  const canister = await burning(world);
  await world.advance(3n * DAY);
  const helper = await world.universal();
  const top = { canister_id: canister.id, amount: 100n * T };
  relayedReply(await helper.update(managementCall("provisional_top_up_canister", top)));
  replied(await canister.install({ install: null }));
  repliedNumber(await canister.update(get(1), reply64), 0);
});

balance("calls that it had not answered are rejected when it runs out", async (world) => {
  const [caller, helper] = await Promise.all([world.universal(), world.universal()]);
  const canister = await burning(world);
  const waiting = code(callOut({ to: helper.bytes, arg: code(gate) }));
  const answer = caller.update(callOut({ to: canister.bytes, arg: waiting }));
  await reached(helper, GATE_TURNS);
  await world.advance(3n * DAY);
  relayedReject(await answer, 4, "Canister has been uninstalled");
  replied(await helper.update(openGate));
  assert.deepEqual((await statusOf(world, canister.id)).module_hash, []);
});

balance("its history is gone, its number of changes is not", async (world) => {
  const canister = await burning(world);
  await world.advance(3n * DAY);
  const helper = await world.universal();
  const call = managementCall("canister_info", { canister_id: canister.id, num_requested_changes: 20n });
  const { total_num_changes: total, recent_changes: recent } = decodeResult(
    "canister_info",
    relayedReply(await helper.update(call)),
  );
  assert.deepEqual([total, recent], [2n, []]);
});

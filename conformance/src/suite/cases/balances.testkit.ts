/** Prices, freezing and thawing (interface spec, "Cost estimation", "Canister cycles"). */
import assert from "node:assert/strict";
import { numbersOf } from "../bytes.ts";
import { section } from "../case.ts";
import { rejected, relayedReject, relayedReply, replied, repliedNumber, trapped } from "../checks.ts";
import { decodeResult, managementCall } from "../management.ts";
import { callOut, ic0, op, reply, reply64, SCRATCH, wide } from "../script.ts";
import type { Universal, World } from "../world.ts";
import { amount, OK, T } from "./cycles-shared.testkit.ts";

const costs = section("Cost estimation");

const keyCosts = costs.needing("chain keys");

const balance = section("Canister cycles");

balance("a frozen canister refuses updates", async (world) => {
  const canister = await frozen(world);
  rejected(await canister.update(ic0.msg_reply), {
    code: 2,
    error: "IC0207",
    text: "is out of cycles",
    from: "submission",
  });
});

balance("a frozen canister refuses queries", async (world) => {
  const canister = await frozen(world);
  rejected(await canister.query(ic0.msg_reply), {
    code: 2,
    error: "IC0207",
    text: "is unable to process query calls because it's frozen",
  });
});

balance("a frozen canister refuses calls of other canisters", async (world) => {
  const [from, to] = [await world.universal(), await frozen(world)];
  relayedReject(await from.update(callOut({ to: to.bytes, arg: OK })), 2, /out of cycles/);
});

balance("a frozen canister's status can be read", async (world) => {
  const canister = await frozen(world);
  const outcome = await world.manageQuery("canister_status", { canister_id: canister.id });
  assert.ok("running" in decodeResult("canister_status", replied(outcome)).status);
});

balance("a frozen canister thaws when it is topped up", async (world) => {
  const [helper, canister] = [await world.universal(), await frozen(world)];
  const top = managementCall("provisional_top_up_canister", {
    canister_id: canister.id,
    amount: 1_000_000n * T,
  });
  relayedReply(await helper.update(top));
  replied(await canister.update(ic0.msg_reply));
});

balance("a frozen canister pays for no management call of a user", async (world) => {
  const canister = await frozen(world);
  const outcome = await world.manage("provisional_top_up_canister", { canister_id: canister.id, amount: T });
  rejected(outcome, { code: 2, error: "IC0207", text: "is out of cycles", from: "submission" });
});

balance("a frozen canister thaws when its threshold is lowered", async (world) => {
  const canister = await frozen(world);
  replied(
    await world.manage("update_settings", { canister_id: canister.id, settings: { freezing_threshold: 0n } }),
  );
  replied(await canister.update(ic0.msg_reply));
});

balance("a deposit thaws a frozen canister", async (world) => {
  const canister = await frozen(world);
  const rich = await world.fresh({ cycles: 200_000n * T });
  relayedReply(
    await rich.update(
      managementCall("deposit_cycles", { canister_id: canister.id }, { cycles: 150_000n * T }),
    ),
  );
  replied(await canister.update(ic0.msg_reply));
});

balance("growing memory may not freeze the canister", async (world) => {
  const canister = await world.fresh({
    cycles: 20n * T,
    settings: { freezing_threshold: 31_536_000n * 10n },
  });
  const outcome = await canister.update(30_000, op.memory_grow, op.drop, ic0.msg_reply);
  rejected(outcome, { code: 5, error: "IC0532", text: "Canister cannot grow memory by" });
});

balance("growing stable memory may not freeze the canister", async (world) => {
  const canister = await world.fresh({
    cycles: 20n * T,
    settings: { freezing_threshold: 31_536_000n * 10n },
  });
  const outcome = await canister.update(30_000, ic0.stable64_grow, reply64);
  rejected(outcome, { code: 5, error: "IC0532", text: "Canister cannot grow memory by" });
});

/** A canister whose threshold is far above its balance. */
async function frozen(world: World): Promise<Universal> {
  const canister = await world.fresh({ cycles: 10n * T });
  await canister.configure({ freezing_threshold: 1_000_000_000_000n });
  return canister;
}

const wideCost = (...program: Parameters<typeof wide>) => [wide(...program), reply];

costs("cost_create_canister is 500 billion cycles on 13 nodes", async (world) => {
  assert.equal(
    amount(await (await world.shared()).query(...wideCost(ic0.cost_create_canister))),
    500_000_000_000n,
  );
});

costs("cost_call grows by 1,000 cycles a byte", async (world) => {
  const canister = await world.shared();
  const program = [
    wide(ic0.cost_call, 0, 0),
    ic0.msg_reply_data_append,
    wide(ic0.cost_call, 3, 7),
    ic0.msg_reply_data_append,
    ic0.msg_reply,
  ];
  const [empty, , ten] = numbersOf(replied(await canister.query(...program)));
  assert.equal((ten ?? 0n) - (empty ?? 0n), 10_000n);
});

costs("cost_call includes the reserved response", async (world) => {
  const value = amount(await (await world.shared()).query(...wideCost(ic0.cost_call, 0, 0)));
  assert.equal(value, 260_000n + 1_000n * 2_097_152n + 5_000_000n + 40_000_000_000n);
});

costs("cost_call of a 64-bit canister reserves twice as much for its callback", async (world) => {
  const value = amount(await (await world.shared(64)).query(...wideCost(ic0.cost_call, 0, 0)));
  assert.equal(value, 260_000n + 1_000n * 2_097_152n + 5_000_000n + 80_000_000_000n);
});

costs("cost_http_request has the published formula", async (world) => {
  const value = amount(await (await world.shared()).query(...wideCost(ic0.cost_http_request, 100, 1_000)));
  assert.equal(value, (3_000_000n + 60_000n * 13n + 400n * 100n + 800n * 1_000n) * 13n);
});

keyCosts("a known key answers 0", async (world) => {
  repliedNumber(
    await (await world.shared()).query("key_1", 0, SCRATCH, ic0.cost_sign_with_ecdsa, reply64),
    0,
  );
});

keyCosts("cost_sign_with_ecdsa of test_key_1 is 10 billion cycles", async (world) => {
  const program = ["test_key_1", 0, SCRATCH, ic0.cost_sign_with_ecdsa, op.drop, SCRATCH, 16, reply];
  assert.equal(amount(await (await world.shared()).query(...program)), 10_000_000_000n);
});

keyCosts("cost_sign_with_ecdsa of key_1 is 26,153,846,153 cycles", async (world) => {
  const program = ["key_1", 0, SCRATCH, ic0.cost_sign_with_ecdsa, op.drop, SCRATCH, 16, reply];
  assert.equal(amount(await (await world.shared()).query(...program)), 26_153_846_153n);
});

keyCosts("cost_sign_with_schnorr of both algorithms is that of ECDSA", async (world) => {
  for (const algorithm of [0, 1]) {
    const program = ["key_1", algorithm, SCRATCH, ic0.cost_sign_with_schnorr, op.drop, SCRATCH, 16, reply];
    assert.equal(amount(await (await world.shared()).query(...program)), 26_153_846_153n);
  }
});

keyCosts("cost_vetkd_derive_key is that of ECDSA", async (world) => {
  const program = ["key_1", 0, SCRATCH, ic0.cost_vetkd_derive_key, op.drop, SCRATCH, 16, reply];
  assert.equal(amount(await (await world.shared()).query(...program)), 26_153_846_153n);
});

costs.each(
  "an unknown curve or algorithm answers 1",
  [
    ["cost_sign_with_ecdsa", 1],
    ["cost_sign_with_schnorr", 2],
    ["cost_vetkd_derive_key", 1],
  ] as const,
  async (world, [name, algorithm]) => {
    repliedNumber(await (await world.shared()).query("key_1", algorithm, SCRATCH, ic0[name], reply64), 1);
  },
);

costs.each(
  "an unknown key answers 2",
  ["cost_sign_with_ecdsa", "cost_sign_with_schnorr", "cost_vetkd_derive_key"] as const,
  async (world, name) => {
    repliedNumber(await (await world.shared()).query("no such key", 0, SCRATCH, ic0[name], reply64), 2);
  },
);

costs("a key name behind the heap traps", async (world) => {
  const outcome = await (await world.shared()).query(
    1 << 30,
    5,
    0,
    SCRATCH,
    ic0.cost_sign_with_ecdsa,
    reply64,
  );
  trapped(outcome, "ic0.cost_sign_with_ecdsa");
});

costs("a key name that is no UTF-8 traps", async (world) => {
  const outcome = await (await world.shared()).query(
    Uint8Array.of(0xff),
    0,
    SCRATCH,
    ic0.cost_sign_with_ecdsa,
    reply64,
  );
  trapped(outcome, "Failed to decode key name");
});

/** Creating canisters, deposits, randomness (interface spec, the management methods of these names). */
import assert from "node:assert/strict";
import { hex, numbersOf } from "../bytes.ts";
import { section } from "../case.ts";
import { rejected, relayedReject, relayedReply, replied, repliedNumber } from "../checks.ts";
import { ANONYMOUS } from "../identity.ts";
import { decodeResult, encodeArg, MANAGEMENT, managementCall, principal } from "../management.ts";
import { append64, callOut, get, ic0, reply64, set } from "../script.ts";
import { deleted, idOf, made, T } from "./management-shared.testkit.ts";

const MISSTATED = "that does not match the actual sender canister version";
const create = section("Management: create_canister");

const deposit = section("Management: deposit_cycles");

const random = section("Management: raw_rand");

const provisional = section("Management: provisional API");

create("a canister makes one and controls it", async (world) => {
  const { parent, id } = await made(world);
  const outcome = await parent.update(managementCall("canister_status", { canister_id: id }));
  const told = decodeResult("canister_status", relayedReply(outcome));
  assert.deepEqual(told.settings.controllers.map(String), [parent.id.toText()]);
});

create("it has the attached cycles less the fee of 500 billion", async (world) => {
  const { parent, id } = await made(world, {}, 2n * T);
  const told = decodeResult(
    "canister_status",
    relayedReply(await parent.update(managementCall("canister_status", { canister_id: id }))),
  );
  assert.equal(told.cycles, 2n * T - 500_000_000_000n);
});

create("controllers may be given", async (world) => {
  const { id } = await made(world, { settings: { controllers: [principal(world.user.sender)] } });
  replied(await world.manage("canister_status", { canister_id: id }));
});

create("it is empty and runs", async (world) => {
  const { id } = await made(world, { settings: { controllers: [principal(world.user.sender)] } });
  const told = decodeResult(
    "canister_status",
    replied(await world.manage("canister_status", { canister_id: id })),
  );
  assert.ok("running" in told.status && told.module_hash.length === 0);
});

create("fewer cycles than the fee are rejected and come back", async (world) => {
  const parent = await world.universal();
  const call = {
    to: MANAGEMENT,
    method: "create_canister",
    arg: encodeArg("create_canister", {}),
    cycles: 499_999_999_999n,
  };
  repliedNumber(
    await parent.update(callOut({ ...call, onReject: [ic0.msg_cycles_refunded, reply64] })),
    499_999_999_999n,
  );
  relayedReject(
    await parent.update(callOut(call)),
    4,
    "Creating a canister requires a fee of 500000000000 that is deducted from the canister's initial balance but only 499999999999 cycles were received with the create_canister request.",
  );
});

create("exactly the fee makes a canister without cycles", async (world) => {
  const { parent, id } = await made(world, {}, 500_000_000_000n);
  const outcome = await parent.update(managementCall("canister_status", { canister_id: id }));
  assert.equal(decodeResult("canister_status", relayedReply(outcome)).cycles, 0n);
});

create("no cycles are rejected", async (world) => {
  const parent = await world.universal();
  relayedReject(await parent.update(managementCall("create_canister", {})), 4, "requires a fee");
});

create("users cannot, by an ingress message", async (world) => {
  rejected(await world.manage("create_canister", {}), {
    code: 4,
    error: ["IC0406", "IC0410"],
    from: "submission",
  });
});

create("eleven controllers are rejected and the cycles come back", async (world) => {
  const parent = await world.universal();
  const controllers = Array.from({ length: 11 }, (_, i) => principal(Uint8Array.of(i, 1)));
  const call = {
    to: MANAGEMENT,
    method: "create_canister",
    arg: encodeArg("create_canister", { settings: { controllers } }),
    cycles: T,
  };
  repliedNumber(await parent.update(callOut({ ...call, onReject: [ic0.msg_cycles_refunded, reply64] })), T);
});

create("an invalid setting is rejected and nothing is made", async (world) => {
  const parent = await world.universal();
  relayedReject(
    await parent.update(
      managementCall("create_canister", { settings: { compute_allocation: 101n } }, { cycles: T }),
    ),
    5,
    "ComputeAllocation expected to be in the range [0..100], got 101",
  );
});

create("two creations have different ids", async (world) => {
  const [a, b] = await Promise.all([made(world), made(world)]);
  assert.notEqual(a.id.toText(), b.id.toText());
});

create("an id of ten bytes that ends with 0x01 0x01", async (world) => {
  const bytes = (await made(world)).id.toUint8Array();
  assert.ok(bytes.length === 10 && bytes[8] === 1 && bytes[9] === 1);
});

create("its version is 0", async (world) => {
  const { parent, id } = await made(world);
  assert.equal(
    decodeResult(
      "canister_status",
      relayedReply(await parent.update(managementCall("canister_status", { canister_id: id }))),
    ).version,
    0n,
  );
});

create("environment variables may be given", async (world) => {
  const environment_variables = [{ name: "A", value: "b" }];
  const { parent, id } = await made(world, { settings: { environment_variables } });
  const told = decodeResult(
    "canister_status",
    relayedReply(await parent.update(managementCall("canister_status", { canister_id: id }))),
  );
  assert.deepEqual(told.settings.environment_variables, environment_variables);
});

create("a wrong sender_canister_version is rejected", async (world) => {
  const parent = await world.universal();
  const value = { sender_canister_version: 12_345n };
  relayedReject(await parent.update(managementCall("create_canister", value, { cycles: T })), 5, MISSTATED);
});

create("the right sender_canister_version is taken", async (world) => {
  const parent = await world.fresh();
  relayedReply(
    await parent.update(managementCall("create_canister", { sender_canister_version: 1n }, { cycles: T })),
  );
});

create("an argument that is no Candid is rejected", async (world) => {
  const parent = await world.universal();
  relayedReject(
    await parent.update(
      callOut({ to: MANAGEMENT, method: "create_canister", arg: Uint8Array.of(1, 2, 3), cycles: T }),
    ),
    [4, 5],
    /decod/i,
  );
});

provisional("a user makes a canister with 100 trillion cycles by default", async (world) => {
  const canister = await world.fresh({ install: false });
  const { cycles } = await canister.status();
  assert.ok(cycles > 99n * T && cycles <= 100n * T);
});

provisional("an amount may be given", async (world) => {
  const canister = await world.fresh({ install: false, cycles: 7n * T });
  const { cycles } = await canister.status();
  assert.ok(cycles > 6n * T && cycles <= 7n * T);
});

provisional("an amount of zero makes a canister without cycles", async (world) => {
  const canister = await world.fresh({ install: false, cycles: 0n });
  rejected(await canister.update(ic0.msg_reply), { code: 2, error: "IC0207" });
});

provisional("the maker is the controller", async (world) => {
  const canister = await world.fresh({ install: false });
  assert.deepEqual((await canister.status()).settings.controllers.map(String), [
    principal(world.user.sender).toText(),
  ]);
});

provisional("anybody may, the anonymous user too", async (world) => {
  const outcome = await world.manage("provisional_create_canister_with_cycles", {}, { as: ANONYMOUS });
  assert.ok(idOf(replied(outcome)));
});

provisional("settings may be given", async (world) => {
  const canister = await world.fresh({ install: false, settings: { freezing_threshold: 1_234n } });
  assert.equal((await canister.status()).settings.freezing_threshold, 1_234n);
});

provisional("a canister may use it and gets the attached cycles back", async (world) => {
  const canister = await world.universal();
  const arg = encodeArg("provisional_create_canister_with_cycles", { amount: T });
  const outcome = await canister.update(
    callOut({
      to: MANAGEMENT,
      method: "provisional_create_canister_with_cycles",
      arg,
      cycles: 500n,
      onReply: [ic0.msg_cycles_refunded, reply64],
    }),
  );
  repliedNumber(outcome, 500);
});

provisional("top-up adds the amount", async (world) => {
  const canister = await world.fresh({ install: false });
  const before = (await canister.status()).cycles;
  replied(await world.manage("provisional_top_up_canister", { canister_id: canister.id, amount: 5n * T }));
  const added = (await canister.status()).cycles - before;
  assert.ok(added > 4n * T && added <= 5n * T);
});

provisional("anybody may top up any canister", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(
    await world.manage(
      "provisional_top_up_canister",
      { canister_id: canister.id, amount: 5n },
      { as: world.stranger },
    ),
  );
});

provisional("topping up what does not exist is rejected", async (world) => {
  const canister = await deleted(world);
  rejected(await world.manage("provisional_top_up_canister", { canister_id: canister.id, amount: 5n }), {
    code: 3,
    error: "IC0301",
  });
});

provisional.needing("several subnets")("a specified id of another subnet is rejected", async (world) => {
  const { home, subnets, near } = world.target;
  const other = subnets.find(({ id, ranges }) => id.toText() !== home.id.toText() && ranges.length > 0);
  const specified_id = principal(other?.ranges[0]?.end ?? new Uint8Array());
  const outcome = await world.manage("provisional_create_canister_with_cycles", { specified_id }, { near });
  rejected(outcome, { code: 4, error: "IC0405", text: "is not hosted by subnet" });
});

provisional("a specified id that exists is rejected", async (world) => {
  const canister = await world.fresh({ install: false });
  const outcome = await world.manage(
    "provisional_create_canister_with_cycles",
    { specified_id: canister.id },
    { near: canister.id },
  );
  rejected(outcome, { error: "IC0205", text: "already exists" });
});

deposit("a canister gives cycles to another", async (world) => {
  const [from, to] = [await world.universal(), await world.fresh({ install: false, cycles: T })];
  const before = (await to.status()).cycles;
  relayedReply(
    await from.update(managementCall("deposit_cycles", { canister_id: to.id }, { cycles: 3n * T })),
  );
  const added = (await to.status()).cycles - before;
  assert.ok(added > 2n * T && added <= 3n * T);
});

deposit("anybody's canister may", async (world) => {
  const [from, to] = [await world.universal(), await world.fresh({ install: false })];
  await to.configure({ controllers: [] });
  relayedReply(await from.update(managementCall("deposit_cycles", { canister_id: to.id }, { cycles: 5n })));
});

deposit("nothing comes back", async (world) => {
  const [from, to] = [await world.universal(), await world.fresh({ install: false })];
  const arg = encodeArg("deposit_cycles", { canister_id: to.id });
  repliedNumber(
    await from.update(
      callOut({
        to: MANAGEMENT,
        method: "deposit_cycles",
        arg,
        cycles: 5n,
        onReply: [ic0.msg_cycles_refunded, reply64],
      }),
    ),
    0,
  );
});

deposit("to what does not exist comes back", async (world) => {
  const [from, to] = [await world.universal(), await deleted(world)];
  const arg = encodeArg("deposit_cycles", { canister_id: to.id });
  repliedNumber(
    await from.update(
      callOut({
        to: MANAGEMENT,
        method: "deposit_cycles",
        arg,
        cycles: 5n,
        onReject: [ic0.msg_cycles_refunded, reply64],
      }),
    ),
    5,
  );
});

deposit("without cycles is fine", async (world) => {
  const [from, to] = [await world.universal(), await world.fresh({ install: false })];
  relayedReply(await from.update(managementCall("deposit_cycles", { canister_id: to.id })));
});

deposit("users cannot, by an ingress message", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await world.manage("deposit_cycles", { canister_id: canister.id }), {
    code: 4,
    error: "IC0406",
    text: "Only canisters can call ic00 method deposit_cycles",
    from: "submission",
  });
});

random("32 bytes", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(managementCall("raw_rand", undefined));
  assert.equal(decodeResult("raw_rand", relayedReply(outcome)).length, 32);
});

random("each call has bytes of its own", async (world) => {
  const canister = await world.universal();
  const outcomes = await Promise.all(
    Array.from({ length: 6 }, () => canister.update(managementCall("raw_rand", undefined))),
  );
  assert.equal(new Set(outcomes.map((outcome) => hex(relayedReply(outcome)))).size, 6);
});

random("the answer is not known in the round of the question", async (world) => {
  const canister = await world.universal();
  const arg = encodeArg("raw_rand", undefined);
  const outcome = await canister.update(
    ic0.time,
    set(1),
    callOut({ to: MANAGEMENT, method: "raw_rand", arg, onReply: [get(1), append64, ic0.time, reply64] }),
  );
  const [asked, answered] = numbersOf(replied(outcome));
  assert.ok(asked !== undefined && answered !== undefined && answered > asked);
});

random("an argument that is not empty is rejected", async (world) => {
  const canister = await world.universal();
  relayedReject(
    await canister.update(callOut({ to: MANAGEMENT, method: "raw_rand", arg: Uint8Array.of(9) })),
    [4, 5],
  );
});

random("users cannot, by an ingress message", async (world) => {
  rejected(await world.manage("raw_rand", undefined), { code: 4, error: "IC0406", from: "submission" });
});

random("a query cannot", async (world) => {
  rejected(await world.manageQuery("raw_rand", undefined), { code: 5, error: "IC0536" });
});

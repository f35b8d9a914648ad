/** Subnets with administrators (interface spec, "list_canisters", the endpoints of subnets, and what administrators may do). */
import assert from "node:assert/strict";
import { Principal } from "@icp-sdk/core/principal";
import { canisterSigner, signAs } from "../canister-signer.ts";
import { section } from "../case.ts";
import { refused, rejected, relayedReject, relayedReply, replied, repliedNumber } from "../checks.ts";
import { ed25519, type Identity } from "../identity.ts";
import { decodeResult, encodeArg, MANAGEMENT } from "../management.ts";
import { callOut, code, get, ic0, reply64, set } from "../script.ts";
import { contentOf, type Outcome, valueAt } from "../wire.ts";
import { Universal, type World } from "../world.ts";
import { path } from "./state-shared.testkit.ts";

const lists = section("Management: list_canisters", ["administrators"]);
const creations = section("Management: create_canister", ["administrators"]);
const effective = section("Effective canister id", ["administrators"]);
const status = section("Management: canister_status", ["administrators"]);
const stopping = section("Management: stop_canister and start_canister", ["administrators"]);
const calls = section("Inter-canister method calls", ["administrators"]);
const signatures = section("Signatures", ["administrators"]);
const requests = section("System state tree: Request status", ["administrators"]);

const partsOf = (
  world: World,
): { readonly admin: Identity; readonly id: Principal; readonly near: Principal } => {
  const { administrator, target } = world;
  if (administrator === null || target.administered === null) throw new Error("nobody administers a subnet");
  return { admin: administrator, ...target.administered };
};
const endpointOf = (world: World): string => `subnet/${partsOf(world).id.toText()}`;

/** A user's canister of the administered subnet. */
async function administered(world: World, install = true): Promise<Universal> {
  const { near } = partsOf(world);
  const created = await world.manage("provisional_create_canister_with_cycles", {}, { near });
  const canister = new Universal(
    world,
    decodeResult("create_canister", replied(created)).canister_id as Principal,
  );
  if (install) replied(await canister.install({ install: null }));
  return canister;
}
const callSubnet = (world: World, method: string, value: object, as: Identity): Promise<Outcome> =>
  world.call(
    endpointOf(world),
    { canister_id: MANAGEMENT, method_name: method, arg: encodeArg(method, value) },
    { as },
  );
const querySubnet = (
  world: World,
  as: Identity,
  method = "list_canisters",
  value: object = {},
): Promise<Outcome> =>
  world.query(
    endpointOf(world),
    { canister_id: MANAGEMENT, method_name: method, arg: encodeArg(method, value) },
    { as },
  );
const isListed = (outcome: Outcome, id: Principal): boolean => {
  const { canisters } = decodeResult("list_canisters", replied(outcome)) as {
    canisters: readonly { start: Principal; end: Principal }[];
  };
  return canisters.some(
    ({ start, end }) =>
      Buffer.compare(start.toUint8Array(), id.toUint8Array()) <= 0 &&
      Buffer.compare(id.toUint8Array(), end.toUint8Array()) <= 0,
  );
};

lists("an administrator lists the canisters through a canister's endpoint", async (world) => {
  const canister = await administered(world, false);
  const { admin, near } = partsOf(world);
  assert.ok(isListed(await world.manageQuery("list_canisters", {}, { as: admin, near }), canister.id));
});
lists("an administrator lists the canisters through the subnet's endpoint", async (world) => {
  const canister = await administered(world, false);
  assert.ok(isListed(await querySubnet(world, partsOf(world).admin), canister.id));
});
lists("a canister that was deleted is listed no more", async (world) => {
  const canister = await administered(world, false);
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  replied(await world.manage("delete_canister", { canister_id: canister.id }));
  assert.ok(!isListed(await querySubnet(world, partsOf(world).admin), canister.id));
});
lists("who is no administrator does not list them", async (world) => {
  rejected(await querySubnet(world, world.stranger), { code: 4, text: /admin/ });
});
lists("an administrator of one subnet does not list another's canisters", async (world) => {
  const { admin } = partsOf(world);
  rejected(await world.manageQuery("list_canisters", {}, { as: admin }), { code: 4, text: /admin/ });
});
lists("nothing else is asked through the subnet's endpoint", async (world) => {
  const canister = await administered(world, false);
  const outcome = await querySubnet(world, world.user, "canister_status", { canister_id: canister.id });
  assert.notEqual(outcome.kind, "replied");
});

const createdBy = async (world: World, outcome: Outcome): Promise<Universal> =>
  new Universal(world, decodeResult("create_canister", replied(outcome)).canister_id);
creations("an administrator makes a canister through the subnet's endpoint", async (world) => {
  const { admin } = partsOf(world);
  const canister = await createdBy(world, await callSubnet(world, "create_canister", {}, admin));
  assert.ok(isListed(await querySubnet(world, admin), canister.id));
  const told = decodeResult(
    "canister_status",
    replied(await world.manage("canister_status", { canister_id: canister.id }, { as: admin })),
  );
  assert.deepEqual(
    told.settings.controllers.map((one: Principal) => one.toText()),
    [Principal.fromUint8Array(admin.sender).toText()],
  );
});
creations("an administrator makes a canister through a canister's endpoint", async (world) => {
  const { admin, near } = partsOf(world);
  const canister = await createdBy(world, await world.manage("create_canister", {}, { as: admin, near }));
  assert.ok(isListed(await querySubnet(world, admin), canister.id));
});
creations("an administrator gives controllers and settings", async (world) => {
  const { admin } = partsOf(world);
  const settings = { controllers: [Principal.fromUint8Array(world.user.sender)], freezing_threshold: 99n };
  const canister = await createdBy(world, await callSubnet(world, "create_canister", { settings }, admin));
  assert.equal((await canister.status()).settings.freezing_threshold, 99n);
  replied(await canister.install({ install: null }));
  repliedNumber(await canister.query(7, reply64), 7);
});
creations("an invalid setting makes none", async (world) => {
  const { admin } = partsOf(world);
  const settings = { compute_allocation: 101n };
  rejected(await callSubnet(world, "create_canister", { settings }, admin), { code: 5 });
});
creations("who is no administrator makes none through the subnet's endpoint", async (world) => {
  rejected(await callSubnet(world, "create_canister", {}, world.stranger), { code: 4, from: "submission" });
});
creations("an administrator makes none on another subnet", async (world) => {
  const { admin } = partsOf(world);
  rejected(await world.manage("create_canister", {}, { as: admin }), { code: 4, from: "submission" });
});

effective("the subnet's endpoint takes no other method of an administrator", async (world) => {
  const { admin } = partsOf(world);
  const canister = await administered(world, false);
  const outcome = await callSubnet(world, "start_canister", { canister_id: canister.id }, admin);
  assert.notEqual(outcome.kind, "replied");
});
effective("another subnet's endpoint does not take the creation", async (world) => {
  const { admin } = partsOf(world);
  const outcome = await world.call(
    `subnet/${world.target.home.id.toText()}`,
    { canister_id: MANAGEMENT, method_name: "create_canister", arg: encodeArg("create_canister", {}) },
    { as: admin },
  );
  rejected(outcome, { code: 4, from: "submission" });
});
requests("a creation's status is read through the subnet's endpoint", async (world) => {
  const { admin } = partsOf(world);
  const arg = encodeArg("create_canister", {});
  const request = world.sign("call", { canister_id: MANAGEMENT, method_name: "create_canister", arg }, admin);
  const outcome = await world.wire.call(endpointOf(world), request, { identity: admin });
  const reply = replied(outcome);
  const certificate = await world.wire.readState(endpointOf(world), admin, [
    path("request_status", request.id),
  ]);
  assert.deepEqual(valueAt(certificate, "request_status", request.id, "reply"), reply);
});

/** What an administrator may do to canisters of others, in an order in which each is possible. */
const OPEN = [
  "canister_status",
  "canister_metrics",
  "stop_canister",
  "start_canister",
  "uninstall_code",
] as const;
status.each("an administrator manages canisters of others", OPEN, async (world, method) => {
  const canister = await administered(world);
  replied(await world.manage(method, { canister_id: canister.id }, { as: partsOf(world).admin }));
});
stopping("an administrator stops and deletes canisters of others", async (world) => {
  const { admin } = partsOf(world);
  const canister = await administered(world);
  replied(await world.manage("stop_canister", { canister_id: canister.id }, { as: admin }));
  replied(await world.manage("delete_canister", { canister_id: canister.id }, { as: admin }));
  assert.ok(!isListed(await querySubnet(world, admin), canister.id));
});
const CLOSED: readonly (readonly [string, object])[] = [
  ["update_settings", { settings: {} }],
  ["install_code", { mode: { reinstall: null }, wasm_module: new Uint8Array(), arg: new Uint8Array() }],
  ["upload_chunk", { chunk: new Uint8Array(1) }],
  ["clear_chunk_store", {}],
  ["stored_chunks", {}],
  ["take_canister_snapshot", {}],
  ["list_canister_snapshots", {}],
];
status.each(
  "what canisters of others hold is not for administrators",
  CLOSED,
  async (world, [method, more]) => {
    const canister = await administered(world);
    replied(await canister.update(5, set(1), ic0.msg_reply));
    const outcome = await world.manage(
      method,
      { canister_id: canister.id, ...more },
      { as: partsOf(world).admin },
    );
    rejected(outcome, { code: [4, 5], error: ["IC0512", "IC0406"] });
    repliedNumber(await canister.query(get(1), reply64), 5);
  },
);
status("an administrator has no say on another subnet", async (world) => {
  const canister = await world.universal();
  for (const method of OPEN) {
    const outcome = await world.manage(method, { canister_id: canister.id }, { as: partsOf(world).admin });
    assert.equal(outcome.kind, "rejected", method);
  }
});
status("who is neither controller nor administrator is told of both", async (world) => {
  const canister = await administered(world, false);
  rejected(await world.manage("stop_canister", { canister_id: canister.id }, { as: ed25519() }), {
    code: 5,
    text: "subnet admins",
  });
});
calls.each(
  "a call to a subnet with administrators carries no cycles and waits for no response for ever",
  [{ cycles: 0n }, { cycles: 1n, timeoutSeconds: 60 }],
  async (world, more) => {
    const [from, to] = [await world.universal(), await administered(world)];
    const outcome = await from.update(callOut({ to: to.bytes, arg: code(7, reply64), ...more }));
    relayedReject(outcome, 1, "not allowed");
  },
);
calls("a best-effort call to a subnet with administrators is answered", async (world) => {
  const [from, to] = [await world.universal(), await administered(world)];
  const outcome = await from.update(callOut({ to: to.bytes, arg: code(7, reply64), timeoutSeconds: 60 }));
  repliedNumber({ kind: "replied", reply: relayedReply(outcome) }, 7);
});
signatures("a canister's signature of a subnet with administrators is refused", async (world) => {
  const signer = await canisterSigner(world, await administered(world));
  const canister = await world.shared();
  const content = contentOf("query", signer.sender, {
    canister_id: canister.bytes,
    method_name: "query",
    arg: code(7, reply64),
  });
  refused(
    await world.wire.query(canister.destination, await signAs(signer, content)),
    400,
    /signature|cloud|engine/i,
  );
});

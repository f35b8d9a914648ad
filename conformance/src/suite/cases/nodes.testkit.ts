/** Cases that only a subnet of several nodes shows: what one node was told, all know, and each speaks with a key of its own. */
import assert from "node:assert/strict";
import { type CborMap, decodeCbor } from "@orrery/base";
import { hex, utf8 } from "../bytes.ts";
import { section } from "../case.ts";
import { relayedReply, repliedNumber } from "../checks.ts";
import { principalOfKey } from "../identity.ts";
import { decodeResult, managementCall } from "../management.ts";
import { code, get, op, reply64, set } from "../script.ts";
import { outcomeIn, type Request } from "../wire.ts";
import type { Universal, World } from "../world.ts";
import { found, homeOf, nodesOf, path, tree } from "./state-shared.testkit.ts";

const SEVERAL = ["several nodes"] as const;
const calls = section("Request: Call", SEVERAL);
const reads = section("Request: Read state", SEVERAL);
const queries = section("Request: Query call", SEVERAL);
const subnets = section("System state tree: Subnet information", SEVERAL);
const management = section("Management: subnet and node information", SEVERAL);

const count = code(get(1), 1, op.add, set(1), get(1), reply64);

const updating = (world: World, canister: Universal, arg: Uint8Array): Request =>
  world.sign("call", { canister_id: canister.bytes, method_name: "update", arg });

calls("a call that every node is sent at once is executed once, with one outcome", async (world) => {
  const canister = await world.universal();
  await Promise.all(world.wires.map((wire) => wire.caughtUp(world.target.home.id)));
  const request = updating(world, canister, count);
  const options = { identity: world.user };
  const outcomes = await Promise.all(
    world.wires.map((wire) => wire.call(canister.destination, request, options)),
  );
  for (const outcome of outcomes) repliedNumber(outcome, 1);
  repliedNumber(await canister.update(get(1), reply64), 1);
});
calls("calls through different nodes count one after the other", async (world) => {
  const canister = await world.universal();
  await Promise.all(world.wires.map((wire) => wire.caughtUp(world.target.home.id)));
  for (const [place, wire] of world.wires.entries()) {
    const outcome = await wire.call(canister.destination, updating(world, canister, count), {
      identity: world.user,
    });
    repliedNumber(outcome, place + 1);
  }
});

reads("every node tells of a request that one of them took", async (world) => {
  const canister = await world.universal();
  const request = updating(world, canister, code(7, reply64));
  repliedNumber(await world.wire.call(canister.destination, request, { identity: world.user }), 7);
  for (const wire of world.wires) {
    await wire.caughtUp(world.target.home.id);
    const paths = [[utf8("request_status"), request.id]];
    const certificate = await wire.readState(canister.destination, world.user, paths);
    const outcome = outcomeIn(certificate, request.id);
    assert.ok(outcome !== null, `${wire.url} does not know the request`);
    repliedNumber(outcome, 7);
  }
});

queries("every node answers queries, each with a key of its own that the subnet lists", async (world) => {
  const canister = await world.universal();
  repliedNumber(await canister.update(9, set(1), get(1), reply64), 9);
  const signers = new Set<string>();
  for (const wire of world.wires) {
    await wire.caughtUp(world.target.home.id);
    const fields = { canister_id: canister.bytes, method_name: "query", arg: code(get(1), reply64) };
    const request = world.sign("query", fields);
    repliedNumber(await wire.query(canister.destination, request), 9);
    const answer = await wire.post(`/api/v3/${canister.destination}/query`, request.body);
    const signatures = (decodeCbor(answer.body) as CborMap).get("signatures") as readonly CborMap[];
    for (const one of signatures) signers.add(hex(one.get("identity") as Uint8Array));
  }
  assert.deepEqual([...signers].sort(), (await nodesOf(world)).map(hex).sort());
});

subnets("nodes are named by their keys, no two alike", async (world) => {
  const subnet = world.target.home.id.toUint8Array();
  const certified = await tree(world, homeOf(world), [path("subnet", subnet)]);
  const nodes = await nodesOf(world);
  assert.ok(nodes.length >= world.wires.length);
  for (const node of nodes)
    assert.equal(
      hex(principalOfKey(found(certified, "subnet", subnet, "node", node, "public_key"))),
      hex(node),
    );
});

management("node_metrics_history tells blocks of more than one node", async (world) => {
  const canister = await world.universal();
  const value = { subnet_id: world.target.home.id, start_at_timestamp_nanos: 0n };
  const call = managementCall("node_metrics_history", value);
  const ids = (await nodesOf(world)).map(hex);
  await world.eventually("blocks of several nodes", async () => {
    const days = decodeResult("node_metrics_history", relayedReply(await canister.update(call)));
    const makers = new Set<string>(
      days
        .at(-1)
        ?.node_metrics.map(({ node_id }: { node_id: { toUint8Array(): Uint8Array } }) =>
          hex(node_id.toUint8Array()),
        ),
    );
    for (const maker of makers) assert.ok(ids.includes(maker));
    return makers.size > 1 ? true : null;
  });
});

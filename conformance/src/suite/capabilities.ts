/** Finds out what a network has by asking it, so that no case fails for the lack of it and none is left out without reason. */
import { randomBytes } from "node:crypto";
import { parseRelayed, type Relayed } from "./bytes.ts";
import type { Capability } from "./case.ts";
import { nodesOf } from "./cases/state-shared.testkit.ts";
import { replied } from "./checks.ts";
import { type MethodName, managementCall } from "./management.ts";
import type { Universal, World } from "./world.ts";

/** A method that exists but is not served says so in words of its own. */
const NOT_SERVED =
  /not supported|not available|no such key|does not hold|unknown (master |threshold )?(public )?key|No threshold/i;

async function relayed(canister: Universal, method: MethodName, value: unknown): Promise<Relayed> {
  return parseRelayed(replied(await canister.update(managementCall(method, value))));
}

function isServed(outcome: Relayed): boolean {
  return outcome.kind === "reply" || !NOT_SERVED.test(outcome.message);
}

/** Whether the suite's own server can be asked, and is believed. */
async function makesOutcalls(canister: Universal): Promise<boolean> {
  const { outside } = canister.world;
  if (outside === null) return false;
  const arg = {
    url: `${outside.origin}/echo`,
    max_response_bytes: 2_000n,
    method: { get: null },
    headers: [],
  };
  const call = managementCall("http_request", arg, { cycles: 100_000_000_000n });
  return parseRelayed(replied(await canister.update(call))).kind === "reply";
}

/** Whether the one that the suite can act for may list the canisters of a subnet. */
async function hasAdministrator(world: World): Promise<boolean> {
  const { administrator, target } = world;
  if (administrator === null || target.administered === null) return false;
  const { id, near } = target.administered;
  const options = { as: administrator, near };
  return id !== target.home.id && (await world.manageQuery("list_canisters", {}, options)).kind === "replied";
}

/** Whether the suite knows several nodes of the subnet. */
async function hasSeveralNodes(world: World): Promise<boolean> {
  const { wires, target } = world;
  if (wires.length === 1) return false;
  const { length } = await nodesOf(world);
  if (length < wires.length)
    throw new Error(
      `${wires.length} nodes are named, and the subnet ${target.home.id.toText()} has ${length}`,
    );
  return true;
}

export async function probeCapabilities(world: World): Promise<ReadonlySet<Capability>> {
  const has = new Set<Capability>();
  const canister = await world.universal();
  const { subnets, home } = world.target;
  if (subnets.filter(({ ranges }) => ranges.length > 0).length > 1) has.add("several subnets");
  const snapshots = await world.manage("list_canister_snapshots", { canister_id: canister.id });
  if (snapshots.kind === "replied" || (snapshots.kind === "rejected" && !NOT_SERVED.test(snapshots.message)))
    has.add("snapshots");
  if (isServed(await relayed(canister, "subnet_info", { subnet_id: home.id }))) has.add("subnet information");
  const key_id = { curve: { secp256k1: null }, name: "key_1" };
  const derivation_path = [new Uint8Array(randomBytes(4))];
  if (isServed(await relayed(canister, "ecdsa_public_key", { derivation_path, key_id })))
    has.add("chain keys");
  if (await makesOutcalls(canister)) has.add("outcalls");
  if (await hasAdministrator(world)) has.add("administrators");
  if (await hasSeveralNodes(world)) has.add("several nodes");
  world.release();
  return has;
}

/** What cases about several subnets share. */
import { Principal } from "@icp-sdk/core/principal";
import { replied } from "../checks.ts";
import { decodeResult } from "../management.ts";
import type { Subnet } from "../target.ts";
import { Universal, type World } from "../world.ts";

/** Another subnet that everybody may call: those with administrators take few calls. */
export function otherSubnet({ target }: World): Subnet | undefined {
  return target.subnets.find(
    ({ id, type, ranges }) =>
      id.toText() !== target.home.id.toText() && ranges.length > 0 && type !== "cloud_engine",
  );
}

/** A canister of another subnet, made there and controlled by the same user. */
export async function abroad(world: World): Promise<Universal> {
  const other = otherSubnet(world);
  const near = Principal.fromUint8Array(other?.ranges.at(-1)?.start ?? new Uint8Array());
  const created = await world.manage("provisional_create_canister_with_cycles", {}, { near });
  const id = decodeResult("create_canister", replied(created)).canister_id as Principal;
  const canister = new Universal(world, id);
  replied(await canister.install({ install: null }));
  return canister;
}

/** What cases about requests share. */
import type { CborValue } from "@orrery/base";
import { code, ic0 } from "../script.ts";
import type { Request } from "../wire.ts";
import type { Universal, World } from "../world.ts";

export const OK: Uint8Array = code(ic0.msg_reply);

export const update = (
  world: World,
  canister: Universal,
  program: Uint8Array = OK,
  fields: Record<string, CborValue> = {},
): Request =>
  world.sign("call", { canister_id: canister.bytes, method_name: "update", arg: program, ...fields });

export const queryPath = (canister: Universal, version = 3): string =>
  `/api/v${version}/${canister.destination}/query`;

export const ask = (
  world: World,
  canister: Universal,
  program: Uint8Array = OK,
  fields: Record<string, CborValue> = {},
): Request =>
  world.sign("query", { canister_id: canister.bytes, method_name: "query", arg: program, ...fields });

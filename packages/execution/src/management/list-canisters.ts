/**
 * Which canisters a subnet has, for its admins (interface spec, "list_canisters"; the replica also answers canisters that are
 * admins, in replicated execution).
 */
import {
  type CanisterId,
  canisterIndex,
  compareBytes,
  err,
  ok,
  type Principal,
  principalToText,
  type Result,
} from "@orrery/base";
import type { CanisterRange, SubnetInfo } from "@orrery/state";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { failure, type Handler } from "./call.ts";
import { decodeRecord } from "./candid-decode.ts";
import { isSubnetAdmin } from "./effective-id.ts";
import { invalidPayload } from "./methods.ts";
import { encodeCanisterRanges } from "./types.ts";

/** Instructions that a list counts for in a round: in all, and by canister. */
const INSTRUCTIONS = { base: 20_000_000n, canister: 16_000n } as const;

/** The ids, in runs without a gap. */
function rangesOf(ids: readonly CanisterId[]): CanisterRange[] {
  const ranges: { start: CanisterId; end: CanisterId }[] = [];
  for (const id of [...ids].sort(compareBytes)) {
    const last = ranges.at(-1);
    const index = canisterIndex(id);
    const follows = last !== undefined && index !== null && canisterIndex(last.end) === index - 1n;
    if (follows) last.end = id;
    else ranges.push({ start: id, end: id });
  }
  return ranges;
}

export function listCanisters(
  subnet: SubnetInfo,
  call: { readonly sender: Principal; readonly arg: Uint8Array },
  ids: readonly CanisterId[],
): Result<{ readonly reply: Uint8Array; readonly instructions: bigint }, UserError> {
  const payload = decodeRecord(call.arg, () => null);
  if (!payload.ok) return err(invalidPayload(payload.error));
  if (subnet.admins === undefined) {
    const text = "list_canisters is only available on subnets with subnet admins";
    return err(userError(ErrorCode.CanisterRejectedMessage, text));
  }
  if (!isSubnetAdmin(subnet, call.sender)) {
    const text = `Only the admins of subnet ${principalToText(subnet.subnetId)} can list its canisters.\nSender's ID: ${principalToText(call.sender)}`;
    return err(userError(ErrorCode.InvalidSubnetAdmin, text));
  }
  const instructions = INSTRUCTIONS.base + INSTRUCTIONS.canister * BigInt(ids.length);
  return ok({ reply: encodeCanisterRanges(rangesOf(ids)), instructions });
}

export const listCanistersHandler: Handler = (round, call) => {
  const { state } = round;
  const ids = [...state.canisters.values()].map(({ meta }) => meta.id);
  const list = listCanisters(state.subnet, call, ids);
  if (!list.ok) return failure(list.error);
  return { kind: "reply", data: list.value.reply, instructions: list.value.instructions };
};

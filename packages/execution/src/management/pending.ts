/**
 * Answers to management calls of the round before: randomness that did not exist when it was asked for, and what only the secrets of
 * the subnet's keys can make. In the order in which they were asked, as many as a round has time for.
 */
import { assert, MANAGEMENT_CANISTER } from "@orrery/base";
import { domainSep, sha256 } from "@orrery/crypto";
import type { PendingManagementCall, ReplicatedState, ResponsePayload } from "@orrery/state";
import { CHAIN_KEY_INSTRUCTIONS_PER_ROUND } from "../limits.ts";
import { answerRequest } from "../messaging/delivery.ts";
import { routingReject } from "../messaging/reject.ts";
import type { Round } from "../scheduler/round.ts";
import { answerInstructions, answerOnChainKey } from "./chain-keys.ts";
import { encodeBlob } from "./types.ts";

export function answerPending(round: Round): void {
  const { state } = round;
  let instructions = 0n;
  let answered = 0;
  for (const call of state.pendingManagement) {
    if (instructions >= CHAIN_KEY_INSTRUCTIONS_PER_ROUND) break;
    instructions += answerInstructions(call);
    answered++;
    answerRequest(round, call, {
      from: MANAGEMENT_CANISTER,
      payload: answerOf(round, call),
      refund: call.refund,
    });
  }
  state.pendingManagement.splice(0, answered);
  round.instructions += instructions;
}

function answerOf(round: Round, call: PendingManagementCall): ResponsePayload {
  if (call.kind === "raw_rand") return { kind: "reply", data: encodeBlob(nextRandom(round.state)) };
  assert(round.chainKeys !== null, "a call on a chain key waits in a subnet that has none");
  const data = answerOnChainKey(round.chainKeys, call);
  if (data !== null) return { kind: "reply", data };
  return routingReject(4, "The transport public key is not a point of the group that keys are encrypted in.");
}

/** 32 bytes of the round's generator. */
function nextRandom(state: ReplicatedState): Uint8Array {
  const out = sha256(domainSep("orrery-random-output"), state.randomness);
  state.randomness = sha256(domainSep("orrery-random-step"), state.randomness);
  return out;
}

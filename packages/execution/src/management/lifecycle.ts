/** Settings, start, stop, uninstall, delete (interface spec, the management methods of these names). */
import { principalKey, principalToText } from "@orrery/base";
import { type CanisterState, removeSnapshots, type StopRequest, touch } from "@orrery/state";
import { recordConsumed } from "../cycles.ts";
import { ErrorCode, userError } from "../error-codes.ts";
import { STOP_TIMEOUT_NS } from "../limits.ts";
import { trimLogs } from "../messaging/logs.ts";
import { updateLowMemoryHook } from "../messaging/low-memory.ts";
import { clearChunks, releaseMemory, uninstallCode } from "../messaging/uninstall.ts";
import type { Round } from "../scheduler/round.ts";
import { answerStop, completeStop, EMPTY_REPLY } from "../scheduler/stopping.ts";
import { inheritOutputs } from "../streams/outputs.ts";
import { controlled, decodeArg, failure, type Handler, historyOrigin } from "./call.ts";
import { optional, readNat64, readPrincipal, required } from "./candid-decode.ts";
import { recordChange } from "./history.ts";
import { availableMemory } from "./memory.ts";
import { applySettings, readSettings, validateSettings } from "./settings.ts";

const DONE = { kind: "reply", data: EMPTY_REPLY } as const;

export const updateSettings: Handler = (round, call) => {
  const { state, index } = round;
  const found = controlled(round, call, (record) => ({
    given: required(record, "settings", readSettings),
    senderVersion: optional(record, "sender_canister_version", readNat64),
  }));
  if (!found.ok) return failure(found.error);
  const { canister, args } = found.value;
  const { meta } = canister;
  const settings = validateSettings(state, meta, { given: args.given, available: availableMemory(round) });
  if (!settings.ok) return failure(settings.error);
  const logLimitChanged = settings.value.settings.logMemoryLimit !== meta.settings.logMemoryLimit;
  applySettings(meta, settings.value);
  meta.version++;
  if (logLimitChanged) {
    trimLogs(canister);
    index.logsChanged.add(principalKey(meta.id));
  }
  updateLowMemoryHook(meta);
  if (args.given.controllers !== undefined) {
    recordChange(canister, {
      time: state.time,
      origin: historyOrigin(call, args.senderVersion),
      details: { kind: "controllers_change", controllers: meta.settings.controllers },
    });
  }
  changed(round, canister);
  return DONE;
};

function changed(round: Round, canister: CanisterState): void {
  touch(round.state, canister);
  round.index.refresh(principalKey(canister.meta.id), canister);
}

export const startCanister: Handler = (round, call) => {
  const found = controlled(round, call, () => null);
  if (!found.ok) return failure(found.error);
  const { canister } = found.value;
  const { meta } = canister;
  const { status } = meta;
  meta.status = { kind: "running" };
  meta.version++;
  changed(round, canister);
  if (status.kind === "stopping") {
    const text = `Canister ${principalToText(meta.id)}'s stop request was cancelled`;
    for (const request of status.requests) {
      answerStop(round, request, userError(ErrorCode.CanisterStoppingCancelled, text));
    }
  }
  return DONE;
};

export const stopCanister: Handler = (round, call) => {
  const found = controlled(round, call, () => null);
  if (!found.ok) return failure(found.error);
  const { canister } = found.value;
  const { meta } = canister;
  // Each request counts, also one that finds nothing to do.
  meta.version++;
  if (meta.status.kind === "stopped") {
    changed(round, canister);
    return DONE;
  }
  const deadline = round.state.time + STOP_TIMEOUT_NS;
  const request: StopRequest =
    call.origin.kind === "ingress"
      ? { kind: "ingress", requestId: call.origin.requestId, deadline }
      : { ...call.origin, kind: "call", cycles: call.cycles, deadline };
  const before = meta.status.kind === "stopping" ? meta.status.requests : [];
  meta.status = { kind: "stopping", requests: [...before, request] };
  changed(round, canister);
  completeStop(round, canister);
  return { kind: "pending" };
};

export const uninstall: Handler = (round, call) => {
  const found = controlled(round, call, (record) => optional(record, "sender_canister_version", readNat64));
  if (!found.ok) return failure(found.error);
  const { canister, args: senderVersion } = found.value;
  uninstallCode(round, canister);
  // An empty canister's too, as the replica and the specification have it.
  recordChange(canister, {
    time: round.state.time,
    origin: historyOrigin(call, senderVersion),
    details: { kind: "code_uninstall" },
  });
  changed(round, canister);
  return DONE;
};

export const deleteCanister: Handler = (round, call) => {
  const { state, index } = round;
  const target = decodeArg(call, (record) => required(record, "canister_id", readPrincipal));
  // Before the question of control: no canister deletes itself, whoever controls it.
  if (target.ok && principalKey(target.value) === principalKey(call.sender)) {
    const text = `Canister ${principalToText(target.value)} cannot delete itself.`;
    return failure(userError(ErrorCode.CanisterInvalidController, text));
  }
  const found = controlled(round, call, () => null);
  if (!found.ok) return failure(found.error);
  const { canister } = found.value;
  const { meta, queues } = canister;
  const id = principalToText(meta.id);
  const key = principalKey(meta.id);
  if (meta.status.kind !== "stopped") {
    return failure(
      userError(ErrorCode.CanisterNotStopped, `Canister ${id} must be stopped before it is deleted.`),
    );
  }
  if (queues.ingress.length > 0 || queues.responses.length > 0 || queues.requests.size > 0) {
    const text = `Canister ${id} has messages in its queues and cannot be deleted now. Please retry after some time.`;
    return failure(userError(ErrorCode.CanisterQueueNotEmpty, text));
  }
  removeSnapshots(state, canister, round.arena);
  clearChunks(round, canister);
  releaseMemory(round, canister);
  recordConsumed(state, null, meta.cycles + meta.reservedCycles, "burned_cycles");
  inheritOutputs(round, canister);
  state.canisters.delete(key);
  touch(state, canister);
  index.forget(key);
  index.deleted.add(key);
  return DONE;
};

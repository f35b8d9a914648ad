/**
 * The management canister's queue: calls run in the order in which they came, within the round's instructions. Calls about a
 * canister in the middle of a message wait until it ended, those that execute much once their share of the round is used up, and
 * installations while one goes on over rounds; others overtake them.
 */
import { assert, MANAGEMENT_CANISTER, type Principal, principalKey, toHex, utf8 } from "@orrery/base";
import { type CanisterState, type IngressInput, type RequestInput, touch } from "@orrery/state";
import { maxOf, minOf } from "../bigints.ts";
import { charge } from "../cycles.ts";
import { ingressInductionCost } from "../fees.ts";
import { type ExecutionLimits, MANAGEMENT_INSTRUCTIONS_SHARE } from "../limits.ts";
import { hasPassed } from "../messaging/deadlines.ts";
import { answerRequest } from "../messaging/delivery.ts";
import { setStatus } from "../messaging/ingress-history.ts";
import { countManagement } from "../messaging/message-memory.ts";
import { rejectFromError, routingReject, statusFromError } from "../messaging/reject.ts";
import type { Round } from "../scheduler/round.ts";
import { remoteCallerError } from "../streams/management-routing.ts";
import { refundLater } from "../streams/outputs.ts";
import { notConnected } from "./bitcoin.ts";
import {
  controlled,
  decodeArg,
  failure,
  findCanister,
  type Handler,
  type ManagementAnswer,
  type ManagementCall,
} from "./call.ts";
import { decodeRecord, optional, readNat64, readPrincipal, readText, required } from "./candid-decode.ts";
import {
  signWithEcdsa,
  signWithSchnorr,
  thresholdPublicKey,
  vetKdDeriveKey,
  vetKdPublicKey,
} from "./chain-keys.ts";
import { clearChunkStore, storedChunks, uploadChunk } from "./chunks.ts";
import { createCanister, depositCycles, provisionalCreateCanister, provisionalTopUp } from "./create.ts";
import { effectiveCanisterId, isSubnetAdmin } from "./effective-id.ts";
import { fetchLogs } from "./fetch-logs.ts";
import { httpRequest } from "./http-request.ts";
import { continueInstallation, installChunkedCode, installCode } from "./install.ts";
import { deleteCanister, startCanister, stopCanister, uninstall, updateSettings } from "./lifecycle.ts";
import { listCanistersHandler } from "./list-canisters.ts";
import {
  delaysInductionCost,
  managementMethod,
  notByIngress,
  unknownMethod,
  unsupportedMethod,
} from "./methods.ts";
import { loadCanisterSnapshot } from "./snapshot-load.ts";
import {
  readCanisterSnapshotData,
  readCanisterSnapshotMetadata,
  uploadCanisterSnapshotData,
  uploadCanisterSnapshotMetadata,
} from "./snapshot-transfer.ts";
import { deleteCanisterSnapshot, listCanisterSnapshots, takeCanisterSnapshot } from "./snapshots.ts";
import {
  canisterMetadata,
  encodeCanisterInfo,
  encodeCanisterMetrics,
  encodeCanisterStatus,
} from "./status.ts";
import { nodeMetricsHistory, renameCanister, subnetInfo, subnetMetrics } from "./subnet.ts";
import { encodeMetadata } from "./types.ts";

export interface ManagementBudget {
  /** Instructions left for management calls in this round, overheads included. */
  instructions: bigint;
  /** Of these, for calls that execute much. */
  heavy: bigint;
}

export function managementBudget({ instructionsPerRound }: ExecutionLimits): ManagementBudget {
  return {
    instructions: instructionsPerRound,
    heavy: maxOf(instructionsPerRound / MANAGEMENT_INSTRUCTIONS_SHARE, 1n),
  };
}

/** Calls that execute much (the replica's `counts_toward_round_limit`). */
const HEAVY: ReadonlySet<string> = new Set([
  "install_code",
  "install_chunked_code",
  "upload_chunk",
  "take_canister_snapshot",
  "load_canister_snapshot",
]);

const canisterStatus: Handler = (round, call) => {
  const found = controlled(round, call, () => null);
  if (!found.ok) return failure(found.error);
  const { meta, queryStats } = found.value.canister;
  return { kind: "reply", data: encodeCanisterStatus(round.state.subnet, meta, queryStats) };
};

const canisterMetrics: Handler = (round, call) => {
  const found = controlled(round, call, () => null);
  if (!found.ok) return failure(found.error);
  return { kind: "reply", data: encodeCanisterMetrics(found.value.canister.consumed) };
};

const canisterInfo: Handler = (round, call) => {
  const decoded = decodeArg(call, (record) => ({
    id: required(record, "canister_id", readPrincipal),
    requested: optional(record, "num_requested_changes", readNat64) ?? 0n,
  }));
  if (!decoded.ok) return failure(decoded.error);
  const canister = findCanister(round, decoded.value.id);
  if (!canister.ok) return failure(canister.error);
  return { kind: "reply", data: encodeCanisterInfo(canister.value, decoded.value.requested) };
};

const metadata: Handler = (round, call) => {
  const decoded = decodeArg(call, (record) => ({
    id: required(record, "canister_id", readPrincipal),
    name: required(record, "name", readText),
  }));
  if (!decoded.ok) return failure(decoded.error);
  const canister = findCanister(round, decoded.value.id);
  if (!canister.ok) return failure(canister.error);
  const section = canisterMetadata(canister.value.meta, call.sender, decoded.value.name);
  return section.ok ? { kind: "reply", data: encodeMetadata(section.value.content) } : failure(section.error);
};

/** Randomness of the round after the one in which it was asked for: nobody could know it then. */
const rawRand: Handler = (round, call) => {
  assert(call.origin.kind === "call", "raw_rand is for canisters only");
  const decoded = decodeArg(call, () => null);
  if (!decoded.ok) return failure(decoded.error);
  const { from, callbackId } = call.origin;
  const { state } = round;
  state.pendingManagement.push({
    kind: "raw_rand",
    from,
    callbackId,
    refund: call.cycles,
    height: state.height,
  });
  return { kind: "pending" };
};

const HANDLERS: ReadonlyMap<string, Handler> = new Map([
  ["create_canister", createCanister],
  ["update_settings", updateSettings],
  ["upload_chunk", uploadChunk],
  ["clear_chunk_store", clearChunkStore],
  ["stored_chunks", storedChunks],
  ["install_code", installCode],
  ["install_chunked_code", installChunkedCode],
  ["uninstall_code", uninstall],
  ["start_canister", startCanister],
  ["stop_canister", stopCanister],
  ["canister_status", canisterStatus],
  ["canister_metrics", canisterMetrics],
  ["canister_info", canisterInfo],
  ["canister_metadata", metadata],
  ["delete_canister", deleteCanister],
  ["deposit_cycles", depositCycles],
  ["raw_rand", rawRand],
  ["http_request", httpRequest],
  ["bitcoin_get_balance", notConnected],
  ["bitcoin_get_utxos", notConnected],
  ["bitcoin_send_transaction", notConnected],
  ["bitcoin_get_current_fee_percentiles", notConnected],
  ["bitcoin_get_block_headers", notConnected],
  ["ecdsa_public_key", thresholdPublicKey],
  ["sign_with_ecdsa", signWithEcdsa],
  ["schnorr_public_key", thresholdPublicKey],
  ["sign_with_schnorr", signWithSchnorr],
  ["vetkd_public_key", vetKdPublicKey],
  ["vetkd_derive_key", vetKdDeriveKey],
  ["node_metrics_history", nodeMetricsHistory],
  ["subnet_info", subnetInfo],
  ["subnet_metrics", subnetMetrics],
  ["fetch_canister_logs", fetchLogs],
  ["list_canisters", listCanistersHandler],
  ["rename_canister", renameCanister],
  ["take_canister_snapshot", takeCanisterSnapshot],
  ["load_canister_snapshot", loadCanisterSnapshot],
  ["list_canister_snapshots", listCanisterSnapshots],
  ["delete_canister_snapshot", deleteCanisterSnapshot],
  ["read_canister_snapshot_metadata", readCanisterSnapshotMetadata],
  ["read_canister_snapshot_data", readCanisterSnapshotData],
  ["upload_canister_snapshot_metadata", uploadCanisterSnapshotMetadata],
  ["upload_canister_snapshot_data", uploadCanisterSnapshotData],
  ["provisional_create_canister_with_cycles", provisionalCreateCanister],
  ["provisional_top_up_canister", provisionalTopUp],
]);

/** Calls that only canisters make, to whatever subnet, and that are about one canister. */
const ABOUT_CANISTERS: ReadonlySet<string> = new Set([
  "canister_info",
  "canister_metadata",
  "deposit_cycles",
]);

function isInstallation(method: string): boolean {
  return method === "install_code" || method === "install_chunked_code";
}

/** Gives the installation under way its slice; there is at most one. */
export function continueInstallations(round: Round, budget: ManagementBudget): void {
  const { state, index } = round;
  for (const key of [...index.running].sort()) {
    const canister = state.canisters.get(key) as CanisterState;
    if (canister.running?.kind !== "install") continue;
    const { call, answer } = continueInstallation(round, canister, canister.running);
    budget.heavy -= answer.instructions ?? 0n;
    if (answer.kind !== "pending") give(round, call, answer);
  }
}

function installationUnderWay({ state, index }: Round): boolean {
  for (const key of index.running) if (state.canisters.get(key)?.running?.kind === "install") return true;
  return false;
}

/** Whether a call may run now; otherwise it keeps its place in the queue. */
function mayRun(round: Round, budget: ManagementBudget, input: IngressInput | RequestInput): boolean {
  const { methodName } = input;
  if (HEAVY.has(methodName) && budget.heavy <= 0n) return false;
  if (round.index.running.size === 0) return true;
  if (isInstallation(methodName) && installationUnderWay(round)) return false;
  const about = subjectOf(methodName, input.kind === "ingress" ? input.arg : input.payload);
  return about === null || !round.index.running.has(principalKey(about));
}

/** The canister that a call is about, if any. */
function subjectOf(methodName: string, arg: Uint8Array): Principal | null {
  if (ABOUT_CANISTERS.has(methodName)) {
    const named = decodeRecord(arg, (record) => required(record, "canister_id", readPrincipal));
    return named.ok ? named.value : null;
  }
  const effective = effectiveCanisterId(methodName, arg);
  return effective.ok ? effective.value : null;
}

/** Whether a call is left that the next round can run without giving slices to what is under way. */
export function managementWaits(round: Round): boolean {
  const { state, limits } = round;
  const budget = managementBudget(limits);
  return state.managementQueue.some((input) => mayRun(round, budget, input));
}

/** A best-effort call whose caller was told at the deadline: it only brings its cycles back. */
function isExpired(round: Round, input: IngressInput | RequestInput): boolean {
  if (input.kind === "ingress" || !hasPassed(input.deadline, round.state.time)) return false;
  refundLater(round, input.from, input.cycles);
  return true;
}

export function runManagement(round: Round, budget: ManagementBudget): void {
  const queue = round.state.managementQueue;
  const waiting: (IngressInput | RequestInput)[] = [];
  let done = 0;
  while (done < queue.length && budget.instructions > 0n) {
    const input = queue[done++] as IngressInput | RequestInput;
    if (!mayRun(round, budget, input)) {
      waiting.push(input);
      continue;
    }
    countManagement(round.index.management, input, -1);
    if (isExpired(round, input)) continue;
    const instructions = executeManagement(round, input);
    budget.instructions -= instructions + round.limits.overheadPerMessage;
    if (HEAVY.has(input.methodName)) budget.heavy -= instructions;
  }
  queue.splice(0, done, ...waiting);
}

/** Runs one call and answers it; returns the instructions it counts for. */
function executeManagement(round: Round, input: IngressInput | RequestInput): bigint {
  const call: ManagementCall =
    input.kind === "ingress"
      ? {
          method: input.methodName,
          arg: input.arg,
          sender: input.sender,
          cycles: 0n,
          origin: { kind: "ingress", requestId: input.requestId },
        }
      : {
          method: input.methodName,
          arg: input.payload,
          sender: input.from,
          cycles: input.cycles,
          origin: { kind: "call", from: input.from, callbackId: input.callbackId },
        };
  const answer = dispatch(round, call);
  if (input.kind === "ingress" && delaysInductionCost(input.methodName, input.arg))
    chargeDelayed(round, input);
  give(round, call, answer);
  return answer.instructions ?? 0n;
}

function dispatch(round: Round, call: ManagementCall): ManagementAnswer {
  const method = managementMethod(call.method);
  if (method === null) return failure(unknownMethod(call.method));
  const byAdmin = call.method === "create_canister" && isSubnetAdmin(round.state.subnet, call.sender);
  if (call.origin.kind === "ingress" && !method.ingress && !byAdmin)
    return failure(notByIngress(call.method));
  const remote =
    call.origin.kind === "call" ? remoteCallerError(round.state.subnet, call.origin.from, call.method) : null;
  if (remote !== null) return failure(remote);
  const handler = HANDLERS.get(call.method);
  if (!method.supported || handler === undefined) return failure(unsupportedMethod(call.method));
  return handler(round, call);
}

function give(round: Round, call: ManagementCall, answer: ManagementAnswer): void {
  const { state, index } = round;
  const { origin } = call;
  if (answer.kind === "pending") {
    if (origin.kind === "ingress") markProcessing(round, origin.requestId);
    return;
  }
  if (answer.kind === "reject") {
    assert(origin.kind === "call", `${call.method} rejects callers that are canisters only`);
    const payload = routingReject(answer.code, answer.message);
    answerRequest(round, origin, { from: MANAGEMENT_CANISTER, payload, refund: call.cycles });
    return;
  }
  if (origin.kind === "ingress") {
    const status =
      answer.kind === "reply"
        ? ({ kind: "replied", reply: answer.data } as const)
        : statusFromError(answer.error);
    if (setStatus(state, index, origin.requestId, status)) round.answered.push(origin.requestId);
    return;
  }
  const keeps = answer.kind === "reply" ? (answer.keeps ?? 0n) : 0n;
  answerRequest(round, origin, {
    from: MANAGEMENT_CANISTER,
    payload: answer.kind === "reply" ? { kind: "reply", data: answer.data } : rejectFromError(answer.error),
    refund: call.cycles - keeps,
  });
}

/** A call that is answered later shows as processing, unless it was answered at once. */
function markProcessing(round: Round, requestId: Uint8Array): void {
  const entry = round.state.ingressHistory.get(toHex(requestId));
  if (entry?.status.kind !== "received") return;
  setStatus(round.state, round.index, requestId, { kind: "processing" });
}

/** What induction did not charge, for argument and method name alone (as the replica), as far as the canister can pay it. */
function chargeDelayed(round: Round, input: IngressInput): void {
  const effective = effectiveCanisterId(input.methodName, input.arg);
  if (!effective.ok || effective.value === null) return;
  const canister = findCanister(round, effective.value);
  if (!canister.ok) return;
  const bytes = input.arg.length + utf8(input.methodName).length;
  const amount = minOf(ingressInductionCost(round.state.subnet, bytes), canister.value.meta.cycles);
  charge(round.state, canister.value, { amount, use: "ingress_induction" });
  touch(round.state, canister.value);
}

/**
 * Removal of a canister's code and state (interface spec, "IC Management Canister: Uninstalling code", "Canister out of cycles"):
 * open calls are rejected with their cycles, contexts stay as deleted until late responses came in. Balance, controllers, settings
 * and status stay; what else goes depends on why.
 */
import { principalKey } from "@orrery/base";
import { type CanisterState, canisterKey, touch } from "@orrery/state";
import type { Round } from "../scheduler/round.ts";
import { closeIfDone, respond } from "./contexts.ts";
import { deliverMessages, settleOutbox } from "./delivery.ts";
import { newOutbox } from "./outbox.ts";

/** Uninstalls; the caller records history and answers its request. */
export function uninstallCode(round: Round, canister: CanisterState): void {
  const outbox = newOutbox();
  const contexts = [...canister.callContexts.values()].sort((a, b) => a.id - b.id);
  for (const context of contexts) {
    if (context.needsToRespond) {
      respond(outbox, canister, context, { kind: "reject", message: "Canister has been uninstalled." });
    }
    context.deleted = true;
    closeIfDone(canister, context);
  }
  clearCode(round, canister);
  clearChunks(round, canister);
  canister.meta.version++;
  settleOutbox(round, canister, outbox);
  deliverMessages(round, outbox);
}

/** Gives module, pages and instance back; the record is about to be cleared or dropped. */
export function releaseMemory(round: Round, canister: CanisterState): void {
  const { meta, memory } = canister;
  if (meta.module !== null) round.state.blobs.release(meta.module.blob);
  for (const id of memory.heap.clear()) round.arena.retire(id);
  for (const id of memory.stable.clear()) round.arena.retire(id);
  round.runner.evict(meta.id);
}

function clearCode(round: Round, canister: CanisterState): void {
  const { meta } = canister;
  releaseMemory(round, canister);
  meta.module = null;
  meta.installedAt = null;
  meta.globals = [];
  meta.heapPages = 0;
  meta.stablePages = 0;
  meta.certifiedData = new Uint8Array(0);
  meta.globalTimer = 0n;
  meta.lowMemoryHook = "not_satisfied";
  meta.customSectionBytes = 0;
  clearLogs(round, canister);
}

export function clearLogs(round: Round, canister: CanisterState): void {
  if (canister.logs.length === 0) return;
  canister.logs = [];
  canister.meta.logBytes = 0;
  round.index.logsChanged.add(principalKey(canister.meta.id));
}

/** Empties the chunk store and gives its blobs back. */
export function clearChunks(round: Round, canister: CanisterState): void {
  for (const key of [...canister.chunks.keys()].sort()) round.state.blobs.release(key);
  canister.chunks.clear();
  canister.meta.chunkStoreBytes = 0;
  touch(round.state, canister);
  round.index.refresh(canisterKey(canister), canister);
}

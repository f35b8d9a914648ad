/**
 * Snapshots of a canister (interface spec, "take_canister_snapshot", "load_canister_snapshot", "list_canister_snapshots",
 * "delete_canister_snapshot"). Order of checks, prices and texts are the replica's. Nothing of a refused call remains.
 */
import { err, ok, principalKey, type Result } from "@orrery/base";
import {
  addSnapshot,
  type CanisterSnapshot,
  type CanisterState,
  type InstalledModule,
  PageTable,
  removeSnapshot,
  shareTable,
  snapshotId,
  snapshotKey,
  touch,
} from "@orrery/state";
import type { UserError } from "../error-codes.ts";
import { SNAPSHOTS_MAX } from "../limits.ts";
import { uninstallCode } from "../messaging/uninstall.ts";
import type { Round } from "../scheduler/round.ts";
import { EMPTY_REPLY } from "../scheduler/stopping.ts";
import { controlled, failure, type Handler, historyOrigin } from "./call.ts";
import { optional, readBool, readNat64, required } from "./candid-decode.ts";
import { planWork, settleWork, workCycles } from "./growth.ts";
import { recordChange } from "./history.ts";
import {
  emptyCanister,
  notItsSnapshot,
  snapshotNotFound,
  snapshotOwner,
  tooManySnapshots,
} from "./snapshot-errors.ts";
import { encodeSnapshot, encodeSnapshots, readSnapshotId } from "./snapshot-types.ts";

const GLOBAL_BYTES = 8;
const WASM_PAGE_BYTES = 65_536;

/** What a snapshot of these parts is stored and paid as; chunks count as full ones. */
export function snapshotSizeBytes(parts: {
  readonly moduleBytes: number;
  readonly heapPages: number;
  readonly stablePages: number;
  readonly globals: number;
  readonly certifiedDataBytes: number;
  readonly chunkStoreBytes: number;
}): number {
  return (
    parts.moduleBytes +
    (parts.heapPages + parts.stablePages) * WASM_PAGE_BYTES +
    parts.globals * GLOBAL_BYTES +
    parts.certifiedDataBytes +
    parts.chunkStoreBytes
  );
}

/** The canister's own snapshot of that id. */
export function findSnapshot(
  round: Round,
  canister: CanisterState,
  id: Uint8Array,
): Result<CanisterSnapshot, UserError> {
  const snapshot = round.state.snapshots.get(snapshotKey(id));
  if (snapshot === undefined) return err(snapshotNotFound(canister.meta.id, id));
  if (principalKey(snapshotOwner(id)) !== principalKey(canister.meta.id))
    return err(notItsSnapshot(canister.meta.id, id));
  return ok(snapshot);
}

/** Bytes that go when a new snapshot takes another one's place; without one there must be room for it. */
export function replacedBytes(
  round: Round,
  canister: CanisterState,
  replaced: Uint8Array | null,
): Result<number, UserError> {
  if (replaced === null) {
    if (canister.snapshots.length >= SNAPSHOTS_MAX)
      return err(tooManySnapshots(canister.meta.id, SNAPSHOTS_MAX));
    return ok(0);
  }
  const found = findSnapshot(round, canister, replaced);
  return found.ok ? ok(found.value.sizeBytes) : found;
}

export function dropSnapshot(round: Round, canister: CanisterState, id: Uint8Array): void {
  removeSnapshot(round.state, canister, { key: snapshotKey(id), pages: round.arena });
}

export function afterSnapshotChange(round: Round, canister: CanisterState): void {
  touch(round.state, canister);
  round.index.refresh(principalKey(canister.meta.id), canister);
}

export const takeCanisterSnapshot: Handler = (round, call) => {
  const found = controlled(round, call, (record) => ({
    replaced: optional(record, "replace_snapshot", readSnapshotId),
    uninstall: optional(record, "uninstall_code", readBool) ?? false,
    senderVersion: optional(record, "sender_canister_version", readNat64),
  }));
  if (!found.ok) return failure(found.error);
  const { canister, args } = found.value;
  const { meta } = canister;
  const replaced = replacedBytes(round, canister, args.replaced);
  if (!replaced.ok) return failure(replaced.error);
  const sizeBytes = snapshotSizeBytes({
    moduleBytes: meta.module?.bytes ?? 0,
    heapPages: meta.heapPages,
    stablePages: meta.stablePages,
    globals: meta.globals.length,
    certifiedDataBytes: meta.certifiedData.length,
    chunkStoreBytes: meta.chunkStoreBytes,
  });
  const instructions = round.limits.snapshotInstructions + BigInt(sizeBytes);
  const cycles = workCycles(round, instructions);
  const kept = { ...meta, snapshotBytes: meta.snapshotBytes + sizeBytes - replaced.value };
  const after = args.uninstall
    ? {
        ...kept,
        module: null,
        globals: [],
        heapPages: 0,
        stablePages: 0,
        customSectionBytes: 0,
        chunkStoreBytes: 0,
        logBytes: 0,
      }
    : kept;
  const plan = planWork(round, { before: meta, after, cycles, sender: call.sender });
  if (!plan.ok) return failure(plan.error);
  if (meta.module === null) return failure(emptyCanister(meta.id));
  const snapshot = capture(round, canister, { module: meta.module, sizeBytes });
  if (args.replaced !== null) dropSnapshot(round, canister, args.replaced);
  addSnapshot(round.state, canister, snapshot);
  if (args.uninstall) {
    uninstallCode(round, canister);
    recordChange(canister, {
      time: round.state.time,
      origin: historyOrigin(call, args.senderVersion),
      details: { kind: "code_uninstall" },
    });
  }
  settleWork(round, canister, plan.value);
  afterSnapshotChange(round, canister);
  return { kind: "reply", data: encodeSnapshot(snapshot), instructions };
};

/** The canister as it stands, its blobs and pages held once more. */
function capture(
  round: Round,
  canister: CanisterState,
  options: { readonly module: InstalledModule; readonly sizeBytes: number },
): CanisterSnapshot {
  const { state, arena } = round;
  const { meta, memory, chunks } = canister;
  const { module, sizeBytes } = options;
  state.blobs.retain(module.blob);
  for (const key of chunks.keys()) state.blobs.retain(key);
  return {
    id: snapshotId(meta.id, canister.nextSnapshot),
    canisterId: meta.id,
    source: "taken_from_canister",
    takenAt: state.time,
    canisterVersion: meta.version,
    sizeBytes,
    module: { blob: module.blob, bytes: module.bytes },
    globals: module.globalTypes.map((type, i) => ({ type, bits: meta.globals[i] ?? 0n })),
    heapPages: meta.heapPages,
    stablePages: meta.stablePages,
    certifiedData: meta.certifiedData,
    globalTimer: meta.globalTimer,
    lowMemoryHook: meta.lowMemoryHook,
    chunks: new Map(chunks),
    memory: {
      heap: shareTable(memory.heap, arena),
      stable: shareTable(memory.stable, arena),
      module: new PageTable(),
    },
  };
}

export const listCanisterSnapshots: Handler = (round, call) => {
  const found = controlled(round, call, () => null);
  if (!found.ok) return failure(found.error);
  const snapshots = found.value.canister.snapshots.map(
    (key) => round.state.snapshots.get(key) as CanisterSnapshot,
  );
  return { kind: "reply", data: encodeSnapshots(snapshots) };
};

export const deleteCanisterSnapshot: Handler = (round, call) => {
  const found = controlled(round, call, (record) => required(record, "snapshot_id", readSnapshotId));
  if (!found.ok) return failure(found.error);
  const { canister, args: id } = found.value;
  const snapshot = findSnapshot(round, canister, id);
  if (!snapshot.ok) return failure(snapshot.error);
  dropSnapshot(round, canister, id);
  afterSnapshotChange(round, canister);
  return { kind: "reply", data: EMPTY_REPLY };
};

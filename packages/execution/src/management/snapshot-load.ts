/**
 * "load_canister_snapshot" (interface spec): the canister becomes what the snapshot says, module, memories, globals, certified
 * data and chunk store; balance, settings, status, calls and history stay. An upload also says timer and low-memory hook, and is
 * held against the module that it contains. Refused loads cost nothing.
 */
import { assert, err, ok, type Principal, principalKey, type Result } from "@orrery/base";
import {
  type BlobKey,
  type CanisterMeta,
  type CanisterSnapshot,
  type CanisterState,
  replaceMemory,
  snapshotKey,
} from "@orrery/state";
import type { UserError } from "../error-codes.ts";
import { CHUNK_BYTES_MAX } from "../limits.ts";
import { lowMemoryCondition, updateLowMemoryHook } from "../messaging/low-memory.ts";
import type { Round } from "../scheduler/round.ts";
import { EMPTY_REPLY } from "../scheduler/stopping.ts";
import { aboutCanister } from "../system-api/failure.ts";
import type { CompiledUpload } from "../types.ts";
import { controlled, failure, findCanister, type Handler, historyOrigin } from "./call.ts";
import { optional, readNat64, required } from "./candid-decode.ts";
import { isController } from "./effective-id.ts";
import { planWork, settleWork, workCycles } from "./growth.ts";
import { recordChange } from "./history.ts";
import { customSectionsError, sectionsLeft } from "./memory.ts";
import { inconsistent, notSnapshotController, snapshotNotFound, snapshotOwner } from "./snapshot-errors.ts";
import { readBytes } from "./snapshot-pages.ts";
import { hookName, readSnapshotId } from "./snapshot-types.ts";
import { afterSnapshotChange } from "./snapshots.ts";

export const loadCanisterSnapshot: Handler = (round, call) => {
  const found = controlled(round, call, (record) => ({
    id: required(record, "snapshot_id", readSnapshotId),
    senderVersion: optional(record, "sender_canister_version", readNat64),
  }));
  if (!found.ok) return failure(found.error);
  const { canister, args } = found.value;
  const loadable = loadableSnapshot(round, canister, { id: args.id, sender: call.sender });
  if (!loadable.ok) return failure(loadable.error);
  const snapshot = loadable.value;
  const before = canister.meta;
  const baseline = workCycles(round, round.limits.snapshotInstructions);
  const started = planWork(round, { before, after: before, cycles: baseline, sender: call.sender });
  if (!started.ok) return failure(started.error);
  const compiled = compileModule(round, canister, snapshot);
  // Nobody pays for it, but a round has room for few such modules.
  if (!compiled.ok) return failure(compiled.error, BigInt(snapshot.module.bytes));
  const { instructions } = compiled.value.upload;
  const sections = compiled.value.upload.customSectionBytes - before.customSectionBytes;
  const room = sectionsLeft(round);
  if (sections > room) return failure(customSectionsError(sections, room), instructions);
  const after = metaAfter(round, canister, { snapshot, upload: compiled.value.upload });
  const refused = contradiction(snapshot, { after, upload: compiled.value.upload });
  if (refused !== null) return failure(refused, instructions);
  const work = workCycles(round, instructions + BigInt(snapshot.sizeBytes), after.module?.is64 ?? false);
  const paid = { ...after, cycles: after.cycles - baseline };
  const plan = planWork(round, { before, after: paid, cycles: work, sender: call.sender });
  if (!plan.ok) return failure(plan.error, instructions);
  adopt(round, canister, { snapshot, after, module: compiled.value.bytes });
  settleWork(round, canister, started.value);
  settleWork(round, canister, plan.value);
  recordChange(canister, {
    time: round.state.time,
    origin: historyOrigin(call, args.senderVersion),
    details: {
      kind: "load_snapshot",
      snapshotId: snapshot.id,
      canisterVersion: snapshot.canisterVersion,
      takenAt: snapshot.takenAt,
      source: snapshot.source,
      fromCanister:
        principalKey(snapshot.canisterId) === principalKey(canister.meta.id) ? null : snapshot.canisterId,
    },
  });
  afterSnapshotChange(round, canister);
  return { kind: "reply", data: EMPTY_REPLY, instructions: instructions + round.limits.snapshotInstructions };
};

/** A snapshot of another canister of this subnet is for those who control that one as well. */
function loadableSnapshot(
  round: Round,
  canister: CanisterState,
  options: { readonly id: Uint8Array; readonly sender: Principal },
): Result<CanisterSnapshot, UserError> {
  const { id, sender } = options;
  const snapshot = round.state.snapshots.get(snapshotKey(id));
  if (snapshot === undefined) return err(snapshotNotFound(canister.meta.id, id));
  if (principalKey(snapshotOwner(id)) === principalKey(canister.meta.id)) return ok(snapshot);
  const owner = findCanister(round, snapshot.canisterId);
  if (!owner.ok) return owner;
  if (!isController(owner.value.meta, sender))
    return err(notSnapshotController(canister.meta.id, id, sender));
  return ok(snapshot);
}

interface CompiledModule {
  readonly upload: CompiledUpload;
  readonly bytes: Uint8Array;
}

function compileModule(
  round: Round,
  canister: CanisterState,
  snapshot: CanisterSnapshot,
): Result<CompiledModule, UserError> {
  const { blob, bytes: length } = snapshot.module;
  const bytes =
    blob === null
      ? readBytes(snapshot.memory.module, round.arena, { offset: 0, length })
      : round.state.blobs.get(blob);
  const compiled = round.runner.compile(bytes);
  return compiled.ok
    ? ok({ upload: compiled.value, bytes })
    : err(aboutCanister(canister.meta.id, compiled.error));
}

/** What the canister will be; version and history follow. */
function metaAfter(
  round: Round,
  canister: CanisterState,
  options: { readonly snapshot: CanisterSnapshot; readonly upload: CompiledUpload },
): CanisterMeta {
  const { snapshot, upload } = options;
  const { meta } = canister;
  const uploaded = snapshot.source === "metadata_upload";
  return {
    ...meta,
    module: upload.module,
    customSectionBytes: upload.customSectionBytes,
    installedAt: round.state.time,
    globals: snapshot.globals.map(({ bits }) => bits),
    heapPages: snapshot.heapPages,
    stablePages: snapshot.stablePages,
    certifiedData: snapshot.certifiedData,
    chunkStoreBytes: snapshot.chunks.size * CHUNK_BYTES_MAX,
    globalTimer: uploaded ? (snapshot.globalTimer ?? meta.globalTimer) : meta.globalTimer,
    lowMemoryHook: uploaded ? (snapshot.lowMemoryHook ?? meta.lowMemoryHook) : meta.lowMemoryHook,
  };
}

/** What an upload claims must be what its module has; what was taken is right by itself. */
function contradiction(
  snapshot: CanisterSnapshot,
  options: { readonly after: CanisterMeta; readonly upload: CompiledUpload },
): UserError | null {
  const { after, upload } = options;
  if (snapshot.source === "taken_from_canister") return null;
  const types = upload.module.globalTypes;
  if (
    types.length !== snapshot.globals.length ||
    types.some((type, i) => type !== snapshot.globals[i]?.type)
  ) {
    return inconsistent("Wasm exported globals of canister module and snapshot metadata do not match.");
  }
  const low = lowMemoryCondition(after);
  const hook = snapshot.lowMemoryHook;
  if (hook !== null && (hook === "not_satisfied") === low) {
    return inconsistent(
      `Hook status (Some(${hookName(hook)})) of uploaded snapshot is inconsistent with the canister's state ` +
        `(hook condition satisfied: ${low}).`,
    );
  }
  return memoryContradiction(snapshot, upload);
}

/** The engine has no memory smaller than the module asks for, or larger than it allows; the replica does not say what it does. */
function memoryContradiction(snapshot: CanisterSnapshot, { memory }: CompiledUpload): UserError | null {
  const { minPages, maxPages } = memory ?? { minPages: 0, maxPages: 0 };
  if (snapshot.heapPages >= minPages && snapshot.heapPages <= maxPages) return null;
  return inconsistent(
    `Wasm memory of ${snapshot.heapPages} pages in snapshot metadata does not fit the canister module, which has ` +
      `${minPages} to ${maxPages}.`,
  );
}

/** Memories, module and chunk store change hands; then the record says so. */
function adopt(
  round: Round,
  canister: CanisterState,
  options: {
    readonly snapshot: CanisterSnapshot;
    readonly after: CanisterMeta;
    readonly module: Uint8Array;
  },
): void {
  const { state, arena } = round;
  const { snapshot, after, module } = options;
  const { meta } = canister;
  const old: BlobKey[] = [...canister.chunks.keys()].sort();
  if (meta.module !== null) old.push(meta.module.blob);
  const blob = state.blobs.put(module);
  assert(after.module?.blob === blob, "the compiled module is the snapshot's");
  canister.chunks.clear();
  for (const [key, chunk] of snapshot.chunks) {
    state.blobs.retain(key);
    canister.chunks.set(key, chunk);
  }
  for (const key of old) state.blobs.release(key);
  replaceMemory(canister.memory, snapshot.memory, arena);
  Object.assign(meta, after);
  meta.version++;
  updateLowMemoryHook(meta);
  round.runner.evict(meta.id);
}

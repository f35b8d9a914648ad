/** The chunk store (interface spec, "upload_chunk" and its neighbours): pieces of a module too large for one message. */
import { fromHex, toHex } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { type CanisterState, canisterKey, touch } from "@orrery/state";
import { outOfCycles, recordConsumed } from "../cycles.ts";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { instructionsCost } from "../fees.ts";
import { CHUNK_BYTES_MAX, CHUNKS_MAX, WASM_MODULE_BYTES_MAX } from "../limits.ts";
import { clearChunks } from "../messaging/uninstall.ts";
import type { Round } from "../scheduler/round.ts";
import { EMPTY_REPLY } from "../scheduler/stopping.ts";
import { controlled, failure, type Handler } from "./call.ts";
import { readBlob, required } from "./candid-decode.ts";
import { takeMemory } from "./memory.ts";
import { encodeChunkHash, encodeChunkHashes } from "./types.ts";

export function chunkStoreError(message: string): UserError {
  return userError(ErrorCode.CanisterContractViolation, `Error from Wasm chunk store: ${message}.`);
}

export const uploadChunk: Handler = (round, call) => {
  const found = controlled(round, call, (record) => required(record, "chunk", readBlob));
  if (!found.ok) return failure(found.error);
  const { canister, args: chunk } = found.value;
  if (chunk.length > CHUNK_BYTES_MAX) {
    return failure(
      chunkStoreError(`Wasm chunk size ${chunk.length} exceeds the maximum chunk size of ${CHUNK_BYTES_MAX}`),
    );
  }
  const hash = sha256(chunk);
  const key = toHex(hash);
  const reply = {
    kind: "reply",
    data: encodeChunkHash(hash),
    instructions: round.limits.uploadChunkInstructions,
  } as const;
  if (canister.chunks.has(key)) return reply;
  if (canister.chunks.size >= CHUNKS_MAX) {
    return failure(
      chunkStoreError(
        `Wasm chunk store has already reached maximum capacity of ${CHUNKS_MAX * CHUNK_BYTES_MAX} bytes`,
      ),
    );
  }
  const refusal = payForChunk(round, canister);
  if (refusal !== null) return failure(refusal);
  round.state.blobs.put(chunk);
  canister.chunks.set(key, { bytes: chunk.length });
  canister.meta.chunkStoreBytes += CHUNK_BYTES_MAX;
  touch(round.state, canister);
  round.index.refresh(canisterKey(canister), canister);
  return reply;
};

/** Storing counts as instructions, and the grown store must leave the canister unfrozen. */
function payForChunk(round: Round, canister: CanisterState): UserError | null {
  const { state } = round;
  const { meta } = canister;
  const cost = instructionsCost(state.subnet, round.limits.uploadChunkInstructions, false);
  const paid = { ...meta, cycles: meta.cycles - cost };
  if (paid.cycles < 0n) return outOfCycles(meta, { requested: cost, threshold: 0n, reveal: true });
  const refusal = takeMemory(round, meta, {
    ...paid,
    chunkStoreBytes: meta.chunkStoreBytes + CHUNK_BYTES_MAX,
  });
  if (refusal !== null) return refusal;
  meta.cycles -= cost;
  recordConsumed(state, canister, cost, "instructions");
  return null;
}

export const clearChunkStore: Handler = (round, call) => {
  const found = controlled(round, call, () => null);
  if (!found.ok) return failure(found.error);
  clearChunks(round, found.value.canister);
  return { kind: "reply", data: EMPTY_REPLY };
};

export const storedChunks: Handler = (round, call) => {
  const found = controlled(round, call, () => null);
  if (!found.ok) return failure(found.error);
  const keys = [...found.value.canister.chunks.keys()].sort();
  return { kind: "reply", data: encodeChunkHashes(keys.map(fromHex)) };
};

/** Puts a module together from a canister's chunks; the replica's texts when it cannot. */
export function assembleModule(
  round: Round,
  store: CanisterState,
  options: { readonly hashes: readonly Uint8Array[]; readonly moduleHash: Uint8Array },
): { readonly ok: true; readonly value: Uint8Array } | { readonly ok: false; readonly error: UserError } {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (const hash of options.hashes) {
    if (hash.length !== 32)
      return { ok: false, error: chunkStoreError("Chunk hash is invalid. The length is not 32") };
    const key = toHex(hash);
    if (!store.chunks.has(key)) {
      const text = `Chunk hash [${[...hash].join(", ")}] was not found`;
      return { ok: false, error: chunkStoreError(text) };
    }
    const part = round.state.blobs.get(key);
    parts.push(part);
    length += part.length;
    if (length > WASM_MODULE_BYTES_MAX) {
      return { ok: false, error: chunkStoreError(`The module has more than ${WASM_MODULE_BYTES_MAX} bytes`) };
    }
  }
  const module = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    module.set(part, at);
    at += part.length;
  }
  const actual = sha256(module);
  if (toHex(actual) === toHex(options.moduleHash)) return { ok: true, value: module };
  const text = `Wasm module hash [${[...actual].join(", ")}] does not match given hash [${[...options.moduleHash].join(", ")}]`;
  return { ok: false, error: chunkStoreError(text) };
}

/**
 * The methods on chain keys (interface spec, "ecdsa_public_key", "sign_with_ecdsa", "schnorr_public_key", "sign_with_schnorr",
 * "vetkd_public_key", "vetkd_derive_key"): checks, fees, queues. Public keys are answered at once; signatures and derived keys in
 * the round after, from what the state keeps of the request. Which keys a subnet holds is part of its record; their secrets come
 * with the execution, in subnets of one node of local networks only. Texts are the replica's, without error codes before them, as
 * it rejects calls to the management canister.
 */
import { assert, assertNever, type CanisterId, err, ok, principalToText, type Result } from "@orrery/base";
import type { ChainKeys } from "@orrery/crypto/chain-keys";
import type { ChainKeyId, PendingManagementCall } from "@orrery/state";
import { recordConsumed } from "../cycles.ts";
import { chainKeyFee } from "../fees.ts";
import {
  DERIVATION_PATH_LENGTH_MAX,
  DERIVATION_STEP_INSTRUCTIONS,
  SIGNATURE_INSTRUCTIONS,
  SIGNATURE_QUEUE_CAPACITY,
  VETKD_KEY_INSTRUCTIONS,
  VETKD_PUBLIC_KEY_INSTRUCTIONS,
} from "../limits.ts";
import type { Round } from "../scheduler/round.ts";
import { routerOf } from "../streams/routing.ts";
import { decodeArg, failure, type Handler, type ManagementAnswer, type ManagementCall } from "./call.ts";
import {
  type CandidRecord,
  optional,
  readBlob,
  readPrincipal,
  readRecord,
  readVariant,
  readVec,
  required,
} from "./candid-decode.ts";
import { chainKeyText, readChainKey } from "./chain-key-id.ts";
import { invalidPayload } from "./methods.ts";
import {
  encodeEncryptedKey,
  encodeExtendedKey,
  encodeSignature,
  encodeVetKdPublicKey,
  groupedDigits,
} from "./outside-types.ts";

/** A compressed point of G1. */
const TRANSPORT_KEY_BYTES = 48;
const MESSAGE_HASH_BYTES = 32;
const MERKLE_ROOT_BYTES = 32;

function reject(message: string): ManagementAnswer {
  return { kind: "reject", code: 4, message };
}

/** The secrets, if this subnet holds the key; otherwise what the caller is told. */
function heldKey(round: Round, key: ChainKeyId): Result<ChainKeys, ManagementAnswer> {
  const { subnet } = round.state;
  const text = chainKeyText(key);
  const held = (subnet.chainKeys ?? []).some((one) => chainKeyText(one) === text);
  if (held && round.chainKeys !== null) return ok(round.chainKeys);
  return err(reject(`Subnet ${principalToText(subnet.subnetId)} does not hold threshold key ${text}.`));
}

/** Where a call came from; only canisters make these. */
function callerOf(call: ManagementCall): { readonly from: CanisterId; readonly callbackId: number } {
  assert(call.origin.kind === "call", `${call.method} is for canisters only`);
  return { from: call.origin.from, callbackId: call.origin.callbackId };
}

function readPath(record: CandidRecord): readonly Uint8Array[] {
  return required(record, "derivation_path", readVec(readBlob, DERIVATION_PATH_LENGTH_MAX));
}

/** The canister's step and those of the path. */
function pathInstructions(path: readonly Uint8Array[]): bigint {
  return DERIVATION_STEP_INSTRUCTIONS * BigInt(path.length + 1);
}

/** `ecdsa_public_key` and `schnorr_public_key`. */
export const thresholdPublicKey: Handler = (round, call) => {
  const kind = call.method === "ecdsa_public_key" ? "ecdsa" : "schnorr";
  const decoded = decodeArg(call, (record) => ({
    key: readChainKey(record, kind),
    canisterId: optional(record, "canister_id", readPrincipal) ?? call.sender,
    path: readPath(record),
  }));
  if (!decoded.ok) return failure(decoded.error);
  const { key, canisterId, path } = decoded.value;
  const keys = heldKey(round, key);
  if (!keys.ok) return keys.error;
  const ref = { name: key.name, canisterId, path };
  const derived =
    key.kind === "schnorr" ? keys.value.schnorrPublicKey(key.algorithm, ref) : keys.value.ecdsaPublicKey(ref);
  return { kind: "reply", data: encodeExtendedKey(derived), instructions: pathInstructions(path) };
};

export const vetKdPublicKey: Handler = (round, call) => {
  const decoded = decodeArg(call, (record) => ({
    key: readChainKey(record, "vetkd"),
    canisterId: optional(record, "canister_id", readPrincipal) ?? call.sender,
    context: required(record, "context", readBlob),
  }));
  if (!decoded.ok) return failure(decoded.error);
  const { key, canisterId, context } = decoded.value;
  const keys = heldKey(round, key);
  if (!keys.ok) return keys.error;
  return {
    kind: "reply",
    data: encodeVetKdPublicKey(keys.value.vetKdPublicKey(key.name, canisterId, context)),
    instructions: VETKD_PUBLIC_KEY_INSTRUCTIONS,
  };
};

export const signWithEcdsa: Handler = (round, call) => {
  const decoded = decodeArg(call, (record) => ({
    key: readChainKey(record, "ecdsa"),
    path: readPath(record),
    messageHash: required(record, "message_hash", readBlob),
  }));
  if (!decoded.ok) return failure(decoded.error);
  const { key, path, messageHash } = decoded.value;
  if (messageHash.length !== MESSAGE_HASH_BYTES) {
    return failure(
      invalidPayload(`field message_hash has ${messageHash.length} bytes, not ${MESSAGE_HASH_BYTES}`),
    );
  }
  return enqueue(round, call, key, (common) => ({
    ...common,
    kind: "sign_with_ecdsa",
    keyName: key.name,
    path,
    messageHash,
  }));
};

const readMerkleRoot = readVariant<Uint8Array>({
  bip341: (value, what) => required(readRecord(value, what), "merkle_root_hash", readBlob),
});

export const signWithSchnorr: Handler = (round, call) => {
  const decoded = decodeArg(call, (record) => ({
    key: readChainKey(record, "schnorr"),
    path: readPath(record),
    message: required(record, "message", readBlob),
    merkleRoot: optional(record, "aux", readMerkleRoot),
  }));
  if (!decoded.ok) return failure(decoded.error);
  const { key, path, message, merkleRoot } = decoded.value;
  assert(key.kind === "schnorr", "a Schnorr method was given another key");
  if (merkleRoot !== null) {
    if (key.algorithm === "ed25519") return reject("Schnorr algorithm Ed25519 does not support aux input");
    if (merkleRoot.length !== 0 && merkleRoot.length !== MERKLE_ROOT_BYTES)
      return reject("Invalid aux field for Bip340Secp256k1");
  }
  return enqueue(round, call, key, (common) => ({
    ...common,
    kind: "sign_with_schnorr",
    algorithm: key.algorithm,
    keyName: key.name,
    path,
    message,
    merkleRoot,
  }));
};

export const vetKdDeriveKey: Handler = (round, call) => {
  const decoded = decodeArg(call, (record) => ({
    key: readChainKey(record, "vetkd"),
    context: required(record, "context", readBlob),
    input: required(record, "input", readBlob),
    transportPublicKey: required(record, "transport_public_key", readBlob),
  }));
  if (!decoded.ok) return failure(decoded.error);
  const { key, context, input, transportPublicKey } = decoded.value;
  if (transportPublicKey.length !== TRANSPORT_KEY_BYTES) {
    return failure(
      invalidPayload(
        `field transport_public_key has ${transportPublicKey.length} bytes, not ${TRANSPORT_KEY_BYTES}`,
      ),
    );
  }
  return enqueue(round, call, key, (common) => ({
    ...common,
    kind: "vetkd_derive_key",
    keyName: key.name,
    context,
    input,
    transportPublicKey,
  }));
};

type PendingCommon = Pick<PendingManagementCall, "from" | "callbackId" | "refund" | "height">;

function keyTextOf(call: PendingManagementCall): string | null {
  switch (call.kind) {
    case "raw_rand":
      return null;
    case "sign_with_ecdsa":
      return chainKeyText({ kind: "ecdsa", curve: "secp256k1", name: call.keyName });
    case "sign_with_schnorr":
      return chainKeyText({ kind: "schnorr", algorithm: call.algorithm, name: call.keyName });
    case "vetkd_derive_key":
      return chainKeyText({ kind: "vetkd", curve: "bls12_381_g2", name: call.keyName });
    default:
      return assertNever(call, "pending management call");
  }
}

/** Takes the fee and leaves the request for the next round. */
function enqueue(
  round: Round,
  call: ManagementCall,
  key: ChainKeyId,
  make: (common: PendingCommon) => PendingManagementCall,
): ManagementAnswer {
  const { state } = round;
  const keys = heldKey(round, key);
  if (!keys.ok) return keys.error;
  const caller = callerOf(call);
  const home = routerOf(state.subnet).route(caller.from);
  const fee = chainKeyFee(home === null || home.own ? state.subnet : { type: home.type }, key.name);
  if (call.cycles < fee) {
    return reject(
      `${call.method} request sent with ${groupedDigits(call.cycles)} cycles, ` +
        `but ${groupedDigits(fee)} cycles are required.`,
    );
  }
  const text = chainKeyText(key);
  const waiting = state.pendingManagement.filter((one) => keyTextOf(one) === text).length;
  if (waiting >= SIGNATURE_QUEUE_CAPACITY)
    return reject(`${call.method} request failed: request queue for key ${text} is full.`);
  recordConsumed(state, null, fee, "burned_cycles");
  state.pendingManagement.push(make({ ...caller, refund: call.cycles - fee, height: state.height }));
  return { kind: "pending" };
}

/** What answering counts for in its round. */
export function answerInstructions(call: PendingManagementCall): bigint {
  if (call.kind === "raw_rand") return 0n;
  if (call.kind === "vetkd_derive_key") return VETKD_KEY_INSTRUCTIONS;
  return SIGNATURE_INSTRUCTIONS + pathInstructions(call.path);
}

/** Candid of the answer; null: there is none, since the transport key is no point of the group. */
export function answerOnChainKey(
  keys: ChainKeys,
  call: Exclude<PendingManagementCall, { readonly kind: "raw_rand" }>,
): Uint8Array | null {
  const name = call.keyName;
  switch (call.kind) {
    case "sign_with_ecdsa":
      return encodeSignature(
        keys.signWithEcdsa({ name, canisterId: call.from, path: call.path }, call.messageHash),
      );
    case "sign_with_schnorr": {
      const { message, merkleRoot } = call;
      const ref = { name, canisterId: call.from, path: call.path };
      return encodeSignature(keys.signWithSchnorr(call.algorithm, ref, { message, merkleRoot }));
    }
    case "vetkd_derive_key": {
      const { context, input, transportPublicKey } = call;
      const request = { canisterId: call.from, context, input, transportPublicKey };
      const encrypted = keys.vetKdDeriveKey(name, request);
      return encrypted === null ? null : encodeEncryptedKey(encrypted);
    }
    default:
      return assertNever(call, "call on a chain key");
  }
}

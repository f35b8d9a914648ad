/** Candid of the answers about chain keys and of HTTPS responses (interface spec, `ic.did`). */
import { IDL } from "@icp-sdk/core/candid";
import type { HttpHeader } from "@orrery/state";
import { encodeOne } from "./types.ts";

const Blob = IDL.Vec(IDL.Nat8);
const ExtendedKeyResult = IDL.Record({ public_key: Blob, chain_code: Blob });
const SignatureResult = IDL.Record({ signature: Blob });
const VetKdPublicKeyResult = IDL.Record({ public_key: Blob });
const VetKdDeriveKeyResult = IDL.Record({ encrypted_key: Blob });
const HttpResult = IDL.Record({
  status: IDL.Nat,
  headers: IDL.Vec(IDL.Record({ name: IDL.Text, value: IDL.Text })),
  body: Blob,
});
const TransformArgs = IDL.Record({ response: HttpResult, context: Blob });

export interface HttpResponseData {
  readonly status: number;
  readonly headers: readonly HttpHeader[];
  readonly body: Uint8Array;
}

export function encodeExtendedKey(key: {
  readonly publicKey: Uint8Array;
  readonly chainCode: Uint8Array;
}): Uint8Array {
  return encodeOne(ExtendedKeyResult, { public_key: key.publicKey, chain_code: key.chainCode });
}

export function encodeSignature(signature: Uint8Array): Uint8Array {
  return encodeOne(SignatureResult, { signature });
}

export function encodeVetKdPublicKey(publicKey: Uint8Array): Uint8Array {
  return encodeOne(VetKdPublicKeyResult, { public_key: publicKey });
}

export function encodeEncryptedKey(encryptedKey: Uint8Array): Uint8Array {
  return encodeOne(VetKdDeriveKeyResult, { encrypted_key: encryptedKey });
}

export function encodeHttpResponse(response: HttpResponseData): Uint8Array {
  return encodeOne(HttpResult, { ...response, status: BigInt(response.status) });
}

export function encodeTransformArgs(response: HttpResponseData, context: Uint8Array): Uint8Array {
  return encodeOne(TransformArgs, {
    response: { ...response, status: BigInt(response.status) },
    context,
  });
}

/** 1_234_567, as the replica writes cycles. */
export function groupedDigits(amount: bigint): string {
  return amount.toString().replace(/\B(?=(\d{3})+$)/g, "_");
}

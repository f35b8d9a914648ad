/**
 * A canister that signs (interface spec, "Canister signatures"): the universal canister certifies the root of a one-leaf tree, and
 * its data certificate beside that tree is the signature.
 */
import { createHash } from "node:crypto";
import { type CborMap, concatBytes, encodeCbor } from "@orrery/base";
import { domainSep, type HashTree, hashTreeToCbor, reconstruct, requestId } from "@orrery/crypto";
import { utf8 } from "./bytes.ts";
import { replied } from "./checks.ts";
import { canisterSignatureKey, principalOfKey } from "./identity.ts";
import { copied, ic0, reply } from "./script.ts";
import type { Request } from "./wire.ts";
import type { Universal, World } from "./world.ts";

export interface CanisterSigner {
  readonly canister: Universal;
  readonly seed: Uint8Array;
  readonly publicKeyDer: Uint8Array;
  readonly sender: Uint8Array;
}

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(bytes).digest());

export async function canisterSigner(world: World, by?: Universal): Promise<CanisterSigner> {
  const canister = by ?? (await world.universal());
  const seed = utf8("a seed");
  const publicKeyDer = canisterSignatureKey(canister.bytes, seed);
  return { canister, seed, publicKeyDer, sender: principalOfKey(publicKeyDer) };
}

/** Signatures of some messages, one certification for all of them. */
export async function canisterSignatures(
  signer: CanisterSigner,
  messages: readonly Uint8Array[],
): Promise<Uint8Array[]> {
  const leaves = messages
    .map((message) => sha256(message))
    .sort((a, b) => Buffer.compare(a, b))
    .map((label): HashTree => ({ kind: "labeled", label, tree: { kind: "leaf", value: new Uint8Array() } }));
  const joined = leaves.reduce((left, right): HashTree => ({ kind: "fork", left, right }));
  const bySeed: HashTree = { kind: "labeled", label: sha256(signer.seed), tree: joined };
  const tree: HashTree = { kind: "labeled", label: utf8("sig"), tree: bySeed };
  replied(await signer.canister.update(reconstruct(tree), ic0.certified_data_set, ic0.msg_reply));
  const certificate = replied(await signer.canister.query(copied("data_certificate"), reply));
  return messages.map(() => encodeCbor({ certificate, tree: hashTreeToCbor(tree) }));
}

/** Signs a request, with attested information when `info` is given (`signer`: another canister than the one that signs it). */
export async function signAs(
  by: CanisterSigner,
  content: CborMap,
  info?: Uint8Array,
  signer: Uint8Array = by.canister.bytes,
): Promise<Request> {
  const attested = info === undefined ? null : concatBytes(domainSep("ic-sender-info"), info);
  if (info === undefined || attested === null) {
    const id = requestId(content);
    const [sender_sig] = await canisterSignatures(by, [concatBytes(domainSep("ic-request"), id)]);
    return { id, body: encodeCbor({ content, sender_pubkey: by.publicKeyDer, sender_sig }) };
  }
  // The information's signature is part of the request's content, so that it comes first; a certificate is good for minutes.
  const [sig] = await canisterSignatures(by, [attested]);
  const full = new Map([...content, ["sender_info", { info, signer, sig }]]) as CborMap;
  const id = requestId(full);
  const [sender_sig] = await canisterSignatures(by, [concatBytes(domainSep("ic-request"), id)]);
  return { id, body: encodeCbor({ content: full, sender_pubkey: by.publicKeyDer, sender_sig }) };
}

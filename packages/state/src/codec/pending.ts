/** Durable form of the records of state/pending.ts. */
import type { CanisterId } from "@orrery/base";
import type {
  HttpHeader,
  Outcall,
  OutcallMethod,
  PendingManagementCall,
  SchnorrAlgorithm,
} from "../pending.ts";
import {
  bigInteger,
  bool,
  branded,
  bytes,
  type Codec,
  integer,
  list,
  literal,
  nullable,
  record,
  text,
  union,
} from "./codec.ts";

export const schnorrAlgorithm: Codec<SchnorrAlgorithm> = literal<SchnorrAlgorithm>(
  "bip340secp256k1",
  "ed25519",
);

const caller = { from: branded<CanisterId>(), callbackId: integer, refund: bigInteger };
const inRound = { ...caller, height: integer };

export const pendingManagementCall: Codec<PendingManagementCall> = union<PendingManagementCall>({
  raw_rand: inRound,
  sign_with_ecdsa: { ...inRound, keyName: text, path: list(bytes), messageHash: bytes },
  sign_with_schnorr: {
    ...inRound,
    algorithm: schnorrAlgorithm,
    keyName: text,
    path: list(bytes),
    message: bytes,
    merkleRoot: nullable(bytes),
  },
  vetkd_derive_key: { ...inRound, keyName: text, context: bytes, input: bytes, transportPublicKey: bytes },
});

export const outcall: Codec<Outcall> = record<Outcall>({
  ...caller,
  id: integer,
  time: bigInteger,
  url: text,
  method: literal<OutcallMethod>("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"),
  headers: list(record<HttpHeader>({ name: text, value: text })),
  body: nullable(bytes),
  maxResponseBytes: nullable(integer),
  transform: nullable(record<NonNullable<Outcall["transform"]>>({ method: text, context: bytes })),
  replicated: bool,
  allowance: nullable(bigInteger),
});

/**
 * Senders of requests (interface spec, "Authentication", "Signatures"): every kind of key with the host's cryptography, so that
 * nothing that verifies them made them.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign as signWith,
} from "node:crypto";
import { join as concat, encodeCbor } from "./bytes.ts";

export interface Identity {
  /** Principal of the sender. */
  readonly sender: Uint8Array;
  /** Null for the anonymous one. */
  readonly publicKeyDer: Uint8Array | null;
  /** A signature of `message`, domain separator included. */
  sign(message: Uint8Array): Uint8Array;
}

export function principalOfKey(der: Uint8Array): Uint8Array {
  return Uint8Array.of(...createHash("sha224").update(der).digest(), 2);
}

export const ANONYMOUS: Identity = {
  sender: Uint8Array.of(4),
  publicKeyDer: null,
  sign: () => {
    throw new Error("the anonymous user does not sign");
  },
};

function keyed(publicKeyDer: Uint8Array, sign: (message: Uint8Array) => Uint8Array): Identity {
  return { sender: principalOfKey(publicKeyDer), publicKeyDer, sign };
}

function derOf(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: "der", type: "spki" }));
}

/** With a new key, or the one of a PEM file. */
export function ed25519(pem?: string): Identity {
  const privateKey = pem === undefined ? generateKeyPairSync("ed25519").privateKey : createPrivateKey(pem);
  return keyed(
    derOf(createPublicKey(privateKey)),
    (message) => new Uint8Array(signWith(null, message, privateKey)),
  );
}

/** ECDSA with SHA-256, signature r‖s. */
export function ecdsa(namedCurve: "prime256v1" | "secp256k1"): Identity {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve });
  const key = { key: privateKey, dsaEncoding: "ieee-p1363" } as const;
  return keyed(derOf(publicKey), (message) => new Uint8Array(signWith("sha256", message, key)));
}

/** DER of a SubjectPublicKeyInfo with an algorithm that has no parameters. */
function subjectPublicKey(oid: readonly number[], key: Uint8Array): Uint8Array {
  const tlv = (tag: number, body: Uint8Array): Uint8Array => {
    const n = body.length;
    const length = n < 128 ? [n] : n < 256 ? [0x81, n] : [0x82, n >> 8, n & 0xff];
    return concat([Uint8Array.of(tag, ...length), body]);
  };
  const algorithm = tlv(0x30, tlv(0x06, Uint8Array.from(oid)));
  return tlv(0x30, concat([algorithm, tlv(0x03, concat([Uint8Array.of(0), key]))]));
}

/** 1.3.6.1.4.1.56387.1.1 and .2. */
const OID_COSE = [0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb8, 0x43, 0x01, 0x01];
const OID_CANISTER = [0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb8, 0x43, 0x01, 0x02];

export function canisterSignatureKey(canisterId: Uint8Array, seed: Uint8Array): Uint8Array {
  return subjectPublicKey(OID_CANISTER, concat([Uint8Array.of(canisterId.length), canisterId, seed]));
}

/** CBOR of a map with small integer keys in canonical order, which COSE uses. */
function coseKey(entries: readonly (readonly [number, number | Uint8Array])[]): Uint8Array {
  const int = (n: number): number[] => (n >= 0 ? head(0, n) : head(1, -1 - n));
  const head = (major: number, n: number): number[] =>
    n < 24 ? [(major << 5) | n] : n < 256 ? [(major << 5) | 24, n] : [(major << 5) | 25, n >> 8, n & 0xff];
  const out: number[] = head(5, entries.length);
  for (const [key, value] of entries) {
    out.push(...int(key));
    if (typeof value === "number") out.push(...int(value));
    else out.push(...head(2, value.length), ...value);
  }
  return Uint8Array.from(out);
}

export type WebAuthnKind = "ES256" | "RS256" | "EdDSA";

/** What a test may change about an assertion. */
export interface WebAuthnFaults {
  readonly challenge?: (challenge: Uint8Array) => Uint8Array;
  readonly type?: string;
}

/** A web authenticator: its signature is an assertion over the message as challenge. */
export function webAuthn(kind: WebAuthnKind, faults: WebAuthnFaults = {}): Identity {
  const { cose, signBytes } = authenticator(kind);
  return keyed(subjectPublicKey(OID_COSE, cose), (message) => {
    const challenge = faults.challenge?.(message) ?? message;
    const client_data_json = JSON.stringify({
      type: faults.type ?? "webauthn.get",
      challenge: Buffer.from(challenge).toString("base64url"),
      origin: "https://conformance.example",
    });
    const authenticator_data = new Uint8Array(37).fill(9);
    const hash = new Uint8Array(createHash("sha256").update(client_data_json).digest());
    const signature = signBytes(concat([authenticator_data, hash]));
    return encodeCbor({ authenticator_data, client_data_json, signature });
  });
}

function authenticator(kind: WebAuthnKind): {
  readonly cose: Uint8Array;
  readonly signBytes: (message: Uint8Array) => Uint8Array;
} {
  const bytes = (text: string | undefined): Uint8Array =>
    new Uint8Array(Buffer.from(text ?? "", "base64url"));
  switch (kind) {
    case "ES256": {
      const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
      const { x, y } = publicKey.export({ format: "jwk" });
      const cose = coseKey([
        [1, 2],
        [3, -7],
        [-1, 1],
        [-2, bytes(x)],
        [-3, bytes(y)],
      ]);
      return { cose, signBytes: (message) => new Uint8Array(signWith("sha256", message, privateKey)) };
    }
    case "RS256": {
      const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
      const { n, e } = publicKey.export({ format: "jwk" });
      const cose = coseKey([
        [1, 3],
        [3, -257],
        [-1, bytes(n)],
        [-2, bytes(e)],
      ]);
      return { cose, signBytes: (message) => new Uint8Array(signWith("sha256", message, privateKey)) };
    }
    case "EdDSA": {
      const { publicKey, privateKey } = generateKeyPairSync("ed25519");
      const { x } = publicKey.export({ format: "jwk" });
      const cose = coseKey([
        [1, 1],
        [3, -8],
        [-1, 6],
        [-2, bytes(x)],
      ]);
      return { cose, signBytes: (message) => new Uint8Array(signWith(null, message, privateKey)) };
    }
  }
}

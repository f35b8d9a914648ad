/**
 * Request signatures (interface spec, "Signatures"): one verifier for every scheme that a public key can
 * name. The curve arithmetic sits behind `BasicSignatures`, so that a host can bring faster code while
 * parsing and error texts stay in one place. Ed25519 follows ZIP 215 and ECDSA accepts either `s`, as the
 * replica does.
 */
import { assertNever, err, ok, type Result, toHex } from "@orrery/base";
import type { Bls } from "./bls.ts";
import { verifyCanisterSignature } from "./canister-signature.ts";
import { parsePublicKeyDer } from "./der.ts";
import { verifyWebAuthn } from "./webauthn.ts";

export interface SignatureInput {
  /** DER SubjectPublicKeyInfo. */
  readonly publicKeyDer: Uint8Array;
  /** What was signed, domain separator included. */
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

export interface SignatureVerifier {
  /**
   * The error is a sentence for the client that opens with its class ("Invalid basic signature: …"). Never
   * throws.
   */
  verify(input: SignatureInput): Result<null, string>;
}

/**
 * Curve primitives: raw 32-byte or 65-byte uncompressed keys, 64-byte signatures (for ECDSA r · s, message
 * hashed with SHA-256). False for anything malformed; never throws. An implementation that is stricter than
 * the pure one about unusual keys or signatures must ask the pure one before it says no, or nodes would
 * disagree.
 */
export interface BasicSignatures {
  ed25519(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  p256(point: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  secp256k1(point: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

export const SIGNATURE_BYTES = 64;

export interface SignatureVerifierOptions {
  /** Curve primitives: `nobleSignatures` of the package's `curves` entry, or a host's faster ones. */
  readonly basic: BasicSignatures;
  /** What canister signatures are checked with; without it they are refused. */
  readonly canisterSignatures?: { readonly rootKeyDer: Uint8Array; readonly bls: Bls };
}

type Algorithm = "Ed25519" | "EcdsaP256" | "EcdsaSecp256k1";

/** Runs a curve primitive and words its failure as the replica does. */
function basicResult(
  algorithm: Algorithm,
  key: Uint8Array,
  { message, signature }: SignatureInput,
  verify: BasicSignatures["ed25519"],
): Result<null, string> {
  if (signature.length !== SIGNATURE_BYTES) {
    return err(
      `Invalid basic signature: Malformed ${algorithm} signature: [${toHex(signature)}] error: ` +
        `'expected ${SIGNATURE_BYTES} bytes, got ${signature.length}'`,
    );
  }
  if (verify(key, message, signature)) return ok(null);
  const why = algorithm === "Ed25519" ? "A signature was invalid" : "verification failed";
  return err(
    `Invalid basic signature: ${algorithm} signature could not be verified: ` +
      `public key ${toHex(key)}, signature ${toHex(signature)}, error: ${why}`,
  );
}

/** The verifier of every supported scheme. */
export function createSignatureVerifier(options: SignatureVerifierOptions): SignatureVerifier {
  const { basic, canisterSignatures } = options;
  return {
    verify(input) {
      const parsed = parsePublicKeyDer(input.publicKeyDer);
      if (!parsed.ok) return err(`Invalid public key: ${parsed.error}`);
      const key = parsed.value;
      switch (key.kind) {
        case "ed25519":
          return basicResult("Ed25519", key.key, input, basic.ed25519);
        case "p256":
          return basicResult("EcdsaP256", key.point, input, basic.p256);
        case "secp256k1":
          return basicResult("EcdsaSecp256k1", key.point, input, basic.secp256k1);
        case "webauthn": {
          const result = verifyWebAuthn({
            cose: key.cose,
            message: input.message,
            signature: input.signature,
            basic,
          });
          return result.ok ? result : err(`WebAuthn error: ${result.error}`);
        }
        case "canister": {
          if (canisterSignatures === undefined) {
            return err(
              "Invalid canister signature: canister signatures are not supported here, no root key is known",
            );
          }
          const { message, signature } = input;
          const { canisterId, seed } = key;
          const result = verifyCanisterSignature({
            canisterId,
            seed,
            message,
            signature,
            ...canisterSignatures,
          });
          return result.ok ? result : err(`Invalid canister signature: ${result.error}`);
        }
        case "bls":
          return err("Invalid public key: BLS12-381 keys do not sign requests");
        default:
          return assertNever(key, "public key");
      }
    },
  };
}

/** A key pair that signs. */
export interface Signer {
  readonly publicKeyDer: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

/**
 * A node's identity towards its peers: an Ed25519 key (RFC 8410) and a certificate for it, signed by itself. The certificate is a function of the key;
 * of what it says only the public key counts, so it never expires.
 */
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import { OrreryError } from "@orrery/base";
import { certificateDer, certificatePem, TAG, tlv } from "../x509.ts";

export interface NodeIdentity {
  /** DER, as in the registry. */
  readonly publicKey: Uint8Array;
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8: secret. */
  readonly key: string;
}

const ED25519 = [0x2b, 0x65, 0x70];
const SEED_BYTES = 32;
const SERIAL_BYTES = 16;
const NOT_BEFORE = "20000101000000Z";
/** RFC 5280, 4.1.2.5: of a certificate without an end. */
const NOT_AFTER = "99991231235959Z";

/** From the 32 secret bytes of the node's key. `node_key_invalid`. */
export function nodeIdentity(seed: Uint8Array): NodeIdentity {
  if (seed.length !== SEED_BYTES)
    throw new OrreryError(
      "node_key_invalid",
      `a node's key has ${SEED_BYTES} secret bytes, not ${seed.length}; restore the key that the registry knows`,
    );
  const pkcs8 = tlv(
    TAG.sequence,
    tlv(TAG.integer, [0]),
    tlv(TAG.sequence, tlv(TAG.oid, ED25519)),
    tlv(TAG.octets, tlv(TAG.octets, seed)),
  );
  const privateKey = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
  const publicKey = new Uint8Array(createPublicKey(privateKey).export({ format: "der", type: "spki" }));
  const digest = createHash("sha256").update(publicKey).digest();
  const serial = digest.subarray(0, SERIAL_BYTES);
  serial[0] = ((serial[0] as number) & 0x7f) | 1;
  const der = certificateDer({
    algorithm: ED25519,
    serial,
    commonName: digest.toString("hex"),
    validity: [
      tlv(TAG.generalizedTime, Buffer.from(NOT_BEFORE)),
      tlv(TAG.generalizedTime, Buffer.from(NOT_AFTER)),
    ],
    publicKey,
    extensions: [],
    sign: (toSign) => sign(null, toSign, privateKey),
  });
  return {
    publicKey,
    certificate: certificatePem(der),
    key: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
  };
}

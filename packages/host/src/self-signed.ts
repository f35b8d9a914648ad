/**
 * A certificate for this machine's own names, signed by itself (RFC 5280): what servers of tests and of local gateways show, and
 * their clients trust as an authority.
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { certificateDer, certificatePem, TAG, tlv } from "./x509.ts";

export interface SelfSigned {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly key: string;
}

const OID = {
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
  subjectAltName: [0x55, 0x1d, 17],
  basicConstraints: [0x55, 0x1d, 19],
  subjectKeyId: [0x55, 0x1d, 14],
} as const;
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;
const DAY_MS = 86_400_000;

function utcTime(date: Date): Uint8Array {
  const digits = date.toISOString().replace(/[-:T]/g, "").slice(2, 14);
  return tlv(TAG.utcTime, Buffer.from(`${digits}Z`));
}

function extension(oid: readonly number[], value: Uint8Array, critical = false): Uint8Array {
  return tlv(TAG.sequence, tlv(TAG.oid, oid), critical ? tlv(TAG.bool, [0xff]) : [], tlv(TAG.octets, value));
}

function ipBytes(address: string): readonly number[] {
  return address === "::1" ? [...new Uint8Array(15), 1] : address.split(".").map(Number);
}

/** Valid from a day before `now` for a year, for localhost and the loopback addresses. */
export function selfSigned(
  options: { readonly now?: Date; readonly names?: readonly string[] } = {},
): SelfSigned {
  const { now = new Date(), names = ["localhost"] } = options;
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = new Uint8Array(publicKey.export({ format: "der", type: "spki" }));
  const keyId = createHash("sha1").update(spki).digest();
  const alternatives = [
    ...names.map((each) => tlv(DNS_NAME, Buffer.from(each))),
    ...["127.0.0.1", "::1"].map((address) => tlv(IP_ADDRESS, ipBytes(address))),
  ];
  const serial = randomBytes(8);
  serial[0] = ((serial[0] as number) & 0x7f) | 1;
  const der = certificateDer({
    algorithm: OID.ecdsaWithSha256,
    serial,
    commonName: "localhost",
    validity: [utcTime(new Date(now.getTime() - DAY_MS)), utcTime(new Date(now.getTime() + 365 * DAY_MS))],
    publicKey: spki,
    extensions: [
      extension(OID.basicConstraints, tlv(TAG.sequence, tlv(TAG.bool, [0xff])), true),
      extension(OID.subjectKeyId, tlv(TAG.octets, keyId)),
      extension(OID.subjectAltName, tlv(TAG.sequence, ...alternatives)),
    ],
    sign: (toSign) => sign("sha256", toSign, privateKey),
  });
  return {
    certificate: certificatePem(der),
    key: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
  };
}

/**
 * A certificate for this machine's own names, signed by itself (RFC 5280): what servers of tests and of local gateways show, and
 * their clients trust as an authority.
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";

export interface SelfSigned {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly key: string;
}

const TAG = {
  integer: 2,
  bits: 3,
  octets: 4,
  oid: 6,
  utf8: 12,
  sequence: 48,
  set: 49,
  utcTime: 23,
  bool: 1,
} as const;
const OID = {
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
  commonName: [0x55, 4, 3],
  subjectAltName: [0x55, 0x1d, 17],
  basicConstraints: [0x55, 0x1d, 19],
  subjectKeyId: [0x55, 0x1d, 14],
} as const;
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;
const DAY_MS = 86_400_000;

function tlv(tag: number, ...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const content = Buffer.concat(parts.map((part) => Uint8Array.from(part)));
  const length = content.length;
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return new Uint8Array(Buffer.concat([Uint8Array.of(tag, ...head), content]));
}

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
  const algorithm = tlv(TAG.sequence, tlv(TAG.oid, OID.ecdsaWithSha256));
  const commonName = tlv(TAG.sequence, tlv(TAG.oid, OID.commonName), tlv(TAG.utf8, Buffer.from("localhost")));
  const name = tlv(TAG.sequence, tlv(TAG.set, commonName));
  const keyId = createHash("sha1").update(spki).digest();
  const alternatives = [
    ...names.map((each) => tlv(DNS_NAME, Buffer.from(each))),
    ...["127.0.0.1", "::1"].map((address) => tlv(IP_ADDRESS, ipBytes(address))),
  ];
  const extensions = tlv(
    TAG.sequence,
    extension(OID.basicConstraints, tlv(TAG.sequence, tlv(TAG.bool, [0xff])), true),
    extension(OID.subjectKeyId, tlv(TAG.octets, keyId)),
    extension(OID.subjectAltName, tlv(TAG.sequence, ...alternatives)),
  );
  const serial = randomBytes(8);
  serial[0] = ((serial[0] as number) & 0x7f) | 1;
  const toSign = tlv(
    TAG.sequence,
    tlv(0xa0, tlv(TAG.integer, [2])),
    tlv(TAG.integer, serial),
    algorithm,
    name,
    tlv(
      TAG.sequence,
      utcTime(new Date(now.getTime() - DAY_MS)),
      utcTime(new Date(now.getTime() + 365 * DAY_MS)),
    ),
    name,
    spki,
    tlv(0xa3, extensions),
  );
  const signature = sign("sha256", toSign, privateKey);
  const der = tlv(TAG.sequence, toSign, algorithm, tlv(TAG.bits, [0], signature));
  const lines = Buffer.from(der)
    .toString("base64")
    .replace(/(.{64})/g, "$1\n");
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
  };
}

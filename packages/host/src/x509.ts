/** Certificates that sign themselves (RFC 5280): the few structures of DER that they take, and the whole of one. */

export const TAG = {
  bool: 1,
  integer: 2,
  bits: 3,
  octets: 4,
  oid: 6,
  utf8: 12,
  utcTime: 23,
  generalizedTime: 24,
  sequence: 48,
  set: 49,
} as const;

const COMMON_NAME = [0x55, 4, 3];

/** Content of a value: bytes one after the other. */
type Content = readonly (Uint8Array | readonly number[])[];

/** A value, at most 65,535 bytes long. */
export function tlv(tag: number, ...parts: Content): Uint8Array {
  const content = Buffer.concat(parts.map((part) => Uint8Array.from(part)));
  const length = content.length;
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return new Uint8Array(Buffer.concat([Uint8Array.of(tag, ...head), content]));
}

export interface CertificateParts {
  /** OID of the signature's algorithm, which has no parameters. */
  readonly algorithm: readonly number[];
  /** A positive number, at most 20 bytes. */
  readonly serial: Uint8Array;
  readonly commonName: string;
  /** Two times, encoded. */
  readonly validity: readonly [Uint8Array, Uint8Array];
  /** DER of the public key. */
  readonly publicKey: Uint8Array;
  /** Encoded, without their sequence; left out when there are none. */
  readonly extensions: readonly Uint8Array[];
  sign(toSign: Uint8Array): Uint8Array;
}

/** DER of a certificate of version 3 whose issuer is its subject. */
export function certificateDer(parts: CertificateParts): Uint8Array {
  const algorithm = tlv(TAG.sequence, tlv(TAG.oid, parts.algorithm));
  const commonName = tlv(
    TAG.sequence,
    tlv(TAG.oid, COMMON_NAME),
    tlv(TAG.utf8, Buffer.from(parts.commonName)),
  );
  const name = tlv(TAG.sequence, tlv(TAG.set, commonName));
  const extensions = parts.extensions.length === 0 ? [] : [tlv(0xa3, tlv(TAG.sequence, ...parts.extensions))];
  const toSign = tlv(
    TAG.sequence,
    tlv(0xa0, tlv(TAG.integer, [2])),
    tlv(TAG.integer, parts.serial),
    algorithm,
    name,
    tlv(TAG.sequence, ...parts.validity),
    name,
    parts.publicKey,
    ...extensions,
  );
  return tlv(TAG.sequence, toSign, algorithm, tlv(TAG.bits, [0], parts.sign(toSign)));
}

export function certificatePem(der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString("base64")
    .replace(/(.{64})/g, "$1\n");
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

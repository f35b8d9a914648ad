/** Byte strings of the suite: what cases compare and build. */
export { encodeCbor, utf8 } from "@orrery/base";
export { join } from "./script.ts";

/** Little-endian unsigned number. */
export function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** Numbers of eight bytes each. */
export function numbersOf(bytes: Uint8Array): bigint[] {
  return Array.from({ length: Math.floor(bytes.length / 8) }, (_, i) =>
    numberOf(bytes.subarray(8 * i, 8 * i + 8)),
  );
}

export function textOf(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes);
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}

/** What the other bytes of a request say it is: unsigned LEB128. */
export function leb128(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 7n) | BigInt(byte & 0x7f), 0n);
}

/** How a relayed outcome of a call arrived (`relayReply`, `relayReject`). */
export type Relayed =
  | { readonly kind: "reply"; readonly data: Uint8Array }
  | { readonly kind: "reject"; readonly code: number; readonly message: string };

export function parseRelayed(bytes: Uint8Array): Relayed {
  if (bytes[0] === 1) return { kind: "reply", data: bytes.slice(1) };
  if (bytes[0] !== 2) throw new Error(`not a relayed outcome: ${hex(bytes.subarray(0, 40))}`);
  return { kind: "reject", code: Number(numberOf(bytes.subarray(1, 9))), message: textOf(bytes.subarray(9)) };
}

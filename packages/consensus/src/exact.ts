/** Reads what has one encoding alone, so that nobody can say the same in other bytes. */
import { type CborValue, decodeCbor, equalBytes, OrreryError } from "@orrery/base";

interface Format<T> {
  /** With its article. */
  readonly what: string;
  readonly read: (value: CborValue) => T;
  readonly encode: (value: T) => Uint8Array;
}

/** `block_invalid` for anything but the encoding of what it is. */
export function decodeExactly<T>(bytes: Uint8Array, { what, read, encode }: Format<T>): T {
  const invalid = (why: string, cause?: unknown): OrreryError =>
    new OrreryError("block_invalid", `not ${what}: ${why}`, { cause });
  let value: CborValue;
  try {
    value = decodeCbor(bytes);
  } catch (error) {
    throw invalid((error as Error).message, error);
  }
  const decoded = read(value);
  if (!equalBytes(encode(decoded), bytes)) throw invalid("not its one encoding");
  return decoded;
}

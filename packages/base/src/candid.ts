/** Constants of the Candid binary format (Candid specification, "Binary Format"), for whoever reads messages without knowing their types. */
import { utf8 } from "./bytes.ts";

/** Type codes of the specification. */
export const CANDID_TYPE = {
  null: -1,
  bool: -2,
  nat: -3,
  int: -4,
  nat8: -5,
  nat16: -6,
  nat32: -7,
  nat64: -8,
  int8: -9,
  int16: -10,
  int32: -11,
  int64: -12,
  float32: -13,
  float64: -14,
  text: -15,
  reserved: -16,
  empty: -17,
  opt: -18,
  vec: -19,
  record: -20,
  variant: -21,
  func: -22,
  service: -23,
  principal: -24,
} as const;

export const CANDID_MAGIC: Uint8Array = utf8("DIDL");

/** Id of a field or variant tag: the specification's hash of its name. */
export function candidFieldId(name: string): number {
  let hash = 0;
  for (const byte of utf8(name)) hash = (Math.imul(hash, 223) + byte) >>> 0;
  return hash;
}

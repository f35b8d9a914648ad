/**
 * What one run of key generation is about: everybody who deals or verifies in it has the same, from a block that all agreed on. Every hash
 * of the run binds all of it, so that nothing that was made for one run counts in another.
 */
import { err, ok, type Result } from "@orrery/base";
import { type Curve, G1_BYTES, type G1Point, G2_BYTES, type G2Point, type Group } from "./curve.ts";
import { digest } from "./oracle.ts";

/** Members that a run deals to, and that deal in it, at most; the largest subnets have 40. */
export const DKG_MEMBERS_MAX = 128;
export const DKG_ID_BYTES_MAX = 256;

export interface DkgConfig {
  /** Names the run: subnet, height and purpose, say. Never used twice. 1 to `DKG_ID_BYTES_MAX` bytes. */
  readonly id: Uint8Array;
  /** Members that sign together; a member fewer knows nothing. */
  readonly threshold: number;
  /** Encryption keys, 48 bytes each, of those whose proof of possession `verifyEncryptionKey` accepted. */
  readonly receivers: readonly Uint8Array[];
  /** Members that may deal. When a key is reshared they are those that hold it, in their order. */
  readonly dealers: number;
  /** Dealings that make a key: one more than there may be dealers at fault; for resharing, the old threshold. */
  readonly dealingsNeeded: number;
  /** Coefficients, 96 bytes each, of the key that is dealt anew to `receivers`; null for a fresh key. */
  readonly reshared: readonly Uint8Array[] | null;
}

/** A configuration that was checked, with its points. */
export interface Setting {
  readonly config: DkgConfig;
  readonly keys: readonly G1Point[];
  readonly reshared: readonly G2Point[] | null;
  /** 32 bytes that bind the configuration. */
  readonly context: Uint8Array;
}

/** All of them, or null when one is malformed. */
export function decodeAll<P>(group: Group<P>, encoded: readonly Uint8Array[]): readonly P[] | null {
  const points: P[] = [];
  for (const bytes of encoded) {
    const point = group.decode(bytes);
    if (point === null) return null;
    points.push(point);
  }
  return points;
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

function within(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max;
}

function formProblem(config: DkgConfig): string | null {
  const { id, threshold, receivers, dealers, dealingsNeeded, reshared } = config;
  if (!within(id.length, 1, DKG_ID_BYTES_MAX)) return `its id has ${id.length} bytes`;
  if (!within(receivers.length, 1, DKG_MEMBERS_MAX)) return `it has ${receivers.length} receivers`;
  if (!within(dealers, 1, DKG_MEMBERS_MAX)) return `it has ${dealers} dealers`;
  if (!within(threshold, 1, receivers.length)) return `its threshold is ${threshold}`;
  if (!within(dealingsNeeded, 1, dealers)) return `it needs ${dealingsNeeded} dealings of ${dealers} dealers`;
  if (reshared !== null && reshared.length !== dealingsNeeded)
    return `the reshared key needs ${reshared.length} dealings, not ${dealingsNeeded}`;
  if (receivers.some((key) => key.length !== G1_BYTES)) return `a receiver's key has not ${G1_BYTES} bytes`;
  if (reshared?.some((point) => point.length !== G2_BYTES)) return `a coefficient has not ${G2_BYTES} bytes`;
  return null;
}

export function checkConfig(curve: Curve, config: DkgConfig): Result<Setting, string> {
  const problem = formProblem(config);
  if (problem !== null) return err(`the configuration cannot be used: ${problem}`);
  const { id, threshold, receivers, dealers, dealingsNeeded } = config;
  const keys = decodeAll(curve.g1, receivers);
  if (keys === null)
    return err("the configuration cannot be used: a receiver's key is not a point of the group");
  const reshared = config.reshared === null ? null : decodeAll(curve.g2, config.reshared);
  if (config.reshared !== null && reshared === null)
    return err("the configuration cannot be used: a coefficient is not a point of the group");
  const numbers = [threshold, dealers, dealingsNeeded, config.reshared === null ? 0 : 1].map(u16);
  const context = digest("orrery-dkg-config", id, numbers, receivers, config.reshared ?? []);
  return ok({ config, keys, reshared, context });
}

/** Whole runs of key generation for tests: members with keys, dealings, transcripts, shares. */
import { concatBytes, type Result, utf8 } from "@orrery/base";
import { sha256 } from "../hashes.ts";
import type { DkgConfig } from "./config.ts";
import type { Curve } from "./curve.ts";
import { createDealing } from "./deal.ts";
import type { Dealing } from "./dealing.ts";
import { createEncryptionKey, verifyEncryptionKey } from "./encryption-key.ts";
import { combineDealings, type LoadedShare, loadShare, type Transcript } from "./transcript.ts";

export function good<T>(result: Result<T, string>): T {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

export function seedOf(...names: readonly (string | number)[]): Uint8Array {
  return sha256(utf8(names.join("/")));
}

export interface Member {
  readonly key: Uint8Array;
  readonly secret: Uint8Array;
}

export function membersOf(curve: Curve, count: number, name = "node"): readonly Member[] {
  return Array.from({ length: count }, (_, i) => {
    const associated = utf8(`${name} ${i}`);
    const { record, secret } = createEncryptionKey(curve, seedOf(name, i), associated);
    return { key: good(verifyEncryptionKey(curve, record, associated)), secret };
  });
}

export function faults(members: number): number {
  return Math.floor((members - 1) / 3);
}

export const low = (members: number): number => faults(members) + 1;
export const high = (members: number): number => 2 * faults(members) + 1;

export function freshConfig(members: readonly Member[], threshold: number, id = "run"): DkgConfig {
  return {
    id: utf8(id),
    threshold,
    receivers: members.map(({ key }) => key),
    dealers: members.length,
    dealingsNeeded: low(members.length),
    reshared: null,
  };
}

export function reshareConfig(
  from: Transcript,
  to: readonly Member[],
  threshold: number,
  id = "next",
): DkgConfig {
  return {
    id: utf8(id),
    threshold,
    receivers: to.map(({ key }) => key),
    dealers: from.config.receivers.length,
    dealingsNeeded: from.config.threshold,
    reshared: from.coefficients,
  };
}

export function deal(curve: Curve, config: DkgConfig, dealer: number, share?: LoadedShare): Dealing {
  const seed = concatBytes(seedOf("dealer", dealer), config.id);
  return good(createDealing(curve, { config, dealer, seed, ...(share ? { share: share.secretShare } : {}) }));
}

export function freshTranscript(curve: Curve, config: DkgConfig, dealers: readonly number[]): Transcript {
  return good(
    combineDealings(
      curve,
      config,
      dealers.map((dealer) => deal(curve, config, dealer)),
    ),
  );
}

export function loadAll(
  curve: Curve,
  transcript: Transcript,
  members: readonly Member[],
): readonly LoadedShare[] {
  return members.map(({ secret }, i) => good(loadShare(curve, transcript, i, secret)));
}

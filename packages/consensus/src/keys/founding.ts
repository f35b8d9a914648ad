/**
 * The first keys of a subnet, without a dealer whom anybody would have to trust: every founder deals to all, all dealings make the keys, and
 * whoever has the dealings judges everything again. As long as one founder is honest nobody knows a key; no founder ever has another's
 * share.
 */
import { assert, err, ok, type Result, u64be, utf8 } from "@orrery/base";
import { domainSep, sha256 } from "@orrery/crypto";
import {
  type Curve,
  type DkgConfig,
  decodeTranscript,
  encodeDealing,
  encodeDkgConfig,
  publicKeyOf,
  verifyTranscript,
} from "@orrery/crypto/dkg";
import { quorumOf, randomnessThreshold } from "../member/committee.ts";
import { KEY_SETS } from "../member/summary.ts";
import type { KeySet } from "../member/types.ts";
import type { NodeKeys } from "./dkg.ts";
import { combine, judgeDealing, type KeyMeans, runKeyJob } from "./jobs.ts";

export interface Founders {
  /** 32 bytes: of everything that the founders agreed on. Never used for two networks. */
  readonly network: Uint8Array;
  /** Place of the subnet in the network. */
  readonly subnet: number;
  /** In the order in which they are counted. */
  readonly nodes: readonly NodeKeys[];
}

/** Encoded: of each set of keys. */
export type BySet = Readonly<Record<KeySet, Uint8Array>>;

function configOf({ network, subnet, nodes }: Founders, keys: KeySet): DkgConfig {
  return {
    id: sha256(domainSep("orrery-dkg-founding"), network, u64be(BigInt(subnet)), utf8(keys)),
    threshold: keys === "low" ? randomnessThreshold(nodes.length) : quorumOf(nodes.length),
    receivers: nodes.map(({ encryption }) => encryption),
    dealers: nodes.length,
    // Everybody's: each founder knows by its own that nobody knows the key.
    dealingsNeeded: nodes.length,
    reshared: null,
  };
}

function bySet<T>(make: (keys: KeySet) => T): Readonly<Record<KeySet, T>> {
  return { low: make("low"), high: make("high") };
}

/** What a founder deals, by its place: the same whenever it is asked. */
export function dealFounding(means: KeyMeans, founders: Founders, dealer: number): BySet {
  return bySet((keys) => {
    const config = encodeDkgConfig(configOf(founders, keys));
    return runKeyJob(means, { kind: "deal", config, dealer, share: null }) as Uint8Array;
  });
}

/** Transcripts of all founders' dealings, in the founders' order; the error names whose is refused. */
export function combineFounding(
  curve: Curve,
  founders: Founders,
  dealings: readonly BySet[],
): Result<BySet, string> {
  const made: Partial<Record<KeySet, Uint8Array>> = {};
  for (const keys of KEY_SETS) {
    const config = configOf(founders, keys);
    const given = dealings.map((each) => each[keys]);
    const wrong = given.findIndex((dealing, dealer) => !judgeDealing(curve, config, dealer, dealing));
    if (wrong >= 0) return err(`the dealing of founder ${wrong} does not hold`);
    const transcript = combine(curve, config, given);
    if (transcript === null) return err("the founders' dealings make no key: one of each founder is needed");
    made[keys] = transcript;
  }
  return ok(made as BySet);
}

/** The subnet's own key, 96 bytes, of the transcript `high` that the founders' dealings make. */
export function foundedKey({ high }: BySet): Uint8Array {
  return publicKeyIn(high);
}

/** 96 bytes: the key that a transcript which was combined, or which a quorum agreed on, makes. */
export function publicKeyIn(transcript: Uint8Array): Uint8Array {
  const decoded = decodeTranscript(transcript);
  assert(decoded.ok, "what was combined is a transcript");
  return publicKeyOf(decoded.value);
}

export interface FoundedKeys {
  /** The subnet's own, 96 bytes: the key of `high`. */
  readonly publicKey: Uint8Array;
  /** In the founders' order, as they dealt. */
  readonly dealings: readonly BySet[];
}

/** Everything again: that the transcripts are of these founders, that each of them dealt, and that all of it holds. */
export function verifyFounding(
  curve: Curve,
  founders: Founders,
  transcripts: BySet,
): Result<FoundedKeys, string> {
  const decoded = bySet((keys) => decodeTranscript(transcripts[keys]));
  const { low, high } = decoded;
  if (!low.ok) return low;
  if (!high.ok) return high;
  for (const keys of KEY_SETS) {
    const transcript = keys === "low" ? low.value : high.value;
    const judged = verifyTranscript(curve, configOf(founders, keys), transcript);
    if (!judged.ok) return judged;
  }
  const dealings = founders.nodes.map((_, i) =>
    bySet((keys) => {
      const transcript = keys === "low" ? low.value : high.value;
      // As many as founders, ascending: there is one of each.
      return encodeDealing(transcript.dealings[i] as (typeof transcript.dealings)[number]);
    }),
  );
  return ok({ publicKey: publicKeyOf(high.value), dealings });
}

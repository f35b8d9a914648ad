/**
 * The work of key generation as plain data, so that a host can have it done beside consensus, on another thread: to deal, to judge a
 * dealing, to add dealings up, to open a share. Everybody comes to the same answers, but for what only the node's own secrets give.
 */
import { OrreryError, type Result } from "@orrery/base";
import {
  type Curve,
  combineDealings,
  createDealing,
  type Dealing,
  type DkgConfig,
  decodeDealing,
  decodeDkgConfig,
  decodeTranscript,
  encodeDealing,
  encodeTranscript,
  loadShare,
  publicKeyOf,
  publicShare,
  type Transcript,
  verifyDealing,
} from "@orrery/crypto/dkg";
import type { SharedKey } from "./member-crypto.ts";

/** `config`, dealings and transcripts: encoded (`@orrery/crypto/dkg`). */
export type KeyJob =
  /** `share`: the dealer's, 32 bytes, of the key that is reshared; null for a fresh key. */
  | {
      readonly kind: "deal";
      readonly config: Uint8Array;
      readonly dealer: number;
      readonly share: Uint8Array | null;
    }
  | {
      readonly kind: "judge";
      readonly config: Uint8Array;
      readonly dealer: number;
      readonly dealing: Uint8Array;
    }
  /** Of dealings that were judged. */
  | { readonly kind: "combine"; readonly config: Uint8Array; readonly dealings: readonly Uint8Array[] }
  /** Of a transcript that a quorum agreed on. `place`: among its receivers; null for who is none. */
  | { readonly kind: "open"; readonly transcript: Uint8Array; readonly place: number | null };

/** What comes of each. */
export interface KeyWork {
  /** The dealing. */
  readonly deal: Uint8Array;
  readonly judge: boolean;
  /** The transcript; null where the dealings make none. */
  readonly combine: Uint8Array | null;
  readonly open: SharedKey;
}

export type JobOf<K extends KeyJob["kind"]> = Extract<KeyJob, { readonly kind: K }>;

export interface KeyMeans {
  readonly curve: Curve;
  /** Of the node's encryption key, 32 bytes. */
  readonly encryptionSecret: Uint8Array;
  /** What the node deals follows from it and from the run: the same whenever it is asked. At least `DKG_SEED_BYTES_MIN` bytes. */
  readonly dealingSeed: Uint8Array;
}

/** Of what a quorum or this node itself made: it cannot be wrong, unless the node has another key than it had. */
function own<T>(result: Result<T, string>): T {
  if (result.ok) return result.value;
  throw new OrreryError(
    "key_share_missing",
    `this node cannot open or deal its share of the subnet's keys: ${result.error}; restore the key that the node had when it joined`,
  );
}

function dealingsOf(encoded: readonly Uint8Array[]): readonly Dealing[] | null {
  const dealings: Dealing[] = [];
  for (const bytes of encoded) {
    const decoded = decodeDealing(bytes);
    if (!decoded.ok) return null;
    dealings.push(decoded.value);
  }
  return dealings;
}

function deal({ curve, dealingSeed }: KeyMeans, { config, dealer, share }: JobOf<"deal">): Uint8Array {
  const options = { config: own(decodeDkgConfig(config)), dealer, seed: dealingSeed };
  return encodeDealing(own(createDealing(curve, share === null ? options : { ...options, share })));
}

/** Whether the dealing is the dealer's of this run, and every receiver can open its share of it. Who sent it is not judged. */
export function judgeDealing(curve: Curve, config: DkgConfig, dealer: number, dealing: Uint8Array): boolean {
  const decoded = decodeDealing(dealing);
  return decoded.ok && decoded.value.dealer === dealer && verifyDealing(curve, config, decoded.value).ok;
}

/** Null where the dealings make no transcript. */
export function combine(curve: Curve, config: DkgConfig, dealings: readonly Uint8Array[]): Uint8Array | null {
  const decoded = dealingsOf(dealings);
  if (decoded === null) return null;
  const combined = combineDealings(curve, config, decoded);
  return combined.ok ? encodeTranscript(combined.value) : null;
}

function open(
  { curve, encryptionSecret }: KeyMeans,
  transcript: Transcript,
  place: number | null,
): SharedKey {
  return {
    publicKey: publicKeyOf(transcript),
    publicShares: transcript.config.receivers.map((_, i) => own(publicShare(curve, transcript, i))),
    own: place === null ? null : own(loadShare(curve, transcript, place, encryptionSecret)).secretShare,
  };
}

/** `key_share_missing` where the node has not the secrets that it had; nothing else throws. */
export function runKeyJob(means: KeyMeans, job: KeyJob): KeyWork[KeyJob["kind"]] {
  const { curve } = means;
  switch (job.kind) {
    case "deal":
      return deal(means, job);
    case "judge":
      return judgeDealing(curve, own(decodeDkgConfig(job.config)), job.dealer, job.dealing);
    case "combine":
      return combine(curve, own(decodeDkgConfig(job.config)), job.dealings);
    case "open":
      return open(means, own(decodeTranscript(job.transcript)), job.place);
  }
}

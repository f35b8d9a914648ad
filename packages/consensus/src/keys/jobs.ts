/**
 * The work of key generation as plain data, so that a host can have it done beside consensus, on another thread: to deal, to judge a
 * dealing, to add dealings up, to open a share. Everybody comes to the same answers, but for what only the node's own secrets give.
 */
import { OrreryError, type Result } from "@orrery/base";
import type { NodeSecrets } from "@orrery/crypto";
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
  /** `held`: the transcript that is reshared, of which the dealer has a share; null for a fresh key. */
  | {
      readonly kind: "deal";
      readonly config: Uint8Array;
      readonly dealer: number;
      readonly held: Uint8Array | null;
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
  readonly secrets: Pick<NodeSecrets, "encryption" | "dealing">;
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

function deal({ curve, secrets }: KeyMeans, { config, dealer, held }: JobOf<"deal">): Uint8Array {
  const share =
    held === null
      ? {}
      : { share: own(loadShare(curve, own(decodeTranscript(held)), dealer, secrets.encryption)).secretShare };
  const options = { config: own(decodeDkgConfig(config)), dealer, seed: secrets.dealing, ...share };
  return encodeDealing(own(createDealing(curve, options)));
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

function open({ curve, secrets }: KeyMeans, transcript: Transcript, place: number | null): SharedKey {
  return {
    publicKey: publicKeyOf(transcript),
    publicShares: transcript.config.receivers.map((_, i) => own(publicShare(curve, transcript, i))),
    own: place === null ? null : own(loadShare(curve, transcript, place, secrets.encryption)).secretShare,
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

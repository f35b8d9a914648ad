/** Where a judged artifact goes in the pool, and whether it is there. */
import { equalBytes, toHex } from "@orrery/base";
import { type Artifact, heightOf } from "./artifacts.ts";
import { dealingKey } from "./dealings.ts";
import { clearShares, type Pool, type Round, type ShareKind } from "./pool.ts";
import { markUnproved } from "./shares.ts";

export type Share = Extract<Artifact, { readonly kind: `${string}_share` }>;

export function kindOf(share: Share): ShareKind {
  return share.kind.slice(0, -"_share".length) as ShareKind;
}

/** What a share is for, beside its height. */
export function shareKey(share: Share): string {
  switch (share.kind) {
    case "notarization_share":
    case "finalization_share":
      return toHex(share.hash);
    default:
      return toHex(share.content);
  }
}

function hasShare(round: Round, share: Share): boolean {
  return round.shares[kindOf(share)].get(shareKey(share))?.has(share.signer) === true;
}

/** What it would help to make is here. */
function isNeedless(round: Round, share: Share): boolean {
  if ("hash" in share)
    return share.kind === "notarization_share"
      ? round.notarized.has(toHex(share.hash))
      : round.finalized !== null;
  const kind = kindOf(share);
  return (kind === "beacon" || kind === "tape" || kind === "certification") && round[kind] !== null;
}

/** Whether the pool has it, or what makes it needless. */
export function isPlaced(pool: Pool, artifact: Artifact): boolean {
  if (artifact.kind === "catch_up") return artifact.height <= pool.catchUpHeight;
  const round = pool.peek(heightOf(artifact));
  if (round === undefined) return false;
  switch (artifact.kind) {
    case "proposal":
      return round.proposals.has(toHex(artifact.hash));
    case "notarization":
      return round.notarized.has(toHex(artifact.hash));
    case "finalization":
      return round.finalized !== null;
    case "beacon":
    case "tape":
    case "certification":
      return round[artifact.kind] !== null;
    case "equivocation":
      return round.equivocations.has(artifact.signer);
    case "dealing": {
      const known = round.dealings.get(dealingKey(artifact.keys, artifact.signer));
      return known !== undefined && equalBytes(known.dealing, artifact.dealing);
    }
    default:
      return isNeedless(round, artifact) || hasShare(round, artifact);
  }
}

/** Puts a valid artifact of a height above the pool's start where it belongs. `isUnproved`: a share whose signature nobody checked. */
export function place(
  pool: Pool,
  artifact: Exclude<Artifact, { readonly kind: "catch_up" }>,
  isUnproved: boolean,
): void {
  const height = heightOf(artifact);
  const round = pool.round(height);
  switch (artifact.kind) {
    case "proposal":
      round.proposals.set(toHex(artifact.hash), artifact);
      if (!round.firstSigned.has(artifact.signer)) round.firstSigned.set(artifact.signer, artifact);
      return;
    case "notarization":
      pool.addNotarization(artifact);
      return;
    case "finalization":
      pool.addFinalization(artifact);
      return;
    case "beacon":
      round.beacon = artifact;
      clearShares(round, "beacon");
      pool.beaconHeight = Math.max(pool.beaconHeight, height);
      return;
    case "tape":
      round.tape = artifact;
      clearShares(round, "tape");
      return;
    case "certification":
      round.certification = artifact;
      clearShares(round, "certification");
      pool.certifiedHeight = Math.max(pool.certifiedHeight, height);
      return;
    case "equivocation":
      round.equivocations.set(artifact.signer, artifact);
      return;
    case "dealing":
      round.dealings.set(dealingKey(artifact.keys, artifact.signer), artifact);
      return;
    default: {
      const kind = kindOf(artifact);
      const shares = round.shares[kind];
      const key = shareKey(artifact);
      if (isUnproved && kind !== "notarization" && kind !== "finalization")
        markUnproved(round, kind, key, artifact.signer);
      const signatures = shares.get(key) ?? new Map<number, Uint8Array>();
      shares.set(key, signatures.set(artifact.signer, artifact.signature));
    }
  }
}

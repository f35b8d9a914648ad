/** Where a judged artifact goes in the pool, and whether it is there. */
import { equalBytes, toHex } from "@orrery/base";
import { type Artifact, heightOf } from "./artifacts.ts";
import { dealingKey } from "./dealings.ts";
import type { Pool, ShareKind } from "./pool.ts";

type Share = Extract<Artifact, { readonly kind: `${string}_share` }>;

function kindOf(share: Share): ShareKind {
  return share.kind.slice(0, -"_share".length) as ShareKind;
}

/** What a share is for, beside its height. */
function shareKey(share: Share): string {
  switch (share.kind) {
    case "notarization_share":
    case "finalization_share":
      return toHex(share.hash);
    default:
      return toHex(share.content);
  }
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
      return round.shares[kindOf(artifact)].get(shareKey(artifact))?.has(artifact.signer) === true;
  }
}

/** Puts a valid artifact of a height above the pool's start where it belongs. */
export function place(pool: Pool, artifact: Exclude<Artifact, { readonly kind: "catch_up" }>): void {
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
      round.shares.beacon.clear();
      pool.beaconHeight = Math.max(pool.beaconHeight, height);
      return;
    case "tape":
      round.tape = artifact;
      round.shares.tape.clear();
      return;
    case "certification":
      round.certification = artifact;
      round.shares.certification.clear();
      pool.certifiedHeight = Math.max(pool.certifiedHeight, height);
      return;
    case "equivocation":
      round.equivocations.set(artifact.signer, artifact);
      return;
    case "dealing":
      round.dealings.set(dealingKey(artifact.keys, artifact.signer), artifact);
      return;
    default: {
      const shares = round.shares[kindOf(artifact)];
      const key = shareKey(artifact);
      const signatures = shares.get(key) ?? new Map<number, Uint8Array>();
      shares.set(key, signatures.set(artifact.signer, artifact.signature));
    }
  }
}

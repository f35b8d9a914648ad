/**
 * Shares of the subnet's signatures, from their arrival to the whole. Whoever makes a share says it himself, so that it is taken as it is, and
 * what all of them come to is verified once: one verification in place of one for each share. Where that fails the shares are verified one
 * by one, and who made a wrong one is blamed, and believed no more: what one liar costs is bounded. Invariant: no whole comes out
 * of here that is not the subnet's signature.
 */
import { assert, type Height } from "@orrery/base";
import type { HashKey, MemberIndex, ThresholdKind } from "./artifacts.ts";
import { type DutyView, keysOf } from "./duties.ts";
import type { Round, Signatures } from "./pool.ts";

export function markUnproved(round: Round, kind: ThresholdKind, key: HashKey, signer: MemberIndex): void {
  const signers = round.unproved[kind].get(key) ?? new Set<MemberIndex>();
  round.unproved[kind].set(key, signers.add(signer));
}

export function sorted(signatures: Signatures): readonly (readonly [MemberIndex, Uint8Array])[] {
  return [...signatures].sort(([a], [b]) => a - b);
}

/** `doubted`: nodes that did what no honest one does, as the host numbers them. */
export type SharesView = DutyView & { readonly doubted: ReadonlySet<number> };

export interface Wanted {
  readonly kind: ThresholdKind;
  readonly height: Height;
  /** Of the shares in the pool. */
  readonly key: HashKey;
  /** What they sign. */
  readonly message: Uint8Array;
  readonly needed: number;
}

/** The signature that the shares in the pool add up to; null as long as they do not. `onLie`: the node's share was wrong. */
export function wholeOf(
  { pool, schedule, doubted }: SharesView,
  { kind, height, key, message, needed }: Wanted,
  onLie: (peer: number) => void,
): Uint8Array | null {
  const round = pool.peek(height);
  const signatures = round?.shares[kind].get(key);
  const place = schedule.at(height);
  if (round === undefined || signatures === undefined || place === null) return null;
  const [keys, { crypto }] = [keysOf(kind), place];
  const unproved = round.unproved[kind].get(key) ?? new Set<MemberIndex>();
  const prove = (signer: MemberIndex): void => {
    const signature = signatures.get(signer);
    unproved.delete(signer);
    if (signature === undefined || crypto.verifyShare(keys, signer, message, signature)) return;
    signatures.delete(signer);
    const peer = schedule.peerOf(height, signer);
    if (peer !== null) onLie(peer);
  };
  while (signatures.size >= needed) {
    // Who was believed before it was caught once.
    for (const signer of [...unproved]) if (doubted.has(schedule.peerOf(height, signer) ?? -1)) prove(signer);
    if (signatures.size < needed) break;
    const shares = sorted(signatures).slice(0, needed);
    const whole = crypto.combine(keys, message, shares);
    if (crypto.verifyWhole(keys, message, whole)) return whole;
    const open = shares.filter(([signer]) => unproved.has(signer));
    assert(open.length > 0, `proved shares of the ${kind} of height ${height} do not add up`);
    for (const [signer] of open) prove(signer);
  }
  return null;
}

/**
 * Delegations (interface spec, "Delegation", "Canister ranges"): the root subnet's certified word for another subnet's key and canister
 * ranges. The root's view issues them; the other subnet's view puts them into its certificates once somebody has verified them.
 * Three forms: with the flat list of ranges, with the shard of one canister, and, for the subnet's own endpoints, without ranges.
 */
import {
  type CanisterId,
  compareBytes,
  equalBytes,
  err,
  ok,
  type Principal,
  type Result,
  type SubnetId,
  type TimeNs,
  utf8,
} from "@orrery/base";
import {
  type Bls,
  decodeRanges,
  encodeCertificate,
  lookupPath,
  treeEntries,
  treeGet,
  type VerifiedCertificate,
  verifyCertificate,
  witness,
} from "@orrery/crypto";
import type { CanisterRange, SubnetInfo } from "@orrery/state";
import type { Mirror } from "./mirror.ts";
import type { Path } from "./read-state.ts";

/** Form of canister ranges in a certificate's delegation: version 2 (3 of calls) of the endpoints carry the list, later ones a shard. */
export type RangesForm = "flat" | "sharded";

/** Encoded certificates of the root subnet. */
export interface Delegation {
  readonly subnetId: SubnetId;
  /** Of the certificates: how old they are. */
  readonly time: TimeNs;
  readonly flat: Uint8Array;
  /** By the first canister id of the shard, ascending; at least one. */
  readonly shards: readonly { readonly start: CanisterId; readonly certificate: Uint8Array }[];
  readonly bare: Uint8Array;
}

/** Where the request went that a certificate answers. */
export interface CertificateDestination {
  readonly kind: "canister" | "subnet";
  readonly id: Principal;
}

const LABEL = {
  subnet: utf8("subnet"),
  publicKey: utf8("public_key"),
  type: utf8("type"),
  canisterRanges: utf8("canister_ranges"),
  time: utf8("time"),
} as const;

/** What the root's certified state says of the subnet; null when it does not know it. */
export function issueDelegation(
  mirror: Mirror,
  signature: Uint8Array,
  subnetId: SubnetId,
): Delegation | null {
  const shards = treeGet(mirror.tree, [LABEL.canisterRanges, subnetId]);
  if (shards === null || shards instanceof Uint8Array) return null;
  const own = [LABEL.subnet, subnetId];
  const certificate = (...ranges: readonly Path[]): Uint8Array =>
    encodeCertificate({
      tree: witness(mirror.tree, [[LABEL.time], [...own, LABEL.publicKey], [...own, LABEL.type], ...ranges]),
      signature,
      delegation: null,
    });
  return {
    subnetId,
    time: mirror.time,
    flat: certificate([...own, LABEL.canisterRanges]),
    shards: [...treeEntries(shards)].map(({ label }) => ({
      start: label as CanisterId,
      certificate: certificate([LABEL.canisterRanges, subnetId, label]),
    })),
    bare: certificate(),
  };
}

/** The certificate that goes with an answer to `destination`. */
export function delegationFor(
  delegation: Delegation,
  ranges: RangesForm,
  destination: CertificateDestination,
): Uint8Array {
  if (ranges === "flat") return delegation.flat;
  if (destination.kind === "subnet") return delegation.bare;
  let found = delegation.shards[0]?.certificate ?? delegation.bare;
  for (const { start, certificate } of delegation.shards) {
    if (compareBytes(start, destination.id) <= 0) found = certificate;
  }
  return found;
}

function rangesIn(tree: VerifiedCertificate["tree"], path: Path): Result<readonly CanisterRange[], string> {
  const found = lookupPath(tree, path);
  if (found.kind !== "found") return err("it shows no canister ranges");
  return decodeRanges(found.value);
}

/**
 * Judges a delegation before a subnet uses it: every certificate holds under the root key, is of the root subnet, and states this
 * subnet's key; the list and the shards together state the same ranges. The error says what does not hold.
 */
export function verifyDelegation(
  delegation: Delegation,
  subnet: Pick<SubnetInfo, "subnetId" | "publicKey" | "rootKey" | "rootSubnetId">,
  bls: Bls,
): Result<null, string> {
  const { subnetId } = subnet;
  if (!equalBytes(delegation.subnetId, subnetId)) return err("it is about another subnet");
  if (delegation.shards.length === 0) return err("it has no shard of canister ranges");
  const fromShards: CanisterRange[] = [];
  let flat: readonly CanisterRange[] = [];
  const parts: readonly (readonly [Uint8Array, Path | null])[] = [
    [delegation.flat, [LABEL.subnet, subnetId, LABEL.canisterRanges]],
    ...delegation.shards.map(
      ({ start, certificate }) => [certificate, [LABEL.canisterRanges, subnetId, start]] as const,
    ),
    [delegation.bare, null],
  ];
  for (const [index, [bytes, path]] of parts.entries()) {
    const verified = verifyCertificate({
      bytes,
      rootKeyDer: subnet.rootKey,
      scope: { subnet: subnet.rootSubnetId },
      bls,
    });
    if (!verified.ok) return err(verified.error.message);
    const { tree, time } = verified.value;
    if (time !== delegation.time) return err("its certificates are of different states");
    const key = lookupPath(tree, [LABEL.subnet, subnetId, LABEL.publicKey]);
    if (key.kind !== "found" || !equalBytes(key.value, subnet.publicKey))
      return err("it does not state the subnet's key");
    if (path === null) continue;
    const ranges = rangesIn(tree, path);
    if (!ranges.ok) return ranges;
    if (index === 0) flat = ranges.value;
    else fromShards.push(...ranges.value);
  }
  const same =
    flat.length === fromShards.length &&
    flat.every(({ start, end }, i) => {
      const other = fromShards[i] as CanisterRange;
      return equalBytes(start, other.start) && equalBytes(end, other.end);
    });
  return same ? ok(null) : err("its list and its shards state different canister ranges");
}

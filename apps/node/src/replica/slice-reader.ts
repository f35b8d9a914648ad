/** Whose a slice of a stream is, if it is certified for this subnet: what nodes judge in each other's blocks beside limits. */
import { err, type Height, ok, type PrincipalKey, principalKey, type Result } from "@orrery/base";
import {
  decodeCertifiedSlice,
  otherSubnets,
  subnetKey,
  type VerifySliceOptions,
  verifySlice,
} from "@orrery/execution";
import type { SubnetInfo } from "@orrery/state";

/** Slices of other subnets' streams for this subnet. */
export interface ReplicaSlices {
  waiting(): number;
  offers(): readonly { readonly source: PrincipalKey; readonly slice: Uint8Array }[];
  /** A finalized block has slices of these subnets. */
  ordered(height: Height, sources: readonly PrincipalKey[]): void;
}

/** The reader remembers what it said of a slice for as long as that is held. `subnetNow`: with the network's subnets as far as they are known. */
export function createSliceReader(
  subnetNow: () => SubnetInfo,
  verifyBls: VerifySliceOptions["verifyBls"],
): (slice: Uint8Array) => Result<PrincipalKey, string> | "later" {
  const known = new WeakMap<Uint8Array, Result<PrincipalKey, string>>();
  const read = (bytes: Uint8Array): Result<PrincipalKey, string> | "later" => {
    const decoded = decodeCertifiedSlice(bytes);
    if (!decoded.ok) return decoded;
    const key = principalKey(decoded.value.source);
    const subnet = subnetNow();
    if (key === principalKey(subnet.subnetId)) return err("a slice of the subnet's own");
    const sources = otherSubnets(subnet);
    const source = sources.find((one) => one.key === key);
    const publicKeyDer = source === undefined ? null : subnetKey(subnet, source.subnetId);
    // It may have come to the network.
    if (source === undefined || publicKeyDer === null) return "later";
    const verdict = verifySlice(decoded.value, {
      source: source.subnetId,
      destination: subnet.subnetId,
      publicKeyDer,
      verifyBls,
    });
    return verdict.ok ? ok(key) : verdict;
  };
  return (slice) => {
    const said = known.get(slice) ?? read(slice);
    if (said !== "later") known.set(slice, said);
    return said;
  };
}

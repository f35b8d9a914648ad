/** Which store of a node's is which subnet's. */
import { u64be } from "@orrery/base";
import { domainSep, sha256 } from "@orrery/crypto";

/** What the store of the subnet at that place of the genesis belongs to; the root's is the network's own. */
export function storeId(networkId: Uint8Array, subnet: number): Uint8Array {
  if (subnet === 0) return networkId;
  return sha256(domainSep("orrery-subnet-store"), networkId, u64be(BigInt(subnet)));
}

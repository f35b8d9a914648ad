/** What a subnet knows of itself and of the network around it: part of genesis. */
import type { CanisterId, Principal, SubnetId } from "@orrery/base";

export type SubnetType = "application" | "system" | "verified_application" | "cloud_engine";

export type CanisterRange = { readonly start: CanisterId; readonly end: CanisterId };

/** One subnet of the network as the state tree shows it; this subnet's own key and type are those of `SubnetInfo`. */
export interface RoutingEntry {
  readonly subnetId: SubnetId;
  readonly ranges: readonly CanisterRange[];
  /** DER, 133 bytes; the root subnet's defaults to `rootKey`. */
  readonly publicKey?: Uint8Array;
  /** Application when it is not there. */
  readonly type?: SubnetType;
  /** Master keys with which the subnet signs; not there: none. */
  readonly chainKeys?: readonly ChainKeyId[];
}

/** Name of a master key of the chain-key services (interface spec, `key_id` of the methods that sign). */
export type ChainKeyId =
  | { readonly kind: "ecdsa"; readonly curve: "secp256k1"; readonly name: string }
  | { readonly kind: "schnorr"; readonly algorithm: "bip340secp256k1" | "ed25519"; readonly name: string }
  | { readonly kind: "vetkd"; readonly curve: "bls12_381_g2"; readonly name: string };

/** Part of genesis, and but for the nodes fixed for the life of a subnet. */
export interface SubnetInfo {
  readonly subnetId: SubnetId;
  readonly type: SubnetType;
  /** DER, 133 bytes: key under which this subnet's certificates verify. */
  readonly publicKey: Uint8Array;
  /** DER root key of the network; equals `publicKey` on the root subnet. */
  readonly rootKey: Uint8Array;
  readonly rootSubnetId: SubnetId;
  /** Canister id ranges of every subnet of the network, the routing table. */
  readonly routing: readonly RoutingEntry[];
  /** Range from which ids without `specified_id` are allocated. */
  readonly allocation: CanisterRange;
  /** In the order in which they are counted. Those that agree on its blocks now. */
  readonly nodes: readonly { readonly nodeId: Principal; readonly publicKey: Uint8Array }[];
  /** Size that fees are computed for (13), whatever the number of nodes that run. */
  readonly feeSize: number;
  /** Profile `local`: provisional calls, faucet and time travel exist. */
  readonly local: boolean;
  /** Master keys with which this subnet signs; not there: none. The same as in its entry of `routing`, if that has them. */
  readonly chainKeys?: readonly ChainKeyId[];
  /** Who may create, list, start, stop, empty and delete canisters besides their controllers; not there: nobody. */
  readonly admins?: readonly Principal[];
  /** Nothing costs cycles. */
  readonly free?: boolean;
  /** Ids of the allocation range cannot be specified. */
  readonly allocationReserved?: boolean;
}

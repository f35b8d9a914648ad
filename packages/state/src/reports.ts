/** Records of what happened, kept to be told: what a canister printed, its changes, the blocks of a subnet's nodes. */
import type { CanisterId, Principal, TimeNs } from "@orrery/base";
import type { SnapshotSource } from "./snapshot-types.ts";

/** Interface spec, "Canister logs". */
export interface CanisterLogRecord {
  readonly idx: bigint;
  readonly timestamp: TimeNs;
  readonly content: Uint8Array;
}

/** Interface spec, "Canister history". */
export type HistoryOrigin =
  | { readonly kind: "user"; readonly userId: Principal }
  | { readonly kind: "canister"; readonly canisterId: CanisterId; readonly canisterVersion: bigint | null };

export type HistoryDetails =
  | {
      readonly kind: "creation";
      readonly controllers: readonly Principal[];
      readonly environmentVariablesHash: Uint8Array | null;
    }
  | { readonly kind: "code_uninstall" }
  | {
      readonly kind: "code_deployment";
      readonly mode: "install" | "reinstall" | "upgrade";
      readonly moduleHash: Uint8Array;
    }
  | { readonly kind: "controllers_change"; readonly controllers: readonly Principal[] }
  | {
      readonly kind: "load_snapshot";
      readonly snapshotId: Uint8Array;
      readonly canisterVersion: bigint;
      readonly takenAt: TimeNs;
      readonly source: SnapshotSource;
      /** Null: a snapshot of the canister itself. */
      readonly fromCanister: CanisterId | null;
    };

export interface HistoryChange {
  readonly timestamp: TimeNs;
  readonly canisterVersion: bigint;
  readonly origin: HistoryOrigin;
  readonly details: HistoryDetails;
}

/** What the nodes of a subnet have done up to a moment (interface spec, "node_metrics_history"). */
export interface NodeMetricsSample {
  readonly time: TimeNs;
  readonly nodes: readonly NodeMetrics[];
}

export interface NodeMetrics {
  readonly nodeId: Principal;
  readonly blocksProposed: bigint;
  readonly blockFailures: bigint;
}

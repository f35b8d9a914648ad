/**
 * The two levels of the certified tree that grow with the state, `/canister` and `/request_status`, put together from records in any
 * order: for whoever takes over a state piece by piece. All else of the tree is small, and joined at the end.
 */
import { equalBytes, fromHex, type PrincipalKey, utf8 } from "@orrery/base";
import {
  emptyTree,
  type LabelTree,
  type LevelChange,
  treeDelete,
  treeHash,
  treeMerge,
  treeSet,
  treeSize,
} from "@orrery/crypto";
import { byLabel, canisterTree } from "./canister-tree.ts";
import { statusTree } from "./status-tree.ts";
import type { CanisterMeta, IngressStatus } from "./types.ts";

const CANISTER = utf8("canister");
const REQUEST_STATUS = utf8("request_status");

export interface RequestStatus {
  readonly requestId: Uint8Array;
  readonly status: IngressStatus;
}

export class TreeLevels {
  #canisters: LabelTree = emptyTree();
  #requests: LabelTree = emptyTree();

  /** Each canister once. */
  putCanisters(metas: readonly CanisterMeta[]): void {
    this.#canisters = merged(
      this.#canisters,
      metas.map((meta) => ({ label: meta.id, value: canisterTree(meta) })),
    );
  }

  deleteCanisters(keys: readonly PrincipalKey[]): void {
    this.#canisters = merged(
      this.#canisters,
      keys.map((key) => ({ label: fromHex(key), value: null })),
    );
  }

  /** Each request once. */
  putRequests(requests: readonly RequestStatus[]): void {
    this.#requests = merged(
      this.#requests,
      requests.map(({ requestId, status }) => ({ label: requestId, value: statusTree(status) })),
    );
  }

  /** A change that `updateTree` returned for `/request_status`: `path` goes on below that. */
  changeRequest(path: readonly Uint8Array[], value: Uint8Array | null): void {
    const at = this.#requests;
    this.#requests = value === null ? treeDelete(at, path, { pruneEmpty: true }) : treeSet(at, path, value);
  }

  /** Computes the hashes that the levels keep and do not have yet. */
  hash(): void {
    treeHash(this.joined(emptyTree()));
  }

  /** The whole tree, of what else it has. */
  joined(rest: LabelTree): LabelTree {
    let tree = rest;
    if (treeSize(this.#canisters) > 0) tree = treeSet(tree, [CANISTER], this.#canisters);
    return treeSize(this.#requests) > 0 ? treeSet(tree, [REQUEST_STATUS], this.#requests) : tree;
  }
}

function merged(level: LabelTree, changes: LevelChange[]): LabelTree {
  return treeMerge(level, changes.sort(byLabel));
}

/** A tree without the levels of `TreeLevels`. */
export function treeRest(tree: LabelTree): LabelTree {
  return treeDelete(treeDelete(tree, [CANISTER]), [REQUEST_STATUS]);
}

/** Of a change of the tree: its path below `/request_status`, null for any other. */
export function requestPath([head, ...rest]: readonly Uint8Array[]): readonly Uint8Array[] | null {
  return head !== undefined && rest.length > 0 && equalBytes(head, REQUEST_STATUS) ? rest : null;
}

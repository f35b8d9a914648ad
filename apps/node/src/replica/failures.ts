/** Why a node of a subnet of several cannot go on, and what its operator does then. */
import { type Height, OrreryError } from "@orrery/base";

/** The member has signed less than the block log says that it knew. */
export function signaturesLost(known: Height, blocks: Height): OrreryError {
  return new OrreryError(
    "store_corrupt",
    `the signatures of this node end at height ${known}, its blocks at ${blocks}; restore the state directory from a copy`,
  );
}

/** Not a failure of the node: it starts again with what it fetched. */
export function stateFetched(height: Height): OrreryError {
  return new OrreryError(
    "state_fetched",
    `the state after block ${height} was fetched from other nodes of the subnet: the node starts again with it`,
  );
}

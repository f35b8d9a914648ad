/** Why a node of a subnet of several cannot go on, and what its operator does then. */
import { type Height, OrreryError } from "@orrery/base";

export function diverged(height: Height): OrreryError {
  return new OrreryError(
    "state_diverged",
    `the state of this node after block ${height} is not the one that its subnet certified; nothing of it was shown. Copy the ` +
      "state directory of another node to it, and report it with the node's log",
  );
}

/** The member has signed less than the block log says that it knew. */
export function signaturesLost(known: Height, blocks: Height): OrreryError {
  return new OrreryError(
    "store_corrupt",
    `the signatures of this node end at height ${known}, its blocks at ${blocks}; restore the state directory from a copy`,
  );
}

export function behind(own: Height, needed: Height): OrreryError {
  return new OrreryError(
    "state_behind",
    `this node was away for too long: its peers have dropped blocks below height ${needed}, and it is at height ${own}; stop the ` +
      "network and copy the state directory of another node to it",
  );
}

/** Why a node of a subnet of several cannot go on, and what its operator does then. */
import { type Height, OrreryError, principalToText, type SubnetId } from "@orrery/base";

/** The member has signed less than the block log says that it knew. */
export function signaturesLost(known: Height, blocks: Height): OrreryError {
  return new OrreryError(
    "store_corrupt",
    `the signatures of this node end at height ${known}, its blocks at ${blocks}; restore the state directory from a copy`,
  );
}

/** Not a failure of the node: the registry has it take part no more, and its last interval is over. */
export function nodeRemoved(): OrreryError {
  return new OrreryError(
    "node_removed",
    "this node left its subnets, as the registry says, and its last interval is over: the process stops; its state directory can be removed",
  );
}

/** Not a failure of the node: its subnet goes on with another version. */
export function replicaVersionDiffers(of: {
  readonly subnet: string;
  readonly running: string;
  readonly version: string;
}): OrreryError {
  return new OrreryError(
    "replica_version_differs",
    `this is version ${of.running} of Orrery, and the newest package of subnet ${of.subnet} is for version ${of.version}: install ${of.version} ` +
      "and start the node with it; its state is kept",
    { data: { running: of.running, version: of.version } },
  );
}

/** Another program executed what this one would execute again. */
export function programChanged(of: {
  readonly stateDir: string;
  readonly before: string;
  readonly own: string;
  readonly blocks: number;
}): OrreryError {
  const { stateDir, before, own, blocks } = of;
  return new OrreryError(
    "replica_version_unrecorded",
    `version ${before} of Orrery executed ${blocks} blocks in ${stateDir} that no checkpoint holds, and this is ${own}, to which they could mean ` +
      `another state; start the node with ${before}, and either stop it in order or have its operators record the upgrade ` +
      `(orrery node propose change.json --upgrade ${own} --from ${before})`,
    { data: { before, own } },
  );
}

/** Not a failure of the node: it starts again with what it fetched. */
export function stateFetched(height: Height): OrreryError {
  return new OrreryError(
    "state_fetched",
    `the state after block ${height} was fetched from other nodes of the subnet: the node starts again with it`,
  );
}

/** Its state is not the subnet's again and again. `times`: that it took the subnet's. */
export function stateDiverges(subnet: SubnetId, height: Height, times: number): OrreryError {
  return new OrreryError(
    "state_diverges",
    `this node comes to another state than its subnet ${principalToText(subnet)}, last at height ${height}, though it took the state of the ` +
      `others ${times} times: look for another version of Orrery or of the runtime than the others run, and for faulty memory or disk, ` +
      "then start the node again",
  );
}

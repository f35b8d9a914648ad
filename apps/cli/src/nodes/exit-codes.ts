/** What a node's process ends with, for whoever starts it again or leaves it: `orrery start`, deploy/orrery-node.service. */

/** What another start of the same program does not mend, or tries at the cost of the others. */
const LASTING_FAILURES: ReadonlySet<string> = new Set(["state_diverges", "replica_version_unrecorded"]);
const LASTING_EXIT_CODE = 13;
/** Another version of the program is to be started. */
const REPLICA_VERSION_EXIT_CODE = 12;

/** Of a node that ended for a reason; null: as of any failure. */
export function exitCodeOf(code: string): number | null {
  if (code === "node_removed") return 0;
  if (code === "replica_version_differs") return REPLICA_VERSION_EXIT_CODE;
  return LASTING_FAILURES.has(code) ? LASTING_EXIT_CODE : null;
}

/** Whether the same program is not to be started again. */
export function isLasting(code: string): boolean {
  return exitCodeOf(code) !== null;
}

/** What ends a node that cannot go on: the first failure of a thread. It is told once, and nobody waits for that thread any more. */
import { type Logger, OrreryError } from "@orrery/base";
import { describeError } from "@orrery/host";

/** No failures of the node. */
const ENDS: ReadonlySet<string> = new Set(["state_fetched", "node_removed", "replica_version_differs"]);

export interface Fatal {
  raise(thread: string, error: unknown): void;
  /** The work's outcome, or the failure of a thread, which would leave it waiting for ever. */
  unless<T>(work: Promise<T>): Promise<T>;
}

export function createFatal(options: {
  readonly logger: Logger;
  readonly onFatal: (error: OrreryError) => void;
}): Fatal {
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  let raised = false;
  return {
    raise(thread, error): void {
      if (raised) return;
      raised = true;
      const { code, message, stack } = describeError(error);
      if (ENDS.has(code)) options.logger.log("info", message);
      else options.logger.log("error", "the node stops after a failure", { thread, code, message, stack });
      const failure = error instanceof OrreryError ? error : new OrreryError(code, message, { cause: error });
      failed.reject(failure);
      options.onFatal(failure);
    },
    unless: (work) => Promise.race([work, failed.promise]),
  };
}

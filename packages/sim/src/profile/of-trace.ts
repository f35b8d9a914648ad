/** Profiles of several executions together: each one's stacks below a frame that says whose and what it was. */
import { principalToText } from "@orrery/base";
import type { QueryProfile } from "@orrery/execution";
import type { FunctionProfile, FunctionStack } from "@orrery/wasm";
import { withContinuations } from "../trace/tree.ts";
import type { Trace, TraceMessage } from "../trace/types.ts";

export interface ProfileLabels {
  /** What canisters are called, by id. */
  readonly names?: ReadonlyMap<string, string>;
}

function below(label: string, { stacks }: FunctionProfile): readonly FunctionStack[] {
  return stacks.map(({ frames, instructions }) => ({ frames: [label, ...frames], instructions }));
}

/** Of the executions of a query's call graph. */
export function profileOfQueries(
  runs: readonly QueryProfile[],
  { names }: ProfileLabels = {},
): FunctionProfile {
  const stacks = runs.flatMap(({ canisterId, kind, method, profile }) => {
    const id = principalToText(canisterId);
    return below(`${names?.get(id) ?? id} ${kind.replaceAll("_", " ")} ${method}`, profile);
  });
  return { stacks };
}

/** Null when nothing of it was profiled. */
export function profileOfTrace(trace: Trace, { names }: ProfileLabels = {}): FunctionProfile | null {
  const stacks: FunctionStack[] = [];
  let found = false;
  const visit = ({ canisterId, messages }: Trace): void => {
    for (const message of messages) {
      const { profile, calls } = message;
      if (profile !== undefined) {
        found = true;
        stacks.push(...below(`${names?.get(canisterId) ?? canisterId} ${described(message)}`, profile));
      }
      for (const call of calls) if (call.trace !== null) visit(call.trace);
    }
  };
  for (const tree of withContinuations(trace)) visit(tree);
  return found ? { stacks } : null;
}

/** "update greet"; callbacks, tasks and installations are called by their kind. */
function described({ kind, name }: TraceMessage): string {
  const words = kind.replaceAll("_", " ");
  return name === null || kind === "reject_callback" ? words : `${words} ${name}`;
}

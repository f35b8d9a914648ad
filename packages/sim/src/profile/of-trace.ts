/** The profile of everything that a trace has: each execution's stacks below a frame that says whose and what it was. */
import type { FunctionProfile, FunctionStack } from "@orrery/wasm";
import type { Trace, TraceMessage } from "../trace/types.ts";

export interface TraceProfileOptions {
  /** What canisters are called, by id. */
  readonly names?: ReadonlyMap<string, string>;
}

/** Null when nothing of it was profiled. */
export function profileOfTrace(trace: Trace, options: TraceProfileOptions = {}): FunctionProfile | null {
  const stacks: FunctionStack[] = [];
  let found = false;
  const visit = ({ canisterId, messages }: Trace): void => {
    for (const message of messages) {
      const { profile, calls } = message;
      if (profile !== undefined) {
        found = true;
        const label = `${options.names?.get(canisterId) ?? canisterId} ${described(message)}`;
        for (const { frames, instructions } of profile.stacks)
          stacks.push({ frames: [label, ...frames], instructions });
      }
      for (const call of calls) if (call.trace !== null) visit(call.trace);
    }
  };
  visit(trace);
  return found ? { stacks } : null;
}

/** "update greet"; callbacks, tasks and installations are called by their kind. */
function described({ kind, name }: TraceMessage): string {
  const words = kind.replaceAll("_", " ");
  return name === null || kind === "reject_callback" ? words : `${words} ${name}`;
}

/** A state as a view on another thread takes it over: in parts, each a message. */
import type { ReplicatedState } from "@orrery/state";
import { FormingMirror } from "../query/forming.ts";
import { type PartLimits, ViewGathering } from "../query/gathering.ts";
import type { FormedMirror } from "../query/mirror.ts";
import type { CompiledModules } from "../query/snapshot.ts";

export function formedView(
  state: ReplicatedState,
  compiled: CompiledModules | null = null,
  limits?: PartLimits,
): FormedMirror {
  const gathering = new ViewGathering(state, compiled);
  const forming = new FormingMirror();
  while (!gathering.isDone) forming.add(structuredClone(gathering.next(limits)));
  return forming.finish(structuredClone(gathering.end()));
}

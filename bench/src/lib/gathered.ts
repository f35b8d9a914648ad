/** A state as a view on another thread takes it over, part by part, with what that costs. */
import { deserialize, serialize } from "node:v8";
import { type FormedMirror, FormingMirror, ViewGathering } from "@orrery/execution";
import type { ReplicatedState } from "@orrery/state";
import { threadMilliseconds } from "./thread-clock.ts";

export interface Gathered {
  readonly formed: FormedMirror;
  /** Processor time of each part for the thread that has the state, milliseconds. */
  readonly partsMs: readonly number[];
  /** The same for the view's thread, all parts. */
  readonly viewMs: number;
}

export function gathered(state: ReplicatedState): Gathered {
  const gathering = new ViewGathering(state);
  const forming = new FormingMirror();
  const partsMs: number[] = [];
  let viewMs = 0;
  while (!gathering.isDone) {
    const from = threadMilliseconds();
    const bytes = serialize(gathering.next());
    const sent = threadMilliseconds();
    forming.add(deserialize(bytes));
    partsMs.push(sent - from);
    viewMs += threadMilliseconds() - sent;
  }
  return { formed: forming.finish(deserialize(serialize(gathering.end()))), partsMs, viewMs };
}

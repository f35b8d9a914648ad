/**
 * What a full checkpoint has to contain, gathered some canisters at a time between rounds, so that none of them waits for all: a hundred
 * thousand canisters take seconds to encode. What changes after it was gathered is gathered again with the checkpoint itself, whose
 * state is then that of its height. Parts may be sent on as they come; they name page versions that the tables of the state still
 * name when the checkpoint is collected, and nobody reads those pages before.
 */
import { type PrincipalKey, toHex } from "@orrery/base";
import type { CanisterInput, CheckpointInput } from "./checkpoint-collector.ts";
import type { CanisterState, ReplicatedState, WasmMemoryState } from "./types.ts";

/** Some milliseconds. */
export const CANISTERS_PER_PART = 50;
/** Pages of memory that a part of so many canisters names before it takes no further one. */
const PAGES_PER_PART = 65_536;

export class Gathering {
  /** Visits canisters that come later as well. */
  readonly #keys: IterableIterator<PrincipalKey>;
  /** Unchanged since they were gathered. */
  readonly #gathered = new Map<PrincipalKey, WasmMemoryState>();
  /** Changed or deleted, and not gathered since. */
  readonly #changed = new Set<PrincipalKey>();
  #isDone = false;

  constructor(state: ReplicatedState) {
    this.#keys = state.canisters.keys();
  }

  /** Every canister was visited. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** With their memories then. */
  get gathered(): Map<PrincipalKey, WasmMemoryState> {
    return this.#gathered;
  }

  /** No part that holds has them: those that are still there belong to the checkpoint itself. */
  get changed(): ReadonlySet<PrincipalKey> {
    return this.#changed;
  }

  note(key: PrincipalKey): void {
    this.#gathered.delete(key);
    this.#changed.add(key);
  }

  /** The next part, of at most so many canisters; empty when there is none any more. Cost: the part. */
  next(
    state: ReplicatedState,
    canistersMax: number,
    input: (canister: CanisterState) => CanisterInput,
  ): CanisterInput[] {
    const part: CanisterInput[] = [];
    const pagesMax = PAGES_PER_PART * Math.max(1, canistersMax / CANISTERS_PER_PART);
    let pages = 0;
    while (part.length < canistersMax && pages < pagesMax) {
      const { value: key, done } = this.#keys.next();
      if (done === true) {
        this.#isDone = true;
        break;
      }
      // Perhaps of a part already, and deleted and made anew since: it is collected at the end.
      if (this.#changed.has(key)) continue;
      const canister = state.canisters.get(key) as CanisterState;
      part.push(input(canister));
      this.#gathered.set(key, canister.memory);
      pages += canister.memory.heap.pageCount + canister.memory.stable.pageCount;
    }
    return part;
  }
}

/** A full checkpoint and the parts that were sent before it as one. */
export function withGathered(input: CheckpointInput, parts: readonly CanisterInput[]): CheckpointInput {
  if (input.regathered === undefined) return input;
  const { regathered, ...whole } = input;
  const again = new Set(regathered);
  const holding = parts.filter(({ id }) => !again.has(toHex(id)));
  return { ...whole, canisters: [...holding, ...input.canisters] };
}

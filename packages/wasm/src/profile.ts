/**
 * Where a message's instructions go: the recorder behind the profiling form of a module (profile-code.ts), which tells it of every
 * entry into a function and of every return, with the instructions left. What was executed between two of these moments belongs to
 * the function that was on top, so the sum over all stacks is the message's count, to the unit. A trap returns from nothing:
 * what is on the stack then ends with the run.
 */
import { demangle } from "./demangle.ts";
import { namesAndImports } from "./names.ts";

/** One stack of functions, and what the last of them executed itself in it. */
export interface FunctionStack {
  /** Outermost first: names of the `name` section, `func[7]` without one, `ic0.time` for functions of the System API. */
  readonly frames: readonly string[];
  readonly instructions: bigint;
}

/** Instructions of an execution by stack of functions, in the order in which the stacks were first reached. */
export interface FunctionProfile {
  readonly stacks: readonly FunctionStack[];
}

/** What several executions came to together; null when there is none. */
export function joinProfiles(first: FunctionProfile, second: FunctionProfile): FunctionProfile;
export function joinProfiles(
  first: FunctionProfile | null,
  second: FunctionProfile | null,
): FunctionProfile | null;
export function joinProfiles(
  first: FunctionProfile | null,
  second: FunctionProfile | null,
): FunctionProfile | null {
  if (first === null || second === null) return first ?? second;
  return { stacks: [...first.stacks, ...second.stacks] };
}

/** Frames of a stack that are told; deeper calls appear as if the last of these had made them. */
export const PROFILE_DEPTH_MAX = 128;
/** Stacks that are told apart; later ones appear by their last function alone, under `PROFILE_REST`. */
export const PROFILE_STACKS_MAX = 65_536;
/** The frame that stands for the callers of stacks beyond `PROFILE_STACKS_MAX`. */
export const PROFILE_REST = "(other stacks)";

const ROOT = 0;
const REST_FUNCTION = -2;
const NODES_BEGIN = 1024;

export class ProfileRecorder {
  /** By stack: its last function, the stack below it, what was executed in it. */
  #functions: Int32Array = new Int32Array(NODES_BEGIN);
  #parents: Int32Array = new Int32Array(NODES_BEGIN);
  #self: Float64Array = new Float64Array(NODES_BEGIN);
  #count = 1;
  /** Stacks by parent and function: open addressing, 0 where nothing is, twice as long as the lists above. */
  #table: Int32Array = new Int32Array(2 * NODES_BEGIN);
  #rest = -1;
  /** The stacks of the callers; the one of depth n at n. */
  #callers: Int32Array = new Int32Array(NODES_BEGIN);
  #depth = 0;
  #current: number = ROOT;
  /** Instructions left when `#current` went on. */
  #left = 0;
  #running = false;

  /** A run begins with so many instructions. */
  begin(counter: number): void {
    this.#running = true;
    this.#depth = 0;
    this.#current = ROOT;
    this.#left = counter;
  }

  /** It ended, by itself or by a trap. */
  end(counter: number): void {
    this.#advance(counter);
    this.#running = false;
  }

  /** The counter was set in the middle of a run. */
  refilled(before: number, after: number): void {
    if (!this.#running) return;
    this.#self[this.#current] = (this.#self[this.#current] as number) + this.#left - before;
    this.#left = after;
  }

  readonly enter = (index: number, counter: number): void => {
    this.#advance(counter);
    if (this.#depth === this.#callers.length) this.#callers = longer(this.#callers);
    this.#callers[this.#depth] = this.#current;
    const folded = this.#depth >= PROFILE_DEPTH_MAX;
    const parent = folded ? (this.#callers[PROFILE_DEPTH_MAX - 1] as number) : this.#current;
    this.#depth++;
    this.#current = this.#child(parent, index);
  };

  readonly leave = (counter: number): void => {
    this.#advance(counter);
    this.#depth--;
    this.#current = this.#callers[this.#depth] as number;
  };

  /** Below zero nothing is executed: what a charge takes beyond the limit is no message's. */
  #advance(counter: number): void {
    const left = counter > 0 ? counter : 0;
    this.#self[this.#current] = (this.#self[this.#current] as number) + this.#left - left;
    this.#left = left;
  }

  /** The stack of function `index` on top of `parent`. */
  #child(parent: number, index: number): number {
    const at = this.#find(parent, index);
    const found = this.#table[at] as number;
    if (found !== 0) return found;
    if (this.#count < PROFILE_STACKS_MAX) return this.#make(at, parent, index);
    if (this.#rest < 0) this.#rest = this.#make(this.#find(ROOT, REST_FUNCTION), ROOT, REST_FUNCTION);
    const place = this.#find(this.#rest, index);
    const known = this.#table[place] as number;
    return known !== 0 ? known : this.#make(place, this.#rest, index);
  }

  /** Where the stack is in the table, or would be. */
  #find(parent: number, index: number): number {
    const table = this.#table;
    const mask = table.length - 1;
    let at = (Math.imul(parent, 0x9e3779b1) ^ Math.imul(index, 0x85ebca6b)) & mask;
    for (;;) {
      const node = table[at] as number;
      if (node === 0 || (this.#parents[node] === parent && this.#functions[node] === index)) return at;
      at = (at + 1) & mask;
    }
  }

  #make(at: number, parent: number, index: number): number {
    const node = this.#count++;
    this.#functions[node] = index;
    this.#parents[node] = parent;
    this.#table[at] = node;
    if (this.#count === this.#functions.length) this.#grow();
    return node;
  }

  #grow(): void {
    this.#functions = longer(this.#functions);
    this.#parents = longer(this.#parents);
    const self = new Float64Array(2 * this.#self.length);
    self.set(this.#self);
    this.#self = self;
    this.#table = new Int32Array(2 * this.#table.length);
    for (let node = 1; node < this.#count; node++) {
      this.#table[this.#find(this.#parents[node] as number, this.#functions[node] as number)] = node;
    }
  }

  /** What was executed since it was last asked; `wasm`: the module, for its functions' names. */
  take(wasm: Uint8Array): FunctionProfile {
    const { names, imports } = namesAndImports(wasm);
    const nameOf = (index: number): string => {
      if (index === REST_FUNCTION) return PROFILE_REST;
      const imported = imports[index];
      if (imported !== undefined) return `ic0.${imported}`;
      const name = names.get(index);
      return name === undefined ? `func[${index}]` : demangle(name);
    };
    const texts = new Map<number, string>();
    const stacks: FunctionStack[] = [];
    // A stack comes after the one below it.
    const frames: string[][] = [[]];
    for (let node = 0; node < this.#count; node++) {
      const index = this.#functions[node] as number;
      if (node !== ROOT) {
        let text = texts.get(index);
        if (text === undefined) {
          text = nameOf(index);
          texts.set(index, text);
        }
        frames.push([...(frames[this.#parents[node] as number] as string[]), text]);
      }
      const self = this.#self[node] as number;
      if (self > 0) stacks.push({ frames: frames[node] as string[], instructions: BigInt(self) });
    }
    this.#self.fill(0);
    this.#table.fill(0);
    this.#count = 1;
    this.#rest = -1;
    return { stacks };
  }
}

function longer(list: Int32Array): Int32Array {
  const copy = new Int32Array(2 * list.length);
  copy.set(list);
  return copy;
}

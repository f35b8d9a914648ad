/**
 * The operators of a body between two places where control may turn: a run. It is collected, since its charge stands before it
 * and is known at its end, and then copied with its page marks. The first run of a function is charged by the function's entry.
 */
import type { CounterCode } from "./counter-code.ts";
import { OP_IF } from "./opcodes.ts";
import type { PageMarks } from "./page-marks.ts";
import { Writer } from "./writer.ts";

export class Runs {
  /** The code so far, and the operators of the run that goes on. */
  readonly out: Writer;
  readonly run: Writer = new Writer(1 << 14);
  readonly #marks: PageMarks;
  readonly #counter: CounterCode;
  /** What the run costs so far. */
  cost = 1;
  /** The run begins where the counter is checked. */
  #checked = true;
  readonly #fast: boolean;
  /** What the run begins with, of what its check matters to. */
  #first: "nothing" | "call" | "growth" | "bulk" = "nothing";
  /** The body calls functions. */
  hasCalls = false;
  /** Cost of the run that the function begins with; -1 before its end. */
  entryCost = -1;
  /** Positions in `out` of the `if`s that are rarely taken. */
  unlikely: number[] = [];

  constructor(out: Writer, marks: PageMarks, counter: CounterCode, fast: boolean) {
    this.out = out;
    this.#marks = marks;
    this.#counter = counter;
    this.#fast = fast;
  }

  /** Starts a body. */
  reset(): void {
    this.out.clear();
    this.run.clear();
    this.cost = 1;
    this.entryCost = -1;
    this.unlikely = [];
    this.#checked = true;
    this.#first = "nothing";
    this.hasCalls = false;
    this.#marks.reset();
  }

  /** The run calls a function, grows the memory, or has a bulk operator, whose charge may pass the end of the next slice as well. */
  leads(to: "call" | "growth" | "bulk"): void {
    this.hasCalls = true;
    if (this.#first === "nothing") this.#first = to;
  }

  /** Ends the current run: its charge, then its operators. */
  end(nextChecked: boolean): void {
    if (this.entryCost < 0) this.entryCost = this.cost;
    else {
      // The function that is called checks as well; nothing outside the canister's memory changes before it does.
      const checked = this.#checked && !(this.#fast && this.#first === "call");
      if (checked || this.cost > 0) this.charge(this.cost, checked);
    }
    this.copy();
    this.restart();
    this.#checked = nextChecked;
  }

  /** Starts a run of no cost so far. */
  restart(): void {
    this.cost = 0;
    this.#first = "nothing";
    this.#checked = false;
  }

  charge(cost: number, checked: boolean): void {
    this.#counter.charge(this.out, cost, checked, this.#unlikelyIf);
  }

  /** Copies the operators collected, with their page marks. */
  copy(): void {
    this.#marks.copyRun(this.run, this.#unlikelyIf);
    this.run.clear();
  }

  readonly #unlikelyIf = (): void => {
    this.unlikely.push(this.out.length);
    this.out.code(OP_IF, 0x40);
  };
}

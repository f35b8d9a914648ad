/**
 * Targets of a benchmark: the process ends with 1 when one is missed, so that whoever runs it need not read its tables. A target that is
 * known to be missed stands in the benchmark's list with the figure that docs/benchmarks.md publishes; then only a figure that is
 * worse than that one, beyond what runs scatter by, fails.
 */

/** What runs of one program on one machine scatter by. */
const SCATTER = 1.05;

export interface GateOptions {
  /** Published figures of targets that are missed, by name. */
  readonly missed?: Readonly<Record<string, number>>;
  readonly report?: (line: string) => void;
}

type Verdict = "met" | "missed, as published" | "MISSED";

export class Gate {
  readonly #missed: ReadonlyMap<string, number>;
  readonly #report: (line: string) => void;
  readonly #seen = new Set<string>();
  #failed = false;

  constructor({ missed = {}, report = console.error }: GateOptions = {}) {
    this.#missed = new Map(Object.entries(missed));
    this.#report = report;
  }

  /** A time or a ratio. */
  atMost(name: string, value: number, target: number): Verdict {
    const published = this.#published(name);
    if (value <= target) return this.#met(name, published);
    if (published !== null && value <= published * SCATTER) return "missed, as published";
    return this.#fail(name, `${value.toFixed(2)} is more than ${target}`, published);
  }

  /** A rate. */
  atLeast(name: string, value: number, target: number): Verdict {
    const published = this.#published(name);
    if (value >= target) return this.#met(name, published);
    if (published !== null && value * SCATTER >= published) return "missed, as published";
    return this.#fail(name, `${value.toFixed(0)} is less than ${target}`, published);
  }

  /** At the end: 1 when a target was missed, or when the list names one that was not looked at although everything ran. */
  exitCode(options: { readonly everythingRan: boolean } = { everythingRan: true }): number {
    const unseen = [...this.#missed.keys()].filter((name) => !this.#seen.has(name));
    if (!options.everythingRan || unseen.length === 0) return this.#failed ? 1 : 0;
    this.#report(`targets in the list of missed ones that nothing measures: ${unseen.join(", ")}`);
    return 1;
  }

  #published(name: string): number | null {
    this.#seen.add(name);
    return this.#missed.get(name) ?? null;
  }

  #met(name: string, published: number | null): Verdict {
    if (published !== null) this.#report(`${name}: met now; published as missed with ${published}`);
    return "met";
  }

  #fail(name: string, why: string, published: number | null): Verdict {
    const known = published === null ? "" : `, and worse than the ${published} that is published`;
    this.#report(`${name}: ${why}${known}`);
    this.#failed = true;
    return "MISSED";
  }
}

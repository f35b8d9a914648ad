/** What a rule is: a name and a function from a repository to the problems that it finds. */
import type { Repository } from "../repository.ts";

export interface Problem {
  readonly path: string;
  /** 1-based; absent when the whole file is meant. */
  readonly line?: number;
  readonly message: string;
}

export interface Rule {
  readonly name: string;
  check(repository: Repository): Problem[];
}

/**
 * The variables that a compiler keeps in a body's float locals (float-plan.ts). What a set leaves is another variable until the block
 * that it stands in ends: no way leads around the set before. What is read after that end may be any that the local stood for in the
 * block or before it, so they become one; so do those of a loop, where a turn may read what the one before has set.
 */

/** An operator that leaves an open value: arithmetic, or a read of a local that may hold some. */
export interface Source {
  /** The operator's offset in the module. */
  readonly at: number;
  readonly kind: number;
  /** What is read, null for arithmetic. */
  readonly variable: Variable | null;
  readonly weight: number;
  /** Something may see its bits. */
  seen: boolean;
}

/** A local that may hold open values, or a part of its uses. */
export interface Variable {
  /** The variable that this one has become one with, itself when there is none. */
  root: Variable;
  /** Where ways meet: what it may stand for, all of which become one with it when it is read. */
  parts: readonly Variable[];
  /** What it is set to, and its own reads. */
  readonly sets: Source[];
  readonly gets: Source[];
  /** Variables that it is copied to. */
  readonly copies: Variable[];
  /** It is never set to anything but open values and numbers. */
  pure: boolean;
  open: boolean;
}

/** The variables of a body, and which of them each local stands for at the operator that is read. */
export class Variables {
  readonly #all: Variable[] = [];
  readonly #current: Map<number, Variable> = new Map();
  /** By open block, for each local that is set in it: the variable before, then those in the block. */
  readonly #inBlock: Map<number, Variable[]>[] = [new Map()];

  openBlock(): void {
    this.#inBlock.push(new Map());
  }

  read(local: number): Variable {
    const variable = this.#currentOf(local);
    unite(variable);
    return variable;
  }

  /** The new variable that a set makes. */
  set(local: number): Variable {
    const variable = this.#make();
    this.#split(local, variable);
    return variable;
  }

  /** At the body's end: which variables hold open values, and what is seen because others do not. */
  decide(): void {
    for (const variable of this.#all) gather(variable, rootOf(variable));
    const variables = this.#all.filter((variable) => variable.root === variable);
    spreadImpurity(variables);
    for (const variable of variables) if (!variable.pure) seeAll(variable.sets);
    for (const variable of variables) {
      if (!variable.pure) continue;
      variable.open = isCheaperOpen(variable);
      if (!variable.open) seeAll(variable.sets);
    }
  }

  #make(parts: readonly Variable[] = []): Variable {
    const variable: Partial<Variable> = { parts, sets: [], gets: [], copies: [], pure: true, open: false };
    variable.root = variable as Variable;
    this.#all.push(variable as Variable);
    return variable as Variable;
  }

  #currentOf(local: number): Variable {
    const known = this.#current.get(local);
    const variable = known ?? this.#make();
    if (known === undefined) this.#current.set(local, variable);
    return variable;
  }

  /** The local stands for another variable from here on, until the end of the block. */
  #split(local: number, variable: Variable): void {
    const inBlock = this.#inBlock[this.#inBlock.length - 1] as Map<number, Variable[]>;
    const known = inBlock.get(local);
    if (known === undefined) inBlock.set(local, [this.#currentOf(local), variable]);
    else known.push(variable);
    this.#current.set(local, variable);
  }

  /** A block's end, where any of its variables may arrive; a loop's variables may have come to its start, too. */
  closeBlock(isLoop: boolean): void {
    for (const [local, parts] of this.#inBlock.pop() as Map<number, Variable[]>) {
      const met = this.#make(parts);
      if (isLoop) unite(met);
      this.#current.set(local, parts[0] as Variable);
      this.#split(local, met);
    }
  }

  /** After `else` locals are what they were before the `if`. */
  otherwise(): void {
    for (const [local, [before]] of this.#inBlock[this.#inBlock.length - 1] as Map<number, Variable[]>)
      this.#current.set(local, before as Variable);
  }
}

function rootOf(variable: Variable): Variable {
  let root = variable;
  while (root.root !== root) root = root.root;
  // Later walks are short.
  for (let one = variable; one !== root; ) {
    const next = one.root;
    one.root = root;
    one = next;
  }
  return root;
}

/** Makes a variable one with all that it may stand for. */
function unite(variable: Variable): void {
  const waiting = [variable];
  for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
    for (const part of one.parts) {
      rootOf(part).root = rootOf(variable);
      waiting.push(part);
    }
    one.parts = [];
  }
}

/** Adds what is known of a variable to the one that it has become one with. */
function gather(variable: Variable, root: Variable): void {
  if (variable === root) return;
  for (const source of variable.sets) root.sets.push(source);
  for (const source of variable.gets) root.gets.push(source);
  for (const copy of variable.copies) root.copies.push(copy);
  root.pure &&= variable.pure;
}

/** A variable that one which is not pure is copied to is not pure either. */
function spreadImpurity(variables: readonly Variable[]): void {
  const waiting = variables.filter(({ pure }) => !pure);
  for (let variable = waiting.pop(); variable !== undefined; variable = waiting.pop()) {
    for (const copy of variable.copies) {
      const root = rootOf(copy);
      if (!root.pure) continue;
      root.pure = false;
      waiting.push(root);
    }
  }
}

function seeAll(sources: readonly Source[]): void {
  for (const source of sources) source.seen = true;
}

/** Whether a source may leave a NaN that is not canonical. */
export function isOpen({ variable }: Source): boolean {
  return variable === null || rootOf(variable).open;
}

/** Whether reads that are seen are fewer turns than sets to open values that nobody else sees. */
function isCheaperOpen({ sets, gets }: Variable): boolean {
  const weigh = (sources: readonly Source[]): number => sources.reduce((sum, { weight }) => sum + weight, 0);
  const saved = sets.filter((source) => !source.seen && isOpen(source));
  return weigh(gets.filter(({ seen }) => seen)) < weigh(saved);
}

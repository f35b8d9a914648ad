/** A profile as a tree of calls: stacks that begin alike share their beginning, and functions of one name are one. */
import type { FunctionProfile } from "@orrery/wasm";

export interface ProfileNode {
  readonly name: string;
  /** Instructions of the function itself in this place. */
  readonly self: bigint;
  /** With all that it called. */
  readonly total: bigint;
  /** The largest first. */
  readonly children: readonly ProfileNode[];
}

interface Growing {
  readonly name: string;
  self: bigint;
  readonly children: Map<string, Growing>;
}

/** The root stands for all stacks and has no name. */
export function profileTree({ stacks }: FunctionProfile): ProfileNode {
  const root: Growing = { name: "", self: 0n, children: new Map() };
  for (const { frames, instructions } of stacks) {
    let node = root;
    for (const name of frames) {
      let child = node.children.get(name);
      if (child === undefined) {
        child = { name, self: 0n, children: new Map() };
        node.children.set(name, child);
      }
      node = child;
    }
    node.self += instructions;
  }
  return grown(root);
}

function grown({ name, self, children }: Growing): ProfileNode {
  const below = [...children.values()].map(grown).sort(byTotal);
  return { name, self, total: below.reduce((sum, { total }) => sum + total, self), children: below };
}

function byTotal(a: ProfileNode, b: ProfileNode): number {
  if (a.total !== b.total) return a.total > b.total ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}

export function profileTotal({ stacks }: FunctionProfile): bigint {
  return stacks.reduce((sum, { instructions }) => sum + instructions, 0n);
}

/** One function in all of its places. */
export interface FunctionShare {
  readonly name: string;
  readonly self: bigint;
  /** With what it called; counted once where it calls itself. */
  readonly total: bigint;
}

/** The functions by what they executed themselves, the largest first. */
export function functionShares({ stacks }: FunctionProfile): readonly FunctionShare[] {
  const shares = new Map<string, { self: bigint; total: bigint }>();
  const share = (name: string): { self: bigint; total: bigint } => {
    let found = shares.get(name);
    if (found === undefined) {
      found = { self: 0n, total: 0n };
      shares.set(name, found);
    }
    return found;
  };
  for (const { frames, instructions } of stacks) {
    for (const name of new Set(frames)) share(name).total += instructions;
    const last = frames.at(-1);
    if (last !== undefined) share(last).self += instructions;
  }
  return [...shares]
    .map(([name, { self, total }]) => ({ name, self, total }))
    .sort((a, b) => Number(b.self - a.self) || Number(b.total - a.total) || (a.name < b.name ? -1 : 1));
}

/**
 * Which states of an exploration are the same: those that differ in the names of honest members, in how high everything is, or in what is
 * over everywhere. A state's text says what is left: blocks by maker and parent down to where all is over, all else by kind, height above
 * that and signer.
 */
import { type Height, toHex } from "@orrery/base";
import type { Proposal } from "@orrery/consensus/member";
import { BEACONS, LEADERS } from "./chosen-keys.ts";
import { type Library, type LocalState, SLOT_NS, short } from "./local-states.ts";

/** New names of members, and of places. */
export interface Renaming {
  readonly members: readonly number[];
  readonly places: readonly number[];
}

interface View {
  /** Its block and all below are final everywhere. */
  readonly base: Height;
  /** Tapes and certifications up to these are everywhere. */
  readonly delivered: Height;
  readonly certified: Height;
  readonly renaming: Renaming;
  readonly name: string;
}

const MAKERS = new Map(BEACONS.map((beacon, number) => [short(beacon), LEADERS[number]]));

const lowest = (states: readonly LocalState[], of: (state: LocalState) => Height): Height =>
  Math.min(...states.map(of));

export class Sameness {
  readonly #library: Library;
  readonly #renamings: readonly Renaming[];
  /** Members of which each makes one block at a height. */
  readonly #single: ReadonlySet<number>;
  readonly #texts = new Map<string, number>();
  readonly #byState = new WeakMap<LocalState, Map<string, number>>();
  readonly #blocks = new Map<string, string>();
  readonly #names = new Map<string, string | null>();

  constructor(library: Library, renamings: readonly Renaming[], single: readonly number[]) {
    this.#library = library;
    this.#renamings = renamings;
    this.#single = new Set(single);
  }

  /** One text for all states that are the same. */
  textOf(states: readonly LocalState[], shape: readonly number[]): string {
    const base = lowest(states, (state) => Math.min(state.finalizedHeight, state.beaconHeight));
    const delivered = lowest(states, ({ deliveredHeight }) => deliveredHeight);
    const certified = lowest(states, ({ certifiedHeight }) => certifiedHeight);
    let least: string | null = null;
    for (const [number, renaming] of this.#renamings.entries()) {
      const name = `${base}/${delivered}/${certified}/${number}`;
      const view: View = { base, delivered, certified, renaming, name };
      const text: string[] = [];
      for (const [place, state] of states.entries()) {
        const group = shape[place];
        const whose = group === undefined ? "" : shape.indexOf(group);
        text[renaming.places[place] as number] = `${this.#numberOf(state, view)}g${whose}`;
      }
      const whole = regrouped(text, renaming).join();
      if (least === null || whole < least) least = whole;
    }
    return least ?? "";
  }

  #numberOf(state: LocalState, view: View): number {
    const numbers = this.#byState.get(state) ?? new Map<string, number>();
    this.#byState.set(state, numbers);
    const known = numbers.get(view.name);
    if (known !== undefined) return known;
    const text = this.#text(state, view);
    const number = this.#texts.get(text) ?? this.#texts.size;
    this.#texts.set(text, number);
    numbers.set(view.name, number);
    return number;
  }

  #text(state: LocalState, view: View): string {
    const { base } = view;
    const { notarizedHeight, finalizedHeight, deliveredHeight, certifiedHeight, beaconHeight } = state;
    const heights = [notarizedHeight, finalizedHeight, deliveredHeight, certifiedHeight, beaconHeight];
    const named = (numbers: Iterable<number>): string =>
      [...numbers]
        .map((number) => this.#rename(this.#library.name(number), view))
        .filter((name) => name !== null)
        .sort()
        .join();
    const ages = [...state.ages]
      .filter(([height]) => height > base)
      .map(([height, age]) => [height - base, age]);
    const parts = [named(state.has), named(state.published), named(state.signedFirst), ages.join()];
    return [heights.map((height) => height - base).join(), ...parts].join("|");
  }

  /** Null for what is over. */
  #rename(name: string, view: View): string | null {
    const key = `${view.name}/${name}`;
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const [kind = "", at = "", third = "", fourth = ""] = name.split("/");
    const height = Number(at) - view.base;
    const member = (index: string): number => view.renaming.members[Number(index)] as number;
    let renamed: string | null;
    if (isOver(kind, Number(at), view)) renamed = null;
    else if (kind === "proposal" || kind === "notarization" || kind === "finalization")
      renamed = `${kind}/${this.#block(third, view)}`;
    else if (kind === "beacon") renamed = `${height}${makers(third, member)}`;
    else if (kind.endsWith("_share"))
      renamed = `${kind}/${height}/${member(third)}/${this.#library.proposal(fourth) === null ? "" : this.#block(fourth, view)}`;
    else if (kind === "equivocation") renamed = `${kind}/${height}/${member(third)}`;
    else renamed = `${kind}/${height}`;
    this.#names.set(key, renamed);
    return renamed;
  }

  #block(hash: string, view: View): string {
    const key = `${view.name}/${hash}`;
    const known = this.#blocks.get(key);
    if (known !== undefined) return known;
    const proposal = this.#library.proposal(hash);
    const name = proposal === null ? "" : this.#blockText(proposal, view);
    this.#blocks.set(key, name);
    return name;
  }

  #blockText({ block, signer }: Proposal, view: View): string {
    const { height, parent, context } = block;
    const known = height - context.certifiedHeight;
    if (height <= view.base) return height < view.base ? "" : `(${known})`;
    const which = this.#single.has(signer) ? "" : `+${context.time % SLOT_NS}`;
    const maker = `${view.renaming.members[signer]}${which}`;
    return `(${height - view.base}.${maker}.${known}${this.#block(toHex(parent), view)})`;
  }
}

function isOver(kind: string, height: Height, { base, delivered, certified }: View): boolean {
  if (kind.startsWith("tape")) return height <= delivered;
  if (kind.startsWith("certification")) return height <= certified;
  // A beacon says who makes the blocks above it.
  return kind === "beacon" ? height < base : height <= base;
}

function makers(beacon: string, member: (index: string) => number): string {
  return `makers${MAKERS.get(beacon)?.map((index) => member(`${index}`))}`;
}

/** Groups by the first of the places that are in them now. */
function regrouped(texts: readonly string[], { places }: Renaming): readonly string[] {
  const first = new Map<string, number>();
  return texts.map((text, place) => {
    const [state = "", group = ""] = text.split("g");
    if (group === "") return state;
    if (!first.has(group)) first.set(group, place);
    return `${state}g${first.get(group)}`;
  });
}

/** Honest members are all alike, and so are places of one member. */
export function renamingsOf(places: readonly number[], honest: readonly number[]): readonly Renaming[] {
  const alike = places.map((member) => (honest.includes(member) ? "honest" : `${member}`));
  return orders(places.length)
    .filter((order) => order.every((to, from) => alike[from] === alike[to]))
    .map((order) => {
      const members = Array.from({ length: Math.max(...places) + 2 }, (_, index) => index);
      for (const [from, to] of order.entries()) members[places[from] as number] = places[to] as number;
      return { members, places: order };
    });
}

function orders(length: number): readonly (readonly number[])[] {
  if (length === 0) return [[]];
  return orders(length - 1).flatMap((order) =>
    Array.from({ length }, (_, at) => [...order.slice(0, at), length - 1, ...order.slice(at)]),
  );
}

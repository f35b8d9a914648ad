/**
 * Which states of an exploration are the same: those that differ in the names of honest members, in how high everything is, or in what is
 * over everywhere. A state's text says what is left: blocks by maker and parent down to where all is closed or over, all else by kind,
 * height above that and signer.
 */
import { type Height, toHex, utf8 } from "@orrery/base";
import type { Proposal } from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import { BEACONS, LEADERS } from "./chosen-keys.ts";
import { type Closed, ClosedHeights, isOfBlocks } from "./closed-heights.ts";
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
  /** Beacons up to this are everywhere. */
  readonly drawn: Height;
  readonly closed: Closed;
  readonly renaming: Renaming;
  readonly name: string;
}

const MAKERS = new Map(BEACONS.map((beacon, number) => [short(beacon), LEADERS[number]]));

/** Of a hash: enough to tell it from others. */
const TIP_CHARS = 12;
const NAME_BYTES = 12;

const lowest = (states: readonly LocalState[], of: (state: LocalState) => Height): Height =>
  Math.min(...states.map(of));

export interface SamenessOptions {
  readonly renamings: readonly Renaming[];
  /** Members of which each makes one block at a height. */
  readonly single: readonly number[];
  /** That says what it likes; null for none. */
  readonly faulty: number | null;
  /** Nothing of a height counts as closed. */
  readonly isExact?: boolean;
}

export class Sameness {
  readonly #library: Library;
  readonly #renamings: readonly Renaming[];
  /** Members of which each makes one block at a height. */
  readonly #single: ReadonlySet<number>;
  readonly #texts = new Map<string, string>();
  readonly #byState = new WeakMap<LocalState, Map<string, string>>();
  readonly #blocks = new Map<string, string>();
  readonly #names = new Map<string, string | null>();
  readonly #closed: ClosedHeights | null;

  constructor(library: Library, { renamings, single, faulty, isExact }: SamenessOptions) {
    this.#library = library;
    this.#renamings = renamings;
    this.#single = new Set(single);
    this.#closed = isExact === true ? null : new ClosedHeights(library, faulty);
  }

  /** One text for all states that are the same. */
  textOf(states: readonly LocalState[], shape: readonly number[]): string {
    const base = lowest(states, (state) => Math.min(state.finalizedHeight, state.beaconHeight));
    const delivered = lowest(states, ({ deliveredHeight }) => deliveredHeight);
    const certified = lowest(states, ({ certifiedHeight }) => certifiedHeight);
    const drawn = lowest(states, ({ beaconHeight }) => beaconHeight);
    const closed = this.#closed?.of(states, base) ?? { top: base, tips: new Map(), text: "" };
    const stand = [...closed.tips.keys()].map((hash) => hash.slice(0, TIP_CHARS)).join();
    let least: string | null = null;
    for (const [number, renaming] of this.#renamings.entries()) {
      const name = `${base}/${delivered}/${certified}/${drawn}/${closed.top}${stand}/${number}`;
      const view: View = { base, delivered, certified, drawn, closed, renaming, name };
      const text: string[] = [];
      for (const [place, state] of states.entries()) {
        const group = shape[place];
        const whose = group === undefined ? "" : shape.indexOf(group);
        text[renaming.places[place] as number] = `${this.#nameOf(state, view)}g${whose}`;
      }
      const whole = regrouped(text, renaming).join();
      if (least === null || whole < least) least = whole;
    }
    return `${closed.text}${least ?? ""}`;
  }

  /** The same in every run. */
  #nameOf(state: LocalState, view: View): string {
    const names = this.#byState.get(state) ?? new Map<string, string>();
    this.#byState.set(state, names);
    const known = names.get(view.name);
    if (known !== undefined) return known;
    const text = this.#text(state, view);
    const name = this.#texts.get(text) ?? toHex(sha256(utf8(text)).subarray(0, NAME_BYTES));
    this.#texts.set(text, name);
    names.set(view.name, name);
    return name;
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

  #blockText({ block, signer, hash }: Proposal, view: View): string {
    const { height, parent, context } = block;
    const tip = view.closed.tips.get(toHex(hash));
    if (tip !== undefined) return `t${tip}`;
    const known = height - context.certifiedHeight;
    if (height <= view.base) return height < view.base ? "" : `(${known})`;
    const which = this.#single.has(signer) ? "" : `+${context.time % SLOT_NS}`;
    const maker = `${view.renaming.members[signer]}${which}`;
    return `(${height - view.base}.${maker}.${known}${this.#block(toHex(parent), view)})`;
  }
}

function isOver(kind: string, height: Height, view: View): boolean {
  const { delivered, certified, drawn, closed } = view;
  if (kind.startsWith("tape")) return height <= delivered;
  if (kind.startsWith("certification")) return height <= certified;
  if (kind === "beacon_share") return height <= drawn;
  // A beacon says who makes the blocks above it.
  if (kind === "beacon") return height < closed.top;
  return isOfBlocks(kind) && height <= closed.top;
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

/**
 * Every state that a small subnet can come to, as far as a menu of choices goes: heights go by in slots, a slot in exchanges, and in each
 * exchange what was said reaches whom the chosen shape of the network lets it reach, with what a faulty member chooses to say. Members
 * are the real ones. States with the same members are one. Judged in every state: no two honest members have different final blocks, no other
 * block is notarized beside a final one, and no member says what an honest one does not.
 */
import { assert, type Height } from "@orrery/base";
import { type Artifact, heightOf } from "@orrery/consensus/member";
import { BEACONS, ChosenKeys, LEADERS, type Leaders } from "./chosen-keys.ts";
import { FaultyMember, type Told } from "./faulty-member.ts";
import { Judges } from "./judges.ts";
import { Library, type LocalState, LocalStates, SLOT_NS } from "./local-states.ts";
import { renamingsOf, Sameness } from "./sameness.ts";

const SECOND = 1_000_000_000n;
const START: bigint = 1_800_000_000n * SECOND;

/** Members with equal numbers hear each other. */
export type Shape = readonly number[];

export interface Exchange {
  /** What is let through: beacons, tapes and certifications; blocks and votes; or all. */
  readonly lets: "randomness" | "blocks and votes" | "all";
  /** One of these; without any the one before stays. */
  readonly shapes: readonly Shape[] | null;
  /** What the faulty member says; of votes to whom, in each choice; null for nothing. */
  readonly faulty:
    | { readonly says: "blocks"; readonly rank: number }
    | { readonly says: "votes"; readonly to: readonly Shape[] }
    | null;
  /** Into the slot, at the exchange's end. */
  readonly untilNs: bigint;
}

export interface ExplorationOptions {
  /** Whose member each place is; two places of one number are twins. */
  readonly places: readonly number[];
  /** Those that are judged. */
  readonly honest: readonly number[];
  /** A member that has no place, and says what the menu has; null for none. */
  readonly faulty: number | null;
  readonly slots: number;
  readonly exchanges: readonly Exchange[];
  /** Slots that go by with these exchanges, infinitely many for all; the others with calm ones, which are as many. */
  readonly stormsMax: number;
  readonly calm: readonly Exchange[];
  readonly firstLeaders: Leaders;
  /** Makers of the later heights. */
  readonly leaders?: readonly Leaders[];
  /** States that differ in what is closed are told apart: many more, of which the same follows. */
  readonly isExact?: boolean;
  /** After a slot: states when all was gathered that was held back, and in its end. */
  readonly onSlot?: (slot: number, gathered: number, found: number) => void;
}

export interface Explored {
  readonly states: number;
  readonly transitions: number;
  /** Of each slot's end. */
  readonly statesBySlot: readonly number[];
  readonly localStates: number;
  /** Inputs that members were given. */
  readonly steps: number;
  readonly heights: { readonly notarized: Height; readonly finalized: Height };
  /** Texts of the states in the end. */
  readonly ends: ReadonlySet<string>;
  /** What was wrong, and the choices that led there. */
  readonly violation: { readonly what: string; readonly path: readonly string[] } | null;
}

interface Choice {
  readonly shape: Shape;
  readonly told: Told | null;
  /** Of the height whose beacon comes of shares now. */
  readonly leaders: number | null;
  /** Slots left that may be stormy, without this one; whether this one is. */
  readonly storms: number;
  readonly isStormy: boolean;
}

interface Level {
  readonly places: (readonly number[])[];
  readonly before: number[];
  /** What led there. */
  readonly choices: Choice[];
}

const newLevel = (): Level => ({ places: [], before: [], choices: [] });

const RANDOMNESS = /^(beacon|tape|certification)/;

export class Exploration {
  readonly #options: ExplorationOptions;
  readonly #library = new Library();
  readonly #keys = new ChosenKeys();
  readonly #locals: readonly LocalStates[];
  readonly #faulty: FaultyMember | null;
  readonly #levels: Level[] = [];
  readonly #inFlight = new Map<string, readonly number[]>();
  readonly #judges: Judges;
  readonly #sameness: Sameness;
  /** Texts of the states in which slots began. */
  #begun = new Set<string>();
  #transitions = 0;

  constructor(options: ExplorationOptions) {
    this.#options = options;
    const beacon = BEACONS[LEADERS.findIndex((each) => `${each}` === `${options.firstLeaders}`)];
    assert(beacon !== undefined, "the first makers are two members");
    const tip = { height: 0, hash: new Uint8Array(32), time: START, certifiedHeight: 0, registryVersion: 1 };
    const choose = (chosen: (height: Height) => Uint8Array): void => {
      this.#keys.chosen = chosen;
    };
    this.#locals = options.places.map(
      (self) =>
        new LocalStates(this.#library, { crypto: this.#keys.of(self), self, start: { tip, beacon }, choose }),
    );
    const { faulty, honest } = options;
    this.#judges = new Judges(honest);
    this.#sameness = this.#samenessOf(options.isExact === true);
    this.#faulty = faulty === null ? null : new FaultyMember(this.#library, faulty, this.#keys.of(faulty));
  }

  #samenessOf(isExact: boolean): Sameness {
    const { places, honest, faulty } = this.#options;
    const renamings = renamingsOf(places, honest);
    return new Sameness(this.#library, { renamings, single: honest, faulty, isExact });
  }

  run(): Explored {
    const { slots, stormsMax } = this.#options;
    const first = newLevel();
    first.places.push(this.#locals.map((local) => local.start(START + SECOND)));
    const choice = { shape: [], told: null, leaders: null, storms: stormsMax, isStormy: false };
    first.choices.push(choice);
    this.#levels.push(first);
    const statesBySlot: number[] = [];
    let violation: Explored["violation"] = null;
    for (let slot = 0; slot < slots && violation === null; slot++) {
      violation = this.#goThrough(slot);
      statesBySlot.push(this.#levels.at(-1)?.places.length ?? 0);
    }
    const last = (this.#levels.at(-1) as Level).places.map((places) => this.#states(places));
    const highest = (of: (state: LocalState) => Height): Height =>
      last.reduce((most, states) => states.reduce((a, b) => Math.max(a, of(b)), most), 0);
    const reduced = this.#samenessOf(false);
    const explored = {
      states: this.#levels.reduce((sum, { places }) => sum + places.length, 0),
      transitions: this.#transitions,
      statesBySlot,
      localStates: this.#locals.reduce((sum, { size }) => sum + size, 0),
      steps: this.#locals.reduce((sum, { steps }) => sum + steps, 0),
      heights: {
        notarized: highest((state) => state.notarizedHeight),
        finalized: highest((state) => state.finalizedHeight),
      },
      ends: new Set(last.map((states) => reduced.textOf(states, []))),
    };
    return { ...explored, violation: violation ?? this.#goesOn() };
  }

  #goThrough(slot: number): Explored["violation"] {
    const { exchanges, slots, onSlot } = this.#options;
    let violation: Explored["violation"] = null;
    for (let number = 0; number < exchanges.length && violation === null; number++)
      violation = this.#expand(slot, number);
    const sizes = this.#levels.slice(-exchanges.length).map(({ places }) => places.length);
    if (slot < slots) onSlot?.(slot, Math.min(...sizes), sizes.at(-1) ?? 0);
    return violation;
  }

  /** From every state that is left, two calm slots: everybody finalizes something above all that was there. */
  #goesOn(): Explored["violation"] {
    const { slots } = this.#options;
    const leaves = this.#levels.at(-1) as Level;
    for (const [number, choice] of leaves.choices.entries())
      leaves.choices[number] = { ...choice, storms: 0 };
    for (const slot of [slots, slots + 1]) {
      // What stands still is as it was a slot ago, which is what is looked for.
      this.#begun = new Set();
      const violation = this.#goThrough(slot);
      if (violation !== null) return violation;
    }
    const { places } = this.#levels.at(-1) as Level;
    for (const [number, ends] of places.entries()) {
      let at = number;
      for (let level = this.#levels.length - 1; this.#levels[level] !== leaves; level--)
        at = this.#levels[level]?.before[at] as number;
      const before = this.#states(leaves.places[at] as readonly number[]);
      const final = Math.min(...this.#states(ends).map(({ finalizedHeight }) => finalizedHeight));
      const was = Math.max(...before.map(({ notarizedHeight }) => notarizedHeight));
      if (final <= was)
        return { what: `nothing above ${was} is final after two calm slots`, path: this.#path(number) };
    }
    return null;
  }

  #states(places: readonly number[]): readonly LocalState[] {
    return places.map((state, place) => (this.#locals[place] as LocalStates).get(state));
  }

  /** All that follows from the newest states. */
  #expand(slot: number, number: number): Explored["violation"] {
    const from = this.#levels.at(-1) as Level;
    const to = newLevel();
    this.#levels.push(to);
    this.#inFlight.clear();
    const known = new Set<string>();
    const seen = number === 0 ? this.#begun : new Set<string>();
    for (const [before, places] of from.places.entries()) {
      const states = this.#states(places);
      for (const choice of this.#choices(number, states, from.choices[before] as Choice)) {
        this.#transitions++;
        const next = this.#next({ number, slot, places, states, choice });
        const ahead = `${this.#isKept(number, choice) ? choice.shape : ""}/${choice.storms}/${choice.isStormy}`;
        const key = `${next}/${ahead}`;
        if (known.has(key)) continue;
        known.add(key);
        const what = this.#judge(next);
        const shape = this.#isKept(number, choice) ? choice.shape : [];
        const isOver = number === this.#options.exchanges.length - 1;
        const weather = `${choice.storms}/${!isOver && choice.isStormy}`;
        const text = `${this.#sameness.textOf(this.#states(next), shape)}/${weather}`;
        if (what === null && seen.has(text)) continue;
        seen.add(text);
        to.places.push(next);
        to.before.push(before);
        to.choices.push(choice);
        if (what !== null) return { what, path: this.#path() };
      }
    }
    return null;
  }

  #exchange(number: number, { isStormy }: Pick<Choice, "isStormy">): Exchange | undefined {
    return (isStormy ? this.#options.exchanges : this.#options.calm)[number];
  }

  /** Whether the exchange after this one goes on with its shape. */
  #isKept(number: number, choice: Choice): boolean {
    return this.#exchange(number + 1, choice)?.shapes === null;
  }

  *#choices(number: number, states: readonly LocalState[], before: Choice): Generator<Choice, void> {
    // A menu in which all may be stormy has what is calm in it.
    const isFree = before.storms === Number.POSITIVE_INFINITY;
    const weathers =
      number > 0
        ? [before]
        : [
            { storms: before.storms, isStormy: false },
            { storms: before.storms - 1, isStormy: true },
          ]
            .slice(isFree ? 1 : 0)
            .filter(({ storms }) => storms >= 0);
    for (const { storms, isStormy } of weathers) {
      const exchange = this.#exchange(number, { isStormy }) as Exchange;
      const told = this.#toldIn(exchange, states);
      const leaders = this.#drawn(exchange, states);
      for (const shape of exchange.shapes ?? [before.shape])
        for (const each of told)
          for (const makers of leaders) yield { shape, told: each, leaders: makers, storms, isStormy };
    }
  }

  #toldIn({ faulty }: Exchange, states: readonly LocalState[]): readonly (Told | null)[] {
    if (this.#faulty === null || faulty === null) return [null];
    return faulty.says === "votes"
      ? this.#faulty.votes(states, faulty.to)
      : this.#faulty.blocks(states, faulty.rank);
  }

  /** Makers that can be drawn: all where a beacon comes to be that nobody knows. */
  #drawn({ lets }: Exchange, states: readonly LocalState[]): readonly (number | null)[] {
    const height = Math.max(...states.map(({ notarizedHeight }) => notarizedHeight));
    const isKnown = height === 0 || states.some(({ beacons }) => beacons.has(height));
    if (lets === "blocks and votes" || isKnown) return [null];
    const { leaders = LEADERS } = this.#options;
    return leaders.map((each) => LEADERS.findIndex((known) => `${known}` === `${each}`));
  }

  #next(step: {
    readonly number: number;
    readonly slot: number;
    readonly places: readonly number[];
    readonly states: readonly LocalState[];
    readonly choice: Choice;
  }): readonly number[] {
    const { number, slot, places, states, choice } = step;
    const exchange = this.#exchange(number, choice) as Exchange;
    const highest = Math.max(...states.map(({ notarizedHeight }) => notarizedHeight));
    const drawn = BEACONS[choice.leaders ?? 0] as Uint8Array;
    const beacon = (height: Height): Uint8Array =>
      states.find(({ beacons }) => beacons.has(height))?.beacons.get(height) ?? drawn;
    const since = START + BigInt(slot) * SLOT_NS;
    const turn = { until: since + exchange.untilNs, since, beacon };
    const { shape } = choice;
    return places.map((state, to) => {
      const heard = new Set<number>(choice.told?.[to]);
      for (const [from] of places.entries()) {
        if (from === to || shape[from] !== shape[to]) continue;
        for (const each of this.#between(from, to, { places, lets: exchange.lets, highest })) heard.add(each);
      }
      const sorted = [...heard].sort((a, b) => a - b);
      const { beaconHeight } = states[to] as LocalState;
      const drawnHere = highest > beaconHeight ? BEACONS.indexOf(beacon(beaconHeight + 1)) : "";
      const name = `${sorted}/${drawnHere}/${highest > beaconHeight + 1 ? choice.leaders : ""}`;
      const level = this.#levels.length;
      const ordered = sorted.sort((a, b) => this.#heightOf(a) - this.#heightOf(b) || a - b);
      return (this.#locals[to] as LocalStates).follow(state, level, { ...turn, heard: ordered }, name);
    });
  }

  #heightOf(number: number): Height {
    return heightOf(this.#library.artifact(number));
  }

  /** What one has to say to another that is of use to it. */
  #between(
    from: number,
    to: number,
    {
      places,
      lets,
      highest,
    }: { readonly places: readonly number[]; readonly lets: Exchange["lets"]; readonly highest: Height },
  ): readonly number[] {
    const key = `${from}:${places[from]}>${to}:${places[to]}@${highest}`;
    const known = this.#inFlight.get(key);
    if (known !== undefined) return known;
    const speaker = (this.#locals[from] as LocalStates).get(places[from] as number);
    const hearer = (this.#locals[to] as LocalStates).get(places[to] as number);
    const found = speaker.published.filter((number) => {
      if (hearer.has.has(number)) return false;
      const artifact = this.#library.artifact(number);
      const isRandomness = RANDOMNESS.test(artifact.kind);
      if (lets !== "all" && isRandomness !== (lets === "randomness")) return false;
      return isOfUse(artifact, hearer, highest);
    });
    this.#inFlight.set(key, found);
    return found;
  }

  #judge(places: readonly number[]): string | null {
    return this.#judges.of(this.#states(places));
  }

  /** How the newest state came to be. */
  #path(last?: number): readonly string[] {
    const path: string[] = [];
    const { exchanges } = this.#options;
    let at = last ?? (this.#levels.at(-1) as Level).places.length - 1;
    for (let number = this.#levels.length - 1; number > 0; number--) {
      const { choices, before } = this.#levels[number] as Level;
      const choice = choices[at] as Choice;
      const exchange = this.#exchange((number - 1) % exchanges.length, choice) as Exchange;
      const { shape, told, leaders } = choice;
      const slot = Math.floor((number - 1) / exchanges.length) + 1;
      const drawn = leaders === null ? "" : `, makers ${LEADERS[leaders]}`;
      const says = told?.map((each) => each.length) ?? [];
      path.push(
        `slot ${slot}, ${exchange.lets}: groups ${shape}${drawn}` +
          (says.some((count) => count > 0)
            ? `, the faulty member says ${exchange.faulty?.says}: ${says} to each`
            : ""),
      );
      at = before[at] as number;
    }
    return path.reverse();
  }
}

/** Beacons above the height that is worked on come later: their makers are drawn then. */
function isOfUse(artifact: Artifact, hearer: LocalState, highest: Height): boolean {
  const height = heightOf(artifact);
  switch (artifact.kind) {
    case "beacon":
    case "beacon_share":
      return height > hearer.beaconHeight && height <= highest;
    case "tape":
    case "tape_share":
      return height > hearer.deliveredHeight;
    case "certification":
    case "certification_share":
      return height > hearer.certifiedHeight;
    default:
      return height > hearer.finalizedHeight;
  }
}

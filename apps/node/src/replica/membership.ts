/**
 * Which nodes agree on a subnet's blocks, height by height, as one of its replicas sees it. Intervals say it by ids; nodes know each other by
 * the places that the registry gave them. Where the members never change, they are the genesis'.
 */
import { type Block, equalBytes, type Height, type NodeId } from "@orrery/base";
import { decodeSummary } from "@orrery/consensus/member";
import type { SubnetRegistry } from "../registry/registry.ts";
import type { KeyRuns } from "./key-runs.ts";
import { REGISTRY_VERSION } from "./rules.ts";

type FinalBlock = Pick<Block, "height" | "payload" | "context">;

export interface MembershipOptions {
  readonly registry: SubnetRegistry;
  /** Of the subnet. */
  readonly keyRuns: Pick<KeyRuns, "heard" | "unfinished">;
  /** This node. */
  readonly nodeId: NodeId;
  /** In the order in which they are counted; null where they never change, or nobody can know yet. */
  readonly membersAt: (height: Height) => readonly NodeId[] | null;
  /** Of the last block that is handed on. */
  readonly tip: () => Height;
  /** Members of versions before this one are not needed any more. */
  readonly onInterval: (oldestVersion: number) => void;
  /** This node takes part no more, and the registry does not have it come back. */
  readonly onLeft: () => void;
}

export class Membership {
  readonly #options: MembershipOptions;
  readonly keyRuns: MembershipOptions["keyRuns"];
  /** Resolves in the first interval that has this node among its members. */
  readonly joined: Promise<void>;
  readonly #join: () => void;
  /** Of the list of ids that was asked about last, or of the genesis. */
  #ids: readonly NodeId[] | null = null;
  #places: readonly number[];
  /** Of the members of the interval before; null: it was before the start. */
  #before: number | null = null;
  /** What goes on once this version is known. */
  #waiting: { readonly version: number; readonly go: () => void } | null = null;

  constructor(options: MembershipOptions) {
    this.#options = options;
    const { registry, keyRuns } = options;
    this.keyRuns = keyRuns;
    const { promise, resolve } = Promise.withResolvers<void>();
    [this.joined, this.#join] = [promise, resolve];
    this.#places = this.#placesOf(registry.record(REGISTRY_VERSION)?.members ?? []);
  }

  /** Places of those who agree on the block of a height, or null: on the next one here. The same list as long as they are the same. */
  readonly places = (height: Height | null): readonly number[] => {
    const ids = this.#options.membersAt(height ?? this.#options.tip() + 1);
    // What is not known yet is as it was.
    if (ids === null || ids === this.#ids) return this.#places;
    const places = this.#placesOf(ids);
    // The registry here is behind.
    if (places.length < ids.length) return this.#places;
    this.#ids = ids;
    this.#places = places;
    return places;
  };

  /** An interval begins where the block has a summary: the members of the version that the block knows are dealt keys in it. */
  began(block: FinalBlock): void {
    const { summary } = block.payload;
    this.keyRuns.heard(block);
    if (summary === undefined) return;
    const { registry, nodeId, onInterval, onLeft } = this.#options;
    const { current, next } = decodeSummary(summary);
    // Who left at this summary has to hear of it yet: its nodes stay known for one interval more.
    onInterval(this.#before ?? Math.max(REGISTRY_VERSION, current.registryVersion - 1));
    this.#before = current.registryVersion;
    const newest = registry.record(registry.version)?.members ?? [];
    const dealt = registry.record(block.context.registryVersion)?.members ?? null;
    const has = (members: readonly NodeId[]): boolean => members.some((member) => equalBytes(member, nodeId));
    if (has(current.members)) this.#join();
    // Who is dealt keys is counted on in a later interval, whatever the registry says since.
    else if (dealt !== null && ![next?.members ?? [], dealt, newest].some(has)) onLeft();
  }

  /** Goes on once the version is known: by what came before nobody could be judged. In place of what waited. */
  whenKnown(version: number, go: () => void): void {
    this.#waiting = { version, go };
    this.registryGrew();
  }

  registryGrew(): void {
    const waiting = this.#waiting;
    if (waiting === null || waiting.version > this.#options.registry.version) return;
    this.#waiting = null;
    waiting.go();
  }

  #placesOf(ids: readonly NodeId[]): readonly number[] {
    return ids.flatMap((id) => this.#options.registry.node(id)?.place ?? []);
  }
}

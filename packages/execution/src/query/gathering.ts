/**
 * What a view begins with, in parts that are taken between rounds, so that no round waits for a hundred thousand canisters. A part holds
 * records as they stand when it is taken; the deltas of the rounds in between go to the view as well, which follows them for what it
 * has (`FormingMirror`). Once all was visited it has everything, and what is left of the certified tree is small. Plain data
 * throughout, to be sent in order.
 */
import type { Height, PrincipalKey, TimeNs } from "@orrery/base";
import { type LabelTree, treeHash } from "@orrery/crypto";
import {
  type BlobKey,
  type CanisterState,
  type IngressEntry,
  type InstalledModule,
  type PageDelta,
  type ReplicatedState,
  type SubnetInfo,
  treeRest,
} from "@orrery/state";
import type { ModuleBytes } from "../types.ts";
import { type CanisterSnapshot, type CompiledModules, moduleBytes, snapshotOf } from "./snapshot.ts";

/** `meta.module` is null; `module` names one that came with this part or an earlier one. */
export interface GatheredCanister extends CanisterSnapshot<PageDelta> {
  readonly module: BlobKey | null;
}

export interface GatheredModule extends ModuleBytes {
  readonly module: InstalledModule;
}

export type GatheredIngress = Pick<
  IngressEntry,
  "requestId" | "sender" | "receiver" | "effectiveId" | "status"
>;

export interface ViewPart {
  readonly canisters: readonly GatheredCanister[];
  readonly modules: readonly GatheredModule[];
  readonly ingress: readonly GatheredIngress[];
  /** All canisters were visited, all requests: what comes to be from now on comes whole with its delta. */
  readonly hasAllCanisters: boolean;
  readonly hasAllIngress: boolean;
}

/** What makes a view of all parts. */
export interface ViewEnd {
  readonly subnet: SubnetInfo;
  readonly height: Height;
  readonly time: TimeNs;
  readonly rootHash: Uint8Array;
  /** `treeRest` of the certified tree. */
  readonly rest: LabelTree;
}

export interface PartLimits {
  readonly canistersMax: number;
  /** Of all canisters of a part; one that has more is a part of its own. */
  readonly pagesMax: number;
  readonly ingressMax: number;
}

/** Some three milliseconds. */
const PART: PartLimits = { canistersMax: 200, pagesMax: 65_536, ingressMax: 1_000 };

export class ViewGathering {
  readonly #state: ReplicatedState;
  readonly #compiled: CompiledModules | null;
  /** Visit what comes later as well, until they have come to their end. */
  readonly #keys: IterableIterator<PrincipalKey>;
  readonly #ingress: IterableIterator<IngressEntry>;
  readonly #told = new Set<BlobKey>();
  #hasAllCanisters = false;
  #hasAllIngress = false;

  constructor(state: ReplicatedState, compiled: CompiledModules | null = null) {
    this.#state = state;
    this.#compiled = compiled;
    this.#keys = state.canisters.keys();
    this.#ingress = state.ingressHistory.values();
  }

  /** Everything was visited. */
  get isDone(): boolean {
    return this.#hasAllCanisters && this.#hasAllIngress;
  }

  /** Between two rounds, once for each part: the next one. Cost: the part. */
  next(limits: PartLimits = PART): ViewPart {
    const canisters: GatheredCanister[] = [];
    const modules: GatheredModule[] = [];
    const ingress: GatheredIngress[] = [];
    if (this.#hasAllCanisters) this.#takeIngress(ingress, limits);
    else this.#takeCanisters(canisters, modules, limits);
    return {
      canisters,
      modules,
      ingress,
      hasAllCanisters: this.#hasAllCanisters,
      hasAllIngress: this.#hasAllIngress,
    };
  }

  #takeCanisters(
    canisters: GatheredCanister[],
    modules: GatheredModule[],
    { canistersMax, pagesMax }: PartLimits,
  ): void {
    for (let pages = 0; canisters.length < canistersMax && pages < pagesMax; ) {
      const { value: key, done } = this.#keys.next();
      if (done === true) {
        this.#hasAllCanisters = true;
        return;
      }
      const canister = this.#state.canisters.get(key) as CanisterState;
      const { memory, meta } = canister;
      const { module } = meta;
      if (module !== null && !this.#told.has(module.blob)) {
        this.#told.add(module.blob);
        modules.push({ ...moduleBytes(this.#state, module, this.#compiled), module });
      }
      const snapshot = snapshotOf(canister, { heap: memory.heap.pairs(), stable: memory.stable.pairs() });
      canisters.push({
        ...snapshot,
        meta: { ...snapshot.meta, module: null },
        module: module?.blob ?? null,
      });
      pages += memory.heap.pageCount + memory.stable.pageCount;
    }
  }

  #takeIngress(ingress: GatheredIngress[], { ingressMax }: PartLimits): void {
    while (ingress.length < ingressMax) {
      const { value: entry, done } = this.#ingress.next();
      if (done === true) {
        this.#hasAllIngress = true;
        return;
      }
      const { requestId, sender, receiver, effectiveId, status } = entry;
      ingress.push({ requestId, sender, receiver, effectiveId, status });
    }
  }

  /** Between two rounds, once everything was visited: the view begins at the state's height. */
  end(): ViewEnd {
    const { subnet, height, time, tree } = this.#state;
    return { subnet, height, time, rootHash: treeHash(tree), rest: treeRest(tree) };
  }
}

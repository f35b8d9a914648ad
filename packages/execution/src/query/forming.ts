/**
 * A mirror that is not one yet: it takes the parts of a state that goes on meanwhile (`ViewGathering`) and the deltas of the rounds between
 * them, in the order in which they were made. A delta moves what came before it; what did not come yet comes later, as it stands then.
 * Nobody may look at it before `finish`, which compares the certified tree that its records come to with the state's.
 */
import { assert, type Height, type PrincipalKey, principalKey, toHex } from "@orrery/base";
import {
  type BlobKey,
  type InstalledModule,
  PageTable,
  RecordPool,
  requestPath,
  TreeLevels,
} from "@orrery/state";
import type { CanisterDelta, ModuleBytes, StateDelta } from "../types.ts";
import type { GatheredCanister, ViewEnd, ViewPart } from "./gathering.ts";
import { type FormedMirror, followCanister, type MirroredCanister, newCanister } from "./mirror.ts";
import type { IngressSummary } from "./snapshot.ts";

export class FormingMirror {
  readonly #canisters = new Map<PrincipalKey, MirroredCanister>();
  readonly #ingress = new Map<string, IngressSummary>();
  /** Of parts, which are named once, and of deltas: all stay until the end, since a later part may name any. */
  readonly #modules = new Map<BlobKey, ModuleBytes>();
  readonly #records = new Map<BlobKey, InstalledModule>();
  readonly #pool = new RecordPool();
  readonly #levels = new TreeLevels();
  #hasAllCanisters = false;
  #hasAllIngress = false;
  /** Of the last delta. */
  #height: Height | null = null;

  add(part: ViewPart): void {
    for (const { module, ...bytes } of part.modules) {
      this.#records.set(module.blob, this.#pool.module(module));
      this.#keep(bytes);
    }
    this.#levels.putCanisters(part.canisters.map((canister) => this.#addCanister(canister).meta));
    for (const { status, ...summary } of part.ingress) this.#ingress.set(toHex(summary.requestId), summary);
    this.#levels.putRequests(part.ingress);
    // What is hashed now is not waited for at the end.
    this.#levels.hash();
    this.#hasAllCanisters = part.hasAllCanisters;
    this.#hasAllIngress = part.hasAllIngress;
  }

  /** What came compiled is not forgotten for the same that did not. */
  #keep(module: ModuleBytes): void {
    if (this.#modules.get(module.key)?.compiled === undefined) this.#modules.set(module.key, module);
  }

  #addCanister(gathered: GatheredCanister): MirroredCanister {
    const { module, heap, stable } = gathered;
    const record = module === null ? null : this.#records.get(module);
    assert(record !== undefined, `the module ${module} of a canister came before it`);
    const meta = { ...gathered.meta, module: record };
    this.#pool.share(meta);
    const memory = { heap: new PageTable(), stable: new PageTable() };
    memory.heap.applyDelta(heap);
    memory.stable.applyDelta(stable);
    const canister = newCanister({ ...gathered, meta }, memory);
    this.#canisters.set(principalKey(meta.id), canister);
    return canister;
  }

  follow(delta: StateDelta): void {
    const { height } = delta;
    assert(this.#height === null || height === this.#height + 1, `delta ${height} follows ${this.#height}`);
    this.#height = height;
    for (const module of delta.modules) this.#keep(module);
    for (const key of delta.deleted) this.#canisters.delete(key);
    this.#levels.deleteCanisters(delta.deleted);
    this.#levels.putCanisters(delta.canisters.flatMap((change) => this.#followCanister(change)));
    this.#followIngress(delta);
  }

  #followCanister(change: CanisterDelta): MirroredCanister["meta"][] {
    const key = principalKey(change.meta.id);
    const known = this.#canisters.get(key);
    if (known === undefined && !this.#hasAllCanisters) return [];
    const canister = followCanister(known, change, this.#pool);
    this.#canisters.set(key, canister);
    return [canister.meta];
  }

  #followIngress({ ingress, ingressPruned, tree }: StateDelta): void {
    for (const entry of ingress) {
      const key = toHex(entry.requestId);
      if (this.#hasAllIngress || this.#ingress.has(key)) this.#ingress.set(key, entry);
    }
    for (const { path, value } of tree) {
      const below = requestPath(path);
      const known = below !== null && this.#ingress.has(toHex(below[0] as Uint8Array));
      if (known) this.#levels.changeRequest(below, value);
    }
    for (const key of ingressPruned) this.#ingress.delete(key);
  }

  /** The state at the end's height. */
  finish({ rest, ...end }: ViewEnd): FormedMirror {
    assert(this.#hasAllCanisters && this.#hasAllIngress, "a view begins with the whole state");
    assert(this.#height === null || end.height === this.#height, "a view has followed every round since");
    return {
      ...end,
      tree: this.#levels.joined(rest),
      canisters: this.#canisters,
      ingress: this.#ingress,
      modules: [...this.#modules.values()],
      pool: this.#pool,
    };
  }
}

/**
 * Very many canisters of the fleet's modules on a node: made by factories there, asked over HTTP, each answer compared with what the
 * canister must have come to.
 */
import { HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import { type CanisterId, principalFromText } from "@orrery/base";
import { type Asked, type AskedResult, CanisterClient } from "./canister-client.ts";
import { FACTORY_CALLS_MAX, factoryMake, factoryModule, factoryUpload, madeIds } from "./factory.ts";
import { type FleetModule, fleetCall, fleetInstall, isFleetReply } from "./fleet.ts";
import type { RunningNetwork } from "./network.ts";

const MANAGEMENT = "aaaaa-aa";
/** At work at once. */
const FACTORIES = 2;
const CYCLES = 10n ** 24n;

const Created = IDL.Record({ canister_id: IDL.Principal });
const CreateArgs = IDL.Record({ amount: IDL.Opt(IDL.Nat), specified_id: IDL.Opt(IDL.Principal) });

export interface FleetRecord {
  readonly ids: readonly string[];
  /** How often each was asked to add one. */
  readonly added: readonly (readonly [which: number, times: number])[];
}

export class NodeFleet {
  readonly #modules: readonly FleetModule[];
  readonly #ids: string[] = [];
  readonly #added = new Map<number, number>();
  readonly #factories: string[] = [];
  #network: RunningNetwork;
  #client: CanisterClient;
  #agent: HttpAgent | null = null;
  #random = 12_345;

  constructor(network: RunningNetwork, modules: readonly FleetModule[]) {
    this.#network = network;
    this.#client = new CanisterClient(network);
    this.#modules = modules;
  }

  /** What another process needs to go on with these canisters. */
  record(): FleetRecord {
    return { ids: this.#ids, added: [...this.#added] };
  }

  /** Takes over canisters that were made before. */
  adopt({ ids, added }: FleetRecord): void {
    this.#ids.push(...ids);
    for (const [which, times] of added) this.#added.set(which, times);
  }

  get size(): number {
    return this.#ids.length;
  }

  get network(): RunningNetwork {
    return this.#network;
  }

  /** The same canisters, after the node was started again. */
  moved(network: RunningNetwork): void {
    this.#network = network;
    this.#client = new CanisterClient(network);
    this.#agent = null;
  }

  /** Makes canisters until there are so many, a multiple of the number of modules; seconds. */
  async grow(to: number): Promise<number> {
    while (this.#factories.length < FACTORIES) this.#factories.push(await this.#factory());
    const start = performance.now();
    const step = this.#modules.length;
    const jobs: { readonly module: number; readonly first: number; readonly count: number }[] = [];
    for (let from = this.size; from < to; from += step * FACTORY_CALLS_MAX) {
      const count = Math.min(FACTORY_CALLS_MAX, (to - from) / step);
      for (let module = 0; module < step; module++) jobs.push({ module, first: from + module, count });
    }
    const work = async (factory: string): Promise<void> => {
      for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
        const { module, first, count } = job;
        const id = principalFromText(factory);
        const arg = factoryMake(id, this.#modules[module] as FleetModule, { first, step, count });
        const reply = await this.#patient(factory, "make", arg);
        for (const [i, made] of madeIds(reply).entries()) this.#ids[first + i * step] = made;
      }
    };
    await Promise.all(this.#factories.map(work));
    return (performance.now() - start) / 1_000;
  }

  /** So many different canisters at random. */
  pick(count: number): number[] {
    const picked = new Set<number>();
    while (picked.size < Math.min(count, this.size)) {
      this.#random = (Math.imul(this.#random, 1_103_515_245) + 12_345) >>> 0;
      picked.add(Math.floor((this.#random / 2 ** 32) * this.size));
    }
    return [...picked];
  }

  /** Each of these adds one, or tells what it has; every answer must be right. */
  async ask(kind: Asked["kind"], which: readonly number[], concurrency: number): Promise<AskedResult> {
    if (kind === "call") for (const one of which) this.#added.set(one, (this.#added.get(one) ?? 0) + 1);
    const asked = which.map((one): Asked => {
      const call = fleetCall(this.#moduleOf(one), kind === "call" ? "add" : "get");
      return { kind, canisterId: this.#ids[one] as string, ...call };
    });
    return await this.#client.ask(asked, concurrency, (reply, index) => {
      const one = which[index] as number;
      const of = { which: one, added: this.#added.get(one) ?? 0 };
      if (!isFleetReply(this.#moduleOf(one), reply, of))
        throw new Error(`canister ${one} answered otherwise`);
    });
  }

  /** A call that may take longer than an answer is waited for. */
  async #patient(canisterId: string, methodName: string, arg: Uint8Array): Promise<Uint8Array> {
    const host = `http://127.0.0.1:${this.#network.port}`;
    this.#agent ??= await HttpAgent.create({ host, shouldFetchRootKey: true });
    return (await this.#agent.update(canisterId, { methodName, arg })).reply;
  }

  #moduleOf(which: number): FleetModule {
    return this.#modules[which % this.#modules.length] as FleetModule;
  }

  async #factory(): Promise<string> {
    const near = this.#network.defaultEffectiveCanisterId;
    const method = "provisional_create_canister_with_cycles";
    const arg = new Uint8Array(IDL.encode([CreateArgs], [{ amount: [CYCLES], specified_id: [] }]));
    const made = await this.#manage(near, method, arg);
    const [created] = IDL.decode([Created], made) as unknown as [{ readonly canister_id: CandidPrincipal }];
    const text = created.canister_id.toText();
    const id = principalFromText(text) as CanisterId;
    const wasm = await factoryModule();
    // Its seed is of no use to it.
    await this.#manage(text, "install_code", fleetInstall({ wasm, kind: "counter" }, 0, id));
    for (const module of this.#modules) await this.#manage(text, "upload_chunk", factoryUpload(id, module));
    return text;
  }

  async #manage(effective: string, method: string, arg: Uint8Array): Promise<Uint8Array> {
    return await this.#client.one({ kind: "call", canisterId: MANAGEMENT, effective, method, arg });
  }
}

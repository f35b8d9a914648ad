/**
 * What a case works with: the network, users, and universal canisters out of a pool. A pooled canister is as after a fresh
 * installation, keeps the default settings and goes back when the case ends; a case that changes settings, status or controllers
 * asks for a fresh one. The shared canister takes only programs that leave nothing behind.
 */
import type { Principal } from "@icp-sdk/core/principal";
import { numberOf } from "./bytes.ts";
import { replied } from "./checks.ts";
import type { ClockedNetwork } from "./clock.ts";
import { ed25519, type Identity } from "./identity.ts";
import { decodeResult, encodeArg, MANAGEMENT, type MethodName } from "./management.ts";
import { type ModuleOptions, universalModule } from "./module.ts";
import type { Outside } from "./outside.ts";
import { code, get, type Item, reply64 } from "./script.ts";
import type { Target } from "./target.ts";
import { contentOf, type Fields, type Outcome, type Request, sign, type Wire } from "./wire.ts";

export interface CallOptions {
  readonly as?: Identity;
  readonly method?: string;
  readonly version?: 2 | 3 | 4;
}

export interface FreshOptions extends ModuleOptions {
  readonly settings?: Record<string, unknown>;
  readonly cycles?: bigint;
  /** False leaves the canister empty. */
  readonly install?: boolean;
  /** Program of `canister_init`. */
  readonly init?: readonly Item[];
}

/** A universal canister of the network. */
export class Universal {
  readonly world: World;
  readonly id: Principal;
  readonly bytes: Uint8Array;

  constructor(world: World, id: Principal) {
    this.world = world;
    this.id = id;
    this.bytes = id.toUint8Array();
  }

  get destination(): string {
    return `canister/${this.id.toText()}`;
  }

  update(...program: readonly Item[]): Promise<Outcome> {
    return this.call(code(...program));
  }

  call(arg: Uint8Array, options: CallOptions = {}): Promise<Outcome> {
    const fields = { canister_id: this.bytes, method_name: options.method ?? "update", arg };
    return this.world.call(this.destination, fields, options);
  }

  query(...program: readonly Item[]): Promise<Outcome> {
    return this.ask(code(...program));
  }

  composite(...program: readonly Item[]): Promise<Outcome> {
    return this.ask(code(...program), { method: "composite" });
  }

  /** The query method, executed with replication. */
  replicatedQuery(...program: readonly Item[]): Promise<Outcome> {
    return this.call(code(...program), { method: "query" });
  }

  ask(arg: Uint8Array, options: CallOptions = {}): Promise<Outcome> {
    const fields = { canister_id: this.bytes, method_name: options.method ?? "query", arg };
    return this.world.query(this.destination, fields, options);
  }

  /** The outcome of installing the universal canister here. */
  install(
    mode: unknown,
    options: ModuleOptions & { readonly program?: readonly Item[] } = {},
  ): Promise<Outcome> {
    const { program = [], ...module } = options;
    return this.world.manage(
      "install_code",
      {
        mode,
        canister_id: this.id,
        wasm_module: universalModule(module),
        arg: code(...program),
      },
      { near: this.id },
    );
  }

  upgrade(...program: readonly Item[]): Promise<Outcome> {
    return this.install({ upgrade: null }, { program });
  }

  // biome-ignore lint/suspicious/noExplicitAny: decoded Candid.
  async status(): Promise<any> {
    const outcome = await this.world.manage("canister_status", { canister_id: this.id }, { near: this.id });
    return decodeResult("canister_status", replied(outcome));
  }

  /** The canister's log, a line a record. */
  async log(): Promise<string> {
    const outcome = await this.world.manageQuery("fetch_canister_logs", { canister_id: this.id });
    const { canister_log_records } = decodeResult("fetch_canister_logs", replied(outcome)) as {
      canister_log_records: readonly { readonly content: Uint8Array }[];
    };
    return canister_log_records.map(({ content }) => new TextDecoder().decode(content)).join("\n");
  }

  async configure(settings: Record<string, unknown>): Promise<void> {
    replied(
      await this.world.manage("update_settings", { canister_id: this.id, settings }, { near: this.id }),
    );
  }
}

export interface Pool {
  readonly operator: Identity;
  /** The server that outcalls may ask; null where none runs. */
  readonly outside: Outside | null;
  /** Administers some subnet of the network; null where nobody is known to. */
  readonly administrator: Identity | null;
  readonly free: Map<string, Principal[]>;
  readonly shared: Map<string, Promise<Principal>>;
}

export function newPool(parts: Partial<Pick<Pool, "outside" | "administrator">> = {}): Pool {
  const { outside = null, administrator = null } = parts;
  return { operator: ed25519(), outside, administrator, free: new Map(), shared: new Map() };
}

export class World {
  /** To the node that the case stays with. */
  readonly wire: Wire;
  /** To all nodes that are known, the case's own included. */
  readonly wires: readonly Wire[];
  readonly target: Target;
  /** Controls the canisters of the pool. */
  readonly user: Identity;
  /** Controls nothing. */
  readonly stranger: Identity = ed25519();
  readonly outside: Outside | null;
  readonly administrator: Identity | null;
  readonly #clock: ClockedNetwork | null;
  readonly #pool: Pool;
  readonly #borrowed: (readonly [string, Principal])[] = [];

  constructor(
    wires: readonly [Wire, ...Wire[]],
    target: Target,
    pool: Pool,
    clock: ClockedNetwork | null = null,
  ) {
    this.wire = wires[0];
    this.wires = wires;
    this.target = target;
    this.user = pool.operator;
    this.outside = pool.outside;
    this.administrator = pool.administrator;
    this.#pool = pool;
    this.#clock = clock;
  }

  /** Moves the network's time, which only networks with "time control" let a case do. */
  async advance(durationNs: bigint): Promise<void> {
    if (this.#clock === null) throw new Error("the case moves the clock and does not say that it needs to");
    await this.#clock.advance(durationNs);
  }

  /** Where there are several nodes: waits until the case's own shows what any did. */
  async caughtUp(): Promise<void> {
    if (this.wires.length === 1) return;
    const { subnets } = this.target;
    await Promise.all(
      subnets.filter(({ ranges }) => ranges.length > 0).map(({ id }) => this.wire.caughtUp(id)),
    );
  }

  /** Gives the borrowed canisters back. */
  release(): void {
    for (const [key, id] of this.#borrowed) {
      const free = this.#pool.free.get(key) ?? [];
      free.push(id);
      this.#pool.free.set(key, free);
    }
  }

  sign(kind: "call" | "query" | "read_state", fields: Fields, as: Identity = this.user): Request {
    return sign(as, contentOf(kind, as.sender, { ingress_expiry: this.wire.expiry(), ...fields }));
  }

  call(destination: string, fields: Fields, options: CallOptions = {}): Promise<Outcome> {
    const identity = options.as ?? this.user;
    const request = this.sign("call", fields, identity);
    return this.wire.call(destination, request, { identity, version: options.version ?? 4 });
  }

  query(destination: string, fields: Fields, options: CallOptions = {}): Promise<Outcome> {
    const request = this.sign("query", fields, options.as ?? this.user);
    return this.wire.query(destination, request, options.version === 2 ? 2 : 3);
  }

  /** A management call by ingress. `near`: the effective canister id, by default the argument's canister. */
  manage(
    method: MethodName,
    value: unknown,
    options: CallOptions & { readonly near?: Principal; readonly arg?: Uint8Array } = {},
  ): Promise<Outcome> {
    const arg = options.arg ?? encodeArg(method, value);
    const given = (value ?? {}) as { readonly canister_id?: Principal; readonly target_canister?: Principal };
    const near = options.near ?? given.canister_id ?? given.target_canister ?? this.target.near;
    const fields = { canister_id: MANAGEMENT, method_name: method, arg };
    return this.call(`canister/${near.toText()}`, fields, options);
  }

  /** The same as a query. */
  manageQuery(
    method: MethodName,
    value: unknown,
    options: CallOptions & { readonly near?: Principal; readonly arg?: Uint8Array } = {},
  ): Promise<Outcome> {
    const arg = options.arg ?? encodeArg(method, value);
    const near =
      options.near ?? (value as { readonly canister_id?: Principal })?.canister_id ?? this.target.near;
    const fields = { canister_id: MANAGEMENT, method_name: method, arg };
    return this.query(`canister/${near.toText()}`, fields, options);
  }

  async #create(options: FreshOptions): Promise<Principal> {
    const value = { amount: options.cycles, settings: options.settings };
    const outcome = await this.manage("provisional_create_canister_with_cycles", value);
    return decodeResult("provisional_create_canister_with_cycles", replied(outcome)).canister_id as Principal;
  }

  async #install(id: Principal, mode: unknown, options: FreshOptions): Promise<void> {
    const { install: _install, settings: _settings, cycles: _cycles, init = [], ...module } = options;
    const wasm_module = universalModule(module);
    replied(await this.manage("install_code", { mode, canister_id: id, wasm_module, arg: code(...init) }));
  }

  /** A canister of the case's own. */
  async fresh(options: FreshOptions = {}): Promise<Universal> {
    const id = await this.#create(options);
    if (options.install !== false) await this.#install(id, { install: null }, options);
    return new Universal(this, id);
  }

  /** A pooled canister, freshly installed. */
  async universal(options: ModuleOptions = {}): Promise<Universal> {
    const key = "any";
    const known = this.#pool.free.get(key)?.pop();
    if (known !== undefined) await this.caughtUp();
    const id = known ?? (await this.#create({}));
    this.#borrowed.push([key, id]);
    await this.#install(id, { reinstall: null }, options);
    return new Universal(this, id);
  }

  /** Two or more pooled canisters. */
  universals(count: number): Promise<Universal[]> {
    return Promise.all(Array.from({ length: count }, () => this.universal()));
  }

  /** A canister that all cases use at once: for programs that change nothing. */
  async shared(width: 32 | 64 = 32): Promise<Universal> {
    const key = `${width}`;
    let made = this.#pool.shared.get(key);
    if (made === undefined) {
      made = this.fresh({ width }).then(({ id }) => id);
      this.#pool.shared.set(key, made);
    }
    const id = await made;
    await this.caughtUp();
    return new Universal(this, id);
  }

  /** Asks until `look` finds something. */
  async eventually<T>(what: string, look: () => Promise<T | null>, timeoutMs = 60_000): Promise<T> {
    const until = Date.now() + timeoutMs;
    for (;;) {
      const value = await look();
      if (value !== null) return value;
      if (Date.now() > until) throw new Error(`${what}: not within ${timeoutMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** Two pooled canisters. */
export async function pair(world: World): Promise<[Universal, Universal]> {
  const [first, second] = await world.universals(2);
  return [first as Universal, second as Universal];
}

/** Waits until a canister's register is not zero. */
export async function reached(canister: Universal, register: number): Promise<void> {
  await canister.world.eventually(`register ${register}`, async () => {
    const outcome = await canister.query(get(register), reply64);
    return numberOf(replied(outcome)) === 0n ? null : true;
  });
}

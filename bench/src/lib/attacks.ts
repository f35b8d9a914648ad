/**
 * Attacks on a network: canisters that do their worst, modules that are made to hurt, floods of messages. Each is prepared, and then goes
 * on until it is told to end; some canisters go on by themselves.
 */
import { readFileSync } from "node:fs";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { principalFromText } from "@orrery/base";
import { ENDLESS_START, HOSTILE_MODULES } from "@orrery/execution/hostile";
import wabt from "wabt";
import { createCanister, installModule, manage } from "./counter.ts";
import { type LoadOptions, runLoad } from "./load.ts";
import type { RunningNetwork } from "./network.ts";
import { type CallOptions, signedEnvelope, statusOf } from "./requests.ts";

const WORST = new URL("../../../conformance/src/hostile/worst.wat", import.meta.url);
const NOTHING = new Uint8Array(0);
const FLOODING_CANISTERS = 8;
const FLOODING_CLIENTS = 16;
const WATCH_MS = 100;
/** The code of a method that a module lacks: such a request attacks nobody. */
const METHOD_MISSING = "IC0536";

type Kind = CallOptions["kind"];

/** Attacks until `over`. */
export type Running = (over: () => boolean) => Promise<void>;

export interface Attack {
  readonly name: string;
  /** Installs what it takes; what it returns attacks. */
  prepare(on: Target): Promise<Running>;
}

export type Address = Pick<RunningNetwork, "port" | "defaultEffectiveCanisterId">;

/** A network and what it is sent. */
export class Target {
  readonly network: Address;
  readonly #worst: Uint8Array;
  #nonce = 0;
  /** Attacking requests that came to a canister or a management method, whatever became of them there. */
  taken = 0;

  private constructor(network: Address, worst: Uint8Array) {
    this.network = network;
    this.#worst = worst;
  }

  static async open(network: Address): Promise<Target> {
    const toolkit = await wabt();
    const module = toolkit.parseWat("worst.wat", readFileSync(WORST, "utf8"));
    return new Target(network, new Uint8Array(module.toBinary({}).buffer));
  }

  /** How long the answer took, milliseconds, whatever it was. */
  async request(kind: Kind, canisterId: string, method: string): Promise<number> {
    return await this.#timed({ kind, canisterId, method, arg: NOTHING }, this.#count);
  }

  readonly #count: LoadOptions["check"] = (status, body) => {
    const isTaken = (status === 200 || status === 202) && !Buffer.from(body).includes(METHOD_MISSING);
    if (isTaken) this.taken++;
  };

  /** How long the reply took; throws when the answer is none. */
  async replied(kind: Kind, canisterId: string, method: string, arg: Uint8Array): Promise<number> {
    return await this.#timed({ kind, canisterId, method, arg }, (status, body) => {
      if (status !== 200 || statusOf(body) !== "replied")
        throw new Error(`${method} was answered with ${status}: ${Buffer.from(body).toString()}`);
    });
  }

  async #timed(asked: Omit<CallOptions, "nonce">, check: LoadOptions["check"]): Promise<number> {
    const path = `/api/v${asked.kind === "call" ? 4 : 3}/canister/${asked.canisterId}/${asked.kind}`;
    const bodies = [signedEnvelope({ ...asked, nonce: this.#nonce++ })];
    const { latencies } = await runLoad({ port: this.network.port, path, bodies, concurrency: 1, check });
    return latencies[0] as number;
  }

  /** Without waiting for an answer. */
  async send(canisterId: string, method: string, arg: Uint8Array = NOTHING): Promise<void> {
    await this.sendAll(canisterId, method, { count: 1, arg });
  }

  async sendAll(
    canisterId: string,
    method: string,
    { count, arg = NOTHING }: { readonly count: number; readonly arg?: Uint8Array },
  ): Promise<void> {
    const bodies = Array.from({ length: count }, () =>
      signedEnvelope({ kind: "call", canisterId, method, arg, nonce: this.#nonce++ }),
    );
    const path = `/api/v2/canister/${canisterId}/call`;
    await runLoad({ port: this.network.port, path, bodies, concurrency: count, check: this.#count });
  }

  async hostile(): Promise<string> {
    return await this.installed(this.#worst);
  }

  async installed(wasm: Uint8Array): Promise<string> {
    const id = await createCanister(this.network);
    await installModule(this.network, id, wasm);
    return id;
  }

  /** A module that is refused, or that nobody hears of again. */
  async assail(wasm: Uint8Array): Promise<void> {
    const id = await createCanister(this.network);
    await installModule(this.network, id, wasm, () => {
      this.taken++;
    });
  }
}

/** Again and again, whatever comes of it. */
async function repeat(over: () => boolean, attack: () => Promise<unknown>): Promise<void> {
  while (!over()) await attack().catch(() => {});
}

/** It goes on by itself. */
async function watch(over: () => boolean): Promise<void> {
  while (!over()) await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
}

function times<T>(count: number, make: () => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, make));
}

/** The same requests by several clients, each after its answer. */
function asking(
  name: string,
  options: { readonly kind: "call" | "query"; readonly method: string; readonly clients: number },
): Attack {
  const { kind, method, clients } = options;
  return {
    name,
    async prepare(on): Promise<Running> {
      const id = await on.hostile();
      return async (over) => {
        await times(clients, () => repeat(over, () => on.request(kind, id, method)));
      };
    },
  };
}

/** Modules one after the other, each into a canister of its own. */
function installing(name: string, picked: RegExp): Attack {
  return {
    name,
    async prepare(on): Promise<Running> {
      const modules = HOSTILE_MODULES.filter((one) => picked.test(one.name)).map((one) => one.wasm());
      if (modules.length === 0) throw new Error(`no hostile module's name matches ${picked}`);
      let at = 0;
      return (over) => repeat(over, () => on.assail(modules[at++ % modules.length] as Uint8Array));
    },
  };
}

/** A module whose installation never ends by itself. */
function endlessInstallation(name: string, wasm: () => Uint8Array | Promise<Uint8Array>): Attack {
  return {
    name,
    async prepare(on): Promise<Running> {
      const bytes = await wasm();
      return async (over) => {
        on.assail(bytes).catch(() => {});
        await watch(over);
      };
    },
  };
}

/** One message each to canisters that then go on by themselves. */
function goingOn(name: string, method: string, canisters: number): Attack {
  return {
    name,
    async prepare(on): Promise<Running> {
      const ids = await times(canisters, () => on.hostile());
      return async (over) => {
        for (const id of ids) await on.send(id, method);
        await watch(over);
      };
    },
  };
}

async function endlessInit(): Promise<Uint8Array> {
  const toolkit = await wabt();
  const text = '(module (memory 1) (func (export "canister_init") (loop $l (br $l))))';
  return new Uint8Array(toolkit.parseWat("init.wat", text).toBinary({}).buffer);
}

/** Canisters that fill their output queues, each towards the next, and once more with every answer. */
function flooding(name: string, method: string, canisters: number): Attack {
  return {
    name,
    async prepare(on): Promise<Running> {
      const ids = await times(canisters, () => on.hostile());
      return async (over) => {
        for (const [i, id] of ids.entries())
          await on.send(id, method, principalFromText(ids[(i + 1) % ids.length] as string));
        await watch(over);
      };
    },
  };
}

const Settings = IDL.Record({
  canister_id: IDL.Principal,
  settings: IDL.Record({ wasm_memory_threshold: IDL.Opt(IDL.Nat) }),
});

/** Makes memory scarce by a setting, and plenty again. */
async function setThreshold({ network }: Target, id: string, bytes: bigint): Promise<void> {
  const settings = { wasm_memory_threshold: [bytes] };
  const arg = IDL.encode([Settings], [{ canister_id: Principal.fromText(id), settings }]);
  await manage({ network, method: "update_settings", arg: new Uint8Array(arg), effective: id });
}

export const ATTACKS: readonly Attack[] = [
  asking("endless queries", { kind: "query", method: "endless", clients: 4 }),
  asking("endless inspections", { kind: "call", method: "inspected", clients: 4 }),
  asking("endless queries as updates", { kind: "call", method: "endless", clients: 1 }),
  asking("storms of heap", { kind: "call", method: "grow", clients: 1 }),
  asking("storms of stable memory", { kind: "call", method: "stable", clients: 1 }),
  asking("storms that are kept", { kind: "call", method: "keep", clients: 1 }),
  asking("endless timers", { kind: "call", method: "tick", clients: 1 }),
  {
    name: "endless hooks of low memory",
    async prepare(on): Promise<Running> {
      const id = await on.hostile();
      return (over) =>
        repeat(over, async () => {
          await setThreshold(on, id, 1n << 40n);
          on.taken++;
          await setThreshold(on, id, 0n);
        });
    },
  },
  goingOn("an endless update", "spin", 1),
  goingOn("eight endless updates", "spin", FLOODING_CANISTERS),
  goingOn("endless heartbeats", "beat", 1),
  endlessInstallation("an endless start function", ENDLESS_START),
  endlessInstallation("an endless canister_init", endlessInit),
  installing("gzip bombs", /MiB of zeros|say they are/),
  installing("compilation bombs", /50,000 functions|filled table|490,000 blocks/),
  installing("modules of 50,000 locals", /8,90[01] locals|50,00[01] locals/),
  installing("modules of 10,000 exports", /^10,000 exports/),
  flooding("floods of calls to itself", "flood", 1),
  flooding("floods of calls, eight canisters", "flood", FLOODING_CANISTERS),
  flooding("floods of large calls", "bulk", 1),
  {
    name: "floods of ingress messages",
    async prepare(on): Promise<Running> {
      const id = await on.hostile();
      return (over) => repeat(over, () => on.sendAll(id, "count", { count: FLOODING_CLIENTS }));
    },
  },
];

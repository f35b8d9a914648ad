/**
 * A subnet for tests of whole rounds: a state, an execution, batches from messages, answers by request id. With the real runner
 * by default; a scripted one takes its place where scheduling is what is tested.
 */
import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import {
  ANONYMOUS,
  type Batch,
  type CanisterId,
  encodeCbor,
  MANAGEMENT_CANISTER,
  type Principal,
  principalKey,
  type SubnetId,
  selfAuthenticating,
  toHex,
  utf8,
} from "@orrery/base";
import { requestId } from "@orrery/crypto";
import type { ChainKeys } from "@orrery/crypto/chain-keys";
import {
  type CallerInfo,
  type CanisterState,
  type IngressStatus,
  newState,
  PageArena,
  type ReplicatedState,
  type SubnetInfo,
} from "@orrery/state";
import { createEngine } from "@orrery/wasm";
import { createExecution, type Execution } from "../apply-batch.ts";
import type { ExecutionLimits } from "../limits.ts";
import { WasmRunner } from "../runner/runner.ts";
import { inlineExecutor } from "../scheduler/round.ts";
import type { BatchResult, Executor, MessageRunner } from "../types.ts";
import { SUBNET, wat } from "./bench.testkit.ts";

export const START_TIME = 1_700_000_000_000_000_000n;
const SECOND = 1_000_000_000n;

const SUBNET_ID: SubnetId = selfAuthenticating(utf8("test subnet")) as Principal as SubnetId;
const [HOSTED] = SUBNET.routing;
assert.ok(HOSTED !== undefined);
const ONE_SUBNET: Partial<SubnetInfo> = {
  subnetId: SUBNET_ID,
  rootSubnetId: SUBNET_ID,
  routing: [{ subnetId: SUBNET_ID, ranges: HOSTED.ranges }],
};

export interface TestSubnetOptions {
  readonly subnet?: Partial<SubnetInfo>;
  readonly limits?: Partial<ExecutionLimits>;
  readonly runner?: MessageRunner;
  /** Secrets of the keys in `subnet.chainKeys`. */
  readonly chainKeys?: ChainKeys;
}

export interface Message {
  readonly canisterId?: CanisterId;
  readonly method: string;
  readonly arg?: Uint8Array;
  readonly sender?: Principal;
  readonly nonce?: Uint8Array;
  readonly expiry?: bigint;
  readonly senderInfo?: CallerInfo;
}

export class TestSubnet {
  readonly arena: PageArena = new PageArena();
  readonly state: ReplicatedState;
  readonly results: BatchResult[] = [];
  readonly runner: MessageRunner;
  execution: Execution;
  readonly options: TestSubnetOptions;
  #nonce = 0;

  constructor(options: TestSubnetOptions = {}) {
    this.options = options;
    this.state = newState({ subnet: { ...SUBNET, ...ONE_SUBNET, ...options.subnet }, time: START_TIME });
    const { blobs } = this.state;
    this.runner =
      options.runner ??
      new WasmRunner({
        engine: createEngine(),
        pages: this.arena,
        modules: { get: (key) => (blobs.has(key) ? blobs.get(key) : null) },
        inflate: (bytes, max) => new Uint8Array(gunzipSync(bytes, { maxOutputLength: max })),
      });
    this.execution = this.reload(this.runner);
  }

  /** A new execution over the same state: what a restart does to the index. */
  reload(runner: MessageRunner, executor: Executor = inlineExecutor): Execution {
    const { limits, chainKeys } = this.options;
    this.execution = createExecution(this.state, {
      runner,
      executor,
      arena: this.arena,
      ...(limits === undefined ? {} : { limits }),
      ...(chainKeys === undefined ? {} : { chainKeys }),
    });
    return this.execution;
  }

  envelope(message: Message): { readonly bytes: Uint8Array; readonly id: Uint8Array } {
    const nonce = message.nonce ?? Uint8Array.of(this.#nonce >> 8, this.#nonce++ & 255);
    const content = new Map<string, never>(
      Object.entries({
        request_type: "call",
        sender: message.sender ?? ANONYMOUS,
        nonce,
        ingress_expiry: message.expiry ?? this.state.time + 240n * SECOND,
        canister_id: message.canisterId ?? MANAGEMENT_CANISTER,
        method_name: message.method,
        arg: message.arg ?? new Uint8Array(0),
        ...(message.senderInfo === undefined
          ? {}
          : { sender_info: new Map(Object.entries({ ...message.senderInfo, sig: new Uint8Array(0) })) }),
      }) as [string, never][],
    );
    return { bytes: encodeCbor(new Map([["content", content]]) as never), id: requestId(content) };
  }

  /** Applies one batch; time moves by `advanceNs` (a millisecond by default). */
  round(
    ingress: readonly Uint8Array[] = [],
    advanceNs = 1_000_000n,
    more: Pick<Batch, "queryStats" | "xnet" | "responses" | "holdsLong" | "maker" | "nodes" | "subnets"> = {},
  ): BatchResult {
    const height = this.state.height + 1;
    const randomness = new Uint8Array(32).fill(height & 255);
    const batch: Batch = {
      height,
      time: this.state.time + advanceNs,
      registryVersion: 1,
      randomness,
      ingress,
      ...more,
    };
    const result = this.execution.applyBatch(batch);
    this.arena.advance(height);
    // Tests hold on to records: reading each makes it pay what it owes by now.
    this.state.canisters.forEach(() => {});
    this.results.push(result);
    return result;
  }

  status(id: Uint8Array): IngressStatus | null {
    return this.state.ingressHistory.get(toHex(id))?.status ?? null;
  }

  submit(message: Message): Uint8Array {
    const { bytes, id } = this.envelope(message);
    this.round([bytes]);
    return id;
  }

  /** Runs rounds until the message is answered; at most 20 after its own. */
  call(message: Message): IngressStatus {
    const id = this.submit(message);
    return this.settle(id);
  }

  settle(id: Uint8Array): IngressStatus {
    for (let i = 0; i < 20; i++) {
      const status = this.status(id);
      if (status !== null && status.kind !== "received" && status.kind !== "processing") return status;
      this.round();
    }
    throw new Error(`request ${toHex(id)} is ${this.status(id)?.kind ?? "unknown"} after 20 rounds`);
  }

  reply(message: Message): Uint8Array {
    const status = this.call(message);
    assert.equal(
      status.kind,
      "replied",
      JSON.stringify(status, (_, v) => (typeof v === "bigint" ? `${v}` : v)),
    );
    return status.kind === "replied" ? status.reply : new Uint8Array(0);
  }

  rejection(message: Message): Extract<IngressStatus, { kind: "rejected" }> {
    const status = this.call(message);
    assert.equal(status.kind, "rejected");
    return status as Extract<IngressStatus, { kind: "rejected" }>;
  }

  canister(id: CanisterId): CanisterState {
    const canister = this.state.canisters.get(principalKey(id));
    assert.ok(canister !== undefined);
    return canister;
  }

  create(options: { readonly cycles?: bigint; readonly sender?: Principal } = {}): CanisterId {
    const reply = this.reply({
      method: "provisional_create_canister_with_cycles",
      arg: createArg(options),
      ...(options.sender === undefined ? {} : { sender: options.sender }),
    });
    const [{ canister_id }] = IDL.decode([CanisterIdRecord], reply) as unknown as [
      { canister_id: CandidPrincipal },
    ];
    return canister_id.toUint8Array() as CanisterId;
  }

  install(
    id: CanisterId,
    text: string | Uint8Array,
    options: { readonly mode?: unknown; readonly arg?: Uint8Array } = {},
  ): IngressStatus {
    return this.call({ method: "install_code", arg: this.installArg(id, text, options) });
  }

  installArg(
    id: CanisterId,
    text: string | Uint8Array,
    options: { readonly mode?: unknown; readonly arg?: Uint8Array } = {},
  ): Uint8Array {
    const wasm = typeof text === "string" ? wat(text) : text;
    return encode(
      [InstallArgs],
      [
        {
          mode: options.mode ?? { install: null },
          canister_id: CandidPrincipal.fromUint8Array(id),
          wasm_module: wasm,
          arg: options.arg ?? new Uint8Array(0),
        },
      ],
    );
  }

  /** A canister with this code. */
  installed(
    text: string | Uint8Array,
    options: { readonly cycles?: bigint; readonly arg?: Uint8Array } = {},
  ): CanisterId {
    const id = this.create(options);
    const status = this.install(id, text, options);
    assert.equal(status.kind, "replied", JSON.stringify(status));
    return id;
  }

  manageEnvelope(method: string, id: CanisterId): { readonly bytes: Uint8Array; readonly id: Uint8Array } {
    return this.envelope({ method, arg: idArg(id) });
  }

  /** A management call whose argument is `{canister_id}`. */
  manage(method: string, id: CanisterId, sender: Principal = ANONYMOUS): IngressStatus {
    return this.call({ method, arg: idArg(id), sender });
  }
}

const CreateArgs = IDL.Record({ amount: IDL.Opt(IDL.Nat), specified_id: IDL.Opt(IDL.Principal) });
const CanisterIdRecord = IDL.Record({ canister_id: IDL.Principal });
const InstallMode = IDL.Variant({
  install: IDL.Null,
  reinstall: IDL.Null,
  upgrade: IDL.Opt(
    IDL.Record({
      skip_pre_upgrade: IDL.Opt(IDL.Bool),
      wasm_memory_persistence: IDL.Opt(IDL.Variant({ keep: IDL.Null, replace: IDL.Null })),
    }),
  ),
});
const InstallArgs = IDL.Record({
  mode: InstallMode,
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});

export function encode(types: IDL.Type[], values: unknown[]): Uint8Array {
  return new Uint8Array(IDL.encode(types, values));
}

export function idArg(id: CanisterId): Uint8Array {
  return encode([CanisterIdRecord], [{ canister_id: CandidPrincipal.fromUint8Array(id) }]);
}

/** Argument of a provisional creation. */
export function createArg(options: {
  readonly cycles?: bigint;
  readonly specifiedId?: CanisterId;
}): Uint8Array {
  const { cycles, specifiedId } = options;
  return encode(
    [CreateArgs],
    [
      {
        amount: cycles === undefined ? [] : [cycles],
        specified_id: specifiedId === undefined ? [] : [CandidPrincipal.fromUint8Array(specifiedId)],
      },
    ],
  );
}

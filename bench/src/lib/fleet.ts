/**
 * A subnet with very many canisters of at least 20 modules, each with a state of its own, that lives on a disk: created, installed and
 * called through `applyBatch`, written to checkpoints and loaded again. What each answers is known, so that no answer is taken
 * on trust. Half of a second of block time passes with each batch.
 */
import { readFileSync } from "node:fs";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import {
  ANONYMOUS,
  type CanisterId,
  canisterIdFromIndex,
  concatBytes,
  encodeCbor,
  encodeUleb128,
  MANAGEMENT_CANISTER,
  type SubnetId,
  toHex,
  utf8,
} from "@orrery/base";
import { requestId } from "@orrery/crypto";
import { type BatchResult, createExecution, type Execution, WasmRunner } from "@orrery/execution";
import { inflateGzip } from "@orrery/host";
import {
  CheckpointCollector,
  ColdPages,
  type Disk,
  newState,
  openStore,
  PageArena,
  type ReplicatedState,
  type Store,
} from "@orrery/state";
import { createEngine } from "@orrery/wasm";
import wabt from "wabt";

export const START_TIME = 1_700_000_000_000_000_000n;
const STEP_NS = 500_000_000n;
const EXPIRY_NS = 240_000_000_000n;
const WAT_MODULES = 20;
/** Every fifth has a 64-bit memory. */
const WIDE_EVERY = 5;
const MOTOKO_MODULES = ["counter.classic", "counter.eop"] as const;
export const FLEET_MODULES: number = WAT_MODULES + MOTOKO_MODULES.length;
const MIB = 1 << 20;
const DATA_BYTES: number = 32 * 1024;
export const EMPTY_CANDID: Uint8Array = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0);
const SUBNET_ID = Uint8Array.of(1) as unknown as SubnetId;
const RANGE = { start: canisterIdFromIndex(0n), end: canisterIdFromIndex(2n ** 64n - 1n) };

/**
 * A sum that begins with the four bytes it is installed with. 1 MiB of memory with data at the end, some pages written by
 * `canister_init`, one page of stable memory.
 */
function sumSource(which: number, dataBytes: number): string {
  const wide = which % WIDE_EVERY === 0;
  const I = wide ? "i64" : "i32";
  const data = Array.from(
    { length: dataBytes },
    (_, i) => `\\${((i * (which + 3)) & 255).toString(16).padStart(2, "0")}`,
  );
  return `(module
    (import "ic0" "msg_arg_data_copy" (func $arg (param ${I} ${I} ${I})))
    (import "ic0" "msg_reply_data_append" (func $append (param ${I} ${I})))
    (import "ic0" "msg_reply" (func $reply))
    (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
    (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
    (memory ${wide ? "i64 " : ""}17)
    (data (${I}.const ${MIB}) "${data.join("")}")
    (func (export "canister_init") (local $at ${I})
      (call $arg (${I}.const 1000) (${I}.const 0) (${I}.const 4))
      (loop $next
        (i32.store offset=8192 (local.get $at) (i32.add (i32.load (${I}.const 1000)) (i32.const ${which})))
        (local.set $at (${I}.add (local.get $at) (${I}.const 65536)))
        (br_if $next (${I}.lt_u (local.get $at) (${I}.const ${8 * 65_536}))))
      (drop (call $grow (i64.const 1)))
      (call $write (i64.const 0) (i64.const 1000) (i64.const 4)))
    (func (export "canister_update add")
      (call $arg (${I}.const 2000) (${I}.const 0) (${I}.const 4))
      (i32.store (${I}.const 1000) (i32.add (i32.load (${I}.const 1000)) (i32.load (${I}.const 2000))))
      (call $append (${I}.const 1000) (${I}.const 4))
      (call $reply))
    (func (export "canister_query get")
      (call $append (${I}.const 1000) (${I}.const 4))
      (call $reply)))`;
}

/** A custom section of public metadata at the module's end. */
function withMetadata(wasm: Uint8Array, name: string, content: Uint8Array): Uint8Array {
  const label = utf8(`icp:public ${name}`);
  const body = concatBytes(encodeUleb128(BigInt(label.length)), label, content);
  return concatBytes(wasm, Uint8Array.of(0), encodeUleb128(BigInt(body.length)), body);
}

export interface FleetModule {
  readonly wasm: Uint8Array;
  readonly kind: "sum" | "counter";
}

/** `dataBytes`: of the data segment of each. */
export async function fleetModules(dataBytes: number = DATA_BYTES): Promise<FleetModule[]> {
  const toolkit = await wabt();
  const candid = utf8("service : { add : (blob) -> (blob); get : () -> (blob) query }\n".repeat(40));
  const modules: FleetModule[] = [];
  for (let which = 0; which < WAT_MODULES; which++) {
    const features = { memory64: which % WIDE_EVERY === 0 };
    const parsed = toolkit.parseWat(`sum-${which}.wat`, sumSource(which, dataBytes), features);
    const wasm = withMetadata(Uint8Array.from(parsed.toBinary({}).buffer), "candid:service", candid);
    modules.push({ wasm, kind: "sum" });
  }
  for (const name of MOTOKO_MODULES) {
    const url = new URL(`../../../canisters/fixtures/built/${name}.wasm.gz`, import.meta.url);
    modules.push({ wasm: new Uint8Array(readFileSync(url)), kind: "counter" });
  }
  return modules;
}

const CreateArgs = IDL.Record({ amount: IDL.Opt(IDL.Nat), specified_id: IDL.Opt(IDL.Principal) });
const CreatedRecord = IDL.Record({ canister_id: IDL.Principal });
const InstallArgs = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});

function encode(type: IDL.Type, value: unknown): Uint8Array {
  return new Uint8Array(IDL.encode([type], [value]));
}

export const CREATE: Uint8Array = encode(CreateArgs, { amount: [10n ** 15n], specified_id: [] });

function fourBytes(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

/** What a canister is installed with. */
export function fleetSeed(which: number): number {
  return 1_000 + 7 * which;
}

/** Argument of its `install_code`. */
export function fleetInstall({ wasm, kind }: FleetModule, which: number, id: CanisterId): Uint8Array {
  return encode(InstallArgs, {
    mode: { install: null },
    canister_id: CandidPrincipal.fromUint8Array(id),
    wasm_module: wasm,
    arg: kind === "counter" ? EMPTY_CANDID : fourBytes(fleetSeed(which)),
  });
}

/** A message that adds one, or asks what there is. */
export function fleetCall(
  { kind }: FleetModule,
  what: "add" | "get",
): { readonly method: string; readonly arg: Uint8Array } {
  if (kind === "counter") return { method: what === "add" ? "inc" : "get", arg: EMPTY_CANDID };
  return { method: what, arg: what === "add" ? fourBytes(1) : new Uint8Array() };
}

/** Whether the reply is that of a canister that was asked to add so often. */
export function isFleetReply(
  { kind }: FleetModule,
  reply: Uint8Array,
  of: { readonly which: number; readonly added: number },
): boolean {
  if (kind === "counter") return (IDL.decode([IDL.Nat], reply) as [bigint])[0] === BigInt(of.added);
  const sum = new DataView(reply.buffer, reply.byteOffset).getUint32(0, true);
  return sum === fleetSeed(of.which) + of.added;
}

export interface FleetOptions {
  readonly disk: Disk;
  readonly modules: readonly FleetModule[];
  /** Pages kept in memory. */
  readonly hotPagesMax: number;
  readonly instancesMax?: number;
}

export class Fleet {
  readonly state: ReplicatedState;
  readonly arena: PageArena;
  readonly runner: WasmRunner;
  readonly store: Store;
  readonly loaded: boolean;
  onResult: ((result: BatchResult) => void) | null = null;
  readonly #options: FleetOptions;
  readonly #execution: Execution;
  readonly #collector: CheckpointCollector;
  #nonce = 0;

  constructor(options: FleetOptions) {
    const { disk, hotPagesMax, instancesMax } = options;
    this.#options = options;
    const networkId = new Uint8Array(32).fill(7);
    this.store = openStore(disk, { networkId, createIfMissing: true, salt: new Uint8Array(16).fill(1) });
    const loaded = this.store.loadState({ hotPagesMax });
    this.loaded = loaded !== null;
    this.arena = loaded?.arena ?? new PageArena({ cold: new ColdPages(disk), hotPagesMax });
    this.state = loaded?.state ?? newState({ subnet: subnet(), time: START_TIME });
    const { blobs } = this.state;
    this.runner = new WasmRunner({
      engine: createEngine(),
      pages: this.arena,
      modules: { get: (key) => (blobs.has(key) ? blobs.get(key) : null) },
      inflate: inflateGzip,
      ...(instancesMax === undefined ? {} : { instancesMax }),
    });
    this.#execution = createExecution(this.state, { runner: this.runner, arena: this.arena });
    this.#collector = new CheckpointCollector(this.state, loaded?.info.height ?? null);
  }

  idOf(which: number): CanisterId {
    return canisterIdFromIndex(BigInt(which));
  }

  seedOf(which: number): number {
    return fleetSeed(which);
  }

  moduleOf(which: number): FleetModule {
    return this.#options.modules[which % this.#options.modules.length] as FleetModule;
  }

  /** Creates and installs canisters `from` up to `to`, so many a batch. */
  grow(from: number, to: number, perBatch: number): void {
    for (let at = from; at < to; at += perBatch) {
      const which = Array.from({ length: Math.min(perBatch, to - at) }, (_, i) => at + i);
      this.#send(
        which.map(() => ({ method: "provisional_create_canister_with_cycles", arg: CREATE })),
        (reply, i) => {
          const [created] = IDL.decode([CreatedRecord], reply) as unknown as [
            { canister_id: CandidPrincipal },
          ];
          if (toHex(created.canister_id.toUint8Array()) !== toHex(this.idOf(which[i] as number)))
            throw new Error("another id than expected");
        },
      );
      this.#send(
        which.map((one) => ({ method: "install_code", arg: this.#install(one), effective: this.idOf(one) })),
        () => {},
      );
    }
  }

  #install(which: number): Uint8Array {
    return fleetInstall(this.moduleOf(which), which, this.idOf(which));
  }

  /** Adds one to each of these, in one batch; `before`: what each was asked already. */
  add(which: readonly number[], before: (which: number) => number): void {
    this.#send(
      which.map((one) => ({ canisterId: this.idOf(one), ...fleetCall(this.moduleOf(one), "add") })),
      (reply, i) => {
        const one = which[i] as number;
        if (!isFleetReply(this.moduleOf(one), reply, { which: one, added: before(one) + 1 }))
          throw new Error(`canister ${one} answered ${toHex(reply)}`);
      },
    );
  }

  /** Batches until all are answered; each answer goes to `check`. */
  #send(
    messages: readonly {
      readonly canisterId?: CanisterId;
      readonly method: string;
      readonly arg: Uint8Array;
    }[],
    check: (reply: Uint8Array, index: number) => void,
  ): void {
    const made = messages.map((message) => this.#envelope(message));
    this.round(made.map(({ bytes }) => bytes));
    for (const [i, { id }] of made.entries()) {
      let status = this.state.ingressHistory.get(toHex(id))?.status;
      while (status?.kind === "received" || status?.kind === "processing") {
        this.round([]);
        status = this.state.ingressHistory.get(toHex(id))?.status;
      }
      if (status?.kind !== "replied") {
        const why = status?.kind === "rejected" ? status.message : status?.kind;
        throw new Error(`message ${i} (${messages[i]?.method}): ${why}`);
      }
      check(status.reply, i);
    }
  }

  #envelope(message: {
    readonly canisterId?: CanisterId;
    readonly method: string;
    readonly arg: Uint8Array;
  }): {
    readonly bytes: Uint8Array;
    readonly id: Uint8Array;
  } {
    const content = new Map<string, never>(
      Object.entries({
        request_type: "call",
        sender: ANONYMOUS,
        nonce: new Uint8Array(Float64Array.of(this.#nonce++).buffer),
        ingress_expiry: this.state.time + EXPIRY_NS,
        canister_id: message.canisterId ?? MANAGEMENT_CANISTER,
        method_name: message.method,
        arg: message.arg,
      }) as [string, never][],
    );
    return { bytes: encodeCbor(new Map([["content", content]]) as never), id: requestId(content) };
  }

  round(ingress: readonly Uint8Array[], advanceNs: bigint = STEP_NS): BatchResult {
    const height = this.state.height + 1;
    this.arena.advance(height);
    const result = this.#execution.applyBatch({
      height,
      time: this.state.time + advanceNs,
      registryVersion: 1,
      randomness: new Uint8Array(32).fill(height & 255),
      ingress,
    });
    this.#collector.absorb(result.delta);
    this.arena.reclaim(Math.min(height, this.#collector.reclaimLimit()));
    this.store.appendBlocks([{ height, bytes: Uint8Array.of(1) }]);
    this.onResult?.(result);
    return result;
  }

  checkpoint(kind: "full" | "delta" = "delta"): void {
    this.store.writeCheckpoint(this.#collector.collect(this.state, kind, this.arena), this.arena);
    this.#collector.finished();
    this.arena.cool();
    this.arena.reclaim(this.state.height);
    this.store.release(this.arena.reclaimedEpoch);
  }
}

function subnet(): ReplicatedState["subnet"] {
  return {
    subnetId: SUBNET_ID,
    type: "application",
    publicKey: new Uint8Array(133),
    rootKey: new Uint8Array(133),
    rootSubnetId: SUBNET_ID,
    routing: [{ subnetId: SUBNET_ID, ranges: [RANGE] }],
    allocation: RANGE,
    nodes: [],
    feeSize: 13,
    local: true,
  };
}

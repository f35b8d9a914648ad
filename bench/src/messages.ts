/**
 * Messages a second through `applyBatch` on one thread: empty updates, transfers on the ICP ledger (Motoko), and two canisters that
 * call each other. Batches are full (1,000 ingress messages); envelopes are made beforehand, since clients make them. The limit of
 * each is what no implementation in this process can leave out: decoding and identifying the envelopes of the same messages.
 * Run: node bench/src/messages.ts [batches]
 */
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import {
  ANONYMOUS,
  type CanisterId,
  type CborValue,
  canisterIdFromIndex,
  decodeEnvelope,
  encodeCbor,
  principalFromText,
  type SubnetId,
  toHex,
} from "@orrery/base";
import { systemCanisters } from "@orrery/canisters";
import { requestId } from "@orrery/crypto";
import {
  createExecution,
  type Execution,
  type GenesisCanister,
  installGenesis,
  WasmRunner,
} from "@orrery/execution";
import { inflateGzip, installFastHashes } from "@orrery/host";
import { newState, PageArena, type ReplicatedState } from "@orrery/state";
import { createEngine } from "@orrery/wasm";
import wabt from "wabt";

const BATCHES = Number(process.argv[2] ?? 12);
const WARM_BATCHES = 5;
const MESSAGES_PER_BATCH = 1_000;
const HOPS = 100;
const START_TIME = 1_700_000_000_000_000_000n;
const STEP_NS = 500_000_000n;
const LEDGER = "ryjl3-tyaaa-aaaaa-aaaba-cai";
const FEE_E8S = 10_000n;

const EMPTY = `(module
  (import "ic0" "msg_reply" (func $reply))
  (memory 1)
  (func (export "canister_update empty") (call $reply)))`;

/** `play` calls the canister whose id is its argument, and again with each reply, \`HOPS\` times in all. */
const PLAYER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 1)
  (table funcref (elem $replied $rejected))
  (data (i32.const 0) "pong")
  (global $peer (mut i32) (i32.const 0))
  (func $ask (param $left i32)
    (call $new (i32.const 100) (global.get $peer) (i32.const 0) (i32.const 4)
      (i32.const 0) (local.get $left) (i32.const 1) (i32.const 0))
    (if (call $perform) (then (unreachable))))
  (func $replied (param $left i32)
    (if (local.get $left)
      (then (call $ask (i32.sub (local.get $left) (i32.const 1))))
      (else (call $reply))))
  (func $rejected (param i32) (unreachable))
  (func (export "canister_update play")
    (global.set $peer (call $size))
    (call $arg (i32.const 100) (i32.const 0) (global.get $peer))
    (call $ask (i32.const ${HOPS - 1})))
  (func (export "canister_update pong") (call $reply)))`;

interface Subnet {
  readonly state: ReplicatedState;
  readonly execution: Execution;
  readonly arena: PageArena;
}

function subnetWith(canisters: readonly GenesisCanister[]): Subnet {
  const subnetId = Uint8Array.of(1) as unknown as SubnetId;
  const range = { start: canisterIdFromIndex(0n), end: canisterIdFromIndex(2n ** 64n - 1n) };
  const arena = new PageArena();
  const state = newState({
    subnet: {
      subnetId,
      type: "application",
      publicKey: new Uint8Array(133),
      rootKey: new Uint8Array(133),
      rootSubnetId: subnetId,
      routing: [{ subnetId, ranges: [range] }],
      allocation: range,
      nodes: [],
      feeSize: 13,
      local: true,
    },
    time: START_TIME,
  });
  const runner = new WasmRunner({
    engine: createEngine(),
    pages: arena,
    modules: state.blobs,
    inflate: inflateGzip,
  });
  installGenesis(state, runner, canisters);
  return { state, arena, execution: createExecution(state, { runner, arena }) };
}

interface Call {
  readonly canister: CanisterId;
  readonly method: string;
  readonly arg: Uint8Array;
}

let nonce = 0;
function envelope({ canister, method, arg }: Call, time: bigint): Uint8Array {
  const content = new Map<string, CborValue>([
    ["request_type", "call"],
    ["sender", ANONYMOUS],
    ["ingress_expiry", time + 240_000_000_000n],
    ["canister_id", canister],
    ["method_name", method],
    ["arg", arg],
    ["nonce", new Uint8Array(Float64Array.of(nonce++).buffer)],
  ]);
  return encodeCbor({ content });
}

/** What the messages cost that are only decoded and identified; milliseconds. */
function decodeAll(ingress: readonly Uint8Array[]): number {
  const start = performance.now();
  for (const bytes of ingress) {
    const decoded = decodeEnvelope(bytes);
    if (!decoded.ok) throw new Error("an envelope does not decode");
    requestId(decoded.value.content.fields);
  }
  return performance.now() - start;
}

interface Workload {
  readonly name: string;
  readonly subnet: Subnet;
  readonly ingressPerBatch: number;
  readonly call: (n: number) => Call;
  /** Messages that execute for each ingress message. */
  readonly messages: number;
  readonly target: number;
  readonly check: (reply: Uint8Array) => boolean;
}

function run(workload: Workload): void {
  const { subnet, ingressPerBatch, messages } = workload;
  const { state, execution, arena } = subnet;
  let ms = 0;
  let limitMs = 0;
  let n = 0;
  for (let batch = 0; batch < WARM_BATCHES + BATCHES; batch++) {
    const height = state.height + 1;
    const time = state.time + STEP_NS;
    const ingress = Array.from({ length: ingressPerBatch }, () => envelope(workload.call(n++), time));
    const warm = batch < WARM_BATCHES;
    const decodingMs = decodeAll(ingress);
    arena.advance(height);
    const start = performance.now();
    let result = execution.applyBatch({
      height,
      time,
      registryVersion: 1,
      randomness: new Uint8Array(32),
      ingress,
    });
    const answered = [...result.answered];
    while (result.moreWork) {
      arena.advance(state.height + 1);
      result = execution.applyBatch({
        height: state.height + 1,
        time: state.time + 1n,
        registryVersion: 1,
        randomness: new Uint8Array(32),
        ingress: [],
      });
      answered.push(...result.answered);
    }
    if (!warm) {
      ms += performance.now() - start;
      limitMs += decodingMs;
    }
    arena.reclaim(state.height);
    if (answered.length !== ingressPerBatch)
      throw new Error(`${answered.length} of ${ingressPerBatch} answered`);
    for (const id of answered) {
      const status = state.ingressHistory.get(toHex(id))?.status;
      if (status?.kind !== "replied" || !workload.check(status.reply))
        throw new Error(`${workload.name}: ${status?.kind === "rejected" ? status.message : status?.kind}`);
    }
  }
  const rate = (BATCHES * ingressPerBatch * messages * 1000) / ms;
  console.log(
    workload.name.padEnd(34),
    Math.round(rate).toLocaleString("en").padStart(9),
    ((ms * 1000) / (BATCHES * ingressPerBatch * messages)).toFixed(1).padStart(11),
    (ms / limitMs).toFixed(1).padStart(18),
    `${workload.target.toLocaleString("en")}: ${rate >= workload.target ? "met" : "missed"}`.padStart(16),
  );
}

async function assemble(text: string): Promise<Uint8Array> {
  return Uint8Array.from((await wabt()).parseWat("bench.wat", text).toBinary({}).buffer);
}

const empty = (wasm: Uint8Array): Workload => {
  const id = canisterIdFromIndex(1n);
  const genesis = { id, controllers: [ANONYMOUS], cycles: 10n ** 20n, wasm, arg: new Uint8Array(0) };
  return {
    name: "empty update",
    subnet: subnetWith([genesis]),
    ingressPerBatch: MESSAGES_PER_BATCH,
    call: () => ({ canister: id, method: "empty", arg: new Uint8Array(0) }),
    messages: 1,
    target: 20_000,
    check: (reply) => reply.length === 0,
  };
};

const ledger = (): Workload => {
  const canister = systemCanisters().find((one) => one.canisterId === LEDGER);
  if (canister === undefined) throw new Error("no ICP ledger among the system canisters");
  const id = principalFromText(LEDGER) as unknown as CanisterId;
  const genesis = { subnetId: CandidPrincipal.fromUint8Array(Uint8Array.of(1)).toText() };
  const Account = IDL.Record({ owner: IDL.Principal, subaccount: IDL.Opt(IDL.Vec(IDL.Nat8)) });
  const Arg = IDL.Record({ to: Account, amount: IDL.Nat, fee: IDL.Opt(IDL.Nat) });
  const arg = (n: number): Uint8Array => {
    const owner = CandidPrincipal.fromUint8Array(canisterIdFromIndex(BigInt(1_000 + (n % 5_000))));
    return IDL.encode([Arg], [{ to: { owner, subaccount: [] }, amount: 1n, fee: [FEE_E8S] }]);
  };
  return {
    name: "ICP ledger transfer (Motoko)",
    subnet: subnetWith([
      {
        id,
        controllers: [ANONYMOUS],
        cycles: 10n ** 20n,
        wasm: canister.wasmGzip(),
        arg: canister.initArg(genesis),
      },
    ]),
    ingressPerBatch: MESSAGES_PER_BATCH,
    call: (n) => ({ canister: id, method: "icrc1_transfer", arg: arg(n) }),
    messages: 1,
    target: 5_000,
    check: (reply) => {
      const [answer] = IDL.decode([IDL.Variant({ Ok: IDL.Nat, Err: IDL.Reserved })], reply);
      return "Ok" in (answer as object);
    },
  };
};

const pingPong = (wasm: Uint8Array): Workload => {
  const [a, b] = [canisterIdFromIndex(1n), canisterIdFromIndex(2n)];
  const canister = (id: CanisterId): GenesisCanister => ({
    id,
    controllers: [ANONYMOUS],
    cycles: 10n ** 24n,
    wasm,
    arg: new Uint8Array(0),
  });
  return {
    name: "ping-pong, requests and replies",
    subnet: subnetWith([canister(a), canister(b)]),
    ingressPerBatch: 20,
    call: () => ({ canister: a, method: "play", arg: b }),
    messages: 1 + 2 * HOPS,
    target: 20_000,
    check: (reply) => reply.length === 0,
  };
};

installFastHashes();
console.log("workload                            a second   us each   times decoding      target");
run(empty(await assemble(EMPTY)));
run(ledger());
run(pingPong(await assemble(PLAYER)));

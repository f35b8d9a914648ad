/**
 * Messages a second through `applyBatch` on one thread: empty updates, transfers on the ICP ledger (Motoko), and two canisters that
 * call each other. Batches are full (1,000 ingress messages); envelopes are made beforehand, since clients make them. The limit of
 * each is what no implementation in this process can leave out: decoding and identifying the envelopes of the same messages. In processor
 * time of the thread; ends with 1 when a target is missed.
 * Run: node bench/src/messages.ts [batches]
 */
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import { type CanisterId, canisterIdFromIndex, principalFromText, toHex } from "@orrery/base";
import { systemCanisters } from "@orrery/canisters";
import { installFastHashes } from "@orrery/host";
import { prepareEngine } from "@orrery/host/engine-flags";
import { Gate } from "./lib/gate.ts";
import { playerSource } from "./lib/player.ts";
import {
  assemble,
  type Call,
  decodingMs,
  envelope,
  genesisCanister,
  type Subnet,
  settle,
  subnetWith,
} from "./lib/subnet.ts";

const BATCHES = Number(process.argv[2] ?? 12);
const WARM_BATCHES = 5;
const MESSAGES_PER_BATCH = 1_000;
const HOPS = 100;
const STEP_NS = 500_000_000n;
const LEDGER = "ryjl3-tyaaa-aaaaa-aaaba-cai";
const FEE_E8S = 10_000n;

const EMPTY = `(module
  (import "ic0" "msg_reply" (func $reply))
  (memory 1)
  (func (export "canister_update empty") (call $reply)))`;

const gate = new Gate();

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
  let ms = 0;
  let limitMs = 0;
  let n = 0;
  for (let batch = 0; batch < WARM_BATCHES + BATCHES; batch++) {
    const time = subnet.state.time + STEP_NS;
    const envelopes = Array.from({ length: ingressPerBatch }, () => envelope(workload.call(n++), time));
    const decoding = decodingMs(envelopes);
    const settled = settle(subnet, [], { stepNs: STEP_NS, envelopes });
    for (const reply of settled.replies)
      if (!workload.check(reply)) throw new Error(`${workload.name}: replied ${toHex(reply)}`);
    if (batch < WARM_BATCHES) continue;
    ms += settled.ms;
    limitMs += decoding;
  }
  const rate = (BATCHES * ingressPerBatch * messages * 1000) / ms;
  console.log(
    workload.name.padEnd(34),
    Math.round(rate).toLocaleString("en").padStart(9),
    ((ms * 1000) / (BATCHES * ingressPerBatch * messages)).toFixed(1).padStart(11),
    (ms / limitMs).toFixed(1).padStart(18),
    `${workload.target.toLocaleString("en")}: ${gate.atLeast(workload.name, rate, workload.target)}`.padStart(
      16,
    ),
  );
}

const empty = (wasm: Uint8Array): Workload => {
  const id = canisterIdFromIndex(1n);
  return {
    name: "empty update",
    subnet: subnetWith([genesisCanister(id, wasm)]),
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
    subnet: subnetWith([genesisCanister(id, canister.wasmGzip(), { arg: canister.initArg(genesis) })]),
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
  const player = (id: CanisterId) => genesisCanister(id, wasm, { cycles: 10n ** 24n });
  return {
    name: "ping-pong, requests and replies",
    subnet: subnetWith([player(a), player(b)]),
    ingressPerBatch: 20,
    call: () => ({ canister: a, method: "play", arg: b }),
    messages: 1 + 2 * HOPS,
    target: 20_000,
    check: (reply) => reply.length === 0,
  };
};

prepareEngine();
installFastHashes();
console.log("workload                            a second   us each   times decoding      target");
run(empty(await assemble(EMPTY)));
run(ledger());
run(pingPong(await assemble(playerSource(HOPS))));
process.exitCode = gate.exitCode();

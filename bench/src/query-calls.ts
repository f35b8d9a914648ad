/**
 * Queries a second in this process, without HTTP and signatures: decoded and answered from a certified view, as a node's query thread
 * does it. An empty query, and a balance on the ICP ledger (Motoko). The limit of each is what no implementation in this process can
 * leave out: decoding and identifying the same requests. Run: node bench/src/query-calls.ts [batches]
 */
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import { type CanisterId, canisterIdFromIndex, decodeEnvelope, principalFromText } from "@orrery/base";
import { systemCanisters } from "@orrery/canisters";
import { requestId } from "@orrery/crypto";
import { CertifiedView, takeSnapshot } from "@orrery/execution";
import { inflateGzip, installFastHashes } from "@orrery/host";
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

const BATCHES = Number(process.argv[2] ?? 20);
const WARM_BATCHES = 5;
const QUERIES_PER_BATCH = 1_000;
const LEDGER = "ryjl3-tyaaa-aaaaa-aaaba-cai";

const EMPTY = `(module
  (import "ic0" "msg_reply" (func $reply))
  (memory 1)
  (func (export "canister_query empty") (call $reply)))`;

function viewOf(subnet: Subnet): CertifiedView {
  settle(subnet, []);
  return new CertifiedView({
    snapshot: takeSnapshot(subnet.state),
    certification: { signature: new Uint8Array(48), delegation: null },
    pages: subnet.arena,
    inflate: inflateGzip,
  });
}

function answer(view: CertifiedView, bytes: Uint8Array): Uint8Array {
  const decoded = decodeEnvelope(bytes);
  if (!decoded.ok || decoded.value.content.kind !== "query") throw new Error("not a query");
  const { content } = decoded.value;
  requestId(content.fields);
  const { sender, canisterId, methodName, arg } = content;
  const { outcome } = view.query({ sender, senderInfo: null, canisterId, methodName, arg });
  if (outcome.status !== "replied") throw new Error(outcome.rejectMessage);
  return outcome.reply;
}

function run(
  name: string,
  subnet: Subnet,
  call: (n: number) => Call,
  check: (reply: Uint8Array) => boolean,
): void {
  const view = viewOf(subnet);
  let [ms, limitMs, n] = [0, 0, 0];
  for (let batch = 0; batch < WARM_BATCHES + BATCHES; batch++) {
    const envelopes = Array.from({ length: QUERIES_PER_BATCH }, () =>
      envelope(call(n++), subnet.state.time, "query"),
    );
    const decoding = decodingMs(envelopes);
    const start = performance.now();
    for (const bytes of envelopes) if (!check(answer(view, bytes))) throw new Error(`${name}: wrong answer`);
    const answeringMs = performance.now() - start;
    if (batch < WARM_BATCHES) continue;
    ms += answeringMs;
    limitMs += decoding;
  }
  const queries = BATCHES * QUERIES_PER_BATCH;
  console.log(
    name.padEnd(30),
    Math.round((queries * 1000) / ms)
      .toLocaleString("en")
      .padStart(9),
    ((ms * 1000) / queries).toFixed(1).padStart(9),
    (ms / limitMs).toFixed(1).padStart(16),
  );
}

installFastHashes();
console.log("query                           a second   us each   times decoding");
const id = canisterIdFromIndex(1n);
const empty = subnetWith([genesisCanister(id, await assemble(EMPTY))]);
run(
  "empty query",
  empty,
  () => ({ canister: id, method: "empty", arg: new Uint8Array(0) }),
  (reply) => reply.length === 0,
);
const ledger = systemCanisters().find((one) => one.canisterId === LEDGER);
if (ledger === undefined) throw new Error("no ICP ledger among the system canisters");
const ledgerId = principalFromText(LEDGER) as unknown as CanisterId;
const initArg = ledger.initArg({ subnetId: CandidPrincipal.fromUint8Array(Uint8Array.of(1)).toText() });
const Account = IDL.Record({ owner: IDL.Principal, subaccount: IDL.Opt(IDL.Vec(IDL.Nat8)) });
const balanceOf = new Uint8Array(
  IDL.encode([Account], [{ owner: CandidPrincipal.anonymous(), subaccount: [] }]),
);
run(
  "ICP ledger balance (Motoko)",
  subnetWith([genesisCanister(ledgerId, ledger.wasmGzip(), { arg: initArg })]),
  () => ({ canister: ledgerId, method: "icrc1_balance_of", arg: balanceOf }),
  (reply) => (IDL.decode([IDL.Nat], reply)[0] as unknown as bigint) > 0n,
);

/**
 * A round in which 10,000 canisters have a heartbeat, each of which writes its memory. Most are not live: bringing them back is part
 * of it. The limit, in the same run: as many update messages to the same canisters that do the same. A round of the public network
 * has room for 8,000 messages; here they count for what they execute. Run: node bench/src/heartbeats.ts [canisters] [rounds]
 */
import { canisterIdFromIndex } from "@orrery/base";
import { installFastHashes } from "@orrery/host";
import { percentile } from "./lib/load.ts";
import { assemble, type Call, envelope, genesisCanister, settle, subnetWith } from "./lib/subnet.ts";

const CANISTERS = Number(process.argv[2] ?? 10_000);
const ROUNDS = Number(process.argv[3] ?? 5);
const WARM_ROUNDS = 2;
/** Heartbeats come at most once a second of block time. */
const HEARTBEAT_STEP_NS = 2_000_000_000n;
/** Passes no point of the heartbeats' grid. */
const QUIET_STEP_NS = 1_000n;

const BEATING = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (memory 1)
  (func $beat (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))))
  (func (export "canister_heartbeat") (call $beat))
  (func (export "canister_update beat") (call $beat) (call $reply))
  (func (export "canister_update beats") (call $append (i32.const 0) (i32.const 4)) (call $reply)))`;

installFastHashes();
const wasm = await assemble(BEATING);
const ids = Array.from({ length: CANISTERS }, (_, i) => canisterIdFromIndex(BigInt(i)));
const subnet = subnetWith(
  ids.map((id) => genesisCanister(id, wasm)),
  { overheadPerMessage: 0n },
);
const beat = ids.map((canister): Call => ({ canister, method: "beat", arg: new Uint8Array(0) }));
const heartbeatsMs: number[] = [];
const updatesMs: number[] = [];
for (let round = 0; round < WARM_ROUNDS + ROUNDS; round++) {
  const { ms } = settle(subnet, [], { stepNs: HEARTBEAT_STEP_NS });
  const envelopes = beat.map((call) => envelope(call, subnet.state.time + QUIET_STEP_NS));
  const limit = settle(subnet, [], { stepNs: QUIET_STEP_NS, envelopes }).ms;
  if (round < WARM_ROUNDS) continue;
  heartbeatsMs.push(ms);
  updatesMs.push(limit);
}
const beats = beat.slice(-1).map((call): Call => ({ ...call, method: "beats" }));
const [reply] = settle(subnet, beats, { stepNs: QUIET_STEP_NS }).replies;
const counted = new DataView((reply as Uint8Array).slice().buffer).getUint32(0, true);
if (counted !== 2 * (WARM_ROUNDS + ROUNDS)) throw new Error(`${counted} beats of the last canister`);
const median = (all: number[]): number =>
  percentile(
    all.sort((a, b) => a - b),
    0.5,
  );
const [ours, limit] = [median(heartbeatsMs), median(updatesMs)];
console.log(
  `${CANISTERS} heartbeats: ${ours.toFixed(0)} ms, ${((ours * 1000) / CANISTERS).toFixed(1)} us each`,
);
console.log(`as many updates (limit): ${limit.toFixed(0)} ms; ratio ${(ours / limit).toFixed(2)}`);

/**
 * A canister that makes canisters: one message creates many, installs a module from the factory's chunk store in each of them and
 * writes its seed into the argument. What a client would need two requests for each canister for, most of it signatures and
 * waiting, then costs a network what the protocol itself does.
 */
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import { type CanisterId, concatBytes, principalToText } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import wabt from "wabt";
import { EMPTY_CANDID, type FleetModule, fleetSeed } from "./fleet.ts";

/** A canister's queue of calls to the management canister holds 500. */
export const FACTORY_CALLS_MAX = 200;
const ID_BYTES = 10;
const CYCLES_PER_CANISTER = 10n ** 15n;

/** Numbers before the template in the argument of `make`, four bytes each. */
const HEAD_BYTES = 24;

/**
 * The argument of `make`: how many canisters, bytes of the template, where in it the id stands, where the seed (0: nowhere), the first
 * seed, the step to the next; then the template, an argument of `install_chunked_code`. The reply: the ids, in the order of the seeds.
 * Memory: the argument at 0, ids from 65536.
 */
const SOURCE = `(module
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reject_code" (func $reject_code (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $reject_copy (param i32 i32 i32)))
  (import "ic0" "msg_reject_msg_size" (func $reject_size (result i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $data (param i32 i32)))
  (import "ic0" "call_cycles_add128" (func $cycles (param i64 i64)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 3)
  (table funcref (elem $created $refused $installed))
  (data (i32.const 60000) "create_canister")
  (data (i32.const 60020) "install_chunked_code")
  (data (i32.const 60040) "DIDL\\00\\00")
  (data (i32.const 60050) "a call was not made")
  (global $left (mut i32) (i32.const 0))
  (func $do
    (if (call $perform) (then (call $trap (i32.const 60050) (i32.const 19)))))
  (func (export "canister_update make") (local $at i32)
    (if (global.get $left) (then unreachable))
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (global.set $left (i32.load (i32.const 0)))
    (loop $next
      (call $new (i32.const 60000) (i32.const 0) (i32.const 60000) (i32.const 15)
        (i32.const 0) (local.get $at) (i32.const 1) (i32.const 0))
      (call $data (i32.const 60040) (i32.const 6))
      (call $cycles (i64.const 0) (i64.const ${CYCLES_PER_CANISTER}))
      (call $do)
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (i32.load (i32.const 0))))))
  ;; The id is what a reply of create_canister ends in.
  (func $created (param $which i32) (local $id i32)
    (local.set $id (i32.add (i32.const 65536) (i32.mul (local.get $which) (i32.const ${ID_BYTES}))))
    (call $arg_copy (local.get $id) (i32.sub (call $arg_size) (i32.const ${ID_BYTES})) (i32.const ${ID_BYTES}))
    (memory.copy
      (i32.add (i32.const ${HEAD_BYTES}) (i32.load (i32.const 8))) (local.get $id) (i32.const ${ID_BYTES}))
    (if (i32.load (i32.const 12))
      (then
        (i32.store offset=${HEAD_BYTES} (i32.load (i32.const 12))
          (i32.add (i32.load (i32.const 16)) (i32.mul (local.get $which) (i32.load (i32.const 20)))))))
    (call $new (i32.const 60000) (i32.const 0) (i32.const 60020) (i32.const 20)
      (i32.const 2) (local.get $which) (i32.const 1) (i32.const 0))
    (call $data (i32.const ${HEAD_BYTES}) (i32.load (i32.const 4)))
    (call $do))
  (func $refused (param i32)
    (call $reject_copy (i32.const 70000) (i32.const 0) (call $reject_size))
    (call $trap (i32.const 70000) (call $reject_size)))
  (func $installed (param i32)
    (global.set $left (i32.sub (global.get $left) (i32.const 1)))
    (if (i32.eqz (global.get $left))
      (then
        (call $append (i32.const 65536) (i32.mul (i32.load (i32.const 0)) (i32.const ${ID_BYTES})))
        (call $reply)))))`;

const Hash = IDL.Record({ hash: IDL.Vec(IDL.Nat8) });
const Install = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }),
  target_canister: IDL.Principal,
  store_canister: IDL.Opt(IDL.Principal),
  chunk_hashes_list: IDL.Vec(Hash),
  wasm_module_hash: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});
const Upload = IDL.Record({ canister_id: IDL.Principal, chunk: IDL.Vec(IDL.Nat8) });

export async function factoryModule(): Promise<Uint8Array> {
  const toolkit = await wabt();
  const module = toolkit.parseWat("factory.wat", SOURCE, { bulk_memory: true });
  return new Uint8Array(module.toBinary({}).buffer);
}

function candid(id: CanisterId): CandidPrincipal {
  return CandidPrincipal.fromUint8Array(id);
}

/** Argument of `upload_chunk` that gives a factory a module, which must fit one chunk. */
export function factoryUpload(factory: CanisterId, { wasm }: FleetModule): Uint8Array {
  return new Uint8Array(IDL.encode([Upload], [{ canister_id: candid(factory), chunk: wasm }]));
}

/** Where `part` stands in `whole`, exactly once. */
function placeOf(part: Uint8Array, whole: Uint8Array): number {
  const text = Buffer.from(whole);
  const at = text.indexOf(part);
  if (at < 0 || text.indexOf(part, at + 1) >= 0) throw new Error("the template has no one place for it");
  return at;
}

/** Argument of `make`: canisters `first`, `first + step` and so on of a fleet, all of one module. */
export function factoryMake(
  factory: CanisterId,
  { wasm, kind }: FleetModule,
  of: { readonly first: number; readonly step: number; readonly count: number },
): Uint8Array {
  const id = new Uint8Array(ID_BYTES).fill(0xa5);
  const seed = new Uint8Array(4).fill(0x5a);
  const hash = sha256(wasm);
  const template = new Uint8Array(
    IDL.encode(
      [Install],
      [
        {
          mode: { install: null },
          target_canister: candid(id as CanisterId),
          store_canister: [candid(factory)],
          chunk_hashes_list: [{ hash }],
          wasm_module_hash: hash,
          arg: kind === "counter" ? EMPTY_CANDID : seed,
        },
      ],
    ),
  );
  const numbers = [
    of.count,
    template.length,
    placeOf(id, template),
    kind === "counter" ? 0 : placeOf(seed, template),
    fleetSeed(of.first),
    fleetSeed(of.first + of.step) - fleetSeed(of.first),
  ];
  return concatBytes(new Uint8Array(Uint32Array.from(numbers).buffer), template);
}

/** The ids in a reply of `make`, as texts. */
export function madeIds(reply: Uint8Array): string[] {
  const ids: string[] = [];
  for (let at = 0; at < reply.length; at += ID_BYTES)
    ids.push(principalToText(reply.slice(at, at + ID_BYTES) as CanisterId));
  return ids;
}

/**
 * Several test subnets that know of each other, with slices carried between them. Signatures are left out: whoever makes a block
 * checks them, and these blocks are made by the test.
 */
import {
  canisterIdFromIndex,
  concatBytes,
  type Principal,
  principalKey,
  type SubnetId,
  selfAuthenticating,
  utf8,
} from "@orrery/base";
import type { IngressStatus, RoutingEntry, SubnetType } from "@orrery/state";
import type { ExecutionLimits } from "../limits.ts";
import {
  type CertifiedSlice,
  certifySlice,
  decodeCertifiedSlice,
  expectedIndices,
  takeSlice,
} from "../streams/slices.ts";
import { TestSubnet } from "./subnet.testkit.ts";
import { totalCycles } from "./total-cycles.testkit.ts";

const IDS_EACH = 1_000n;
const NO_SIGNATURE = new Uint8Array(48);

export interface TestSubnetsOptions {
  /** The first is the root. */
  readonly types: readonly SubnetType[];
  readonly limits?: Partial<ExecutionLimits>;
  readonly routing?: (entry: RoutingEntry) => RoutingEntry;
}

export function subnetIdOf(index: number): SubnetId {
  return selfAuthenticating(utf8(`test subnet ${index}`)) as Principal as SubnetId;
}

export class TestSubnets {
  readonly all: readonly TestSubnet[];

  constructor(options: TestSubnetsOptions) {
    const { types, limits, routing = (entry) => entry } = options;
    const rangeOf = (index: number) => ({
      start: canisterIdFromIndex(BigInt(index) * IDS_EACH),
      end: canisterIdFromIndex((BigInt(index) + 1n) * IDS_EACH - 1n),
    });
    const table = types.map((type, index) =>
      routing({ subnetId: subnetIdOf(index), type, ranges: [rangeOf(index)] }),
    );
    this.all = types.map(
      (type, index) =>
        new TestSubnet({
          ...(limits === undefined ? {} : { limits }),
          subnet: {
            type,
            subnetId: subnetIdOf(index),
            rootSubnetId: subnetIdOf(0),
            ...(table[0]?.publicKey === undefined ? {} : { rootKey: table[0].publicKey }),
            routing: table,
            allocation: rangeOf(index),
          },
        }),
    );
  }

  at(index: number): TestSubnet {
    const subnet = this.all[index];
    if (subnet === undefined) throw new Error(`there is no subnet ${index}`);
    return subnet;
  }

  /** The next slice of `from` for `to`, encoded; null when there is nothing new. */
  slice(from: number, to: number, maxMessages = 10_000): Uint8Array | null {
    const [source, target] = [this.at(from), this.at(to)];
    const slice = takeSlice(source.state, {
      to: target.state.subnet.subnetId,
      ...expectedIndices(target.state, source.state.subnet.subnetId),
      maxBytes: 4 * 1024 * 1024,
      maxMessages,
    });
    return slice === null ? null : certifySlice(slice, NO_SIGNATURE);
  }

  /** A round of `to` with what all others have for it. */
  round(to: number, ingress: readonly Uint8Array[] = [], advanceNs = 1_000_000n): void {
    const slices = this.all.flatMap((_, from) => (from === to ? [] : [this.slice(from, to)]));
    const xnet = slices.filter((slice) => slice !== null);
    this.at(to).round(ingress, advanceNs, xnet.length === 0 ? {} : { xnet });
  }

  rounds(count: number): void {
    for (let i = 0; i < count; i++) for (const index of this.all.keys()) this.round(index);
  }

  /** The answer to a message, after as many rounds as it takes. */
  settle(subnet: number, id: Uint8Array): IngressStatus {
    for (let i = 0; i < 20; i++) {
      const status = this.at(subnet).status(id);
      if (status !== null && status.kind !== "received" && status.kind !== "processing") return status;
      this.rounds(1);
    }
    throw new Error(`no answer after 20 rounds: ${this.at(subnet).status(id)?.kind ?? "unknown"}`);
  }

  /** Cycles of all subnets and of what is in streams and not taken yet. */
  cycles(): bigint {
    let total = 0n;
    for (const one of this.all) {
      total += totalCycles(one.state);
      for (const other of this.all) if (other !== one) total += underWay(one, other);
    }
    return total;
  }
}

function underWay({ state: from }: TestSubnet, { state: to }: TestSubnet): bigint {
  const stream = from.streams.get(principalKey(to.subnet.subnetId));
  const reverse = to.streams.get(principalKey(from.subnet.subnetId));
  const refused = new Set(reverse?.rejectSignals.map(({ index }) => index));
  let total = 0n;
  for (const [i, message] of (stream?.messages ?? []).entries()) {
    const index = (stream?.begin ?? 0n) + BigInt(i);
    if (index < (reverse?.signalsEnd ?? 0n) && !refused.has(index)) continue;
    if (message.kind === "refund") total += message.cycles;
    else total += message.kind === "request" ? message.input.cycles : message.input.refund;
  }
  return total;
}

export function decoded(slice: Uint8Array | null): CertifiedSlice {
  const result = slice === null ? null : decodeCertifiedSlice(slice);
  if (result === null || !result.ok) throw new Error(result === null ? "no slice" : result.error);
  return result.value;
}

/** Calls whom its argument says and replies with what came of it; `echo`, `take` and `nothing` are for the other side. */
export const RELAY = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reject_code" (func $reject_code (result i32)))
  (import "ic0" "msg_reject_msg_size" (func $reject_size (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $reject_copy (param i32 i32 i32)))
  (import "ic0" "msg_cycles_refunded" (func $refunded (result i64)))
  (import "ic0" "msg_cycles_accept" (func $accept (param i64) (result i64)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $data (param i32 i32)))
  (import "ic0" "call_cycles_add" (func $cycles (param i64)))
  (import "ic0" "call_with_best_effort_response" (func $best_effort (param i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 200) (table funcref (elem $on_reply $on_reject))
  (func $head (param $code i32)
    (i64.store (i32.const 0) (call $refunded))
    (i32.store8 (i32.const 8) (local.get $code))
    (call $append (i32.const 0) (i32.const 9)))
  (func $on_reply (param i32)
    (call $head (i32.const 0))
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (call $append (i32.const 0) (call $arg_size)) (call $reply))
  (func $on_reject (param i32)
    (call $head (call $reject_code))
    (call $reject_copy (i32.const 0) (i32.const 0) (call $reject_size))
    (call $append (i32.const 0) (call $reject_size)) (call $reply))
  (func (export "canister_update relay") (local $id i32) (local $name i32) (local $at i32)
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (local.set $id (i32.load8_u (i32.const 12)))
    (local.set $name (i32.add (i32.const 13) (local.get $id)))
    (local.set $at (i32.add (i32.add (i32.const 1) (local.get $name)) (i32.load8_u (local.get $name))))
    (call $call_new (i32.const 13) (local.get $id)
      (i32.add (i32.const 1) (local.get $name)) (i32.load8_u (local.get $name))
      (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
    (call $data (local.get $at) (i32.sub (call $arg_size) (local.get $at)))
    (call $cycles (i64.load (i32.const 4)))
    (if (i32.load (i32.const 0)) (then (call $best_effort (i32.load (i32.const 0)))))
    (if (i32.ne (call $perform) (i32.const 0)) (then unreachable)))
  (func (export "canister_update echo")
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (call $append (i32.const 0) (call $arg_size)) (call $reply))
  (func (export "canister_update take")
    (drop (call $accept (i64.const 700))) (call $reply))
  (func (export "canister_update nothing")))`;

export interface RelayCall {
  readonly to: Principal;
  readonly method: string;
  readonly arg?: Uint8Array;
  readonly cycles?: bigint;
  readonly timeoutSeconds?: number;
}

/** Argument of `relay`. */
export function relayArg(call: RelayCall): Uint8Array {
  const head = new Uint8Array(12);
  const view = new DataView(head.buffer);
  view.setUint32(0, call.timeoutSeconds ?? 0, true);
  view.setBigUint64(4, call.cycles ?? 0n, true);
  const name = utf8(call.method);
  return concatBytes(
    head,
    Uint8Array.of(call.to.length),
    call.to,
    Uint8Array.of(name.length),
    name,
    call.arg ?? new Uint8Array(0),
  );
}

export interface RelayResult {
  readonly refunded: bigint;
  /** 0: replied. */
  readonly code: number;
  readonly data: Uint8Array;
}

export function relayResult(status: IngressStatus): RelayResult {
  if (status.kind !== "replied") throw new Error(`the relay itself is ${JSON.stringify(status.kind)}`);
  const view = new DataView(status.reply.buffer, status.reply.byteOffset);
  return { refunded: view.getBigUint64(0, true), code: view.getUint8(8), data: status.reply.subarray(9) };
}

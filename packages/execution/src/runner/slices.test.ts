/**
 * Operations that take more than a slice (the replica's deterministic time slicing): what they take beyond a slice's end is the next
 * one's; as much as a whole slice more is refused with a text of its own, to the instruction, in whatever form it runs.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { CanisterId } from "@orrery/base";
import type { IngressStatus, SubnetType } from "@orrery/state";
import { executionCost, ingressInductionCost } from "../fees.ts";
import { limitsOf } from "../limits.ts";
import { Bench } from "../testing/bench.testkit.ts";
import { TestSubnet } from "../testing/subnet.testkit.ts";

const SLICE = 2_000_000_000n;
const SYSTEM_INSTALL_SLICE = 5_000_000_000n;
const RICH = 10n ** 16n;

/** Spins as its argument says and fills more than there is, which traps; but a fill is charged for before it looks at the memory. */
const FILLER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_arg_data_size" (func $size (result i64)))
  (import "ic0" "msg_arg_data_copy" (func $copy (param i64 i64 i64)))
  (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
  (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
  (memory i64 1)
  (func $spin (local $n i64) (local.set $n (i64.load (i64.const 8)))
    (loop $again (if (i64.ge_u (local.get $n) (i64.const 10011)) (then
      ${"(drop (i32.const 0))".repeat(5_000)}
      (local.set $n (i64.sub (local.get $n) (i64.const 10011))) (br $again)))))
  (func $fill
    (call $copy (i64.const 0) (i64.const 0) (i64.const 16))
    (call $spin)
    (memory.fill (i64.const 0) (i32.const 0) (i64.load (i64.const 0))))
  (func (export "canister_init") (if (i64.ne (call $size) (i64.const 0)) (then (call $fill))))
  (func (export "canister_update fill") (call $fill) (call $reply))
  (func (export "canister_update read")
    (call $copy (i64.const 0) (i64.const 0) (i64.const 16))
    (call $read (i64.const 0) (i64.const 0) (i64.load (i64.const 0))) (call $reply))
  (func (export "canister_query look") (call $fill) (call $reply)))`;

/** Fills as much as its argument's second number says, then the first at the head of a loop that goes on with a call. */
const LOOPED = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_arg_data_copy" (func $copy (param i64 i64 i64)))
  (memory i64 1)
  (func $nothing)
  (func (export "canister_update fill")
    (call $copy (i64.const 0) (i64.const 0) (i64.const 16))
    (memory.fill (i64.const 16) (i32.const 0) (i64.load (i64.const 8)))
    (loop (memory.fill (i64.const 16) (i32.const 0) (i64.load (i64.const 0))) (call $nothing))
    (call $reply)))`;

/** Instructions of a turn of `spin`. */
const TURN = 10_011n;
/** Of `fill` beside the fill's length: its entry, `copy` with sixteen bytes, the call of `spin`, the fill; `spin` without a turn. */
const FILL = 1n + (3n + 5n + 500n + 16n) + 5n + (1n + 1n + 3n + 100n) + (1n + 4n + 5n);
/** What calls it: an entry and two calls. */
const AROUND = 1n + 2n * 5n + FILL;
/** An entry, the size, a comparison and a branch, the call. */
const AROUND_INIT = 1n + (5n + 500n) + (1n + 1n + 2n) + 5n + FILL;

function argument(length: bigint, spun = 0n): Uint8Array {
  const out = new Uint8Array(16);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, length, true);
  view.setBigUint64(8, spun, true);
  return out;
}

type Rejected = Extract<IngressStatus, { kind: "rejected" }>;

function rejected(status: IngressStatus): Rejected {
  assert.equal(status.kind, "rejected");
  return status as Rejected;
}

function world(type: SubnetType = "application"): { readonly subnet: TestSubnet; readonly id: CanisterId } {
  const subnet = new TestSubnet({ subnet: { type }, limits: limitsOf(type) });
  return { subnet, id: subnet.installed(FILLER, { cycles: RICH }) };
}

function overrun(id: string, instructions: bigint, slice: bigint): string {
  return (
    `Error from Canister ${id}: Canister attempted to perform a large memory operation that used ${instructions} instructions ` +
    `and exceeded the slice limit ${slice}..\nTry breaking up large copies within the canister code into smaller chunks. ` +
    "See documentation: https://internetcomputer.org/docs/current/references/execution-errors#slice-overrun"
  );
}

const ID = "rwlgt-iiaaa-aaaaa-aaaaa-cai";

describe("an operation that begins in a slice", () => {
  test("takes all of it and of the next but one instruction, and traps where the memory ends", () => {
    const { subnet, id } = world();
    const status = rejected(
      subnet.call({ canisterId: id, method: "fill", arg: argument(2n * SLICE - AROUND - 1n) }),
    );
    assert.equal(status.errorCode, "IC0502");
  });

  test("is refused for one more, and has what it took paid", () => {
    const { subnet, id } = world();
    const { bytes, id: request } = subnet.envelope({
      canisterId: id,
      method: "fill",
      arg: argument(2n * SLICE - AROUND),
    });
    const before = subnet.canister(id).meta.cycles;
    subnet.round([bytes]);
    const status = rejected(subnet.settle(request));
    assert.deepEqual([status.errorCode, status.message], ["IC0522", overrun(ID, 2n * SLICE, SLICE)]);
    assert.equal(subnet.canister(id).logs.length, 0);
    const info = subnet.state.subnet;
    const price = ingressInductionCost(info, bytes.length) + executionCost(info, 2n * SLICE, true);
    assert.equal(before - subnet.canister(id).meta.cycles, price);
  });

  test("after another slice has only what that left", () => {
    const { subnet, id } = world();
    // Turns that end shortly before the second slice does; the first ended at the head of one.
    const spun = ((2n * SLICE) / TURN - 1n) * TURN;
    const began = AROUND + ((SLICE - AROUND) / TURN + 1n) * TURN;
    const call = (length: bigint): Rejected =>
      rejected(subnet.call({ canisterId: id, method: "fill", arg: argument(length, spun) }));
    const most = 3n * SLICE - AROUND - spun;
    assert.equal(call(most - 1n).errorCode, "IC0502");
    const { errorCode, message } = call(most);
    assert.deepEqual([errorCode, message], ["IC0522", overrun(ID, 3n * SLICE - began, SLICE)]);
  });

  test("is refused in a System API function too", () => {
    const { subnet, id } = world();
    const status = rejected(subnet.call({ canisterId: id, method: "read", arg: argument(2n * SLICE) }));
    // An entry, the operands, the calls; what `copy` and the function itself cost.
    const around = 1n + (3n + 5n + 500n + 16n) + (1n + 1n + 3n + 5n + 20n) + 5n;
    assert.equal(status.message, overrun(ID, around + 2n * SLICE, SLICE));
  });

  test("has no slices in a query", () => {
    const { subnet, id } = world();
    const status = rejected(subnet.call({ canisterId: id, method: "look", arg: argument(2n * SLICE) }));
    assert.equal(status.errorCode, "IC0502");
  });

  for (const [type, slice] of [
    ["application", SLICE],
    ["system", SYSTEM_INSTALL_SLICE],
  ] as const) {
    test(`of an installation on a subnet of kind ${type} has slices of ${slice}`, () => {
      const { subnet } = world(type);
      const install = (length: bigint): Rejected => {
        const id = subnet.create({ cycles: RICH });
        const arg = subnet.installArg(id, FILLER, { arg: argument(length) });
        const request = subnet.submit({ method: "install_code", arg });
        for (let i = 0; i < 400 && subnet.status(request)?.kind === "processing"; i++) subnet.round();
        return rejected(subnet.status(request) as IngressStatus);
      };
      assert.equal(install(2n * slice - AROUND_INIT - 1n).errorCode, "IC0502");
      const refused = install(2n * slice - AROUND_INIT);
      assert.equal(refused.errorCode, "IC0522");
      assert.match(
        refused.message,
        new RegExp(`that used ${2n * slice} instructions and exceeded the slice limit ${slice}\\.`),
      );
    });
  }

  test("has a slice of its own where it stands before a call at the head of a loop", () => {
    const slice = 40_000n;
    const bench = new Bench();
    const profiling = new Bench({ profiling: () => true });
    const [canister, mirror] = [bench.installed(LOOPED), profiling.installed(LOOPED)];
    const codes = new Set<number | string>();
    // Around the most that leaves the loop's head in the first slice.
    for (let spent = slice - 760n; spent <= slice - 600n; spent++) {
      for (const length of [slice - 15n, slice - 5n, slice - 1n, slice, slice + 1n, slice + 5n]) {
        const overrides = { slice, instructionLimit: 10n * slice };
        const outcome = bench.update(canister, "fill", argument(length, spent), overrides);
        const profiled = profiling.update(mirror, "fill", argument(length, spent), overrides);
        const { profile: _, ...expected } = profiled;
        assert.deepEqual(outcome, expected);
        codes.add(outcome.error?.code ?? "none");
      }
    }
    assert.deepEqual([...codes].sort(), [522, "none"]);
    assert.equal(bench.runner.disagreements, 0);
  });
});

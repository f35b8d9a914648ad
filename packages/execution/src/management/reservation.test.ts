/** Storage reservation: what growing memory sets aside on a subnet that fills up, where it is refused, and that payments use it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import { type CanisterId, concatBytes, utf8 } from "@orrery/base";
import { type IngressStatus, memoryUsageBytes } from "@orrery/state";
import { memorySaturation, storageCost, storageReservation } from "../fees.ts";
import { SUBNET_MEMORY_BYTES_MAX, SUBNET_MEMORY_FOR_CALLBACKS_BYTES } from "../limits.ts";
import { ExecutionIndex } from "../scheduler/execution-index.ts";
import { SUBNET, wat } from "../testing/bench.testkit.ts";
import { encode, TestSubnet } from "../testing/subnet.testkit.ts";
import { displayBytes } from "./memory.ts";

const GIB = 1n << 30n;
const GROWING = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "stable64_grow" (func $stable_grow (param i64) (result i64)))
  (memory 1)
  (func (export "canister_update grow") (drop (memory.grow (i32.const 160))) (call $reply))
  (func (export "canister_update stable") (drop (call $stable_grow (i64.const 160))) (call $reply))
  (func (export "canister_update touch") (call $reply)))`;
const GROWTH = 160n * 65_536n;
/** What canisters may still take of the subnet together, callbacks aside. */
function available({ state }: TestSubnet): bigint {
  return SUBNET_MEMORY_BYTES_MAX - SUBNET_MEMORY_FOR_CALLBACKS_BYTES - new ExecutionIndex(state).memoryUsed;
}

const RICH = 10n ** 18n;

/** Grows by 10 MiB when its call to itself is answered. */
const CALLING = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (import "ic0" "canister_self_copy" (func $self (param i32 i32 i32)))
  (memory 1) (table funcref (elem $grown))
  (data (i32.const 16) "touch")
  (func $grown (param i32) (drop (memory.grow (i32.const 160))) (call $reply))
  (func (export "canister_update grow") (drop (memory.grow (i32.const 160))) (call $reply))
  (func (export "canister_update call")
    (call $self (i32.const 0) (i32.const 0) (i32.const 10))
    (call $call_new (i32.const 0) (i32.const 10) (i32.const 16) (i32.const 5)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (drop (call $perform)))
  (func (export "canister_update touch") (call $reply)))`;

/** A subnet of which `used` bytes are allocated by a canister that pays for them. */
function filled(used: bigint): TestSubnet {
  const subnet = new TestSubnet();
  const id = subnet.create({ cycles: 10n ** 24n });
  const canister = subnet.canister(id);
  // More than a call may take at once.
  canister.meta.settings = { ...canister.meta.settings, memoryAllocation: used };
  subnet.reload(subnet.runner);
  return subnet;
}

/** A subnet with 20 MiB left for canisters. */
function nearlyFull(): TestSubnet {
  return filled(SUBNET_MEMORY_BYTES_MAX - SUBNET_MEMORY_FOR_CALLBACKS_BYTES - 20n * 1_048_576n);
}

const Settings = IDL.Record({
  memory_allocation: IDL.Opt(IDL.Nat),
  reserved_cycles_limit: IDL.Opt(IDL.Nat),
});
const UpdateArgs = IDL.Record({ canister_id: IDL.Principal, settings: Settings });

function update(
  subnet: TestSubnet,
  id: CanisterId,
  settings: { readonly memory?: bigint; readonly limit?: bigint },
): IngressStatus {
  const { memory, limit } = settings;
  const arg = encode(
    [UpdateArgs],
    [
      {
        canister_id: CandidPrincipal.fromUint8Array(id),
        settings: {
          memory_allocation: memory === undefined ? [] : [memory],
          reserved_cycles_limit: limit === undefined ? [] : [limit],
        },
      },
    ],
  );
  return subnet.call({ method: "update_settings", arg });
}

function refusal(status: IngressStatus): readonly [string, string] {
  assert.equal(status.kind, "rejected");
  return status.kind === "rejected"
    ? [status.errorCode, status.message.split("\n", 1)[0] as string]
    : ["", ""];
}

describe("the price of a reservation", () => {
  test("is nothing below the threshold and ten years of payments on a full subnet", () => {
    const at = (used: bigint, bytes: bigint): bigint =>
      storageReservation(SUBNET, memorySaturation(SUBNET_MEMORY_BYTES_MAX - used, 1n), bytes);
    assert.equal(at(0n, 750n * GIB), 0n);
    assert.ok(at(750n * GIB, GIB) > 0n);
    const last = at(SUBNET_MEMORY_BYTES_MAX - GIB, GIB);
    const years = storageCost(SUBNET, GIB, 300_000_000n);
    assert.ok(last > (years * 99n) / 100n && last <= years, `${last} of ${years}`);
  });

  test("does not depend on the steps in which memory is taken", () => {
    const start = 900n * GIB;
    const saturation = (used: bigint) => memorySaturation(SUBNET_MEMORY_BYTES_MAX - used, 1n);
    let steps = 0n;
    for (let i = 0n; i < 10n; i++) steps += storageReservation(SUBNET, saturation(start + i * GIB), GIB);
    assert.equal(steps, storageReservation(SUBNET, saturation(start), 10n * GIB));
  });

  test("sizes are shown in binary units", () => {
    assert.deepEqual([0n, 1_023n, 1_024n, 10n * 1_048_576n, 3n << 40n].map(displayBytes), [
      "0 B",
      "1023 B",
      "1.00 KiB",
      "10.00 MiB",
      "3.00 TiB",
    ]);
  });
});

describe("messages that grow memory", () => {
  test("reserve nothing on a subnet with room", () => {
    const subnet = filled(100n * GIB);
    const id = subnet.installed(GROWING, { cycles: RICH });
    subnet.reply({ canisterId: id, method: "grow" });
    assert.equal(subnet.canister(id).meta.reservedCycles, 0n);
  });

  for (const method of ["grow", "stable"]) {
    test(`reserve for ${method} by a quarter of the subnet`, () => {
      const subnet = filled(1_000n * GIB);
      const id = subnet.installed(GROWING, { cycles: RICH });
      const { meta } = subnet.canister(id);
      const before = meta.reservedCycles;
      const left = available(subnet);
      subnet.reply({ canisterId: id, method });
      const expected = storageReservation(SUBNET, memorySaturation(left / 4n, 4n), GROWTH);
      assert.ok(expected > 0n);
      assert.equal(meta.reservedCycles - before, expected);
    });
  }

  test("are refused beyond the canister's limit, and change nothing", () => {
    const subnet = filled(2_000n * GIB);
    const id = subnet.installed(GROWING, { cycles: RICH });
    const { meta } = subnet.canister(id);
    meta.settings = { ...meta.settings, reservedCyclesLimit: meta.reservedCycles + 1n };
    const { reservedCycles, heapPages } = meta;
    const [code, text] = refusal(subnet.call({ canisterId: id, method: "grow" }));
    assert.equal(code, "IC0534");
    assert.match(
      text,
      /Canister cannot grow memory by 10485760 bytes due to its reserved cycles limit\. The current limit \(\d+\) would be exceeded by \d+\.\.$/,
    );
    assert.deepEqual([meta.reservedCycles, meta.heapPages], [reservedCycles, heapPages]);
  });

  test("are refused where the subnet has no room", () => {
    const subnet = nearlyFull();
    const id = subnet.installed(GROWING, { cycles: RICH });
    assert.equal(refusal(subnet.call({ canisterId: id, method: "grow" }))[0], "IC0507");
  });

  test("find room on a full subnet when they deal with an answer", () => {
    const subnet = nearlyFull();
    const id = subnet.installed(CALLING, { cycles: RICH });
    const before = subnet.canister(id).meta.heapPages;
    assert.equal(refusal(subnet.call({ canisterId: id, method: "grow" }))[0], "IC0507");
    subnet.reply({ canisterId: id, method: "call" });
    assert.equal(subnet.canister(id).meta.heapPages, before + 160);
  });

  test("may each take a quarter of what is left", () => {
    const subnet = new TestSubnet();
    const id = subnet.create({ cycles: 10n ** 24n });
    const share = available(subnet) / 4n;
    const used = memoryUsageBytes(subnet.canister(id).meta);
    const asked = { memory: share + used + 1n, limit: 10n ** 38n };
    const [code, text] = refusal(update(subnet, id, asked));
    assert.equal(code, "IC0101");
    assert.match(
      text,
      /^Canister requested 509\.50 GiB of memory but only 509\.50 GiB are available in the subnet\.$/,
    );
    assert.equal(update(subnet, id, { ...asked, memory: share + used }).kind, "replied");
  });

  test("what is reserved counts towards the freezing threshold and pays first", () => {
    const subnet = filled(1_500n * GIB);
    const id = subnet.installed(GROWING, { cycles: RICH });
    subnet.reply({ canisterId: id, method: "grow" });
    const { meta } = subnet.canister(id);
    const { cycles, reservedCycles } = meta;
    assert.ok(reservedCycles > 0n);
    subnet.round([], 100_000_000_000n);
    assert.equal(meta.cycles, cycles);
    assert.ok(meta.reservedCycles < reservedCycles);
  });
});

describe("installations", () => {
  test("reserve for what the new code takes, and are refused beyond the limit", () => {
    const subnet = filled(1_000n * GIB);
    const id = subnet.create({ cycles: RICH });
    const { meta } = subnet.canister(id);
    const used = (): bigint => memoryUsageBytes(meta) - BigInt(meta.historyBytes);
    const [left, before] = [available(subnet), used()];
    assert.equal(subnet.install(id, GROWING).kind, "replied");
    const expected = storageReservation(SUBNET, memorySaturation(left / 4n, 4n), used() - before);
    assert.ok(expected > 0n);
    assert.equal(meta.reservedCycles, expected);
    const other = subnet.create({ cycles: RICH });
    const poor = subnet.canister(other).meta;
    poor.settings = { ...poor.settings, reservedCyclesLimit: 1n };
    const [code, text] = refusal(subnet.install(other, GROWING));
    assert.equal(code, "IC0534");
    assert.match(
      text,
      /^Canister cannot grow memory by \d+ bytes due to its reserved cycles limit\. The current limit \(1\)/,
    );
    assert.deepEqual([poor.module, poor.reservedCycles], [null, 0n]);
  });

  test("do not reserve what the new code has burned", () => {
    const burning = `(module
      (import "ic0" "cycles_burn128" (func $burn (param i64 i64 i32)))
      (memory 100)
      (func (export "canister_init") (call $burn (i64.const 100) (i64.const 0) (i32.const 0))))`;
    const subnet = filled(1_000n * GIB);
    const id = subnet.create({ cycles: 10_000_000_000_000n });
    const { meta } = subnet.canister(id);
    // Nothing is left beside what was prepaid, which comes back later.
    meta.settings = { ...meta.settings, freezingThreshold: 0n };
    const { cycles } = meta;
    const [code] = refusal(subnet.install(id, burning));
    assert.equal(code, "IC0532");
    assert.deepEqual([meta.module, meta.reservedCycles], [null, 0n]);
    assert.ok(meta.cycles > cycles / 2n);
  });
});

describe("allocations", () => {
  test("reserve for what they take, refuse what neither limit nor balance allow", () => {
    const subnet = filled(1_000n * GIB);
    const id = subnet.create({ cycles: 10_000_000_000_000n });
    const { meta } = subnet.canister(id);
    const left = available(subnet);
    const taken = GIB / 4n;
    assert.equal(update(subnet, id, { memory: GIB / 4n }).kind, "replied");
    const amount = storageReservation(SUBNET, memorySaturation(left / 4n, 4n), taken);
    assert.ok(meta.reservedCycles > (amount * 99n) / 100n);
    const [low, lowText] = refusal(update(subnet, id, { limit: 1n }));
    assert.equal(low, "IC0540");
    assert.match(
      lowText,
      /^Cannot set the reserved cycles limit 1 below the reserved cycles balance of the canister \d+\.$/,
    );
    meta.cycles = RICH;
    const [code, text] = refusal(update(subnet, id, { memory: 250n * GIB }));
    assert.equal(code, "IC0533");
    assert.match(
      text,
      /^Cannot increase memory allocation to 250\.00 GiB due to its reserved cycles limit\. The current limit \(5000000000000\) would be exceeded by \d+\.$/,
    );
    meta.cycles = 1_000n;
    const [poor, poorText] = refusal(update(subnet, id, { memory: 2n * GIB, limit: 10n ** 30n }));
    assert.equal(poor, "IC0531");
    assert.match(
      poorText,
      /^Cannot increase memory allocation to 2\.00 GiB due to insufficient cycles\. At least \d+ additional cycles are required\.$/,
    );
    meta.cycles = RICH;
    const [full, fullText] = refusal(update(subnet, id, { memory: 2_000n * GIB, limit: 10n ** 30n }));
    assert.equal(full, "IC0101");
    assert.match(
      fullText,
      /^Canister requested 1\.95 TiB of memory but only 259\.\d\d GiB are available in the subnet\.$/,
    );
  });
});

test("custom sections have a limit of their own, for all modules of a subnet", () => {
  const subnet = new TestSubnet({ limits: { customSectionBytes: 12_000 } });
  const withSection = (bytes: number): Uint8Array => {
    const body = concatBytes(Uint8Array.of(16), utf8("icp:public notes"), new Uint8Array(bytes));
    const size = Uint8Array.of((body.length & 127) | 128, body.length >> 7);
    return concatBytes(wat(`(module (func (export "canister_update x")))`), Uint8Array.of(0), size, body);
  };
  const [one, two] = [subnet.installed(withSection(1_000)), subnet.create()];
  const used = subnet.canister(one).meta.customSectionBytes;
  assert.ok(used >= 1_000);
  const [code, text] = refusal(subnet.install(two, withSection(3_500)));
  const asked = displayBytes(BigInt(used + 2_500));
  const left = displayBytes(BigInt(Math.floor((12_000 - used) / 4)));
  assert.deepEqual(
    [code, text],
    [
      "IC0101",
      `Canister requested ${asked} of Wasm custom sections memory but only ${left} are available in the subnet.`,
    ],
  );
  assert.equal(subnet.canister(two).meta.module, null);
  // What an upgrade gives up counts for it.
  assert.equal(subnet.install(one, withSection(3_500), { mode: { upgrade: [] } }).kind, "replied");
  assert.equal(subnet.install(two, withSection(0)).kind, "replied");
});

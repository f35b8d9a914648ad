/**
 * Hostile modules, what never ends and what takes all memory, through whole rounds: each comes to the verdict and the text that are documented, and what is refused leaves
 * nothing behind but its price. Cases that take seconds run when `ORRERY_HOSTILE` is `all`, as `npm run hostile` sets it.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { CanisterId } from "@orrery/base";
import type { IngressStatus } from "@orrery/state";
import { executionCost } from "./fees.ts";
import { ENDLESS_START, HOSTILE_MODULES } from "./testing/hostile.testkit.ts";
import { assertRejected, CYCLES, ROUNDS_MAX, residue, settled } from "./testing/hostile-rounds.testkit.ts";
import { SMALL, TestSubnet } from "./testing/long.testkit.ts";
import { updateSettingsArg } from "./testing/settings.testkit.ts";

function install(subnet: TestSubnet, id: CanisterId, wasm: Uint8Array, mode?: unknown): IngressStatus {
  const options = mode === undefined ? {} : { mode };
  return settled(
    subnet,
    subnet.submit({ method: "install_code", arg: subnet.installArg(id, wasm, options) }),
  );
}

describe("modules", () => {
  const subnet = new TestSubnet();
  const victim = subnet.create({ cycles: CYCLES });
  // As large as memories may be, not as large as canisters are by default.
  subnet.reply({ method: "update_settings", arg: updateSettingsArg(victim, { wasm_memory_limit: 0n }) });
  for (const { name, wasm, verdict, slow } of HOSTILE_MODULES) {
    if (slow === true && process.env["ORRERY_HOSTILE"] !== "all") continue;
    test(`${name}: ${verdict === "installed" ? "installed" : "refused"}`, () => {
      const before = residue(subnet);
      const status = install(subnet, victim, wasm());
      if (verdict === "installed") {
        assert.equal(status.kind, "replied", JSON.stringify(status));
        assert.equal(subnet.manage("uninstall_code", victim).kind, "replied");
        return;
      }
      assertRejected(
        status,
        "IC0505",
        `Error from Canister rwlgt-iiaaa-aaaaa-aaaaa-cai: Canister's Wasm module is not valid: ${verdict.refused}`,
      );
      assert.equal(residue(subnet), before);
    });
  }
});

const LOOP = "(loop $l (br $l))";
const endless = (name: string): string => `(module (memory 1) (func (export "${name}") ${LOOP}))`;
/** Grows, writes to every new page, and goes on as long as anybody lets it. */
const STORM = `(module
  (import "ic0" "stable64_grow" (func $sgrow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $swrite (param i64 i64 i64)))
  (memory 1)
  (func (export "canister_update heap") (local $page i32)
    (loop $l
      (local.set $page (memory.grow (i32.const 1)))
      (if (i32.eq (local.get $page) (i32.const -1)) (then (unreachable)))
      (i32.store (i32.mul (local.get $page) (i32.const 65536)) (i32.const 1))
      (br $l)))
  (func (export "canister_update stable") (local $at i64)
    (loop $l
      (local.set $at (i64.mul (call $sgrow (i64.const 1)) (i64.const 65536)))
      (call $swrite (local.get $at) (i64.const 0) (i64.const 65536))
      (br $l)))
  (func (export "canister_update leap") (drop (memory.grow (i32.const 65535))) (i32.store (i32.const 4294901760) (i32.const 1)) unreachable)
  (func (export "canister_update recurse") (call $deep))
  (func $deep (call $deep)))`;
/** Its task writes and never ends; `ok` replies what was written. */
function endlessTask(hook: string): string {
  return `(module
    (import "ic0" "msg_reply" (func $r)) (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
    (import "ic0" "global_timer_set" (func $t (param i64) (result i64)))
    (memory 1)
    (func (export "canister_init") (drop (call $t (i64.const 1))))
    (func (export "canister_update ok") (call $append (i32.const 0) (i32.const 1)) (call $r))
    (func (export "canister_update grow") (drop (memory.grow (i32.const 6))) (call $r))
    (func (export "${hook}") (i32.store8 (i32.const 0) (i32.const 1)) ${LOOP}))`;
}
const SMALL_MESSAGE = 40_000_000n;
const MESSAGE_SLICES = 20;
const MESSAGE_LIMIT = "exceeded the limit of 40000000 instructions for single message execution.";
/** The limit that is named is what compiling left of it. */
const INSTALL_LIMIT = " instructions for single message execution.";

describe("what never ends", () => {
  const subnet = new TestSubnet({ limits: SMALL });

  for (const [name, wasm] of [
    ["a start function", ENDLESS_START()],
    ["canister_init", endless("canister_init")],
  ] as const) {
    test(`${name}: the installation is refused`, () => {
      const id = subnet.create({ cycles: CYCLES });
      const before = residue(subnet);
      const begun = subnet.submit({ method: "install_code", arg: subnet.installArg(id, wasm) });
      assertRejected(settled(subnet, begun), "IC0522", INSTALL_LIMIT);
      assert.equal(residue(subnet), before);
    });
  }

  for (const hook of ["canister_pre_upgrade", "canister_post_upgrade"]) {
    test(`${hook}: the upgrade is refused and the old code answers`, () => {
      const id = subnet.installed(
        `(module (import "ic0" "msg_reply" (func $r)) (memory 1) (func (export "canister_update ok") (call $r))
          ${hook === "canister_pre_upgrade" ? `(func (export "${hook}") ${LOOP})` : ""})`,
        { cycles: CYCLES },
      );
      const before = residue(subnet);
      const arg = subnet.installArg(id, endless(hook), { mode: { upgrade: [] } });
      const begun = subnet.submit({ method: "install_code", arg });
      assertRejected(settled(subnet, begun), "IC0522", INSTALL_LIMIT);
      assert.equal(residue(subnet), before);
      assert.equal(subnet.call({ canisterId: id, method: "ok" }).kind, "replied");
    });
  }

  for (const [hook, kind] of [
    ["canister_heartbeat", "heartbeat"],
    ["canister_global_timer", "global_timer"],
    ["canister_on_low_wasm_memory", "on_low_wasm_memory"],
  ] as const) {
    test(`${hook}: it is cut off, paid for and undone; its canister answers all the same, others at once`, () => {
      const beating = new TestSubnet({ limits: { ...SMALL, heartbeatIntervalNs: 0n } });
      const other = beating.installed(
        `(module (import "ic0" "msg_reply" (func $r)) (func (export "canister_update ok") (call $r)))`,
        { cycles: CYCLES },
      );
      const id = beating.installed(endlessTask(hook), { cycles: CYCLES });
      if (kind === "on_low_wasm_memory") {
        const { meta } = beating.canister(id);
        meta.settings = {
          ...meta.settings,
          wasmMemoryLimit: 10n * 65_536n,
          wasmMemoryThreshold: 5n * 65_536n,
        };
        settled(beating, beating.submit({ canisterId: id, method: "grow" }));
      }
      const spent = (): bigint => beating.canister(id).consumed.get("instructions") ?? 0n;
      const running = (): string | undefined => {
        const work = beating.canister(id).running;
        return work?.kind === "message" ? work.entry.kind : undefined;
      };
      const before = spent();
      let slices = 1;
      for (let rounds = 0; running() === undefined; rounds++) {
        assert.ok(rounds < ROUNDS_MAX, "it never began");
        beating.round();
      }
      for (; running() === kind; slices++) {
        assert.ok(slices < ROUNDS_MAX, "it never ended");
        const asked = beating.submit({ canisterId: other, method: "ok" });
        assert.equal(beating.status(asked)?.kind, "replied", "another canister is answered in its round");
      }
      assert.equal(slices, MESSAGE_SLICES);
      assert.equal(spent() - before, executionCost(beating.state.subnet, SMALL_MESSAGE, false));
      const answer = settled(beating, beating.submit({ canisterId: id, method: "ok" }));
      assert.ok(answer.kind === "replied" && answer.reply[0] === 0, "what it wrote is gone");
      assert.equal(beating.manage("stop_canister", id).kind, "replied");
      assert.equal(beating.manage("delete_canister", id).kind, "replied");
    });
  }

  test("an update, and what it wrote is gone", () => {
    const id = subnet.installed(
      `(module (memory 16) (func (export "canister_update write") (local $i i32)
        (loop $l (i32.store (local.get $i) (i32.const 1))
          (local.set $i (i32.and (i32.add (local.get $i) (i32.const 4096)) (i32.const 0xfffff))) (br $l))))`,
      { cycles: CYCLES },
    );
    const before = residue(subnet);
    const asked = subnet.submit({ canisterId: id, method: "write" });
    assertRejected(settled(subnet, asked), "IC0522", MESSAGE_LIMIT);
    assert.equal(residue(subnet), before);
  });
});

describe("allocation storms", () => {
  const subnet = new TestSubnet({ limits: SMALL });
  const id = subnet.installed(STORM, { cycles: CYCLES });
  for (const [method, code, text] of [
    // Page for page up to the limit, and not two pages further.
    ["heap", "IC0539", "The peak Wasm memory usage was 3221291008 bytes"],
    ["stable", "IC0522", MESSAGE_LIMIT],
    ["leap", "IC0539", "Canister exceeded its current Wasm memory limit of 3221225472 bytes"],
    ["recurse", "IC0502", "Canister trapped: stack overflow"],
  ] as const) {
    test(`${method}: ends, and the memory is what it was`, () => {
      const before = residue(subnet);
      const asked = subnet.submit({ canisterId: id, method });
      assertRejected(settled(subnet, asked), code, text);
      assert.equal(residue(subnet), before);
    });
  }
});

/**
 * What a message leaves behind (interface spec, "Message execution properties"): a trap leaves nothing, not even grown memory; a query
 * never leaves anything; what was committed before an await stays.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { otherFixture } from "@orrery/canisters/fixtures";
import { eventually, install, PERSISTENCE_MODES, type Program } from "../programs.ts";
import { changeSettings, statusOf } from "./management-service.ts";
import { rejectionOf } from "./rejection.ts";
import { pattern, shareNetwork } from "./shared-network.ts";

const shared = shareNetwork();

/** Version, code and sizes; only a change moves them. */
async function footprint({ id }: { readonly id: Principal }): Promise<object> {
  const { version, module_hash, memory_metrics } = await statusOf(shared.agent, id);
  return { version, module_hash, memory_metrics };
}

type Counts = Readonly<Record<string, bigint>>;
const countsOf = async (program: Program): Promise<Counts> => (await program.call("counts")) as Counts;

for (const mode of PERSISTENCE_MODES) {
  describe(`traces, ${mode} persistence`, () => {
    test("traps in updates leave nothing at all", async () => {
      const hooks = await shared.motoko("hooks", mode, "");
      const counts = await countsOf(hooks);
      for (let i = 0; i < 5; i++) await rejectionOf(hooks.call("trapInUpdate"));
      await rejectionOf(hooks.call("divideByZero", 3n));
      const { nanos: _, ...after } = await countsOf(hooks);
      const { nanos: __, ...expected } = counts;
      assert.deepEqual(after, expected);
      // A program without a heartbeat, so that nothing else moves its version.
      const [caller, callee] = [await shared.motoko("caller", mode), await shared.motoko("callee", mode)];
      const before = [await footprint(caller), await footprint(callee)];
      for (let i = 0; i < 5; i++) await rejectionOf(caller.call("trapBeforeAwait", callee.id));
      assert.equal(await caller.call("stepCount"), 0n);
      assert.equal(await callee.call("get"), 0n, "the call was not sent");
      assert.deepEqual([await footprint(caller), await footprint(callee)], before);
    });

    test("traps in callbacks leave what was committed before", async () => {
      const hooks = await shared.motoko("hooks", mode, "");
      await rejectionOf(hooks.call("trapInCallback"));
      assert.equal((await countsOf(hooks))["callbacks"], 1n);
      await rejectionOf(hooks.call("trapLate"));
      assert.equal((await countsOf(hooks))["callbacks"], 11n);
      await hooks.call("trapInTimer", 1n);
      await hooks.call("nothing");
      // Traps of timers and heartbeats go to the log: nobody waits for their answer.
      await hooks.call("arm", { preupgrade: false, postupgrade: false, heartbeat: true, inspect: false });
      await hooks.call("setHeartbeat", true);
      await hooks.call("arm", { preupgrade: false, postupgrade: false, heartbeat: false, inspect: false });
      await eventually(
        () => countsOf(hooks),
        ({ heartbeats }: Counts) => (heartbeats ?? 0n) >= 2n,
      );
      await hooks.call("setHeartbeat", false);
      const { timers, updates } = await countsOf(hooks);
      assert.deepEqual([timers, updates], [0n, 0n]);
    });

    test("around a call: what came before it stays, its clean-up is done, the callee's work is its own", async () => {
      const [caller, callee] = [await shared.motoko("caller", mode), await shared.motoko("callee", mode)];
      assert.match(
        (await rejectionOf(caller.call("trapAfterAwait", callee.id))).message,
        /trapped in its callback/,
      );
      assert.deepEqual([await caller.call("stepCount"), await callee.call("get")], [1n, 1n]);
      assert.match((await rejectionOf(caller.call("cleanup", callee.id))).message, /with a cleanup pending/);
      assert.deepEqual([await caller.call("stepCount"), await callee.call("get")], [11n, 2n]);
      await caller.call("callTrapping", callee.id);
      assert.equal(await callee.call("get"), 2n, "a callee's trap undoes its work");
      await caller.call("callRejecting", callee.id);
      assert.equal(await callee.call("get"), 9n, "its reject does not");
    });

    test("a trap takes back a grown memory and what was written to it", async () => {
      const caller = await shared.motoko("caller", mode);
      const blobs = await shared.motoko("blobs", mode);
      await blobs.call("store", pattern(100));
      const before = await footprint(blobs);
      const megabyte = pattern(1_900_000);
      const arg = new Uint8Array([...IDL.encode([IDL.Vec(IDL.Nat8)], [megabyte]), 0]);
      const trailing = shared.agent.update(blobs.id, {
        methodName: "store",
        arg,
        effectiveCanisterId: blobs.id,
      });
      assert.equal((await rejectionOf(trailing)).errorCode, "IC0503");
      assert.deepEqual(await footprint(blobs), before);
      assert.deepEqual(await blobs.call("load"), pattern(100));
      // The same call is whole without its last byte.
      const reply = await caller.call("raw", blobs.id, "store", arg.subarray(0, -1));
      assert.deepEqual(IDL.decode([IDL.Nat], reply as Uint8Array), [1_900_000n]);
      assert.deepEqual(await blobs.call("load"), megabyte);
    });

    test("queries see one state and leave none", async () => {
      const [blobs, heap] = [await shared.motoko("blobs", mode), await shared.motoko("heap", mode)];
      await heap.call("grow", 1_000n);
      const before = [await footprint(blobs), await footprint(heap)];
      const sizes = await heap.call("sizes");
      const made = await Promise.all(
        Array.from({ length: 6 }, (_, i) => blobs.call("make", 1_500_000n, BigInt(i))),
      );
      for (const [i, blob] of made.entries()) assert.deepEqual(blob, pattern(1_500_000, i));
      assert.deepEqual(await blobs.call("echoQuery", pattern(1_900_000)), pattern(1_900_000));
      // Both allocate before they answer; had it stayed, they would show it.
      await heap.call("checksum");
      assert.deepEqual(await heap.call("sizes"), sizes);
      const hooks = await shared.motoko("hooks", mode, "");
      await rejectionOf(hooks.call("trapInQuery"));
      assert.equal((await countsOf(hooks))["updates"], 0n);
      assert.deepEqual([await footprint(blobs), await footprint(heap)], before);
    });

    test("composite queries ask others and leave none", async () => {
      const [caller, callee] = [await shared.motoko("caller", mode), await shared.motoko("callee", mode)];
      await callee.call("add", 12n);
      const before = [await footprint(caller), await footprint(callee)];
      assert.equal(await caller.call("ask", callee.id), 12n);
      assert.deepEqual([await footprint(caller), await footprint(callee)], before);
      assert.deepEqual(String(await callee.call("whoCalls")), String(shared.sender));
    });

    test("the collector moves everything and loses nothing", async () => {
      const heap = await shared.motoko("heap", mode);
      await heap.call("grow", 30_000n);
      assert.equal(await heap.call("keep", 4n, 50_000n), 800_000n);
      assert.equal(await heap.call("touch", 1_000n, 5), 200n);
      const checksum = await heap.call("checksum");
      let allocated = 0n;
      for (let i = 0; i < 6; i++) {
        const now = (await heap.call("churn", 20n, 100_000n)) as bigint;
        assert.ok(now > allocated, "allocation only counts up");
        allocated = now;
        assert.equal(await heap.call("checksum"), checksum);
      }
      assert.equal(await heap.call("touch", 50_000n, 6), 4n);
      await heap.call("drop");
      assert.equal(await heap.call("touch", 1n, 7), 0n);
      const sizes = (await heap.call("sizes")) as Counts;
      assert.equal(sizes["live"], 30_000n);
      assert.ok((sizes["reclaimed"] ?? 0n) > 20_000_000n, `reclaimed ${sizes["reclaimed"]}`);
      assert.ok((sizes["heap"] ?? 0n) < (sizes["allocated"] ?? 0n), "garbage was collected");
      assert.ok(((await heap.call("instructions")) as bigint) > 0n);
    });

    test("blobs of megabytes in and out of updates", async () => {
      const blobs = await shared.motoko("blobs", mode);
      const large = pattern(2_000_000);
      assert.equal(await blobs.call("store", large), 2_000_000n);
      assert.deepEqual(await blobs.call("load"), large);
      assert.deepEqual(await blobs.call("echo", large), large);
      assert.deepEqual(await blobs.call("slice", 1_999_990n, 10n), large.subarray(1_999_990));
      const caller = await shared.motoko("caller", mode);
      const arg = IDL.encode([IDL.Vec(IDL.Nat8)], [large]);
      assert.deepEqual(await caller.call("raw", blobs.id, "echo", arg), arg);
      // CRC-32 of the empty string is 0, of "123456789" 0xcbf43926.
      assert.equal(await blobs.call("checksum", new Uint8Array(0)), 0);
      assert.equal(await blobs.call("checksum", new TextEncoder().encode("123456789")), 0xcbf43926);
    });
  });
}

test("C and WebAssembly text: globals and memories as they were", async () => {
  const { agent, network } = shared;
  const number = (value: bigint): Uint8Array => {
    const out = new Uint8Array(8);
    new DataView(out.buffer).setBigUint64(0, value, true);
    return out;
  };
  const call = async (
    id: Principal,
    methodName: string,
    arg: Uint8Array = new Uint8Array(0),
  ): Promise<Uint8Array> => (await agent.update(id, { methodName, arg, effectiveCanisterId: id })).reply;
  const [c, wat] = [
    await install(network, agent, otherFixture("accumulator")),
    await install(network, agent, otherFixture("memory64")),
  ];
  await call(c.id, "add", number(5n));
  const before = await footprint(c);
  for (let i = 0; i < 3; i++) await rejectionOf(call(c.id, "fail"));
  assert.deepEqual(await footprint(c), before);
  assert.deepEqual(await call(c.id, "add", number(0n)), number(5n));
  // A call from C, its answer and its reject passed on.
  const other = await install(network, agent, otherFixture("accumulator"));
  const to = (target: Principal): Uint8Array => {
    const bytes = target.toUint8Array();
    return new Uint8Array([bytes.length, ...bytes, ...number(7n)]);
  };
  assert.deepEqual(await call(c.id, "forward", to(other.id)), number(7n));
  assert.deepEqual(await call(c.id, "forward", to(c.id)), number(12n), "to itself");
  const passed = await rejectionOf(call(c.id, "forward", to(wat.id)));
  assert.deepEqual([passed.code, passed.errorCode], [4, "IC0406"]);
  assert.match(passed.message, /IC0536: .*has no update method 'add'/);
  assert.deepEqual(await call(c.id, "whoami"), shared.sender.toUint8Array());
  // A 64-bit memory whose last byte lies beyond 4 GiB.
  const pages = 65_535n;
  const limited = await rejectionOf(call(wat.id, "heap", number(pages)));
  assert.equal(limited.errorCode, "IC0539");
  assert.match(limited.message, /exceeded its current Wasm memory limit of 3221225472 bytes/);
  await changeSettings(agent, wat.id, { wasm_memory_limit: 0n });
  assert.deepEqual(await call(wat.id, "heap", number(pages)), number(2n));
  assert.equal((await statusOf(agent, wat.id)).memory_metrics["wasm_memory_size"], (pages + 2n) * 65_536n);
  // The module's own maximum: growing answers -1 and changes nothing.
  assert.deepEqual(await call(wat.id, "heap", number(pages)), number(2n ** 64n - 1n));
  assert.deepEqual(await call(wat.id, "inc"), number(1n));
  assert.deepEqual(await call(wat.id, "grow", number(10n)), number(0n));
  assert.deepEqual(await call(wat.id, "grow", number(1n)), number(10n));
  assert.equal((await statusOf(agent, wat.id)).memory_metrics["stable_memory_size"], 11n * 65_536n);
  assert.equal((await rejectionOf(call(wat.id, "spin"))).errorCode, "IC0503");
  assert.deepEqual(await call(wat.id, "get"), number(1n), "a query may be called as an update");
});

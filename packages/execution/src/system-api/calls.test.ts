/** Outgoing calls: what they record, what they cost, how they fail. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toHex, utf8 } from "@orrery/base";
import { callCost } from "../fees.ts";
import { reply, SUBNET } from "../testing/bench.testkit.ts";
import { failure, little, moduleText, ran } from "../testing/wat.testkit.ts";

const CALLS = [
  "call_new(i32 i32 i32 i32 i32 i32 i32 i32)",
  "call_data_append(i32 i32)",
  "call_on_cleanup(i32 i32)",
  "call_cycles_add128(i64 i64)",
  "call_with_best_effort_response(i32)",
  "call_perform() i32",
];
const NEW = `(call $call_new (i32.const 0) (i32.const 10) (i32.const 16) (i32.const 4) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4))`;
const DATA = `(data (i32.const 0) "\\00\\00\\00\\00\\00\\00\\00\\09\\01\\01") (data (i32.const 16) "meth")`;
/** Replies with the answer of call_perform. */
const PERFORM = `(i32.store (i32.const 100) (call $call_perform)) (call $append (i32.const 100) (i32.const 4)) (call $reply)`;

function calling(body: string): string {
  return moduleText(CALLS, body, DATA);
}

describe("calls", () => {
  test("are recorded with their callbacks, payload, cycles and costs", () => {
    const { outcome } = ran(
      calling(`${NEW} (call $call_data_append (i32.const 16) (i32.const 2)) (call $call_data_append (i32.const 18) (i32.const 2))
        (call $call_on_cleanup (i32.const 5) (i32.const 6)) (call $call_cycles_add128 (i64.const 0) (i64.const 1000)) ${PERFORM}`),
    );
    assert.equal(reply(outcome)[0], 0);
    const [call] = outcome.effects?.calls ?? [];
    assert.equal(toHex(call?.callee ?? new Uint8Array(0)), "00000000000000090101");
    assert.equal(call?.methodName, "meth");
    assert.deepEqual(call?.payload, utf8("meth"));
    assert.equal(call?.cycles, 1000n);
    assert.deepEqual(call?.reply, { fun: 1, env: 2n });
    assert.deepEqual(call?.reject, { fun: 3, env: 4n });
    assert.deepEqual(call?.cleanup, { fun: 5, env: 6n });
    assert.equal(call?.timeoutSeconds, null);
    const cost = callCost(SUBNET, { methodNameBytes: 4, payloadBytes: 4, is64: false });
    assert.equal(call?.prepaidExecution, cost.prepaidExecution);
    assert.equal(call?.transmissionCost, cost.transmissionCost);
  });

  test("best-effort timeouts are capped", () => {
    const { outcome } = ran(
      calling(`${NEW} (call $call_with_best_effort_response (i32.const 1000)) ${PERFORM}`),
    );
    assert.equal(outcome.effects?.calls[0]?.timeoutSeconds, 300);
  });

  test("full queues and thin balances answer 2 and leave no trace", () => {
    const add = "(call $call_cycles_add128 (i64.const 0) (i64.const 7))";
    const full = ran(calling(`${NEW} ${add} ${PERFORM}`), { requestSlots: () => 0 });
    assert.equal(reply(full.outcome)[0], 2);
    assert.deepEqual(full.outcome.effects?.calls, []);
    const second = ran(calling(`${NEW} ${PERFORM.replace("(call $reply)", "")} ${NEW} ${PERFORM}`), {
      requestSlots: () => 1,
    });
    assert.deepEqual([...reply(second.outcome)], [0, 0, 0, 0, 2, 0, 0, 0]);
    const poor = ran(calling(`${NEW} ${PERFORM}`), {}, (canister) => {
      canister.meta.cycles = 1_000_000n;
    });
    assert.equal(reply(poor.outcome)[0], 2);
  });

  test("cycles of a call that is dropped return to the balance", () => {
    const balance = "canister_cycle_balance128(i32)";
    const text = moduleText(
      [...CALLS, balance],
      `${NEW} (call $call_cycles_add128 (i64.const 0) (i64.const 500)) ${NEW}
        (call $canister_cycle_balance128 (i32.const 200)) (call $append (i32.const 200) (i32.const 16)) (call $reply)`,
      DATA,
    );
    const { outcome, canister } = ran(text);
    assert.equal(little(reply(outcome)), canister.meta.cycles);
  });

  test("what breaks the protocol traps", () => {
    assert.match(failure(calling(PERFORM)), /ic0\.call_perform called when no call is under construction\./);
    assert.match(
      failure(calling("(call $call_data_append (i32.const 0) (i32.const 0))")),
      /ic0\.call_data_append called when no call/,
    );
    const twice = "(call $call_on_cleanup (i32.const 0) (i32.const 0))";
    assert.match(
      failure(calling(`${NEW} ${twice} ${twice}`)),
      /ic0\.call_on_cleanup can be called at most once/,
    );
    const timeout = "(call $call_with_best_effort_response (i32.const 1))";
    assert.match(failure(calling(`${NEW} ${timeout} ${timeout}`)), /a timeout is already set\./);
    assert.match(
      failure(calling(NEW.replace("(i32.const 10)", "(i32.const 30)"))),
      /Canister provided invalid principal id/,
    );
    const rich = failure(calling(`${NEW} (call $call_cycles_add128 (i64.const 1) (i64.const 0))`));
    assert.match(rich, /^Error from Canister [a-z0-9-]+: Canister [a-z0-9-]+ is out of cycles$/);
    const long = failure(
      calling(NEW.replace("(i32.const 4) (i32.const 1)", "(i32.const 20001) (i32.const 1)")),
    );
    assert.match(long, /Size of method_name 20001 exceeds the allowed limit of 20000\./);
    const big = failure(
      calling(
        `(drop (memory.grow (i32.const 200))) ${NEW} (call $call_data_append (i32.const 0) (i32.const 10485757))`,
      ),
    );
    assert.match(big, /has a payload size of 10485761, which exceeds the allowed limit of 10485760\./);
    const most = ran(
      calling(
        `(drop (memory.grow (i32.const 200))) ${NEW} (call $call_data_append (i32.const 0) (i32.const 10485756))
        ${PERFORM}`,
      ),
    );
    assert.equal(reply(most.outcome)[0], 0);
    assert.equal(most.outcome.effects?.calls[0]?.payload.length, 10_485_756);
    const named = ran(
      calling(`${NEW.replace("(i32.const 4) (i32.const 1)", "(i32.const 20000) (i32.const 1)")} ${PERFORM}`),
    );
    assert.equal(reply(named.outcome)[0], 0);
  });
});

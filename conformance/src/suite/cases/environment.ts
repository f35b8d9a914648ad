/** Time, timers, counters, controllers, certified data, environment variables, debugging (interface spec, sections of these names). */
import assert from "node:assert/strict";
import { numberOf, numbersOf, textOf, utf8 } from "../bytes.ts";
import { section } from "../case.ts";
import {
  rejected,
  relayedReply,
  replied,
  repliedNumber,
  repliedNumbers,
  repliedText,
  trapped,
} from "../checks.ts";
import { ANONYMOUS } from "../identity.ts";
import { principal } from "../management.ts";
import {
  append64,
  BIG,
  callOut,
  code,
  copied,
  gate,
  get,
  HEAP_BYTES,
  ic0,
  op,
  openGate,
  reply,
  reply64,
  replyLog,
  set,
  setHook,
  times,
} from "../script.ts";
import { nowNs, valueAt } from "../wire.ts";
import { pair, reached, type Universal, type World } from "../world.ts";

const time = section("System time");
const timer = section("Global timer");
const counter = section("Performance counter");
const replicated = section("Replicated execution check");
const controller = section("Controller check");
const certified = section("Certified data");
const env = section("Environment variables");
const debug = section("Debugging aids");
const status = section("Canister status and version");

const SECOND = 1_000_000_000n;
const OK = code(ic0.msg_reply);

time("it is near the client's clock", async (world) => {
  const value = numberOf(replied(await (await world.shared()).update(ic0.time, reply64)));
  const away = value - nowNs();
  assert.ok(away < 60n * SECOND && away > -60n * SECOND, `${away} ns away`);
});

time("a query's time is near the client's clock", async (world) => {
  const away = numberOf(replied(await (await world.shared()).query(ic0.time, reply64))) - nowNs();
  assert.ok(away < 60n * SECOND && away > -60n * SECOND, `${away} ns away`);
});

time("it does not move within a message", async (world) => {
  const [a, b] = numbersOf(
    replied(await (await world.shared()).update(ic0.time, append64, 100_000, op.spin, ic0.time, reply64)),
  );
  assert.equal(a, b);
});

time("it does not go back from one message to the next", async (world) => {
  const canister = await world.universal();
  let before = 0n;
  for (let i = 0; i < 4; i++) {
    const now = numberOf(replied(await canister.update(ic0.time, reply64)));
    assert.ok(now >= before);
    before = now;
  }
});

time("a callback's time is not before its call's", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(
    ic0.time,
    set(1),
    callOut({ to: canister.bytes, arg: OK, onReply: [get(1), append64, ic0.time, reply64] }),
  );
  const [called, answered] = numbersOf(replied(outcome));
  assert.ok(called !== undefined && answered !== undefined && answered >= called);
});

time("canister_init has it", async (world) => {
  const canister = await world.fresh({ init: [ic0.time, op.log64] });
  assert.ok(numberOf(replied(await canister.query(replyLog))) > 0n);
});

timer("setting it answers the former time", async (world) => {
  const canister = await world.universal();
  const far = nowNs() + 3_600n * SECOND;
  repliedNumbers(
    await canister.update(
      far,
      ic0.global_timer_set,
      append64,
      far + 1n,
      ic0.global_timer_set,
      append64,
      ic0.msg_reply,
    ),
    0,
    far,
  );
});

timer("a set timer is seen by the next message", async (world) => {
  const canister = await world.universal();
  const far = nowNs() + 3_600n * SECOND;
  replied(await canister.update(far, ic0.global_timer_set, op.drop, ic0.msg_reply));
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), far);
});

timer("zero deactivates it", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(nowNs() + 3_600n * SECOND, ic0.global_timer_set, op.drop, ic0.msg_reply));
  replied(await canister.update(0, ic0.global_timer_set, op.drop, ic0.msg_reply));
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), 0);
});

timer("one of the past runs soon", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      setHook("global_timer", get(1), 1, op.add, set(1)),
      1,
      ic0.global_timer_set,
      op.drop,
      ic0.msg_reply,
    ),
  );
  await ran(world, canister, 1n);
});

timer("one of the near future runs when its time has come, not before", async (world) => {
  const canister = await world.universal();
  const due = [ic0.time, 2n * SECOND, op.add, op.dup, set(2), ic0.global_timer_set, op.drop];
  replied(await canister.update(setHook("global_timer", ic0.time, set(1)), due, ic0.msg_reply));
  const [at, set_] = await world.eventually("the timer", async () => {
    const values = numbersOf(
      replied(await canister.query(get(1), append64, get(2), append64, ic0.msg_reply)),
    );
    return values[0] === 0n ? null : values;
  });
  assert.ok(at !== undefined && set_ !== undefined && at >= set_);
});

timer("it runs once", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      setHook("global_timer", get(1), 1, op.add, set(1)),
      1,
      ic0.global_timer_set,
      op.drop,
      ic0.msg_reply,
    ),
  );
  await ran(world, canister, 1n);
  for (let i = 0; i < 3; i++) replied(await canister.update(ic0.msg_reply));
  repliedNumber(await canister.query(get(1), reply64), 1);
});

timer("it is off once it runs", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      setHook("global_timer", 0, ic0.global_timer_set, 5, op.add, set(1)),
      1,
      ic0.global_timer_set,
      op.drop,
      ic0.msg_reply,
    ),
  );
  await ran(world, canister, 5n);
});

timer("it may set itself again", async (world) => {
  const canister = await world.universal();
  const hook = [get(1), 1, op.add, set(1), 1, ic0.global_timer_set, op.drop];
  replied(
    await canister.update(setHook("global_timer", ...hook), 1, ic0.global_timer_set, op.drop, ic0.msg_reply),
  );
  await world.eventually("three runs", async () =>
    numberOf(replied(await canister.query(get(1), reply64))) >= 3n ? true : null,
  );
  replied(await canister.update(setHook("global_timer"), 0, ic0.global_timer_set, op.drop, ic0.msg_reply));
});

timer("a trap in it undoes what it wrote, not that it ran", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      setHook("global_timer", 9, set(1), "ran", ic0.debug_print, op.unreachable),
      1,
      ic0.global_timer_set,
      op.drop,
      ic0.msg_reply,
    ),
  );
  await world.eventually("the timer", async () => ((await canister.log()).includes("ran") ? true : null));
  repliedNumber(await canister.query(get(1), reply64), 0);
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), 0);
});

timer("an upgrade deactivates it", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(nowNs() + 3_600n * SECOND, ic0.global_timer_set, op.drop, ic0.msg_reply));
  replied(await canister.upgrade());
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), 0);
});

timer("a reinstallation deactivates it", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(nowNs() + 3_600n * SECOND, ic0.global_timer_set, op.drop, ic0.msg_reply));
  replied(await canister.install({ reinstall: null }));
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), 0);
});

timer("one that canister_pre_upgrade sets is lost", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      setHook("pre_upgrade", nowNs() + 3_600n * SECOND, ic0.global_timer_set, op.drop),
      ic0.msg_reply,
    ),
  );
  replied(await canister.upgrade());
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), 0);
});

timer("one that canister_post_upgrade sets is kept", async (world) => {
  const canister = await world.universal();
  const far = nowNs() + 3_600n * SECOND;
  replied(await canister.upgrade(far, ic0.global_timer_set, op.drop));
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), far);
});

timer("one that canister_init sets is kept", async (world) => {
  const far = nowNs() + 3_600n * SECOND;
  const canister = await world.fresh({ init: [far, ic0.global_timer_set, op.drop] });
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), far);
});

timer("a trap takes the setting back", async (world) => {
  const canister = await world.universal();
  rejected(await canister.update(nowNs() + 3_600n * SECOND, ic0.global_timer_set, op.drop, op.unreachable), {
    error: "IC0502",
  });
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), 0);
});

timer("it cannot be set in a query", async (world) => {
  trapped(
    await (await world.shared()).query(1, ic0.global_timer_set, reply64),
    "cannot be executed in non replicated query mode",
  );
});

timer("a timer does not run while the canister is stopped, and runs when it is started", async (world) => {
  const canister = await world.fresh();
  const due = [ic0.time, SECOND, op.add, ic0.global_timer_set, op.drop];
  replied(await canister.update(setHook("global_timer", 4, set(1)), due, ic0.msg_reply));
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  const other = await world.shared();
  let since: bigint | undefined;
  await world.eventually("two seconds", async () => {
    const now = numberOf(replied(await other.update(ic0.time, reply64)));
    since ??= now;
    return now > since + 2n * SECOND ? true : null;
  });
  replied(await world.manage("start_canister", { canister_id: canister.id }));
  await ran(world, canister, 4n);
});

async function ran(world: World, canister: Universal, value: bigint): Promise<void> {
  await world.eventually("the timer", async () =>
    numberOf(replied(await canister.query(get(1), reply64))) === value ? true : null,
  );
}

counter("it grows within a message", async (world) => {
  const [a, b] = numbersOf(
    replied(
      await (await world.shared()).query(
        0,
        ic0.performance_counter,
        append64,
        0,
        ic0.performance_counter,
        reply64,
      ),
    ),
  );
  assert.ok(a !== undefined && b !== undefined && b > a && a > 0n);
});

counter("an iteration of a loop counts the same every time", async (world) => {
  const measure = (n: number) => [
    0,
    ic0.performance_counter,
    n,
    op.spin,
    0,
    ic0.performance_counter,
    op.swap,
    op.sub,
    append64,
  ];
  const [a, b, c] = numbersOf(
    replied(
      await (await world.shared()).query(measure(1_000), measure(2_000), measure(3_000), ic0.msg_reply),
    ),
  );
  assert.ok(a !== undefined && b !== undefined && c !== undefined && c - b === b - a && b > a);
});

counter("an update and a query count the same", async (world) => {
  const canister = await world.shared();
  const program = [
    0,
    ic0.performance_counter,
    1_000,
    op.spin,
    0,
    ic0.performance_counter,
    op.swap,
    op.sub,
    reply64,
  ];
  assert.deepEqual(replied(await canister.query(...program)), replied(await canister.update(...program)));
});

counter("a 32-bit and a 64-bit canister count their own weights", async (world) => {
  const program = [
    0,
    ic0.performance_counter,
    1_000,
    op.spin,
    0,
    ic0.performance_counter,
    op.swap,
    op.sub,
    reply64,
  ];
  const narrow = numberOf(replied(await (await world.shared()).query(...program)));
  const wide = numberOf(replied(await (await world.shared(64)).query(...program)));
  assert.ok(wide >= narrow, `${wide} and ${narrow}`);
});

counter("counter 1 is counter 0 in the first message of a call", async (world) => {
  const [a, b] = numbersOf(
    replied(
      await (await world.shared()).update(
        0,
        ic0.performance_counter,
        append64,
        1,
        ic0.performance_counter,
        reply64,
      ),
    ),
  );
  assert.ok(a !== undefined && b !== undefined && b > a && b - a < 2_000n);
});

counter("counter 0 starts anew in a callback", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(
    100_000,
    op.spin,
    callOut({ to: canister.bytes, arg: OK, onReply: [0, ic0.performance_counter, reply64] }),
  );
  assert.ok(numberOf(replied(outcome)) < 10_000n);
});

counter("counter 1 goes on in a callback", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(
    100_000,
    op.spin,
    callOut({ to: canister.bytes, arg: OK, onReply: [1, ic0.performance_counter, reply64] }),
  );
  assert.ok(numberOf(replied(outcome)) > 500_000n);
});

counter("counter 1 does not count the callee", async (world) => {
  const [from, to] = await pair(world);
  const outcome = await from.update(
    callOut({
      to: to.bytes,
      arg: code(1_000_000, op.spin, ic0.msg_reply),
      onReply: [1, ic0.performance_counter, reply64],
    }),
  );
  assert.ok(numberOf(replied(outcome)) < 500_000n);
});

counter("an unknown counter traps", async (world) => {
  trapped(
    await (await world.shared()).query(2, ic0.performance_counter, reply64),
    "Error getting performance counter type 2",
  );
});

counter("canister_init counts", async (world) => {
  const canister = await world.fresh({ init: [0, ic0.performance_counter, op.log64] });
  assert.ok(numberOf(replied(await canister.query(replyLog))) > 100n);
});

replicated("1 in an update", async (world) => {
  repliedNumber(await (await world.shared()).update(ic0.in_replicated_execution, reply64), 1);
});
replicated("0 in a query", async (world) => {
  repliedNumber(await (await world.shared()).query(ic0.in_replicated_execution, reply64), 0);
});
replicated("1 in a query that is executed with replication", async (world) => {
  repliedNumber(await (await world.shared()).replicatedQuery(ic0.in_replicated_execution, reply64), 1);
});
replicated("0 in a composite query", async (world) => {
  repliedNumber(await (await world.shared()).composite(ic0.in_replicated_execution, reply64), 0);
});
replicated("1 in a callback", async (world) => {
  const canister = await world.universal();
  repliedNumber(
    await canister.update(
      callOut({ to: canister.bytes, arg: OK, onReply: [ic0.in_replicated_execution, reply64] }),
    ),
    1,
  );
});
replicated("0 in a callback of a composite query", async (world) => {
  const canister = await world.shared();
  repliedNumber(
    await canister.composite(
      callOut({
        to: canister.bytes,
        method: "query",
        arg: OK,
        onReply: [ic0.in_replicated_execution, reply64],
      }),
    ),
    0,
  );
});
replicated("1 in canister_init", async (world) => {
  const canister = await world.fresh({ init: [ic0.in_replicated_execution, op.log64] });
  repliedNumber(await canister.query(replyLog), 1);
});
replicated("1 in the start function", async (world) => {
  const canister = await world.fresh({ start: code(ic0.in_replicated_execution, set(1)) });
  repliedNumber(await canister.query(get(1), reply64), 1);
});
replicated("1 in a timer", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      setHook("global_timer", ic0.in_replicated_execution, 3, op.add, set(1)),
      1,
      ic0.global_timer_set,
      op.drop,
      ic0.msg_reply,
    ),
  );
  await ran(world, canister, 4n);
});

controller("1 for a controller", async (world) => {
  repliedNumber(await (await world.shared()).query(world.user.sender, ic0.is_controller, reply64), 1);
});
controller("0 for somebody else", async (world) => {
  repliedNumber(await (await world.shared()).query(world.stranger.sender, ic0.is_controller, reply64), 0);
});
controller("0 for the anonymous principal", async (world) => {
  repliedNumber(await (await world.shared()).query(Uint8Array.of(4), ic0.is_controller, reply64), 0);
});
controller("0 for the canister itself, unless it is one", async (world) => {
  const canister = await world.shared();
  repliedNumber(await canister.query(canister.bytes, ic0.is_controller, reply64), 0);
});
controller("1 for the canister itself, if it is one", async (world) => {
  const canister = await world.fresh();
  await canister.configure({ controllers: [canister.id, principal(world.user.sender)] });
  repliedNumber(await canister.update(canister.bytes, ic0.is_controller, reply64), 1);
});
controller("0 for the empty principal", async (world) => {
  repliedNumber(await (await world.shared()).query(new Uint8Array(), ic0.is_controller, reply64), 0);
});
controller("a principal of 29 bytes is one", async (world) => {
  repliedNumber(await (await world.shared()).query(new Uint8Array(29), ic0.is_controller, reply64), 0);
});
controller("more than 29 bytes trap", async (world) => {
  trapped(
    await (await world.shared()).query(new Uint8Array(30), ic0.is_controller, reply64),
    "invalid principal id",
  );
});
controller("a principal behind the heap traps", async (world) => {
  trapped(await (await world.shared()).query(HEAP_BYTES, 1, ic0.is_controller, reply64), "ic0.is_controller");
});
controller("in a 64-bit canister too", async (world) => {
  repliedNumber(await (await world.shared(64)).update(world.user.sender, ic0.is_controller, reply64), 1);
});

certified("it is in the certificate that a query gets", async (world) => {
  const canister = await world.universal();
  replied(await canister.update("certified", ic0.certified_data_set, ic0.msg_reply));
  const bytes = replied(await canister.query(copied("data_certificate"), reply));
  const certificate = await world.wire.verify(bytes, canister.destination);
  assert.equal(
    textOf(valueAt(certificate, "canister", canister.bytes, "certified_data") ?? undefined),
    "certified",
  );
});

certified("a fresh canister's is empty", async (world) => {
  const canister = await world.universal();
  const bytes = replied(await canister.query(copied("data_certificate"), reply));
  const certificate = await world.wire.verify(bytes, canister.destination);
  assert.equal(valueAt(certificate, "canister", canister.bytes, "certified_data")?.length, 0);
});

certified("the certificate tells the time", async (world) => {
  const canister = await world.shared();
  const certificate = await world.wire.verify(
    replied(await canister.query(copied("data_certificate"), reply)),
    canister.destination,
  );
  assert.ok(valueAt(certificate, "time") !== null);
});

certified("32 bytes may be set", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(new Uint8Array(32).fill(5), ic0.certified_data_set, ic0.msg_reply));
});

certified("33 bytes trap", async (world) => {
  const canister = await world.universal();
  trapped(
    await canister.update(new Uint8Array(33), ic0.certified_data_set, ic0.msg_reply),
    "must be no larger than 32 bytes. Found 33 bytes",
  );
});

certified("no bytes may be set", async (world) => {
  const canister = await world.universal();
  replied(await canister.update("", ic0.certified_data_set, ic0.msg_reply));
});

certified("bytes behind the heap trap", async (world) => {
  const canister = await world.universal();
  trapped(
    await canister.update(HEAP_BYTES, 1, ic0.certified_data_set, ic0.msg_reply),
    "ic0_certified_data_set failed because src + size is out of bounds",
  );
});

certified("the last setting of a message holds", async (world) => {
  const canister = await world.universal();
  replied(await canister.update("one", ic0.certified_data_set, "two", ic0.certified_data_set, ic0.msg_reply));
  assert.equal(await certifiedText(world, canister), "two");
});

certified("a trap takes the setting back", async (world) => {
  const canister = await world.universal();
  replied(await canister.update("one", ic0.certified_data_set, ic0.msg_reply));
  rejected(await canister.update("two", ic0.certified_data_set, op.unreachable), { error: "IC0502" });
  assert.equal(await certifiedText(world, canister), "one");
});

certified("canister_init may set it", async (world) => {
  const canister = await world.fresh({ init: ["init", ic0.certified_data_set] });
  assert.equal(await certifiedText(world, canister), "init");
});

certified("an upgrade keeps it", async (world) => {
  const canister = await world.universal();
  replied(await canister.update("kept", ic0.certified_data_set, ic0.msg_reply));
  replied(await canister.upgrade());
  assert.equal(await certifiedText(world, canister), "kept");
});

certified("canister_pre_upgrade may set it", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(setHook("pre_upgrade", "pre", ic0.certified_data_set), ic0.msg_reply));
  replied(await canister.upgrade());
  assert.equal(await certifiedText(world, canister), "pre");
});

certified("a reinstallation clears it", async (world) => {
  const canister = await world.universal();
  replied(await canister.update("gone", ic0.certified_data_set, ic0.msg_reply));
  replied(await canister.install({ reinstall: null }));
  assert.equal(await certifiedText(world, canister), "");
});

certified("a callback may set it", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      callOut({ to: canister.bytes, arg: OK, onReply: ["cb", ic0.certified_data_set, ic0.msg_reply] }),
    ),
  );
  assert.equal(await certifiedText(world, canister), "cb");
});

certified("a timer may set it", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      setHook("global_timer", "tick", ic0.certified_data_set),
      1,
      ic0.global_timer_set,
      op.drop,
      ic0.msg_reply,
    ),
  );
  await world.eventually("the timer", async () =>
    (await certifiedText(world, canister)) === "tick" ? true : null,
  );
});

certified("it cannot be set in a query", async (world) => {
  trapped(
    await (await world.shared()).query("x", ic0.certified_data_set, ic0.msg_reply),
    "cannot be executed in non replicated query mode",
  );
});

certified("data_certificate_present is 1 in a query", async (world) => {
  repliedNumber(await (await world.shared()).query(ic0.data_certificate_present, reply64), 1);
});
certified("data_certificate_present is 0 in an update", async (world) => {
  repliedNumber(await (await world.shared()).update(ic0.data_certificate_present, reply64), 0);
});
certified("data_certificate_present is 0 in a query that is executed with replication", async (world) => {
  repliedNumber(await (await world.shared()).replicatedQuery(ic0.data_certificate_present, reply64), 0);
});
certified("data_certificate_present is 1 in a composite query", async (world) => {
  repliedNumber(await (await world.shared()).composite(ic0.data_certificate_present, reply64), 1);
});
certified("data_certificate_present is 0 in the callback of a composite query", async (world) => {
  const canister = await world.shared();
  repliedNumber(
    await canister.composite(
      callOut({
        to: canister.bytes,
        method: "query",
        arg: OK,
        onReply: [ic0.data_certificate_present, reply64],
      }),
    ),
    0,
  );
});
certified("data_certificate_present is 0 in a query that a composite query calls", async (world) => {
  const canister = await world.shared();
  const outcome = await canister.composite(
    callOut({ to: canister.bytes, method: "query", arg: code(ic0.data_certificate_present, reply64) }),
  );
  assert.equal(numberOf(relayedReply(outcome)), 0n);
});
certified("data_certificate_copy traps in an update", async (world) => {
  trapped(
    await (await world.shared()).update(BIG, 0, 1, ic0.data_certificate_copy, ic0.msg_reply),
    "cannot be executed in update mode",
  );
});
certified("data_certificate_copy traps one byte behind the certificate", async (world) => {
  trapped(
    await (await world.shared()).query(
      BIG,
      1,
      ic0.data_certificate_size,
      ic0.data_certificate_copy,
      ic0.msg_reply,
    ),
    "offset + size is out of bounds",
  );
});
certified("data_certificate_size traps where no certificate is", async (world) => {
  const canister = await world.shared();
  const outcome = await canister.composite(
    callOut({ to: canister.bytes, method: "query", arg: code(ic0.data_certificate_size, reply64) }),
  );
  assert.equal(replied(outcome)[0], 2);
});

async function certifiedText(world: World, canister: Universal): Promise<string> {
  const bytes = replied(await canister.query(copied("data_certificate"), reply));
  const certificate = await world.wire.verify(bytes, canister.destination);
  return textOf(valueAt(certificate, "canister", canister.bytes, "certified_data") ?? undefined);
}

const variables = [
  { name: "B", value: "second" },
  { name: "A", value: "first" },
  { name: "EMPTY", value: "" },
  { name: "ключ", value: "значение" },
];
async function withVariables(world: World): Promise<Universal> {
  return await world.fresh({ settings: { environment_variables: variables } });
}
const variable = (name: string | Uint8Array, size: number) => [
  name,
  BIG,
  0,
  size,
  ic0.env_var_value_copy,
  BIG,
  size,
  reply,
];

env("none are there by default", async (world) => {
  repliedNumber(await (await world.shared()).query(ic0.env_var_count, reply64), 0);
});
env("their count is what the settings say", async (world) => {
  repliedNumber(await (await withVariables(world)).query(ic0.env_var_count, reply64), 4);
});
env("a value is read by its name", async (world) => {
  repliedText(await (await withVariables(world)).query(...variable("A", 5)), "first");
});
env("a value beyond ASCII is read by its name", async (world) => {
  const size = utf8("значение").length;
  repliedText(await (await withVariables(world)).query(...variable("ключ", size)), "значение");
});
env("the size of a value is in bytes", async (world) => {
  repliedNumber(
    await (await withVariables(world)).query("ключ", ic0.env_var_value_size, reply64),
    utf8("значение").length,
  );
});
env("an empty value has size 0", async (world) => {
  repliedNumber(await (await withVariables(world)).query("EMPTY", ic0.env_var_value_size, reply64), 0);
});
env("names are enumerated by index, each once", async (world) => {
  const canister = await withVariables(world);
  const name = (i: number) => [
    i,
    BIG,
    0,
    i,
    ic0.env_var_name_size,
    ic0.env_var_name_copy,
    BIG,
    i,
    ic0.env_var_name_size,
    op.log_blob,
    "|",
    op.log_blob,
  ];
  const text = textOf(replied(await canister.query([0, 1, 2, 3].map(name), replyLog)));
  assert.deepEqual(text.split("|").filter(Boolean).sort(), ["A", "B", "EMPTY", "ключ"].sort());
});
env("env_var_name_exists tells what is there", async (world) => {
  const canister = await withVariables(world);
  repliedNumbers(
    await canister.query(
      "A",
      ic0.env_var_name_exists,
      append64,
      "C",
      ic0.env_var_name_exists,
      append64,
      ic0.msg_reply,
    ),
    1,
    0,
  );
});
env("an unknown name traps in env_var_value_size", async (world) => {
  trapped(
    await (await withVariables(world)).query("C", ic0.env_var_value_size, reply64),
    "Environment variable C not found.",
  );
});
env("an unknown name traps in env_var_value_copy", async (world) => {
  trapped(await (await withVariables(world)).query(...variable("C", 1)), "Environment variable C not found.");
});
env("an index behind the last traps", async (world) => {
  trapped(
    await (await withVariables(world)).query(4, ic0.env_var_name_size, reply64),
    "Environment variable index 4 is out of bounds. The number of environment variables is 4",
  );
});
env("a name of 128 bytes may be asked for", async (world) => {
  repliedNumber(await (await world.shared()).query("n".repeat(128), ic0.env_var_name_exists, reply64), 0);
});
env("a name of 129 bytes traps", async (world) => {
  trapped(
    await (await world.shared()).query("n".repeat(129), ic0.env_var_name_exists, reply64),
    "Variable name is too large",
  );
});
env("a name that is no UTF-8 traps", async (world) => {
  trapped(
    await (await world.shared()).query(Uint8Array.of(0xc3, 0x28), ic0.env_var_name_exists, reply64),
    "not a valid UTF-8 string",
  );
});
env("a value is copied from an offset", async (world) => {
  repliedText(
    await (await withVariables(world)).query("A", BIG, 2, 3, ic0.env_var_value_copy, BIG, 3, reply),
    "rst",
  );
});
env("a value's copy one byte behind it traps", async (world) => {
  trapped(await (await withVariables(world)).query(...variable("A", 6)), "ic0.env_var_value_copy value");
});
env("a name's copy one byte behind it traps", async (world) => {
  trapped(
    await (await withVariables(world)).query(0, BIG, 0, 50, ic0.env_var_name_copy, ic0.msg_reply),
    "ic0.env_var_name_copy name",
  );
});
env("they may be changed while the canister runs", async (world) => {
  const canister = await withVariables(world);
  await canister.configure({ environment_variables: [{ name: "A", value: "other" }] });
  repliedText(await canister.update(...variable("A", 5)), "other");
  repliedNumber(await canister.update(ic0.env_var_count, reply64), 1);
});
env("they survive a reinstallation", async (world) => {
  const canister = await withVariables(world);
  replied(await canister.install({ reinstall: null }));
  repliedText(await canister.query(...variable("A", 5)), "first");
});
env("canister_init sees them", async (world) => {
  const canister = await world.fresh({
    settings: { environment_variables: variables },
    init: [ic0.env_var_count, op.log64],
  });
  repliedNumber(await canister.query(replyLog), 4);
});
env("a 64-bit canister sees them", async (world) => {
  const canister = await world.fresh({ width: 64, settings: { environment_variables: variables } });
  repliedText(await canister.query(...variable("B", 6)), "second");
});

debug("debug_print never traps, wherever its text lies", async (world) => {
  repliedText(await (await world.shared()).query(HEAP_BYTES, 100, ic0.debug_print, ic0.msg_reply), "");
});
debug("a printed text is in the log", async (world) => {
  const canister = await world.universal();
  replied(await canister.update("hello log", ic0.debug_print, ic0.msg_reply));
  assert.equal(await canister.log(), "hello log");
});
debug("a text of a trapping message is in the log", async (world) => {
  const canister = await world.universal();
  rejected(await canister.update("before the end", ic0.debug_print, op.unreachable), { error: "IC0502" });
  assert.match(await canister.log(), /before the end/);
});
debug("a query prints nothing into the log", async (world) => {
  const canister = await world.universal();
  replied(await canister.query("quiet", ic0.debug_print, ic0.msg_reply));
  assert.equal(await canister.log(), "");
});
debug("trap ends the message with its text", async (world) => {
  rejected(await (await world.shared()).query("stop here", ic0.trap), {
    code: 5,
    error: "IC0503",
    text: "Canister called `ic0.trap` with message: 'stop here'",
  });
});
debug("a trap with an empty text", async (world) => {
  rejected(await (await world.shared()).query("", ic0.trap), {
    code: 5,
    error: "IC0503",
    text: "with message: ''",
  });
});
debug("a trap whose text lies behind the heap still traps", async (world) => {
  rejected(await (await world.shared()).query(HEAP_BYTES, 10, ic0.trap), {
    code: 5,
    error: "IC0503",
    text: "(trap message out of memory bounds)",
  });
});
debug("a trap's text that is no UTF-8 is shown as well as possible", async (world) => {
  rejected(await (await world.shared()).query(Uint8Array.of(0x61, 0xff, 0x62), ic0.trap), {
    code: 5,
    error: "IC0503",
    text: "a\ufffdb",
  });
});
debug("a trap is in the log with its text", async (world) => {
  const canister = await world.universal();
  rejected(await canister.update("logged trap", ic0.trap), { error: "IC0503" });
  assert.match(await canister.log(), /\[TRAP\]: logged trap/);
});
debug("many prints leave the newest of them", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      times(200, ["x".repeat(100), ic0.debug_print]),
      "the last one",
      ic0.debug_print,
      ic0.msg_reply,
    ),
  );
  const log = await canister.log();
  assert.ok(log.length <= 4_096 && log.endsWith("the last one"));
});

status("canister_status is 1 while it runs", async (world) => {
  repliedNumber(await (await world.shared()).query(ic0.canister_status, reply64), 1);
});
status("canister_status is 2 in a callback while it stops", async (world) => {
  const [helper, canister] = [await world.universal(), await world.fresh()];
  const call = callOut({ to: helper.bytes, arg: code(gate), onReply: [ic0.canister_status, reply64] });
  const outcome = canister.update(1, set(1), call);
  await reached(canister, 1);
  const stopping = world.manage("stop_canister", { canister_id: canister.id });
  await world.eventually("stopping", async () =>
    "stopping" in (await canister.status()).status ? true : null,
  );
  replied(await helper.update(openGate));
  repliedNumber(await outcome, 2);
  replied(await stopping);
});
status("a fresh installation has version 1", async (world) => {
  repliedNumber(await (await world.fresh()).query(ic0.canister_version, reply64), 1);
});
status("an update's success raises the version", async (world) => {
  const canister = await world.fresh();
  repliedNumber(await canister.update(ic0.canister_version, reply64), 1);
  repliedNumber(await canister.query(ic0.canister_version, reply64), 2);
});
status("a trapping update does not raise the version", async (world) => {
  const canister = await world.fresh();
  rejected(await canister.update(op.unreachable), { error: "IC0502" });
  repliedNumber(await canister.query(ic0.canister_version, reply64), 1);
});
status("a query does not raise the version", async (world) => {
  const canister = await world.fresh();
  replied(await canister.query(ic0.msg_reply));
  repliedNumber(await canister.query(ic0.canister_version, reply64), 1);
});
status("a query that is executed with replication raises the version", async (world) => {
  const canister = await world.fresh();
  replied(await canister.replicatedQuery(ic0.msg_reply));
  repliedNumber(await canister.query(ic0.canister_version, reply64), 2);
});
status("a callback raises the version", async (world) => {
  const canister = await world.fresh();
  // The method, the callee's message and the callback.
  repliedNumber(
    await canister.update(callOut({ to: canister.bytes, arg: OK, onReply: [ic0.canister_version, reply64] })),
    3,
  );
  repliedNumber(await canister.query(ic0.canister_version, reply64), 4);
});
status("a change of settings raises the version", async (world) => {
  const canister = await world.fresh();
  await canister.configure({ compute_allocation: 0n });
  repliedNumber(await canister.query(ic0.canister_version, reply64), 2);
});
status("an upgrade raises the version between its hooks", async (world) => {
  const canister = await world.fresh();
  const hook = [
    1,
    ic0.stable64_grow,
    op.drop,
    BIG,
    ic0.canister_version,
    op.store64,
    0,
    BIG,
    8,
    ic0.stable64_write,
  ];
  replied(await canister.update(setHook("pre_upgrade", ...hook), ic0.msg_reply));
  replied(await canister.upgrade(ic0.canister_version, op.log64));
  repliedNumbers(
    await canister.query(BIG, 0, 8, ic0.stable64_read, BIG, 8, ic0.msg_reply_data_append, replyLog),
    2,
    3,
  );
});
status("stopping and starting raise the version", async (world) => {
  const canister = await world.fresh();
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  replied(await world.manage("start_canister", { canister_id: canister.id }));
  // To stopping, to stopped, to running.
  repliedNumber(await canister.query(ic0.canister_version, reply64), 4);
});
status("canister_version of the status is the same", async (world) => {
  const canister = await world.fresh();
  assert.equal((await canister.status()).version, 1n);
});
status("anonymous callers may ask for it", async (world) => {
  repliedNumber(await (await world.shared()).ask(code(ic0.canister_status, reply64), { as: ANONYMOUS }), 1);
});

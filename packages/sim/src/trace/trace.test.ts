/** Traces: the tree of a call between canisters of two subnets, failures, tasks, installations, and that watching changes nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { principalToText, toHex } from "@orrery/base";
import type { Instance } from "../instance/index.ts";
import {
  call,
  candid,
  createCanister,
  fixture,
  install,
  installed,
  newInstance,
  update,
} from "../instance/instance.testkit.ts";
import { traceToText, traceTrees } from "./index.ts";

function pair(): {
  instance: Instance;
  caller: ReturnType<typeof installed>;
  callee: ReturnType<typeof installed>;
} {
  const instance = newInstance(["nns", "application", "application"]);
  const [, , other] = instance.topology().subnets;
  const caller = installed(instance, "caller.eop");
  const callee = createCanister(instance, other?.id);
  install(instance, callee, fixture("callee.eop"));
  return { instance, caller, callee };
}

const target = (id: Uint8Array): Principal => Principal.fromText(principalToText(id));

test("a call to another subnet is a tree", () => {
  const { instance, caller, callee } = pair();
  instance.trace(true);
  update(instance, call(caller, "parallel", candid([IDL.Principal, IDL.Nat], [target(callee), 3n])));
  const events = instance.takeTrace();
  assert.deepEqual(instance.takeTrace(), []);
  const [tree, ...others] = traceTrees(events);
  assert.ok(tree !== undefined && others.length === 0);
  assert.equal(tree.cause.kind, "ingress");
  assert.equal(tree.canisterId, principalToText(caller));
  const [first, ...callbacks] = tree.messages;
  assert.deepEqual(
    [first?.kind, first?.name, first?.rounds, first?.answers],
    ["update", "parallel", 1, null],
  );
  assert.ok(callbacks.every(({ kind }) => kind === "reply_callback"));
  assert.equal(callbacks.at(-1)?.response?.kind, "reply");
  const calls = tree.messages.flatMap((message) => message.calls);
  const below = calls.filter(({ trace }) => trace !== null);
  assert.equal(below.length, 3);
  for (const { callee: id, trace } of below) {
    assert.equal(id, principalToText(callee));
    assert.equal(trace?.messages[0]?.response?.kind, "reply");
    assert.notEqual(trace?.messages[0]?.subnetId, first?.subnetId);
  }
  // Each callback answers a call of its own.
  const answered = callbacks.map(({ answers }) => answers);
  assert.deepEqual(new Set(answered), new Set(calls.map(({ id }) => id)));
  assert.equal(answered.length, calls.length);
  const own = events.reduce((sum, { instructions }) => sum + instructions, 0n);
  assert.equal(tree.instructions, own);
  assert.ok(own > 0n && (first?.pagesWritten ?? 0) > 0 && (first?.cycles ?? 0n) < 0n);
  assert.match(
    traceToText([tree]),
    /^ingress [0-9a-f]{64} from 2vxsx-fae\n {2}\S+-cai update "parallel": \d+ instructions, \d+ pages, -\d+ cycles, round \d+\n {4}→ /,
  );
  assert.match(traceToText([tree], { names: new Map([[tree.canisterId, "front"]]) }), /\n {2}front update /);
  instance.trace(false);
  update(instance, call(caller, "relay", candid([IDL.Principal, IDL.Nat], [target(callee), 1n])));
  assert.deepEqual(instance.takeTrace(), []);
});

test("failures, rejects and installations are told", () => {
  const { instance, caller, callee } = pair();
  instance.trace(true);
  update(instance, call(caller, "callTrapping", candid([IDL.Principal], [target(callee)])));
  const [failed] = traceTrees(instance.takeTrace());
  assert.ok(failed !== undefined);
  const text = traceToText([failed]);
  assert.match(text, /failed: IC0503 /);
  const trap = failed.messages.flatMap(({ calls }) => calls)[0]?.trace?.messages[0];
  assert.ok((trap?.backtrace.length ?? 0) > 0 && trap?.logs.length === 0);
  assert.match(text, /\n {10}at \S/);
  assert.match(text, /reject_callback /);
  const id = createCanister(instance);
  install(instance, id, fixture("counter.eop"));
  const [tree] = traceTrees(instance.takeTrace());
  assert.deepEqual([tree?.messages[0]?.kind, tree?.cause.kind], ["install", "ingress"]);
});

test("heartbeats are tasks, and who watches sees what happens without him", () => {
  const run = (watched: boolean): string => {
    const { instance, caller, callee } = pair();
    instance.trace(watched);
    const timers = installed(instance, "timers.eop");
    update(instance, call(timers, "startRecurring", candid([IDL.Nat], [5n])));
    for (let i = 0; i < 20; i++) instance.tick();
    update(instance, call(caller, "relay", candid([IDL.Principal, IDL.Nat], [target(callee), 1n])));
    if (watched) {
      const tasks = traceTrees(instance.takeTrace()).filter(({ cause }) => cause.kind === "task");
      assert.ok(tasks.length > 0);
      assert.ok(tasks.every(({ messages }) => messages[0]?.kind === "global_timer"));
    }
    const cycles = [caller, callee, timers].map((id) => instance.cycles(id));
    return `${instance.time} ${cycles} ${toHex(instance.rootKey)}`;
  };
  assert.equal(run(true), run(false));
});

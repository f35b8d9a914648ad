/** Traces: the tree of a call between canisters of two subnets, failures, tasks, installations, and that watching changes nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { principalToText, toHex } from "@orrery/base";
import { type Instance, traceText, traceTrees } from "./index.ts";
import {
  call,
  candid,
  createCanister,
  fixture,
  install,
  installed,
  newInstance,
  update,
} from "./instance.testkit.ts";

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
  assert.equal(tree.origin.kind, "ingress");
  assert.deepEqual(tree.canisterId, caller);
  const [first, ...callbacks] = tree.events;
  assert.deepEqual([first?.kind, first?.name, first?.rounds], ["update", "parallel", 1]);
  assert.ok(callbacks.every(({ kind }) => kind === "reply_callback"));
  assert.equal(callbacks.at(-1)?.response?.kind, "reply");
  const below = tree.calls.filter(({ node }) => node !== null);
  assert.equal(below.length, 3);
  for (const { callee: id, node } of below) {
    assert.deepEqual(id, callee);
    assert.equal(node?.events[0]?.response?.kind, "reply");
    assert.notDeepEqual(node?.events[0]?.subnetId, first?.subnetId);
  }
  const own = events.reduce((sum, { instructions }) => sum + instructions, 0n);
  assert.equal(tree.instructions, own);
  assert.ok(own > 0n && (first?.pagesWritten ?? 0) > 0 && (first?.cycles ?? 0n) < 0n);
  const text = traceText([tree]);
  assert.match(
    text,
    /^ingress [0-9a-f]{64} from 2vxsx-fae\n {2}\S+-cai update "parallel": \d+ instructions, \d+ pages\n {4}→ /,
  );
  instance.trace(false);
  update(instance, call(caller, "relay", candid([IDL.Principal, IDL.Nat], [target(callee), 1n])));
  assert.deepEqual(instance.takeTrace(), []);
});

test("failures, rejects and installations are told", () => {
  const { instance, caller, callee } = pair();
  instance.trace(true);
  update(instance, call(caller, "callTrapping", candid([IDL.Principal], [target(callee)])));
  const text = traceText(traceTrees(instance.takeTrace()));
  assert.match(text, /failed: IC0503 /);
  assert.match(text, /reject_callback /);
  const id = createCanister(instance);
  install(instance, id, fixture("counter.eop"));
  const [tree] = traceTrees(instance.takeTrace());
  assert.deepEqual([tree?.events[0]?.kind, tree?.origin.kind], ["install", "ingress"]);
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
      const tasks = traceTrees(instance.takeTrace()).filter(({ origin }) => origin.kind === "task");
      assert.ok(tasks.length > 0);
      assert.ok(tasks.every(({ events }) => events[0]?.kind === "global_timer"));
    }
    const cycles = [caller, callee, timers].map((id) => instance.cycles(id));
    return `${instance.time} ${cycles} ${toHex(instance.rootKey)}`;
  };
  assert.equal(run(true), run(false));
});

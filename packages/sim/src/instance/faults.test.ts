/** Faults between canisters: held, released in another order, delayed, rejected; cycles are all there afterwards, and a run repeats. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { type CanisterId, equalBytes, principalToText, utf8DecodeLossy } from "@orrery/base";
import { traceToText, traceTrees } from "../trace/index.ts";
import type { Instance, MessageId, MessageRule } from "./index.ts";
import {
  call,
  candid,
  createCanister,
  fixture,
  install,
  installed,
  natOf,
  newInstance,
  update,
} from "./instance.testkit.ts";

interface Scene {
  readonly instance: Instance;
  readonly caller: CanisterId;
  readonly callee: CanisterId;
}

/** The callee on the caller's subnet or on another one. */
function scene(isFar: boolean): Scene {
  const free = { kind: "application", costSchedule: "free" } as const;
  const instance = newInstance([], { topology: [free, free] });
  const [, other] = instance.topology().subnets;
  const caller = installed(instance, "caller.eop");
  const callee = createCanister(instance, isFar ? other?.id : instance.topology().subnets[0]?.id);
  install(instance, callee, fixture("callee.eop"));
  return { instance, caller, callee };
}

const target = (id: CanisterId): Principal => Principal.fromText(principalToText(id));

function relayed({ instance, caller, callee }: Scene, amount: bigint): MessageId {
  const arg = candid([IDL.Principal, IDL.Nat], [target(callee), amount]);
  const submitted = instance.submitIngress(call(caller, "relay", arg));
  assert.ok(submitted.ok);
  return submitted.value;
}

function reply({ instance }: Scene, id: MessageId): bigint {
  const answer = instance.awaitIngress(id);
  assert.ok(answer.ok, answer.ok ? "" : answer.error.message);
  return natOf(answer.value);
}

for (const isFar of [false, true]) {
  const where = isFar ? "to another subnet" : "within a subnet";

  test(`requests ${where} are held until they are released, in any order`, () => {
    const one = scene(isFar);
    const { instance, caller, callee } = one;
    instance.intercept([{ to: callee, kind: "request", action: { kind: "hold" } }]);
    const ids = [1n, 2n, 4n].map((amount) => relayed(one, amount));
    assert.throws(() => instance.awaitIngress(ids[0] as MessageId, 5), { code: "call_pending" });
    const held = instance.heldMessages();
    assert.equal(held.length, 3);
    assert.ok(instance.settle());
    for (const { from, to, kind, method, until } of held) {
      assert.deepEqual([from, to, kind, until], [caller, callee, "request", null]);
      assert.equal(typeof method, "string");
    }
    assert.throws(() => instance.save(() => assert.fail("nothing is written")), { code: "messages_held" });
    assert.throws(() => instance.releaseMessages([77]), { code: "message_unknown" });
    const [first, second, third] = held.map(({ id }) => id) as [number, number, number];
    instance.intercept([]);
    instance.releaseMessages([third]);
    // The callee adds up: the third comes first.
    const later = reply(one, ids[2] as MessageId);
    instance.releaseMessages([second, first]);
    assert.ok(reply(one, ids[1] as MessageId) > later);
    assert.ok(reply(one, ids[0] as MessageId) > later);
    assert.deepEqual(instance.heldMessages(), []);
  });

  test(`responses ${where} are delayed by time`, () => {
    const one = scene(isFar);
    const { instance, callee } = one;
    const rule: MessageRule = {
      from: callee,
      kind: "response",
      times: 1,
      action: { kind: "delay", durationNs: 1_000_000_000n },
    };
    instance.intercept([rule]);
    const id = relayed(one, 3n);
    assert.throws(() => instance.awaitIngress(id, 10), { code: "call_pending" });
    const [held] = instance.heldMessages();
    assert.equal(held?.kind, "response");
    assert.equal(instance.nextDue(), held?.until);
    const fork = instance.fork();
    instance.setTime((held?.until ?? 0n) - 1n);
    assert.throws(() => instance.awaitIngress(id, 0), { code: "call_pending" });
    instance.setTime(held?.until ?? 0n);
    const amount = reply(one, id);
    // The copy has it as well, and a second one is not delayed.
    fork.releaseMessages();
    assert.equal(reply({ ...one, instance: fork }, id), amount);
    assert.ok(reply(one, relayed(one, 1n)) > amount);
  });

  test(`calls ${where} are rejected instead of delivered, and their cycles come back`, () => {
    const one = scene(isFar);
    const { instance, caller, callee } = one;
    const text = "the network is made to fail";
    instance.intercept([{ from: caller, times: 1, action: { kind: "reject", code: 2, message: text } }]);
    const Outcome = IDL.Record({
      outcome: IDL.Variant({ rejection: IDL.Record({ code: IDL.Text, message: IDL.Text }), reply: IDL.Nat }),
    });
    const cycles = (): bigint[] => [instance.cycles(caller), instance.cycles(callee)];
    const before = cycles();
    const arg = candid([IDL.Principal, IDL.Nat, IDL.Nat], [target(callee), 5_000n, 5_000n]);
    const pay = (): string | undefined => {
      const [paid] = IDL.decode([Outcome], update(instance, call(caller, "pay", arg))) as unknown as [
        { readonly outcome: { readonly rejection?: { readonly message: string } } },
      ];
      return paid.outcome.rejection?.message;
    };
    assert.equal(pay(), text);
    assert.deepEqual(cycles(), before);
    assert.equal(pay(), undefined);
    assert.deepEqual(cycles(), [(before[0] as bigint) - 5_000n, (before[1] as bigint) + 5_000n]);
    reply(one, relayed(one, 1n));
  });
}

test("a best-effort call whose request is held too long ends in time, and the request then does nothing", () => {
  const one = scene(false);
  const { instance, caller, callee } = one;
  instance.intercept([{ to: callee, times: 1, action: { kind: "hold" } }]);
  const arg = candid([IDL.Principal, IDL.Nat32], [target(callee), 10]);
  const submitted = instance.submitIngress(call(caller, "bestEffort", arg));
  assert.ok(submitted.ok);
  instance.tick();
  assert.equal(instance.heldMessages().length, 1);
  instance.setTime(instance.time + 20_000_000_000n);
  const answer = instance.awaitIngress(submitted.value);
  assert.ok(answer.ok);
  instance.releaseMessages();
  instance.trace(true);
  instance.tick();
  assert.deepEqual(instance.takeTrace(), []);
  assert.ok(instance.settle());
});

for (const isFar of [false, true]) {
  const where = isFar ? "to another subnet" : "within a subnet";
  for (const kind of ["request", "response"] as const) {
    test(`a ${kind} ${where} that is lost is told by the call's deadline, and only best-effort calls lose any`, () => {
      const one = scene(isFar);
      const { instance, caller, callee } = one;
      instance.intercept([{ kind, action: { kind: "drop" } }]);
      // A call with a guarantee.
      const before = reply(one, relayed(one, 1n));
      instance.trace(true);
      const cycles = instance.cycles(caller) + instance.cycles(callee);
      const submitted = instance.submitIngress(
        call(caller, "bestEffort", candid([IDL.Principal, IDL.Nat32], [target(callee), 10])),
      );
      assert.ok(submitted.ok);
      assert.throws(() => instance.awaitIngress(submitted.value, 20), { code: "call_pending" });
      assert.deepEqual(instance.heldMessages(), []);
      instance.setTime(instance.time + 11_000_000_000n);
      const answer = instance.awaitIngress(submitted.value);
      assert.ok(answer.ok);
      const executed = instance.takeTrace().filter(({ canisterId }) => equalBytes(canisterId, callee));
      assert.equal(executed.length, kind === "request" ? 0 : 1);
      assert.equal(instance.cycles(caller) + instance.cycles(callee), cycles);
      instance.intercept([]);
      const added = kind === "request" ? 1n : 2n;
      assert.equal(reply(one, relayed(one, 1n)), before + added);
      assert.ok(instance.settle());
    });
  }
}

interface Trouble {
  /** What happened, and what the state came to. */
  readonly told: string;
  /** The kinds of what was held when some of it was released; with times of its own: what is delayed. */
  readonly held: readonly string[];
  /** The caller's numbers of the calls that the callee executed, in order. */
  readonly executed: readonly number[];
  readonly lost: string;
}

/** Everything at once, on two subnets. */
function troubled(): Trouble {
  const one = scene(true);
  const { instance, caller, callee } = one;
  instance.trace(true);
  instance.intercept([
    { to: callee, kind: "request", times: 3, action: { kind: "hold" } },
    { from: callee, kind: "response", times: 2, action: { kind: "delay", durationNs: 2_000_000_000n } },
    { to: callee, method: "add", times: 1, action: { kind: "reject", code: 2, message: "made to fail" } },
    { action: { kind: "drop" } },
  ]);
  const arg = candid([IDL.Principal, IDL.Nat], [target(callee), 5n]);
  const parallel = instance.submitIngress(call(caller, "parallel", arg));
  const lost = instance.submitIngress(
    call(caller, "bestEffort", candid([IDL.Principal, IDL.Nat32], [target(callee), 5])),
  );
  assert.ok(parallel.ok && lost.ok);
  for (let i = 0; i < 5; i++) instance.tick();
  const held = instance.heldMessages();
  const untimed = held.filter(({ until }) => until === null);
  instance.releaseMessages(untimed.map(({ id }) => id).reverse());
  for (let i = 0; i < 12; i++) {
    instance.setTime(instance.time + 1_000_000_000n);
    instance.tick();
  }
  const [, answer] = [parallel.value, lost.value].map((id) => instance.awaitIngress(id));
  assert.ok(answer?.ok);
  assert.ok(instance.settle());
  const events = instance.takeTrace();
  const rest = [...[caller, callee].map((id) => instance.cycles(id)), instance.time];
  return {
    told: [traceToText(traceTrees(events)), ...rest].join("\n"),
    held: held.map(({ kind, until }) => (until === null ? kind : `${kind}, delayed`)),
    executed: events.flatMap(({ canisterId, origin }) =>
      equalBytes(canisterId, callee) && origin.kind === "call" ? [origin.callbackId] : [],
    ),
    lost: utf8DecodeLossy(answer.value),
  };
}

test("a run in which messages are held, reordered, delayed, rejected and lost repeats to the cycle", () => {
  const first = troubled();
  assert.deepEqual(first.held, ["request", "request", "request", "response, delayed"]);
  // The first three calls are held and come last, in reverse; the fourth is rejected, the sixth lost.
  assert.deepEqual(first.executed, [5, 3, 2, 1]);
  assert.match(first.told, /made to fail/);
  assert.match(first.lost, /Call deadline has expired/);
  assert.deepEqual(troubled(), first);
});

test("rules that make no sense are refused", () => {
  const { instance } = scene(false);
  const invalid = { code: "rule_invalid" };
  assert.throws(() => instance.intercept([{ times: 0, action: { kind: "hold" } }]), invalid);
  assert.throws(() => instance.intercept([{ action: { kind: "delay", durationNs: -1n } }]), invalid);
});

/** Forks and saved states: the same network, from there on on its own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { type CanisterId, principalToText, toHex } from "@orrery/base";
import type { Disk } from "@orrery/state";
import { FaultyDisk } from "../faulty-disk.ts";
import { archiveOf, createInstance, type Instance, openArchive, openInstance } from "./index.ts";
import {
  call,
  candid,
  createCanister,
  fixture,
  GENESIS,
  install,
  installed,
  instanceOptions,
  natOf,
  newInstance,
  query,
  update,
} from "./instance.testkit.ts";

interface Scene {
  readonly instance: Instance;
  readonly counter: CanisterId;
  readonly caller: CanisterId;
  readonly callee: CanisterId;
}

function scene(): Scene {
  const instance = newInstance(["nns", "application", "application"]);
  const [, , other] = instance.topology().subnets;
  const counter = installed(instance, "counter.eop");
  const caller = installed(instance, "caller.eop");
  const callee = createCanister(instance, other?.id);
  install(instance, callee, fixture("callee.eop"));
  update(instance, call(counter, "inc"));
  return { instance, counter, caller, callee };
}

function relay(instance: Instance, { caller, callee }: Scene): bigint {
  const arg = candid([IDL.Principal, IDL.Nat], [Principal.fromText(principalToText(callee)), 3n]);
  return natOf(update(instance, call(caller, "relay", arg)));
}

test("a fork has everything and goes its own way", () => {
  const one = scene();
  const { instance, counter } = one;
  const fork = instance.fork();
  assert.equal(fork.time, instance.time);
  assert.equal(natOf(query(fork, call(counter, "get"))), 1n);
  for (let i = 0; i < 3; i++) update(fork, call(counter, "inc"));
  relay(fork, one);
  assert.equal(natOf(query(fork, call(counter, "get"))), 4n);
  assert.equal(natOf(query(instance, call(counter, "get"))), 1n);
  assert.equal(natOf(update(instance, call(counter, "inc"))), 2n);
  relay(instance, one);
  const second = fork.fork();
  fork.dispose();
  assert.equal(natOf(update(second, call(counter, "inc"))), 5n);
  instance.dispose();
  assert.equal(natOf(update(second, call(counter, "inc"))), 6n);
  relay(second, one);
});

test("what is under way goes on in both", () => {
  const one = scene();
  const { instance, caller, callee } = one;
  const arg = candid([IDL.Principal, IDL.Nat], [Principal.fromText(principalToText(callee)), 20n]);
  const submitted = instance.submitIngress(call(caller, "parallel", arg));
  assert.ok(submitted.ok);
  instance.tick();
  const fork = instance.fork();
  const answer = instance.awaitIngress(submitted.value);
  assert.ok(answer.ok);
  assert.deepEqual(fork.awaitIngress(submitted.value), answer);
  assert.equal(fork.time, instance.time);
});

function disks(): (name: string) => Disk {
  const all = new Map<string, FaultyDisk>();
  return (name) => {
    const disk = all.get(name) ?? new FaultyDisk({ seed: 1 });
    all.set(name, disk);
    return disk;
  };
}

test("a saved network goes on where it was, with what was under way", () => {
  const one = scene();
  const { instance, counter, caller, callee } = one;
  const arg = candid([IDL.Principal, IDL.Nat], [Principal.fromText(principalToText(callee)), 20n]);
  const running = instance.submitIngress(call(caller, "parallel", arg));
  assert.ok(running.ok);
  instance.tick();
  const waiting = instance.submitIngress(call(counter, "inc"));
  assert.ok(waiting.ok);
  const open = disks();
  instance.save(open);
  const options = instanceOptions(["application"]);
  const opened = openInstance({ ...options, time: 0n, seed: new Uint8Array(32) }, open);
  assert.equal(opened.time, instance.time);
  assert.equal(toHex(opened.rootKey), toHex(instance.rootKey));
  assert.deepEqual(opened.topology(), instance.topology());
  for (const id of [running.value, waiting.value]) {
    const answer = instance.awaitIngress(id);
    assert.ok(answer.ok);
    assert.deepEqual(opened.awaitIngress(id), answer);
  }
  assert.equal(opened.time, instance.time);
  assert.deepEqual(createCanister(opened), createCanister(instance));
  relay(opened, one);
  // Again, over what was saved.
  const again = disks();
  opened.save(again);
  assert.equal(natOf(query(openInstance(options, again), call(counter, "get"))), 2n);
});

test("what is not a saved network is refused by name", () => {
  const options = instanceOptions(["application"]);
  assert.throws(() => openInstance(options, disks()), { code: "store_missing" });
  const open = disks();
  createInstance({ ...options, time: GENESIS }).save(open);
  const broken = open("subnet-0");
  const [file] = broken.list().filter((name) => name.startsWith("checkpoint"));
  assert.ok(file !== undefined);
  const opened = broken.open(file, { create: false });
  opened.truncate(opened.size - 1);
  opened.close();
  assert.throws(() => openInstance(options, open), { code: "store_corrupt" });
});

test("a network travels as one piece of bytes", () => {
  const one = scene();
  const { instance, counter } = one;
  const archive = archiveOf(instance);
  assert.deepEqual(archiveOf(instance), archive);
  const options = instanceOptions(["application"]);
  const opened = openArchive(options, archive);
  assert.equal(natOf(update(opened, call(counter, "inc"))), 2n);
  assert.equal(relay(opened, one), relay(instance, one));
  const invalid = { code: "archive_invalid" };
  assert.throws(() => openArchive(options, archive.subarray(0, archive.length - 1)), invalid);
  assert.throws(() => openArchive(options, new Uint8Array(100)), invalid);
  assert.throws(() => openArchive(options, new Uint8Array(0)), invalid);
  const changed = archive.slice();
  changed[archive.length >> 1] = (changed[archive.length >> 1] as number) ^ 1;
  assert.throws(() => openArchive(options, changed), invalid);
});

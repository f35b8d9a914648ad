/** Queries on a view that follows a subnet through real rounds, the management canister's among them, and inspection of ingress. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { canisterIdFromIndex, MANAGEMENT_CANISTER, principalKey, utf8 } from "@orrery/base";
import { lookupPath } from "@orrery/crypto";
import { formedView } from "../testing/formed.testkit.ts";
import { createArg, idArg, type TestSubnet } from "../testing/subnet.testkit.ts";
import { COUNTER, rejection, replied, STRANGER, Watched } from "../testing/watched.testkit.ts";
import { Mirror } from "./mirror.ts";

describe("queries on a view", () => {
  test("see the certified state and follow it", () => {
    const watched = new Watched();
    const id = watched.subnet.installed(COUNTER);
    assert.deepEqual(replied(watched.query(id, "get")), Uint8Array.of(0, 0, 0, 0));
    watched.subnet.reply({ canisterId: id, method: "inc" });
    watched.subnet.reply({ canisterId: id, method: "inc" });
    assert.deepEqual(replied(watched.query(id, "get")), Uint8Array.of(2, 0, 0, 0));
    assert.deepEqual(replied(watched.query(id, "bump")), Uint8Array.of(99, 0, 0, 0));
    assert.deepEqual(replied(watched.query(id, "get")), Uint8Array.of(2, 0, 0, 0));
    watched.subnet.reply({ canisterId: id, method: "grow" });
    assert.deepEqual(replied(watched.query(id, "big")), Uint8Array.of(5, 0, 0, 0));
    assert.equal(watched.view.height, watched.subnet.state.height);
  });

  test("a view that starts late has everything", () => {
    let id = canisterIdFromIndex(0n);
    const watched = new Watched((subnet) => {
      id = subnet.installed(COUNTER);
      subnet.reply({ canisterId: id, method: "inc" });
    });
    assert.deepEqual(replied(watched.query(id, "get")), Uint8Array.of(1, 0, 0, 0));
    watched.subnet.reply({ canisterId: id, method: "inc" });
    assert.deepEqual(replied(watched.query(id, "get")), Uint8Array.of(2, 0, 0, 0));
  });

  test("get a certificate of their certified data", () => {
    const watched = new Watched();
    const id = watched.subnet.installed(COUNTER);
    watched.subnet.reply({ canisterId: id, method: "inc" });
    const tree = watched.tree(replied(watched.query(id, "cert")));
    const data = lookupPath(tree, [utf8("canister"), id, utf8("certified_data")]);
    assert.deepEqual(data, { kind: "found", value: Uint8Array.of(1, 0, 0, 0) });
  });

  test("failures are told with their code", () => {
    const watched = new Watched();
    const id = watched.subnet.installed(COUNTER);
    const trap = rejection(watched.query(id, "trap"));
    assert.equal(trap.errorCode, "IC0503");
    assert.equal(trap.rejectCode, 5);
    assert.match(
      trap.rejectMessage,
      /^IC0503: Error from Canister [a-z0-9-]+: Canister called `ic0\.trap` with message: 'oh no'/,
    );
    assert.deepEqual(rejection(watched.query(id, "refuse")), {
      status: "rejected",
      rejectCode: 4,
      rejectMessage: "oh no",
      errorCode: "IC0406",
    });
    assert.equal(rejection(watched.query(id, "silent")).errorCode, "IC0506");
    assert.equal(rejection(watched.query(id, "nope")).errorCode, "IC0536");
    const missing = rejection(watched.query(canisterIdFromIndex(77n), "get"));
    assert.equal(missing.errorCode, "IC0301");
    assert.equal(missing.rejectCode, 3);
    assert.equal(rejection(watched.query(watched.subnet.create(), "get")).errorCode, "IC0537");
    watched.subnet.manage("stop_canister", id);
    assert.equal(rejection(watched.query(id, "get")).errorCode, "IC0508");
  });

  test("the management canister's queries", () => {
    const watched = new Watched();
    const id = watched.subnet.installed(COUNTER);
    watched.subnet.reply({ canisterId: id, method: "inc" });
    const logs = replied(watched.query(MANAGEMENT_CANISTER, "fetch_canister_logs", idArg(id)));
    const Records = IDL.Record({
      canister_log_records: IDL.Vec(IDL.Record({ idx: IDL.Nat64, content: IDL.Vec(IDL.Nat8) })),
    });
    const [decoded] = IDL.decode([Records], logs) as unknown as [
      { canister_log_records: { content: Uint8Array }[] },
    ];
    assert.deepEqual(Uint8Array.from(decoded.canister_log_records[0]?.content ?? []), utf8("oh"));
    assert.equal(
      rejection(watched.query(MANAGEMENT_CANISTER, "fetch_canister_logs", idArg(id), STRANGER)).errorCode,
      "IC0406",
    );
    assert.ok(replied(watched.query(MANAGEMENT_CANISTER, "canister_status", idArg(id))).length > 100);
    assert.ok(replied(watched.query(MANAGEMENT_CANISTER, "canister_metrics", idArg(id))).length > 20);
    assert.equal(
      rejection(watched.query(MANAGEMENT_CANISTER, "canister_status", idArg(id), STRANGER)).errorCode,
      "IC0542",
    );
    assert.equal(rejection(watched.query(MANAGEMENT_CANISTER, "raw_rand", idArg(id))).errorCode, "IC0536");
  });

  test("deleted canisters disappear", () => {
    const watched = new Watched();
    const id = watched.subnet.installed(COUNTER);
    replied(watched.query(id, "get"));
    watched.subnet.manage("stop_canister", id);
    watched.subnet.manage("delete_canister", id);
    assert.equal(rejection(watched.query(id, "get")).errorCode, "IC0301");
  });

  test("a canister made anew under a deleted one's id within a round has nothing of it", () => {
    const watched = new Watched();
    const { subnet } = watched;
    const id = subnet.installed(COUNTER);
    subnet.reply({ canisterId: id, method: "inc" });
    subnet.reply({ canisterId: id, method: "grow" });
    subnet.manage("stop_canister", id);
    const mirror = new Mirror(formedView(subnet.state));
    const messages = [
      subnet.manageEnvelope("delete_canister", id),
      subnet.envelope({
        method: "provisional_create_canister_with_cycles",
        arg: createArg({ specifiedId: id }),
      }),
      subnet.envelope({ method: "install_code", arg: subnet.installArg(id, COUNTER) }),
    ];
    const { delta } = subnet.round(messages.map(({ bytes }) => bytes));
    for (const message of messages) assert.equal(subnet.status(message.id)?.kind, "replied");
    const key = principalKey(id);
    assert.deepEqual(delta.deleted, [key]);
    assert.deepEqual(
      delta.canisters.map(({ meta }) => principalKey(meta.id)),
      [key],
    );
    assert.deepEqual(replied(watched.query(id, "get")), Uint8Array.of(0, 0, 0, 0));
    mirror.apply(structuredClone(delta), { moved: () => {}, removed: () => {} });
    const heap = mirror.canister(id)?.memory.heap;
    assert.ok(heap !== undefined);
    assert.deepEqual([...heap.entries()], [...subnet.canister(id).memory.heap.entries()]);
    assert.deepEqual(subnet.round().delta.deleted, []);
  });

  test("a module travels with its installation alone", () => {
    const watched = new Watched();
    const { subnet } = watched;
    const id = subnet.installed(COUNTER);
    const told = (): (string | null)[] =>
      subnet.results.flatMap(({ delta }) =>
        delta.canisters.flatMap(({ meta, sameModule }) => (sameModule ? [] : [meta.module?.blob ?? null])),
      );
    const module = subnet.canister(id).meta.module?.blob;
    assert.equal(told().at(-1), module);
    const before = told().length;
    subnet.reply({ canisterId: id, method: "inc" });
    assert.equal(told().length, before);
    assert.deepEqual(replied(watched.query(id, "get")), Uint8Array.of(1, 0, 0, 0));
    const next = COUNTER.replace('(export "canister_query get")', '(export "canister_query fetch")');
    subnet.install(id, next, { mode: { upgrade: [] } });
    subnet.install(id, COUNTER, { mode: { reinstall: null } });
    assert.deepEqual(replied(watched.query(id, "get")), Uint8Array.of(0, 0, 0, 0));
    subnet.manage("uninstall_code", id);
    assert.equal(told().at(-1), null);
    assert.equal(rejection(watched.query(id, "get")).errorCode, "IC0537");
  });

  test("an upgrade's new code answers, a frozen canister does not", () => {
    const watched = new Watched();
    const id = watched.subnet.installed(COUNTER);
    replied(watched.query(id, "get"));
    const next = COUNTER.replace('(export "canister_query get")', '(export "canister_query fetch")');
    assert.equal(watched.subnet.install(id, next, { mode: { upgrade: [] } }).kind, "replied");
    assert.equal(rejection(watched.query(id, "get")).errorCode, "IC0536");
    replied(watched.query(id, "fetch"));
    const { meta } = watched.subnet.canister(id);
    meta.cycles = 1n;
    watched.subnet.state.changed.canisters.add(principalKey(id));
    watched.subnet.round();
    const frozen = rejection(watched.query(id, "fetch"));
    assert.equal(frozen.errorCode, "IC0207");
    assert.match(frozen.rejectMessage, /is unable to process query calls because it's frozen/);
  });
});

describe("inspection", () => {
  const watched = new Watched();
  const { subnet } = watched;
  const id = subnet.installed(COUNTER);

  function inspect(message: Parameters<TestSubnet["envelope"]>[0]): string | null {
    const error = watched.follow().inspect(subnet.envelope(message).bytes);
    return error === null ? null : `${error.code} ${error.message}`;
  }

  test("asks the canister", () => {
    assert.equal(inspect({ canisterId: id, method: "inc" }), null);
    assert.match(
      inspect({ canisterId: id, method: "longer" }) ?? "",
      /^406 Error from Canister [a-z0-9-]+: Canister rejected the message$/,
    );
  });

  test("checks existence, code, cycles and the management canister's rules", () => {
    assert.match(
      inspect({ canisterId: canisterIdFromIndex(99n), method: "inc" }) ?? "",
      /^301 Canister [a-z0-9-]+ not found/,
    );
    assert.match(inspect({ canisterId: subnet.create(), method: "inc" }) ?? "", /^537 /);
    assert.equal(inspect({ method: "canister_status", arg: idArg(id) }), null);
    assert.match(inspect({ method: "canister_status", arg: idArg(id), sender: STRANGER }) ?? "", /^542 /);
    assert.match(inspect({ method: "raw_rand" }) ?? "", /^406 Only canisters can call ic00 method raw_rand/);
    assert.match(inspect({ method: "unknown" }) ?? "", /^536 /);
    const poor = subnet.installed(COUNTER);
    subnet.canister(poor).meta.cycles = 5n;
    subnet.state.changed.canisters.add(principalKey(poor));
    subnet.round();
    assert.match(
      inspect({ canisterId: poor, method: "inc" }) ?? "",
      /^207 Canister [a-z0-9-]+ is out of cycles/,
    );
    subnet.manage("stop_canister", id);
    assert.match(inspect({ canisterId: id, method: "inc" }) ?? "", /^508 /);
  });
});

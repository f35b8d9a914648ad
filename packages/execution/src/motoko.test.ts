/**
 * Real Motoko programs through whole rounds and a view that follows them, in both persistence modes: heaps over upgrades, the
 * collector, calls with every outcome, traps in every hook, timers, large blobs.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import { ANONYMOUS, type CanisterId } from "@orrery/base";
import { type IngressStatus, PageReader } from "@orrery/state";
import { CertifiedView } from "./query/view.ts";
import { formedView } from "./testing/formed.testkit.ts";
import { encode, TestSubnet } from "./testing/subnet.testkit.ts";

type Mode = "classic" | "eop";

const BUILT = new URL("../../../canisters/fixtures/built/", import.meta.url);
const CERTIFICATION = { signature: new Uint8Array(48), delegation: null } as const;
const SECOND = 1_000_000_000n;

function built(name: string, mode: Mode): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`${name}.${mode}.wasm.gz`, BUILT)));
}

function upgradeMode(mode: Mode): unknown {
  const persistence = mode === "eop" ? [{ keep: null }] : [];
  return { upgrade: [{ skip_pre_upgrade: [], wasm_memory_persistence: persistence }] };
}

/** A subnet with a view, and one kind of actor at a time. */
class Network {
  readonly subnet = new TestSubnet();
  readonly #view: CertifiedView;
  readonly #reader = new PageReader();
  #seen = 0;

  constructor() {
    this.#view = new CertifiedView({
      snapshot: formedView(this.subnet.state),
      certification: CERTIFICATION,
      pages: this.#reader,
      inflate: (bytes, max) => new Uint8Array(gunzipSync(bytes, { maxOutputLength: max })),
    });
  }

  install(name: string, mode: Mode, arg: Uint8Array = encode([], [])): CanisterId {
    const id = this.subnet.create({ cycles: 100_000_000_000_000n });
    const status = this.subnet.install(id, built(name, mode), { arg });
    assert.equal(status.kind, "replied", JSON.stringify(status));
    return id;
  }

  upgrade(id: CanisterId, name: string, mode: Mode, arg: Uint8Array = encode([], [])): IngressStatus {
    return this.subnet.install(id, built(name, mode), { mode: upgradeMode(mode), arg });
  }

  /** Calls an update and decodes its only result. */
  call<T>(canisterId: CanisterId, method: string, types: [IDL.Type[], IDL.Type[]], args: unknown[]): T {
    const bytes = this.subnet.reply({ canisterId, method, arg: encode(types[0], args) });
    return IDL.decode(types[1], bytes)[0] as T;
  }

  query<T>(canisterId: CanisterId, methodName: string, types: [IDL.Type[], IDL.Type[]], args: unknown[]): T {
    for (const slab of this.subnet.arena.slabs(this.#reader.slabCount)) this.#reader.addSlab(slab);
    for (const { delta } of this.subnet.results.slice(this.#seen)) this.#view.apply(delta, CERTIFICATION);
    this.#seen = this.subnet.results.length;
    const arg = encode(types[0], args);
    const { outcome } = this.#view.query({
      sender: ANONYMOUS,
      senderInfo: null,
      canisterId,
      methodName,
      arg,
    });
    assert.equal(outcome.status, "replied", JSON.stringify(outcome));
    return IDL.decode(types[1], outcome.status === "replied" ? outcome.reply : new Uint8Array(0))[0] as T;
  }

  fails(
    canisterId: CanisterId,
    method: string,
    types: IDL.Type[],
    args: unknown[],
  ): { code: string; text: string } {
    const { errorCode, message } = this.subnet.rejection({ canisterId, method, arg: encode(types, args) });
    return { code: errorCode, text: message };
  }
}

const NAT: [IDL.Type[], IDL.Type[]] = [[], [IDL.Nat]];
const NAT_TO_NAT: [IDL.Type[], IDL.Type[]] = [[IDL.Nat], [IDL.Nat]];
const Outcome = IDL.Variant({
  reply: IDL.Nat,
  rejection: IDL.Record({ code: IDL.Text, message: IDL.Text }),
});
const TO_OUTCOME: [IDL.Type[], IDL.Type[]] = [[IDL.Principal], [Outcome]];
const TO_NAT: [IDL.Type[], IDL.Type[]] = [[IDL.Principal], [IDL.Nat]];

function principal(id: CanisterId): CandidPrincipal {
  return CandidPrincipal.fromUint8Array(id);
}

for (const mode of ["classic", "eop"] as const) {
  describe(`Motoko, ${mode} persistence`, () => {
    test("a counter counts, and goes on counting after an upgrade", () => {
      const network = new Network();
      const id = network.install("counter", mode);
      for (let i = 1n; i <= 5n; i++) assert.equal(network.call(id, "inc", NAT, []), i);
      assert.equal(network.query(id, "get", NAT, []), 5n);
      assert.equal(network.upgrade(id, "counter", mode).kind, "replied");
      assert.equal(network.query(id, "get", NAT, []), 5n);
      assert.equal(network.call(id, "add", NAT_TO_NAT, [10n]), 15n);
    });

    test("data survives a change of the program", () => {
      const network = new Network();
      const id = network.install("upgrade-v1", mode);
      const add: [IDL.Type[], IDL.Type[]] = [[IDL.Text], [IDL.Nat]];
      for (const text of ["one", "two", "three"]) network.call(id, "add", add, [text]);
      assert.equal(network.upgrade(id, "upgrade-v2", mode).kind, "replied");
      const list: [IDL.Type[], IDL.Type[]] = [[], [IDL.Vec(IDL.Record({ id: IDL.Nat, text: IDL.Text }))]];
      const entries = network.query<{ text: string }[]>(id, "list", list, []);
      assert.deepEqual(entries.map(({ text }) => text).sort(), ["one", "three", "two"]);
    });

    test("the collector runs and loses nothing", () => {
      const network = new Network();
      const id = network.install("heap", mode);
      // Classic persistence serialises a list recursively, so a long one would end at the stack's bound.
      const nodes = mode === "eop" ? 20_000 : 2_000;
      network.call(id, "grow", NAT_TO_NAT, [BigInt(nodes)]);
      const checksum = (): number => network.query(id, "checksum", [[], [IDL.Nat32]], []);
      let expected = 0;
      for (let i = nodes - 1; i >= 0; i--) expected = (Math.imul(expected, 31) + (i % 65_521)) >>> 0;
      assert.equal(checksum(), expected);
      for (let i = 0; i < 3; i++) network.call(id, "churn", [[IDL.Nat, IDL.Nat], [IDL.Nat]], [20n, 200_000n]);
      assert.equal(checksum(), expected);
      assert.equal(network.upgrade(id, "heap", mode).kind, "replied");
      assert.equal(checksum(), expected);
    });

    test("calls end in every way that calls can end", () => {
      const network = new Network();
      const callee = network.install("callee", mode);
      const caller = network.install("caller", mode);
      const to = [principal(callee)];
      assert.equal(network.call(caller, "relay", [[IDL.Principal, IDL.Nat], [IDL.Nat]], [...to, 5n]), 5n);
      const trapped = network.call<{ rejection: { code: string; message: string } }>(
        caller,
        "callTrapping",
        TO_OUTCOME,
        to,
      );
      assert.equal(trapped.rejection.code, "#canister_error");
      assert.match(
        trapped.rejection.message,
        /^IC0503: Error from Canister [a-z0-9-]+: Canister called `ic0\.trap` with message: '/,
      );
      const rejected = network.call<{ rejection: { code: string } }>(caller, "callRejecting", TO_OUTCOME, to);
      assert.equal(rejected.rejection.code, "#canister_reject");
      const missing = network.call<{ rejection: { message: string } }>(caller, "callMissing", TO_OUTCOME, to);
      assert.match(
        missing.rejection.message,
        /^IC0536: Error from Canister [a-z0-9-]+: Canister has no update method 'missing'/,
      );
      const values = network.call<bigint[]>(
        caller,
        "parallel",
        [[IDL.Principal, IDL.Nat], [IDL.Vec(IDL.Nat)]],
        [...to, 20n],
      );
      assert.equal(values.length, 20);
      assert.equal(network.query(callee, "get", NAT, []), values.at(-1));
      assert.equal(
        network.call(caller, "bestEffort", [[IDL.Principal, IDL.Nat32], [Outcome]], [...to, 10]) !== null,
        true,
      );
      assert.equal(network.query(caller, "ask", TO_NAT, to), network.query(callee, "get", NAT, []));
    });

    test("traps around an await take back exactly their part", () => {
      const network = new Network();
      const callee = network.install("callee", mode);
      const caller = network.install("caller", mode);
      const to = [principal(callee)];
      const steps = (): bigint => network.query(caller, "stepCount", NAT, []);
      assert.match(
        network.fails(caller, "trapBeforeAwait", [IDL.Principal], to).text,
        /caller trapped before its message ended/,
      );
      assert.equal(steps(), 0n);
      assert.equal(network.query(callee, "get", NAT, []), 0n);
      assert.match(
        network.fails(caller, "trapAfterAwait", [IDL.Principal], to).text,
        /caller trapped in its callback/,
      );
      assert.equal(steps(), 1n);
      assert.equal(network.query(callee, "get", NAT, []), 1n);
      assert.equal(network.fails(caller, "cleanup", [IDL.Principal], to).code, "IC0503");
      assert.equal(steps(), 11n);
    });

    test("cycles travel with calls and come back", () => {
      const network = new Network();
      const callee = network.install("callee", mode);
      const caller = network.install("caller", mode);
      const Payment = IDL.Record({
        outcome: Outcome,
        refunded: IDL.Nat,
        balanceBefore: IDL.Nat,
        balanceAfter: IDL.Nat,
      });
      const pay: [IDL.Type[], IDL.Type[]] = [[IDL.Principal, IDL.Nat, IDL.Nat], [Payment]];
      const args = [principal(callee), 1_000_000_000n, 400_000_000n];
      const paid = network.call<{ outcome: { reply: bigint }; refunded: bigint }>(caller, "pay", pay, args);
      assert.equal(paid.outcome.reply, 400_000_000n);
      assert.equal(paid.refunded, 600_000_000n);
      const trapping: [IDL.Type[], IDL.Type[]] = [[IDL.Principal, IDL.Nat], [Payment]];
      const back = network.call<{ balanceBefore: bigint; balanceAfter: bigint }>(
        caller,
        "payTrapping",
        trapping,
        args.slice(0, 2),
      );
      // What the call and its execution cost is far below what was attached.
      assert.ok(back.balanceBefore - back.balanceAfter < 100_000_000n);
    });

    test("traps in every hook", () => {
      const network = new Network();
      const text = encode([IDL.Text], [""]);
      const Armed = IDL.Record({
        preupgrade: IDL.Bool,
        postupgrade: IDL.Bool,
        heartbeat: IDL.Bool,
        inspect: IDL.Bool,
      });
      const empty = network.subnet.create();
      const wasm = built("hooks", mode);
      for (const where of ["init", "body"]) {
        const status = network.subnet.install(empty, wasm, { arg: encode([IDL.Text], [where]) });
        assert.equal(status.kind === "rejected" && status.errorCode, "IC0503");
        assert.equal(network.subnet.canister(empty).meta.module, null);
      }
      const id = network.install("hooks", mode, text);
      const counts = (): Record<string, bigint> => {
        const names = ["preupgrades", "postupgrades", "heartbeats", "timers", "updates", "callbacks"];
        const record = IDL.Record(Object.fromEntries(names.map((name) => [name, IDL.Nat])));
        return network.query(id, "counts", [[], [record]], []);
      };
      assert.match(network.fails(id, "trapInUpdate", [], []).text, /update trapped on purpose/);
      assert.equal(counts()["updates"], 0n);
      assert.match(network.fails(id, "divideByZero", [IDL.Nat], [4n]).text, /trap/);
      assert.match(network.fails(id, "trapInCallback", [], []).text, /callback trapped on purpose/);
      assert.equal(counts()["callbacks"], 1n);
      assert.match(network.fails(id, "trapLate", [], []).text, /late callback trapped on purpose/);
      assert.equal(counts()["callbacks"], 11n);
      const off = { preupgrade: false, postupgrade: false, heartbeat: false, inspect: false };
      for (const hook of ["preupgrade", "postupgrade"] as const) {
        network.subnet.reply({
          canisterId: id,
          method: "arm",
          arg: encode([Armed], [{ ...off, [hook]: true }]),
        });
        const status = network.upgrade(id, "hooks", mode, text);
        assert.equal(status.kind === "rejected" && status.errorCode, "IC0503", JSON.stringify(status));
        assert.equal(counts()["preupgrades"], 0n);
      }
      network.subnet.reply({ canisterId: id, method: "arm", arg: encode([Armed], [off]) });
      assert.equal(network.upgrade(id, "hooks", mode, text).kind, "replied");
      assert.equal(counts()["postupgrades"], 1n);
      assert.equal(counts()["callbacks"], 11n);
    });

    test("timers fire when they are due", () => {
      const network = new Network();
      const id = network.install("timers", mode);
      network.call(id, "startRecurring", NAT_TO_NAT, [SECOND]);
      network.call(id, "startOnce", NAT_TO_NAT, [2n * SECOND]);
      for (let i = 0; i < 5; i++) network.subnet.round([], SECOND);
      const counts = network.query<{ ticks: bigint; shots: bigint }>(
        id,
        "counts",
        [[], [IDL.Record({ ticks: IDL.Nat, shots: IDL.Nat })]],
        [],
      );
      assert.equal(counts.shots, 1n);
      assert.ok(counts.ticks >= 4n, `${counts.ticks} ticks`);
    });

    test("large blobs pass", () => {
      const network = new Network();
      const id = network.install("blobs", mode);
      const Blob = IDL.Vec(IDL.Nat8);
      const bytes = Uint8Array.from({ length: 1_500_000 }, (_, i) => (i * 7) & 255);
      const echoed = network.call<Uint8Array>(id, "echo", [[Blob], [Blob]], [bytes]);
      assert.deepEqual(Uint8Array.from(echoed), bytes);
      network.call(id, "store", [[Blob], [IDL.Nat]], [bytes]);
      assert.deepEqual(Uint8Array.from(network.query<Uint8Array>(id, "load", [[], [Blob]], [])), bytes);
    });
  });
}

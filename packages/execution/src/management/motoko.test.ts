/** Motoko programs that ask the management canister for things: actor classes, cycles, randomness, canisters of their own. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import type { CanisterId } from "@orrery/base";
import { encode, TestSubnet } from "../testing/subnet.testkit.ts";
import { totalCycles } from "../testing/total-cycles.testkit.ts";

const BUILT = new URL("../../../../canisters/fixtures/built/", import.meta.url);
const TRILLION = 1_000_000_000_000n;
const MODES = ["classic", "eop"] as const;

function install(subnet: TestSubnet, name: string, mode: string): CanisterId {
  const wasm = new Uint8Array(readFileSync(new URL(`${name}.${mode}.wasm.gz`, BUILT)));
  return subnet.installed(wasm, { cycles: 100n * TRILLION, arg: encode([], []) });
}

interface Call {
  readonly to: CanisterId;
  readonly method: string;
  readonly args: readonly (readonly [IDL.Type, unknown])[];
}

function call<T>(subnet: TestSubnet, { to, method, args }: Call, result: IDL.Type): T {
  const arg = encode(
    args.map(([type]) => type),
    args.map(([, value]) => value),
  );
  return IDL.decode([result], subnet.reply({ canisterId: to, method, arg }))[0] as T;
}

function principal(id: CanisterId): readonly [IDL.Type, unknown] {
  return [IDL.Principal, CandidPrincipal.fromUint8Array(id)];
}

for (const mode of MODES) {
  describe(`Motoko, ${mode} persistence`, () => {
    test("an actor class makes, upgrades and reinstalls children", () => {
      const subnet = new TestSubnet();
      const spawner = install(subnet, "spawner", mode);
      const total = totalCycles(subnet.state);
      const ask = <T>(method: string, args: Call["args"], result: IDL.Type): T =>
        call<T>(subnet, { to: spawner, method, args }, result);
      const child = ask<CandidPrincipal>(
        "spawn",
        [
          [IDL.Text, "Ada"],
          [IDL.Nat, 5n * TRILLION],
        ],
        IDL.Principal,
      );
      const id = child.toUint8Array() as CanisterId;
      assert.ok(subnet.canister(id).meta.cycles > 4n * TRILLION);
      const first = ask<string>("greet", [[IDL.Nat, 0n]], IDL.Text);
      assert.match(first, /Ada/);
      ask("upgrade", [[IDL.Nat, 0n]], IDL.Principal);
      assert.match(ask<string>("greet", [[IDL.Nat, 0n]], IDL.Text), /Ada/);
      ask(
        "reinstall",
        [
          [IDL.Nat, 0n],
          [IDL.Text, "Eve"],
        ],
        IDL.Principal,
      );
      assert.match(ask<string>("greet", [[IDL.Nat, 0n]], IDL.Text), /Eve/);
      assert.deepEqual(
        subnet
          .canister(id)
          .history.map(({ details }) => (details.kind === "code_deployment" ? details.mode : details.kind)),
        ["creation", "install", "upgrade", "reinstall"],
      );
      assert.equal(totalCycles(subnet.state), total);
    });

    test("cycles go out with calls, come back as refunds, are burned and deposited", () => {
      const subnet = new TestSubnet();
      const [a, b] = [install(subnet, "wallet", mode), install(subnet, "wallet", mode)];
      const total = totalCycles(subnet.state);
      const sent = call<{ accepted: bigint; refunded: bigint }>(
        subnet,
        { to: a, method: "send", args: [principal(b), [IDL.Nat, 1_000n], [IDL.Nat, 600n]] },
        IDL.Record({ accepted: IDL.Nat, refunded: IDL.Nat }),
      );
      assert.deepEqual(sent, { accepted: 600n, refunded: 400n });
      const twice = call<bigint>(
        subnet,
        { to: a, method: "sendTwice", args: [principal(b), [IDL.Nat, 1_000n]] },
        IDL.Nat,
      );
      assert.equal(twice, 1_500n);
      const burned = call<bigint>(subnet, { to: a, method: "burn", args: [[IDL.Nat, 77n]] }, IDL.Nat);
      assert.equal(burned, 77n);
      assert.equal(subnet.canister(a).consumed.get("burned_cycles"), 77n);
      const empty = subnet.create({ cycles: 0n });
      const Deposit = IDL.Variant({ deposited: IDL.Null, failed: IDL.Text });
      const deposited = call(
        subnet,
        { to: a, method: "deposit", args: [principal(empty), [IDL.Nat, 9n]] },
        Deposit,
      );
      assert.deepEqual(deposited, { deposited: null });
      assert.equal(subnet.canister(empty).meta.cycles, 9n);
      const failed = call(
        subnet,
        {
          to: a,
          method: "deposit",
          args: [
            [IDL.Principal, CandidPrincipal.fromText("2vxsx-fae")],
            [IDL.Nat, 9n],
          ],
        },
        Deposit,
      );
      const why = "SubnetNotFound(CanisterId(2vxsx-fae), DepositCycles)";
      assert.deepEqual(failed, {
        failed: `Unable to route management canister request deposit_cycles: ${why}`,
      });
      const { errorCode } = subnet.rejection({
        canisterId: a,
        method: "overspend",
        arg: encode([IDL.Principal], [CandidPrincipal.fromUint8Array(b)]),
      });
      assert.equal(errorCode, "IC0504");
      assert.equal(totalCycles(subnet.state), total);
    });

    test("a program manages canisters of its own from creation to deletion", () => {
      const subnet = new TestSubnet();
      const manager = install(subnet, "management", mode);
      const total = totalCycles(subnet.state);
      const ask = <T>(method: string, args: Call["args"], result: IDL.Type): T =>
        call<T>(subnet, { to: manager, method, args }, result);
      assert.equal(ask<Uint8Array>("random", [], IDL.Vec(IDL.Nat8)).length, 32);
      const made = ask<CandidPrincipal>("create", [[IDL.Nat, 10n * TRILLION]], IDL.Principal);
      const child = principal(made.toUint8Array() as CanisterId);
      const Mode = IDL.Variant({ install: IDL.Null, reinstall: IDL.Null, upgrade: IDL.Null });
      const wasm = new Uint8Array(readFileSync(new URL(`counter.${mode}.wasm.gz`, BUILT)));
      const installing = (how: unknown): unknown =>
        ask(
          "install",
          [child, [Mode, how], [IDL.Vec(IDL.Nat8), wasm], [IDL.Vec(IDL.Nat8), encode([], [])]],
          IDL.Opt(IDL.Text),
        );
      assert.deepEqual(installing({ install: null }), []);
      assert.match(
        (installing({ install: null }) as [string])[0],
        /^IC0514: Canister .* cannot be installed because the canister is not empty/,
      );
      const Status = IDL.Record({
        running: IDL.Bool,
        moduleHash: IDL.Opt(IDL.Vec(IDL.Nat8)),
        cycles: IDL.Nat,
      });
      const running = ask<{ running: boolean; moduleHash: unknown[] }>("status", [child], Status);
      assert.equal(running.running, true);
      assert.equal(running.moduleHash.length, 1);
      assert.match(ask<[string]>("delete", [child], IDL.Opt(IDL.Text))[0], /^IC0510: /);
      subnet.reply({ canisterId: manager, method: "stop", arg: encode([child[0]], [child[1]]) });
      assert.equal(ask<{ running: boolean }>("status", [child], Status).running, false);
      assert.deepEqual(ask("delete", [child], IDL.Opt(IDL.Text)), []);
      assert.equal(subnet.state.canisters.size, 1);
      assert.equal(totalCycles(subnet.state), total);
    });
  });
}

/**
 * Limits on messages, callbacks, canisters and custom sections at their full size, on subnets of every kind: what is there already is
 * planted in the state, the last that fits is taken and one more refused by rounds. The figures are those of the replica's
 * rs/config/src/{subnet_config,execution_environment,embedders}.rs (dfinity/ic), written down here, not read from ours.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type CanisterId, concatBytes, type PrincipalKey, principalKey, utf8 } from "@orrery/base";
import type { Callback, CanisterState, RequestInput, SubnetType } from "@orrery/state";
import { wat } from "../testing/bench.testkit.ts";
import { fill, type Pair, pair, printed } from "../testing/filler.testkit.ts";
import { createArg, type TestSubnet } from "../testing/subnet.testkit.ts";

const GIB = 1024 ** 3;
const GUARANTEED_BYTES = 15 * GIB;
const BEST_EFFORT_BYTES = 5 * GIB;
const CALLBACKS = 1_000_000;
const ASSURED = 50;
const QUEUE = 500;
const CANISTERS = 250_000;
const SECTION_BYTES = 2 * GIB;
/** What a call keeps for its response: 2 MiB and a header. */
const ROOM = 2 * 1024 * 1024 + 112;
/** A message takes a fourth of what a subnet has left: so many run side by side. */
const SHARES = 4;
/** A header, `echo` and 40,000 bytes. */
const REQUEST_BYTES = 112 + 4 + 40_000;
/** What a cloud engine answers to calls from elsewhere that are not best-effort. */
const NO_GUARANTEES = "1Unbounded-wait calls and calls with cycles are not allowed to CloudEngine subnets";

const KINDS: readonly SubnetType[] = ["application", "verified_application", "cloud_engine", "system"];

/** A pair whose first canister is on a subnet of this kind; and one more canister there, which has whatever is planted. */
function world(
  type: SubnetType,
  limits: Parameters<typeof pair>[0] = {},
): Pair & { readonly subnet: TestSubnet } {
  const made = pair(limits, [type, "application"]);
  return { ...made, subnet: made.net.at(0) };
}

function planted(subnet: TestSubnet, plant: (canister: CanisterState) => void): void {
  const key = principalKey(subnet.create({ cycles: 10n ** 30n }));
  subnet.execution.edit(key as PrincipalKey, plant);
}

function text({ net, a }: Pair): string[] {
  return printed(net.at(0).canister(a));
}

const CALLBACK: Callback = {
  id: 0,
  contextId: 0,
  callee: new Uint8Array(0) as CanisterId,
  reply: { fun: 0, env: 0n },
  reject: { fun: 0, env: 0n },
  cleanup: null,
  cyclesSent: 0n,
  prepaidExecution: 0n,
  prepaidTransmission: 0n,
  deadline: 0n,
};
/** As many as there may be, for all tests: they are many. */
const MANY: Map<number, Callback> = new Map(Array.from({ length: CALLBACKS }, (_, id) => [id, CALLBACK]));

/** All but so many. */
function callbacksBut(left: number): Map<number, Callback> {
  for (let id = MANY.size; id < CALLBACKS - left; id++) MANY.set(id, CALLBACK);
  for (let id = MANY.size; id > CALLBACKS - left; id--) MANY.delete(id - 1);
  return MANY;
}

for (const type of KINDS) {
  const endless = type === "system";
  describe(`on a subnet of kind ${type}`, () => {
    for (const [beyond, made] of [
      [0, 2],
      [1, 1],
    ] as const) {
      const expected = endless ? 9 : made;
      const taken = type !== "cloud_engine" && (beyond === 0 || endless);
      test(`${expected} calls find room for their responses with ${beyond} bytes more than planned taken`, () => {
        const { subnet, a, b } = world(type);
        planted(subnet, ({ meta }) => {
          meta.guaranteedMessageBytes = GUARANTEED_BYTES - SHARES * 2 * ROOM + beyond;
        });
        assert.equal(fill(subnet, a, { to: b, count: 9 }), expected);
      });

      test(`a request from elsewhere is ${taken ? "taken" : "refused"} with ${beyond} bytes more than planned taken`, () => {
        const { net, subnet, a, b } = world(type);
        planted(subnet, ({ meta }) => {
          meta.guaranteedMessageBytes = GUARANTEED_BYTES - ROOM + beyond;
        });
        assert.equal(fill(net.at(1), b, { to: a, count: 1 }), 1);
        net.rounds(3);
        const refusal =
          type === "cloud_engine"
            ? [NO_GUARANTEES]
            : ["5Cannot induct request. Out of memory: requested 2097264"];
        assert.deepEqual(printed(net.at(1).canister(b)), taken ? [] : refusal);
      });

      test(`a queued best-effort request ${beyond === 0 ? "stays" : "goes"} with ${beyond} bytes more than planned queued`, () => {
        // Nothing leaves for the other subnet.
        const made = world(type, { streamMessages: 0 });
        const { subnet, a, b } = made;
        planted(subnet, ({ meta }) => {
          meta.bestEffortMessageBytes = BEST_EFFORT_BYTES - REQUEST_BYTES + beyond;
        });
        assert.equal(fill(subnet, a, { to: b, count: 1, bestEffort: "long" }), 1);
        subnet.round();
        assert.deepEqual(text(made), beyond === 0 ? [] : ["2Request timed out."]);
        assert.equal(subnet.canister(a).queues.outputs.size, beyond === 0 ? 1 : 0);
      });
    }

    test("callbacks: a fourth of what the subnet has left, but fifty in any case", () => {
      const madeWith = (left: number): number => {
        const { subnet, a, b } = world(type);
        planted(subnet, (canister) => Object.assign(canister, { callbacks: callbacksBut(left) }));
        return fill(subnet, a, { to: b, count: 255 });
      };
      assert.deepEqual(
        [SHARES * 60, SHARES * 60 - 1, 0].map((left) => madeWith(left)),
        [60, 59, ASSURED],
      );
    });

    test(`a canister has ${QUEUE} requests at another that are not answered, of either kind`, () => {
      const { subnet, a, b } = world(type, { streamMessages: 0 });
      const calls = (count: number, bestEffort: boolean): number =>
        fill(subnet, a, { to: b, count, bestEffort });
      assert.deepEqual([calls(250, false), calls(249, true)], [250, 249]);
      assert.equal(calls(2, false), 1);
      assert.equal(calls(1, true), 0);
    });

    test(`a canister's queue takes ${QUEUE} requests of another`, () => {
      for (const waiting of [QUEUE - 1, QUEUE]) {
        const { net, subnet, a, b } = world(type);
        const request: RequestInput = {
          kind: "request",
          from: b,
          callbackId: 999,
          methodName: "nothing",
          payload: new Uint8Array(0),
          cycles: 0n,
          deadline: 1n << 62n,
        };
        subnet.execution.edit(principalKey(a), ({ queues }) => {
          queues.requests.set(principalKey(b), new Array<RequestInput>(waiting).fill(request));
        });
        assert.equal(fill(net.at(1), b, { to: a, count: 1, bestEffort: true }), 1);
        net.rounds(3);
        const [refusal] = printed(net.at(1).canister(b));
        if (waiting < QUEUE) assert.equal(refusal, undefined);
        else assert.match(refusal ?? "", /^2Canister rwlgt-iiaaa-aaaaa-aaaaa-cai input queue is full$/);
      }
    });

    test(`canisters are made up to ${CANISTERS}`, () => {
      const { subnet } = world(type);
      const method = "provisional_create_canister_with_cycles";
      const { canisters } = subnet.state;
      const others = CANISTERS - 1 - canisters.size;
      const count = (): number => Map.prototype.keys.call(canisters).reduce((sum: number) => sum + 1, others);
      Object.defineProperty(canisters, "size", { get: count });
      assert.equal(subnet.call({ method, arg: createArg({}) }).kind, "replied");
      const refused = subnet.rejection({ method, arg: createArg({}) });
      assert.equal(refused.errorCode, "IC0102");
      assert.match(
        refused.message,
        /^Subnet [a-z0-9-]+ has reached the allowed canister limit of 250000 canisters\. Retry creating the canister\.\nTry creating/,
      );
    });

    test("custom sections: a fourth of what the subnet has left", () => {
      const name = utf8("icp:public x");
      const section = concatBytes(
        Uint8Array.of(0, name.length + 101, name.length),
        name,
        new Uint8Array(100),
      );
      const module = concatBytes(wat("(module)"), section);
      for (const beyond of [0, 1]) {
        const { subnet } = world(type);
        const size = 100 + 1;
        planted(subnet, ({ meta }) => {
          meta.customSectionBytes = SECTION_BYTES - SHARES * size + beyond;
        });
        const id = subnet.create({ cycles: 10n ** 15n });
        const status = subnet.install(id, module);
        if (beyond === 0) {
          assert.equal(status.kind, "replied");
          assert.equal(subnet.canister(id).meta.customSectionBytes, size);
          continue;
        }
        assert.ok(status.kind === "rejected");
        assert.equal(status.errorCode, "IC0101");
        assert.match(
          status.message,
          /^Canister requested 101(\.00)? B of Wasm custom sections memory but only 100(\.00)? B are available in the subnet\.\nTry removing custom sections/,
        );
      }
    });
  });
}

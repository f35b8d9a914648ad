/** When waiting requests expire: what the index says after every round is what a walk through all queues finds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, principalKey, type TimeNs } from "@orrery/base";
import type { CanisterState, OutboundMessage, ReplicatedState } from "@orrery/state";
import fc from "fast-check";
import { RELAY, relayArg, TestSubnets } from "../testing/subnets.testkit.ts";
import { passesAt } from "./deadlines.ts";
import { OutputExpiry } from "./output-expiry.ts";

const SECOND = 1_000_000_000n;
const CYCLES = 10n ** 15n;
const EACH = 2;

function expiryOf(message: OutboundMessage): TimeNs | undefined {
  return message.kind === "request" ? message.expires : undefined;
}

/** The next instant of the state: of all queues, and of whoever waits for a canister to stop. */
function walked({ canisters, time }: ReplicatedState): TimeNs | null {
  const instants = [...canisters.values()].flatMap(({ meta: { status }, queues }) => [
    ...[...queues.outputs.values()].flatMap((queue) =>
      queue.flatMap((message) => {
        const expires = expiryOf(message);
        return expires === undefined ? [] : [passesAt(expires)];
      }),
    ),
    ...(status.kind === "stopping" ? status.requests.map(({ deadline }) => deadline) : []),
  ]);
  const [first] = instants.filter((one) => one > time).sort((a, b) => (a < b ? -1 : 1));
  return first ?? null;
}

type Step =
  | { readonly kind: "call"; readonly from: number; readonly to: number; readonly times: number }
  | { readonly kind: "carry" | "restart" }
  | { readonly kind: "wait"; readonly seconds: number }
  | { readonly kind: "delete"; readonly which: number };

const which = fc.nat(EACH - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("call"), from: which, to: which, times: fc.nat(4) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("carry", "restart") }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("wait"), seconds: fc.nat(150) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete"), which }) },
) as fc.Arbitrary<Step>;

test("the index has what a walk finds, whatever is sent, given up, deleted or loaded", () => {
  let waited = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const net = new TestSubnets({ types: ["application", "application"], limits: { streamMessages: 2 } });
      const [here, there] = [0, 1].map((subnet) =>
        Array.from({ length: EACH }, () => net.at(subnet).installed(RELAY, { cycles: CYCLES })),
      ) as [CanisterId[], CanisterId[]];
      const subnet = net.at(0);
      const round = (messages: readonly Uint8Array[], advanceNs: TimeNs): void => {
        const { nextTimer } = subnet.round(messages, advanceNs);
        const expected = walked(subnet.state);
        if (expected !== null) waited++;
        assert.equal(nextTimer, expected);
      };
      for (const one of steps) {
        if (one.kind === "call") {
          const arg = relayArg({ to: there[one.to] as CanisterId, method: "echo" });
          const canisterId = here[one.from] as CanisterId;
          const calls = Array.from({ length: one.times }, () =>
            subnet.envelope({ canisterId, method: "relay", arg }),
          );
          round(
            calls.map(({ bytes }) => bytes),
            SECOND / 4n,
          );
        } else if (one.kind === "wait") round([], BigInt(one.seconds) * SECOND);
        else if (one.kind === "restart") subnet.reload(subnet.runner);
        else if (one.kind === "delete") {
          const id = here[one.which] as CanisterId;
          round([subnet.manageEnvelope("stop_canister", id).bytes], SECOND);
          round([subnet.manageEnvelope("delete_canister", id).bytes], SECOND);
        } else {
          net.round(1);
          net.round(0);
          round([], 1n);
        }
      }
    }),
    { numRuns: 30 },
  );
  assert.ok(waited > 10, `requests waited in ${waited} rounds`);
});

test("queues that come and go leave nothing behind", () => {
  const outputs = new Map<string, OutboundMessage[]>();
  const sender = principalKey(Uint8Array.of(1) as CanisterId);
  const canisters = new Map([[sender, { queues: { outputs } } as unknown as CanisterState]]);
  const expiry = new OutputExpiry();
  for (let second = 1n; second <= 5_000n; second++) {
    outputs.set("00", [{ kind: "request", expires: second } as OutboundMessage]);
    expiry.note(sender, "00" as never);
    assert.equal(expiry.next(canisters), second);
  }
  assert.ok(expiry.size < 2_000, `${expiry.size} instants are kept of one queue`);
  outputs.clear();
  expiry.note(sender, "00" as never);
  assert.equal(expiry.next(canisters), null);
  assert.equal(expiry.size, 0);
});

/** Whose messages a canister takes next, when it always has more than a round has room for. */
import assert from "node:assert/strict";
import test from "node:test";
import { type CanisterId, principalKey } from "@orrery/base";
import type { CanisterState } from "@orrery/state";
import fc from "fast-check";
import {
  encodeScript,
  type Script,
  type ScriptedCall,
  ScriptedRunner,
} from "../testing/scripted-runner.testkit.ts";
import { TestSubnet } from "../testing/subnet.testkit.ts";
import { newPicker } from "./turn.ts";

const MODULE = Uint8Array.of(9);
/** A whole round of instructions: who executes it takes one message a round. */
const ROUND = 100;
const CALLS = 300;
/** Responses, requests, ingress messages. */
const SOURCES = 3;
const CALLERS = 4;

const REPLY: Script = { accept: 0, burn: 0, calls: [], respond: "reply", trap: false, instructions: 1 };
const NOTHING: Script = { ...REPLY, respond: "nothing" };

function calling(to: CanisterId, calls: number, callback: Script): Script {
  const call: ScriptedCall = {
    to: principalKey(to),
    method: "run",
    cycles: 0,
    payload: REPLY,
    onReply: callback,
    onReject: callback,
    cleanup: false,
    timeoutSeconds: null,
  };
  return { ...NOTHING, calls: Array.from({ length: calls }, () => call) };
}

function stage(partitions: number) {
  const runner = new ScriptedRunner();
  const limits = { instructionsPerRound: BigInt(ROUND), overheadPerMessage: 1n, partitions };
  const subnet = new TestSubnet({ runner, limits });
  const install = (): CanisterId => subnet.installed(MODULE, { cycles: 10n ** 18n });
  const [busy, quick] = [install(), install()];
  const callers = Array.from({ length: CALLERS }, install);
  const run = (canisterId: CanisterId, script: Script) =>
    subnet.envelope({ canisterId, method: "run", arg: encodeScript(script) });
  return { runner, subnet, busy, quick, callers, run };
}

for (const partitions of [1, 4])
  test(`answers that never run out hold up neither requests nor ingress messages, ${partitions} partitions`, () => {
    const { runner, subnet, busy, quick, callers, run } = stage(partitions);
    subnet.round([run(busy, calling(quick, CALLS, { ...NOTHING, instructions: ROUND })).bytes]);
    const { queues } = subnet.canister(busy);
    for (let rounds = 0; queues.responses.length < CALLS / 2; rounds++) {
      assert.ok(rounds < CALLS, "the answers pile up");
      subnet.round([]);
    }
    const slow = { ...REPLY, instructions: ROUND };
    const asked = run(busy, slow);
    const relayed = callers.map((id) => {
      const [call] = calling(busy, 1, REPLY).calls as [ScriptedCall];
      return run(id, { ...NOTHING, calls: [{ ...call, payload: slow }] });
    });
    subnet.round([asked, ...relayed].map(({ bytes }) => bytes));
    // Of each source one in turn; among requests each caller in turn, and a round each way for their calls.
    const roundsMax = SOURCES * CALLERS + 4;
    const open = (): number =>
      [asked, ...relayed].filter(({ id }) => subnet.status(id)?.kind !== "replied").length;
    for (let rounds = 0; open() > 0; rounds++) {
      assert.ok(rounds < roundsMax, `${open()} of ${1 + CALLERS} wait after ${rounds} rounds`);
      assert.ok(queues.responses.length > 0, "answers still wait");
      subnet.round([]);
    }
    assert.deepEqual(runner.wrong, []);
  });

test("answers are taken while requests and ingress messages never run out", () => {
  const { runner, subnet, busy, quick, callers, run } = stage(1);
  const slow = { ...REPLY, instructions: ROUND };
  const flood = Array.from({ length: CALLS }, (_, i) => run(busy, { ...slow, burn: i }));
  const requests = callers.map((id) => {
    const [call] = calling(busy, 1, NOTHING).calls as [ScriptedCall];
    return run(id, {
      ...NOTHING,
      calls: Array.from({ length: CALLS / CALLERS }, () => ({ ...call, payload: slow })),
    });
  });
  const asked = run(busy, calling(quick, 1, { ...REPLY, instructions: ROUND }));
  subnet.round([asked, ...requests, ...flood].map(({ bytes }) => bytes));
  for (let rounds = 0; subnet.status(asked.id)?.kind !== "replied"; rounds++) {
    assert.ok(rounds < 2 * SOURCES, `not answered after ${rounds} rounds`);
    subnet.round([]);
  }
  const { queues } = subnet.canister(busy);
  assert.ok(queues.ingress.length > 0 && queues.requests.size > 0, "others still wait");
  assert.deepEqual(runner.wrong, []);
});

/** What comes to the queues, by who sent it, and how many messages are taken then. */
const step = fc.record({ from: fc.array(fc.nat(SOURCES + CALLERS - 2), { maxLength: 4 }), taken: fc.nat(5) });

test("nobody is served twice while another one waits, whoever comes and goes", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queues = {
        responses: [],
        requests: new Map(),
        ingress: [],
      } as unknown as CanisterState["queues"];
      const canister = { queues } as CanisterState;
      /** Of each source, and of each sender of requests: who was served since it began to wait. */
      const waiting = new Map<string, string[]>();
      const wait = (who: string): void => void (waiting.has(who) || waiting.set(who, []));
      const serve = (who: string, kin: (other: string) => boolean, left: boolean): void => {
        for (const [other, served] of waiting) {
          if (other === who || !kin(other)) continue;
          assert.ok(!served.includes(who), `${who} again, and ${other} waits`);
          served.push(who);
        }
        waiting.delete(who);
        if (left) wait(who);
      };
      const isSource = (name: string): boolean => ["response", "requests", "ingress"].includes(name);
      for (const { from, taken } of steps) {
        for (const number of from) {
          const sender = `${number}`;
          if (number === 0) queues.responses.push({ kind: "response" } as never);
          else if (number === 1) queues.ingress.push({ kind: "ingress" } as never);
          else
            queues.requests.set(sender, [
              ...(queues.requests.get(sender) ?? []),
              { kind: "request", from: sender } as never,
            ]);
          if (number > 1) wait(sender);
          wait(number === 0 ? "response" : number === 1 ? "ingress" : "requests");
        }
        const pick = newPicker(canister);
        for (let i = 0; i < taken; i++) {
          const input = pick();
          if (input === null) break;
          if (input.kind === "request") {
            const sender = `${input.from}`;
            serve(sender, (other) => !isSource(other), queues.requests.has(sender));
            serve("requests", isSource, queues.requests.size > 0);
          } else {
            const left = input.kind === "response" ? queues.responses : queues.ingress;
            serve(input.kind, isSource, left.length > 0);
          }
        }
      }
    }),
    { numRuns: 500 },
  );
});

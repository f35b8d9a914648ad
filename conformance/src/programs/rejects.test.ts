/**
 * How failures reach a caller (interface spec, "Reject codes"; error codes and texts of the replica): traps of every kind,
 * missing methods, empty, stopped and absent canisters, by ingress, by query and by another canister.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { QueryResponseStatus } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { motokoFixture, otherFixture } from "@orrery/canisters/fixtures";
import { createCanister, installCode } from "../management.ts";
import { install, PERSISTENCE_MODES, type Program, programAt, upgrade } from "../programs.ts";
import { managing } from "./management-service.ts";
import { type Rejection, rejectionOf } from "./rejection.ts";
import { shareNetwork } from "./shared-network.ts";

const shared = shareNetwork();
const NOTHING: Uint8Array = IDL.encode([], []);
const UNARMED = { preupgrade: false, postupgrade: false, heartbeat: false, inspect: false };

/** The first line of a text; a text that goes on with a backtrace has no full stop after it. */
function opening(text: string): string {
  return (text.split("\n", 1)[0] as string).replace(/\.$/, "");
}

/** The first line of the text; what follows it is the backtrace, for callers who may see it, and advice. */
async function assertRejected(
  call: Promise<unknown>,
  by: Rejection["by"],
  errorCode: string,
  firstLine: string,
): Promise<void> {
  const rejection = await rejectionOf(call);
  assert.deepEqual(
    { ...rejection, message: opening(rejection.message) },
    // The first digit of an error code is its reject code.
    { by, code: Number(errorCode.slice(3, 4)), errorCode, message: opening(firstLine) },
  );
}

const trapText = ({ id }: Program, text: string): string =>
  `Error from Canister ${id}: Canister called \`ic0.trap\` with message: '${text}'`;

function update(id: Principal, methodName: string, arg: Uint8Array = NOTHING): Promise<unknown> {
  return shared.agent.update(id, { methodName, arg, effectiveCanisterId: id });
}

for (const mode of PERSISTENCE_MODES) {
  describe(`rejects, ${mode} persistence`, () => {
    test("traps in updates and callbacks are certified", async () => {
      const hooks = await shared.motoko("hooks", mode, "");
      const certified: readonly (readonly [string, string])[] = [
        ["trapInUpdate", "update trapped on purpose"],
        ["trapInCallback", "callback trapped on purpose"],
        ["trapLate", "late callback trapped on purpose"],
      ];
      for (const [method, text] of certified)
        await assertRejected(hooks.call(method), "certificate", "IC0503", trapText(hooks, text));
      await assertRejected(
        hooks.call("divideByZero", 0n),
        "certificate",
        "IC0502",
        `Error from Canister ${hooks.id}: Canister trapped: integer division by 0`,
      );
      const { message } = await rejectionOf(update(hooks.id, "log", new Uint8Array([1])));
      assert.match(message, /IDL error/);
    });

    test("traps in queries carry the error code in their text", async () => {
      const hooks = await shared.motoko("hooks", mode, "");
      const text = `IC0503: ${trapText(hooks, "query trapped on purpose")}`;
      await assertRejected(hooks.call("trapInQuery"), "query", "IC0503", text);
      const { errorCode, message } = await rejectionOf(hooks.call("trapQuietly"));
      assert.equal(errorCode, "IC0503");
      assert.match(message, /assertion failed at hooks\.mo:\d+/);
    });

    test("traps at installation and upgrade", async () => {
      for (const [trapIn, text] of [
        ["init", "init trapped on purpose"],
        ["body", "the end of the body trapped on purpose"],
      ] as const) {
        const { errorCode, code, message, by } = await rejectionOf(shared.motoko("hooks", mode, trapIn));
        assert.deepEqual([by, code, errorCode], ["certificate", 5, "IC0503"]);
        assert.ok(message.includes(`with message: '${text}'`), message);
      }
      const hooks = await shared.motoko("hooks", mode, "");
      for (const hook of ["preupgrade", "postupgrade"]) {
        await hooks.call("arm", { ...UNARMED, [hook]: true });
        const call = upgrade(shared.agent, hooks, "hooks", mode, [""]);
        await assertRejected(call, "certificate", "IC0503", trapText(hooks, `${hook} trapped on purpose`));
      }
    });

    test("inspection refuses before a message is taken", async () => {
      const hooks = await shared.motoko("hooks", mode, "");
      await hooks.call("arm", { ...UNARMED, inspect: true });
      await assertRejected(
        hooks.call("nothing"),
        "refusal",
        "IC0503",
        trapText(hooks, "inspect trapped on purpose"),
      );
      const inspector = await shared.motoko("inspector", mode);
      await assertRejected(
        inspector.call("closed"),
        "refusal",
        "IC0503",
        trapText(inspector, "canister_inspect_message explicitly refused message"),
      );
      const caller = await shared.motoko("caller", mode);
      const reply = await caller.call("raw", inspector.id, "closed", NOTHING);
      assert.deepEqual(
        IDL.decode([IDL.Nat], reply as Uint8Array),
        [1n],
        "calls of canisters are not inspected",
      );
    });

    test("methods that are not there", async () => {
      const { id } = await shared.motoko("counter", mode);
      const missing = (kind: string): string =>
        `Error from Canister ${id}: Canister has no ${kind} method 'nothing'..`;
      await assertRejected(update(id, "nothing"), "certificate", "IC0536", missing("update"));
      const answer = await shared.agent.query(id, { methodName: "nothing", arg: NOTHING });
      assert.ok(answer.status === QueryResponseStatus.Rejected);
      assert.deepEqual([answer.reject_code, answer.error_code], [5, "IC0536"]);
      assert.equal(answer.reject_message.split("\n", 1)[0], `IC0536: ${missing("query")}`);
      // A query may be called as an update, a composite query may not.
      assert.deepEqual(
        IDL.decode(
          [IDL.Nat],
          (await shared.agent.update(id, { methodName: "get", arg: NOTHING, effectiveCanisterId: id })).reply,
        ),
        [0n],
      );
      const caller = await shared.motoko("caller", mode);
      const composite = update(caller.id, "ask", IDL.encode([IDL.Principal], [id]));
      const text = "Composite query cannot be called in replicated mode";
      await assertRejected(composite, "refusal", "IC0527", text);
    });

    test("empty, stopped, deleted and absent canisters", async () => {
      const { agent, network } = shared;
      const { wasmGzip, idlFactory } = motokoFixture("counter", mode);
      const id = await createCanister(agent, network.effectiveCanisterId);
      const counter = programAt(agent, id, idlFactory as IDL.InterfaceFactory);
      const empty = `Error from Canister ${id}: Attempted to execute a message, but the canister contains no Wasm module..`;
      await assertRejected(counter.call("inc"), "refusal", "IC0537", empty);
      await assertRejected(counter.call("get"), "query", "IC0537", `IC0537: ${empty}`);
      await assertRejected(upgrade(agent, counter, "counter", mode), "certificate", "IC0537", empty);
      await installCode(agent, id, wasmGzip);
      const twice = `Canister ${id} cannot be installed because the canister is not empty. Try installing with mode='reinstall' instead.`;
      await assertRejected(installCode(agent, id, wasmGzip), "certificate", "IC0514", twice);
      const running = `Canister ${id} must be stopped before it is deleted.`;
      const management = managing(agent, id);
      await assertRejected(management.delete_canister({ canister_id: id }), "certificate", "IC0510", running);
      await management.stop_canister({ canister_id: id });
      await assertRejected(counter.call("inc"), "refusal", "IC0508", `Canister ${id} is stopped`);
      await assertRejected(counter.call("get"), "query", "IC0508", `IC0508: Canister ${id} is stopped`);
      await management.delete_canister({ canister_id: id });
      await assertRejected(counter.call("inc"), "refusal", "IC0301", `Canister ${id} not found`);
      await assertRejected(counter.call("get"), "query", "IC0301", `IC0301: Canister ${id} not found`);
    });

    test("between canisters: code and text as the caller catches them", async () => {
      const { agent, network } = shared;
      const [caller, callee] = [await shared.motoko("caller", mode), await shared.motoko("callee", mode)];
      const empty = await createCanister(agent, network.effectiveCanisterId);
      const stopped = await createCanister(agent, network.effectiveCanisterId);
      await managing(agent, stopped).stop_canister({ canister_id: stopped });
      // The governance canister's id, at which no canister lives here.
      const absent = Principal.fromText("rrkah-fqaaa-aaaaa-aaaaq-cai");
      const cases: readonly (readonly [string, Principal, string, string])[] = [
        [
          "callTrapping",
          callee.id,
          "canister_error",
          `IC0503: ${trapText(callee, "callee trapped after adding 7")}`,
        ],
        ["callRejecting", callee.id, "canister_reject", "callee rejected after adding 7"],
        [
          "callMissing",
          callee.id,
          "canister_error",
          `IC0536: Error from Canister ${callee.id}: Canister has no update method 'missing'..`,
        ],
        [
          "callMissing",
          empty,
          "canister_error",
          `IC0537: Error from Canister ${empty}: Attempted to execute a message, but the canister contains no Wasm module..`,
        ],
        ["callMissing", stopped, "canister_error", `Canister ${stopped} is stopped`],
        ["callMissing", absent, "destination_invalid", `Canister ${absent} not found`],
      ];
      for (const [method, target, code, firstLine] of cases) {
        const outcome = (await caller.call(method, target)) as {
          rejection: { code: string; message: string };
        };
        assert.equal(outcome.rejection.code, `#${code}`);
        assert.equal(opening(outcome.rejection.message), opening(firstLine));
      }
    });
  });
}

test("an endless loop meets the instruction limit", async () => {
  const { id } = await install(shared.network, shared.agent, otherFixture("memory64"));
  const count = new Uint8Array(8).fill(0x7f);
  await assertRejected(
    update(id, "spin", count),
    "certificate",
    "IC0522",
    `Error from Canister ${id}: Canister exceeded the limit of 40000000000 instructions for single message execution..`,
  );
});

test("modules that are none", async () => {
  const id = await createCanister(shared.agent, shared.network.effectiveCanisterId);
  const damaged: readonly Uint8Array[] = [
    new Uint8Array(0),
    new Uint8Array([0, 0x61, 0x73, 0x6d, 9, 0, 0, 0]),
    new Uint8Array([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]),
    motokoFixture("counter", "classic").wasmGzip.slice(0, 10_000),
  ];
  for (const module of damaged) {
    const { by, code, errorCode, message } = await rejectionOf(installCode(shared.agent, id, module));
    assert.deepEqual([by, code, errorCode], ["certificate", 5, "IC0505"]);
    assert.ok(
      message.startsWith(`Error from Canister ${id}: Canister's Wasm module is not valid: `),
      message,
    );
  }
});

test("calls of the management canister that ingress may not make", async () => {
  const { id } = await shared.motoko("counter", "classic");
  const call = (methodName: string): Promise<unknown> =>
    shared.agent.update(Principal.managementCanister(), {
      methodName,
      arg: NOTHING,
      effectiveCanisterId: id,
    });
  await assertRejected(call("raw_rand"), "refusal", "IC0406", "Only canisters can call ic00 method raw_rand");
  await assertRejected(call("nothing"), "refusal", "IC0536", "Management canister has no method 'nothing'");
});

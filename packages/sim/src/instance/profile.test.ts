/** Profiles of a whole network's messages: what happens is the same to the byte, and every execution's stacks add up. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { type CanisterId, principalToText } from "@orrery/base";
import type { FunctionProfile } from "@orrery/wasm";
import { profileOfTrace, profileTotal } from "../profile/index.ts";
import { traceTrees } from "../trace/index.ts";
import { archiveOf, type Instance, type InstanceOptions, type TraceEvent } from "./index.ts";
import {
  call,
  candid,
  createCanister,
  fixture,
  install,
  installed,
  natOf,
  newInstance,
  query,
  update,
} from "./instance.testkit.ts";

interface Pair {
  readonly instance: Instance;
  readonly caller: CanisterId;
  readonly callee: CanisterId;
}

function pair(profile: "all" | "none", limits: InstanceOptions["limits"] = {}): Pair {
  const instance = newInstance(["nns", "application", "application"], { limits });
  instance.trace(true);
  instance.profile(profile);
  const [, , other] = instance.topology().subnets;
  const caller = installed(instance, "caller.eop");
  const callee = createCanister(instance, other?.id);
  install(instance, callee, fixture("callee.eop"));
  return { instance, caller, callee };
}

function parallel({ instance, caller, callee }: Pair): Uint8Array {
  const id = Principal.fromText(principalToText(callee));
  return update(instance, call(caller, "parallel", candid([IDL.Principal, IDL.Nat], [id, 3n])));
}

/** A profile that has to be there and to add up. */
function checked({
  profile,
  instructions,
  kind,
}: Pick<TraceEvent, "profile" | "instructions" | "kind">): FunctionProfile {
  assert.ok(profile !== null, kind);
  assert.equal(profileTotal(profile), instructions, kind);
  return profile;
}

test("installations, calls between subnets and callbacks: the same state, and profiles that add up", () => {
  const [plain, profiled] = [pair("none"), pair("all")];
  assert.deepEqual(parallel(profiled), parallel(plain));
  assert.deepEqual(archiveOf(profiled.instance), archiveOf(plain.instance));
  const events = profiled.instance.takeTrace();
  const kinds = new Set(events.map(({ kind }) => kind));
  assert.deepEqual(kinds, new Set(["install", "update", "reply_callback"]));
  for (const event of events) {
    const { stacks } = checked(event);
    if (event.kind === "install") assert.deepEqual(stacks[0]?.frames, ["(compilation)"]);
    else assert.ok(stacks.some(({ frames }) => frames.at(-1)?.startsWith("ic0.")));
  }
  const expected = plain.instance.takeTrace();
  assert.ok(expected.every(({ profile }) => profile === null));
  const without = events.map((event) => ({ ...event, profile: null }));
  assert.deepEqual(without, expected);
  const tree = traceTrees(events).at(-1);
  assert.ok(tree !== undefined);
  const whole = profileOfTrace(tree);
  assert.ok(whole !== null);
  assert.equal(profileTotal(whole), tree.instructions);
});

test("executions over many rounds", () => {
  const limits = {
    instructionsPerSlice: 5_000n,
    instructionsPerInstallSlice: 1_000_000_000n,
    overheadPerMessage: 0n,
  };
  const [plain, profiled] = [pair("none", limits), pair("all", limits)];
  assert.deepEqual(parallel(profiled), parallel(plain));
  assert.deepEqual(archiveOf(profiled.instance), archiveOf(plain.instance));
  const events = profiled.instance.takeTrace();
  for (const kind of ["install", "update"]) {
    const long = events.filter((event) => event.kind === kind && event.rounds > 1);
    assert.ok(long.length > 0, kind);
  }
  for (const event of events) checked(event);
});

test("only the canisters that are named, and no fork unless it is told", () => {
  const { instance, caller, callee } = pair("none");
  instance.takeTrace();
  instance.profile([callee]);
  parallel({ instance, caller, callee });
  for (const { canisterId, profile } of instance.takeTrace())
    assert.equal(profile !== null, principalToText(canisterId) === principalToText(callee));
  const fork = instance.fork();
  fork.trace(true);
  parallel({ instance: fork, caller, callee });
  assert.ok(fork.takeTrace().every(({ profile }) => profile === null));
});

test("queries, of composite ones every part", () => {
  const ask = (profile: "all" | "none"): { readonly instance: Instance; readonly answer: bigint } => {
    const instance = newInstance(["application"]);
    const [caller, callee] = [installed(instance, "caller.eop"), installed(instance, "callee.eop")];
    instance.profile(profile);
    const arg = candid([IDL.Principal], [Principal.fromText(principalToText(callee))]);
    return { instance, answer: natOf(query(instance, call(caller, "ask", arg))) };
  };
  const [plain, profiled] = [ask("none"), ask("all")];
  assert.equal(profiled.answer, plain.answer);
  assert.deepEqual(plain.instance.takeQueryProfiles(), []);
  const runs = profiled.instance.takeQueryProfiles();
  assert.deepEqual(
    runs.map(({ kind, method }) => [kind, method]),
    [
      ["query", "ask"],
      ["query", "get"],
      ["composite_reply_callback", "ask"],
    ],
  );
  for (const run of runs) assert.equal(profileTotal(run.profile), run.instructions);
  assert.deepEqual(profiled.instance.takeQueryProfiles(), []);
});

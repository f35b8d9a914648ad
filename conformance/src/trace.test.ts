/**
 * `orrery trace` on a real network: what messages led to on two subnets, run again from checkpoint and log while the node goes on and after
 * it stopped, in every format; every round that runs again has the root hash that was certified.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { motokoFixture } from "@orrery/canisters/fixtures";
import type { Outcome } from "@orrery/host/command";
import { agentFor, type Network, startNetwork } from "./harness.ts";
import { orrery } from "./orrery.ts";
import { install, type Program, programAt } from "./programs.ts";

const directory = mkdtempSync(join(tmpdir(), "orrery-trace-"));
const stateDir = join(directory, "state");
const identity = Ed25519KeyIdentity.generate();
let network: Network;
let caller: Program;
let near: Program;
let far: Program;

interface Message {
  readonly kind: string;
  readonly name: string | null;
  readonly subnet_id: string;
  readonly instructions: string;
  readonly answers: number | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly backtrace: readonly string[];
  readonly calls: readonly { readonly id: number; readonly method: string; readonly trace: Tree | null }[];
}

interface Tree {
  readonly canister_id: string;
  readonly messages: readonly Message[];
  readonly instructions: string;
}

interface TraceDocument {
  readonly message: { readonly request_id: string; readonly method: string };
  readonly outcome: { readonly status: string; readonly trace: Tree; readonly is_whole: boolean };
  readonly checked: { readonly rounds: number; readonly same: number; readonly differs: unknown };
}

const trace = (...argv: readonly string[]): Promise<Outcome> =>
  orrery(
    { cwd: directory, env: { ...process.env, NO_COLOR: "1" } },
    "trace",
    ...argv,
    "--state-dir",
    stateDir,
  );

async function traced(target: string): Promise<TraceDocument> {
  const { code, out, err } = await trace(target, "--json");
  assert.equal(code, 0, out + err);
  const document = JSON.parse(out) as TraceDocument;
  assert.equal(document.checked.differs, null);
  assert.ok(document.checked.rounds > 0);
  assert.equal(document.checked.same, document.checked.rounds);
  assert.ok(document.outcome.is_whole);
  return document;
}

before(async () => {
  const argv = ["--subnet", "application", "--subnet", "application", "--keep-rounds", "1000"];
  network = await startNetwork({ stateDir, arguments: argv });
  const on = (subnet: number, name: "caller" | "callee"): Promise<Program> => {
    const { default_effective_canister_id: id } = network.document.subnets[subnet] ?? {};
    const place = { effectiveCanisterId: Principal.fromText(id ?? "") };
    return install(place, agentFor(network, identity), motokoFixture(name, "enhanced"));
  };
  [caller, near, far] = await Promise.all([on(1, "caller"), on(1, "callee"), on(2, "callee")]);
  // A checkpoint: what follows begins there and not with the installations.
  await network.end("SIGTERM");
  network = await startNetwork({ stateDir });
  const { idlFactory } = motokoFixture("caller", "enhanced");
  assert.ok(idlFactory !== null);
  caller = programAt(agentFor(network, identity), caller.id, idlFactory);
});
after(async () => {
  await network.end("SIGKILL");
  rmSync(directory, { recursive: true, force: true });
});

let relay: TraceDocument;

test("a call to another subnet, while the network runs", async () => {
  await caller.call("relay", far.id, 5n);
  relay = await traced("last");
  const { message, outcome } = relay;
  assert.deepEqual([message.method, outcome.status], ["relay", "replied"]);
  const { messages, canister_id: id } = outcome.trace;
  assert.equal(id, caller.id.toText());
  const [update, callback] = messages as [Message, Message];
  assert.deepEqual([update.kind, update.name, messages.length], ["update", "relay", 2]);
  const [call] = update.calls;
  const add = call?.trace?.messages[0];
  assert.deepEqual([callback.kind, callback.answers], ["reply_callback", call?.id]);
  assert.deepEqual([add?.kind, add?.name, add?.error], ["update", "add", null]);
  assert.notEqual(add?.subnet_id, update.subnet_id);
  const own = [update, callback, add].reduce((sum, one) => sum + BigInt(one?.instructions ?? 0), 0n);
  assert.equal(outcome.trace.instructions, `${own}`);
});

test("a list, and a trap with the canister's functions by name", async () => {
  await caller.call("callTrapping", near.id);
  const list = await trace("--json");
  const { messages, kept, checked } = JSON.parse(list.out);
  const [trap, before] = messages;
  assert.deepEqual([trap.method, before.method], ["callTrapping", "relay"]);
  assert.equal(trap.sender, identity.getPrincipal().toText());
  assert.equal(before.request_id, relay.message.request_id);
  assert.equal(before.instructions, relay.outcome.trace.instructions);
  assert.deepEqual([trap.status, trap.canister_id], ["replied", caller.id.toText()]);
  assert.ok(BigInt(trap.cycles) < 0n && checked.same === checked.rounds);
  assert.equal(kept.length, 3);
  const text = await trace(caller.id.toText());
  assert.equal(text.code, 0);
  assert.match(text.out, /^message +[0-9a-f]{64}\n/);
  assert.match(text.out, /\nrun again +\d+ rounds, every state as it was certified\n/);
  assert.match(text.out, /update "addThenTrap": .*failed: IC0503 .*'callee trapped after adding 7'/);
  assert.match(text.out, /\n +at trap\n(.*\n)* +at addThenTrap\n/);
});

test("as a page and for Perfetto", async () => {
  const html = join(directory, "trace.html");
  const perfetto = join(directory, "trace.json");
  const id = relay.message.request_id.slice(0, 16);
  const flame = join(directory, "trace.folded");
  const written = await trace(id, "--html", html, "--perfetto", perfetto, "--flame", flame);
  assert.equal(written.out, `Wrote ${html}.\nWrote ${flame}.\nWrote ${perfetto}.\n`);
  assert.equal(written.code, 0);
  const page = readFileSync(html, "utf8");
  assert.ok(page.includes(relay.message.request_id) && page.includes("every state as it was certified"));
  const { traceEvents: events } = JSON.parse(readFileSync(perfetto, "utf8"));
  const phases = (wanted: string): unknown[] => events.filter(({ ph }: { ph: string }) => ph === wanted);
  assert.deepEqual([phases("X").length, phases("s").length, phases("f").length], [3, 2, 2]);
  // Every instruction is some function's, and profiling changed none of them.
  const counts = readFileSync(flame, "utf8")
    .trim()
    .split("\n")
    .map((line) => BigInt(line.split(" ").at(-1) ?? ""));
  const { instructions } = relay.outcome.trace;
  assert.equal(`${counts.reduce((sum, count) => sum + count, 0n)}`, instructions);
  const unwritable = await trace("last", "--html", join(directory, "no", "such", "trace.html"), "--json");
  assert.equal(JSON.parse(unwritable.out).error.code, "file_unwritable");
});

test("after the network stopped the same, and what is not there is said to be", async () => {
  await network.end("SIGTERM");
  assert.deepEqual((await traced(relay.message.request_id)).outcome, relay.outcome);
  const codes = await Promise.all(
    ["abcdef012345", "no principal", far.id.toText()].map(async (target) => {
      const { code, out } = await trace(target, "--json");
      return [code, JSON.parse(out).error?.code];
    }),
  );
  // The callee got no message of a user; what it did last is part of another's.
  assert.deepEqual(codes, [
    [1, "message_not_found"],
    [1, "target_invalid"],
    [0, undefined],
  ]);
});

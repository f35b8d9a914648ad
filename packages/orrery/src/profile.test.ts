/** Profiles of calls in the in-process network: exact, of a copy that leaves no trace, whatever the call ends with. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import {
  CallRejected,
  createNetwork,
  functionShares,
  type Network,
  profileToFolded,
  profileToSpeedscope,
  renderFlameGraph,
} from "./index.ts";

function installed(network: Network, name: string, init?: Uint8Array): string {
  const url = new URL(`../../../canisters/fixtures/built/${name}.wasm.gz`, import.meta.url);
  const canisterId = network.createCanister();
  const arg = init === undefined ? {} : { arg: init };
  network.install({ canisterId, wasm: new Uint8Array(readFileSync(url)), ...arg });
  return canisterId;
}

const nat = (reply: Uint8Array | null): unknown => IDL.decode([IDL.Nat], reply ?? new Uint8Array(0))[0];
const natArg = (value: bigint): Uint8Array => new Uint8Array(IDL.encode([IDL.Nat], [value]));

test("a call's profile is exact, in every form, and the network is as it was", async () => {
  const network = await createNetwork();
  const canisterId = installed(network, "counter.eop");
  network.update({ canisterId, method: "set", arg: natArg(41n) });
  const before = network.save();
  const { reply, error, profile, instructions, trace } = await network.profile({ canisterId, method: "inc" });
  assert.equal(nat(reply), 42n);
  assert.equal(error, null);
  assert.deepEqual(network.save(), before);
  // What the call costs when it is really made.
  network.trace(true);
  network.update({ canisterId, method: "inc" });
  const [real] = network.takeTraces().traces;
  assert.equal(instructions, real?.instructions);
  assert.equal(trace?.instructions, real?.instructions);
  assert.equal(
    profile.stacks.reduce((sum, stack) => sum + stack.instructions, 0n),
    instructions,
  );
  const names = functionShares(profile).map(({ name }) => name);
  assert.ok(names.includes(`${canisterId} update inc`) && names.includes("ic0.msg_reply"));
  const folded = profileToFolded(profile).trimEnd().split("\n");
  assert.ok(folded.every((line) => line.startsWith(`${canisterId} update inc;`)));
  assert.equal(
    JSON.parse(profileToSpeedscope(profile, { title: "inc" })).profiles[0].endValue,
    Number(instructions),
  );
  assert.match(renderFlameGraph(profile, { title: "inc" }), /^<!doctype html>/);
  await network.stop();
});

test("the example of the documentation runs as it stands there", async () => {
  const page = readFileSync(new URL("../../../docs/profiling.md", import.meta.url), "utf8");
  const example = /```ts\n(.*?)```/s.exec(page)?.[1];
  assert.ok(example?.includes("network.profile("));
  const network = await createNetwork();
  const written: [string, string][] = [];
  const scope = {
    network,
    canisterId: installed(network, "counter.eop"),
    renderFlameGraph,
    functionShares,
    writeFileSync: (file: string, text: string) => void written.push([file, text]),
  };
  const run = new Function(
    ...Object.keys(scope),
    `return (async () => {${example}; return { reply, heaviest }; })()`,
  );
  const { reply, heaviest } = await run(...Object.values(scope));
  assert.equal(nat(reply), 1n);
  assert.ok(heaviest.self > 0n);
  assert.deepEqual([written[0]?.[0], written[0]?.[1].slice(0, 15)], ["flame.html", "<!doctype html>"]);
  await network.stop();
});

test("calls between canisters, rejects and queries; chosen canisters only", async () => {
  const network = await createNetwork();
  const caller = installed(network, "caller.eop");
  const callee = installed(network, "callee.eop");
  const arg = new Uint8Array(IDL.encode([IDL.Principal], [Principal.fromText(callee)]));
  const names = new Map([[callee, "callee"]]);
  const labels = (folded: string): Set<string> =>
    new Set(
      folded
        .trimEnd()
        .split("\n")
        .map((line) => line.split(";")[0] ?? ""),
    );

  const trapped = await network.profile({ canisterId: caller, method: "trapAfterAwait", arg }, { names });
  assert.ok(trapped.error instanceof CallRejected && trapped.reply === null);
  assert.equal(trapped.instructions, trapped.trace?.instructions);
  const seen = labels(profileToFolded(trapped.profile));
  assert.ok(seen.has(`${caller} update trapAfterAwait`) && seen.has(`${caller} reply callback`));
  assert.ok([...seen].some((label) => label.startsWith("callee update ")));

  const query = await network.profile({ canisterId: caller, method: "ask", arg }, { names, query: true });
  assert.equal(typeof nat(query.reply), "bigint");
  assert.deepEqual(
    labels(profileToFolded(query.profile)),
    new Set([`${caller} query ask`, "callee query get", `${caller} composite reply callback ask`]),
  );
  assert.ok(query.instructions > 0n && query.trace === null);

  const chosen = await network.profile(
    {
      canisterId: caller,
      method: "relay",
      arg: new Uint8Array(IDL.encode([IDL.Principal, IDL.Nat], [Principal.fromText(callee), 1n])),
    },
    { names, canisters: [callee] },
  );
  assert.deepEqual(labels(profileToFolded(chosen.profile)), new Set(["callee update add"]));
  assert.ok(chosen.instructions < (chosen.trace?.instructions ?? 0n));

  const refused = await network.profile({ canisterId: caller, method: "missing" });
  assert.ok(refused.error instanceof CallRejected);
  assert.deepEqual([refused.instructions, refused.profile], [0n, { stacks: [] }]);
  await network.stop();
});

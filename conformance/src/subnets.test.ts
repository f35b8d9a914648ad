/**
 * A node with several subnets, through the unmodified client: canisters of different subnets call each other as those of one do
 * (interface spec, "Inter-canister calls"), every subnet's answers verify under the root key (interface spec, "Delegation"), and
 * all of it goes on after a kill.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { motokoFixture } from "@orrery/canisters/fixtures";
import { agentFor, type Network, type NetworkOptions, startNetwork } from "./harness.ts";
import { install, type Program, programAt } from "./programs.ts";

const identity = Ed25519KeyIdentity.generate();
const stateDir = mkdtempSync(join(tmpdir(), "orrery-subnets-"));
const options: NetworkOptions = {
  stateDir,
  arguments: ["--subnet", "application", "--subnet", "application", "--subnet", "verified_application"],
};
let network: Network;
let caller: Program;
/** One on the caller's subnet, then one on each other subnet, the root included. */
let callees: readonly Program[];

interface Rejection {
  readonly rejection: { readonly code: string; readonly message: string };
}

async function installOn(subnet: number, name: "caller" | "callee"): Promise<Program> {
  const { default_effective_canister_id: id } = network.document.subnets[subnet] ?? {};
  const place = { effectiveCanisterId: Principal.fromText(id ?? "") };
  return await install(place, agentFor(network, identity), motokoFixture(name, "enhanced"));
}

before(async () => {
  network = await startNetwork(options);
  caller = await installOn(1, "caller");
  callees = await Promise.all([1, 2, 3, 0].map((subnet) => installOn(subnet, "callee")));
});
after(async () => {
  await network.end("SIGTERM");
  rmSync(stateDir, { recursive: true, force: true });
});

/** Runs the same on the neighbour and on every canister elsewhere; what they answer must not differ. */
async function alike(ask: (callee: Principal) => Promise<unknown>): Promise<unknown> {
  const answers = await Promise.all(callees.map(async ({ id }) => [id.toText(), await ask(id)] as const));
  const [first] = answers;
  const withoutId = ([id, answer]: (typeof answers)[number]): string =>
    JSON.stringify(answer, (_key, value) => (typeof value === "bigint" ? `${value}` : value)).replaceAll(
      id,
      "<callee>",
    );
  for (const answer of answers) assert.equal(withoutId(answer), withoutId(first as never));
  return first?.[1];
}

describe("calls between subnets end as calls within one do", () => {
  test("replies, one and many at once, small and large", async () => {
    assert.equal(await alike((callee) => caller.call("relay", callee, 5n)), 5n);
    const many = (await alike((callee) => caller.call("parallel", callee, 100n))) as bigint[];
    assert.deepEqual(
      many,
      Array.from({ length: 100 }, (_, i) => BigInt(i + 6)),
    );
    const blob = new Uint8Array(1_000_000).fill(7);
    const [, far] = callees;
    assert.deepEqual(await caller.call("relayBlob", far?.id, blob), blob);
  });

  test("traps, rejects and methods that are not there, with code and text", async () => {
    for (const method of ["callTrapping", "callRejecting", "callMissing"]) {
      const outcome = (await alike((callee) => caller.call(method, callee))) as Rejection;
      assert.ok(outcome.rejection.message.length > 0, method);
    }
  });

  test("cycles: what is not accepted comes back, exactly", async () => {
    for (const { id } of callees) {
      const [amount, most] = [1_000_000_000n, 400_000_000n];
      const paid = (await caller.call("pay", id, amount, most)) as {
        readonly outcome: { readonly reply: bigint };
        readonly refunded: bigint;
      };
      assert.equal(paid.outcome.reply, most);
      assert.equal(paid.refunded, amount - most);
      // The balance tells: a program is not told what a rejected call gave back.
      const trapped = (await caller.call("payTrapping", id, 1_000n * amount)) as {
        readonly balanceBefore: bigint;
        readonly balanceAfter: bigint;
      };
      const missing = trapped.balanceBefore - trapped.balanceAfter;
      assert.ok(missing < 100n * amount, `${missing} cycles are missing`);
    }
  });

  test("calls with a deadline, and without an answer", async () => {
    for (const { id } of callees) {
      const before = (await programAtCallee(id).call("get")) as bigint;
      const outcome = (await caller.call("bestEffort", id, 60)) as { readonly reply: bigint };
      assert.equal(outcome.reply, before + 1n);
    }
  });
});

function programAtCallee(id: Principal): Program {
  const { idlFactory } = motokoFixture("callee", "enhanced");
  assert.ok(idlFactory !== null);
  return programAt(agentFor(network, identity), id, idlFactory);
}

test("metrics and status tell the subnets apart", async () => {
  const metrics = await (await fetch(`${network.url}/metrics`)).text();
  const { subnets } = (await (await fetch(`${network.url}/_/subnets`)).json()) as {
    readonly subnets: readonly { readonly id: string; readonly height: number; readonly healthy: boolean }[];
  };
  assert.deepEqual(
    subnets.map(({ id }) => id),
    network.document.subnets.map(({ id }) => id),
  );
  for (const { id, height, healthy } of subnets) {
    assert.ok(healthy && height > 0);
    assert.match(metrics, new RegExp(`^orrery_published_height\\{subnet="${id}"\\} \\d+$`, "m"));
  }
});

test("after a kill with calls on the way everything is where it was, and calls go on", async () => {
  const [, far] = callees;
  assert.ok(far !== undefined);
  const before = (await programAtCallee(far.id).call("get")) as bigint;
  const onTheWay = Promise.allSettled(Array.from({ length: 5 }, () => caller.call("parallel", far.id, 20n)));
  await caller.call("relay", far.id, 1n);
  await network.end("SIGKILL");
  await onTheWay;
  network = await startNetwork({ stateDir });
  const { idlFactory } = motokoFixture("caller", "enhanced");
  assert.ok(idlFactory !== null);
  caller = programAt(agentFor(network, identity), caller.id, idlFactory);
  const answer = (await caller.call("relay", far.id, 1n)) as bigint;
  assert.ok(answer >= before + 2n && answer <= before + 102n, `${answer} after ${before}`);
});

/**
 * A network of four processes, each another operator's, with a node of the root and of an application subnet each, under a client's load: a
 * record creates a third subnet of four new nodes, to which the root's nodes deal its keys. The unmodified client finds it, verifies it under
 * the root's key, and canisters call each other across; nobody stops and no acknowledged update is lost.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { IDL } from "@icp-sdk/core/candid";
import { motokoFixture } from "@orrery/canisters/fixtures";
import { Load, Operators } from "./operators.testkit.ts";
import { eventually, install, type Program, programAt } from "./programs.ts";

const FOUNDERS = 4;
const NEW_SUBNET = 2;
const COMING: readonly number[] = [4, 5, 6, 7];
/** Room for the eleven dealings of an interval that creates a subnet, one a block, and for nodes that are late. */
const INTERVAL = 20;
const CREATED_MS = 240_000;
const ANSWERS_MS = 120_000;
const RETRIES = 3;

let network: Operators;
let caller: Program;
let callee: Program;

/** Killed, and started again. */
async function again(place: number): Promise<void> {
  await network.end(place, "SIGKILL");
  await network.run(place);
}

/** The same program, asked at another node. */
const at = ({ id }: Program, place: number, name: "callee" | "caller" = "callee"): Program => {
  const { idlFactory } = motokoFixture(name, "enhanced");
  return programAt(network.agentAt(place, RETRIES), id, idlFactory as IDL.InterfaceFactory);
};

async function installed(place: number, subnet: number, name: "caller" | "callee"): Promise<Program> {
  const effectiveCanisterId = await network.creationAt(place, subnet);
  const agent = network.agentAt(place, RETRIES);
  return await install({ effectiveCanisterId }, agent, motokoFixture(name, "enhanced"));
}

/** By the record that three of four approve; resolves when its nodes answer. */
async function create(): Promise<void> {
  const joining = await Promise.all(COMING.map((place) => network.joining(place, [NEW_SUBNET])));
  const created = { kind: "create", subnet: NEW_SUBNET, type: "application" } as const;
  await network.decide([created, ...joining], [0, 1, 3]);
  await Promise.all(COMING.map((place) => network.begin(place, 0)));
}

/** The client verifies each answer under the root's key, by the delegation that the root's nodes give. */
async function installedThere(place: number): Promise<Program> {
  let program: Program | null = null;
  await eventually(
    async () => {
      program ??= await installed(place, 0, "callee").catch(() => null);
      return program === null ? "not yet" : "installed";
    },
    (said: string) => said === "installed",
    ANSWERS_MS,
  );
  return program as unknown as Program;
}

describe("a subnet that the root subnet creates", () => {
  before(async () => {
    const subnets = ["application"] as const;
    const size = { founders: FOUNDERS, coming: COMING.length };
    network = await Operators.open({ name: "new-subnet", ...size, catchUpInterval: INTERVAL, subnets });
    caller = await installed(1, 1, "caller");
    callee = await installed(1, 1, "callee");
  });
  after(() => network.close());

  test("has canisters that clients and other subnets call, and takes nothing from those that run", {
    timeout: 2 * CREATED_MS + 2 * ANSWERS_MS,
  }, async () => {
    const before = (await callee.call("get")) as bigint;
    const load = new Load(
      () => network.founding,
      (place) => at(callee, place).call("add", 1n),
    );
    try {
      await create();
    } finally {
      await load.end();
    }
    const [first = 0, second = 0] = COMING;
    const there = await installedThere(first);
    assert.equal(await at(there, second).call("add", 3n), 3n);
    assert.equal(await at(there, first).call("get"), 3n);
    const keys = await network.agentAt(second, RETRIES).fetchSubnetKeys({ canisterId: there.id });
    assert.deepEqual([...keys.keys()].sort(), network.nodeIds(COMING, NEW_SUBNET));
    // From a subnet that ran before, and back.
    assert.equal(await at(caller, 2, "caller").call("relay", there.id, 4n), 7n);
    const back = await installed(second, 0, "caller");
    const counted = (await at(callee, 3).call("get")) as bigint;
    assert.equal(await back.call("relay", callee.id, 1n), counted + 1n);
    load.isKept(Number(counted - before));
    // A node of each kind knows all of it after a kill, too.
    await Promise.all([again(first), again(0)]);
    await eventually(
      () => at(there, first).call("get").catch(String),
      (said: unknown) => said === 7n,
      ANSWERS_MS,
    );
    await eventually(
      () => at(caller, 0, "caller").call("relay", there.id, 1n).catch(String),
      (said: unknown) => typeof said === "bigint" && said >= 8n,
      ANSWERS_MS,
    );
    await network.isOne(2);
  });
});

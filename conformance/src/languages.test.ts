/**
 * Programs in C, WebAssembly text and TypeScript on a real network (interface spec, "Canister module", "System API"): no runtime
 * of Motoko's, raw bytes where no Candid is spoken.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type HttpAgent, QueryResponseStatus } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import type { Principal } from "@icp-sdk/core/principal";
import { otherFixture } from "@orrery/canisters/fixtures";
import { agentFor, type Network, startNetwork } from "./harness.ts";
import { installCode } from "./management.ts";
import { eventually, install } from "./programs.ts";

let network: Network;
let agent: HttpAgent;
before(async () => {
  network = await startNetwork();
  agent = agentFor(network, Ed25519KeyIdentity.generate());
});
after(async () => {
  await network.end("SIGTERM");
});

function u64le(value: bigint): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, value, true);
  return out;
}

describe("programs in other languages", () => {
  const raw = async (
    id: Principal,
    methodName: string,
    arg: Uint8Array = new Uint8Array(0),
  ): Promise<Uint8Array> => (await agent.update(id, { methodName, arg, effectiveCanisterId: id })).reply;
  const ask = async (
    id: Principal,
    methodName: string,
    arg: Uint8Array = new Uint8Array(0),
  ): Promise<Uint8Array> => {
    const answer = await agent.query(id, { methodName, arg });
    assert.ok(answer.status === QueryResponseStatus.Replied, answer.status);
    return new Uint8Array(answer.reply.arg);
  };

  test("C against the bare interface, over an upgrade and a trap", async () => {
    const fixture = otherFixture("accumulator");
    const { id } = await install(network, agent, fixture);
    assert.deepEqual(await raw(id, "add", u64le(40n)), u64le(40n));
    assert.deepEqual(await raw(id, "add", u64le(2n)), u64le(42n));
    await assert.rejects(raw(id, "fail"), /failed on purpose/);
    assert.deepEqual(await ask(id, "sum"), u64le(42n));
    const text = new TextEncoder().encode("the moons of Jupiter");
    assert.deepEqual(await raw(id, "remember", text), u64le(BigInt(text.length)));
    await installCode(agent, id, fixture.wasmGzip, { upgrade: [] }, new Uint8Array(0));
    assert.deepEqual(await ask(id, "sum"), u64le(42n));
    assert.deepEqual(
      await ask(id, "recall", new Uint8Array([...u64le(4n), ...u64le(5n)])),
      text.subarray(4, 9),
    );
    const caller = await agent.getPrincipal();
    assert.deepEqual(await ask(id, "whoami"), caller.toUint8Array());
    const other = await install(network, agent, fixture);
    const to = other.id.toUint8Array();
    const forward = new Uint8Array([to.length, ...to, ...u64le(7n)]);
    assert.deepEqual(await raw(id, "forward", forward), u64le(7n));
    assert.deepEqual(await ask(other.id, "sum"), u64le(7n));
  });

  test("WebAssembly text with a 64-bit memory", async () => {
    const { id } = await install(network, agent, otherFixture("memory64"));
    assert.deepEqual(await raw(id, "inc"), u64le(1n));
    assert.deepEqual(await raw(id, "inc"), u64le(2n));
    assert.deepEqual(await ask(id, "get"), u64le(2n));
    assert.deepEqual(await raw(id, "spin", u64le(100_000n)), u64le(100_000n));
    assert.deepEqual(await raw(id, "grow", u64le(3n)), u64le(0n));
    assert.deepEqual(await raw(id, "heap", u64le(1n)), u64le(2n));
    await raw(id, "arm", u64le(1_000_000n));
    await eventually(
      () => ask(id, "fired"),
      (fired: Uint8Array) => fired[0] === 1,
    );
  });

  test("TypeScript (Azle)", async () => {
    const registry = await install(network, agent, otherFixture("registry"));
    assert.deepEqual(await registry.call("put", "name", "Kepler"), []);
    assert.deepEqual(await registry.call("put", "name", "Brahe"), ["Kepler"]);
    assert.deepEqual(await registry.call("get", "name"), ["Brahe"]);
    await assert.rejects(registry.call("putAndTrap", "name"));
    assert.deepEqual(await registry.call("get", "name"), ["Brahe"]);
  });
});

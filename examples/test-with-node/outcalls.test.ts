/** A canister that asks a web service, by a typed actor: the service is a function here, or answered by hand, and fails when told to. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, test } from "node:test";
import { Actor, HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { createNetwork, type Network, type NetworkOptions } from "ic-orrery";

// Source: canisters/fixtures/motoko/weather.mo
const wasm = readFileSync(new URL("../../canisters/fixtures/built/weather.eop.wasm.gz", import.meta.url));
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** `@icp-sdk/bindgen` writes both of these from the canister's Candid file. */
interface Weather {
  look(town: string): Promise<string>;
  last(): Promise<string>;
}
const idlFactory: IDL.InterfaceFactory = ({ IDL: idl }) =>
  idl.Service({
    look: idl.Func([idl.Text], [idl.Text], []),
    last: idl.Func([], [idl.Text], ["query"]),
  });

let network: Network;
let canisterId: string;

async function deploy(options: NetworkOptions): Promise<void> {
  network = await createNetwork(options);
  canisterId = network.createCanister();
  network.install({ canisterId, wasm });
}

afterEach(() => network.stop());

test("the service answers, and fails", async () => {
  await deploy({
    clock: "wall",
    outcalls: ({ url }) =>
      url.endsWith("/Bern")
        ? { status: 200, body: text("snow") }
        : { rejectCode: 2, message: "connection refused" },
  });
  // An agent as in a page: certificates and signatures are verified, without a server in between.
  const agent = await HttpAgent.create({
    host: network.url,
    fetch: network.fetch as typeof fetch,
    rootKey: network.rootKey,
  });
  const weather = Actor.createActor<Weather>(idlFactory, { agent, canisterId });
  assert.equal(await weather.look("Bern"), "snow");
  assert.equal(await weather.look("Atlantis"), "no answer: connection refused");
  assert.equal(await weather.last(), "snow");
});

test("the service takes its time, and is not heard of again", async () => {
  await deploy({});
  const look = (town: string): Parameters<Network["resume"]>[0] => {
    const arg = new Uint8Array(IDL.encode([IDL.Text], [town]));
    try {
      network.update({ canisterId, method: "look", arg });
    } catch (error) {
      return error as Parameters<Network["resume"]>[0];
    }
    throw new Error("answered by nobody");
  };
  const told = (pending: Parameters<Network["resume"]>[0]): unknown =>
    IDL.decode([IDL.Text], network.resume(pending))[0];
  const first = look("Oslo");
  network.advanceTime(30_000);
  const [outcall] = network.pendingOutcalls();
  assert.equal(outcall?.url, "https://weather.example/Oslo");
  if (outcall !== undefined) network.answerOutcall(outcall, { status: 200, body: text("rain") });
  assert.equal(told(first), "rain");
  const second = look("Rome");
  network.advanceTime(61_000);
  assert.match(String(told(second)), /^no answer: .*timed out/);
});

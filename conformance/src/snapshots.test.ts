/** A snapshot outlives what happens to the process: in a checkpoint after an orderly end, from the log after `kill -9`. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Actor, type ActorSubclass, type HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { counterAt } from "./counter.ts";
import { agentFor, fixtureModule, startNetwork } from "./harness.ts";
import { createCanister, installCode } from "./management.ts";

const stateDir = mkdtempSync(join(tmpdir(), "orrery-snapshots-"));
after(() => rmSync(stateDir, { recursive: true, force: true }));

interface Target {
  readonly canister_id: Principal;
}

interface Snapshots {
  take_canister_snapshot(arg: Target): Promise<{ readonly id: Uint8Array }>;
  load_canister_snapshot(arg: Target & { readonly snapshot_id: Uint8Array }): Promise<void>;
  delete_canister_snapshot(arg: Target & { readonly snapshot_id: Uint8Array }): Promise<void>;
  list_canister_snapshots(arg: Target): Promise<readonly { readonly id: Uint8Array }[]>;
}

const Id = IDL.Principal;
const Blob = IDL.Vec(IDL.Nat8);
const One = IDL.Record({ canister_id: Id, snapshot_id: Blob });
const Snapshot = IDL.Record({ id: Blob, taken_at_timestamp: IDL.Nat64, total_size: IDL.Nat64 });
const service: IDL.InterfaceFactory = () =>
  IDL.Service({
    take_canister_snapshot: IDL.Func([IDL.Record({ canister_id: Id })], [Snapshot]),
    load_canister_snapshot: IDL.Func([One], []),
    delete_canister_snapshot: IDL.Func([One], []),
    list_canister_snapshots: IDL.Func([IDL.Record({ canister_id: Id })], [IDL.Vec(Snapshot)]),
  });

function snapshotsOf(agent: HttpAgent, effectiveCanisterId: Principal): ActorSubclass<Snapshots> {
  return Actor.createActor<Snapshots>(service, {
    agent,
    canisterId: Principal.managementCanister(),
    effectiveCanisterId,
  });
}

test("taken, ended in order, loaded, killed, loaded again", async () => {
  const identity = Ed25519KeyIdentity.generate();
  let network = await startNetwork({ stateDir });
  const id = await createCanister(agentFor(network, identity), network.effectiveCanisterId);
  const here = { canister_id: id };
  await installCode(agentFor(network, identity), id, fixtureModule("counter.eop"));
  const counter = () => counterAt(agentFor(network, identity), id);
  const snapshots = () => snapshotsOf(agentFor(network, identity), id);
  const restart = async (signal: "SIGTERM" | "SIGKILL"): Promise<void> => {
    await network.end(signal);
    network = await startNetwork({ stateDir });
  };
  for (let i = 0; i < 3; i++) await counter().inc();
  const { id: snapshot_id } = await snapshots().take_canister_snapshot(here);
  for (let i = 0; i < 2; i++) await counter().inc();
  await restart("SIGTERM");
  assert.equal(await counter().get(), 5n);
  await snapshots().load_canister_snapshot({ ...here, snapshot_id });
  assert.equal(await counter().get(), 3n);
  assert.equal(await counter().inc(), 4n);
  await restart("SIGKILL");
  assert.equal(await counter().get(), 4n);
  const [listed] = await snapshots().list_canister_snapshots(here);
  assert.deepEqual(Uint8Array.from(listed?.id ?? []), Uint8Array.from(snapshot_id));
  await snapshots().load_canister_snapshot({ ...here, snapshot_id });
  assert.equal(await counter().get(), 3n);
  await snapshots().delete_canister_snapshot({ ...here, snapshot_id });
  await restart("SIGTERM");
  assert.equal(await counter().inc(), 4n);
  assert.deepEqual(await snapshots().list_canister_snapshots(here), []);
  await network.end("SIGTERM");
});

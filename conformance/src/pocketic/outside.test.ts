/** What of an instance lies outside it: snapshots in folders, gateways with browsers in front, a state directory with canisters in it. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { PocketIc, SubnetStateType } from "@dfinity/pic";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { fixturePath } from "../harness.ts";
import { ask, type Reply, type Server, startServer } from "./server.ts";

type Id = Awaited<ReturnType<PocketIc["createCanister"]>>;
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const ANONYMOUS = base64(Principal.anonymous().toUint8Array());
const NEW = { state: { type: SubnetStateType.New } as const };
const Blob = IDL.Vec(IDL.Nat8);

describe("outside an instance", () => {
  const folder = mkdtempSync(join(tmpdir(), "orrery-pocket-ic-outside-"));
  let server: Server;
  let pic: PocketIc;
  let number: number;

  before(async () => {
    server = await startServer({ arguments: ["--log-levels", "error"] });
    pic = await PocketIc.create(server.url, { application: [NEW] });
    number = (pic as unknown as { readonly client: { readonly instanceId: number } }).client.instanceId;
  });
  after(async () => {
    await pic.tearDown();
    await server.end();
    rmSync(folder, { recursive: true, force: true });
  });

  async function counterOn(one: PocketIc): Promise<Id> {
    const canisterId = await one.createCanister();
    await one.installCode({ canisterId, wasm: fixturePath("counter.eop") });
    return canisterId;
  }

  async function inc(one: PocketIc, canisterId: Id): Promise<bigint> {
    const reply = await one.updateCall({ canisterId, method: "inc", arg: IDL.encode([], []) });
    return IDL.decode([IDL.Nat], Uint8Array.from(reply))[0] as unknown as bigint;
  }

  /** Calls the management canister about the canister. */
  async function manage(canisterId: Id, method: string, type: IDL.Type, arg: object): Promise<Uint8Array> {
    const told = { ...arg, canister_id: Principal.fromText(canisterId.toText()) };
    const management = Principal.managementCanister() as unknown as Id;
    const client = (
      pic as unknown as { readonly client: { updateCall(call: object): Promise<{ body: Uint8Array }> } }
    ).client;
    const { body } = await client.updateCall({
      canisterId: management,
      sender: Principal.anonymous(),
      method,
      payload: new Uint8Array(IDL.encode([type], [told])),
      effectivePrincipal: { canisterId },
    });
    return Uint8Array.from(body);
  }

  async function takeSnapshot(canisterId: Id): Promise<Uint8Array> {
    const reply = await manage(
      canisterId,
      "take_canister_snapshot",
      IDL.Record({ canister_id: IDL.Principal }),
      {},
    );
    const [{ id }] = IDL.decode([IDL.Record({ id: Blob })], reply) as unknown as [
      { readonly id: Uint8Array },
    ];
    return Uint8Array.from(id);
  }

  const move = (direction: "download" | "upload", body: object): Promise<Reply> =>
    ask(server, `/instances/${number}/update/canister_snapshot_${direction}`, { body: JSON.stringify(body) });

  test("a snapshot goes to a folder and comes back on another canister", async () => {
    const source = await counterOn(pic);
    for (let i = 0; i < 3; i++) await inc(pic, source);
    const snapshotId = await takeSnapshot(source);
    const directory = join(folder, "snapshot");
    const about = (id: Id) => ({
      sender: { principal_id: ANONYMOUS },
      canister_id: { canister_id: base64(id.toUint8Array()) },
    });
    const downloaded = await move("download", {
      ...about(source),
      snapshot_id: base64(snapshotId),
      snapshot_dir: directory,
    });
    assert.deepEqual([downloaded.status, downloaded.text], [200, "null"]);
    assert.deepEqual(readdirSync(directory).sort(), [
      "metadata.json",
      "stable_memory.bin",
      "wasm_chunk_store",
      "wasm_memory.bin",
      "wasm_module.bin",
    ]);
    const metadata = JSON.parse(readFileSync(join(directory, "metadata.json"), "utf8")) as Readonly<
      Record<string, unknown>
    >;
    assert.deepEqual(metadata["source"], { taken_from_canister: null });
    assert.equal(metadata["global_timer"], "inactive");
    const target = await counterOn(pic);
    const uploaded = await move("upload", {
      ...about(target),
      replace_snapshot: null,
      snapshot_dir: directory,
    });
    assert.equal(uploaded.status, 200, uploaded.text);
    const { snapshot_id: newId } = uploaded.json() as { readonly snapshot_id: string };
    const again = join(folder, "again");
    assert.equal(
      (await move("download", { ...about(target), snapshot_id: newId, snapshot_dir: again })).status,
      200,
    );
    for (const part of ["wasm_module.bin", "wasm_memory.bin", "stable_memory.bin"]) {
      assert.ok(readFileSync(join(directory, part)).equals(readFileSync(join(again, part))), part);
    }
    const one = IDL.Record({ canister_id: IDL.Principal, snapshot_id: Blob });
    await pic.stopCanister({ canisterId: target });
    await manage(target, "load_canister_snapshot", one, {
      snapshot_id: Uint8Array.from(Buffer.from(newId, "base64")),
    });
    await pic.startCanister({ canisterId: target });
    assert.equal(await inc(pic, target), 4n);
    const refusals: readonly (readonly [Promise<Reply>, RegExp])[] = [
      [
        move("download", { ...about(target), snapshot_id: "AAAA", snapshot_dir: again }),
        /CanisterSnapshotError/,
      ],
      [
        move("upload", { ...about(target), snapshot_dir: join(folder, "none") }),
        /InvalidCanisterSnapshotDirectory/,
      ],
      [
        move("upload", { ...about(source), sender: { principal_id: "AQID" }, snapshot_dir: again }),
        /CanisterSnapshotError/,
      ],
    ];
    for (const [asked, why] of refusals) {
      const { status, text } = await asked;
      assert.equal(status, 400);
      assert.match(text, why);
    }
    writeFileSync(join(again, "metadata.json"), '{"globals":[{"i64":"x"}]}');
    const broken = await move("upload", { ...about(target), snapshot_dir: again });
    assert.deepEqual([broken.status, /InvalidCanisterSnapshotDirectory/.test(broken.text)], [400, true]);
    assert.equal(await inc(pic, target), 5n);
  });

  test("gateways: the instance's own paths, domains, and their end", async () => {
    const body = { forward_to: { PocketIcInstance: number }, domains: ["example.test"] };
    const made = await ask(server, "/http_gateway", { body: JSON.stringify(body) });
    assert.equal(made.status, 201, made.text);
    const { port, instance_id: gateway } = (made.json() as { Created: { port: number; instance_id: number } })
      .Created;
    const at = { port };
    assert.equal((await ask(at, "/api/v2/status")).status, 200);
    const topology = await ask(at, "/_/topology");
    assert.deepEqual(topology.json(), (await ask(server, `/instances/${number}/_/topology`)).json());
    assert.match((await ask(at, "/_/dashboard")).text, /<!doctype html>/);
    assert.match((await ask(server, `/instances/${number}/_/dashboard`)).text, /<!doctype html>/);
    assert.equal((await ask(at, "/api/v2/status", { headers: { host: "api.example.org" } })).status, 403);
    assert.equal((await ask(at, "/api/v2/status", { headers: { host: "example.test" } })).status, 200);
    const counter = await counterOn(pic);
    const page = await ask(at, "/", { headers: { host: `${counter.toText()}.example.test` } });
    // The counter serves no pages: the gateway says so, and not as if it were missing itself.
    assert.ok(
      page.status >= 400 && page.text.includes("http_request"),
      `${page.status} ${page.text.slice(0, 200)}`,
    );
    const listed = (await ask(server, "/http_gateway")).json() as readonly object[];
    assert.deepEqual(listed, [
      {
        instance_id: gateway,
        port,
        forward_to: { PocketIcInstance: number },
        domains: ["example.test"],
        https_config: null,
      },
    ]);
    assert.equal((await ask(server, `/http_gateway/${gateway}/stop`, { body: "" })).text, "null");
    await assert.rejects(ask(at, "/api/v2/status"));
    assert.equal((await ask(server, "/http_gateway")).text, "[]");
  });

  test("a gateway comes with its instance and goes with it", async () => {
    const made = await ask(server, "/instances", {
      body: JSON.stringify({
        subnet_config_set: { application: [{ state_config: "New" }] },
        http_gateway_config: { ip_addr: null, port: null, domains: null, https_config: null },
        initial_time: { AutoProgress: { artificial_delay_ms: null } },
      }),
    });
    const { instance_id: id, http_gateway_info: info } = (
      made.json() as { Created: { instance_id: number; http_gateway_info: { port: number } } }
    ).Created;
    assert.equal((await ask(info, "/api/v2/status")).status, 200);
    assert.equal((await ask(server, `/instances/${id}`, { method: "DELETE" })).status, 200);
    await assert.rejects(ask(info, "/api/v2/status"));
  });

  test("canisters, their memories and what they wait for outlive the server in a state directory", async () => {
    const stateDir = join(folder, "state");
    const create = async (on: Server): Promise<number> => {
      const body = { subnet_config_set: { application: [{ state_config: "New" }] }, state_dir: stateDir };
      const reply = await ask(on, "/instances", { body: JSON.stringify(body) });
      assert.equal(reply.status, 201, reply.text);
      return (reply.json() as { Created: { instance_id: number } }).Created.instance_id;
    };
    const call = (canisterId: string, method: string): string =>
      JSON.stringify({
        sender: ANONYMOUS,
        canister_id: canisterId,
        effective_principal: "None",
        method,
        payload: base64(new Uint8Array(IDL.encode([], []))),
      });
    const first = await startServer({ arguments: ["--log-levels", "error"] });
    const id = await create(first);
    const one = await PocketIc.create(first.url, { application: [NEW] });
    const onDisk = Object.assign(Object.create(Object.getPrototypeOf(one) as object) as PocketIc, one);
    const client = Object.assign(
      Object.create(Object.getPrototypeOf((one as unknown as { client: object }).client) as object) as object,
      (one as unknown as { client: object }).client,
      {
        instancePath: `/instances/${id}`,
        instanceId: id,
      },
    );
    Object.assign(onDisk, { client });
    const canisterId = await counterOn(onDisk);
    for (let i = 0; i < 5; i++) await inc(onDisk, canisterId);
    // A message that no round has taken yet is kept with the rest.
    const raw = base64(canisterId.toUint8Array());
    await ask(first, `/instances/${id}/update/submit_ingress_message`, { body: call(raw, "inc") });
    assert.equal(await first.end("SIGTERM"), 0);
    const second = await startServer({ arguments: ["--log-levels", "error"] });
    const resumed = await create(second);
    await ask(second, `/instances/${resumed}/update/tick`, { body: "{}" });
    const read = await ask(second, `/instances/${resumed}/read/query`, { body: call(raw, "get") });
    const { Ok: reply } = read.json() as { readonly Ok: string };
    assert.deepEqual(IDL.decode([IDL.Nat], Uint8Array.from(Buffer.from(reply, "base64"))), [6n]);
    // Killed without warning: what was kept last is still there.
    await second.end("SIGKILL");
    const third = await startServer({ arguments: ["--log-levels", "error"] });
    const after = await create(third);
    const exists = await ask(third, `/instances/${after}/read/get_controllers`, {
      body: JSON.stringify({ canister_id: raw }),
    });
    assert.equal(exists.status, 200, exists.text);
    await third.end();
  });
});

/** Every member of the PicJS interface, without a server. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { Actor as AgentActor, HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { OutcallRequestType, outcallerModule, outcallRequest } from "@orrery/execution/outcaller";
import {
  CanisterCyclesCostSchedule,
  type CreateInstanceOptions,
  createIdentity,
  generateRandomIdentity,
  type HttpsOutcallResponseMock,
  PocketIc,
  PocketIcServer,
  ServerError,
  SubnetStateType,
  SubnetType,
} from "./index.ts";

const fixture = (name: string): Uint8Array =>
  new Uint8Array(
    readFileSync(new URL(`../../../../canisters/fixtures/built/${name}.wasm.gz`, import.meta.url)),
  );
const COUNTER = fixture("counter.eop");

interface Counter {
  inc(): Promise<bigint>;
  add(amount: bigint): Promise<bigint>;
  set(value: bigint): Promise<void>;
  get(): Promise<bigint>;
}

const counterFactory: IDL.InterfaceFactory = ({ IDL: idl }) =>
  idl.Service({
    inc: idl.Func([], [idl.Nat], []),
    add: idl.Func([idl.Nat], [idl.Nat], []),
    set: idl.Func([idl.Nat], [], []),
    get: idl.Func([], [idl.Nat], ["query"]),
  });

const NEW = { state: { type: SubnetStateType.New } } as const;

async function withPic(
  options: CreateInstanceOptions | undefined,
  run: (pic: PocketIc) => Promise<void>,
): Promise<void> {
  const server = await PocketIcServer.start({ showCanisterLogs: false });
  const pic = await PocketIc.create(server.getUrl(), options);
  try {
    await run(pic);
  } finally {
    await pic.tearDown();
    await server.stop();
  }
}

test("a fixture is set up and its actor calls, as whoever it is told to be", () =>
  withPic(undefined, async (pic) => {
    const { actor, canisterId } = await pic.setupCanister<Counter>({
      idlFactory: counterFactory,
      wasm: COUNTER,
    });
    assert.equal(canisterId.toText(), "lxzze-o7777-77777-aaaaa-cai");
    assert.equal(await actor.inc(), 1n);
    assert.equal(await actor.add(4n), 5n);
    assert.equal(await actor.set(9n), null);
    assert.equal(await actor.get(), 9n);
    const identity = generateRandomIdentity();
    actor.setIdentity(identity);
    assert.equal(await actor.inc(), 10n);
    actor.setPrincipal(Principal.anonymous());
    assert.equal(await actor.get(), 10n);
    assert.deepEqual(await pic.getControllers(canisterId), [Principal.anonymous()]);
    const deferred = pic.createDeferredActor<Counter>(counterFactory, canisterId);
    deferred.setIdentity(identity);
    deferred.setPrincipal(identity.getPrincipal());
    const [first, second] = [await deferred.inc(), await deferred.inc()];
    assert.equal(await actor.get(), 10n);
    assert.deepEqual([await first(), await second()], [11n, 12n]);
  }));

test("calls in bytes, and the words of those that fail", () =>
  withPic({ application: [NEW] }, async (pic) => {
    const canisterId = await pic.createCanister();
    await pic.installCode({ canisterId, wasm: COUNTER });
    const arg = new Uint8Array(IDL.encode([], []));
    const nat = (reply: Uint8Array): unknown => IDL.decode([IDL.Nat], reply)[0];
    assert.equal(nat(await pic.updateCall({ canisterId, method: "inc", arg })), 1n);
    assert.equal(nat(await pic.queryCall({ canisterId, method: "get", arg })), 1n);
    const told = {
      canisterId,
      method: "get",
      arg,
      targetSubnetId: (await pic.getCanisterSubnetId(canisterId)) as Principal,
    };
    assert.equal(nat(await pic.queryCall({ ...told, senderInfo: { info: arg, signer: canisterId } })), 1n);
    await assert.rejects(pic.updateCall({ canisterId, method: "missing" }), (error: Error) => {
      assert.match(
        error.message,
        /^Canister call failed: .*has no update method 'missing'.*\. Reject code: CanisterError\. Error code: CanisterMethodNotFound\. Certified: true$/s,
      );
      return true;
    });
    await assert.rejects(pic.queryCall({ canisterId, method: "missing" }), /Certified: false$/);
    await assert.rejects(
      pic.updateCall({ canisterId, method: "set", arg: new Uint8Array(3_000_000) }),
      (error: Error) => error instanceof ServerError && /BadIngressMessage/.test(error.serverMessage),
    );
    const strange = { canisterId, method: "get", targetSubnetId: Principal.managementCanister() };
    await assert.rejects(pic.updateCall(strange), /PocketIC server error: SubnetNotFound/);
  }));

test("canisters are installed, upgraded, reinstalled, stopped, changed and asked about", () =>
  withPic(undefined, async (pic) => {
    const owner = createIdentity("owner").getPrincipal();
    const canisterId = await pic.createCanister({
      sender: owner,
      cycles: 5_000_000_000_000n,
      controllers: [owner],
    });
    await assert.rejects(pic.installCode({ canisterId, wasm: COUNTER }), /CanisterInvalidController/);
    const folder = mkdtempSync(join(tmpdir(), "pic-"));
    const path = join(folder, "counter.wasm.gz");
    writeFileSync(path, COUNTER);
    await pic.installCode({ canisterId, wasm: path, sender: owner });
    const actor = pic.createActor<Counter>(counterFactory, canisterId);
    await actor.set(7n);
    const keep = { skip_pre_upgrade: [], wasm_memory_persistence: [{ keep: null }] } as never;
    await pic.upgradeCanister({ canisterId, wasm: path, sender: owner, upgradeModeOptions: keep });
    assert.equal(await actor.get(), 7n);
    await pic.reinstallCode({ canisterId, wasm: COUNTER, sender: owner });
    assert.equal(await actor.get(), 0n);
    rmSync(folder, { recursive: true });
    await pic.stopCanister({ canisterId, sender: owner });
    const stopped = await pic.canisterStatus({ canisterId, sender: owner });
    assert.deepEqual(stopped.status, { stopped: null });
    await assert.rejects(actor.inc(), /CanisterStopped/);
    await pic.startCanister({ canisterId, sender: owner });
    await pic.updateCanisterSettings({
      canisterId,
      sender: owner,
      freezingThreshold: 1_000_000n,
      logVisibility: { allowedViewers: [owner] },
      snapshotVisibility: { public: null },
      environmentVariables: [{ name: "PUBLIC_X", value: "1" }],
      controllers: [owner, Principal.anonymous()],
    });
    const status = await pic.canisterStatus({ canisterId });
    assert.deepEqual(status.status, { running: null });
    assert.equal(status.settings.freezingThreshold, 1_000_000n);
    assert.deepEqual(status.settings.logVisibility, { allowedViewers: [owner] });
    assert.deepEqual(status.settings.environmentVariables, [{ name: "PUBLIC_X", value: "1" }]);
    assert.equal(status.settings.controllers.length, 2);
    assert.equal(status.moduleHash?.length, 32);
    assert.ok(status.memorySize > 0n && status.cycles > 0n && status.queryStats.numCallsTotal >= 0n);
  }));

test("code larger than a message goes through the chunk store", () =>
  withPic(undefined, async (pic) => {
    const plain = gunzipSync(COUNTER);
    // A custom section as long as two chunks.
    const padding = new Uint8Array(2_000_000);
    const size = padding.length + 2;
    const section = [0, ...leb128(size), 1, 0x78];
    const wasm = new Uint8Array(plain.length + section.length + padding.length);
    wasm.set(plain);
    wasm.set(section, plain.length);
    wasm.set(padding, plain.length + section.length);
    const { actor } = await pic.setupCanister<Counter>({ idlFactory: counterFactory, wasm });
    assert.equal(await actor.inc(), 1n);
  }));

function leb128(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest & 127) | 128);
  }
}

test("time is set, advanced, reset, and certified at will", () =>
  withPic(undefined, async (pic) => {
    assert.equal(await pic.getTime(), 1_620_328_630_000);
    await pic.tick(3);
    assert.equal(await pic.getTime(), 1_620_328_630_000);
    await pic.setTime(1_700_000_000_000);
    assert.equal(await pic.getTime(), 1_700_000_000_000);
    await pic.advanceTime(1_500);
    assert.equal(await pic.getTime(), 1_700_000_001_500);
    await pic.setCertifiedTime(new Date(1_700_000_002_000));
    await pic.advanceCertifiedTime(500);
    assert.equal(await pic.getTime(), 1_700_000_002_500);
    await assert.rejects(
      pic.setTime(1_600_000_000_000),
      /SettingTimeIntoPast\(\(\d+, 1600000000000000000\)\)/,
    );
    const begun = Date.now();
    await pic.resetTime();
    assert.ok((await pic.getTime()) >= begun);
    await pic.resetCertifiedTime();
  }));

test("topologies, keys and subnets", () =>
  withPic(
    {
      nns: NEW,
      sns: NEW,
      ii: NEW,
      fiduciary: NEW,
      bitcoin: NEW,
      system: [NEW],
      application: [NEW, { ...NEW, costSchedule: CanisterCyclesCostSchedule.Free }],
    },
    async (pic) => {
      const topology = await pic.getTopology();
      assert.deepEqual(
        topology.map(({ type, size }) => [type, size]),
        [
          [SubnetType.NNS, 40],
          [SubnetType.SNS, 34],
          [SubnetType.InternetIdentity, 34],
          [SubnetType.Fiduciary, 34],
          [SubnetType.Bitcoin, 13],
          [SubnetType.System, 13],
          [SubnetType.Application, 13],
          [SubnetType.Application, 13],
        ],
      );
      const nns = await pic.getNnsSubnet();
      const sns = await pic.getSnsSubnet();
      const ii = await pic.getInternetIdentitySubnet();
      const fiduciary = await pic.getFiduciarySubnet();
      const bitcoin = await pic.getBitcoinSubnet();
      assert.deepEqual(
        [nns, sns, ii, fiduciary, bitcoin].map((subnet) => subnet?.type),
        ["NNS", "SNS", "II", "Fiduciary", "Bitcoin"],
      );
      const [, free] = await pic.getApplicationSubnets();
      assert.equal((await pic.getSystemSubnets()).length, 1);
      assert.ok(nns !== undefined && free !== undefined);
      assert.equal((await pic.getPubKey(nns.id)).length, 133);
      const canisterId = await pic.createCanister({ targetSubnetId: free.id });
      assert.equal((await pic.getCanisterSubnetId(canisterId))?.toText(), free.id.toText());
      const registry = Principal.fromText("rwlgt-iiaaa-aaaaa-aaaaa-cai");
      assert.equal(await pic.getCanisterSubnetId(registry), null);
      assert.deepEqual(await pic.createCanister({ targetCanisterId: registry }), registry);
      assert.equal((await pic.getCanisterSubnetId(registry))?.toText(), nns.id.toText());
      const [first] = await pic.getApplicationSubnets();
      const effective = await pic.getDefaultEffectiveCanisterId();
      assert.equal(effective.toText(), first?.canisterRanges[0]?.start.toText());
    },
  ));

test("cycles and stable memory from outside", () =>
  withPic(undefined, async (pic) => {
    const canisterId = await pic.createCanister({ cycles: 1_000n });
    assert.equal(await pic.getCyclesBalance(canisterId), 1_000n);
    assert.equal(await pic.addCycles(canisterId, 2n ** 70n), 2n ** 70n + 1_000n);
    await pic.installCode({ canisterId, wasm: fixture("stable-structures.classic") });
    await pic.setStableMemory(canisterId, Uint8Array.of(1, 2, 3));
    const stable = await pic.getStableMemory(canisterId);
    assert.deepEqual([stable.length, ...stable.subarray(0, 4)], [65_536, 1, 2, 3, 0]);
    await assert.rejects(pic.getCyclesBalance(Principal.managementCanister()), /CanisterNotFound/);
  }));

const asker = await outcallerModule();
const askerFactory: IDL.InterfaceFactory = ({ IDL: idl }) =>
  idl.Service({
    ask: idl.Func([OutcallRequestType], [idl.Record({ status: idl.Nat, body: idl.Vec(idl.Nat8) })], []),
  });
interface Asker {
  ask(request: unknown): Promise<{ readonly status: bigint; readonly body: Uint8Array }>;
}
const request = (url: string): unknown => outcallRequest(url, [{ name: "x-test", value: "1" }]);

test("HTTPS outcalls are seen and mocked", () =>
  withPic(undefined, async (pic) => {
    const { canisterId } = await pic.setupCanister({ idlFactory: askerFactory, wasm: asker });
    const actor = pic.createDeferredActor<Asker>(askerFactory, canisterId);
    const answer = await actor.ask(request("https://example.com/a"));
    await pic.tick(2);
    const [outcall] = await pic.getPendingHttpsOutcalls();
    assert.ok(outcall !== undefined);
    const { subnetId, requestId, url, httpMethod, headers, maxResponseBytes } = outcall;
    assert.deepEqual(
      [url, httpMethod, headers, maxResponseBytes],
      ["https://example.com/a", "GET", [["x-test", "1"]], 1_000],
    );
    const response: HttpsOutcallResponseMock = {
      type: "success",
      statusCode: 201,
      headers: [],
      body: new TextEncoder().encode("mock"),
    };
    await pic.mockPendingHttpsOutcall({ subnetId, requestId, response });
    const { status, body } = await answer();
    assert.deepEqual([status, new TextDecoder().decode(new Uint8Array(body))], [201n, "mock"]);
    assert.deepEqual(await pic.getPendingHttpsOutcalls(), []);
    await assert.rejects(
      pic.mockPendingHttpsOutcall({ subnetId, requestId, response }),
      /InvalidCanisterHttpRequestId/,
    );
    const stuck = await actor.ask(request("https://example.com/b"));
    await assert.rejects(stuck(), /Failed to answer to ingress 0x[0-9a-f]{64} after 100 rounds\./);
    const [second] = await pic.getPendingHttpsOutcalls();
    assert.ok(second !== undefined);
    const reject = { type: "reject", statusCode: 2, message: "down" } as const;
    await pic.mockPendingHttpsOutcall({ ...second, response: reject, additionalResponses: [] });
    const two = { ...second, response: reject, additionalResponses: [reject] };
    await assert.rejects(pic.mockPendingHttpsOutcall(two), ServerError);
  }));

test("a live network answers agents at its port, and makes outcalls", () =>
  withPic({ nns: NEW, application: [NEW] }, async (pic) => {
    const server = createServer((_, response) => response.end("from outside"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { canisterId } = await pic.setupCanister<Counter>({ idlFactory: counterFactory, wasm: COUNTER });
    const { canisterId: asking } = await pic.setupCanister({ idlFactory: askerFactory, wasm: asker });
    const port = await pic.makeLive();
    assert.equal(await pic.makeLive(), port);
    const agent = await HttpAgent.create({ host: `http://127.0.0.1:${port}`, shouldFetchRootKey: true });
    const actor = AgentActor.createActor<Counter>(counterFactory, { agent, canisterId });
    assert.equal(await actor.inc(), 1n);
    assert.equal(await actor.get(), 1n);
    const { port: outside } = server.address() as AddressInfo;
    const answer = await AgentActor.createActor<Asker>(askerFactory, { agent, canisterId: asking }).ask(
      request(`http://127.0.0.1:${outside}/x`),
    );
    assert.equal(new TextDecoder().decode(new Uint8Array(answer.body)), "from outside");
    await pic.stopLive();
    await assert.rejects(fetch(`http://127.0.0.1:${port}/api/v2/status`));
    await new Promise((resolve) => server.close(resolve));
  }));

test("a copy goes its own way", () =>
  withPic(undefined, async (pic) => {
    const { actor, canisterId } = await pic.setupCanister<Counter>({
      idlFactory: counterFactory,
      wasm: COUNTER,
    });
    await actor.inc();
    await pic.trace(true);
    await actor.get();
    assert.deepEqual(await pic.takeTraces(), { traces: [], text: "" });
    await pic.trace(false);
    const fork = await pic.fork();
    const other = fork.createActor<Counter>(counterFactory, canisterId);
    assert.equal(await other.inc(), 2n);
    assert.equal(await actor.inc(), 2n);
    await fork.tearDown();
    await assert.rejects(other.get(), /Instance was deleted/);
    assert.equal(await actor.get(), 2n);
  }));

test("identities are PicJS's for the same phrase", () => {
  assert.equal(
    createIdentity("superSecretAlicePassword").getPrincipal().toText(),
    "wudoi-4syvu-ai4px-bmcck-k5dw4-yau2x-d5pfg-bfvod-iod5o-4j6ep-uqe",
  );
  assert.notEqual(
    generateRandomIdentity().getPrincipal().toText(),
    generateRandomIdentity().getPrincipal().toText(),
  );
});

test("what cannot be had is refused in words", async () => {
  await assert.rejects(
    PocketIc.create("", { nns: { state: { type: SubnetStateType.FromPath, path: "/state" } } }),
    /reads only what it wrote itself/,
  );
  await assert.rejects(
    PocketIc.create("", { application: [NEW], icpFeatures: { registry: "DefaultConfig" } }),
    /icpFeatures registry/,
  );
});

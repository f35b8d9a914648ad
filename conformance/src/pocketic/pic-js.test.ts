/** The published PicJS client, unmodified, over the server that it starts itself: its whole public interface. */
import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import {
  type Actor,
  CanisterCyclesCostSchedule,
  createIdentity,
  generateRandomIdentity,
  IcpConfigFlag,
  PocketIc,
  PocketIcServer,
  SubnetStateType,
  SubnetType,
} from "@dfinity/pic";
import { IDL } from "@icp-sdk/core/candid";
import { fixturePath } from "../harness.ts";
import { universalModule } from "../suite/module.ts";
import { code, ic0, reply64 } from "../suite/script.ts";
import { BINARY } from "./server.ts";

type Id = Awaited<ReturnType<PocketIc["createCanister"]>>;
type Factory = Parameters<PocketIc["createActor"]>[0];

interface Counter {
  inc: () => Promise<bigint>;
  add: (amount: bigint) => Promise<bigint>;
  get: () => Promise<bigint>;
  set: (value: bigint) => Promise<void>;
}

const counterFactory = (({ IDL }: { IDL: typeof import("@icp-sdk/core/candid").IDL }) =>
  IDL.Service({
    inc: IDL.Func([], [IDL.Nat]),
    add: IDL.Func([IDL.Nat], [IDL.Nat]),
    get: IDL.Func([], [IDL.Nat], ["query"]),
    set: IDL.Func([IDL.Nat], []),
  })) as unknown as Factory;

interface Hooks {
  setHeartbeat: (on: boolean) => Promise<void>;
  counts: () => Promise<{ readonly heartbeats: bigint }>;
}

const hooksFactory = (({ IDL }: { IDL: typeof import("@icp-sdk/core/candid").IDL }) =>
  IDL.Service({
    setHeartbeat: IDL.Func([IDL.Bool], []),
    counts: IDL.Func([], [IDL.Record({ heartbeats: IDL.Nat })], ["query"]),
  })) as unknown as Factory;

const NEW = { type: SubnetStateType.New } as const;
const GENESIS_MS = 1_620_328_630_000;

const onPosix = { skip: process.platform === "win32" ? "PicJS starts no server there" : false };

describe("PicJS", onPosix, () => {
  let server: PocketIcServer;

  before(async () => {
    server = await PocketIcServer.start({ binPath: BINARY });
  });
  after(async () => {
    await server.stop();
    // PicJS makes it its owner's alone.
    chmodSync(BINARY, 0o755);
  });

  /** Runs with an instance that goes away afterwards. */
  async function withPic(
    run: (pic: PocketIc) => Promise<void>,
    options: Parameters<typeof PocketIc.create>[1] = { application: [{ state: NEW }] },
  ): Promise<void> {
    const pic = await PocketIc.create(server.getUrl(), options);
    try {
      await run(pic);
    } finally {
      await pic.tearDown();
    }
  }

  const counterOn = (pic: PocketIc): Promise<{ actor: Actor<Counter>; canisterId: Id }> =>
    pic.setupCanister<Counter>({ idlFactory: counterFactory, wasm: fixturePath("counter.eop") });

  async function universalOn(pic: PocketIc, more: object = {}): Promise<Id> {
    const canisterId = await pic.createCanister(more);
    await pic.installCode({ canisterId, wasm: universalModule() });
    return canisterId;
  }

  test("a server with the name of a URL; the same server for who asks again", async () => {
    assert.match(server.getUrl(), /^http:\/\/127\.0\.0\.1:\d+$/);
  });

  test("an actor's queries and updates, by several identities", () =>
    withPic(async (pic) => {
      const { actor, canisterId } = await counterOn(pic);
      assert.equal(await actor.inc(), 1n);
      actor.setIdentity(createIdentity("alice"));
      assert.equal(await actor.add(41n), 42n);
      actor.setPrincipal(generateRandomIdentity().getPrincipal());
      assert.equal(await actor.get(), 42n);
      const again = pic.createActor<Counter>(counterFactory, canisterId);
      await again.set(7n);
      assert.equal(await actor.get(), 7n);
    }));

  test("calls with raw arguments; whose answers are awaited in any order", () =>
    withPic(async (pic) => {
      const { canisterId } = await counterOn(pic);
      const empty = IDL.encode([], []);
      const raw = await pic.updateCall({ canisterId, method: "inc", arg: empty });
      assert.deepEqual(IDL.decode([IDL.Nat], new Uint8Array(raw)), [1n]);
      const read = await pic.queryCall({ canisterId, method: "get", arg: empty });
      assert.deepEqual(IDL.decode([IDL.Nat], new Uint8Array(read)), [1n]);
      const deferred = pic.createDeferredActor<Counter>(counterFactory, canisterId);
      deferred.setIdentity(createIdentity("bob"));
      const first = await deferred.inc();
      const second = await deferred.inc();
      assert.equal(await second(), 3n);
      assert.equal(await first(), 2n);
    }));

  test("errors of canisters, with the names of their codes", () =>
    withPic(async (pic) => {
      const canisterId = await universalOn(pic);
      await assert.rejects(pic.updateCall({ canisterId, method: "update", arg: code("no!", ic0.trap) }), {
        message:
          /^Canister call failed: .*no!.*Reject code: CanisterError\. Error code: CanisterCalledTrap\. Certified: true$/s,
      });
      await assert.rejects(pic.queryCall({ canisterId, method: "nothing" }), {
        message: /Reject code: CanisterError\. Error code: CanisterMethodNotFound\. Certified: false/,
      });
      await assert.rejects(
        pic.updateCall({ canisterId, method: "update", arg: code("why", ic0.msg_reject) }),
        {
          message:
            /why\. Reject code: CanisterReject\. Error code: CanisterRejectedMessage\. Certified: true/,
        },
      );
      const stranger = createIdentity("stranger").getPrincipal();
      await assert.rejects(pic.stopCanister({ canisterId, sender: stranger }), {
        message: /Error code: CanisterInvalidController\. Certified: false/,
      });
    }));

  test("installation in every mode, in chunks, and settings", () =>
    withPic(async (pic) => {
      const controller = createIdentity("controller").getPrincipal();
      const canisterId = await pic.createCanister({
        sender: controller,
        controllers: [controller],
        cycles: 10n ** 13n,
        freezingThreshold: 100n,
        memoryAllocation: 10_000_000n,
        environmentVariables: [{ name: "A", value: "b" }],
      });
      const target = { canisterId, sender: controller };
      await pic.installCode({ ...target, wasm: fixturePath("counter.eop") });
      const actor = pic.createActor<Counter>(counterFactory, canisterId);
      await actor.add(5n);
      const keep = {
        skip_pre_upgrade: [] as [],
        wasm_memory_persistence: [{ keep: null }] as [{ keep: null }],
      };
      await pic.upgradeCanister({ ...target, wasm: fixturePath("counter.eop"), upgradeModeOptions: keep });
      assert.equal(await actor.get(), 5n);
      await pic.reinstallCode({ ...target, wasm: fixturePath("counter.eop") });
      assert.equal(await actor.get(), 0n);
      // More than fits into one message: PicJS uploads it in chunks.
      const big = universalModule({ sections: { "icp:public filler": new Uint8Array(900_000) } });
      const long = code(new Uint8Array(1_200_000), ic0.debug_print);
      await pic.reinstallCode({ ...target, wasm: big, arg: long });
      await pic.updateCanisterSettings({
        ...target,
        controllers: [controller, canisterId],
        computeAllocation: 1n,
      });
      const status = await pic.canisterStatus(target);
      assert.deepEqual(status.settings.computeAllocation, 1n);
      assert.equal(status.settings.freezingThreshold, 100n);
      assert.deepEqual(status.settings.environmentVariables, [{ name: "A", value: "b" }]);
      assert.ok(status.moduleHash !== null && status.cycles > 0n && status.memorySize > 0n);
      await pic.stopCanister(target);
      assert.deepEqual((await pic.canisterStatus(target)).status, { stopped: null });
      await pic.startCanister(target);
      assert.deepEqual((await pic.canisterStatus(target)).status, { running: null });
      const controllers = (await pic.getControllers(canisterId)).map((id) => id.toText()).sort();
      assert.deepEqual(controllers, [controller.toText(), canisterId.toText()].sort());
    }));

  test("time, to the millisecond and to the nanosecond", () =>
    withPic(async (pic) => {
      assert.equal(await pic.getTime(), GENESIS_MS);
      const canisterId = await universalOn(pic);
      const certified = async (): Promise<bigint> => {
        const read = await pic.queryCall({ canisterId, method: "query", arg: code(ic0.time, reply64) });
        return new DataView(Uint8Array.from(read).buffer).getBigUint64(0, true) / 1_000_000n;
      };
      await pic.setTime(GENESIS_MS + 60_000);
      assert.equal(await pic.getTime(), GENESIS_MS + 60_000);
      await pic.advanceTime(500);
      assert.equal(await certified(), BigInt(GENESIS_MS), "certified only by a round");
      await pic.tick();
      assert.equal(await certified(), BigInt(GENESIS_MS + 60_500));
      await pic.setCertifiedTime(new Date(GENESIS_MS + 120_000));
      assert.equal(await certified(), BigInt(GENESIS_MS + 120_000));
      await pic.advanceCertifiedTime(1_000);
      await pic.advanceTime(0);
      assert.equal(await pic.getTime(), GENESIS_MS + 121_000);
      await pic.tick();
      await pic.tick(3);
      await assert.rejects(pic.setTime(new Date("2000-01-01T00:00:00Z")), {
        message: /SettingTimeIntoPast\(\(16203287510000000\d\d, 946684800000000000\)\)/,
      });
      const now = Date.now();
      await pic.resetTime();
      await pic.resetCertifiedTime();
      assert.ok((await pic.getTime()) >= now);
    }));

  test("every kind of subnet, and the ids that canisters get", () =>
    withPic(
      async (pic) => {
        const topology = await pic.getTopology();
        const sizes = Object.fromEntries(topology.map(({ type, size }) => [type, size]));
        assert.deepEqual(sizes, {
          [SubnetType.NNS]: 40,
          [SubnetType.SNS]: 34,
          [SubnetType.InternetIdentity]: 34,
          [SubnetType.Fiduciary]: 34,
          [SubnetType.Bitcoin]: 13,
          [SubnetType.System]: 13,
          [SubnetType.Application]: 13,
        });
        const nns = await pic.getNnsSubnet();
        assert.ok(nns !== undefined);
        assert.equal((await pic.getPubKey(nns.id)).length, 133);
        for (const found of [
          await pic.getSnsSubnet(),
          await pic.getInternetIdentitySubnet(),
          await pic.getFiduciarySubnet(),
          await pic.getBitcoinSubnet(),
          (await pic.getSystemSubnets())[0],
        ]) {
          assert.ok(found !== undefined);
          const canisterId = await pic.createCanister({ targetSubnetId: found.id });
          assert.equal((await pic.getCanisterSubnetId(canisterId))?.toText(), found.id.toText());
        }
        const applications = await pic.getApplicationSubnets();
        assert.equal(applications.length, 2);
        const canisterId = await pic.createCanister();
        assert.equal((await pic.getDefaultEffectiveCanisterId()).toText(), canisterId.toText());
        assert.equal((await pic.getCanisterSubnetId(canisterId))?.toText() !== undefined, true);
      },
      {
        nns: { state: NEW },
        sns: { state: NEW },
        ii: { state: NEW },
        fiduciary: { state: NEW },
        bitcoin: { state: NEW },
        system: [{ state: NEW }],
        application: [
          { state: NEW, enableDeterministicTimeSlicing: false },
          {
            state: NEW,
            enableBenchmarkingInstructionLimits: true,
            costSchedule: CanisterCyclesCostSchedule.Free,
          },
        ],
        icpConfig: { betaFeatures: IcpConfigFlag.Enabled },
      },
    ));

  test("cycles beyond 2^64, and no canister at all", () =>
    withPic(async (pic) => {
      const canisterId = await pic.createCanister({ cycles: 0n });
      const amount = 2n ** 100n + 1n;
      assert.equal(await pic.addCycles(canisterId, amount), amount);
      assert.equal(await pic.getCyclesBalance(canisterId), amount);
      const nobody = generateRandomIdentity().getPrincipal();
      assert.equal(await pic.getCanisterSubnetId(nobody), null);
      for (const ask of [
        () => pic.getCyclesBalance(nobody),
        () => pic.getControllers(nobody),
        () => pic.addCycles(nobody, 1n),
      ]) {
        await assert.rejects(ask, { message: /CanisterNotFound\(CanisterId\(/ });
      }
    }));

  test("stable memory set and read", () =>
    withPic(async (pic) => {
      const { canisterId } = await counterOn(pic);
      const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => i % 251);
      await pic.setStableMemory(canisterId, bytes);
      const read = await pic.getStableMemory(canisterId);
      assert.equal(read.length, 131_072);
      assert.deepEqual(Buffer.from(read.subarray(0, bytes.length)), Buffer.from(bytes));
      const empty = await pic.createCanister();
      await assert.rejects(pic.getStableMemory(empty), { message: /CanisterIsEmpty\(CanisterId\(/ });
    }));

  test("heartbeats run in every round that is asked for, and in no other", () =>
    withPic(async (pic) => {
      const { actor } = await pic.setupCanister<Hooks>({
        idlFactory: hooksFactory,
        wasm: fixturePath("hooks.eop"),
        arg: IDL.encode([IDL.Text], [""]),
      });
      await actor.setHeartbeat(true);
      const beats = async (): Promise<bigint> => (await actor.counts()).heartbeats;
      const before = await beats();
      assert.equal(await beats(), before);
      await pic.tick(5);
      assert.equal(await beats(), before + 5n);
      await pic.advanceTime(3_600_000);
      assert.equal(await beats(), before + 5n);
      await pic.tick();
      assert.equal(await beats(), before + 6n);
      await actor.setHeartbeat(false);
      const after = await beats();
      await pic.tick(3);
      assert.equal(await beats(), after);
    }));

  test("two servers' worth of instances: what one does no other sees", () =>
    withPic((one) =>
      withPic(async (other) => {
        const { canisterId, actor } = await counterOn(one);
        await actor.inc();
        await assert.rejects(other.getCyclesBalance(canisterId), { message: /CanisterNotFound/ });
        await other.setTime(GENESIS_MS + 5_000);
        assert.equal(await one.getTime(), GENESIS_MS);
      }),
    ));

  test("a topology without subnets is refused", async () => {
    await assert.rejects(PocketIc.create(server.getUrl(), { application: [] }));
  });
});

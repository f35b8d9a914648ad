/** Canister ids, ranges and subnet ids of instances: those that PocketIC 14 gives for the same topology, which projects have written down. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { IcpFeaturesConfig, PocketIc, SubnetStateType } from "@dfinity/pic";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { ask, newInstance, type Server, startServer } from "./server.ts";

const NEW = { state: { type: SubnetStateType.New } as const };
type Options = Parameters<typeof PocketIc.create>[1];
type Id = NonNullable<NonNullable<Parameters<PocketIc["createCanister"]>[0]>["targetCanisterId"]>;

/** The ids of the first two canisters of a topology, without naming a subnet. */
const FIRST_TWO: readonly (readonly [string, Options, readonly [string, string]])[] = [
  [
    "an application subnet",
    { application: [NEW] },
    ["lxzze-o7777-77777-aaaaa-cai", "lqy7q-dh777-77777-aaaaq-cai"],
  ],
  [
    "the NNS, the II and an application subnet",
    { nns: NEW, ii: NEW, application: [NEW] },
    ["tqzl2-p7777-77776-aaaaa-cai", "txyno-ch777-77776-aaaaq-cai"],
  ],
  [
    "the NNS and an application subnet",
    { nns: NEW, application: [NEW] },
    ["7tjcv-pp777-77776-qaaaa-cai", "7uieb-cx777-77776-qaaaq-cai"],
  ],
  [
    "a system subnet",
    { system: [NEW], application: [] },
    ["lxzze-o7777-77777-aaaaa-cai", "lqy7q-dh777-77777-aaaaq-cai"],
  ],
];

/** Every kind of subnet by its name in a configuration: its name in a topology, and its size, which fees follow. */
const KINDS: readonly (readonly [string, string, number])[] = [
  ["nns", "NNS", 40],
  ["sns", "SNS", 34],
  ["ii", "II", 34],
  ["fiduciary", "Fiduciary", 34],
  ["bitcoin", "Bitcoin", 13],
  ["test_threshold_keys", "TestThresholdKeys", 13],
  ["system", "System", 13],
  ["application", "Application", 13],
  ["verified_application", "VerifiedApplication", 13],
  ["cloud_engine", "CloudEngine", 13],
];
/** There may be several of these. */
const LISTED: readonly string[] = ["system", "application", "verified_application", "cloud_engine"];

/** Ids of the public network, and the subnet that they are on. */
const SPECIFIED: readonly (readonly [string, keyof NonNullable<Options>, string])[] = [
  ["registry", "nns", "rwlgt-iiaaa-aaaaa-aaaaa-cai"],
  ["governance", "nns", "rrkah-fqaaa-aaaaa-aaaaq-cai"],
  ["II", "ii", "rdmx6-jaaaa-aaaaa-aaadq-cai"],
  ["cycles ledger", "ii", "um5iw-rqaaa-aaaaq-qaaba-cai"],
  ["Bitcoin", "bitcoin", "g4xu7-jiaaa-aaaan-aaaaq-cai"],
];

describe("ids of PocketIC instances", () => {
  let server: Server;

  before(async () => {
    server = await startServer({ arguments: ["--log-levels", "error"] });
  });
  after(() => server.end());

  for (const [name, options, expected] of FIRST_TWO) {
    test(`${name}: the ids of its first canisters`, async () => {
      const pic = await PocketIc.create(server.url, options);
      assert.equal((await pic.getDefaultEffectiveCanisterId()).toText(), expected[0]);
      for (const id of expected) assert.equal((await pic.createCanister()).toText(), id);
      await pic.tearDown();
    });
  }

  test("every kind of subnet, named and sized in the topology, takes canisters", async () => {
    const config = Object.fromEntries(
      KINDS.map(([kind]) => {
        const spec = { state_config: "New" };
        return [kind, LISTED.includes(kind) ? [spec] : spec];
      }),
    );
    const id = await newInstance(server, { subnet_config_set: config });
    const read = await ask(server, `/instances/${id}/read/topology`);
    const subnets = (
      read.json() as {
        readonly subnet_configs: Readonly<
          Record<string, { readonly subnet_kind: string; readonly size: number }>
        >;
      }
    ).subnet_configs;
    const told = Object.values(subnets).map(({ subnet_kind, size }) => [subnet_kind, size]);
    assert.deepEqual(told.sort(), KINDS.map(([, name, size]) => [name, size]).sort());
    const settings = IDL.Record({ amount: IDL.Opt(IDL.Nat) });
    const payload = Buffer.from(IDL.encode([settings], [{ amount: [] }])).toString("base64");
    for (const text of Object.keys(subnets)) {
      const subnet = Buffer.from(Principal.fromText(text).toUint8Array()).toString("base64");
      const body = {
        sender: "BA==",
        canister_id: "",
        effective_principal: { SubnetId: subnet },
        method: "provisional_create_canister_with_cycles",
        payload,
      };
      const at = (path: string, sent: unknown): ReturnType<typeof ask> =>
        ask(server, `/instances/${id}/${path}`, { body: JSON.stringify(sent) });
      const { Ok: message } = (await at("update/submit_ingress_message", body)).json() as { Ok: unknown };
      const { Ok: reply } = (await at("update/await_ingress_message", message)).json() as { Ok: string };
      const [{ canister_id: made }] = IDL.decode(
        [IDL.Record({ canister_id: IDL.Principal })],
        Uint8Array.from(Buffer.from(reply, "base64")),
      ) as unknown as [{ readonly canister_id: Principal }];
      const canister = { canister_id: Buffer.from(made.toUint8Array()).toString("base64") };
      assert.deepEqual((await at("read/get_subnet", canister)).json(), { subnet_id: subnet }, text);
    }
    assert.equal((await ask(server, `/instances/${id}`, { method: "DELETE" })).status, 200);
  });

  test("named subnets hold the ids that they hold on the public network", async () => {
    const named = { nns: NEW, sns: NEW, ii: NEW, fiduciary: NEW, bitcoin: NEW, application: [NEW] };
    const pic = await PocketIc.create(server.url, named);
    const subnets = {
      nns: await pic.getNnsSubnet(),
      ii: await pic.getInternetIdentitySubnet(),
      bitcoin: await pic.getBitcoinSubnet(),
    };
    for (const [name, on, text] of SPECIFIED) {
      const id = await pic.createCanister({ targetCanisterId: Principal.fromText(text) as unknown as Id });
      assert.equal(id.toText(), text, name);
      const subnet = subnets[on as keyof typeof subnets];
      assert.equal((await pic.getCanisterSubnetId(id))?.toText(), subnet?.id.toText(), name);
    }
    await assert.rejects(
      pic.createCanister({
        targetCanisterId: Principal.fromText(SPECIFIED[0]?.[2] as string) as unknown as Id,
      }),
      { message: /Error code: CanisterIdAlreadyExists|already/ },
    );
    await pic.tearDown();
  });

  test("an id of the public network that no subnet holds brings its subnet, a generated one is refused", async () => {
    const pic = await PocketIc.create(server.url, { application: [NEW] });
    const foreign = Principal.fromText("uvbk4-7qaaa-aaaah-aaaaa-cai") as unknown as Id;
    const subnetsBefore = (await pic.getTopology()).length;
    assert.equal((await pic.createCanister({ targetCanisterId: foreign })).toText(), foreign.toText());
    assert.equal((await pic.getTopology()).length, subnetsBefore + 1);
    const generated = Principal.fromText("lqy7q-dh777-77777-aaaaq-cai") as unknown as Id;
    await assert.rejects(pic.createCanister({ targetCanisterId: generated }), {
      message:
        /The `specified_id` lqy7q-dh777-77777-aaaaq-cai is invalid because it belongs to the canister allocation ranges of the test environment\./,
    });
    await pic.tearDown();
  });

  test("ICP features come with their subnets, under their ids, with what the anonymous principal is given", async () => {
    const icpFeatures = {
      icpToken: IcpFeaturesConfig.DefaultConfig,
      cyclesToken: IcpFeaturesConfig.DefaultConfig,
      cyclesMinting: IcpFeaturesConfig.DefaultConfig,
    };
    const pic = await PocketIc.create(server.url, { application: [NEW], icpFeatures });
    assert.equal(await pic.getTime(), Date.parse("2021-05-10T08:00:01Z"));
    const Account = IDL.Record({ owner: IDL.Principal, subaccount: IDL.Opt(IDL.Vec(IDL.Nat8)) });
    const arg = IDL.encode([Account], [{ owner: Principal.anonymous(), subaccount: [] }]);
    for (const [ledger, balance] of [
      ["ryjl3-tyaaa-aaaaa-aaaba-cai", 10n ** 17n],
      ["um5iw-rqaaa-aaaaq-qaaba-cai", 2n ** 127n],
    ] as const) {
      const canisterId = Principal.fromText(ledger) as unknown as Id;
      const reply = await pic.queryCall({ canisterId, method: "icrc1_balance_of", arg });
      assert.deepEqual(IDL.decode([IDL.Nat], Uint8Array.from(reply)), [balance], ledger);
    }
    const minting = Principal.fromText("rkp4c-7iaaa-aaaaa-aaaca-cai") as unknown as Id;
    assert.equal((await pic.getCanisterSubnetId(minting))?.toText(), (await pic.getNnsSubnet())?.id.toText());
    await pic.tearDown();
  });

  test("instances of one topology are alike to the last key", async () => {
    const [one, other] = [
      await PocketIc.create(server.url, { nns: NEW, application: [NEW] }),
      await PocketIc.create(server.url, { nns: NEW, application: [NEW] }),
    ];
    assert.deepEqual(
      (await one.getTopology()).map(({ id }) => id.toText()),
      (await other.getTopology()).map(({ id }) => id.toText()),
    );
    await one.tearDown();
    await other.tearDown();
  });
});

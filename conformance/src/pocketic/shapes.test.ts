/**
 * Requests of the shapes that the Rust and the Python client send, and what those clients read from the answers; long operations; a canister that
 * spins while others are asked.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { encodeCbor } from "@orrery/base";
import { type HashTree, hashTreeToCbor, reconstruct } from "@orrery/crypto";
import { canisterSignatureKey } from "../suite/identity.ts";
import { universalModule } from "../suite/module.ts";
import { code, copied, ic0, op, reply, times } from "../suite/script.ts";
import {
  type Asked,
  ask,
  newInstance,
  type Reply,
  type Server,
  startServer,
  withIntegers,
} from "./server.ts";

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const ANONYMOUS = base64(Principal.anonymous().toUint8Array());
const STRANGER = base64(Uint8Array.of(1, 2, 3, 4));

interface MessageId {
  readonly effective_principal: { readonly SubnetId: string };
  readonly message_id: string;
}

describe("PocketIC shapes", () => {
  let server: Server;
  let id: number;

  before(async () => {
    server = await startServer({ arguments: ["--log-levels", "error"] });
    id = await newInstance(server);
  });
  after(() => server.end());

  const at = (path: string, body?: unknown, asked: Asked = {}): Promise<Reply> =>
    ask(server, `/instances/${id}/${path}`, {
      ...asked,
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : withIntegers(body) }),
    });

  async function json<T>(path: string, body?: unknown): Promise<T> {
    const answer = await at(path, body);
    assert.equal(answer.status, 200, `${path}: ${answer.text}`);
    return answer.json() as T;
  }

  const call = (canister: string, method: string, payload: string, more: object = {}): object => ({
    sender: ANONYMOUS,
    canister_id: canister,
    effective_principal: "None",
    method,
    payload,
    ...more,
  });

  async function update(told: object): Promise<Uint8Array> {
    const submitted = await json<{ readonly Ok?: MessageId }>("update/submit_ingress_message", told);
    assert.ok(submitted.Ok !== undefined, JSON.stringify(submitted));
    const result = await json<{ readonly Ok?: string }>("update/await_ingress_message", submitted.Ok);
    assert.ok(result.Ok !== undefined, JSON.stringify(result));
    return new Uint8Array(Buffer.from(result.Ok, "base64"));
  }

  async function manage(
    canister: Uint8Array,
    method: string,
    types: IDL.Type[],
    args: unknown[],
  ): Promise<Uint8Array> {
    const effective = { effective_principal: { CanisterId: base64(canister) } };
    return await update(call("", method, base64(new Uint8Array(IDL.encode(types, args))), effective));
  }

  async function createCanister(): Promise<Uint8Array> {
    const Settings = IDL.Record({
      amount: IDL.Opt(IDL.Nat),
      settings: IDL.Opt(IDL.Null),
      specified_id: IDL.Opt(IDL.Principal),
    });
    const arg = IDL.encode([Settings], [{ amount: [10n ** 18n], settings: [], specified_id: [] }]);
    const created = await update(
      call("", "provisional_create_canister_with_cycles", base64(new Uint8Array(arg))),
    );
    const [{ canister_id: made }] = IDL.decode(
      [IDL.Record({ canister_id: IDL.Principal })],
      created,
    ) as unknown as [{ readonly canister_id: Principal }];
    return made.toUint8Array();
  }

  async function installed(): Promise<string> {
    const canister = await createCanister();
    const Install = IDL.Record({
      mode: IDL.Variant({ install: IDL.Null }),
      canister_id: IDL.Principal,
      wasm_module: IDL.Vec(IDL.Nat8),
      arg: IDL.Vec(IDL.Nat8),
    });
    const arg = {
      mode: { install: null },
      canister_id: Principal.fromUint8Array(canister),
      wasm_module: universalModule(),
      arg: new Uint8Array(0),
    };
    await manage(canister, "install_code", [Install], [arg]);
    return base64(canister);
  }

  const echo = base64(code("hello", reply));

  test("the whole configuration of version 14, and the ones of earlier clients", async () => {
    const spec = {
      state_config: "New",
      instruction_config: "Production",
      cost_schedule: "Normal",
      subnet_admins: null,
    };
    const configs: readonly unknown[] = [
      {
        subnet_config_set: {
          nns: null,
          sns: null,
          ii: null,
          fiduciary: null,
          bitcoin: null,
          test_threshold_keys: null,
          system: [],
          application: [spec],
          verified_application: [spec],
          cloud_engine: [spec],
        },
        http_gateway_config: null,
        state_dir: null,
        icp_config: null,
        log_level: null,
        bitcoind_addr: null,
        dogecoind_addr: null,
        icp_features: null,
        incomplete_state: null,
        mainnet_nns_subnet_id: null,
        initial_time: { Timestamp: { nanos_since_epoch: 1_700_000_000_000_000_001n } },
        disable_ingress_validation: null,
      },
      // pocketic-py 3.
      {
        subnet_config_set: {
          application: [{ dts_flag: "Enabled", instruction_config: "Production", state_config: "New" }],
          bitcoin: null,
          fiduciary: null,
          ii: null,
          nns: null,
          sns: null,
          system: [],
          verified_application: [],
        },
        state_dir: null,
        nonmainnet_features: false,
        log_level: null,
        bitcoind_addr: null,
      },
      {
        subnet_config_set: { system: [{ state_config: "New", instruction_config: "Benchmarking" }] },
        bitcoind_addr: [],
        icp_features: {},
      },
    ];
    for (const config of configs) {
      const made = await newInstance(server, config);
      assert.equal((await ask(server, `/instances/${made}`, { method: "DELETE" })).status, 200);
    }
    const dated = await newInstance(server, configs[0]);
    const read = await ask(server, `/instances/${dated}/read/get_time`);
    assert.equal(read.text, '{"nanos_since_epoch":1700000000000000001}');
  });

  test("every read, as the Rust client asks and decodes it", async () => {
    const canister = await installed();
    const topology = await json<{
      readonly subnet_configs: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
      readonly default_effective_canister_id: { readonly canister_id: string };
    }>("read/topology");
    assert.deepEqual(await json("_/topology"), topology);
    const [[subnetText, subnet] = [], ...others] = Object.entries(topology.subnet_configs);
    assert.ok(subnetText !== undefined && subnet !== undefined);
    assert.deepEqual(others, []);
    assert.equal(subnet["subnet_kind"], "Application");
    assert.equal((subnet["subnet_seed"] as unknown[]).length, 32);
    assert.equal(subnet["instruction_config"], "Production");
    assert.deepEqual([subnet["cost_schedule"], subnet["subnet_admins"]], ["Normal", null]);
    const first = Principal.fromText("lxzze-o7777-77777-aaaaa-cai").toUint8Array();
    const last = Uint8Array.from(first);
    last.set([0xff, 0xff], 6);
    last[5] = (last[5] as number) | 0x0f;
    assert.deepEqual(subnet["canister_ranges"], [
      { start: { canister_id: base64(first) }, end: { canister_id: base64(last) } },
    ]);
    const subnetId = base64(Principal.fromText(subnetText).toUint8Array());
    assert.deepEqual(await json("read/get_subnet", { canister_id: canister }), { subnet_id: subnetId });
    assert.equal(await json("read/get_subnet", { canister_id: STRANGER }), null);
    const key = await json<readonly number[]>("read/pub_key", { subnet_id: subnetId });
    assert.equal(key.length, 133);
    assert.deepEqual(await json("read/get_controllers", { canister_id: canister }), [
      { principal_id: ANONYMOUS },
    ]);
    const added = await at("update/add_cycles", { canister_id: canister, amount: 2n ** 100n });
    assert.match(added.text, /^\{"cycles":12676506\d{23}\}$/);
    assert.deepEqual(await json("read/query", call(canister, "query", echo)), {
      Ok: base64(Buffer.from("hello")),
    });
    const failed = await json<{ readonly Err: object }>(
      "read/query",
      call(canister, "query", base64(code(ic0.trap))),
    );
    assert.deepEqual(Object.keys(failed.Err).sort(), [
      "certified",
      "error_code",
      "reject_code",
      "reject_message",
    ]);
    assert.deepEqual(await json("read/get_canister_http"), []);
    assert.equal(await json("auto_progress"), false);
    const info = { info: base64(Buffer.from("{}")), signer: base64(first) };
    const informed = await at("read/query", call(canister, "query", echo, { sender_info: info }));
    assert.equal(informed.status, 200, informed.text);
  });

  test("the status of a message, told to its sender only", async () => {
    const canister = await installed();
    const { Ok: message } = await json<{ readonly Ok: MessageId }>(
      "update/submit_ingress_message",
      call(canister, "update", echo),
    );
    assert.equal(await json("read/ingress_status", { raw_message_id: message, raw_caller: null }), null);
    assert.equal(await json("update/tick", {}), null);
    assert.equal(await json("update/tick", { blockmakers: null }), null);
    assert.equal(await json("update/tick", ""), null);
    const result = { Ok: base64(Buffer.from("hello")) };
    for (const raw_caller of [null, undefined, { principal_id: ANONYMOUS }, ANONYMOUS]) {
      assert.deepEqual(await json("read/ingress_status", { raw_message_id: message, raw_caller }), result);
    }
    const foreign = await at("read/ingress_status", {
      raw_message_id: message,
      raw_caller: { principal_id: STRANGER },
    });
    assert.equal(foreign.status, 403);
    assert.match(foreign.text, /^\{"message":"Forbidden\(/);
    const byCanister = { ...message, effective_principal: { CanisterId: canister } };
    assert.deepEqual(await json("update/await_ingress_message", byCanister), result);
    const unknown = { ...message, message_id: base64(new Uint8Array(32)) };
    assert.equal(await json("read/ingress_status", { raw_message_id: unknown }), null);
  });

  test("time and block makers", async () => {
    const subnets = (
      await json<{
        readonly subnet_configs: Readonly<Record<string, { readonly node_ids: readonly object[] }>>;
      }>("read/topology")
    ).subnet_configs;
    const [[text, { node_ids }] = ["", { node_ids: [] }]] = Object.entries(subnets);
    const subnet = { subnet_id: base64(Principal.fromText(text).toUint8Array()) };
    const made = { subnet, blockmaker: node_ids[0], failed_blockmakers: [] };
    assert.equal(await json("update/tick", { blockmakers: [made] }), null);
    assert.equal(await json("update/tick", { blockmakers: { blockmakers_per_subnet: [made] } }), null);
    const stranger = await at("update/tick", {
      blockmakers: [{ ...made, blockmaker: { node_id: STRANGER } }],
    });
    assert.match(stranger.text, /^\{"message":"BlockmakerNotFound\(/);
    const both = await at("update/tick", {
      blockmakers: [{ ...made, failed_blockmakers: node_ids.slice(0, 1) }],
    });
    assert.match(both.text, /^\{"message":"BlockmakerContainedInFailed\(/);
    const time = 1_800_000_000_123_456_789n;
    assert.equal((await at("update/set_certified_time", { nanos_since_epoch: time })).text, "null");
    assert.equal((await at("update/set_time", { nanos_since_epoch: time })).text, "null");
    assert.equal((await at("read/get_time/")).text, `{"nanos_since_epoch":${time}}`);
    const past = await at("update/set_time", { nanos_since_epoch: time - 1n });
    assert.equal(past.status, 400);
    assert.equal(past.text, `{"message":"SettingTimeIntoPast((${time}, ${time - 1n}))"}`);
  });

  test("blobs, and a stable memory from one", async () => {
    const canister = await installed();
    const bytes = Buffer.from("stable".repeat(1_000));
    for (const [path, sent, headers] of [
      ["/blobstore", bytes, {}],
      ["/blobstore/", gzipSync(bytes), { "content-encoding": "gzip" }],
    ] as const) {
      const stored = await ask(server, path, { body: sent, headers });
      const blobId = createHash("sha256").update(sent).digest();
      assert.equal(stored.text, blobId.toString("hex"));
      const read = await ask(server, `/blobstore/${stored.text}`);
      assert.deepEqual(
        [read.status, read.headers["content-encoding"]],
        [
          200,
          headers === undefined
            ? undefined
            : (headers as Readonly<Record<string, string>>)["content-encoding"],
        ],
      );
      assert.equal(
        await json("update/set_stable_memory", { canister_id: canister, blob_id: base64(blobId) }),
        null,
      );
      const { blob } = await json<{ readonly blob: string }>("read/get_stable_memory", {
        canister_id: canister,
      });
      assert.deepEqual(Buffer.from(blob, "base64").subarray(0, bytes.length), bytes);
    }
    const unknown = await at("update/set_stable_memory", {
      canister_id: canister,
      blob_id: base64(new Uint8Array(32)),
    });
    assert.deepEqual(
      [unknown.status, unknown.text],
      [400, '{"message":"ConversionError { message: \\"Bad blob id\\" }"}'],
    );
    assert.equal(
      (await ask(server, "/blobstore", { body: "x", headers: { "content-encoding": "br" } })).status,
      400,
    );
    assert.equal((await ask(server, "/blobstore/zz")).status, 400);
    assert.equal((await ask(server, `/blobstore/${"00".repeat(32)}`)).status, 404);
  });

  test("automatic progress is on once, and off as often as one likes", async () => {
    const live = await newInstance(server);
    const on = (body: string): Promise<Reply> => ask(server, `/instances/${live}/auto_progress`, { body });
    assert.equal((await on("{}")).text, "null");
    assert.deepEqual([(await on('{"artificial_delay_ms":5}')).status], [400]);
    assert.equal((await ask(server, `/instances/${live}/auto_progress`)).text, "true");
    for (let i = 0; i < 2; i++) {
      assert.equal(
        (await ask(server, `/instances/${live}/stop_progress`, { body: i === 0 ? "" : "{}" })).text,
        "null",
      );
    }
    assert.equal((await on('{"artificial_delay_ms":null}')).text, "null");
    assert.equal((await ask(server, `/instances/${live}`, { method: "DELETE" })).status, 200);
    const delayed = await newInstance(server, {
      subnet_config_set: { application: [{ state_config: "New" }] },
      initial_time: { AutoProgress: { artificial_delay_ms: 600 } },
    });
    assert.equal((await ask(server, `/instances/${delayed}/auto_progress`)).text, "true");
    const { nanos_since_epoch: ns } = (await ask(server, `/instances/${delayed}/read/get_time`)).json() as {
      nanos_since_epoch: number;
    };
    assert.ok(Math.abs(ns / 1e6 - Date.now()) < 10_000);
  });

  /** About as many milliseconds of work as a client waits for by default, several times over. */
  const spin = (rounds: number): string => base64(code(times(rounds, [0, op.drop]), "done", reply));

  test("an operation that takes longer than its client waits is read later, and pruned", async () => {
    const canister = await installed();
    const { Ok: message } = await json<{ readonly Ok: MessageId }>(
      "update/submit_ingress_message",
      call(canister, "update", spin(2_000_000)),
    );
    const started = await at("update/await_ingress_message", message, {
      headers: { "processing-timeout-ms": "1" },
    });
    assert.equal(started.status, 202, started.text);
    const { state_label: label, op_id: operation } = started.json() as { state_label: string; op_id: string };
    let read = await ask(server, `/read_graph/${label}/${operation}`);
    for (let polls = 0; read.status === 404 && polls < 3_000; polls++) {
      assert.deepEqual(Object.keys(read.json() as object), ["message"]);
      await new Promise((done) => setTimeout(done, 10));
      read = await ask(server, `/read_graph/${label}/${operation}`);
    }
    assert.deepEqual([read.status, read.json()], [200, { Ok: base64(Buffer.from("done")) }]);
    const prune = (): Promise<Reply> =>
      ask(server, `/prune_graph/${label}/${operation}`, { method: "DELETE" });
    assert.equal((await prune()).status, 200);
    assert.equal((await ask(server, `/read_graph/${label}/${operation}`)).status, 410);
    assert.equal((await prune()).status, 410);
    assert.equal((await ask(server, `/read_graph/AAAA/nothing`)).status, 404);
    assert.equal((await ask(server, `/prune_graph/AAAA/nothing`, { method: "DELETE" })).status, 404);
  });

  test("while a canister spins the server answers, others go on, and the instance can be deleted", async () => {
    const before = id;
    const spinning = await newInstance(server);
    id = spinning;
    try {
      const canister = await installed();
      const { Ok: message } = await json<{ readonly Ok: MessageId }>(
        "update/submit_ingress_message",
        call(canister, "update", spin(8_000_000)),
      );
      const pending = at("update/await_ingress_message", message);
      assert.equal((await ask(server, "/status")).status, 200);
      const other = await newInstance(server);
      assert.equal((await ask(server, `/instances/${other}/read/get_time`)).status, 200);
      const states = (await ask(server, "/instances")).json() as readonly string[];
      assert.deepEqual([states[spinning], states[other]], ["Busy", "Available"]);
      assert.equal((await ask(server, `/instances/${other}`, { method: "DELETE" })).status, 200);
      const deletion = ask(server, `/instances/${spinning}`, { method: "DELETE" });
      // Whatever came of the message: the request is answered and the instance is gone.
      const { status, text } = await pending;
      assert.ok(status === 200 || status === 404, text);
      assert.equal((await deletion).status, 200);
      assert.equal((await at("read/get_time")).status, 404);
      assert.equal((await ask(server, "/instances")).text.split(",")[spinning]?.includes("Deleted"), true);
    } finally {
      id = before;
    }
  });

  test("a server ends while a canister spins", async () => {
    const [before, kept] = [server, id];
    server = await startServer({ arguments: ["--log-levels", "error"] });
    try {
      id = await newInstance(server);
      const canister = await installed();
      const told = call(canister, "update", spin(100_000_000));
      const { Ok: message } = await json<{ readonly Ok: MessageId }>("update/submit_ingress_message", told);
      const pending = at("update/await_ingress_message", message).catch(() => null);
      while (!(await ask(server, "/instances")).text.includes("Busy"))
        await new Promise((done) => setTimeout(done, 10));
      const startedMs = performance.now();
      assert.equal(await server.end("SIGTERM"), 0);
      assert.ok(performance.now() - startedMs < 10_000);
      await pending;
    } finally {
      [server, id] = [before, kept];
    }
  });

  test("what canisters print and how they trap is on stderr, line by line", async () => {
    const canister = await installed();
    await update(call(canister, "update", base64(code("hear this", ic0.debug_print, "done", reply))));
    const trapping = call(canister, "update", base64(code("no further", ic0.trap)));
    const { Ok: message } = await json<{ readonly Ok: MessageId }>("update/submit_ingress_message", trapping);
    await json("update/await_ingress_message", message);
    const text = Principal.fromUint8Array(Uint8Array.from(Buffer.from(canister, "base64"))).toText();
    const line = (said: string): RegExp =>
      new RegExp(
        `^20\\d\\d-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\.\\d{9} UTC: \\[Canister ${text}\\] .*${said}`,
        "m",
      );
    while (!line("no further").test(server.stderr())) await new Promise((done) => setTimeout(done, 10));
    assert.match(server.stderr(), line("hear this"));
    assert.equal(server.stdout(), "");
  });

  test("a canister's signature is good under the root key, and under no other", async () => {
    const canister = await installed();
    const [seed, message] = [Buffer.from("a seed"), Buffer.from("what is signed")];
    const digest = (bytes: Uint8Array): Uint8Array =>
      new Uint8Array(createHash("sha256").update(bytes).digest());
    const labeled = (label: Uint8Array, tree: HashTree): HashTree => ({ kind: "labeled", label, tree });
    const leaf: HashTree = { kind: "leaf", value: new Uint8Array(0) };
    const tree = labeled(
      new Uint8Array(Buffer.from("sig")),
      labeled(digest(seed), labeled(digest(message), leaf)),
    );
    const certify = code(reconstruct(tree), ic0.certified_data_set, ic0.msg_reply);
    await update(call(canister, "update", base64(certify)));
    const read = call(canister, "query", base64(code(copied("data_certificate"), reply)));
    const { Ok: certified } = await json<{ readonly Ok: string }>("read/query", read);
    const certificate = new Uint8Array(Buffer.from(certified, "base64"));
    const sig = base64(encodeCbor({ certificate, tree: hashTreeToCbor(tree) }));
    const id = Uint8Array.from(Buffer.from(canister, "base64"));
    const pubkey = base64(canisterSignatureKey(id, new Uint8Array(seed)));
    const subnet = await json<{ readonly subnet_id: string }>("read/get_subnet", { canister_id: canister });
    const root = base64(Uint8Array.from(await json<readonly number[]>("read/pub_key", subnet)));
    const verify = (more: object): Promise<Reply> =>
      ask(server, "/verify_signature", {
        body: JSON.stringify({ msg: base64(message), sig, pubkey, root_pubkey: root, ...more }),
      });
    const good = await verify({});
    assert.deepEqual([good.status, good.text], [200, '{"Ok":null}']);
    const otherRoot = Buffer.from(root, "base64");
    otherRoot[132] = (otherRoot[132] as number) ^ 1;
    for (const more of [
      { msg: base64(seed) },
      { sig: "AAAA" },
      { root_pubkey: otherRoot.toString("base64") },
    ]) {
      const { status, text } = await verify(more);
      assert.equal(status, 406, text);
      assert.match(text, /^\{"Err":"Canister signature verification failed/);
    }
  });

  test("subnets are deleted, but for those with a name and the last one", async () => {
    const before = id;
    id = await newInstance(server, {
      subnet_config_set: {
        nns: { state_config: "New" },
        application: [{ state_config: "New" }, { state_config: "New" }],
      },
    });
    try {
      const { subnet_configs: subnets } = await json<{
        readonly subnet_configs: Readonly<Record<string, { readonly subnet_kind: string }>>;
      }>("read/topology");
      const ids = (kind: string): readonly string[] =>
        Object.entries(subnets)
          .filter(([, { subnet_kind }]) => subnet_kind === kind)
          .map(([text]) => base64(Principal.fromText(text).toUint8Array()));
      assert.equal(await json("update/delete_subnet", { subnet_id: ids("Application")[1] }), null);
      const left = await json<{ readonly subnet_configs: object }>("read/topology");
      assert.equal(Object.keys(left.subnet_configs).length, 2);
      const named = await at("update/delete_subnet", { subnet_id: ids("NNS")[0] });
      assert.equal(named.status, 400, named.text);
      assert.equal((await at("update/tick", {})).status, 200);
    } finally {
      id = before;
    }
  });

  test("the OpenAPI document names every path", async () => {
    const { paths } = (await ask(server, "/api.json")).json() as { paths: Readonly<Record<string, object>> };
    assert.ok(Object.keys(paths).length > 30);
    assert.ok("/instances/{id}/update/tick" in paths);
  });

  test("pages of any origin may ask instances", async () => {
    const preflight = await at("read/get_time", undefined, {
      method: "OPTIONS",
      headers: { origin: "https://example.com" },
    });
    assert.deepEqual([preflight.status, preflight.headers["access-control-allow-origin"]], [200, "*"]);
    assert.equal((await at("read/get_time")).headers["access-control-allow-origin"], "*");
  });
});

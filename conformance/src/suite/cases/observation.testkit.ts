/** What a network tells of itself and of its canisters while they work: logs, history, statistics, metrics, statuses of requests (interface spec, the sections of these names). */
import assert from "node:assert/strict";
import { type CborMap, decodeCbor } from "@orrery/base";
import { hex, join, numberOf, textOf } from "../bytes.ts";
import { section } from "../case.ts";
import { rejected, relayedReject, relayedReply, replied, repliedNumber } from "../checks.ts";
import { ANONYMOUS, ed25519 } from "../identity.ts";
import { decodeResult, managementCall, principal } from "../management.ts";
import {
  BIG,
  callOut,
  code,
  gate,
  get,
  type Item,
  ic0,
  op,
  openGate,
  reply64,
  set,
  setHook,
  times,
} from "../script.ts";
import { valueAt } from "../wire.ts";
import { pair, reached, type Universal, type World } from "../world.ts";
import { abroad, otherSubnet } from "./abroad.testkit.ts";
import { found, homeOf, nodesOf, path, tree } from "./state-shared.testkit.ts";

const logs = section("Management: fetch_canister_logs");
const info = section("Management: canister_info");
const status = section("Management: canister_status");
const metrics = section("Management: canister_metrics");
const subnets = section("Management: subnet and node information", ["subnet information"]);
const subnetTree = section("System state tree: Subnet information");
const requests = section("System state tree: Request status");
const composite = section("Composite queries");
const calls = section("Inter-canister method calls");

interface LogRecord {
  readonly idx: bigint;
  readonly timestamp_nanos: bigint;
  readonly content: Uint8Array;
}
const logOf = async (canister: Universal, filter?: object): Promise<readonly LogRecord[]> =>
  decodeResult(
    "fetch_canister_logs",
    replied(await canister.world.manageQuery("fetch_canister_logs", { canister_id: canister.id, filter })),
  ).canister_log_records;
const print = (text: string): Item => [text, ic0.debug_print];

logs("a filter without records gives none", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(print("x"), ic0.msg_reply));
  for (const range of [
    { start: 5n, end: 9n },
    { start: 0n, end: 0n },
    { start: 1n, end: 0n },
  ])
    assert.deepEqual(await logOf(canister, { by_idx: range }), []);
});
logs("a filter's end is not part of it, its start is", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(print("x"), ic0.msg_reply));
  const at = (await logOf(canister))[0]?.timestamp_nanos ?? 0n;
  const count = async (start: bigint, end: bigint): Promise<number> =>
    (await logOf(canister, { by_timestamp_nanos: { start, end } })).length;
  assert.deepEqual(
    [await count(at, at + 1n), await count(at - 1n, at), await count(at + 1n, at + 2n)],
    [1, 0, 0],
  );
});
logs("indices go on where old records were dropped", async (world) => {
  const canister = await world.fresh();
  replied(
    await canister.update(
      times(60, [print("a text of some length, so that few of them fit: ".repeat(3))]),
      ic0.msg_reply,
    ),
  );
  const records = await logOf(canister);
  assert.ok(records.length < 60);
  assert.deepEqual(
    records.map(({ idx }) => idx),
    records.map((_, i) => 60n - BigInt(records.length) + BigInt(i)),
  );
});
logs.each(
  "what each kind of message prints is there",
  [
    { what: "global_timer", begin: [0, 1, ic0.global_timer_set, op.drop, op.drop] },
    { what: "a callback", begin: [] },
  ],
  async (world, { what, begin }) => {
    const canister = await world.universal();
    if (what === "a callback") {
      const call = callOut({
        to: canister.bytes,
        arg: code(ic0.msg_reply),
        onReply: [print(what), ic0.msg_reply],
      });
      replied(await canister.update(call));
    } else replied(await canister.update(setHook("global_timer", print(what)), begin, ic0.msg_reply));
    await world.eventually("the record", async () => ((await canister.log()).includes(what) ? true : null));
  },
);
logs("a trap's text is logged with its kind, for heartbeats and timers too", async (world) => {
  const canister = await world.universal();
  replied(
    await canister.update(
      setHook("global_timer", "of the timer", ic0.trap),
      1,
      ic0.global_timer_set,
      op.drop,
      ic0.msg_reply,
    ),
  );
  await world.eventually("the trap", async () =>
    /\[TRAP\]: of the timer/.test(await canister.log()) ? true : null,
  );
});
logs("what a trapping message printed stays, though its writes are gone", async (world) => {
  const canister = await world.universal();
  rejected(await canister.update(5, set(1), print("before"), "boom", ic0.trap), { error: "IC0503" });
  assert.match(await canister.log(), /^before\n\[TRAP\]: boom/);
  repliedNumber(await canister.query(get(1), reply64), 0);
});
logs("canister_inspect_message prints nothing", async (world) => {
  const canister = await world.universal({ inspect: true });
  replied(
    await canister.update(setHook("inspect_message", print("seen"), ic0.accept_message), ic0.msg_reply),
  );
  replied(await canister.update(ic0.msg_reply));
  assert.equal(await canister.log(), "");
});
logs("a change of log_visibility is in force at once", async (world) => {
  const canister = await world.fresh();
  const ask = () =>
    world.manageQuery("fetch_canister_logs", { canister_id: canister.id }, { as: world.stranger });
  for (const [visibility, isOpen] of [
    [{ public: null }, true],
    [{ controllers: null }, false],
    [{ allowed_viewers: [principal(world.stranger.sender)] }, true],
    [{ allowed_viewers: [] }, false],
  ] as const) {
    await canister.configure({ log_visibility: visibility });
    assert.equal((await ask()).kind, isOpen ? "replied" : "rejected");
  }
});
logs("a canister that does not exist has none", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  replied(await world.manage("delete_canister", { canister_id: canister.id }));
  rejected(await world.manageQuery("fetch_canister_logs", { canister_id: canister.id }), {
    code: 3,
    error: "IC0301",
  });
});
logs("an empty canister has an empty log", async (world) => {
  assert.deepEqual(await logOf(await world.fresh({ install: false })), []);
});
logs("the log is read while the canister is stopped", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(print("x"), ic0.msg_reply));
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  assert.equal(await canister.log(), "x");
});
logs("a text longer than the log is cut", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(BIG, 120, 5_000, op.memory_fill, BIG, 5_000, ic0.debug_print, ic0.msg_reply));
  const [record] = await logOf(canister);
  assert.ok(record !== undefined && record.content.length > 3_000 && record.content.length < 4_096);
});

const historyOf = async (world: World, canister: Universal, count: bigint) => {
  const asker = await world.universal();
  const value = { canister_id: canister.id, num_requested_changes: count };
  return decodeResult(
    "canister_info",
    relayedReply(await asker.update(managementCall("canister_info", value))),
  );
};
info("the uninstallation of an empty canister is a change", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(await world.manage("uninstall_code", { canister_id: canister.id }));
  const { total_num_changes, recent_changes } = await historyOf(world, canister, 1n);
  assert.equal(total_num_changes, 2n);
  assert.ok("code_uninstall" in recent_changes[0].details[0]);
  assert.equal(recent_changes[0].canister_version, 1n);
});
info("a failed installation is no change", async (world) => {
  const canister = await world.fresh();
  const before = (await historyOf(world, canister, 0n)).total_num_changes;
  rejected(await canister.upgrade(op.unreachable), { error: "IC0502" });
  assert.equal((await historyOf(world, canister, 0n)).total_num_changes, before);
});
info("changes are told in their order with rising versions and times", async (world) => {
  const canister = await world.fresh();
  replied(await canister.upgrade());
  replied(await world.manage("uninstall_code", { canister_id: canister.id }));
  const { recent_changes, total_num_changes } = await historyOf(world, canister, 20n);
  const changes = recent_changes as readonly {
    readonly timestamp_nanos: bigint;
    readonly canister_version: bigint;
    readonly details: readonly [object];
  }[];
  assert.equal(total_num_changes, 4n);
  assert.deepEqual(
    changes.map(({ details: [details] }) => Object.keys(details)[0]),
    ["creation", "code_deployment", "code_deployment", "code_uninstall"],
  );
  for (let i = 1; i < changes.length; i++) {
    const [a, b] = [changes[i - 1], changes[i]];
    assert.ok(a !== undefined && b !== undefined);
    assert.ok(b.canister_version > a.canister_version && b.timestamp_nanos >= a.timestamp_nanos);
  }
});
info("more changes than are kept are counted", async (world) => {
  const canister = await world.fresh({ install: false });
  const mine = principal(world.user.sender);
  for (let i = 0; i < 24; i++) await canister.configure({ controllers: [mine, principal(ed25519().sender)] });
  const { recent_changes, total_num_changes } = await historyOf(world, canister, 1_000n);
  assert.equal(total_num_changes, 25n);
  assert.ok(recent_changes.length >= 20 && recent_changes.length <= 25);
  assert.equal(recent_changes.at(-1).canister_version, 24n);
});
info("a deleted and an unknown canister have none", async (world) => {
  const [asker, canister] = [await world.universal(), await world.fresh({ install: false })];
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  replied(await world.manage("delete_canister", { canister_id: canister.id }));
  const outcome = await asker.update(managementCall("canister_info", { canister_id: canister.id }));
  assert.match(textOf(replied(outcome)), /not found/);
});

/** A method that touches something, so that blocks are made. */
const nudge = async (world: World): Promise<void> => {
  replied(await (await world.shared()).update(ic0.msg_reply));
};
status("queries are counted by calls, instructions and bytes", async (world) => {
  const canister = await world.fresh();
  const program = code(1_000, op.spin, 7, reply64);
  for (let i = 0; i < 5; i++) replied(await canister.ask(program));
  const stats = await world.eventually("five queries", async () => {
    await nudge(world);
    const { query_stats } = await canister.status();
    return query_stats.num_calls_total === 5n ? query_stats : null;
  });
  assert.ok(stats.num_instructions_total >= 5n * 8_000n);
  assert.equal(stats.response_payload_bytes_total, 5n * 8n);
  assert.ok(stats.request_payload_bytes_total >= 5n * BigInt(program.length));
});
status("a query that is rejected is counted, an update is not", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(ic0.msg_reply));
  rejected(await canister.query(op.unreachable), { error: "IC0502" });
  await world.eventually("the query", async () => {
    await nudge(world);
    const { num_calls_total } = (await canister.status()).query_stats;
    assert.ok(num_calls_total <= 1n);
    return num_calls_total === 1n ? true : null;
  });
});

/** Asked for by a query, which adds nothing. */
const consumed = async (world: World, canister: Universal): Promise<Record<string, bigint>> =>
  decodeResult(
    "canister_metrics",
    replied(await world.manageQuery("canister_metrics", { canister_id: canister.id })),
  ).cycles_consumed;
/** What something adds to one use. */
async function adding(
  world: World,
  canister: Universal,
  what: { readonly use: string; readonly run: () => Promise<unknown> },
): Promise<bigint> {
  const before = (await consumed(world, canister))[what.use] ?? 0n;
  await what.run();
  return ((await consumed(world, canister))[what.use] ?? 0n) - before;
}
metrics(
  "an ingress message's price is added: 1,200,000 and 2,000 for each byte of its envelope",
  async (world) => {
    const canister = await world.fresh();
    for (const padding of [0, 1_000]) {
      const arg = join([code(ic0.msg_reply, op.stop), new Uint8Array(padding)]);
      const request = world.sign("call", { canister_id: canister.bytes, method_name: "update", arg });
      const run = async () =>
        replied(await world.wire.call(canister.destination, request, { identity: world.user }));
      const price = 1_200_000n + 2_000n * BigInt(request.body.length);
      assert.equal(await adding(world, canister, { use: "ingress_induction", run }), price);
    }
  },
);
metrics(
  "a call's transmission is added: 260,000 and 1,000 for each byte of request and reply",
  async (world) => {
    const [canister, callee] = [await world.fresh(), await world.universal()];
    for (const bytes of [0, 8]) {
      const arg = bytes === 0 ? code(ic0.msg_reply) : code(7, reply64);
      const run = async () => relayedReply(await canister.update(callOut({ to: callee.bytes, arg })));
      const price = 260_000n + 1_000n * BigInt("update".length + arg.length + bytes);
      assert.equal(await adding(world, canister, { use: "request_and_response_transmission", run }), price);
    }
  },
);
metrics("a canister that another made has its creation's fee, and its child has none", async (world) => {
  const parent = await world.fresh();
  const cycles = 2_000_000_000_000n;
  const { canister_id } = decodeResult(
    "create_canister",
    relayedReply(await parent.update(managementCall("create_canister", {}, { cycles }))),
  );
  const asked = await parent.update(managementCall("canister_metrics", { canister_id }));
  const child = decodeResult("canister_metrics", relayedReply(asked)).cycles_consumed as Record<
    string,
    bigint
  >;
  assert.equal(
    (child["canister_creation"] ?? 0n) + ((await consumed(world, parent))["canister_creation"] ?? 0n),
    500_000_000_000n,
  );
});

subnets("node_metrics_history tells blocks of the subnet's own nodes", async (world) => {
  const canister = await world.universal();
  const value = { subnet_id: world.target.home.id, start_at_timestamp_nanos: 0n };
  const days = decodeResult(
    "node_metrics_history",
    relayedReply(await canister.update(managementCall("node_metrics_history", value))),
  );
  const ids = (await nodesOf(world)).map(hex);
  assert.ok(ids.length > 0);
  for (const { node_metrics } of days)
    for (const { node_id, num_blocks_proposed_total } of node_metrics) {
      assert.ok(ids.includes(hex(node_id.toUint8Array())));
      assert.ok(num_blocks_proposed_total > 0n);
    }
});
subnets("node_metrics_history from the future on is empty", async (world) => {
  const canister = await world.universal();
  const later = BigInt(Date.now() + 172_800_000) * 1_000_000n;
  const value = { subnet_id: world.target.home.id, start_at_timestamp_nanos: later };
  const outcome = await canister.update(managementCall("node_metrics_history", value));
  assert.deepEqual(decodeResult("node_metrics_history", relayedReply(outcome)), []);
});
subnets.each(
  "asking about a subnet that does not exist is rejected",
  ["node_metrics_history", "subnet_info"],
  async (world, method) => {
    const canister = await world.universal();
    const value = { subnet_id: principal(world.stranger.sender), start_at_timestamp_nanos: 0n };
    relayedReject(await canister.update(managementCall(method, value)), [3, 4, 5]);
  },
);
subnets
  .needing("several subnets")
  .each("another subnet may be asked", ["node_metrics_history", "subnet_info"], async (world, method) => {
    const canister = await world.universal();
    const value = { subnet_id: otherSubnet(world)?.id, start_at_timestamp_nanos: 0n };
    decodeResult(method, relayedReply(await canister.update(managementCall(method, value))));
  });
subnets("subnet_info has the registry's version as a number", async (world) => {
  const canister = await world.universal();
  const told = decodeResult(
    "subnet_info",
    relayedReply(await canister.update(managementCall("subnet_info", { subnet_id: world.target.home.id }))),
  );
  assert.equal(typeof told.registry_version, "bigint");
});
/** The unsigned numbers of a CBOR document in their order, keys of maps left out: both forms of metrics have them in one order. */
function metricsIn(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const values: bigint[] = [];
  let at = 0;
  const item = (isKey: boolean): void => {
    const head = view.getUint8(at++);
    const [major, info] = [head >> 5, head & 31];
    const width = info < 24 ? 0 : 1 << (info - 24);
    let value = BigInt(info);
    if (width > 0) value = BigInt(`0x${hex(bytes.subarray(at, at + width))}`);
    at += width;
    if (major === 0 && !isKey) values.push(value);
    else if (major === 3) at += Number(value);
    else if (major === 6) item(isKey);
    else if (major === 5)
      for (let i = 0n; i < value; i++) {
        item(true);
        item(false);
      }
  };
  item(false);
  return values;
}
subnetTree("metrics count canisters, their bytes, their cycles and update calls", async (world) => {
  const read = async (): Promise<readonly bigint[]> => {
    const id = world.target.home.id.toUint8Array();
    const bytes = found(
      await tree(world, homeOf(world), [path("subnet", id, "metrics")]),
      "subnet",
      id,
      "metrics",
    );
    return metricsIn(bytes);
  };
  const before = await read();
  const canister = await world.fresh();
  replied(await canister.update(100, ic0.stable64_grow, op.drop, ic0.msg_reply));
  const after = await read();
  assert.equal(after.length, 4);
  for (let i = 0; i < 4; i++)
    assert.ok((after[i] ?? 0n) > (before[i] ?? 0n), `field ${i}: ${before[i]} ${after[i]}`);
});

requests("a call that waits is processing, and replied once it is answered", async (world) => {
  const canister = await world.universal();
  const fields = { canister_id: canister.bytes, method_name: "update", arg: code(gate) };
  const request = world.sign("call", fields);
  assert.equal((await world.wire.post(`/api/v2/${canister.destination}/call`, request.body)).status, 202);
  const statusOf = async (): Promise<string> => {
    const certificate = await world.wire.readState(canister.destination, world.user, [
      path("request_status", request.id),
    ]);
    return textOf(valueAt(certificate, "request_status", request.id, "status") ?? undefined);
  };
  await reached(canister, 20);
  assert.equal(await statusOf(), "processing");
  replied(await canister.update(openGate));
  await world.eventually("the reply", async () => {
    const now = await statusOf();
    assert.ok(["processing", "replied"].includes(now), now);
    return now === "replied" ? true : null;
  });
});
requests("a call that waits has neither reply nor reject code, provably", async (world) => {
  const canister = await world.universal();
  const fields = { canister_id: canister.bytes, method_name: "update", arg: code(gate) };
  const request = world.sign("call", fields);
  assert.equal((await world.wire.post(`/api/v2/${canister.destination}/call`, request.body)).status, 202);
  await reached(canister, 20);
  const certificate = await world.wire.readState(canister.destination, world.user, [
    path("request_status", request.id),
  ]);
  for (const name of ["reply", "reject_code", "reject_message", "error_code"])
    assert.equal(valueAt(certificate, "request_status", request.id, name), null, name);
  replied(await canister.update(openGate));
});
requests("the same request while it waits is told as being processed", async (world) => {
  const canister = await world.universal();
  const fields = { canister_id: canister.bytes, method_name: "update", arg: code(gate) };
  const request = world.sign("call", fields);
  assert.equal((await world.wire.post(`/api/v2/${canister.destination}/call`, request.body)).status, 202);
  await reached(canister, 20);
  const again = await world.wire.post(`/api/v4/${canister.destination}/call`, request.body);
  assert.equal(again.status, 200);
  const bytes = (decodeCbor(again.body) as CborMap).get("certificate") as Uint8Array;
  const certificate = await world.wire.verify(bytes, canister.destination);
  assert.equal(
    textOf(valueAt(certificate, "request_status", request.id, "status") ?? undefined),
    "processing",
  );
  replied(await canister.update(openGate));
});

composite.each(
  "it may ask the management canister what its sender may see",
  ["canister_status", "canister_metrics", "fetch_canister_logs"],
  async (world, method) => {
    const [canister, other] = await pair(world);
    const own = await world.fresh();
    await own.configure({ controllers: [canister.id, principal(world.user.sender)] });
    const value = { canister_id: own.id };
    decodeResult(method, relayedReply(await canister.composite(managementCall(method, value))));
    relayedReject(await other.composite(managementCall(method, value)), [4, 5], /not allowed|Only/);
  },
);
composite("calls to the management canister do not count for its depth", async (world) => {
  const canister = await world.universal();
  await canister.world.manage("canister_status", { canister_id: canister.id });
  const status = managementCall("canister_status", { canister_id: canister.id });
  let program = code(status);
  for (let i = 0; i < 4; i++)
    program = code(callOut({ to: canister.bytes, method: "composite", arg: program }));
  const answer = replied(await canister.ask(program, { method: "composite" }));
  // Each call relays a reply.
  assert.deepEqual([...answer.subarray(0, 5)], [1, 1, 1, 1, 1]);
});
composite("a callee's reply over 2 MiB is a reject or a reply, never cut", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(64, op.memory_grow, op.drop, ic0.msg_reply));
  const arg = code(524_288, 2_097_152, ic0.msg_reply_data_append, ic0.msg_reply);
  const call = callOut({
    to: canister.bytes,
    method: "query",
    arg,
    onReply: [ic0.msg_arg_data_size, reply64],
  });
  repliedNumber(await canister.composite(call), 2_097_152);
});
composite("one of another user is as free as a query: no cycles are taken", async (world) => {
  const [canister, callee] = await pair(world);
  const before = (await canister.status()).cycles;
  for (let i = 0; i < 3; i++)
    replied(
      await canister.ask(code(callOut({ to: callee.bytes, method: "query", arg: code(7, reply64) })), {
        method: "composite",
        as: ANONYMOUS,
      }),
    );
  const spent = before - (await canister.status()).cycles;
  // The status calls cost their induction, and time passes; three calls would cost more.
  assert.ok(spent < 100_000_000n, `${spent}`);
});

/** What became of a best-effort call with cycles to a callee that replies when its gate is opened. */
const late = async (world: World, callee: Universal, cycles = 0n) => {
  const caller = await world.fresh();
  const note: Item = [
    ic0.msg_reject_code,
    set(2),
    ic0.msg_cycles_refunded,
    set(3),
    ic0.msg_deadline,
    set(4),
    ic0.msg_reply,
  ];
  const call = callOut({
    to: callee.bytes,
    arg: code(gate),
    cycles,
    timeoutSeconds: 1,
    onReply: note,
    onReject: note,
  });
  replied(await caller.update(call));
  replied(await callee.update(openGate));
  return caller;
};
calls("a best-effort call that times out gives no cycles back", async (world) => {
  const callee = await world.universal();
  const caller = await late(world, callee, 5_000_000n);
  repliedNumber(await caller.query(get(2), reply64), 6);
  repliedNumber(await caller.query(get(3), reply64), 0);
});
calls("a reply after the deadline reaches nobody", async (world) => {
  const callee = await world.universal();
  const caller = await late(world, callee);
  repliedNumber(await caller.query(get(2), reply64), 6);
  replied(await caller.update(ic0.msg_reply));
  repliedNumber(await caller.query(get(2), reply64), 6);
});
calls.needing("several subnets")(
  "a best-effort call to another subnet that times out is rejected with 6",
  async (world) => {
    const caller = await late(world, await abroad(world), 1_000n);
    repliedNumber(await caller.query(get(2), reply64), 6);
  },
);
calls("a best-effort call with a timeout of zero ends", async (world) => {
  const [from, to] = await pair(world);
  const note: Item = [ic0.msg_reject_code, reply64];
  const call = callOut({
    to: to.bytes,
    arg: code(ic0.msg_reply),
    timeoutSeconds: 0,
    onReply: note,
    onReject: note,
  });
  assert.ok([0n, 6n].includes(numberOf(replied(await from.update(call)))));
});
calls("the deadline of a best-effort call does not pass on to the callee's own calls", async (world) => {
  const [from, to] = await pair(world);
  const inner = callOut({
    to: from.bytes,
    arg: code(ic0.msg_deadline, reply64),
    onReply: [
      ic0.msg_arg_data_size,
      op.drop,
      65_536,
      0,
      8,
      ic0.msg_arg_data_copy,
      65_536,
      8,
      ic0.msg_reply_data_append,
      ic0.msg_reply,
    ],
  });
  const call = callOut({ to: to.bytes, arg: code(inner), timeoutSeconds: 60 });
  repliedNumber({ kind: "replied", reply: relayedReply(await from.update(call)) }, 0);
});

/**
 * What minutes, hours and days do to messages, timers and certificates (interface spec, "Global timer", "System time", "Request
 * status", "Authentication", "Inter-canister method calls", "Certificate"): cases that move the clock of a network of their own.
 */
import assert from "node:assert/strict";
import { type CborMap, decodeCbor } from "@orrery/base";
import { decodeCertificate } from "@orrery/crypto";
import { leb128, numberOf, numbersOf, textOf } from "../bytes.ts";
import { refused, rejected, relayedReply, replied, repliedNumber } from "../checks.ts";
import { ANONYMOUS, ed25519 } from "../identity.ts";
import { decodeResult, encodeArg, MANAGEMENT, managementCall, principal } from "../management.ts";
import {
  append64,
  callOut,
  code,
  copied,
  GATE_TURNS,
  gate,
  get,
  type Item,
  ic0,
  op,
  openGate,
  reply,
  reply64,
  set,
  setHook,
} from "../script.ts";
import { contentOf, type Outcome, outcomeIn, type Request, sign, signDelegation, valueAt } from "../wire.ts";
import { pair, reached, type Universal, type World } from "../world.ts";
import { DAY, HOUR, MINUTE, SECOND, timed } from "./clock-shared.testkit.ts";
import { statusOf } from "./management-shared.testkit.ts";
import { homeOf, path, reading } from "./state-shared.testkit.ts";

const timers = timed("Global timer");
const clock = timed("System time");
const calls = timed("Request: Call");
const status = timed("System state tree: Request status");
const authentication = timed("Authentication");
const between = timed("Inter-canister method calls");
const certificates = timed("Certification: certificates");
const delegation = timed("Certification: delegation");
const stopping = timed("Management: stop_canister and start_canister");
const info = timed("Management: canister_info");
const logs = timed("Management: fetch_canister_logs");
const metrics = timed("Management: subnet and node information").needing("subnet information");

/** Counts in register 1, and notes when in register 2. */
const countTimer: Item = setHook("global_timer", get(1), 1, op.add, set(1), ic0.time, set(2));
const inFuture = (durationNs: bigint): Item => [ic0.time, durationNs, op.add, ic0.global_timer_set, op.drop];
const fired = async (canister: Universal): Promise<bigint> =>
  numberOf(replied(await canister.query(get(1), reply64)));

timers("a timer in an hour goes off in an hour, not before, and once", async (world) => {
  const canister = await world.universal();
  const from = numberOf(replied(await canister.update(countTimer, inFuture(HOUR), ic0.time, reply64)));
  await world.advance(HOUR - SECOND);
  assert.equal(await fired(canister), 0n);
  await world.advance(SECOND);
  await reached(canister, 1);
  await world.advance(3n * DAY);
  const [count, at] = numbersOf(replied(await canister.query(get(1), append64, get(2), reply64)));
  assert.equal(count, 1n);
  assert.ok((at ?? 0n) >= from + HOUR && (at ?? 0n) < from + HOUR + SECOND, `${at} from ${from}`);
});

timers("one that sets itself anew every ten minutes goes off six times in an hour", async (world) => {
  const canister = await world.universal();
  const hook = setHook("global_timer", get(1), 1, op.add, set(1), inFuture(10n * MINUTE));
  replied(await canister.update(hook, inFuture(10n * MINUTE), ic0.msg_reply));
  for (let count = 1n; count <= 6n; count++) {
    await world.advance(10n * MINUTE);
    await world.eventually("the timer", async () => ((await fired(canister)) === count ? true : null));
  }
});

timers("a stopped canister's waits for its start", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(countTimer, inFuture(HOUR), ic0.msg_reply));
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  await world.advance(DAY);
  replied(await world.manage("start_canister", { canister_id: canister.id }));
  await reached(canister, 1);
  const [count, at] = numbersOf(replied(await canister.query(get(1), append64, get(2), reply64)));
  assert.equal(count, 1n);
  assert.ok((at ?? 0n) >= world.wire.now() - SECOND);
});

timers("an upgrade takes it away for good", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(countTimer, inFuture(HOUR), ic0.msg_reply));
  replied(await canister.upgrade(countTimer));
  await world.advance(2n * HOUR);
  repliedNumber(await canister.query(get(1), reply64), 0);
});

timers("setting it tells when it would have gone off", async (world) => {
  const canister = await world.universal();
  const [from, none] = numbersOf(
    replied(await canister.update(ic0.time, append64, ic0.time, HOUR, op.add, ic0.global_timer_set, reply64)),
  );
  assert.equal(none, 0n);
  await world.advance(30n * MINUTE);
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), (from ?? 0n) + HOUR);
  await world.advance(HOUR);
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), 0);
});

clock("it is the network's, in updates and in queries", async (world) => {
  const canister = await world.universal();
  const ask = async (): Promise<readonly bigint[]> => [
    numberOf(replied(await canister.update(ic0.time, reply64))),
    numberOf(replied(await canister.query(ic0.time, reply64))),
  ];
  const before = await ask();
  await world.advance(DAY);
  const after = await ask();
  for (const [i, time] of after.entries()) {
    const passed = time - (before[i] ?? 0n);
    assert.ok(passed >= DAY - SECOND && passed < DAY + SECOND, `${passed}`);
  }
});

/** Bytes of a call that counts in register 1. */
const counting = (world: World, canister: Universal, fields: Record<string, bigint> = {}): Request =>
  world.sign("call", {
    canister_id: canister.bytes,
    method_name: "update",
    arg: code(get(1), 1, op.add, set(1), ic0.msg_reply),
    ...fields,
  });
const send = (world: World, canister: Universal, request: Request): Promise<Outcome> =>
  world.wire.call(canister.destination, request, { identity: world.user });

calls("one whose expiry has passed by the network's clock is refused, and not executed", async (world) => {
  const canister = await world.universal();
  const request = counting(world, canister);
  await world.advance(5n * MINUTE);
  refused(await send(world, canister, request), 400, "Invalid request expiry");
  repliedNumber(await canister.query(get(1), reply64), 0);
});

calls("one that expires too far ahead is refused until its time comes closer", async (world) => {
  const canister = await world.universal();
  const request = counting(world, canister, { ingress_expiry: world.wire.now() + 7n * MINUTE });
  refused(await send(world, canister, request), 400, "Invalid request expiry");
  await world.advance(3n * MINUTE);
  replied(await send(world, canister, request));
  repliedNumber(await canister.query(get(1), reply64), 1);
});

calls("one that was answered is not executed again when its status is forgotten", async (world) => {
  const canister = await world.universal();
  const request = counting(world, canister);
  replied(await send(world, canister, request));
  await world.advance(4n * MINUTE - SECOND);
  replied(await send(world, canister, request));
  await world.advance(2n * MINUTE);
  refused(await send(world, canister, request), 400, "Invalid request expiry");
  repliedNumber(await canister.query(get(1), reply64), 1);
});

status("an answer is kept for five minutes and then forgotten", async (world) => {
  const canister = await world.universal();
  const request = counting(world, canister);
  replied(await send(world, canister, request));
  const look = async (): Promise<Outcome | null> =>
    outcomeIn(
      await world.wire.readState(canister.destination, world.user, [path("request_status", request.id)]),
      request.id,
    );
  await world.advance(5n * MINUTE - SECOND);
  assert.equal((await look())?.kind, "replied");
  await world.advance(2n * SECOND);
  assert.equal(await look(), null);
});

async function requestStatus(world: World, destination: string, { id }: Request): Promise<string> {
  const certificate = await world.wire.readState(destination, world.user, [path("request_status", id)]);
  return textOf(valueAt(certificate, "request_status", id, "status") ?? undefined);
}

status("one that is not answered stays longer than its expiry", async (world) => {
  const [from, to] = await pair(world);
  const request = world.sign("call", {
    canister_id: from.bytes,
    method_name: "update",
    arg: code(callOut({ to: to.bytes, arg: code(gate) })),
  });
  const answer = send(world, from, request);
  await reached(to, GATE_TURNS);
  await world.advance(HOUR);
  assert.equal(await requestStatus(world, from.destination, request), "processing");
  replied(await to.update(openGate));
  relayedReply(await answer);
});

authentication("queries and reads expire as calls do, but for the anonymous user's", async (world) => {
  const canister = await world.universal();
  const query = { canister_id: canister.bytes, method_name: "query", arg: code(ic0.msg_reply) };
  const paths = [path("time")];
  const made = [world.user, ANONYMOUS].map((as) => ({
    query: world.sign("query", query, as),
    read: world.sign("read_state", { paths }, as),
  }));
  await world.advance(10n * MINUTE);
  const statuses: number[] = [];
  for (const one of made) {
    for (const kind of ["query", "read"] as const) {
      const name = kind === "query" ? "query" : "read_state";
      statuses.push(
        (await world.wire.post(`/api/v3/${canister.destination}/${name}`, one[kind].body)).status,
      );
    }
  }
  assert.deepEqual(statuses, [400, 400, 200, 200]);
});

authentication("a delegation holds until its expiration, by the network's clock", async (world) => {
  const canister = await world.universal();
  const session = ed25519();
  const expiration = world.wire.now() + HOUR;
  const pubkey = session.publicKeyDer as Uint8Array;
  const chain = { from: world.user, delegations: [signDelegation(world.user, { pubkey, expiration })] };
  const ask = (): Promise<Outcome> => {
    const fields = {
      ingress_expiry: world.wire.expiry(),
      canister_id: canister.bytes,
      method_name: "update",
      arg: code(7, reply64),
    };
    const request = sign(session, contentOf("call", world.user.sender, fields), chain);
    return send(world, canister, request);
  };
  repliedNumber(await ask(), 7);
  await world.advance(HOUR - SECOND);
  repliedNumber(await ask(), 7);
  await world.advance(2n * SECOND);
  refused(await ask(), 400, /expired|expiry/i);
});

/** A call whose outcome is noted: register 1 counts, 2 is the reject code, 3 the refund. */
const noted = (to: Uint8Array, call: { timeoutSeconds?: number; cycles?: bigint }): Item =>
  callOut({
    to,
    arg: code(gate),
    ...call,
    onReply: [get(1), 1, op.add, set(1), ic0.msg_cycles_refunded, set(3), ic0.msg_reply],
    onReject: [
      [get(1), 1, op.add, set(1), ic0.msg_reject_code, set(2), ic0.msg_cycles_refunded, set(3)],
      ic0.msg_reply,
    ],
  });
const notes = async (canister: Universal): Promise<readonly bigint[]> =>
  numbersOf(replied(await canister.query(get(1), append64, get(2), append64, get(3), reply64)));

between("a best-effort call ends at its deadline, its late reply and its cycles are lost", async (world) => {
  const [from, to] = await pair(world);
  const answer = from.update(noted(to.bytes, { timeoutSeconds: 10, cycles: 1_000_000n }));
  await reached(to, GATE_TURNS);
  await world.advance(8n * SECOND);
  assert.deepEqual(await notes(from), [0n, 0n, 0n]);
  await world.advance(3n * SECOND);
  replied(await answer);
  assert.deepEqual(await notes(from), [1n, 6n, 0n]);
  replied(await to.update(openGate));
  await world.advance(SECOND);
  assert.deepEqual(await notes(from), [1n, 6n, 0n]);
});

between("a best-effort call waits 300 seconds at most", async (world) => {
  const [from, to] = await pair(world);
  const answer = from.update(noted(to.bytes, { timeoutSeconds: 100_000 }));
  await reached(to, GATE_TURNS);
  await world.advance(298n * SECOND);
  assert.deepEqual(await notes(from), [0n, 0n, 0n]);
  await world.advance(3n * SECOND);
  replied(await answer);
  assert.deepEqual(await notes(from), [1n, 6n, 0n]);
});

between("a call with a guaranteed response waits for days", async (world) => {
  const [from, to] = await pair(world);
  const answer = from.update(noted(to.bytes, { cycles: 1_000_000n }));
  await reached(to, GATE_TURNS);
  await world.advance(3n * DAY);
  assert.deepEqual(await notes(from), [0n, 0n, 0n]);
  replied(await to.update(openGate));
  replied(await answer);
  assert.deepEqual(await notes(from), [1n, 0n, 1_000_000n]);
});

stopping("a request to stop is given up after five minutes, the canister goes on stopping", async (world) => {
  const [from, to] = await pair(world);
  const call = from.update(callOut({ to: to.bytes, arg: code(gate) }));
  await reached(to, GATE_TURNS);
  const arg = encodeArg("stop_canister", { canister_id: from.id });
  const request = world.sign("call", { canister_id: MANAGEMENT, method_name: "stop_canister", arg });
  const stop = world.wire.call(from.destination, request, { identity: world.user });
  const state = async () => Object.keys((await statusOf(world, from.id)).status)[0];
  await world.eventually("stopping", async () => ((await state()) === "stopping" ? true : null));
  await world.advance(299n * SECOND);
  assert.equal(await state(), "stopping");
  assert.equal(await requestStatus(world, from.destination, request), "processing");
  await world.advance(2n * SECOND);
  rejected(await stop, { code: 2, error: "IC0206", text: "Stop canister request timed out" });
  assert.equal(await state(), "stopping");
  replied(await to.update(openGate));
  relayedReply(await call);
  await world.eventually("stopped", async () => ((await state()) === "stopped" ? true : null));
});

certificates("their time moves with the network's, on every subnet", async (world) => {
  for (const { id } of world.target.subnets) {
    const before = await timeOf(world, `subnet/${id.toText()}`);
    await world.advance(DAY);
    const passed = (await timeOf(world, `subnet/${id.toText()}`)) - before;
    assert.ok(passed >= DAY - SECOND && passed < DAY + SECOND, `${passed}`);
  }
});

async function timeOf(world: World, destination: string): Promise<bigint> {
  const certificate = await world.wire.readState(destination, world.user, [path("time")]);
  return leb128(valueAt(certificate, "time") as Uint8Array);
}

certificates("one of six minutes ago is too old for the client, a new one is not", async (world) => {
  const destination = homeOf(world);
  const body = (await reading(world, destination, [path("time")])).body;
  const old = (decodeCbor(body) as CborMap).get("certificate") as Uint8Array;
  await world.wire.verify(old, destination);
  await world.advance(4n * MINUTE);
  await world.wire.verify(old, destination);
  await world.advance(2n * MINUTE);
  await assert.rejects(world.wire.verify(old, destination), /more than 5 minutes in the past/);
  await timeOf(world, destination);
});

certificates("data_certificate is as new as the query", async (world) => {
  const canister = await world.universal();
  await world.advance(DAY);
  const bytes = replied(await canister.query(copied("data_certificate"), reply));
  const certificate = await world.wire.verify(bytes, canister.destination);
  assert.ok(leb128(valueAt(certificate, "time") as Uint8Array) >= world.wire.now() - SECOND);
});

delegation("it is renewed: after two months a subnet's is not older than the client takes", async (world) => {
  const destination = homeOf(world);
  await world.advance(60n * DAY);
  const body = (await reading(world, destination, [path("time")])).body;
  const bytes = (decodeCbor(body) as CborMap).get("certificate") as Uint8Array;
  await world.wire.verify(bytes, destination);
  const certificate = decodeCertificate(bytes);
  assert.ok(certificate.ok && certificate.value.delegation !== null);
});

info("changes are dated by the network's clock", async (world) => {
  const canister = await world.fresh();
  await canister.configure({ controllers: [principal(world.user.sender)] });
  await world.advance(DAY);
  await canister.configure({ controllers: [principal(world.user.sender), principal(world.stranger.sender)] });
  const call = managementCall("canister_info", { canister_id: canister.id, num_requested_changes: 2n });
  const helper = await world.universal();
  const { recent_changes } = decodeResult("canister_info", relayedReply(await helper.update(call)));
  const [first, second] = recent_changes.map((one: { timestamp_nanos: bigint }) => one.timestamp_nanos);
  assert.ok(second - first >= DAY && second - first < DAY + SECOND, `${second - first}`);
});

logs("a filter by time tells days apart", async (world) => {
  const canister = await world.universal();
  for (const day of ["one", "two", "three"]) {
    replied(await canister.update(day, ic0.debug_print, ic0.msg_reply));
    await world.advance(DAY);
  }
  const start = world.wire.now() - 2n * DAY - HOUR;
  const filter = { by_timestamp_nanos: { start, end: start + DAY } };
  const outcome = await world.manageQuery("fetch_canister_logs", { canister_id: canister.id, filter });
  const { canister_log_records: found } = decodeResult("fetch_canister_logs", replied(outcome));
  assert.deepEqual(
    found.map(({ content }: { content: Uint8Array }) => textOf(new Uint8Array(content))),
    ["two"],
  );
});

metrics("node_metrics_history has an entry a day, from the day that is asked for", async (world) => {
  const canister = await world.universal();
  for (let day = 0; day < 4; day++) await world.advance(DAY);
  const ask = async (from: bigint): Promise<readonly bigint[]> => {
    const value = { subnet_id: world.target.home.id, start_at_timestamp_nanos: from };
    const outcome = await canister.update(managementCall("node_metrics_history", value));
    const entries = decodeResult("node_metrics_history", relayedReply(outcome));
    return entries.map((one: { timestamp_nanos: bigint }) => one.timestamp_nanos);
  };
  const all = await ask(0n);
  assert.ok(all.length >= 4, `${all.length} entries`);
  const days = all.map((time) => time / DAY);
  assert.deepEqual([...new Set(days)], days);
  // The entry of the day that has not ended is as new as the last round.
  const later = (await ask(all[2] as bigint)).map((time) => time / DAY);
  assert.deepEqual(later, days.slice(2));
});

/** The thread of an in-process network: one machine, asked synchronously over one port and for HTTP over another. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { assert, assertNever, OrreryError, principalToText } from "@orrery/base";
import { createSignatureVerifier } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { effectiveCanisterId } from "@orrery/execution/effective-id";
import { createChannel, installFastHashes } from "@orrery/host";
import { nodeSignatures } from "@orrery/host/signatures";
import { createApi, validateWith } from "@orrery/http";
import { InlineNetwork } from "./inline-network.ts";
import { Machine } from "./machine.ts";
import { RealWorld } from "./outcalls.ts";
import type { HttpAnswer, HttpCall, NetworkStart, Ready, SyncAnswer, SyncCall } from "./protocol.ts";

const start = workerData as NetworkStart & { readonly sync: MessagePort };
const NOMINAL_SIZE = 13;
const signal = new Int32Array(start.signal);
installFastHashes();
const bls = await createMclBls();
const kinds = ["system" as const, ...start.subnets];
const network = new InlineNetwork({
  seed: start.seed,
  time: start.time,
  bls,
  subnets: kinds.map((type) => ({ type, feeSize: NOMINAL_SIZE })),
});
// Projects go to the first application subnet beside the root, else to the first beside it.
const main =
  network.members.find((member, place) => place > 0 && member.replica.subnet.type === "application") ??
  network.members[1] ??
  network.root;
const machine = new Machine(network, main, start.wall);
const api = createApi(machine.view(), {
  validate: validateWith(
    createSignatureVerifier({
      basic: nodeSignatures,
      canisterSignatures: { rootKeyDer: network.root.replica.subnet.publicKey, bls },
    }),
  ),
  effectiveCanisterId,
});

function perform(call: SyncCall): unknown {
  switch (call.kind) {
    case "update":
      return machine.update(call.call);
    case "resume":
      return machine.resume(call.subnetId, call.requestId);
    case "outcalls":
      return machine.outcalls();
    case "answer_outcall": {
      const waited = machine.answerOutcall(call.subnetId, call.id, call.answer);
      machine.settle();
      return waited;
    }
    case "query":
      return machine.query(call.call);
    case "time":
      return machine.now();
    case "advance":
      return machine.advance(call.durationNs);
    case "tick":
      return machine.tick();
    case "keeps_heap":
      return machine.keepsHeap(call.canisterId);
    default:
      return assertNever(call, "call of an in-process network");
  }
}

function answer(call: SyncCall): SyncAnswer {
  try {
    return { ok: true, value: perform(call) };
  } catch (error) {
    const { message } = error as Error;
    const { code, data } = error instanceof OrreryError ? error : { code: "internal", data: {} };
    return { ok: false, error: { code, message, data } };
  }
}

const world =
  start.outcalls === null
    ? null
    : new RealWorld(start.outcalls, ({ subnetId, id }, fetched) => {
        machine.answerOutcall(subnetId, id, fetched);
        machine.settle();
        begin();
      });

/** Outcalls that are to be made really are, whatever led to them. */
function begin(): void {
  world?.begin(machine.outcalls());
}

/** Waits for outcalls under way where the answer depends on them. */
async function answerInTime(call: SyncCall): Promise<SyncAnswer> {
  let next = call;
  for (;;) {
    const result = answer(next);
    begin();
    if (result.ok || result.error.code !== "call_pending") return result;
    const waiting = world?.next() ?? null;
    if (waiting === null) return result;
    await waiting;
    const { requestId, subnetId } = result.error.data;
    next = { kind: "resume", requestId: requestId as string, subnetId: subnetId as string };
  }
}

start.sync.on("message", async (call: SyncCall) => {
  start.sync.postMessage(world === null ? answer(call) : await answerInTime(call));
  Atomics.store(signal, 0, 1);
  Atomics.notify(signal, 0);
});

assert(parentPort !== null, "an in-process network has a thread of its own");
const parent = createChannel<Ready, never, never, HttpCall>(parentPort, {
  onPost: () => {},
  async onCall({ method, url, headers, body }): Promise<HttpAnswer> {
    const response = api({
      method,
      url,
      header: (name) => headers.get(name),
      headers: () => [...headers],
      body,
    });
    begin();
    const answer = await response;
    const single = Object.entries(answer.headers).map(([name, value]) => [name, String(value)]);
    return { status: answer.status, headers: Object.fromEntries(single), body: answer.body };
  },
});
parent.post({
  rootKey: network.root.replica.subnet.publicKey,
  subnetId: principalToText(main.replica.subnet.subnetId),
  subnets: network.members.map(({ replica: { subnet } }) => ({
    id: principalToText(subnet.subnetId),
    kind: subnet.type,
  })),
});

/** The thread of an in-process network: one machine, asked synchronously over one port and for HTTP over another. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { assert, assertNever, OrreryError, principalFromText, principalToText } from "@orrery/base";
import { createSignatureVerifier } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { effectiveCanisterId } from "@orrery/execution/effective-id";
import { createChannel, installFastHashes } from "@orrery/host";
import { nodeSignatures } from "@orrery/host/signatures";
import { createApi, soleReplica, validateWith } from "@orrery/http";
import { Machine } from "./machine.ts";
import type { HttpAnswer, HttpCall, NetworkStart, Ready, SyncAnswer, SyncCall } from "./protocol.ts";
import { createInlineReplica, type InlineReplica } from "./replica.ts";

const start = workerData as NetworkStart & { readonly sync: MessagePort };
const signal = new Int32Array(start.signal);
installFastHashes();
const bls = await createMclBls();
const replica: InlineReplica = createInlineReplica({
  seed: start.seed,
  time: start.time,
  bls,
  genesis: () => [],
});
const machine = new Machine(replica, start.wall);
const api = createApi(soleReplica(machine.view()), {
  validate: validateWith(
    createSignatureVerifier({
      basic: nodeSignatures,
      canisterSignatures: { rootKeyDer: replica.subnet.rootKey, bls },
    }),
  ),
  effectiveCanisterId,
});

function perform(call: SyncCall): unknown {
  switch (call.kind) {
    case "update":
      return machine.update(call.call);
    case "query":
      return machine.query(call.call);
    case "time":
      return machine.now();
    case "advance":
      return machine.advance(call.durationNs);
    case "tick":
      return machine.round([]);
    case "keeps_heap":
      return replica.keepsHeap(principalFromText(call.canisterId));
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

start.sync.on("message", (call: SyncCall) => {
  start.sync.postMessage(answer(call));
  Atomics.store(signal, 0, 1);
  Atomics.notify(signal, 0);
});

assert(parentPort !== null, "an in-process network has a thread of its own");
const main = createChannel<Ready, never, never, HttpCall>(parentPort, {
  onPost: () => {},
  async onCall({ method, url, headers, body }): Promise<HttpAnswer> {
    return await api({ method, url, header: (name) => headers.get(name), body });
  },
});
main.post({ rootKey: replica.subnet.rootKey, subnetId: principalToText(replica.subnet.subnetId) });

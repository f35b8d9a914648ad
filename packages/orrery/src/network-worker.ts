/** The thread of a program's in-process networks: each asked synchronously over a port of its own, and all over the thread's. */
import { type MessagePort, parentPort } from "node:worker_threads";
import { assert, assertNever, OrreryError } from "@orrery/base";
import { systemCanisters } from "@orrery/canisters";
import { createChannel, installFastHashes } from "@orrery/host";
import { requestCheckpoint } from "@orrery/host/checkpoint-request";
import { pinNetwork } from "@orrery/host/kept-stores";
import { createInstance, type Instance, openArchive } from "@orrery/sim/instance";
import { copyNetwork } from "@orrery/sim/kept";
import type { NetworkAnswer, NetworkCall, NetworkStart, Opened, ThreadCall } from "./protocol.ts";
import { Room } from "./room.ts";
import { threadSurroundings } from "./thread-surroundings.ts";

installFastHashes();
const surroundings = await threadSurroundings();

interface Tenant {
  readonly room: Room;
  readonly sync: MessagePort;
  /** Gives an answer to whoever sleeps for one. */
  tell(answer: NetworkAnswer): void;
}

const tenants = new Map<number, Tenant>();

function tenant(id: number): Tenant {
  const found = tenants.get(id);
  if (found !== undefined) return found;
  throw new OrreryError("instance_gone", "this network was stopped: make another one");
}

function settleIn(
  room: Room,
  {
    id,
    sync,
    signal,
  }: { readonly id: number; readonly sync: MessagePort; readonly signal: SharedArrayBuffer },
): Opened {
  const flag = new Int32Array(signal);
  const tell = (answer: NetworkAnswer): void => {
    sync.postMessage(answer);
    Atomics.store(flag, 0, 1);
    Atomics.notify(flag, 0);
  };
  sync.on("message", async (call: NetworkCall) => {
    const answer = room.answer(call);
    tell(answer instanceof Promise ? await answer : answer);
  });
  tenants.set(id, { room, sync, tell });
  return room.opened();
}

/** From nothing, from what another one saved, or from a node's state directory. */
async function begin({ from, state, wall, outcalls, ...rest }: NetworkStart): Promise<Instance> {
  const { host } = surroundings;
  if (from !== null) {
    await requestCheckpoint(from);
    return copyNetwork(pinNetwork(from), { host, time: rest.time, systemCanisters });
  }
  return state === null ? createInstance({ ...rest, host }) : openArchive({ ...rest, host }, state);
}

async function open(call: Extract<ThreadCall, { kind: "open" }>): Promise<Opened> {
  const { wall, outcalls } = call.start;
  return settleIn(new Room(await begin(call.start), surroundings, { wall, outcalls }), call);
}

function perform(call: ThreadCall): unknown {
  switch (call.kind) {
    case "open":
      return open(call);
    case "fork":
      return settleIn(tenant(call.of).room.fork(), call);
    case "ask":
      return tenant(call.id).room.answer(call.call);
    case "http":
      return tenant(call.id).room.http(call.request);
    case "live":
      return tenant(call.id).room.live(call.on);
    case "close": {
      const { room, sync } = tenant(call.id);
      tenants.delete(call.id);
      sync.close();
      return room.close();
    }
    default:
      return assertNever(call, "call of the networks' thread");
  }
}

// Whoever sleeps would sleep for ever.
process.once("uncaughtException", (error) => {
  const message = `the thread of the networks failed: ${error.message}`;
  for (const { tell } of tenants.values())
    tell({ ok: false, error: { code: "thread_failed", message, data: {} } });
  throw error;
});

assert(parentPort !== null, "in-process networks have a thread of their own");
createChannel<never, never, never, ThreadCall>(parentPort, { onPost: () => {}, onCall: perform });

/** The thread of instances: takes calls one after the other and answers each; the HTTPS interface's may wait for rounds and be overtaken. */
import { parentPort } from "node:worker_threads";
import { assert, assertNever, type CanisterId, principalToText, type TimeNs } from "@orrery/base";
import { createMclBls } from "@orrery/crypto/mcl";
import { createNodeSigner, inflateGzip, installFastHashes, nodePublicKeyDer } from "@orrery/host";
import { type InstanceHost, SharedEngine } from "@orrery/sim/instance";
import { type Answer, failure, jsonAnswer } from "./answers.ts";
import { answerOfError } from "./pic-errors.ts";
import type { Creation, FromThread, ThreadAnswer, ThreadCall, ToThread } from "./protocol.ts";
import { Resident } from "./resident.ts";
import { verifySignature } from "./verify-signature.ts";

assert(parentPort !== null, "instances live on a thread of their own");
const port = parentPort;
installFastHashes();
const bls = await createMclBls();

/** What canisters print goes to stderr, the server's own log to stdout: clients show them apart. */
function printed(canisterId: CanisterId, time: TimeNs, texts: readonly Uint8Array[]): void {
  const seconds = new Date(Number(time / 1_000_000n)).toISOString().slice(0, 19).replace("T", " ");
  const date = `${seconds}.${String(time % 1_000_000_000n).padStart(9, "0")} UTC`;
  const lines = texts.map(
    (text) => `${date}: [Canister ${principalToText(canisterId)}] ${Buffer.from(text).toString()}\n`,
  );
  process.stderr.write(lines.join(""));
}

const host: InstanceHost = {
  bls,
  inflate: inflateGzip,
  ed25519PublicKeyDer: nodePublicKeyDer,
  ed25519Signer: createNodeSigner,
  engine: new SharedEngine(),
  onPrint: printed,
};
const residents = new Map<number, Resident>();
/** Bodies under way, by number. */
const streams = new Map<number, AsyncIterator<Uint8Array>>();
let nextStream = 0;

/** What the operation comes to; errors that no request should cause are told, and leave the instance as it is. */
async function answered(what: () => string | Promise<string>): Promise<Answer> {
  try {
    return jsonAnswer(200, await what());
  } catch (error) {
    const answer = answerOfError(error);
    if (answer !== null) return answer;
    process.stderr.write(`${(error as Error).stack ?? String(error)}\n`);
    return failure(500, `Internal error: ${(error as Error).message}`);
  }
}

async function create(call: Extract<ThreadCall, { kind: "create" }>): Promise<Creation> {
  try {
    const resident = await Resident.create(call.config, host);
    residents.set(call.instance, resident);
    return { topology: resident.topology() };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

function residentOf(instance: number): Resident {
  const resident = residents.get(instance);
  assert(resident !== undefined, "an instance is asked on its thread");
  return resident;
}

function operate({ instance, name, body, blob }: Extract<ThreadCall, { kind: "operate" }>): unknown {
  const resident = residentOf(instance);
  return resident.page(name) ?? answered(() => resident.operate(name, body, blob));
}

async function serve(call: Extract<ThreadCall, { kind: "http" }>): Promise<ThreadAnswer> {
  const response = await residentOf(call.instance).http(call.request, call.gateway);
  const { stream, ...answer } = response;
  if (stream === undefined) return answer;
  const id = nextStream++;
  streams.set(id, stream[Symbol.asyncIterator]());
  return { ...answer, stream: id };
}

/** The next piece of a body; null, and the stream is forgotten, at its end. */
async function pull(id: number): Promise<Uint8Array | null> {
  const stream = streams.get(id);
  assert(stream !== undefined, "a stream is pulled until it ends");
  try {
    const piece = await stream.next();
    if (piece.done !== true) return piece.value;
    streams.delete(id);
    return null;
  } catch (error) {
    streams.delete(id);
    throw error;
  }
}

async function drop(id: number): Promise<void> {
  const stream = streams.get(id);
  streams.delete(id);
  await stream?.return?.();
}

function perform(call: ThreadCall): unknown {
  switch (call.kind) {
    case "create":
      return create(call);
    case "operate":
      return operate(call);
    case "http":
      return serve(call);
    case "pull":
      return pull(call.stream);
    case "drop":
      return drop(call.stream);
    case "verify_signature":
      return verifySignature(call.body, bls);
    case "delete": {
      const resident = residentOf(call.instance);
      residents.delete(call.instance);
      resident.delete();
      return null;
    }
    default:
      return assertNever(call, "call of a thread of instances");
  }
}

async function answer({ id, call }: ToThread): Promise<void> {
  let frame: FromThread;
  try {
    const value = perform(call);
    frame = { id, value: value instanceof Promise ? await value : value };
  } catch (error) {
    frame = { id, error: (error as Error).message };
  }
  port.postMessage(frame);
}

port.on("message", (frame: ToThread) => void answer(frame));
port.postMessage({ ready: true } satisfies FromThread);

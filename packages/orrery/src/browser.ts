/**
 * A network inside a web page or a Web Worker: the interface of `createNetwork`, on the page's own thread and engine, without anything of
 * Node.js. Large modules need a worker: on a page's own thread browsers refuse to compile them at once.
 */
import { OrreryError, type Rng } from "@orrery/base";
import { ed25519Signer, nobleSignatures } from "@orrery/crypto/curves";
import { createMclBls } from "@orrery/crypto/mcl";
import type { Inflate } from "@orrery/http/gateway";
import { createInstance, openArchive, SharedEngine } from "@orrery/sim/instance";
import { type AskedNetwork, networkOf, startOf } from "./facade.ts";
import { inflateGzip, inflateRaw } from "./inflate.ts";
import { Room, type Surroundings } from "./room.ts";
import type { Network, NetworkOptions, OutcallHandler } from "./types.ts";
import { createWeb } from "./web.ts";

export { functionShares, profileToFolded, profileToSpeedscope, renderFlameGraph } from "@orrery/sim/profile";
export {
  type Call,
  type CallProfile,
  CallRejected,
  type ClockKind,
  type HeldMessage,
  type InstallOptions,
  type LoadOptions,
  type MessageRule,
  type Network,
  type OutcallAnswer,
  type OutcallHandler,
  type OutcallRequest,
  type ProfileOptions,
  type Subnet,
  type SubnetKind,
  type Traces,
} from "./types.ts";

export interface BrowserNetworkOptions extends Omit<NetworkOptions, "outcalls" | "from"> {
  /** What answers the canisters' HTTPS outcalls. By default they wait for `answerOutcall`, or for a minute of the network's time. */
  readonly outcalls?: OutcallHandler;
}

const rng: Rng = { bytes: (length) => crypto.getRandomValues(new Uint8Array(length)) };

const inflate: Inflate = (encoding, bytes, bytesMax) => {
  try {
    return encoding === "gzip" ? inflateGzip(bytes, bytesMax) : inflateRaw(bytes, bytesMax);
  } catch {
    // The bytes are a canister's: whatever they are, they are not what it certified.
    return null;
  }
};

function hostless(what: string): OrreryError {
  return new OrreryError(
    "host_missing",
    `a network in a browser ${what}: run it with "ic-orrery" under Node.js for that`,
  );
}

let shared: Promise<Surroundings> | null = null;

/** What all networks of a page have in common. */
async function surroundings(): Promise<Surroundings> {
  const bls = await createMclBls();
  return {
    host: {
      bls,
      inflate: inflateGzip,
      ed25519PublicKeyDer: (secret) => ed25519Signer(secret).publicKeyDer,
      ed25519Signer: (secret) => ed25519Signer(secret).sign,
      engine: new SharedEngine(),
    },
    web: (machine) => createWeb(machine, { bls, signatures: nobleSignatures, rng, inflate }),
    realWorld(): never {
      throw hostless("makes no outcalls");
    },
    startLive: () => Promise.reject(hostless("has no port")),
  };
}

function asked(room: Room): AskedNetwork {
  return {
    opened: room.opened(),
    ask<T>(call: Parameters<Room["answerNow"]>[0]): T {
      const answer = room.answerNow(call);
      if (answer.ok) return answer.value as T;
      const { code, message, data } = answer.error;
      throw new OrreryError(code, message, { data });
    },
    http: (request) => room.http(request),
    fork: async () => asked(room.fork()),
    close: () => room.close(),
  };
}

/** Makes a network; ready when the promise resolves. Its calls run on the thread that makes them. */
export async function createNetwork(options: BrowserNetworkOptions = {}): Promise<Network> {
  const { outcalls = null, ...rest } = options;
  shared ??= surroundings();
  const around = await shared;
  const { state, from, wall, ...start } = startOf(rest);
  const instanceOptions = { ...start, host: around.host };
  const instance = state === null ? createInstance(instanceOptions) : openArchive(instanceOptions, state);
  const remote = asked(new Room(instance, around, { wall, outcalls: null }));
  return networkOf(remote, outcalls, () => {
    throw hostless("reads no folders");
  });
}

/**
 * A call that nobody made, in a copy of the network as it is in the newest blocks: the copy is in this thread's memory, nothing is written,
 * and the network, running or not, never hears of it.
 */
import { principalFromText, type TimeNs } from "@orrery/base";
import { systemCanisters } from "@orrery/canisters";
import type { Bls } from "@orrery/crypto";
import { nodeLimits } from "@orrery/execution/node";
import { createNodeSigner, inflateGzip, nodePublicKeyDer } from "@orrery/host";
import type { CallResult, CanisterCall, Instance, MessageId } from "@orrery/sim/instance";
import { copyNetwork } from "@orrery/sim/kept";
import { type ProfiledCall, profiledMessage, profiledQueries, watchCall } from "@orrery/sim/profile";
import type { Pinned } from "@orrery/state";
import type { HistoryProgress, ProfileAnswer, ProfileAsk } from "./types.ts";

/** Rounds of a call that goes on and on: more than the longest message takes. */
const ROUNDS_MAX = 10_000;
/** Rounds of nothing but heartbeats, which may yet do something for the call. */
const HEARTBEAT_ROUNDS_MAX = 100;
const NS_PER_MS = 1_000_000n;
const WAITING = {
  code: "call_pending",
  message:
    "the call waits for an outcall's answer, for time to pass or for other messages, none of which come in a copy",
} as const;

export interface ProfileOptions {
  /** The copy's from then on. */
  readonly pinned: Pinned;
  readonly bls: Bls;
  readonly ask: ProfileAsk;
  readonly onProgress: (progress: HistoryProgress) => void;
}

export function answerProfile(options: ProfileOptions): ProfileAnswer {
  const instance = copyOf(options);
  const { canisterId, method, arg, query, names, sender } = options.ask;
  const call: CanisterCall = {
    sender: principalFromText(sender),
    canisterId: principalFromText(canisterId),
    method,
    arg,
  };
  watchCall(instance, null);
  const labels = { names };
  if (query) {
    const result = instance.query(call);
    return answerOf(result, profiledQueries(instance, labels));
  }
  const submitted = instance.submitIngress(call);
  if (!submitted.ok) return answerOf(submitted, { instructions: 0n, profile: { stacks: [] }, trace: null });
  const result = awaited(instance, submitted.value);
  return answerOf(result, profiledMessage(instance, submitted.value.requestId, labels));
}

/** The network as it is after its newest blocks, at the machine's time. */
function copyOf({ pinned, bls, onProgress }: ProfileOptions): Instance {
  const wall: TimeNs = BigInt(Date.now()) * NS_PER_MS;
  const { heartbeatIntervalNs } = nodeLimits("application");
  return copyNetwork(pinned, {
    time: wall,
    limits: { heartbeatIntervalNs },
    systemCanisters,
    onProgress,
    host: {
      bls,
      inflate: inflateGzip,
      ed25519PublicKeyDer: nodePublicKeyDer,
      ed25519Signer: createNodeSigner,
    },
  });
}

/** Null: it waits for something that does not come by itself. */
function awaited(instance: Instance, id: MessageId): CallResult | null {
  for (let rounds = 0; ; rounds++) {
    const answer = instance.ingressStatus(id);
    if (answer !== null) return answer;
    const isIdle = instance.settle(0);
    const max = isIdle ? (instance.heartbeats ? HEARTBEAT_ROUNDS_MAX : 0) : ROUNDS_MAX;
    if (rounds >= max) return null;
    instance.tick();
  }
}

function answerOf(result: CallResult | null, profiled: ProfiledCall): ProfileAnswer {
  if (result === null) return { kind: "profile", reply: null, error: WAITING, ...profiled };
  if (result.ok) return { kind: "profile", reply: result.value, error: null, ...profiled };
  const { errorCode, message } = result.error;
  const code = `IC${String(errorCode).padStart(4, "0")}`;
  return { kind: "profile", reply: null, error: { code, message }, ...profiled };
}

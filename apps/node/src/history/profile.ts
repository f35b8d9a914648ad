/**
 * A call that nobody made, in a copy of the network as it is in the newest blocks: the copy is in this thread's memory, nothing is written,
 * and the network, running or not, never hears of it.
 */
import { principalFromText, principalToText, silentLogger, type TimeNs } from "@orrery/base";
import { batchOf, decodeFinalizedBlock } from "@orrery/consensus";
import type { Bls } from "@orrery/crypto";
import { createChainKeys } from "@orrery/crypto/chain-keys";
import { nodeLimits } from "@orrery/execution/node";
import { createNodeSigner, inflateGzip, nodePublicKeyDer } from "@orrery/host";
import {
  type CallResult,
  type CanisterCall,
  type Instance,
  joinInstance,
  type LoadedSubnet,
  type MessageId,
} from "@orrery/sim/instance";
import { type ProfiledCall, profiledMessage, profiledQueries, watchCall } from "@orrery/sim/profile";
import { creationSubnetIds } from "../genesis.ts";
import { openTip } from "../tip.ts";
import type { NetworkPast } from "./network.ts";
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
  readonly past: NetworkPast;
  readonly bls: Bls;
  readonly ask: ProfileAsk;
  readonly onProgress: (progress: HistoryProgress) => void;
}

export function answerProfile({ past, bls, ask, onProgress }: ProfileOptions): ProfileAnswer {
  const instance = copyOf(past, bls, onProgress);
  const { canisterId, method, arg, query, names } = ask;
  const call: CanisterCall = {
    sender: principalFromText(ask.sender),
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

/** The subnets as they are after their newest blocks, at the machine's time. */
function copyOf(past: NetworkPast, bls: Bls, onProgress: ProfileOptions["onProgress"]): Instance {
  const { genesis, subnets } = past;
  const locals = subnets.map(({ local }) => local);
  const creationSubnets = creationSubnetIds(genesis, locals);
  const chainKeys = createChainKeys(genesis.seed);
  const loaded = subnets.map(({ local, history }): LoadedSubnet => {
    const tip = openTip({
      source: { kind: "past", history, height: history.last ?? 0 },
      subnet: local.info,
      creationSubnets,
      genesisTime: genesis.time,
      chainKeys,
      logger: silentLogger,
    });
    const subnetId = principalToText(local.info.subnetId);
    for (const { bytes } of history.blocks(tip.state.height + 1)) {
      const { height } = tip.apply(batchOf(decodeFinalizedBlock(bytes)));
      tip.reclaim(height);
      onProgress({ subnetId, height, last: history.last ?? height });
    }
    return { state: tip.state, arena: tip.arena };
  });
  const wall: TimeNs = BigInt(Date.now()) * NS_PER_MS;
  const { heartbeatIntervalNs } = nodeLimits("application");
  return joinInstance(
    {
      topology: genesis.subnets.map(({ type, admins }) => ({
        kind: type,
        ...(admins === undefined ? {} : { admins }),
      })),
      seed: genesis.seed,
      time: wall,
      limits: { heartbeatIntervalNs },
      host: {
        bls,
        inflate: inflateGzip,
        ed25519PublicKeyDer: nodePublicKeyDer,
        ed25519Signer: createNodeSigner,
      },
    },
    loaded,
  );
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

/** The past of a network as its state directory has it, opened beside whoever runs it: what can run again, and the messages in its blocks. */
import { type CallRequest, decodeEnvelope, type Height, principalToText, toHex } from "@orrery/base";
import { decodeFinalizedBlock } from "@orrery/consensus";
import { type Bls, requestId } from "@orrery/crypto";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { pinSubnets } from "@orrery/host/kept-stores";
import { type History, openHistory } from "@orrery/state";
import { decodeGenesis, type Genesis, subnetsOf } from "../genesis.ts";
import type { BySubnet, SubnetIndex } from "../protocol.ts";
import type { Kept, PastMessage } from "./types.ts";

export interface PastSubnet {
  readonly local: LocalSubnet;
  readonly history: History;
}

export interface NetworkPast {
  readonly genesis: Genesis;
  /** All of the network. */
  readonly locals: readonly LocalSubnet[];
  /** Those whose stores are there. */
  readonly subnets: BySubnet<PastSubnet>;
  close(): void;
}

/** A message, and the subnet it was sent to. */
export interface Found {
  readonly subnet: SubnetIndex;
  readonly message: PastMessage;
}

/** Errors of opening a state directory. */
export function openPast(stateDir: string, bls: Bls): NetworkPast {
  const pinned = pinSubnets(stateDir, { history: true });
  const genesis = decodeGenesis(pinned.genesis);
  const locals = subnetsOf(genesis, bls);
  const subnets = new Map(
    [...pinned.stores].map(([subnet, store]): [SubnetIndex, PastSubnet] => [
      subnet,
      { local: locals[subnet] as LocalSubnet, history: openHistory(store) },
    ]),
  );
  return { genesis, locals, subnets, close: () => pinned.close() };
}

/** The oldest round that can run again: blocks go on from a state before it without a gap. */
export function firstRound({ first, last, checkpoints }: History): Height | null {
  if (first === null || last === null) return null;
  const start = [...(first === 1 ? [0] : []), ...checkpoints].find((height) => height >= first - 1);
  return start === undefined || start >= last ? null : start + 1;
}

export function keptOf({ subnets }: NetworkPast): readonly Kept[] {
  return [...subnets.values()].map(({ local, history }) => ({
    subnetId: principalToText(local.info.subnetId),
    firstBlock: history.first,
    lastBlock: history.last,
    firstRound: firstRound(history),
  }));
}

/** The messages in the blocks of one subnet, the newest first. */
function* messagesOf(past: NetworkPast, subnet: SubnetIndex): Generator<Found> {
  const { local, history } = past.subnets.get(subnet) as PastSubnet;
  const subnetId = principalToText(local.info.subnetId);
  const { first, last } = history;
  if (first === null || last === null) return;
  for (let height = last; height >= first; height--) {
    const bytes = history.block(height);
    if (bytes === null) return;
    const { context, payload } = decodeFinalizedBlock(bytes).proposal.block;
    for (const envelope of payload.ingress.toReversed()) {
      const decoded = decodeEnvelope(envelope);
      if (!decoded.ok || decoded.value.content.kind !== "call") continue;
      const { fields, canisterId, methodName, sender } = decoded.value.content as CallRequest;
      yield {
        subnet,
        message: {
          requestId: toHex(requestId(fields)),
          ...{ subnetId, height, time: context.time },
          canisterId: principalToText(canisterId),
          method: methodName,
          sender: principalToText(sender),
        },
      };
    }
  }
}

/** The messages of all subnets, by the time of their blocks, the newest first. */
export function* messages(past: NetworkPast): Generator<Found> {
  const sources = [...past.subnets.keys()].map((subnet) => messagesOf(past, subnet));
  const heads = sources.map((source) => source.next());
  for (;;) {
    let newest = -1;
    for (const [i, head] of heads.entries()) {
      const best = heads[newest]?.value as Found | undefined;
      if (head.done !== true && (best === undefined || head.value.message.time > best.message.time))
        newest = i;
    }
    const found = heads[newest];
    if (found === undefined) return;
    yield found.value as Found;
    heads[newest] = (sources[newest] as Generator<Found>).next();
  }
}

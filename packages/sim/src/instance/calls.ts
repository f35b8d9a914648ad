/** Calls to a network in one place, without signatures: their way to a subnet, their envelopes, their answers. */
import {
  type CanisterId,
  encodeCbor,
  equalBytes,
  err,
  OrreryError,
  ok,
  principalToText,
  type Result,
  toHex,
  type UserId,
  u64be,
} from "@orrery/base";
import { requestId } from "@orrery/crypto";
import { ErrorCode } from "@orrery/execution";
import { addSubnet, type Core, mainReplica, type Network } from "./core.ts";
import { mainnetSpecOf } from "./places.ts";
import type { Replica } from "./replica.ts";
import { createsProvisionally, effectiveOf, goesAnywhere, homeless, undirected } from "./routing.ts";
import type { CallResult, CanisterCall, MessageId, Reject } from "./types.ts";

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ErrorCode).map(([name, code]) => [code, name]),
);
/** How far ahead of the network's time its own envelopes expire: less than the longest that is allowed. */
const EXPIRY_NS = 240_000_000_000n;

/** The subnet that the call goes to; it may come to be for it, which takes a round. */
export function routeCall(network: Network, call: CanisterCall, round: () => void): Replica {
  const { members } = network;
  const effective = effectiveOf(call);
  switch (effective.kind) {
    case "subnet":
      return members.named(effective.id);
    case "canister": {
      const host = members.hostOf(effective.id);
      if (host !== null) return host;
      if (!createsProvisionally(call)) throw homeless(effective.id);
      const brought = bring(network, effective.id);
      round();
      return brought;
    }
    default:
      if (goesAnywhere(call)) return mainReplica(network);
      throw undirected();
  }
}

/** Makes the subnet that holds the id on the public network. */
function bring(network: Network, id: CanisterId): Replica {
  if (network.core.options.ids === "node") throw homeless(id);
  const { spec, range } = mainnetSpecOf(id);
  return addSubnet(network, spec, range);
}

function envelopeOf(
  core: Core,
  call: CanisterCall,
): { readonly envelope: Uint8Array; readonly id: Uint8Array } {
  const { sender, canisterId, method, arg, senderInfo = null } = call;
  const fields = new Map<string, string | bigint | Uint8Array | Map<string, Uint8Array>>([
    ["request_type", "call"],
    ["canister_id", canisterId],
    ["method_name", method],
    ["arg", arg],
    ["sender", sender],
    ["ingress_expiry", core.time + EXPIRY_NS],
    ["nonce", u64be(core.nonce++)],
  ]);
  if (senderInfo !== null) {
    const { info, signer } = senderInfo;
    // Nobody looks at the signature: who calls is told, not proven.
    const entries: [string, Uint8Array][] = [
      ["info", info],
      ["signer", signer],
      ["sig", new Uint8Array(0)],
    ];
    fields.set("sender_info", new Map(entries));
  }
  return { envelope: encodeCbor({ content: fields }), id: requestId(fields) };
}

/** Puts the call into the pool of its subnet unless the ingress filter refuses it. */
export function submitCall(core: Core, replica: Replica, call: CanisterCall): Result<MessageId, Reject> {
  const { envelope, id } = envelopeOf(core, call);
  const max = core.options.ingressBytesMax;
  if (max !== null && envelope.length > max) {
    throw new OrreryError(
      "ingress_too_large",
      `a call takes ${envelope.length} bytes as a message, more than the ${max} that are allowed: send less at once`,
      { data: { bytes: envelope.length, max, requestId: toHex(id) } },
    );
  }
  const refused = replica.view.inspect(envelope);
  if (refused !== null) {
    const { code, message } = refused;
    return err(rejectOf(message, code, false));
  }
  replica.ingress.push({ requestId: id, envelope });
  return ok({ subnetId: replica.place.id, requestId: id });
}

export function pending({ requestId: id, subnetId }: MessageId, rounds: number): OrreryError {
  return new OrreryError(
    "call_pending",
    `the call has no answer after ${rounds} rounds: it waits for time to pass, for other messages or for an outcall's answer`,
    { data: { requestId: toHex(id), subnetId: principalToText(subnetId), rounds } },
  );
}

/** The answer in the state, if there is one. */
export function answerOf({ state }: Replica, id: Uint8Array, caller?: UserId): CallResult | null {
  const entry = state.ingressHistory.get(toHex(id));
  if (entry === undefined) return null;
  if (caller !== undefined && !equalBytes(caller, entry.sender)) {
    throw new OrreryError(
      "call_foreign",
      "the call was sent by somebody else: ask as its sender, or as nobody",
    );
  }
  const { status } = entry;
  if (status.kind === "replied") return ok(status.reply);
  if (status.kind === "rejected") {
    const { code, message, errorCode } = status;
    return err({ ...rejectOf(message, numberOf(errorCode), true), code });
  }
  if (status.kind !== "done") return null;
  return err(rejectOf("The answer is not kept any more.", ErrorCode.ResponseDropped, true));
}

export function queryOf(replica: Replica, call: CanisterCall): CallResult {
  const { sender, senderInfo = null, canisterId, method: methodName, arg } = call;
  const { outcome } = replica.view.query({ sender, senderInfo, canisterId, methodName, arg });
  if (outcome.status === "replied") return ok(outcome.reply);
  const { rejectMessage, errorCode } = outcome;
  const prefix = `${errorCode}: `;
  const message = rejectMessage.startsWith(prefix) ? rejectMessage.slice(prefix.length) : rejectMessage;
  return err(rejectOf(message, numberOf(errorCode), false));
}

function rejectOf(message: string, errorCode: number, certified: boolean): Reject {
  const errorName = NAMES.get(errorCode) ?? "ResponseDropped";
  return { code: Math.floor(errorCode / 100) as Reject["code"], message, errorCode, errorName, certified };
}

/** 503 of "IC0503". */
function numberOf(errorCode: string): number {
  return Number(errorCode.slice(2));
}

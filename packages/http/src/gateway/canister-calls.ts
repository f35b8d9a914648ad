/**
 * Anonymous calls that the gateway makes for its clients: queries on the replica's certified state, update calls through ingress and
 * certificate, and reads of public metadata. Update calls and metadata count by their verified certificate alone; a query's answer
 * is not trusted, so the node's signature of it is not asked for.
 */
import {
  ANONYMOUS,
  type CallRequest,
  type CanisterId,
  decodeEnvelope,
  encodeCbor,
  type Rng,
  utf8,
  utf8DecodeLossy,
} from "@orrery/base";
import {
  type Bls,
  decodeNat,
  type HashTree,
  type Lookup,
  lookupPath,
  requestId,
  verifyCertificate,
} from "@orrery/crypto";
import type { Destination, Ingress, ReplicaNetwork, ReplicaView } from "../replica-view.ts";
import { unhealthyText } from "../status.ts";
import {
  canisterNotFound,
  overloaded,
  payloadTooLarge,
  Refusal,
  type Rejection,
  rejected,
  timedOut,
  unavailable,
  unverified,
} from "./failure.ts";
import type { GatewayLimits } from "./limits.ts";

export interface CallContext {
  readonly network: Pick<ReplicaNetwork, "replicaOf">;
  /** DER, of the root subnet. */
  readonly rootKey: Uint8Array;
  readonly bls: Bls;
  readonly rng: Rng;
  readonly limits: GatewayLimits;
}

/** How long an update call may be executed, ns; the replica takes five minutes at the most. */
const UPDATE_TTL_NS = 240_000_000_000n;
const NONCE_BYTES = 16;
const REMEDY = "The network's own certificate is wrong.";

/** The replica that answers for the canister; refuses when there is none. */
export function replicaFor({ network }: CallContext, canisterId: CanisterId): ReplicaView {
  const replica = network.replicaOf({ kind: "canister", id: canisterId });
  const unhealthy = unhealthyText(replica.status().health);
  if (unhealthy !== null) throw new Refusal(unavailable(unhealthy));
  if (!replica.servesCanister(canisterId)) throw new Refusal(canisterNotFound(canisterId, null));
  return replica;
}

/** The reply of a query method; refuses when there is none. */
export async function query(
  context: CallContext,
  canisterId: CanisterId,
  methodName: string,
  arg: Uint8Array,
): Promise<Uint8Array> {
  const answered = await replicaFor(context, canisterId).query({
    sender: ANONYMOUS,
    senderInfo: null,
    canisterId,
    methodName,
    arg,
    destination: { kind: "canister", id: canisterId },
    ranges: "sharded",
  });
  if (answered === null) throw new Refusal(unavailable("There is no certified state yet."));
  const { outcome } = answered;
  if (outcome.status === "rejected") throw new Refusal(rejected(canisterId, outcome));
  return outcome.reply;
}

function ingressOf(
  { rng }: CallContext,
  replica: ReplicaView,
  destination: Destination,
  methodName: string,
  arg: Uint8Array,
): Ingress {
  const content = {
    request_type: "call",
    sender: ANONYMOUS,
    nonce: rng.bytes(NONCE_BYTES),
    ingress_expiry: replica.now() + UPDATE_TTL_NS,
    canister_id: destination.id,
    method_name: methodName,
    arg,
  };
  const bytes = encodeCbor({ content });
  if (bytes.length > replica.ingressBytesMax) {
    const sizes = `As an update call it has ${bytes.length} bytes, and at most ${replica.ingressBytesMax} are taken.`;
    throw new Refusal(payloadTooLarge(sizes));
  }
  const envelope = decodeEnvelope(bytes);
  if (!envelope.ok) throw new Refusal(payloadTooLarge(envelope.error));
  const call = envelope.value.content as CallRequest;
  return { bytes, envelope: envelope.value, call, requestId: requestId(call.fields), destination };
}

/** The verified tree of a certificate that the network gave. */
function verifiedTree(
  { rootKey, bls, limits }: CallContext,
  replica: ReplicaView,
  canisterId: CanisterId,
  bytes: Uint8Array,
): HashTree {
  const verified = verifyCertificate({
    bytes,
    rootKeyDer: rootKey,
    scope: { canister: canisterId },
    bls,
    now: replica.now(),
    maxAgeNs: limits.certificateAgeNsMax,
  });
  if (!verified.ok) throw new Refusal(unverified(verified.error.message, REMEDY));
  return verified.value.tree;
}

function found(lookup: Lookup<Uint8Array>): Uint8Array | null {
  return lookup.kind === "found" ? lookup.value : null;
}

/** The reply that a certificate shows for the request. */
function replyIn(tree: HashTree, id: Uint8Array, canisterId: CanisterId): Uint8Array {
  const field = (name: string): Uint8Array | null =>
    found(lookupPath(tree, [utf8("request_status"), id, utf8(name)]));
  const status = utf8DecodeLossy(field("status") ?? new Uint8Array(0));
  const reply = field("reply");
  if (status === "replied" && reply !== null) return reply;
  const rejectCode = field("reject_code");
  if (status === "rejected" && rejectCode !== null) {
    const errorCode = field("error_code");
    const rejection: Rejection = {
      status: "rejected",
      rejectCode: Number(decodeNat(rejectCode) ?? 0n),
      rejectMessage: utf8DecodeLossy(field("reject_message") ?? new Uint8Array(0)),
      errorCode: errorCode === null ? null : utf8DecodeLossy(errorCode),
    };
    throw new Refusal(rejected(canisterId, rejection));
  }
  throw new Refusal(
    timedOut(`The certified state says "${status === "" ? "unknown" : status}" of the call.`),
  );
}

async function submit(replica: ReplicaView, ingress: Ingress): Promise<void> {
  const outcome = await replica.submit(ingress);
  if (outcome === "overloaded") throw new Refusal(overloaded());
  if (outcome === "unavailable") throw new Refusal(unavailable("This node takes no update calls now."));
}

/** The certified reply of an update method; refuses when there is none. */
export async function update(
  context: CallContext,
  canisterId: CanisterId,
  methodName: string,
  arg: Uint8Array,
): Promise<Uint8Array> {
  const replica = replicaFor(context, canisterId);
  const destination: Destination = { kind: "canister", id: canisterId };
  const ingress = ingressOf(context, replica, destination, methodName, arg);
  if (replica.ingressFull()) throw new Refusal(overloaded());
  const error = await replica.inspect(ingress);
  if (error !== null) {
    const errorCode = `IC${error.code.toString().padStart(4, "0")}`;
    const rejectCode = Math.floor(error.code / 100);
    throw new Refusal(
      rejected(canisterId, { status: "rejected", rejectCode, rejectMessage: error.message, errorCode }),
    );
  }
  const watch = replica.watch(ingress.requestId, context.limits.updateTimeoutMs);
  try {
    await submit(replica, ingress);
    if (!(await watch.answered)) throw new Refusal(timedOut("The call is not executed and certified yet."));
  } finally {
    watch.cancel();
  }
  const certificate = await replica.requestCertificate(ingress.requestId, destination, "sharded");
  if (certificate === null) throw new Refusal(timedOut("The certified state does not show the call."));
  const tree = verifiedTree(context, replica, canisterId, certificate);
  return replyIn(tree, ingress.requestId, canisterId);
}

/** A public custom section: its text, null when it is provably absent. `hidden` when neither can be shown. */
export async function publicMetadata(
  context: CallContext,
  canisterId: CanisterId,
  name: string,
): Promise<string | null | "hidden"> {
  const replica = replicaFor(context, canisterId);
  const path = [utf8("canister"), canisterId, utf8("metadata"), utf8(name)];
  const answer = await replica.readState({
    destination: { kind: "canister", id: canisterId },
    ranges: "sharded",
    paths: [path],
    sender: ANONYMOUS,
    targets: null,
  });
  if (answer.kind !== "certificate") return "hidden";
  const lookup = lookupPath(verifiedTree(context, replica, canisterId, answer.certificate), path);
  if (lookup.kind === "found") return utf8DecodeLossy(lookup.value);
  return lookup.kind === "absent" ? null : "hidden";
}

/** What every handler of the HTTPS interface works with, and the steps that they share. */
import {
  type CallRequest,
  decodeEnvelope,
  type Envelope,
  equalBytes,
  err,
  ok,
  type Principal,
  principalToText,
  type ReadStateRequest,
  type Request,
  type Result,
  type TimeNs,
} from "@orrery/base";
import {
  type InvalidRequest,
  type SignatureVerifier,
  type ValidRequest,
  validateEnvelope,
} from "@orrery/crypto";
import { type Awaitable, type HttpRequest, type HttpResponse, textResponse } from "./messages.ts";
import type { Destination, ReplicaView, UserError } from "./replica-view.ts";
import { unhealthyText } from "./status.ts";

/** Decides whether an envelope is authentic now. A host may run it on its crypto worker. */
export type Validate = (envelope: Envelope, now: TimeNs) => Awaitable<Result<ValidRequest, InvalidRequest>>;

/** Validation on the calling thread. */
export function validateWith(verifier: SignatureVerifier): Validate {
  return (envelope, now) => validateEnvelope(envelope, { now, verifier });
}

/**
 * The canister that a management call acts on, by method and argument; null when any effective id may be given (creation), an
 * error when the method is unknown or the argument does not decode.
 */
export type EffectiveCanisterId = (
  methodName: string,
  arg: Uint8Array,
) => Result<Principal | null, UserError>;

export interface ApiLimits {
  /** Longest wait of a synchronous call for its certificate; the replica's default. */
  readonly callTimeoutMs: number;
  /** Requests of a kind in flight; more are answered 429, so that a flood costs bounded memory. */
  readonly callsMax: number;
  readonly queriesMax: number;
  readonly readStatesMax: number;
}

export const DEFAULT_API_LIMITS: ApiLimits = {
  callTimeoutMs: 10_000,
  callsMax: 5_000,
  queriesMax: 2_000,
  readStatesMax: 2_000,
};

export interface ApiContext {
  /** The one that the request's URL leads to. */
  readonly replica: ReplicaView;
  readonly validate: Validate;
  readonly effectiveCanisterId: EffectiveCanisterId;
  readonly limits: ApiLimits;
  /** Ids (hex) of the synchronous calls that wait for their answer. */
  readonly waiting: Set<string>;
}

/** Interface spec limit on request bodies. */
export const BODY_BYTES_MAX: number = 5 * 1024 * 1024;

type ContentOf<K extends Request["kind"]> = K extends "read_state" ? ReadStateRequest : CallRequest;

/** Decodes the body as an envelope that asks for `kind`, or says in the replica's words why it is not one. */
export function openEnvelope<K extends Request["kind"]>(
  request: HttpRequest,
  kind: K,
): Result<{ readonly envelope: Envelope; readonly content: ContentOf<K> }, HttpResponse> {
  if (request.body.length > BODY_BYTES_MAX) return err(textResponse(413, "length limit exceeded"));
  if (request.header("content-type")?.toLowerCase() !== "application/cbor") {
    return err(textResponse(400, "Unexpected content-type, expected application/cbor."));
  }
  const decoded = decodeEnvelope(request.body);
  const failed = (why: string) => err(textResponse(400, `Failed to deserialize cbor request: ${why}`));
  if (!decoded.ok) return failed(decoded.error);
  const { content } = decoded.value;
  if (content.kind !== kind) return failed(`unknown variant \`${content.kind}\`, expected \`${kind}\``);
  return ok({ envelope: decoded.value, content: content as ContentOf<K> });
}

/** 503 when the replica cannot answer anything now. */
export function refuseUnhealthy(replica: ReplicaView): HttpResponse | null {
  const text = unhealthyText(replica.status().health);
  return text === null ? null : textResponse(503, text);
}

/** 400 when the URL names a canister or subnet that is not served here. */
export function refuseElsewhere(replica: ReplicaView, destination: Destination): HttpResponse | null {
  const text = principalToText(destination.id);
  if (destination.kind === "subnet") {
    return replica.servesSubnet(destination.id)
      ? null
      : textResponse(400, `Subnet ${text} is not served here.`);
  }
  // Creation calls and reads of their status may name the management canister itself.
  if (destination.id.length === 0 || replica.servesCanister(destination.id)) return null;
  return textResponse(400, `Canister ${text} is not in the canister ranges of a subnet that is served here.`);
}

/**
 * 400 when the effective canister id in the URL is not the one that the message acts on: boundary nodes route and block by the
 * URL, so the two must agree (interface spec, "Effective canister id").
 */
export function refuseMisdirected(
  { canisterId, methodName, arg }: CallRequest,
  urlId: Principal,
  effectiveCanisterId: EffectiveCanisterId,
): HttpResponse | null {
  // A management call without a target (creation) may come through any id; one that is no call is the replica's to refuse.
  const effective = canisterId.length === 0 ? effectiveCanisterId(methodName, arg) : ok(canisterId);
  const target = effective.ok ? effective.value : null;
  if (target === null || equalBytes(target, urlId)) return null;
  return textResponse(
    400,
    `Specified CanisterId ${principalToText(target)} does not match effective canister id in URL ${principalToText(urlId)}`,
  );
}

/** The replica's code of calls that only a subnet's admins may make. */
export const INVALID_SUBNET_ADMIN = 410;

/** "IC0410". */
export function errorCodeText(code: number): string {
  return `IC${code.toString().padStart(4, "0")}`;
}

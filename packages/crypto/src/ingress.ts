/**
 * The one validator of request envelopes (interface spec, "Authentication"): HTTP endpoints, block makers and
 * block validators call this and nothing else. A request that passes was made by its sender, now, and may act
 * on `targets`. What the content asks for is not judged here. Checks run in the replica's order, cheap ones
 * before signatures; texts are the replica's where known, and go to the client as they are.
 */
import {
  ANONYMOUS,
  type CanisterId,
  type CborMap,
  concatBytes,
  DELEGATION_TARGETS_MAX,
  DELEGATIONS_MAX,
  type Envelope,
  equalBytes,
  err,
  NONCE_BYTES_MAX,
  type OrreryError,
  ok,
  type PrincipalKey,
  principalKey,
  principalToText,
  READ_STATE_LABELS_MAX,
  READ_STATE_PATHS_MAX,
  type Request,
  type RequestId,
  type Result,
  type SenderInfo,
  type SignedDelegation,
  selfAuthenticating,
  type TimeNs,
  timeToText,
  toHex,
  type UserId,
} from "@orrery/base";
import { parsePublicKeyDer } from "./der.ts";
import { domainSep } from "./hashes.ts";
import { hashOfMap } from "./request-id.ts";
import type { SignatureVerifier } from "./signatures.ts";

/**
 * How far ahead of the validator's clock a request may expire: the clients' 5 minutes and 30 s of clock
 * drift.
 */
export const INGRESS_TTL_NS_MAX = 300_000_000_000n;
export const INGRESS_DRIFT_NS_MAX = 30_000_000_000n;

/** Why a request is refused. Codes are stable; each text opens with a fixed phrase of its code. */
export type InvalidRequestCode =
  | "request_expiry_invalid"
  | "nonce_too_big"
  | "too_many_paths"
  | "path_too_long"
  | "anonymous_signature"
  | "signature_missing"
  | "sender_key_mismatch"
  | "signature_invalid"
  | "delegation_invalid"
  | "delegation_expired"
  | "canister_not_in_targets"
  | "sender_info_invalid"
  | "request_malformed";

export interface InvalidRequest {
  readonly code: InvalidRequestCode;
  /** For the client, as plain text. */
  readonly text: string;
}

export interface ValidRequest {
  readonly requestId: RequestId;
  readonly sender: UserId;
  /** Canisters that the request's delegations allow; null when they do not restrict it. */
  readonly targets: ReadonlySet<PrincipalKey> | null;
}

export interface ValidateEnvelopeOptions {
  readonly now: TimeNs;
  readonly verifier: SignatureVerifier;
}

type Check<T> = Result<T, InvalidRequest>;

const PASSED: Check<null> = ok(null);

function refuse(
  code: InvalidRequestCode,
  text: string,
): { readonly ok: false; readonly error: InvalidRequest } {
  return err({ code, text });
}

/** Representation-independent hash of a content or delegation, or why it cannot have one. */
function hashOf(fields: CborMap): Check<Uint8Array> {
  try {
    return ok(hashOfMap(fields));
  } catch (cause) {
    if ((cause as OrreryError).code !== "request_hash_invalid") throw cause;
    return refuse("request_malformed", `Invalid request: ${(cause as OrreryError).message}`);
  }
}

function isAnonymous(sender: UserId): boolean {
  return equalBytes(sender, ANONYMOUS);
}

function checkPaths(request: Request): Check<null> {
  if (request.kind !== "read_state") return PASSED;
  const { paths } = request;
  if (paths.length > READ_STATE_PATHS_MAX) {
    const limit = `got ${paths.length} paths, but at most ${READ_STATE_PATHS_MAX} are allowed.`;
    return refuse("too_many_paths", `Too many paths in read state request: ${limit}`);
  }
  for (const path of paths) {
    if (path.length <= READ_STATE_LABELS_MAX) continue;
    const limit = `got ${path.length} labels, but at most ${READ_STATE_LABELS_MAX} are allowed.`;
    return refuse("path_too_long", `At least one path in read state request is too deep: ${limit}`);
  }
  return PASSED;
}

function checkExpiry(request: Request, now: TimeNs): Check<null> {
  // Nobody gains by replaying an anonymous read, so its expiry is not looked at.
  if (request.kind !== "call" && isAnonymous(request.sender)) return PASSED;
  const max = now + INGRESS_TTL_NS_MAX + INGRESS_DRIFT_NS_MAX;
  const provided = request.ingressExpiry;
  if (now <= provided && provided <= max) return PASSED;
  return refuse(
    "request_expiry_invalid",
    "Invalid request expiry: Specified ingress_expiry not within expected range: " +
      `Minimum allowed expiry: ${timeToText(now)}, Maximum allowed expiry: ${timeToText(max)}, ` +
      `Provided expiry:        ${timeToText(provided)}`,
  );
}

function checkNonce(request: Request): Check<null> {
  const length = request.nonce?.length ?? 0;
  if (length <= NONCE_BYTES_MAX) return PASSED;
  const limit = `got ${length} bytes, but at most ${NONCE_BYTES_MAX} are allowed.`;
  return refuse("nonce_too_big", `Nonce in request is too big: ${limit}`);
}

/** Everything about a chain of delegations that needs no signature. */
function checkChain(
  senderKey: Uint8Array,
  chain: readonly SignedDelegation[],
  request: Request,
  now: TimeNs,
): Check<null> {
  const invalid = (text: string) => refuse("delegation_invalid", `Invalid delegation: ${text}`);
  if (chain.length > DELEGATIONS_MAX) {
    const limit = `got ${chain.length} delegations, but at most ${DELEGATIONS_MAX} are allowed.`;
    return invalid(`Chain of delegations is too long: ${limit}`);
  }
  for (const { delegation } of chain) {
    if (delegation.expiration >= now) continue;
    return refuse(
      "delegation_expired",
      "Invalid delegation expiry: Specified sender delegation has expired:\n" +
        `Provided expiry:    ${timeToText(delegation.expiration)}\nLocal replica time: ${timeToText(now)}`,
    );
  }
  const seen = new Set([toHex(senderKey)]);
  for (const { delegation } of chain) {
    const key = toHex(delegation.pubkey);
    if (seen.has(key)) {
      const where = `first repeating public key encountered ${key}`;
      return invalid(`Chain of delegations contains at least one cycle: ${where}`);
    }
    seen.add(key);
  }
  for (const { delegation } of chain) {
    const { targets, permissions } = delegation;
    if (targets !== null && targets.length > DELEGATION_TARGETS_MAX) {
      const limit = `at most ${DELEGATION_TARGETS_MAX} targets per delegation`;
      return invalid(`Delegation target error: expected ${limit}, but got ${targets.length}`);
    }
    if (permissions !== null && permissions !== "all" && permissions !== "queries") {
      return invalid(
        `Delegation permissions error: expected "queries" or "all", but got "${permissions.slice(0, 32)}"`,
      );
    }
    if (permissions === "queries" && request.kind === "call") {
      return invalid("Delegation permissions error: the delegation permits queries only, not update calls");
    }
  }
  return PASSED;
}

function intersect(
  allowed: ReadonlySet<PrincipalKey> | null,
  targets: readonly CanisterId[] | null,
): ReadonlySet<PrincipalKey> | null {
  if (targets === null) return allowed;
  const keys = targets.map((target) => principalKey(target));
  return new Set(allowed === null ? keys : keys.filter((key) => allowed.has(key)));
}

interface Authority {
  /** The key that has to sign the request. */
  readonly key: Uint8Array;
  readonly targets: ReadonlySet<PrincipalKey> | null;
}

function checkDelegations(
  senderKey: Uint8Array,
  chain: readonly SignedDelegation[],
  verifier: SignatureVerifier,
): Check<Authority> {
  let authority: Authority = { key: senderKey, targets: null };
  for (const { delegation, signature } of chain) {
    const hash = hashOf(delegation.fields);
    if (!hash.ok) return hash;
    const message = concatBytes(domainSep("ic-request-auth-delegation"), hash.value);
    const verified = verifier.verify({ publicKeyDer: authority.key, message, signature });
    if (!verified.ok) return refuse("delegation_invalid", `Invalid delegation: ${verified.error}`);
    authority = { key: delegation.pubkey, targets: intersect(authority.targets, delegation.targets) };
  }
  return ok(authority);
}

/** Checks that the envelope's signature is the sender's; the canisters that it may act on come back. */
function checkSender(
  envelope: Envelope,
  id: RequestId,
  { now, verifier }: ValidateEnvelopeOptions,
): Check<ReadonlySet<PrincipalKey> | null> {
  const { content, senderPubkey, senderSig, senderDelegation } = envelope;
  const { sender } = content;
  if (isAnonymous(sender)) {
    return senderPubkey === null && senderSig === null && senderDelegation === null
      ? ok(null)
      : refuse("anonymous_signature", "Signature is not allowed for the anonymous user.");
  }
  if (senderPubkey === null || senderSig === null) {
    return refuse("signature_missing", `Missing signature from user: ${principalToText(sender)}`);
  }
  if (!equalBytes(selfAuthenticating(senderPubkey), sender)) {
    const user = principalToText(sender);
    const text = `The user id '${user}' does not match the public key '${toHex(senderPubkey)}'`;
    return refuse("sender_key_mismatch", text);
  }
  const chain = senderDelegation ?? [];
  const shape = checkChain(senderPubkey, chain, content, now);
  if (!shape.ok) return shape;
  const authority = checkDelegations(senderPubkey, chain, verifier);
  if (!authority.ok) return authority;
  const message = concatBytes(domainSep("ic-request"), id);
  const verified = verifier.verify({ publicKeyDer: authority.value.key, message, signature: senderSig });
  if (!verified.ok) return refuse("signature_invalid", `Invalid signature: ${verified.error}`);
  return ok(authority.value.targets);
}

function checkTarget(request: Request, targets: ReadonlySet<PrincipalKey> | null): Check<null> {
  if (request.kind === "read_state" || targets === null || targets.has(principalKey(request.canisterId)))
    return PASSED;
  const text = `Canister '${principalToText(request.canisterId)}' is not one of the delegation targets.`;
  return refuse("canister_not_in_targets", text);
}

/**
 * Attested facts about the sender: signed by the canister whose key is the sender's, the delegated keys do
 * not count.
 */
function checkSenderInfo(
  info: SenderInfo,
  senderPubkey: Uint8Array | null,
  verifier: SignatureVerifier,
): Check<null> {
  const invalid = (text: string) => refuse("sender_info_invalid", `Invalid sender info: ${text}`);
  if (senderPubkey === null)
    return invalid("sender_info requires an authenticated request with sender_pubkey");
  const key = parsePublicKeyDer(senderPubkey);
  if (!key.ok || key.value.kind !== "canister") {
    const why = key.ok ? `it is a ${key.value.kind} key` : key.error;
    return invalid(`sender_pubkey is not a valid canister signature public key: ${why}`);
  }
  if (!equalBytes(key.value.canisterId, info.signer)) {
    const [signer, actual] = [info.signer, key.value.canisterId].map((id) => principalToText(id));
    return invalid(`signer ${signer} does not match canister ID ${actual} in sender_pubkey`);
  }
  const message = concatBytes(domainSep("ic-sender-info"), info.info);
  const verified = verifier.verify({ publicKeyDer: senderPubkey, message, signature: info.sig });
  return verified.ok ? PASSED : invalid(`signature verification failed: ${verified.error}`);
}

/**
 * Validates a decoded envelope at time `now`. Deterministic: validators with the same time and root key
 * agree. `targets` is already checked for calls and queries; for a read_state the caller compares it with
 * what the paths touch.
 */
export function validateEnvelope(
  envelope: Envelope,
  options: ValidateEnvelopeOptions,
): Result<ValidRequest, InvalidRequest> {
  const { content } = envelope;
  for (const check of [checkPaths(content), checkExpiry(content, options.now), checkNonce(content)]) {
    if (!check.ok) return check;
  }
  const id = hashOf(content.fields);
  if (!id.ok) return id;
  const targets = checkSender(envelope, id.value, options);
  if (!targets.ok) return targets;
  const target = checkTarget(content, targets.value);
  if (!target.ok) return target;
  if (content.kind !== "read_state" && content.senderInfo !== null) {
    const info = checkSenderInfo(content.senderInfo, envelope.senderPubkey, options.verifier);
    if (!info.ok) return info;
  }
  return ok({ requestId: id.value, sender: content.sender, targets: targets.value });
}

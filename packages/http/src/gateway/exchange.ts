/**
 * One request to a canister and its response (HTTP gateway protocol, "Overview", steps 4 to 11): query, upgrade to an update call,
 * body put together, verified. Invariant: where verification is asked for, no byte leaves that it did not cover, save what the
 * canister certifiably leaves out.
 */
import { type CanisterId, concatAll } from "@orrery/base";
import { createSha256, sha256 } from "@orrery/crypto";
import type { HeaderField } from "../messages.ts";
import {
  type CanisterRequest,
  type CanisterResponse,
  decodeCallbackResponse,
  decodeResponse,
  encodeRequest,
  type StreamingCallback,
} from "./candid.ts";
import { type CallContext, publicMetadata, query, replicaFor, update } from "./canister-calls.ts";
import { badResponse, Refusal, tooLarge, unverified } from "./failure.ts";
import { type Verified, verifyResponse } from "./verification/verify.ts";

/** Decompresses at most so many bytes; null when there are more or they are not in the format. `deflate` has no zlib header. */
export type Inflate = (
  encoding: "gzip" | "deflate",
  bytes: Uint8Array,
  bytesMax: number,
) => Uint8Array | null;

export interface ExchangeContext extends CallContext {
  readonly inflate: Inflate;
  /** Bytes of the bodies that are being put together now. */
  readonly assembling: { bytes: number };
}

export interface Exchange {
  readonly canisterId: CanisterId;
  /** Responses go out unverified. */
  readonly raw: boolean;
  /** With the headers as the client sent them, which is what canisters certify. */
  readonly request: CanisterRequest;
  /** With the headers that the canister is sent. */
  readonly sent: CanisterRequest;
}

export interface ExchangedResponse {
  readonly status: number;
  /** Those that may be passed on. */
  readonly headers: readonly HeaderField[];
  readonly body: Uint8Array;
  /** The rest of the body, after `body`, as it comes. */
  readonly rest: AsyncIterable<Uint8Array> | null;
  /** Of the whole body, where it comes in pieces and is known. */
  readonly length: number | null;
}

const STATUS_MIN = 200;
const STATUS_MAX = 999;
/** The section that says which versions of verification a canister supports. */
const VERSIONS_SECTION = "supported_certificate_versions";

function decoded(bytes: Uint8Array): CanisterResponse {
  const response = decodeResponse(bytes);
  if (!response.ok) throw new Refusal(badResponse(response.error));
  const { status } = response.value;
  if (status < STATUS_MIN || status > STATUS_MAX)
    throw new Refusal(badResponse(`Its status is ${status}, expected ${STATUS_MIN} to ${STATUS_MAX}.`));
  return response.value;
}

export async function ask(
  context: CallContext,
  canisterId: CanisterId,
  request: CanisterRequest,
): Promise<CanisterResponse> {
  return decoded(await query(context, canisterId, "http_request", encodeRequest(request, "query")));
}

/** The chunks that a canister's callback gives, one after another. */
async function* callbackChunks(
  context: CallContext,
  canisterId: CanisterId,
  { method, token: first }: StreamingCallback,
): AsyncGenerator<Uint8Array, void, undefined> {
  let token: Uint8Array | null = first;
  for (let calls = 0; token !== null; calls++) {
    if (calls >= context.limits.chunksMax)
      throw new Refusal(tooLarge(`The body comes in more than ${context.limits.chunksMax} chunks.`));
    const chunk = decodeCallbackResponse(await query(context, canisterId, method, token));
    if (!chunk.ok) throw new Refusal(badResponse(chunk.error));
    yield chunk.value.body;
    token = chunk.value.token;
  }
}

/** A body that is there as a whole, though in pieces. */
export interface Assembled {
  readonly pieces: readonly Uint8Array[];
  readonly length: number;
  readonly hash: Uint8Array;
}

/** Puts a body together, within the limits on one and on all of them. It is hashed as it comes, so that no turn takes long. */
async function assemble(
  { limits, assembling }: ExchangeContext,
  first: Uint8Array,
  rest: AsyncIterable<Uint8Array>,
): Promise<Assembled> {
  const pieces: Uint8Array[] = [];
  const hash = createSha256();
  let length = 0;
  const add = (piece: Uint8Array): void => {
    length += piece.length;
    assembling.bytes += piece.length;
    hash.update(piece);
    pieces.push(piece);
    if (length > limits.assembledBytesMax)
      throw new Refusal(tooLarge(`The body has more than ${limits.assembledBytesMax} bytes.`));
    if (assembling.bytes > limits.assemblingBytesMax)
      throw new Refusal(tooLarge(`All bodies under way have more than ${limits.assemblingBytesMax} bytes.`));
  };
  try {
    add(first);
    for await (const piece of rest) add(piece);
    return { pieces, length, hash: hash.digest() };
  } finally {
    assembling.bytes -= length;
  }
}

/** A body that came in one message. */
export function whole(body: Uint8Array): Assembled {
  return { pieces: [body], length: body.length, hash: sha256(body) };
}

async function* inPieces(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const piece of pieces) if (piece.length > 0) yield piece;
}

function restOf(
  context: CallContext,
  canisterId: CanisterId,
  response: CanisterResponse,
): AsyncIterable<Uint8Array> | null {
  const { streaming } = response;
  if (streaming === null) return null;
  if (
    streaming.canister.length !== canisterId.length ||
    streaming.canister.some((b, i) => b !== canisterId[i])
  )
    throw new Refusal(badResponse("The callback for the rest of its body is a method of another canister."));
  return callbackChunks(context, canisterId, streaming);
}

/** Verifies a response whose body is whole; refuses one that is not certified. */
export function verified(
  context: ExchangeContext,
  canisterId: CanisterId,
  request: CanisterRequest,
  response: Pick<CanisterResponse, "status" | "headers">,
  body: Assembled,
): Verified {
  const { rootKey, bls, limits, inflate } = context;
  const { status, headers } = response;
  const verdict = verifyResponse(
    request,
    {
      status,
      headers,
      bodyHash: body.hash,
      decodeBody: (encoding) => inflate(encoding, concatAll(body.pieces), limits.decodedBytesMax),
    },
    {
      canisterId,
      rootKey,
      bls,
      now: replicaFor(context, canisterId).now(),
      maxAgeNs: limits.certificateAgeNsMax,
    },
  );
  if (verdict.ok) return verdict.value;
  throw new Refusal(
    unverified(verdict.error, "With .raw before the domain, responses are shown without verification."),
  );
}

/** Version 1 counts only from canisters that do not declare version 2, and covers neither redirects nor caching. */
async function acceptLegacy(
  context: CallContext,
  canisterId: CanisterId,
  { status, headers }: CanisterResponse,
): Promise<readonly HeaderField[]> {
  const refuse = (reason: string): Refusal => new Refusal(unverified(reason, "Its maker can mend that."));
  if (status >= 300 && status < 400)
    throw refuse(`Version 1 of response verification does not cover the status ${status}.`);
  const versions = await publicMetadata(context, canisterId, VERSIONS_SECTION);
  if (versions === "hidden")
    throw refuse(
      `The response is certified with version 1, and the section ${VERSIONS_SECTION} is not public.`,
    );
  if (versions?.split(",").some((version) => version.trim() === "2") === true)
    throw refuse("The response is certified with version 1 although the canister supports version 2.");
  return headers.filter(([name]) => name.toLowerCase() !== "cache-control");
}

/** Asks the canister for its response to the request, up to the end of the first message of a partial one. */
export async function exchange(
  context: ExchangeContext,
  { canisterId, raw, request, sent }: Exchange,
): Promise<ExchangedResponse> {
  const queried = await ask(context, canisterId, sent);
  if (queried.upgrade) {
    const response = decoded(
      await update(context, canisterId, "http_request_update", encodeRequest(sent, "update")),
    );
    const { status, headers, body } = response;
    return { status, headers, body, rest: restOf(context, canisterId, response), length: null };
  }
  const { status } = queried;
  const rest = restOf(context, canisterId, queried);
  if (raw) return { status, headers: queried.headers, body: queried.body, rest, length: null };
  const body = rest === null ? whole(queried.body) : await assemble(context, queried.body, rest);
  const verdict = verified(context, canisterId, request, queried, body);
  const headers =
    verdict.version === 1
      ? await acceptLegacy(context, canisterId, queried)
      : (verdict.headers ?? queried.headers);
  if (rest === null) return { status, headers, body: queried.body, rest: null, length: null };
  return { status, headers, body: new Uint8Array(0), rest: inPieces(body.pieces), length: body.length };
}

/**
 * Bodies longer than a message: where a client asked for a whole resource and the canister answered with its beginning (status 206),
 * the gateway asks for one range after another and passes each on once it is verified. Invariant: what the client gets is one
 * version of the resource, in order and of the length announced, or the connection is cut.
 */
import type { HeaderField } from "../messages.ts";
import type { CanisterRequest, CanisterResponse } from "./candid.ts";
import { type ContentRange, parseContentRange } from "./content-range.ts";
import {
  ask,
  type Exchange,
  type ExchangeContext,
  type ExchangedResponse,
  verified,
  whole,
} from "./exchange.ts";
import { badResponse, Refusal, tooLarge } from "./failure.ts";
import { headerValue } from "./headers.ts";

export const PARTIAL = 206;
const OK = 200;

function rangeOf(headers: readonly HeaderField[], body: Uint8Array): ContentRange {
  const range = parseContentRange(headerValue(headers, "content-range"));
  if (!range.ok) throw new Refusal(badResponse(`${range.error}.`));
  const { first, last } = range.value;
  if (body.length !== last - first + 1) {
    const sizes = `A partial response has ${body.length} bytes for the range ${first} to ${last}.`;
    throw new Refusal(badResponse(sizes));
  }
  return range.value;
}

/** Whether the client asks for parts itself. */
export function asksForRange({ headers }: CanisterRequest): boolean {
  return headers.some(([name]) => name === "range" || name === "if-range");
}

function withRange(request: CanisterRequest, from: number): CanisterRequest {
  return { ...request, headers: [...request.headers, ["range", `bytes=${from}-`]] };
}

/** Headers of a part that count: the certified ones where they are. */
function trustedHeaders(
  context: ExchangeContext,
  exchange: Exchange,
  from: number,
  response: CanisterResponse,
): readonly HeaderField[] {
  if (exchange.raw) return response.headers;
  const verdict = verified(
    context,
    exchange.canisterId,
    withRange(exchange.request, from),
    response,
    whole(response.body),
  );
  if (verdict.version === 1)
    throw new Refusal(badResponse("Version 1 of response verification does not cover partial responses."));
  return verdict.headers ?? response.headers;
}

async function* remaining(
  context: ExchangeContext,
  exchange: Exchange,
  start: { readonly body: Uint8Array; readonly total: number; readonly etag: string | undefined },
): AsyncGenerator<Uint8Array, void, undefined> {
  const { total, etag } = start;
  let at = start.body.length;
  yield start.body;
  for (let parts = 0; at < total; parts++) {
    if (parts >= context.limits.chunksMax)
      throw new Refusal(tooLarge(`The body comes in more than ${context.limits.chunksMax} parts.`));
    const response = await ask(context, exchange.canisterId, withRange(exchange.sent, at));
    if (response.status !== PARTIAL || response.upgrade || response.streaming !== null)
      throw new Refusal(badResponse(`A request for bytes from ${at} on is not answered with a part.`));
    const headers = trustedHeaders(context, exchange, at, response);
    const range = rangeOf(headers, response.body);
    if (range.total !== total || headerValue(headers, "etag") !== etag)
      throw new Refusal(badResponse("The resource changed while it was being fetched."));
    if (range.first > at || range.last < at)
      throw new Refusal(badResponse(`A request for bytes from ${at} on is answered with others.`));
    yield response.body.subarray(at - range.first);
    at = range.last + 1;
  }
}

/** The whole resource of which the response is the beginning, its length known. */
export function completed(
  context: ExchangeContext,
  exchange: Exchange,
  response: ExchangedResponse,
): ExchangedResponse {
  if (response.rest !== null)
    throw new Refusal(badResponse("A partial response comes with a callback for the rest of its body."));
  const { first, total } = rangeOf(response.headers, response.body);
  if (first !== 0)
    throw new Refusal(badResponse("A request for a whole resource is answered with a later part."));
  const headers = response.headers.filter(([name]) => name.toLowerCase() !== "content-range");
  const etag = headerValue(headers, "etag");
  const rest = remaining(context, exchange, { body: response.body, total, etag });
  return { ...response, status: OK, headers, body: new Uint8Array(0), rest, length: total };
}

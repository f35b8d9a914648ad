/**
 * HTTPS outcalls inside the subnet (interface spec, "http_request"): the checks of a request, its price, the contexts that wait, and
 * what is done with an answer that a block brings. Making the request and transforming the response happen outside of rounds
 * (query/outcall.ts and the host). Every outcall is answered exactly once: by a block, or when its time is up. Texts are the
 * replica's, without error codes before them, as it rejects calls to the management canister.
 */
import {
  assert,
  MANAGEMENT_CANISTER,
  type OutcallResponse,
  type OutcallShare,
  principalKey,
  principalToText,
  responseBytes,
  utf8,
} from "@orrery/base";
import {
  type HttpHeader,
  type Outcall,
  type OutcallMethod,
  type ResponsePayload,
  touch,
} from "@orrery/state";
import { minOf } from "../bigints.ts";
import { recordConsumed } from "../cycles.ts";
import { costHttpRequest, outcallAnswerFee, outcallBaseFee } from "../fees.ts";
import {
  HEADER_BYTES_MAX,
  HEADERS_BYTES_MAX,
  HEADERS_MAX,
  OUTCALL_REQUEST_BYTES_MAX,
  OUTCALL_RESPONSE_BYTES_MAX,
  OUTCALLS_BYTES_MAX,
  OUTCALLS_MAX,
  URL_BYTES_MAX,
} from "../limits.ts";
import { answerRequest } from "../messaging/delivery.ts";
import { routingReject } from "../messaging/reject.ts";
import { isOutcallNode, outcallDeadline } from "../query/outcall-agreement.ts";
import type { Round } from "../scheduler/round.ts";
import { decodeArg, failure, type Handler, type ManagementAnswer, type ManagementCall } from "./call.ts";
import {
  type CandidRecord,
  optional,
  type Read,
  readBlob,
  readBool,
  readFunc,
  readNat32,
  readNat64,
  readRecord,
  readText,
  readVariant,
  readVec,
  required,
} from "./candid-decode.ts";
import { invalidPayload } from "./methods.ts";
import { groupedDigits } from "./outside-types.ts";

/** Of the `pricing_version`s; others count as the first. */
const PAY_BY_USE = 2n;

interface HttpArgs {
  readonly url: string;
  readonly maxResponseBytes: bigint | null;
  readonly method: OutcallMethod;
  readonly headers: readonly HttpHeader[];
  readonly body: Uint8Array | null;
  readonly transform: {
    readonly function: { readonly principal: Uint8Array; readonly method: string };
    readonly context: Uint8Array;
  } | null;
  readonly replicated: boolean;
  readonly byUse: boolean;
}

const constant =
  (method: OutcallMethod): Read<OutcallMethod> =>
  () =>
    method;

const readMethod = readVariant<OutcallMethod>({
  get: constant("GET"),
  head: constant("HEAD"),
  post: constant("POST"),
  put: constant("PUT"),
  delete: constant("DELETE"),
  patch: constant("PATCH"),
});

const readHeader: Read<HttpHeader> = (value, what) => {
  const header = readRecord(value, what);
  return { name: required(header, "name", readText), value: required(header, "value", readText) };
};

const readTransform: Read<NonNullable<HttpArgs["transform"]>> = (value, what) => {
  const transform = readRecord(value, what);
  return {
    function: required(transform, "function", readFunc),
    context: required(transform, "context", readBlob),
  };
};

function readArgs(record: CandidRecord): HttpArgs {
  return {
    url: required(record, "url", readText),
    maxResponseBytes: optional(record, "max_response_bytes", readNat64),
    method: required(record, "method", readMethod),
    headers: required(record, "headers", readVec(readHeader)),
    body: optional(record, "body", readBlob),
    transform: optional(record, "transform", readTransform),
    replicated: optional(record, "is_replicated", readBool) ?? true,
    byUse: optional(record, "pricing_version", readNat32) === PAY_BY_USE,
  };
}

/** Limits that the replica sees to while it decodes. */
function decodingError(headers: readonly HttpHeader[]): string | null {
  const tooMuch = (what: string, max: number): string =>
    `Deserialize error: The ${what} exceeds maximum allowed ${max}`;
  if (headers.length > HEADERS_MAX) return tooMuch("number of elements", HEADERS_MAX);
  const sizes = headers.map(({ name, value }) => utf8(name).length + utf8(value).length);
  if (sizes.some((size) => size > 2 * HEADER_BYTES_MAX))
    return tooMuch("single element data size", 2 * HEADER_BYTES_MAX);
  return sizes.reduce((a, b) => a + b, 0) > HEADERS_BYTES_MAX
    ? tooMuch("total data size", HEADERS_BYTES_MAX)
    : null;
}

/** The limits that requests and responses share; null: within them. */
export function headersAndBodyError(headers: readonly HttpHeader[], bodyBytes: number): string | null {
  const names = headers.map(({ name }) => utf8(name).length);
  const values = headers.map(({ value }) => utf8(value).length);
  const longestName = Math.max(0, ...names);
  const longestValue = Math.max(0, ...values);
  const total = [...names, ...values].reduce((a, b) => a + b, 0);
  if (headers.length > HEADERS_MAX)
    return `number of all http headers ${headers.length} exceeds ${HEADERS_MAX}`;
  if (longestName > HEADER_BYTES_MAX)
    return `number of bytes to represent some http header name ${longestName} exceeds ${HEADER_BYTES_MAX}`;
  if (longestValue > HEADER_BYTES_MAX)
    return `number of bytes to represent some http header value ${longestValue} exceeds ${HEADER_BYTES_MAX}`;
  if (total > HEADERS_BYTES_MAX)
    return `total number of bytes to represent all http header names and values ${total} exceeds ${HEADERS_BYTES_MAX}`;
  if (total + bodyBytes > OUTCALL_REQUEST_BYTES_MAX) {
    return (
      "total number of bytes to represent all http header names and values and http body " +
      `${total + bodyBytes} exceeds ${OUTCALL_REQUEST_BYTES_MAX}`
    );
  }
  return null;
}

const NON_REPLICATED_ONLY: ReadonlySet<OutcallMethod> = new Set(["PUT", "DELETE", "PATCH"]);

/** What is wrong with a request, in the replica's order; null: nothing. */
function requestError(call: ManagementCall, args: HttpArgs): string | null {
  if (args.transform !== null) {
    const { principal } = args.transform.function;
    if (principalKey(principal as never) !== principalKey(call.sender)) {
      return (
        `transform principal id expected to be ${principalToText(call.sender)}, ` +
        `got ${principalToText(principal as never)}`
      );
    }
  }
  const urlBytes = utf8(args.url).length;
  if (urlBytes > URL_BYTES_MAX) return `url size ${urlBytes} exceeds ${URL_BYTES_MAX}`;
  const tooMuch = headersAndBodyError(args.headers, args.body?.length ?? 0);
  if (tooMuch !== null) return tooMuch;
  const max = OUTCALL_RESPONSE_BYTES_MAX;
  if (args.maxResponseBytes !== null && args.maxResponseBytes > BigInt(max))
    return `max_response_bytes expected to be in the range [0..${max}], got ${args.maxResponseBytes}`;
  if (NON_REPLICATED_ONLY.has(args.method) && args.replicated)
    return "The requested HTTP method is only allowed for non-replicated requests.";
  return null;
}

/** What a request counts for when it is paid: url, headers, body, transform. */
function requestBytes(args: HttpArgs): bigint {
  const headers = args.headers.reduce(
    (sum, { name, value }) => sum + utf8(name).length + utf8(value).length,
    0,
  );
  const transform =
    args.transform === null ? 0 : utf8(args.transform.function.method).length + args.transform.context.length;
  return BigInt(utf8(args.url).length + headers + (args.body?.length ?? 0) + transform);
}

export const httpRequest: Handler = (round, call) => {
  const decoded = decodeArg(call, readArgs);
  if (!decoded.ok) return failure(decoded.error);
  const args = decoded.value;
  const undecodable = decodingError(args.headers);
  if (undecodable !== null) return failure(invalidPayload(undecodable));
  const wrong = requestError(call, args);
  if (wrong !== null) return { kind: "reject", code: 4, message: wrong };
  return begin(round, call, args);
};

/** What of an outcall may be large. */
function bulk(body: Uint8Array | null, context: Uint8Array | undefined): number {
  return (body?.length ?? 0) + (context?.length ?? 0);
}

/** Takes the price and lets the outcall wait for an answer. */
function begin(round: Round, call: ManagementCall, args: HttpArgs): ManagementAnswer {
  const { state } = round;
  const { subnet } = state;
  assert(call.origin.kind === "call", "http_request is for canisters only");
  if (state.outcalls.size >= OUTCALLS_MAX) {
    const message = `max number (${OUTCALLS_MAX}) of http requests in-flight reached.`;
    return { kind: "reject", code: 4, message };
  }
  const held = bulk(args.body, args.transform?.context);
  const waiting = [...state.outcalls.values()].reduce(
    (sum, { body, transform }) => sum + bulk(body, transform?.context),
    held,
  );
  if (waiting > OUTCALLS_BYTES_MAX) {
    const message = `HTTPS outcalls that wait would hold ${waiting} bytes, more than ${OUTCALLS_BYTES_MAX}.`;
    return { kind: "reject", code: 2, message };
  }
  const bytes = requestBytes(args);
  const fee = args.byUse
    ? outcallBaseFee(subnet, { requestBytes: bytes, replicated: args.replicated })
    : costHttpRequest(subnet, bytes, args.maxResponseBytes ?? BigInt(OUTCALL_RESPONSE_BYTES_MAX));
  if (call.cycles < fee) {
    const message =
      `${call.method} request sent with ${groupedDigits(call.cycles)} cycles, ` +
      `but ${groupedDigits(fee)} cycles are required.`;
    return { kind: "reject", code: 4, message };
  }
  charge(round, call.origin.from, fee);
  const refund = call.cycles - fee;
  const { from, callbackId } = call.origin;
  const outcall: Outcall = {
    id: state.nextOutcall++,
    from,
    callbackId,
    refund,
    time: state.time,
    url: args.url,
    method: args.method,
    headers: args.headers,
    body: args.body,
    maxResponseBytes: args.maxResponseBytes === null ? null : Number(args.maxResponseBytes),
    transform:
      args.transform === null
        ? null
        : { method: args.transform.function.method, context: args.transform.context },
    replicated: args.replicated,
    allowance: args.byUse ? refund / (args.replicated ? BigInt(subnet.feeSize) : 1n) : null,
  };
  state.outcalls.set(outcall.id, outcall);
  round.outcallsStarted.push(outcall);
  return { kind: "pending" };
}

function charge(round: Round, from: Outcall["from"], amount: bigint): void {
  const canister = round.state.canisters.get(principalKey(from)) ?? null;
  recordConsumed(round.state, canister, amount, "http_outcalls");
  if (canister !== null && amount > 0n) touch(round.state, canister);
}

/** Gives callers the answers of a block; one for an outcall that is not waiting any more has nobody to go to. */
export function answerOutcalls(round: Round, responses: readonly OutcallResponse[]): void {
  for (const response of responses) {
    const outcall = round.state.outcalls.get(response.outcall);
    if (outcall !== undefined && suits(round, outcall, response))
      answer(round, outcall, { payload: payloadOf(outcall, response), response });
  }
}

/**
 * Consensus vouches for signatures, and that as many agree as have to where there are several; only the state knows which outcalls one node
 * was to make.
 */
function suits({ state }: Round, outcall: Outcall, { agreement }: OutcallResponse): boolean {
  if (agreement === undefined) return true;
  const [{ signer }, ...others] = agreement.shares as readonly [OutcallShare, ...OutcallShare[]];
  if (outcall.replicated) return others.length > 0;
  const nodes = state.subnet.nodes.length;
  return others.length === 0 && isOutcallNode(outcall, { place: signer, nodes });
}

function payloadOf(outcall: Outcall, response: OutcallResponse): ResponsePayload {
  const { content } = response;
  if (content.kind === "reject") return routingReject(content.code, content.message);
  const max = outcall.maxResponseBytes ?? OUTCALL_RESPONSE_BYTES_MAX;
  if (outcall.transform !== null && content.data.length > max)
    return routingReject(1, `Transformed http response exceeds limit: ${max}`);
  return { kind: "reply", data: content.data };
}

/** Ends an outcall, with what its answer cost where use is paid for. */
function answer(
  round: Round,
  outcall: Outcall,
  given: { readonly payload: ResponsePayload; readonly response: OutcallResponse | null },
): void {
  const { state } = round;
  state.outcalls.delete(outcall.id);
  round.outcallsEnded.push(outcall.id);
  let spent = 0n;
  if (outcall.allowance !== null && given.response !== null) {
    const used = outcallAnswerFee(state.subnet, {
      spentByNode: minOf(given.response.spent, outcall.allowance),
      replicated: outcall.replicated,
      bytes: BigInt(responseBytes(given.response)),
    });
    spent = minOf(used, outcall.refund);
    charge(round, outcall.from, spent);
  }
  answerRequest(round, outcall, {
    from: MANAGEMENT_CANISTER,
    payload: given.payload,
    refund: outcall.refund - spent,
  });
}

/** Rejects the outcalls whose time is up; numbers and times ascend together. */
export function expireOutcalls(round: Round): void {
  for (const outcall of [...round.state.outcalls.values()].sort((a, b) => a.id - b.id)) {
    if (outcallDeadline(outcall) > round.state.time) return;
    answer(round, outcall, {
      payload: routingReject(2, "Canister http request timed out"),
      response: null,
    });
  }
}

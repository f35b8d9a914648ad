/**
 * From what the host got for an HTTPS outcall to the answer that a block orders (interface spec, "http_request"): limits on the
 * response, the caller's transform on a certified state, and what all of it costs where use is paid for. Runs where queries do.
 */
import { MANAGEMENT_CANISTER, type OutcallResponse } from "@orrery/base";
import type { HttpHeader, Outcall, SubnetInfo } from "@orrery/state";
import { maxOf, minOf } from "../bigints.ts";
import { errorCodeText, rejectCodeOf, type UserError } from "../error-codes.ts";
import { isFree, OUTCALL_FEES, REFERENCE_SUBNET_SIZE } from "../fees.ts";
import { limitsOf, OUTCALL_RESPONSE_BYTES_MAX, QUEUE_CAPACITY } from "../limits.ts";
import { headersAndBodyError } from "../management/http-request.ts";
import { encodeHttpResponse, encodeTransformArgs } from "../management/outside-types.ts";
import { boundedText, didNotReply, notFound } from "../messaging/reject.ts";
import type { WasmRunner } from "../runner/runner.ts";
import type { Mirror } from "./mirror.ts";
import { refusal } from "./query-call.ts";

/** What came of the request to the outside. */
export type FetchedOutcall =
  | {
      readonly kind: "response";
      readonly status: number;
      readonly headers: readonly HttpHeader[];
      readonly body: Uint8Array;
      readonly downloadedBytes: number;
      readonly elapsedMs: number;
    }
  | {
      readonly kind: "failure";
      /** Reject code: 1 for good, 2 for now. */
      readonly code: 1 | 2;
      readonly message: string;
      readonly downloadedBytes: number;
      readonly elapsedMs: number;
    };

type FreeSubnet = Parameters<typeof isFree>[0];

/** Bytes of headers and body that may be downloaded for an outcall. */
export function outcallResponseBytesMax(subnet: FreeSubnet, outcall: Outcall): number {
  const asked = outcall.maxResponseBytes ?? OUTCALL_RESPONSE_BYTES_MAX;
  if (outcall.allowance === null || isFree(subnet)) return asked;
  return Number(minOf(BigInt(asked), outcall.allowance / OUTCALL_FEES.downloadedByte));
}

type Content = OutcallResponse["content"];

function reject(code: 1 | 2 | 3 | 4 | 5, message: string): Content {
  return { kind: "reject", code, message: boundedText(message) };
}

/** What a node may still spend on one outcall. */
class Budget {
  spent = 0n;
  readonly #allowance: bigint | null;
  readonly #instructionsMax: bigint;

  constructor(subnet: SubnetInfo, outcall: Outcall) {
    this.#instructionsMax = limitsOf(subnet.type).instructionsPerQuery;
    this.#allowance = isFree(subnet) ? null : outcall.allowance;
  }

  /** False when it does not suffice; all of it is spent then. */
  spend(amount: bigint): boolean {
    this.spent += amount;
    return this.#allowance === null || this.spent <= this.#allowance;
  }

  instructions(): bigint {
    if (this.#allowance === null) return this.#instructionsMax;
    return minOf(this.#instructionsMax, maxOf(this.#allowance - this.spent, 0n) * REFERENCE_SUBNET_SIZE);
  }
}

export function answerOutcall(
  view: { readonly mirror: Mirror; readonly runner: WasmRunner },
  outcall: Outcall,
  fetched: FetchedOutcall,
): OutcallResponse {
  const { subnet } = view.mirror;
  const byUse = outcall.allowance !== null;
  const budget = new Budget(subnet, outcall);
  const content = contentOf(view, outcall, { fetched, budget });
  const spent = byUse ? budget.spent : 0n;
  return { outcall: outcall.id, spent, content };
}

function contentOf(
  view: { readonly mirror: Mirror; readonly runner: WasmRunner },
  outcall: Outcall,
  options: { readonly fetched: FetchedOutcall; readonly budget: Budget },
): Content {
  const { fetched, budget } = options;
  const poor = reject(1, "Insufficient cycles");
  const network =
    OUTCALL_FEES.downloadedByte * BigInt(fetched.downloadedBytes) +
    OUTCALL_FEES.roundtripMs * BigInt(Math.ceil(fetched.elapsedMs));
  if (!budget.spend(network)) return poor;
  if (fetched.kind === "failure") return reject(fetched.code, fetched.message);
  const tooMuch = headersAndBodyError(fetched.headers, fetched.body.length);
  if (tooMuch !== null) return reject(1, tooMuch);
  const { status, headers, body } = fetched;
  let content: Content;
  if (outcall.transform === null) {
    content = { kind: "reply", data: encodeHttpResponse({ status, headers, body }) };
  } else {
    const arg = encodeTransformArgs({ status, headers, body }, outcall.transform.context);
    const limit = budget.instructions();
    const transformed = transform(view, outcall, { method: outcall.transform.method, arg, limit });
    if (!budget.spend(transformed.instructions / REFERENCE_SUBNET_SIZE)) return poor;
    content = withinLimit(outcall, transformed.content);
  }
  const gossiped = content.kind === "reply" ? content.data.length : content.message.length;
  const gossip = OUTCALL_FEES.gossipedByteNode * BigInt(gossiped) * BigInt(view.mirror.subnet.feeSize);
  return outcall.replicated || budget.spend(gossip) ? content : poor;
}

function withinLimit(outcall: Outcall, content: Content): Content {
  const max = outcall.maxResponseBytes ?? OUTCALL_RESPONSE_BYTES_MAX;
  if (content.kind === "reject" || content.data.length <= max) return content;
  return reject(1, `Transformed http response exceeds limit: ${max}`);
}

/** The caller's transform as a query of the management canister; certified data has no place in it. */
function transform(
  { mirror, runner }: { readonly mirror: Mirror; readonly runner: WasmRunner },
  outcall: Outcall,
  call: { readonly method: string; readonly arg: Uint8Array; readonly limit: bigint },
): { readonly content: Content; readonly instructions: bigint } {
  const told = (error: UserError): Content =>
    reject(rejectCodeOf(error.code) as 1, `${errorCodeText(error.code)}: ${error.message}`);
  const canister = mirror.canister(outcall.from);
  if (canister === null) return { content: told(notFound(outcall.from)), instructions: 0n };
  const refused = refusal(mirror.subnet, canister);
  if (refused !== null) return { content: told(refused), instructions: 0n };
  const entry = { kind: "transform", method: call.method, arg: call.arg } as const;
  const { outcome } = runner.query(canister, entry, {
    draft: null,
    keepDraft: false,
    context: {
      subnet: mirror.subnet,
      time: mirror.time,
      caller: MANAGEMENT_CANISTER,
      callerInfo: null,
      deadline: 0n,
      cyclesAvailable: 0n,
      cyclesRefunded: 0n,
      canRespond: true,
      instructionLimit: call.limit,
      contextInstructions: 0n,
      dataCertificate: null,
      subnetMemoryAvailable: 0n,
      requestSlots: () => QUEUE_CAPACITY,
    },
  });
  const { instructions } = outcome;
  if (outcome.error !== null) return { content: told(outcome.error), instructions };
  const response = outcome.effects?.response ?? null;
  if (response === null) return { content: told(didNotReply(outcall.from)), instructions };
  if (response.kind === "reject") return { content: reject(4, response.message), instructions };
  return { content: { kind: "reply", data: response.data }, instructions };
}

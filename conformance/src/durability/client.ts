/**
 * A client that can send the same signed request again: what an agent does when it gets no answer. Signing, request ids and
 * certificate verification are the published client library's; only the pairing is checked with a faster back end.
 */
import { randomBytes } from "node:crypto";
import { Cbor, Certificate, LookupPathStatus, lookupResultToBuffer, requestIdOf } from "@icp-sdk/core/agent";
import type { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import type { Principal } from "@icp-sdk/core/principal";
import type { Bls } from "@orrery/crypto";
import type { CertificateClock } from "./certificate-clock.ts";

/** A request may wait this long; the request's status is known as long. */
export const EXPIRY_MS = 270_000;
const NS_PER_MS = 1_000_000n;
/** Between two looks at a request that a synchronous call did not answer. */
const POLL_MS = 40;

export interface SignedRequest {
  readonly requestId: Uint8Array;
  readonly effectiveCanisterId: Principal;
  readonly body: Uint8Array;
  readonly expiresAtMs: number;
}

export type Answer =
  | { readonly kind: "replied"; readonly reply: Uint8Array }
  | { readonly kind: "rejected"; readonly code: number; readonly message: string };

/** The node did not answer: it is gone, or going. */
export class Unanswered extends Error {}
/** The node answered, and not as it may. */
export class Violation extends Error {}
/** The node says that it will not answer this now. Where there is only one node, that is no answer. */
export class Refused extends Violation {
  readonly status: number;

  constructor(status: number, body: Uint8Array) {
    super(`HTTP ${status}: ${new TextDecoder().decode(body)}`);
    this.status = status;
  }
}
/** What the node certified is older than what was seen before. Of several nodes, each may be behind the others. */
export class Stale extends Violation {}

/** A node that runs, as the client sees it. */
export interface Endpoint {
  readonly url: string;
  readonly rootKey: Uint8Array;
}

export interface ClientOptions {
  readonly bls: Bls;
  readonly clock: CertificateClock;
  readonly identity: Ed25519KeyIdentity;
  /** The client's clock where it is not the machine's; ages of certificates are then the test's to judge. */
  readonly nowMs?: () => number;
  /** After so long without an answer a node counts as gone; by default it may take any time. */
  readonly timeoutMs?: number;
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function decodeLeb128(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 7n) | BigInt(byte & 0x7f), 0n);
}

export class Client {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  #nowMs(): number {
    return this.#options.nowMs?.() ?? Date.now();
  }

  #expiry(): bigint {
    return BigInt(this.#nowMs() + EXPIRY_MS) * NS_PER_MS;
  }

  async sign(call: {
    readonly canisterId: Principal;
    readonly method: string;
    readonly arg: Uint8Array;
    /** By default the canister called. */
    readonly effectiveCanisterId?: Principal;
  }): Promise<SignedRequest> {
    const expiresAtMs = this.#nowMs() + EXPIRY_MS;
    const content = {
      request_type: "call",
      canister_id: call.canisterId,
      method_name: call.method,
      arg: call.arg,
      sender: this.#options.identity.getPrincipal(),
      ingress_expiry: this.#expiry(),
      nonce: new Uint8Array(randomBytes(16)),
    };
    return {
      requestId: requestIdOf(content),
      effectiveCanisterId: call.effectiveCanisterId ?? call.canisterId,
      body: await this.#envelope(content),
      expiresAtMs,
    };
  }

  async #envelope(content: Record<string, unknown>): Promise<Uint8Array> {
    const transformed = (await this.#options.identity.transformRequest({
      endpoint: "call",
      request: { headers: new Headers() },
      body: content,
    } as never)) as { readonly body: unknown };
    return Cbor.encode(transformed.body);
  }

  /** Sends a request, the first time or again, and waits for its answer. */
  async submit(at: Endpoint, request: SignedRequest): Promise<Answer> {
    const path = `/api/v4/canister/${request.effectiveCanisterId.toText()}/call`;
    const since = this.#options.clock.newest(request.effectiveCanisterId);
    const response = await this.#post(at, path, request.body);
    if (response.status === 202) return this.#poll(at, request);
    if (response.status !== 200) throw new Refused(response.status, response.body);
    const decoded = Cbor.decode<{
      status: string;
      certificate?: Uint8Array;
      reject_code?: bigint;
      reject_message?: string;
    }>(response.body);
    if (decoded.certificate === undefined) {
      // A request sent again may be refused because of what it did the first time: its status says so.
      const rejected: Answer = {
        kind: "rejected",
        code: Number(decoded.reject_code),
        message: decoded.reject_message ?? "",
      };
      return (await this.status(at, request)) ?? rejected;
    }
    const answer = this.#answerIn(
      await this.#verify(at, request.effectiveCanisterId, decoded.certificate, since),
      request,
    );
    return answer ?? this.#poll(at, request);
  }

  /** Sends a request and does not wait for its answer. */
  async send(at: Endpoint, request: SignedRequest): Promise<void> {
    const path = `/api/v2/canister/${request.effectiveCanisterId.toText()}/call`;
    const { status } = await this.#post(at, path, request.body);
    if (status !== 202) throw new Violation(`HTTP ${status}`);
  }

  /** What the network says now about a request, null when it does not know it or has no answer yet. */
  async status(at: Endpoint, request: SignedRequest): Promise<Answer | null> {
    const certificate = await this.readState(at, request.effectiveCanisterId, [
      [bytesOf("request_status"), request.requestId],
    ]);
    return this.#answerIn(certificate, request);
  }

  async readState(at: Endpoint, canisterId: Principal, paths: Uint8Array[][]): Promise<Certificate> {
    const since = this.#options.clock.newest(canisterId);
    const body = await this.#envelope({
      request_type: "read_state",
      paths,
      sender: this.#options.identity.getPrincipal(),
      ingress_expiry: this.#expiry(),
    });
    const response = await this.#post(at, `/api/v3/canister/${canisterId.toText()}/read_state`, body);
    if (response.status !== 200) throw new Refused(response.status, response.body);
    const { certificate } = Cbor.decode<{ certificate: Uint8Array }>(response.body);
    return this.#verify(at, canisterId, certificate, since);
  }

  /** An uncertified query: the drill compares it with certified answers. */
  async query(at: Endpoint, canisterId: Principal, method: string, arg: Uint8Array): Promise<Uint8Array> {
    const body = await this.#envelope({
      request_type: "query",
      canister_id: canisterId,
      method_name: method,
      arg,
      sender: this.#options.identity.getPrincipal(),
      ingress_expiry: this.#expiry(),
    });
    const response = await this.#post(at, `/api/v3/canister/${canisterId.toText()}/query`, body);
    if (response.status !== 200) throw new Refused(response.status, response.body);
    const answer = Cbor.decode<{ status: string; reply?: { arg: Uint8Array }; reject_message?: string }>(
      response.body,
    );
    if (answer.reply === undefined) throw new Violation(`query ${method}: ${answer.reject_message}`);
    return answer.reply.arg;
  }

  /** A query that answers with the certificate of its canister's data. */
  async certified(
    at: Endpoint,
    canisterId: Principal,
    method: string,
    arg: Uint8Array,
  ): Promise<Certificate> {
    const since = this.#options.clock.newest(canisterId);
    return this.#verify(at, canisterId, await this.query(at, canisterId, method, arg), since);
  }

  /** Height that the node says is published. */
  async height(at: Endpoint): Promise<number> {
    const response = await fetch(`${at.url}/api/v2/status`).catch((cause: unknown) => {
      throw new Unanswered("no answer", { cause });
    });
    const { certified_height } = Cbor.decode<{ certified_height: number | bigint }>(
      new Uint8Array(await response.arrayBuffer()),
    );
    return Number(certified_height);
  }

  async #poll(at: Endpoint, request: SignedRequest): Promise<Answer> {
    while (this.#nowMs() < request.expiresAtMs) {
      const answer = await this.status(at, request);
      if (answer !== null) return answer;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    throw new Violation("a request was accepted and not answered before it expired");
  }

  async #post(at: Endpoint, path: string, body: Uint8Array): Promise<{ status: number; body: Uint8Array }> {
    const { timeoutMs } = this.#options;
    try {
      const response = await fetch(at.url + path, {
        method: "POST",
        signal: timeoutMs === undefined ? null : AbortSignal.timeout(timeoutMs),
        headers: { "content-type": "application/cbor" },
        body: body as Uint8Array<ArrayBuffer>,
      });
      return { status: response.status, body: new Uint8Array(await response.arrayBuffer()) };
    } catch (cause) {
      throw new Unanswered("no answer", { cause });
    }
  }

  /** Verifies a certificate and that its time is not before what anybody had seen when it was asked for. */
  async #verify(at: Endpoint, canisterId: Principal, bytes: Uint8Array, since: bigint): Promise<Certificate> {
    const { bls, clock } = this.#options;
    const certificate = await Certificate.create({
      certificate: bytes,
      rootKey: at.rootKey,
      principal: { canisterId },
      disableTimeVerification: this.#options.nowMs !== undefined,
      blsVerify: (key, signature, message) => bls.verify(key, message, signature),
    });
    const time = lookupResultToBuffer(certificate.lookup_path(["time"]));
    if (time === undefined) throw new Violation("a certificate without a time");
    const now = decodeLeb128(time);
    if (now < since) throw new Stale(`certified time went back from ${since} to ${now}`);
    clock.saw(canisterId, now);
    return certificate;
  }

  #answerIn(certificate: Certificate, request: SignedRequest): Answer | null {
    const field = (name: string): Uint8Array | undefined => {
      const found = certificate.lookup_path(["request_status", request.requestId, name]);
      return found.status === LookupPathStatus.Found ? found.value : undefined;
    };
    const status = field("status");
    switch (status === undefined ? "" : new TextDecoder().decode(status)) {
      case "replied":
        return { kind: "replied", reply: field("reply") as Uint8Array };
      case "rejected":
        return {
          kind: "rejected",
          code: Number(decodeLeb128(field("reject_code") as Uint8Array)),
          message: new TextDecoder().decode(field("reject_message")),
        };
      case "done":
        throw new Violation("the reply of a request was dropped before it expired");
      default:
        return null;
    }
  }
}

/**
 * The HTTPS interface at the level of requests (interface spec, "HTTPS Interface"): envelopes with every field under the case's
 * control, calls followed to their certified outcome, certificates verified by the published client library.
 */
import { createPublicKey, type KeyObject, randomBytes, verify } from "node:crypto";
import {
  Certificate,
  type HttpAgent,
  type LookupPathResultFound,
  LookupPathStatus,
} from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import {
  type CborMap,
  type CborValue,
  concatBytes,
  decodeCbor,
  encodeCbor,
  type RequestId,
  utf8,
} from "@orrery/base";
import { type Bls, domainSep, hashOfMap, queryResponseHash, requestId } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { hex, leb128, textOf } from "./bytes.ts";
import { ANONYMOUS, type Identity, principalOfKey } from "./identity.ts";

const NS_PER_MS = 1_000_000n;
const EXPIRY_MS = 240_000;
/** Between two looks at a request that was not answered at once. */
const POLL_MS = 60;
/** Between two looks at how far a node has come. */
const BEHIND_POLL_MS = 20;
/** A request that has no outcome then is a failure. */
const OUTCOME_MS = 120_000;

export type Fields = Readonly<Record<string, CborValue>>;

export interface Delegation {
  readonly pubkey: Uint8Array;
  readonly expiration: bigint;
  readonly targets?: readonly Uint8Array[];
  readonly permissions?: string;
}
export interface SignedDelegation {
  readonly delegation: Fields;
  readonly signature: Uint8Array;
}

/** What was asked and how it is sent. */
export interface Request {
  readonly id: Uint8Array;
  readonly body: Uint8Array;
}

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

export type Outcome =
  | { readonly kind: "replied"; readonly reply: Uint8Array }
  | {
      readonly kind: "rejected";
      readonly code: number;
      readonly message: string;
      readonly error: string | null;
      /** In the certified state, before the call was taken, or as a query's answer. */
      readonly from: "state" | "submission" | "query";
    }
  /** Not 200 and not 202. */
  | { readonly kind: "refused"; readonly status: number; readonly text: string };

export function nowNs(): bigint {
  return BigInt(Date.now()) * NS_PER_MS;
}

export function signDelegation(by: Identity, delegation: Delegation): SignedDelegation {
  const fields = Object.fromEntries(
    Object.entries(delegation).filter(([, value]) => value !== undefined),
  ) as Fields;
  const message = concatBytes(
    domainSep("ic-request-auth-delegation"),
    hashOfMap(new Map(Object.entries(fields))),
  );
  return { delegation: fields, signature: by.sign(message) };
}

/** The content's fields: those of the kind, then `fields`; a field set to undefined is left out. */
export function contentOf(
  kind: "call" | "query" | "read_state",
  sender: Uint8Array,
  fields: Fields,
): CborMap {
  const all: Record<string, CborValue> = {
    request_type: kind,
    sender,
    ingress_expiry: nowNs() + BigInt(EXPIRY_MS) * NS_PER_MS,
    ...(kind === "call" ? { nonce: new Uint8Array(randomBytes(16)) } : {}),
    ...fields,
  };
  return new Map(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** Signs the content. `from`: the identity at the head of the chain, when `signer` is the last delegate. */
export function sign(
  signer: Identity,
  content: CborMap,
  chain?: { readonly from: Identity; readonly delegations: readonly SignedDelegation[] },
): Request {
  const id = requestId(content);
  const from = chain?.from ?? signer;
  if (from.publicKeyDer === null) return { id, body: encodeCbor({ content }) };
  const envelope: Record<string, CborValue> = {
    content,
    sender_pubkey: from.publicKeyDer,
    sender_sig: signer.sign(concatBytes(domainSep("ic-request"), id)),
  };
  if (chain !== undefined) envelope["sender_delegation"] = chain.delegations as unknown as CborValue;
  return { id, body: encodeCbor(envelope) };
}

/** How a network that is not at a port by the machine's clock is asked. */
export interface WireOptions {
  readonly fetch?: typeof fetch;
  /** Of a network with a clock of its own. */
  readonly now?: () => bigint;
}

/** What a node says of canisters and subnets that it has no part of (interface spec, "HTTP interface"). */
const ELSEWHERE = 400;
const NOT_SERVED_HERE = /is not served here|of a subnet that is served here/;

export class Wire {
  readonly url: string;
  /** Of a wire to one node: the network's port, which knows the way to what that node has no part of. */
  readonly #network: Wire | null;
  readonly rootKey: Uint8Array;
  readonly #options: WireOptions;
  readonly #bls: Bls;
  /** Pairings that held: a subnet's delegation is the same under every certificate. */
  readonly #verified = new Set<string>();
  /** Keys of nodes, by id. */
  readonly #nodeKeys = new Map<string, KeyObject>();
  /** Newest certified time that any node of a subnet showed, by subnet: wires to nodes of one network have one of it. */
  readonly #shown: Map<string, bigint>;

  private constructor(
    url: string,
    rootKey: Uint8Array,
    bls: Bls,
    options: WireOptions,
    shown: Map<string, bigint>,
    network: Wire | null = null,
  ) {
    this.#network = network;
    this.url = url.replace(/\/$/, "");
    this.#options = options;
    this.rootKey = rootKey;
    this.#bls = bls;
    this.#shown = shown;
  }

  static async connect(url: string, options: WireOptions = {}): Promise<Wire> {
    const bls = await createMclBls();
    const shown = new Map<string, bigint>();
    const probe = new Wire(url, new Uint8Array(), bls, options, shown);
    const status = await probe.status();
    return new Wire(url, status.get("root_key") as Uint8Array, bls, options, shown);
  }

  /** The same network at another of its nodes. */
  at(url: string): Wire {
    return new Wire(url, this.rootKey, this.#bls, this.#options, this.#shown, this);
  }

  /**
   * Waits until this node shows of a subnet what any other did when it was asked: a client that stays with one node sees what it
   * did itself, and here what others did before as well.
   */
  async caughtUp(subnetId: Principal): Promise<void> {
    const goal = this.#shown.get(subnetId.toText()) ?? 0n;
    const until = Date.now() + OUTCOME_MS;
    for (;;) {
      const certificate = await this.readState(`subnet/${subnetId.toText()}`, ANONYMOUS, [[utf8("time")]]);
      if (timeOf(certificate) >= goal) return;
      if (Date.now() > until) throw new Error(`the node at ${this.url} stays behind the others`);
      await new Promise((resolve) => setTimeout(resolve, BEHIND_POLL_MS));
    }
  }

  /** The network's time, as far as a client knows it. */
  now(): bigint {
    return this.#options.now?.() ?? nowNs();
  }

  /** When a request made now expires. */
  expiry(): bigint {
    return this.now() + BigInt(EXPIRY_MS) * NS_PER_MS;
  }

  async status(): Promise<CborMap> {
    const answer = await this.send("GET", "/api/v2/status");
    return decodeCbor(answer.body) as CborMap;
  }

  async send(
    method: string,
    path: string,
    options: { readonly body?: Uint8Array; readonly headers?: Readonly<Record<string, string>> } = {},
  ): Promise<Answer> {
    const response = await (this.#options.fetch ?? fetch)(this.url + path, {
      method,
      headers: options.headers ?? {},
      ...(options.body === undefined ? {} : { body: options.body as Uint8Array<ArrayBuffer> }),
    });
    const body = new Uint8Array(await response.arrayBuffer());
    const isElsewhere = response.status === ELSEWHERE && NOT_SERVED_HERE.test(textOf(body));
    if (isElsewhere && this.#network !== null) return await this.#network.send(method, path, options);
    return {
      status: response.status,
      contentType: response.headers.get("content-type") ?? "",
      headers: response.headers,
      body,
    };
  }

  post(path: string, body: Uint8Array): Promise<Answer> {
    return this.send("POST", path, { body, headers: { "content-type": "application/cbor" } });
  }

  /** Sends an update call through `destination` ("canister/…" or "subnet/…") and follows it to its outcome. */
  async call(
    destination: string,
    request: Request,
    options: { readonly identity: Identity; readonly version?: 2 | 3 | 4 },
  ): Promise<Outcome> {
    const answer = await this.post(`/api/v${options.version ?? 4}/${destination}/call`, request.body);
    if (answer.status === 202) return this.#poll(destination, request, options.identity);
    if (answer.status !== 200) return { kind: "refused", status: answer.status, text: textOf(answer.body) };
    const fields = decodeCbor(answer.body) as CborMap;
    const bytes = fields.get("certificate");
    if (!(bytes instanceof Uint8Array)) return rejection(fields, "submission");
    const certificate = await this.verify(bytes, destination);
    return outcomeIn(certificate, request.id) ?? this.#poll(destination, request, options.identity);
  }

  async #poll(destination: string, request: Request, identity: Identity): Promise<Outcome> {
    const until = Date.now() + OUTCOME_MS;
    while (Date.now() < until) {
      const paths = [[utf8("request_status"), request.id]];
      const certificate = await this.readState(destination, identity, paths);
      const outcome = outcomeIn(certificate, request.id);
      if (outcome !== null) return outcome;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    throw new Error(`request ${hex(request.id)} had no outcome after ${OUTCOME_MS} ms`);
  }

  async query(destination: string, request: Request, version: 2 | 3 = 3): Promise<Outcome> {
    const answer = await this.post(`/api/v${version}/${destination}/query`, request.body);
    if (answer.status !== 200) return { kind: "refused", status: answer.status, text: textOf(answer.body) };
    const fields = decodeCbor(answer.body) as CborMap;
    await this.#verifySignatures(destination, request, fields);
    if (fields.get("status") !== "replied") return rejection(fields, "query");
    return { kind: "replied", reply: (fields.get("reply") as CborMap).get("arg") as Uint8Array };
  }

  /** Every signature of a query's answer must be that of a node of the subnet. */
  async #verifySignatures(destination: string, request: Request, fields: CborMap): Promise<void> {
    const signatures = (fields.get("signatures") ?? []) as readonly CborMap[];
    if (signatures.length === 0) throw new Error("a query's answer has no signature");
    const text = (name: string): string => String(fields.get(name));
    const response =
      fields.get("status") === "replied"
        ? { status: "replied" as const, arg: (fields.get("reply") as CborMap).get("arg") as Uint8Array }
        : {
            status: "rejected" as const,
            rejectCode: Number(fields.get("reject_code")),
            rejectMessage: text("reject_message"),
            errorCode: text("error_code"),
          };
    for (const signature of signatures) {
      const timestamp = BigInt(signature.get("timestamp") as bigint);
      const hash = queryResponseHash({ response, requestId: request.id as RequestId, timestamp });
      const key = await this.#nodeKey(destination, signature.get("identity") as Uint8Array);
      const message = concatBytes(domainSep("ic-response"), hash);
      if (!verify(null, message, key, signature.get("signature") as Uint8Array))
        throw new Error("a signature of a query's answer does not verify");
    }
  }

  async #nodeKey(destination: string, node: Uint8Array): Promise<KeyObject> {
    const known = this.#nodeKeys.get(hex(node));
    if (known !== undefined) return known;
    const certificate = await this.readState(destination, ANONYMOUS, [[utf8("subnet")]]);
    const subnet = certificate.cert.delegation?.subnet_id ?? principalOfKey(this.rootKey);
    const der = valueAt(certificate, "subnet", new Uint8Array(subnet), "node", node, "public_key");
    if (der === null)
      throw new Error(`${hex(node)}, which signed a query's answer, is no node of the subnet`);
    const key = createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
    this.#nodeKeys.set(hex(node), key);
    return key;
  }

  /** A verified certificate about the paths; throws when the answer is none. */
  async readState(
    destination: string,
    identity: Identity,
    paths: readonly (readonly Uint8Array[])[],
    version: 2 | 3 = 3,
  ): Promise<Certificate> {
    const fields = { ingress_expiry: this.expiry(), paths };
    const request = sign(identity, contentOf("read_state", identity.sender, fields));
    const answer = await this.post(`/api/v${version}/${destination}/read_state`, request.body);
    if (answer.status !== 200) throw new Error(`read_state: HTTP ${answer.status}: ${textOf(answer.body)}`);
    const { certificate } = Object.fromEntries(decodeCbor(answer.body) as CborMap) as {
      certificate: Uint8Array;
    };
    return this.verify(certificate, destination);
  }

  /** Verifies as a client that asked through `destination` would. */
  async verify(certificate: Uint8Array, destination: string): Promise<Certificate> {
    const id = Principal.fromText(destination.split("/")[1] ?? "");
    // The management canister lies in no range; a certificate about it is checked as the root subnet's is.
    const principal = destination.startsWith("canister/") ? { canisterId: id } : { subnetId: id };
    const verified = await Certificate.create({
      certificate,
      rootKey: this.rootKey,
      principal,
      blsVerify: (key, signature, message) => this.#verifyOnce(key, signature, message),
      ...(this.#options.now === undefined ? {} : { agent: this.#agent(this.#options.now) }),
    });
    const by = verified.cert.delegation?.subnet_id ?? principalOfKey(this.rootKey);
    const subnet = Principal.fromUint8Array(new Uint8Array(by)).toText();
    const [time, shown] = [timeOf(verified), this.#shown.get(subnet) ?? 0n];
    if (time > shown) this.#shown.set(subnet, time);
    return verified;
  }

  /** What the client library asks of an agent: how far the network's time is from the machine's. */
  #agent(now: () => bigint): HttpAgent {
    const getTimeDiffMsecs = (): number => Number(now() / NS_PER_MS) - Date.now();
    const synced = { getTimeDiffMsecs, hasSyncedTime: () => true, syncTime: async () => {} };
    return synced as unknown as HttpAgent;
  }

  #verifyOnce(key: Uint8Array, signature: Uint8Array, message: Uint8Array): boolean {
    const name = `${hex(key)} ${hex(signature)} ${hex(message)}`;
    if (this.#verified.has(name)) return true;
    const isGood = this.#bls.verify(key, message, signature);
    if (isGood) this.#verified.add(name);
    return isGood;
  }
}

/** The value at a path of a certificate, null when it has none. */
export function valueAt(
  certificate: Certificate,
  ...path: readonly (string | Uint8Array)[]
): Uint8Array | null {
  const labels = path.map((label) => (typeof label === "string" ? utf8(label) : label));
  const found = certificate.lookup_path(labels);
  return found.status === LookupPathStatus.Found ? (found as LookupPathResultFound).value : null;
}

function timeOf(certificate: Certificate): bigint {
  return leb128(valueAt(certificate, "time") ?? new Uint8Array());
}

/** The terminal status of a request, null before there is one. */
export function outcomeIn(certificate: Certificate, id: Uint8Array): Outcome | null {
  const field = (name: string): Uint8Array | null => valueAt(certificate, "request_status", id, name);
  const status = textOf(field("status") ?? new Uint8Array());
  if (status === "replied") return { kind: "replied", reply: field("reply") ?? new Uint8Array() };
  if (status === "done") throw new Error("the outcome of a request was dropped before it was read");
  if (status !== "rejected") return null;
  return {
    kind: "rejected",
    code: Number(leb128(field("reject_code") ?? new Uint8Array())),
    message: textOf(field("reject_message") ?? undefined),
    error: field("error_code") === null ? null : textOf(field("error_code") ?? undefined),
    from: "state",
  };
}

function rejection(fields: CborMap, from: "submission" | "query"): Outcome {
  return {
    kind: "rejected",
    code: Number(fields.get("reject_code")),
    message: String(fields.get("reject_message")),
    error: (fields.get("error_code") as string | undefined) ?? null,
    from,
  };
}

/**
 * Test support: a replica that is a record of answers, and envelopes that real keys signed. Used by the tests of this package
 * only.
 */
import {
  ANONYMOUS,
  assert,
  type CanisterId,
  type CborMap,
  type CborValue,
  canisterIdFromIndex,
  concatBytes,
  decodeCbor,
  encodeCbor,
  equalBytes,
  hasSelfDescribeTag,
  ingressBytesMax,
  type NodeId,
  ok,
  principalToText,
  selfAuthenticating,
  type UserId,
  utf8,
  utf8DecodeLossy,
} from "@orrery/base";
import {
  createSignatureVerifier,
  domainSep,
  hashOfMap,
  requestId,
  type SignatureVerifier,
  type Signer,
} from "@orrery/crypto";
import { ed25519Signer, nobleSignatures, p256Signer, secp256k1Signer } from "@orrery/crypto/curves";
import {
  type AnsweredQuery,
  type Api,
  type ApiOptions,
  createApi,
  type HttpResponse,
  type Ingress,
  type ReplicaView,
  type StateAnswer,
  type StateQuery,
  type SubmitOutcome,
  soleReplica,
  type UserError,
  type UserQuery,
  validateWith,
} from "./index.ts";

export const NOW: bigint = 1_800_000_000_000_000_000n;
export const MINUTE = 60_000_000_000n;
export const CANISTER: CanisterId = canisterIdFromIndex(7n);
export const OTHER: CanisterId = canisterIdFromIndex(8n);
export const ELSEWHERE: CanisterId = canisterIdFromIndex(1_000_000n);
export const SUBNET: UserId = selfAuthenticating(utf8("the subnet's key"));
export const CERTIFICATE: Uint8Array = utf8("certificate");
export const verifier: SignatureVerifier = createSignatureVerifier({ basic: nobleSignatures });

export const seed = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
export const NODE: Signer = ed25519Signer(seed(99));
export const NODE_ID: NodeId = selfAuthenticating(NODE.publicKeyDer) as unknown as NodeId;

export interface World {
  readonly view: ReplicaView;
  readonly submitted: Ingress[];
  readonly queries: UserQuery[];
  readonly stateQueries: StateQuery[];
  health: ReturnType<ReplicaView["status"]>["health"];
  full: boolean;
  ingressBytesMax: number;
  refuse: UserError | null;
  outcome: SubmitOutcome;
  /** What the certified state says about a request, before and after it was submitted. */
  known: Uint8Array | null;
  knownAfter: Uint8Array | null;
  /** Resolves every `watch`. */
  answered: Promise<boolean>;
  watched: number;
  cancelled: number;
  query: AnsweredQuery | null;
  state: StateAnswer;
}

export function createWorld(): World {
  const world: World = {
    submitted: [],
    queries: [],
    stateQueries: [],
    health: "healthy",
    full: false,
    ingressBytesMax: ingressBytesMax("application"),
    refuse: null,
    outcome: "accepted",
    known: null,
    knownAfter: CERTIFICATE,
    answered: Promise.resolve(true),
    watched: 0,
    cancelled: 0,
    query: { outcome: { status: "replied", reply: utf8("DIDL") }, timestamp: NOW },
    state: { kind: "certificate", certificate: CERTIFICATE },
    view: {
      status: () => ({
        health: world.health,
        rootKey: utf8("root key"),
        certifiedHeight: 12,
        implVersion: "1.0",
        implHash: null,
      }),
      now: () => NOW,
      servesCanister: (id) => equalBytes(id, CANISTER) || equalBytes(id, OTHER),
      servesSubnet: (id) => equalBytes(id, SUBNET),
      isSubnetAdmin: (user) => equalBytes(user, selfAuthenticating(ADMIN.publicKeyDer)),
      get ingressBytesMax(): number {
        return world.ingressBytesMax;
      },
      ingressFull: () => world.full,
      inspect: () => world.refuse,
      submit: (ingress) => {
        world.submitted.push(ingress);
        return world.outcome;
      },
      watch: () => {
        assert(world.submitted.length === world.watched, "watches before it submits");
        world.watched++;
        return { answered: world.answered, cancel: () => void world.cancelled++ };
      },
      requestCertificate: () => (world.submitted.length === 0 ? world.known : world.knownAfter),
      query: (query) => {
        world.queries.push(query);
        return world.query;
      },
      readState: (query) => {
        world.stateQueries.push(query);
        return world.state;
      },
      nodeId: NODE_ID,
      signQueryResponse: (message) => NODE.sign(message),
    },
  };
  return world;
}

export const ADMIN: Signer = ed25519Signer(seed(50));

export function createTestApi(world: World, options: Partial<ApiOptions> = {}): Api {
  return createApi(soleReplica(world.view), {
    validate: validateWith(verifier),
    // Stands in for the argument decoder: the argument is the canister id itself, an empty one names none.
    effectiveCanisterId: (_method, arg) => ok(arg.length === 0 ? null : (arg as CanisterId)),
    ...options,
  });
}

export type Fields = Record<string, CborValue>;

export interface Send {
  readonly kind?: "call" | "query" | "read_state";
  /** Null: anonymous. */
  readonly signer?: Signer | null;
  readonly content?: Fields;
  /** Replaces fields of the envelope after it was signed. */
  readonly envelope?: Fields;
  readonly delegations?: readonly { readonly to: Signer; readonly fields?: Fields; readonly by?: Signer }[];
  readonly body?: Uint8Array;
  readonly url?: string;
  readonly method?: string;
  readonly headers?: Record<string, string | undefined>;
}

export function contentOf(kind: string, sender: Uint8Array, over: Fields): CborMap {
  const common: Fields = { request_type: kind, sender, ingress_expiry: NOW + 4n * MINUTE };
  const rest: Fields =
    kind === "read_state"
      ? { paths: [[utf8("time")]] }
      : { canister_id: CANISTER, method_name: "greet", arg: utf8("DIDL"), nonce: utf8("nonce") };
  const entries = Object.entries({ ...common, ...rest, ...over }).filter(([, value]) => value !== undefined);
  return new Map(entries);
}

export function signedEnvelope(send: Send): { readonly bytes: Uint8Array; readonly content: CborMap } {
  const { kind = "call", signer = ed25519Signer(seed(1)), delegations = [] } = send;
  const sender = signer === null ? ANONYMOUS : selfAuthenticating(signer.publicKeyDer);
  const content = contentOf(kind, sender, send.content ?? {});
  const envelope = new Map<string, CborValue>([["content", content]]);
  if (signer !== null) {
    let last = signer;
    const chain = delegations.map(({ to, fields, by }) => {
      const delegation = new Map<string, CborValue>(
        Object.entries({ pubkey: to.publicKeyDer, expiration: NOW + 60n * MINUTE, ...fields }),
      );
      const message = concatBytes(domainSep("ic-request-auth-delegation"), hashOfMap(delegation));
      const signature = (by ?? last).sign(message);
      last = to;
      return new Map<string, CborValue>([
        ["delegation", delegation],
        ["signature", signature],
      ]);
    });
    envelope.set("sender_pubkey", signer.publicKeyDer);
    envelope.set("sender_sig", last.sign(concatBytes(domainSep("ic-request"), requestId(content))));
    if (chain.length > 0) envelope.set("sender_delegation", chain);
  }
  for (const [key, value] of Object.entries(send.envelope ?? {})) envelope.set(key, value);
  return { bytes: encodeCbor(envelope), content };
}

export const DEFAULT_URL: Readonly<Record<"call" | "query" | "read_state", string>> = {
  call: `/api/v4/canister/${principalToText(CANISTER)}/call`,
  query: `/api/v3/canister/${principalToText(CANISTER)}/query`,
  read_state: `/api/v3/canister/${principalToText(CANISTER)}/read_state`,
};

export async function post(api: Api, send: Send): Promise<HttpResponse> {
  const headers: Record<string, string | undefined> = {
    host: "localhost:8000",
    "content-type": "application/cbor",
    ...send.headers,
  };
  return await api({
    method: send.method ?? "POST",
    url: send.url ?? DEFAULT_URL[send.kind ?? "call"],
    header: (name) => headers[name],
    headers: () => Object.entries(headers).map(([name, value = ""]) => [name, value]),
    body: send.body ?? signedEnvelope(send).bytes,
  });
}

export function textOf(response: HttpResponse): string {
  return typeof response.body === "string" ? response.body : utf8DecodeLossy(response.body);
}

export function fieldsOf(response: HttpResponse): Record<string, unknown> {
  assert(response.status === 200, `${response.status}: ${textOf(response)}`);
  assert(response.headers["content-type"] === "application/cbor", "content type");
  assert(response.body instanceof Uint8Array, "bytes");
  assert(hasSelfDescribeTag(response.body), "tag 55799");
  return Object.fromEntries(decodeCbor(response.body) as CborMap);
}

export const canisterUrl = (version: number, operation: string, id: Uint8Array = CANISTER): string =>
  `/api/v${version}/canister/${principalToText(id)}/${operation}`;
export const subnetUrl = (version: number, operation: string, id: Uint8Array = SUBNET): string =>
  `/api/v${version}/subnet/${principalToText(id)}/${operation}`;

export const alice: Signer = ed25519Signer(seed(1));
export const bob: Signer = p256Signer(seed(2));
export const carol: Signer = secp256k1Signer(seed(3));

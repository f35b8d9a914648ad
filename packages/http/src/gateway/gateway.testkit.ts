/**
 * Test support: a gateway over a replica whose canister is a function. Messages are encoded by the published Candid library and
 * certificates signed by keys of the test's own. Used by the tests of the gateway only.
 */
import { IDL } from "@icp-sdk/core/candid";
import { Principal as SdkPrincipal } from "@icp-sdk/core/principal";
import {
  type CanisterId,
  encodeUleb128,
  equalBytes,
  ingressBytesMax,
  type NodeId,
  principalToText,
  toHex,
  utf8,
} from "@orrery/base";
import { type Bls, emptyTree, treeSet } from "@orrery/crypto";
import { createCanisterHosts } from "../canister-hosts.ts";
import type { HeaderField, HttpRequest, HttpResponse } from "../messages.ts";
import type { Ingress, QueryOutcome, ReplicaView, StateAnswer } from "../replica-view.ts";
import { createGateway, type Gateway, type GatewayOptions } from "./gateway.ts";
import { CANISTER, issueAsRoot, NOW, rootKeyOf } from "./verification/certify.testkit.ts";

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly HeaderField[];
  readonly body: Uint8Array;
  readonly certificate_version?: [] | [number];
}

export interface Answer {
  readonly status: number;
  readonly headers?: readonly HeaderField[];
  readonly body?: Uint8Array | string;
  readonly upgrade?: boolean;
  /** Chunks that the callback `next` gives, and whose it is. */
  readonly chunks?: readonly string[];
  readonly callbackOf?: CanisterId;
}

const Header = IDL.Tuple(IDL.Text, IDL.Text);
const Body = IDL.Vec(IDL.Nat8);
const request = { method: IDL.Text, url: IDL.Text, headers: IDL.Vec(Header), body: Body };
const QueryRequest = IDL.Record({ ...request, certificate_version: IDL.Opt(IDL.Nat16) });
const UpdateRequest = IDL.Record(request);
/** A token whose type nests and names itself, as canisters choose theirs. */
const Token = IDL.Rec();
Token.fill(
  IDL.Record({ left: IDL.Vec(IDL.Text), note: IDL.Variant({ none: IDL.Null, more: IDL.Opt(Token) }) }),
);
const Chunk = IDL.Record({ body: Body, token: IDL.Opt(Token) });
export const Response: IDL.Type = IDL.Record({
  status_code: IDL.Nat16,
  headers: IDL.Vec(Header),
  body: Body,
  upgrade: IDL.Opt(IDL.Bool),
  streaming_strategy: IDL.Opt(
    IDL.Variant({ Callback: IDL.Record({ callback: IDL.Func([Token], [Chunk], ["query"]), token: Token }) }),
  ),
});

interface TokenValue {
  readonly left: readonly string[];
  readonly note: unknown;
}

const bytesOf = (body: Uint8Array | string): Uint8Array => (typeof body === "string" ? utf8(body) : body);
const tokenOf = (left: readonly string[]): TokenValue => ({
  left,
  note: { more: [{ left: ["x"], note: { none: null } }] },
});

export function encodeAnswer(answer: Answer): Uint8Array {
  const { chunks, callbackOf = CANISTER } = answer;
  const callback = [SdkPrincipal.fromUint8Array(callbackOf), "next"];
  const encoded = IDL.encode(
    [Response],
    [
      {
        status_code: answer.status,
        headers: answer.headers ?? [],
        body: bytesOf(answer.body ?? ""),
        upgrade: answer.upgrade === undefined ? [] : [answer.upgrade],
        streaming_strategy: chunks === undefined ? [] : [{ Callback: { callback, token: tokenOf(chunks) } }],
      },
    ],
  );
  return new Uint8Array(encoded);
}

function nextChunk(arg: Uint8Array): Uint8Array {
  const [{ left }] = IDL.decode([Token], arg) as unknown as [TokenValue];
  const [first = "", ...rest] = left;
  const token = rest.length === 0 ? [] : [tokenOf(rest)];
  return new Uint8Array(IDL.encode([Chunk], [{ body: utf8(first), token }]));
}

export interface GatewayWorld {
  readonly gateway: Gateway;
  readonly asked: Asked[];
  readonly updated: Asked[];
  readonly submitted: Ingress[];
  /** The canister. */
  answer(request: Asked): Answer | QueryOutcome;
  update(request: Asked): Answer | { readonly reject: string };
  /** Public sections by name; null hides them all. */
  sections: Readonly<Record<string, string>> | null;
  healthy: boolean;
  full: boolean;
  answered: boolean;
  /** Time of the certificates that the network gives. */
  certifiedTime: bigint;
}

function certifiedAnswer(
  bls: Bls,
  world: GatewayWorld,
  entries: readonly (readonly [readonly Uint8Array[], Uint8Array])[],
): Uint8Array {
  let tree = treeSet(emptyTree(), [utf8("time")], encodeUleb128(world.certifiedTime));
  // The level must be there for what is not in it to be provably absent.
  tree = treeSet(tree, [utf8("canister"), CANISTER, utf8("metadata"), utf8("a")], utf8(""));
  for (const [path, value] of entries) tree = treeSet(tree, path, value);
  return issueAsRoot(bls, tree);
}

function askedOf(type: IDL.Type, arg: Uint8Array): Asked {
  return (IDL.decode([type], arg) as unknown as [Asked])[0];
}

/** `Answer` unless it says how a query ended. */
function outcomeOf(answer: Answer | QueryOutcome): QueryOutcome {
  return typeof answer.status === "string"
    ? (answer as QueryOutcome)
    : { status: "replied", reply: encodeAnswer(answer as Answer) };
}

function requestCertificate(bls: Bls, world: GatewayWorld, ingress: Ingress): Uint8Array {
  const asked = askedOf(UpdateRequest, ingress.call.arg);
  world.updated.push(asked);
  const result = world.update(asked);
  const at = (name: string): readonly Uint8Array[] => [utf8("request_status"), ingress.requestId, utf8(name)];
  if ("reject" in result) {
    return certifiedAnswer(bls, world, [
      [at("status"), utf8("rejected")],
      [at("reject_code"), encodeUleb128(4)],
      [at("reject_message"), utf8(result.reject)],
      [at("error_code"), utf8("IC0406")],
    ]);
  }
  return certifiedAnswer(bls, world, [
    [at("status"), utf8("replied")],
    [at("reply"), encodeAnswer(result)],
  ]);
}

function replicaOf(bls: Bls, world: GatewayWorld): ReplicaView {
  return {
    nodeId: CANISTER as Uint8Array as NodeId,
    status: () => ({
      health: world.healthy ? "healthy" : "waiting_for_certified_state",
      rootKey: null,
      certifiedHeight: 1,
      implVersion: null,
      implHash: null,
    }),
    now: () => NOW,
    servesCanister: (id) => equalBytes(id, CANISTER),
    servesSubnet: () => false,
    isSubnetAdmin: () => false,
    ingressBytesMax: ingressBytesMax("application"),
    ingressFull: () => world.full,
    inspect: ({ call }) => (call.arg.length > 1_000_000 ? { code: 506, message: "not accepted" } : null),
    submit(ingress) {
      world.submitted.push(ingress);
      return "accepted";
    },
    watch: () => ({ answered: Promise.resolve(world.answered), cancel: () => {} }),
    requestCertificate(id) {
      const ingress = world.submitted.find(({ requestId }) => toHex(requestId) === toHex(id));
      return ingress === undefined ? null : requestCertificate(bls, world, ingress);
    },
    query({ methodName, arg }) {
      if (methodName === "next")
        return { outcome: { status: "replied", reply: nextChunk(arg) }, timestamp: NOW };
      const asked = askedOf(QueryRequest, arg);
      world.asked.push(asked);
      return { outcome: outcomeOf(world.answer(asked)), timestamp: NOW };
    },
    readState(): StateAnswer {
      if (world.sections === null) return { kind: "refused", status: 403, text: "private" };
      const path = (name: string): readonly Uint8Array[] => [
        utf8("canister"),
        CANISTER,
        utf8("metadata"),
        utf8(name),
      ];
      const entries = Object.entries(world.sections).map(([name, text]) => [path(name), utf8(text)] as const);
      return { kind: "certificate", certificate: certifiedAnswer(bls, world, entries) };
    },
    signQueryResponse: () => new Uint8Array(64),
  };
}

export function createGatewayWorld(bls: Bls, options: Partial<GatewayOptions> = {}): GatewayWorld {
  const world: GatewayWorld = {
    gateway: (sent) => gateway(sent),
    asked: [],
    updated: [],
    submitted: [],
    answer: () => ({ status: 200 }),
    update: () => ({ status: 200 }),
    sections: {},
    healthy: true,
    full: false,
    answered: true,
    certifiedTime: NOW,
  };
  const view = replicaOf(bls, world);
  let nonce = 0;
  const gateway = createGateway({
    network: { replicaOf: () => view },
    hosts: createCanisterHosts(),
    rootKey: rootKeyOf(bls),
    bls,
    rng: { bytes: (length) => new Uint8Array(length).fill(++nonce) },
    inflate: () => null,
    ...options,
  });
  return world;
}

export const HOST: string = `${principalToText(CANISTER)}.localhost:8000`;
export const RAW_HOST: string = `${principalToText(CANISTER)}.raw.localhost:8000`;

export interface Sent {
  readonly method?: string;
  readonly url?: string;
  readonly headers?: readonly HeaderField[];
  readonly body?: string | Uint8Array;
}

export function requestOf({
  method = "GET",
  url = "/",
  headers = [["host", RAW_HOST]],
  body = "",
}: Sent): HttpRequest {
  return {
    method,
    url,
    header: (name) => headers.find(([each]) => each === name)?.[1],
    headers: () => headers,
    body: bytesOf(body),
  };
}

/** The whole body of a response, its pieces put together. */
export async function bodyOf({ body, stream }: HttpResponse): Promise<string> {
  if (stream === undefined) return typeof body === "string" ? body : Buffer.from(body).toString();
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

/**
 * Signatures of nodes on query answers (interface spec, "Query response signatures"): each node signs what it
 * answered, to which request and when, with its Ed25519 key, which the state tree shows under
 * `/subnet/<id>/node/<id>/public_key`.
 */
import {
  type CborMap,
  type CborValue,
  concatBytes,
  type NodeId,
  type RequestId,
  type Result,
  type TimeNs,
} from "@orrery/base";
import { domainSep } from "./hashes.ts";
import { hashOfMap } from "./request-id.ts";
import type { SignatureVerifier, Signer } from "./signatures.ts";

export type QueryResponse =
  | { readonly status: "replied"; readonly arg: Uint8Array }
  | {
      readonly status: "rejected";
      readonly rejectCode: number;
      readonly rejectMessage: string;
      /** Absent from the answer, and from its hash, when null. */
      readonly errorCode: string | null;
    };

export interface NodeSignature {
  readonly timestamp: TimeNs;
  /** 64 bytes. */
  readonly signature: Uint8Array;
  readonly identity: NodeId;
}

interface Signed {
  readonly response: QueryResponse;
  readonly requestId: RequestId;
  readonly timestamp: TimeNs;
}

/** The 32-byte representation-independent hash that a node signs. */
export function queryResponseHash({ response, requestId, timestamp }: Signed): Uint8Array {
  const fields = new Map<string, CborValue>([
    ["status", response.status],
    ["timestamp", timestamp],
    ["request_id", requestId],
  ]);
  if (response.status === "replied") {
    const reply: CborMap = new Map([["arg", response.arg]]);
    fields.set("reply", reply);
  } else {
    fields.set("reject_code", response.rejectCode);
    fields.set("reject_message", response.rejectMessage);
    if (response.errorCode !== null) fields.set("error_code", response.errorCode);
  }
  return hashOfMap(fields);
}

function message(signed: Signed): Uint8Array {
  return concatBytes(domainSep("ic-response"), queryResponseHash(signed));
}

/** Signs an answer with a node's key. */
export function signQueryResponse(
  options: Signed & { readonly node: Signer; readonly identity: NodeId },
): NodeSignature {
  const { timestamp, identity, node } = options;
  return { timestamp, identity, signature: node.sign(message(options)) };
}

/**
 * Checks one node's signature under the key that a certificate shows for it; freshness is the caller's to
 * judge.
 */
export function verifyQueryResponse(options: {
  readonly response: QueryResponse;
  readonly requestId: RequestId;
  readonly nodeSignature: NodeSignature;
  readonly nodeKeyDer: Uint8Array;
  readonly verifier: SignatureVerifier;
}): Result<null, string> {
  const { response, requestId, nodeSignature, nodeKeyDer, verifier } = options;
  const { timestamp, signature } = nodeSignature;
  return verifier.verify({
    publicKeyDer: nodeKeyDer,
    message: message({ response, requestId, timestamp }),
    signature,
  });
}

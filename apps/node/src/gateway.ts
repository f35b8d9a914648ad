/**
 * The HTTP gateway of a node, in front of all its subnets. Its code is loaded by the first request that needs it, so that a node that
 * only answers agents starts as fast as before.
 */
import { inflateRawSync } from "node:zlib";
import type { Bls } from "@orrery/crypto";
import { inflateGzip, systemRng } from "@orrery/host";
import type { CanisterHosts, HttpRequest, HttpResponse, ReplicaNetwork } from "@orrery/http";
import type { Gateway, Inflate } from "@orrery/http/gateway";

export interface NodeGatewayOptions {
  readonly network: ReplicaNetwork;
  readonly hosts: CanisterHosts;
  /** DER, of the root subnet. */
  readonly rootKey: Uint8Array;
  readonly bls: Bls;
}

const inflate: Inflate = (encoding, bytes, bytesMax) => {
  try {
    return encoding === "gzip"
      ? inflateGzip(bytes, bytesMax)
      : new Uint8Array(inflateRawSync(bytes, { maxOutputLength: bytesMax }));
  } catch {
    // The bytes are a canister's: whatever they are, they are not what it certified.
    return null;
  }
};

async function load(options: NodeGatewayOptions): Promise<Gateway> {
  const { createGateway } = await import("@orrery/http/gateway");
  return createGateway({ ...options, rng: systemRng, inflate });
}

export function createNodeGateway(
  options: NodeGatewayOptions,
): (request: HttpRequest) => Promise<HttpResponse> {
  let gateway: Promise<Gateway> | null = null;
  return async (request) => {
    gateway ??= load(options);
    return await (await gateway)(request);
  };
}

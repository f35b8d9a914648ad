/** The HTTPS interface and the HTTP gateway of a network, for whoever asks it over HTTP, on a socket or not. */
import { inflateRawSync } from "node:zlib";
import { createSignatureVerifier } from "@orrery/crypto";
import { effectiveCanisterId } from "@orrery/execution/effective-id";
import { inflateGzip, systemRng } from "@orrery/host";
import { nodeSignatures } from "@orrery/host/signatures";
import {
  type Api,
  createApi,
  createCanisterHosts,
  type HttpRequest,
  type HttpResponse,
  hostedNetwork,
  validateWith,
} from "@orrery/http";
import type { Gateway, Inflate } from "@orrery/http/gateway";
import type { InstanceHost } from "@orrery/sim/instance";
import type { Machine } from "./machine.ts";

const inflate: Inflate = (encoding, bytes, bytesMax) => {
  try {
    if (encoding === "gzip") return inflateGzip(bytes, bytesMax);
    return new Uint8Array(inflateRawSync(bytes, { maxOutputLength: bytesMax }));
  } catch {
    // The bytes are a canister's: whatever they are, they are not what it certified.
    return null;
  }
};

export function createWeb(machine: Machine, { bls }: Pick<InstanceHost, "bls">): Api {
  const { instance } = machine;
  const network = hostedNetwork(instance, {
    now: () => machine.now(),
    freshen: () => machine.freshen(),
    submitted: () => {
      machine.tick();
      machine.settle();
    },
    after(timeoutMs, then) {
      const timer = setTimeout(then, timeoutMs);
      return () => clearTimeout(timer);
    },
  });
  const hosts = createCanisterHosts();
  const { rootKey } = instance;
  let gateway: Promise<Gateway> | null = null;

  /** Its code is loaded by the first request that needs it. */
  async function throughGateway(request: HttpRequest): Promise<HttpResponse> {
    gateway ??= import("@orrery/http/gateway").then(({ createGateway }) =>
      createGateway({ network, hosts, rootKey, bls, rng: systemRng, inflate }),
    );
    return await (await gateway)(request);
  }

  const verifier = createSignatureVerifier({
    basic: nodeSignatures,
    canisterSignatures: { rootKeyDer: rootKey, bls },
  });
  return createApi(network, {
    validate: validateWith(verifier),
    effectiveCanisterId,
    canisterHosts: hosts,
    gateway: throughGateway,
  });
}

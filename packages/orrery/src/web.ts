/** The HTTPS interface and the HTTP gateway of a network, for whoever asks it over HTTP, on a socket or not. */
import type { Rng } from "@orrery/base";
import { type BasicSignatures, type Bls, createSignatureVerifier } from "@orrery/crypto";
import { effectiveCanisterId } from "@orrery/execution/effective-id";
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
import type { Machine } from "./machine.ts";

/** What a network's HTTPS interface asks of where it runs. */
export interface WebHost {
  readonly bls: Bls;
  readonly signatures: BasicSignatures;
  readonly rng: Rng;
  /** Of responses of canisters. */
  readonly inflate: Inflate;
}

export function createWeb(machine: Machine, { bls, signatures, rng, inflate }: WebHost): Api {
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
      createGateway({ network, hosts, rootKey, bls, rng, inflate }),
    );
    return await (await gateway)(request);
  }

  const verifier = createSignatureVerifier({
    basic: signatures,
    canisterSignatures: { rootKeyDer: rootKey, bls },
  });
  return createApi(network, {
    validate: validateWith(verifier),
    effectiveCanisterId,
    canisterHosts: hosts,
    gateway: throughGateway,
  });
}

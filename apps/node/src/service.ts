/**
 * What main serves: the HTTPS interface over the replica. It stands before execution is ready: status is answered as soon as the
 * keys are known, everything else waits for the first published state.
 */

import type { Clock, Logger } from "@orrery/base";
import { type Bls, createSignatureVerifier } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { effectiveCanisterId } from "@orrery/execution/effective-id";
import type { LocalKeys } from "@orrery/execution/local-network";
import { type HttpServerRequest, type HttpServerResponse, installFastHashes } from "@orrery/host";
import { nodeSignatures } from "@orrery/host/signatures";
import { createApi, validateWith } from "@orrery/http";
import { deriveKeys, type Genesis } from "./genesis.ts";
import type { ExecutionStarted } from "./protocol.ts";
import { createReplica, type LateRounds } from "./replica.ts";
import { createRounds, type Rounds, type RoundThreads } from "./rounds.ts";

export interface Service {
  readonly keys: LocalKeys;
  handle(request: HttpServerRequest): Promise<HttpServerResponse> | HttpServerResponse;
  /** Execution is ready: rounds begin, and the requests that waited are answered. */
  begin(options: {
    readonly started: ExecutionStarted;
    readonly threads: RoundThreads;
    readonly logger: Logger;
    readonly onFailure: (thread: string, error: unknown) => void;
  }): Rounds;
}

const STATUS_PATH = "/api/v2/status";

/** The signature library, which takes a while to start; asked for before the genesis is known. */
export function loadSignatures(): Promise<Bls> {
  return createMclBls();
}

export function createService(options: {
  readonly bls: Bls;
  readonly genesis: Genesis;
  readonly clock: Clock;
  /** Host names served besides localhost and IP literals. */
  readonly hosts: readonly string[];
}): Service {
  installFastHashes();
  const { bls, genesis, clock } = options;
  const keys = deriveKeys(genesis, bls);
  const late: LateRounds = { current: null };
  const ready = Promise.withResolvers<void>();
  const replica = createReplica({ keys, rounds: late, clock });
  const canisterSignatures = { rootKeyDer: keys.subnetPublicKey, bls };
  const api = createApi(replica, {
    validate: validateWith(createSignatureVerifier({ basic: nodeSignatures, canisterSignatures })),
    effectiveCanisterId,
    hosts: options.hosts,
    metrics: () => late.current?.metrics() ?? "",
  });
  return {
    keys,
    handle(request): Promise<HttpServerResponse> | HttpServerResponse {
      if (late.current !== null || request.url === STATUS_PATH) return api(request);
      return ready.promise.then(() => api(request));
    },
    begin({ started, threads, logger, onFailure }): Rounds {
      const rounds = createRounds({ keys, bls, started, threads, clock, logger, onFailure });
      late.current = rounds;
      ready.resolve();
      rounds.poke();
      return rounds;
    },
  };
}

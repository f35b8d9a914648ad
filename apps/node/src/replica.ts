/** The replica that the HTTPS interface asks, over the node's threads. */

import {
  assert,
  type CanisterId,
  type Clock,
  type Principal,
  type SubnetId,
  type TimeNs,
} from "@orrery/base";
import { ALL_CANISTERS, type LocalKeys } from "@orrery/execution/local-network";
import { createNodeSigner } from "@orrery/host";
import type {
  AnsweredQuery,
  Ingress,
  ReplicaStatus,
  ReplicaView,
  StateAnswer,
  SubmitOutcome,
  UserError,
} from "@orrery/http";

import type { ViewCall } from "./protocol.ts";
import type { Rounds } from "./rounds.ts";

/** Calls to the view thread under way; more means it is behind and clients are told so. */
const VIEW_CALLS_MAX = 5_000;

/** Null until execution is ready; only status is asked before. */
export interface LateRounds {
  current: Rounds | null;
}

export interface ReplicaOptions {
  readonly keys: LocalKeys;
  readonly rounds: LateRounds;
  readonly clock: Clock;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

export function createReplica(options: ReplicaOptions): ReplicaView {
  const { keys, clock } = options;
  const sign = createNodeSigner(keys.nodeSecret);

  function rounds(): Rounds {
    assert(options.rounds.current !== null, "only status is asked before execution is ready");
    return options.rounds.current;
  }

  /** Runs a call on a state whose certified time is fresh. */
  function onFresh<T>(call: ViewCall): Promise<T> {
    const { view, fresh } = rounds();
    const wait = fresh();
    return wait === null ? view.call<T>(call) : wait.then(() => view.call<T>(call));
  }

  return {
    nodeId: keys.nodeId as Principal,
    status: (): ReplicaStatus => ({
      health: options.rounds.current === null ? "starting" : "healthy",
      rootKey: keys.subnetPublicKey,
      certifiedHeight: options.rounds.current?.publishedHeight() ?? null,
      implVersion: IMPLEMENTATION_VERSION,
      implHash: null,
    }),
    // Messages expire by block time: one that a clock set back makes look good would be dropped and never answered.
    now(): TimeNs {
      const blockTime = options.rounds.current?.blockTime() ?? 0n;
      const wall = clock.now();
      return wall > blockTime ? wall : blockTime;
    },
    servesCanister: (id: CanisterId) =>
      id.length === ALL_CANISTERS.start.length && id[8] === 1 && id[9] === 1,
    // Subnet administrators exist on rented subnets only.
    isSubnetAdmin: () => false,
    servesSubnet: (id: SubnetId) => sameBytes(id, keys.subnetId),
    ingressFull: () => rounds().view.pending > VIEW_CALLS_MAX,
    inspect: (ingress: Ingress): Promise<UserError | null> =>
      rounds().view.call({
        kind: "inspect",
        envelope: ingress.bytes,
        requestId: ingress.requestId,
        destination: ingress.destination,
      }),
    submit(ingress: Ingress): SubmitOutcome {
      const outcome = rounds().pool.insert({
        requestId: ingress.requestId,
        expiry: ingress.envelope.content.ingressExpiry,
        envelope: ingress.bytes,
      });
      if (outcome === "full") return "overloaded";
      rounds().poke();
      return outcome === "added" ? "accepted" : "duplicate";
    },
    watch: (requestId, timeoutMs) => rounds().watchers.watch(requestId, timeoutMs),
    requestCertificate: (requestId, destination, ranges) =>
      rounds().view.call({ kind: "request_certificate", requestId, destination, ranges }),
    query: (query): Promise<AnsweredQuery | null> => onFresh({ kind: "query", query }),
    readState: (query): Promise<StateAnswer> => onFresh({ kind: "read_state", query }),
    signQueryResponse: (message) => sign(message),
  };
}

/** Shown by `/api/v2/status`. */
export const IMPLEMENTATION_VERSION = "orrery-0.1.0";

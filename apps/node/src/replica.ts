/** The replicas that the HTTPS interface asks, one for each subnet of the node, over the node's threads. */

import {
  assert,
  type CanisterId,
  type Clock,
  equalBytes,
  ingressBytesMax,
  type Principal,
  principalKey,
  principalToText,
  type SubnetId,
  type TimeNs,
} from "@orrery/base";
import { rangesContain } from "@orrery/crypto";
import { isSubnetAdmin } from "@orrery/execution/effective-id";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { createNodeSigner } from "@orrery/host";
import type {
  AnsweredQuery,
  Destination,
  Ingress,
  ReplicaHealth,
  ReplicaNetwork,
  ReplicaStatus,
  ReplicaView,
  StateAnswer,
  SubmitOutcome,
  UserError,
} from "@orrery/http";

import type { CanisterRange, SubnetInfo } from "@orrery/state";
import type { Delegations } from "./delegations.ts";
import { inspect } from "./inspection.ts";
import type { BySubnet, SubnetIndex, ViewCall } from "./protocol.ts";
import type { UnfinishedKeys } from "./replica/key-runs.ts";
import type { ReplicaVersions } from "./replica/upgrades.ts";
import type { Rounds } from "./rounds.ts";
import { VERSION } from "./version.ts";

/** Calls to the view thread under way; more means it is behind and clients are told so. */
const VIEW_CALLS_MAX = 5_000;

/** Null until execution is ready; only status is asked before. */
export interface LateRounds {
  current: BySubnet<Rounds> | null;
}

/** Ranges of a subnet's canisters. */
function rangesIn({ routing, subnetId: own }: SubnetInfo): readonly CanisterRange[] {
  return routing.find(({ subnetId }) => equalBytes(subnetId, own))?.ranges ?? [];
}

export interface ReplicaOptions {
  readonly subnet: SubnetIndex;
  readonly local: LocalSubnet;
  /** With the subnets that came to the network. */
  readonly infoNow: (info: SubnetInfo) => SubnetInfo;
  readonly rounds: LateRounds;
  readonly delegations: Delegations;
  readonly clock: Clock;
  /** Update calls are taken this much later, as if they came from far away. */
  readonly artificialDelayMs: number;
  /** Null where no registry names versions. */
  readonly versions: (subnet: SubnetIndex) => ReplicaVersions | null;
}

function createReplica(options: ReplicaOptions): ReplicaView {
  const { subnet, local, clock, delegations } = options;
  const { keys, info } = local;
  const sign = createNodeSigner(keys.nodeSecret);

  function maybeRounds(): Rounds | undefined {
    return options.rounds.current?.get(subnet);
  }

  function rounds(): Rounds {
    const current = maybeRounds();
    assert(current !== undefined, "only status is asked before execution is ready");
    return current;
  }

  /** Asks the view; certificates in the answer may go out with the delegation that the view has. */
  function ask<T>(call: ViewCall): Promise<T> {
    const wait = delegations.current(subnet);
    const { view } = rounds().threads;
    return wait === null ? view<T>(call) : wait.then(() => view<T>(call));
  }

  /** Runs a call on a state whose certified time is fresh. */
  function onFresh<T>(call: ViewCall): Promise<T> {
    const wait = rounds().fresh();
    return wait === null ? ask<T>(call) : wait.then(() => ask<T>(call));
  }

  function submit(ingress: Ingress): SubmitOutcome {
    const outcome = rounds().pool.insert({
      requestId: ingress.requestId,
      expiry: ingress.envelope.content.ingressExpiry,
      envelope: ingress.bytes,
    });
    assert(outcome !== "too_large", "the HTTP interface refuses a message that is too large");
    if (outcome === "full") return "overloaded";
    rounds().poke();
    return outcome === "added" ? "accepted" : "duplicate";
  }

  function health(): ReplicaHealth {
    const current = maybeRounds();
    if (current === undefined) return "starting";
    if (current.isDiverged?.() === true || options.versions(subnet)?.isSuperseded === true)
      return "certified_state_behind";
    return delegations.has(subnet) ? "healthy" : "waiting_for_root_delegation";
  }

  return {
    nodeId: keys.nodeId as Principal,
    status: (): ReplicaStatus => ({
      health: health(),
      rootKey: info.rootKey,
      certifiedHeight: maybeRounds()?.publishedHeight() ?? null,
      implVersion: IMPLEMENTATION_VERSION,
      implHash: null,
    }),
    // Messages expire by block time: one that a clock set back makes look good would be dropped and never answered.
    now(): TimeNs {
      const blockTime = maybeRounds()?.blockTime() ?? 0n;
      const wall = clock.now();
      return wall > blockTime ? wall : blockTime;
    },
    servesCanister: (id: CanisterId) =>
      id.length === CANISTER_ID_BYTES &&
      id[8] === 1 &&
      id[9] === 1 &&
      rangesContain(rangesIn(options.infoNow(info)), id),
    isSubnetAdmin: (user) => isSubnetAdmin(info, user),
    servesSubnet: (id: SubnetId) => equalBytes(id, keys.subnetId),
    ingressBytesMax: ingressBytesMax(info.type),
    ingressFull: () => rounds().threads.viewCalls() > VIEW_CALLS_MAX,
    inspect: (ingress: Ingress): Promise<UserError | null> =>
      inspect(rounds(), {
        kind: "inspect",
        canister: principalKey(ingress.call.canisterId),
        envelope: ingress.bytes,
        requestId: ingress.requestId,
        destination: ingress.destination,
      }),
    submit(ingress: Ingress): SubmitOutcome | Promise<SubmitOutcome> {
      const { artificialDelayMs } = options;
      if (artificialDelayMs === 0) return submit(ingress);
      return new Promise((resolve) => {
        setTimeout(() => resolve(submit(ingress)), artificialDelayMs).unref();
      });
    },
    watch: (requestId, timeoutMs) => rounds().watchers.watch(requestId, timeoutMs),
    requestCertificate: (requestId, destination, form) =>
      ask({ kind: "request_certificate", requestId, destination, ranges: form }),
    query: (query): Promise<AnsweredQuery | null> => onFresh({ kind: "query", query }),
    readState: (query): Promise<StateAnswer> => onFresh({ kind: "read_state", query }),
    signQueryResponse: (message) => sign(message),
  };
}

const CANISTER_ID_BYTES = 10;

/** What the administration shows of a subnet. */
export interface SubnetSummary {
  readonly id: string;
  readonly kind: string;
  readonly node: string;
  /** First id that canisters are created at there. */
  readonly defaultEffectiveCanisterId: string;
  /** Null before the first certified state. */
  readonly height: number | null;
  readonly healthy: boolean;
  /** Of the program; of what the registry names, null where it names none. */
  readonly version: string;
  readonly wanted_version: string | null;
  /** Keys that its last interval did not bring. */
  readonly unfinished_keys: readonly UnfinishedKeys[];
}

export interface NodeReplicas extends ReplicaNetwork {
  summary(): readonly SubnetSummary[];
}

/** All replicas of a process behind one endpoint. `defaultSubnet` takes what is about none of their canisters: creation, unknown ids. */
export function createReplicas(options: {
  readonly infoNow: ReplicaOptions["infoNow"];
  /** Those that the process has a node of. */
  readonly subnets: BySubnet<LocalSubnet>;
  readonly defaultSubnet: SubnetIndex;
  readonly rounds: LateRounds;
  readonly delegations: Delegations;
  readonly clock: Clock;
  readonly artificialDelayMs: number;
  readonly versions: ReplicaOptions["versions"];
}): NodeReplicas {
  const { subnets, defaultSubnet, ...shared } = options;
  const bySubnet = new Map(
    [...subnets].map(([subnet, local]) => [subnet, createReplica({ ...shared, subnet, local })]),
  );
  const replicas = [...bySubnet.values()];
  const main = bySubnet.get(defaultSubnet) as ReplicaView;
  return {
    status(): ReplicaStatus {
      const waiting = replicas.map((replica) => replica.status().health).find((each) => each !== "healthy");
      return { ...main.status(), health: waiting ?? "healthy" };
    },
    replicaOf: ({ kind, id }: Destination) =>
      (kind === "subnet"
        ? replicas.find((replica) => replica.servesSubnet(id))
        : replicas.find((replica) => replica.servesCanister(id))) ?? main,
    summary: () =>
      [...subnets].map(([subnet, { info, keys }]) => {
        const { certifiedHeight, health } = (bySubnet.get(subnet) as ReplicaView).status();
        return {
          id: principalToText(info.subnetId),
          kind: info.type,
          node: principalToText(keys.nodeId),
          defaultEffectiveCanisterId: principalToText(info.allocation.start),
          height: certifiedHeight,
          healthy: health === "healthy",
          version: VERSION,
          wanted_version: options.versions(subnet)?.wanted ?? null,
          unfinished_keys: options.rounds.current?.get(subnet)?.figures().unfinishedKeys ?? [],
        };
      }),
  };
}

/** Shown by `/api/v2/status`. */
export const IMPLEMENTATION_VERSION: string = `orrery-${VERSION}`;

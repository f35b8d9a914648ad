/**
 * An instance as the HTTPS interface sees it: its subnets' replicas, and calls that wait for their answer until a round brings it. Rounds are
 * other people's; whoever runs them says so (`answered`).
 */
import { type TimeNs, toHex } from "@orrery/base";
import type { AnswerWait, ReplicaNetwork, ReplicaView } from "@orrery/http";
import type { HostedReplica, Instance } from "@orrery/sim/instance";

export interface NetworkHooks {
  /** Time that requests are judged at. */
  now(): TimeNs;
  /** Before the certified state is read. */
  freshen(): void;
  /** A call has entered the pool. */
  submitted(): void;
}

export interface InstanceNetwork {
  readonly network: ReplicaNetwork;
  /** Rounds were run: tells those whose answers they brought. */
  answered(): void;
}

interface Watch {
  readonly replica: HostedReplica;
  readonly requestId: Uint8Array;
  end(answered: boolean): void;
}

export function instanceNetwork(instance: Instance, hooks: NetworkHooks): InstanceNetwork {
  const watches = new Set<Watch>();
  const views = new Map<string, ReplicaView>();

  function watch(replica: HostedReplica, requestId: Uint8Array, timeoutMs: number): AnswerWait {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const one: Watch = {
      replica,
      requestId,
      end(answered): void {
        clearTimeout(timer);
        watches.delete(one);
        resolve(answered);
      },
    };
    const timer = setTimeout(one.end, timeoutMs, false);
    watches.add(one);
    return { answered: promise, cancel: () => one.end(false) };
  }

  function status(): ReturnType<ReplicaView["status"]> {
    return {
      health: "healthy",
      rootKey: instance.rootKey,
      certifiedHeight: instance.height,
      implVersion: null,
      implHash: null,
    };
  }

  function viewOf(replica: HostedReplica): ReplicaView {
    return {
      nodeId: replica.nodeId,
      status,
      now: hooks.now,
      servesCanister: (id) => replica.servesCanister(id),
      servesSubnet: (id) => replica.servesSubnet(id),
      isSubnetAdmin: (user) => replica.isSubnetAdmin(user),
      ingressFull: () => false,
      inspect: ({ bytes }) => replica.inspect(bytes),
      submit({ bytes, requestId }) {
        const outcome = replica.submit(bytes, requestId);
        hooks.submitted();
        return outcome;
      },
      watch: (requestId, timeoutMs) => watch(replica, requestId, timeoutMs),
      requestCertificate: (requestId, destination, ranges) =>
        replica.requestCertificate(requestId, destination, ranges),
      query(query) {
        hooks.freshen();
        return replica.query(query);
      },
      readState(query) {
        hooks.freshen();
        return replica.readState(query);
      },
      signQueryResponse: (message) => replica.signQueryResponse(message),
    };
  }

  return {
    network: {
      status,
      replicaOf(destination): ReplicaView {
        // The management canister by itself is where new canisters go.
        const isAnywhere = destination.kind === "canister" && destination.id.length === 0;
        const replica = instance.replicaOf(
          isAnywhere ? { kind: "canister", id: instance.topology().defaultEffectiveCanisterId } : destination,
        );
        const key = toHex(replica.subnetId);
        const view = views.get(key) ?? viewOf(replica);
        views.set(key, view);
        return view;
      },
    },
    answered(): void {
      for (const one of watches) if (one.replica.isAnswered(one.requestId)) one.end(true);
    },
  };
}

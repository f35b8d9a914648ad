/**
 * A network in one place as the HTTPS interface asks it: its subnets' replicas answer at once, and calls wait for their answers until a
 * round brings them. Rounds are run by whoever hosts the network; waiting needs a timer, which is the host's too, so that a
 * browser tab can be one.
 */
import { type CanisterId, type Principal, type TimeNs, toHex } from "@orrery/base";
import type {
  AnsweredQuery,
  AnswerWait,
  Destination,
  RangesForm,
  ReplicaNetwork,
  ReplicaStatus,
  ReplicaView,
  StateAnswer,
  StateQuery,
  SubmitOutcome,
  UserError,
  UserQuery,
} from "./replica-view.ts";

/** One subnet of the network; nothing of it waits. */
export interface HostedReplica
  extends Pick<
    ReplicaView,
    "nodeId" | "servesCanister" | "servesSubnet" | "isSubnetAdmin" | "ingressBytesMax"
  > {
  readonly subnetId: Principal;
  inspect(envelope: Uint8Array): UserError | null;
  submit(envelope: Uint8Array, requestId: Uint8Array): SubmitOutcome;
  /** Whether the request has an answer by now. */
  isAnswered(requestId: Uint8Array): boolean;
  requestCertificate(requestId: Uint8Array, destination: Destination, ranges: RangesForm): Uint8Array | null;
  query(query: UserQuery): AnsweredQuery;
  readState(query: StateQuery): StateAnswer;
  signQueryResponse(message: Uint8Array): Uint8Array;
}

export interface NetworkSource {
  readonly rootKey: Uint8Array;
  /** Of the newest certified state. */
  readonly height: number;
  /** The replica of the destination, or one that does not serve it. */
  replicaOf(destination: Destination): HostedReplica;
  topology(): { readonly defaultEffectiveCanisterId: CanisterId };
  /** Called after every round; what it returns ends that. */
  onRound(listener: () => void): () => void;
}

export interface HostingHooks {
  /** Time that requests are judged at. */
  now(): TimeNs;
  /** Before a certified state is read. */
  freshen(): void;
  /** A call has entered the pool. */
  submitted(): void;
  /** Calls `then` after that time; what it returns prevents it. */
  after(timeoutMs: number, then: () => void): () => void;
}

interface Watch {
  readonly replica: HostedReplica;
  readonly requestId: Uint8Array;
  end(answered: boolean): void;
}

export function hostedNetwork(source: NetworkSource, hooks: HostingHooks): ReplicaNetwork {
  const watches = new Set<Watch>();
  const views = new Map<string, ReplicaView>();
  source.onRound(() => {
    for (const one of watches) if (one.replica.isAnswered(one.requestId)) one.end(true);
  });

  function watch(replica: HostedReplica, requestId: Uint8Array, timeoutMs: number): AnswerWait {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const one: Watch = {
      replica,
      requestId,
      end(answered): void {
        cancel();
        watches.delete(one);
        resolve(answered);
      },
    };
    const cancel = hooks.after(timeoutMs, () => one.end(false));
    watches.add(one);
    return { answered: promise, cancel: () => one.end(false) };
  }

  const status = (): ReplicaStatus => ({
    health: "healthy",
    rootKey: source.rootKey,
    certifiedHeight: source.height,
    implVersion: null,
    implHash: null,
  });

  function viewOf(replica: HostedReplica): ReplicaView {
    return {
      nodeId: replica.nodeId,
      status,
      now: () => hooks.now(),
      servesCanister: (id) => replica.servesCanister(id),
      servesSubnet: (id) => replica.servesSubnet(id),
      isSubnetAdmin: (user) => replica.isSubnetAdmin(user),
      ingressBytesMax: replica.ingressBytesMax,
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
    status,
    replicaOf(destination): ReplicaView {
      // The management canister by itself is where new canisters go.
      const anywhere = destination.kind === "canister" && destination.id.length === 0;
      const replica = source.replicaOf(
        anywhere ? { kind: "canister", id: source.topology().defaultEffectiveCanisterId } : destination,
      );
      const key = toHex(replica.subnetId);
      const view = views.get(key) ?? viewOf(replica);
      views.set(key, view);
      return view;
    },
  };
}

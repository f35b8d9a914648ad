/**
 * What main serves: the HTTPS interface over the replicas. It stands before execution is ready: status is answered as soon as the
 * keys are known, everything else waits for the first published states and the delegations of subnets that have a root above them.
 */

import {
  assert,
  type Clock,
  type Height,
  ingressBytesMax,
  type Logger,
  type PrincipalKey,
  principalToText,
  type Rng,
  type TimeNs,
} from "@orrery/base";
import { type Bls, createSignatureVerifier } from "@orrery/crypto";
import type { Curve } from "@orrery/crypto/dkg";
import { createMclBls } from "@orrery/crypto/mcl";
import type { Delegation } from "@orrery/execution/delegation";
import { effectiveCanisterId } from "@orrery/execution/effective-id";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { type HttpServerRequest, type HttpServerResponse, installFastHashes } from "@orrery/host";
import type { OutcallAdapter } from "@orrery/host/outcalls";
import type { PeerAddress } from "@orrery/host/p2p";
import { nodeSignatures } from "@orrery/host/signatures";
import { createApi, validateWith } from "@orrery/http";
import type { SubnetInfo } from "@orrery/state";
import { administer } from "./administration.ts";
import { type AskedDelegation, Delegations } from "./delegations.ts";
import { createNodeGateway } from "./gateway.ts";
import { defaultSubnet, type Genesis, isReplicated, subnetsOf } from "./genesis.ts";
import { renderMetrics, renderTurns, type SubnetFigures } from "./metrics.ts";
import type { BySubnet, ExecutionStarted, StorageOpened, SubnetIndex } from "./protocol.ts";
import type { Healings } from "./replica/healings.ts";
import type { KeptRegistry } from "./replica/network-registry.ts";
import type {
  createReplicatedNetwork,
  ReplicatedNetwork,
  ReplicatedNetworkOptions,
} from "./replica/replicated-network.ts";
import { createReplicas, type LateRounds, type SubnetSummary } from "./replica.ts";
import { createRounds, type Rounds, type SubnetThreads } from "./rounds.ts";
import { type Cut, orLater, Slices } from "./slices.ts";
import type { Turns } from "./turns.ts";
import { Turnstile } from "./turnstile.ts";

/** The threads of all subnets. */
export interface ServiceThreads {
  of(subnet: SubnetIndex): SubnetThreads;
  delegate(subnet: SubnetIndex, delegation: Delegation): void;
  /** Has all subnets write down what would take a while to run again, or, at an end, their states as they are. */
  checkpoint(when: "asked" | "ending"): Promise<void>;
}

export interface Service {
  /** All of the network, the root first. */
  readonly subnets: readonly LocalSubnet[];
  /** Id of the one where canisters go by default, as text. */
  readonly defaultSubnet: string;
  summary(): readonly SubnetSummary[];
  handle(request: HttpServerRequest): Promise<HttpServerResponse> | HttpServerResponse;
  /** Execution is ready: rounds begin. Resolves when the requests that waited are being answered. */
  begin(options: BeginOptions): { readonly rounds: BySubnet<Rounds>; readonly ready: Promise<void> };
  /** Resolves when clients can verify what every subnet says: its root may be elsewhere. */
  readonly delegated: Promise<void>;
  /** Leaves the other nodes of its subnets, if there are any. */
  disconnect(): Promise<void>;
}

export interface BeginOptions {
  readonly started: BySubnet<ExecutionStarted>;
  readonly opened: Pick<StorageOpened, "subnets">;
  /** Where the processes of a network of several nodes listen for each other. */
  readonly addresses: readonly PeerAddress[];
  readonly threads: ServiceThreads;
  readonly logger: Logger;
  readonly onFailure: (thread: string, error: unknown) => void;
}

const STATUS_PATH = "/api/v2/status";

/** What it takes to agree with other nodes: loaded by members of such subnets only. */
export interface Replication {
  readonly createReplicatedNetwork: typeof createReplicatedNetwork;
  readonly curve: Curve;
}

/** The signature library, which takes a while to start; asked for before the genesis is known. */
export function loadSignatures(): Promise<Bls> {
  return createMclBls();
}

export interface ServiceOptions {
  readonly bls: Bls;
  /** Null where this node is alone in its subnets. */
  readonly replication: Replication | null;
  /** Of the subnets that the process has a node of. */
  readonly genesis: Genesis;
  /** As the network began; another one where the process has a node of a subnet that was created later. */
  readonly began: Genesis;
  /** Which of the network's processes that began this is; null: it joined. */
  readonly process: number | null;
  readonly registry: KeptRegistry;
  /** Place of this node in subnets of several. */
  readonly place: number;
  /** Subnets that the process has a node of, ascending; null: all. */
  readonly hosted: readonly SubnetIndex[] | null;
  /** When it turned out that what it had signed is lost; null: it is not. */
  readonly lostAt: TimeNs | null;
  /** Of the process. */
  readonly healings: Healings;
  /** Of this node, where it has keys of its own. */
  readonly nodeSeed: Uint8Array | null;
  readonly clock: Clock;
  readonly rng: Rng;
  /** Host names served besides localhost and IP literals. */
  readonly hosts: readonly string[];
  /** Names that canisters are served below besides localhost. */
  readonly domains: readonly string[];
  /** Lines of `<host>:<canister id>`, read again when they change; null for none. */
  readonly customDomainsFile: string | null;
  readonly logger: Logger;
  /** Makes the outcalls of all subnets. */
  readonly outcalls: OutcallAdapter;
  readonly turns: Turns | null;
  readonly artificialDelayMs: number;
}

/** The network's subnets, those that the process has a node of, and which of these takes what is about no canister. */
function subnetsFor({ genesis, bls, place: self, nodeSeed, hosted: some }: ServiceOptions): {
  readonly subnets: readonly LocalSubnet[];
  readonly hosted: readonly SubnetIndex[];
  readonly own: BySubnet<LocalSubnet>;
  readonly place: SubnetIndex;
} {
  const subnets = subnetsOf(genesis, bls, self, nodeSeed);
  const hosted = some ?? [...subnets.keys()];
  const own = new Map(hosted.map((subnet) => [subnet, subnets[subnet] as LocalSubnet]));
  const common = defaultSubnet(genesis.subnets);
  return { subnets, hosted, own, place: own.has(common) ? common : (hosted[0] as SubnetIndex) };
}

/** Execution is ready. */
interface Joined {
  readonly threads: ServiceThreads;
  readonly onFailure: (error: unknown) => void;
}

function metricsOf(
  { current }: LateRounds,
  network: Pick<ReplicatedNetwork, "versions"> | null,
  turns: Turns | null,
): string {
  const figures = [...(current ?? [])].map(([subnet, rounds]): SubnetFigures => {
    const versions = network?.versions(subnet);
    return { ...rounds.figures(), ...(versions === undefined ? {} : { versions }) };
  });
  return renderMetrics(figures) + (turns === null ? "" : renderTurns(turns.takeMaxSeconds()));
}

export function createService(options: ServiceOptions): Service {
  installFastHashes();
  const { bls, replication, genesis, clock, artificialDelayMs, nodeSeed } = options;
  const { subnets, hosted, own, place } = subnetsFor(options);
  const root = subnets[0] as LocalSubnet;
  const replicated = isReplicated(root);
  let network: ReplicatedNetwork | null = null;
  const late: LateRounds = { current: null };
  let joined: Joined | null = null;
  let open = false;
  const ready = Promise.withResolvers<void>();
  const delegations = new Delegations({
    bls,
    subnets: new Map([...own].map(([subnet, { info }]) => [subnet, info])),
    async ask(subnet, { subnetId }): Promise<AskedDelegation | null> {
      if (!own.has(0)) return (await network?.abroad.delegation(subnet)) ?? null;
      const call = { kind: "delegation", subnetId } as const;
      const delegation = await joined?.threads.of(0).view<Delegation | null>(call);
      return delegation == null ? null : { delegation };
    },
    freshRoot: async () => {
      await late.current?.get(0)?.fresh();
    },
    install: (subnet, delegation) => joined?.threads.delegate(subnet, delegation),
    now: () => clock.now(),
    onFailure: (error) => joined?.onFailure(error),
  });
  const slices = new Slices({
    subnets: subnets.map(({ info }) => info),
    hosted,
    async cut(source, destination): Promise<Cut> {
      if (!own.has(source)) return (await network?.abroad.cut(source, destination)) ?? null;
      const cut = joined?.threads.of(destination).view<Uint8Array | null>({ kind: "slice", source });
      return (await (replicated ? orLater(cut) : cut)) ?? null;
    },
    wake: (destination) => late.current?.get(destination)?.poke(),
    onFailure: (error) => joined?.onFailure(error),
  });
  const infoNow = (info: SubnetInfo): SubnetInfo => network?.registry.creations.infoOf(info) ?? info;
  const replicas = createReplicas({
    ...{ subnets: own, infoNow },
    defaultSubnet: place,
    rounds: late,
    delegations,
    clock,
    artificialDelayMs,
    versions: (subnet) => network?.versions(subnet) ?? null,
  });
  let checkpointing: Promise<void> | undefined;
  /** Whoever asks while one is under way gets that one. */
  const checkpoint = async (): Promise<void> => {
    checkpointing ??= joined?.threads.checkpoint("asked").finally(() => {
      checkpointing = undefined;
    });
    await checkpointing;
  };
  const rootKey = root.keys.subnetPublicKey;
  const canisterSignatures = { rootKeyDer: rootKey, bls };
  const verifier = createSignatureVerifier({ basic: nodeSignatures, canisterSignatures });
  const api = createApi(replicas, {
    validate: validateWith(verifier),
    effectiveCanisterId,
    hosts: [...options.hosts, ...options.domains],
    metrics: () => metricsOf(late, network, options.turns),
    admin: (request) =>
      administer(request, {
        summary: replicas.summary,
        ...{ subnets: own, infoNow },
        defaultSubnet: place,
        checkpoint,
        registry: network?.registry ?? null,
      }),
    ...createNodeGateway({ ...options, network: replicas, rootKey }),
  });
  function published(subnet: SubnetIndex, height: Height, streams: readonly PrincipalKey[]): void {
    slices.published(subnet, height, streams);
    if (subnet === 0 || !own.has(0)) delegations.published();
  }

  /** Of a node that is alone in its subnets. */
  function soleRounds({ started, threads, logger, onFailure }: BeginOptions): BySubnet<Rounds> {
    const roundsOf = (subnet: SubnetIndex, { keys, info }: LocalSubnet): Rounds =>
      createRounds({
        keys,
        bls,
        started: started.get(subnet) as ExecutionStarted,
        ingressBytesMax: ingressBytesMax(info.type),
        outcalls: options.outcalls,
        threads: threads.of(subnet),
        clock,
        logger,
        onFailure,
        slices: {
          waiting: () => slices.waiting(subnet),
          take: (height) => slices.take(subnet, height),
        },
        onPublished: (height, streams) => published(subnet, height, streams),
      });
    return new Map([...own].map(([subnet, local]) => [subnet, roundsOf(subnet, local)]));
  }

  function joinNetwork({ opened, threads, ...begun }: BeginOptions): ReplicatedNetwork {
    assert(replication !== null, "a node of subnets of several is started as a member of them");
    const recovered = new Map([...opened.subnets].map(([subnet, { artifacts }]) => [subnet, artifacts]));
    const rest: ReplicatedNetworkOptions = {
      ...begun,
      genesis,
      subnets,
      network: { genesis: options.began, subnets: subnetsOf(options.began, bls, options.place, nodeSeed) },
      onCreated: (created) => slices.grow(created),
      hosted: own,
      process: options.process,
      registry: options.registry,
      lostAt: options.lostAt,
      healings: options.healings,
      bls,
      curve: replication.curve,
      nodeSeed,
      verifier,
      clock,
      rng: options.rng,
      outcalls: options.outcalls,
      settle: () => threads.checkpoint("ending"),
      threadsOf: (subnet) => threads.of(subnet),
      ingressBytesMax: ({ info }) => ingressBytesMax(info.type),
      slicesOf: (subnet) => ({
        waiting: () => slices.waiting(subnet),
        offers: () => slices.offers(subnet),
        ordered: (height, sources) => slices.ordered(subnet, height, sources),
      }),
      onStream: (source, destination) => slices.told(source, destination),
      onPublished: published,
    };
    return replication.createReplicatedNetwork(rest, recovered);
  }

  const turnstile = new Turnstile({ nowMs: () => performance.now(), nextTurn: setImmediate });
  const serve = (request: HttpServerRequest): Promise<HttpServerResponse> | HttpServerResponse =>
    turnstile.pass(() => api(request));
  return {
    subnets,
    defaultSubnet: principalToText((own.get(place) as LocalSubnet).info.subnetId),
    summary: replicas.summary,
    handle(request): Promise<HttpServerResponse> | HttpServerResponse {
      if (open || request.url === STATUS_PATH) return serve(request);
      return ready.promise.then(() => serve(request));
    },
    begin(begun) {
      const { threads, onFailure } = begun;
      joined = { threads, onFailure: (error) => onFailure("main", error) };
      let rounds: BySubnet<Rounds>;
      if (replicated) {
        network = joinNetwork(begun);
        rounds = network.rounds;
      } else rounds = soleRounds(begun);
      late.current = rounds;
      for (const each of rounds.values()) each.poke();
      slices.begin();
      // Of a root elsewhere it may come late: until then the interface says so.
      const delegated = own.has(0) ? delegations.renew(false) : null;
      const opened = Promise.all([delegated, network?.begin()]).then(() => {
        if (delegated === null) delegations.published();
        open = true;
        ready.resolve();
      });
      return { rounds, ready: opened };
    },
    delegated: delegations.complete,
    async disconnect(): Promise<void> {
      await network?.close();
    },
  };
}

/**
 * A node put together: four threads, the round loop, and the replica that the HTTPS interface asks. Main does HTTP, envelope
 * validation, consensus steps and nothing longer; a thread that fails takes the node down, since half a node must not go on.
 */

import { MessageChannel } from "node:worker_threads";
import {
  type Clock,
  type Logger,
  OrreryError,
  type Principal,
  type Rng,
  type TimeNs,
  toHex,
} from "@orrery/base";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { describeError, type HttpServer, startHttpServer } from "@orrery/host";
import type { HttpsOutcallOptions, OutcallAdapter } from "@orrery/host/outcalls";
import type { PeerAddress } from "@orrery/host/p2p";
import type { SubnetType } from "@orrery/state";
import { decodeGenesis, encodeGenesis, networkOf } from "./genesis.ts";
import { lazyOutcalls } from "./outcalls.ts";
import type { DurabilityOptions, ExecutionStarted, StorageOpened, StorageReport } from "./protocol.ts";
import type { SubnetSummary } from "./replica.ts";
import type { Rounds } from "./rounds.ts";
import { requireSame } from "./same-network.ts";
import type { createService, Service, ServiceOptions, ServiceThreads } from "./service.ts";
import { openStateDirectory, type StateDirectory } from "./state-directory.ts";
import { type JoinedThreads, startThreads, type Threads, threadsOf } from "./threads.ts";
import { watchTurns } from "./turns.ts";
import { Views } from "./views.ts";

export interface NodeOptions {
  readonly stateDir: string;
  readonly port: number;
  readonly bind: string;
  readonly clean: boolean;
  /** Kinds of the subnets beside the root, for a network that begins; one that is there must have them. Default: one application subnet. */
  readonly subnets?: readonly SubnetType[];
  /** Who administers its subnets of the kind `cloud_engine`; a network that is there must have them. Default: nobody. */
  readonly subnetAdmins?: readonly Principal[];
  readonly logger: Logger;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly durability?: DurabilityOptions;
  /** How HTTPS outcalls are made; by default as the public network makes them, private addresses included. */
  readonly outcalls?: OutcallAdapter | HttpsOutcallOptions;
  /** Update calls are taken this much later, as if they came from far away; 0 by default. */
  readonly artificialDelayMs?: number;
  /** Names that canisters are served below besides localhost, lower case. */
  readonly domains?: readonly string[];
  /** Names that the interface is served under besides localhost and what is bound, where somebody else listens in front of it. */
  readonly hosts?: readonly string[];
  /** Custom domains: lines of `<host>:<canister id>`, read again when they change. */
  readonly customDomainsFile?: string;
  /** For tests of crashes: threads die as this file says (chaos.ts). */
  readonly chaosFile?: string;
  /** One of several nodes of each of its subnets; by default the only one. */
  readonly member?: MemberOptions;
  /** Shows at `/metrics` how long main was busy at a time (turns.ts). */
  readonly watchTurns?: boolean;
  /** Called once when the node cannot go on; the process should end with a failure. */
  readonly onFatal: (error: OrreryError) => void;
}

/** What a node of a network of several has to know to find the others. */
export interface MemberOptions {
  /** Place in every subnet. */
  readonly self: number;
  /** The network's genesis record, the same for all. */
  readonly genesis: Uint8Array;
  /** Of a network that its nodes founded: what all secrets of this node follow from. */
  readonly seed?: Uint8Array;
  /** Where the nodes listen for each other, by place. */
  readonly addresses: readonly PeerAddress[];
  /** When it turned out that the node had lost its disk: it signs nothing for a while. */
  readonly lostAt?: TimeNs;
  /** Its stores are there and durable, and nothing was signed yet. */
  readonly onStored?: () => void;
}

export interface NodeStatus {
  readonly healthy: boolean;
  /** The root first. */
  readonly subnets: readonly SubnetSummary[];
}

export interface NodeHandle {
  readonly url: string;
  readonly port: number;
  /** DER, hexadecimal. */
  readonly rootKeyHex: string;
  /** First id that canisters are created at: the default effective canister id. */
  readonly defaultEffectiveCanisterId: string;
  status(): NodeStatus;
  stop(): Promise<void>;
}

/** Nodes that were away ask the others for so many blocks, at least. */
const MEMBER_KEEP_ROUNDS = 5_000;

function durabilityOf({ durability = {}, member }: NodeOptions): DurabilityOptions {
  return member === undefined ? durability : { keepRounds: MEMBER_KEEP_ROUNDS, ...durability };
}

const SUBNETS_DEFAULT: readonly SubnetType[] = ["application"];

/** Of a network that begins. */
export function newGenesisRecord(options: {
  readonly rng: Rng;
  readonly clock: Clock;
  /** Kinds of the subnets beside the root. */
  readonly subnets?: readonly SubnetType[];
  readonly subnetAdmins?: readonly Principal[];
  /** Of each subnet; one by default. */
  readonly nodes?: number;
  readonly catchUpInterval?: number;
}): Uint8Array {
  const { rng, clock, subnets = SUBNETS_DEFAULT, subnetAdmins, nodes, catchUpInterval } = options;
  return encodeGenesis({
    seed: rng.bytes(32),
    time: clock.now(),
    subnets: networkOf(subnets, subnetAdmins, nodes),
    ...(catchUpInterval === undefined ? {} : { catchUpInterval }),
    profile: "local",
  });
}

async function startExecution(
  threads: JoinedThreads,
  opened: StorageOpened,
): Promise<readonly ExecutionStarted[]> {
  threads.views.prepare();
  const storage = new MessageChannel();
  threads.storage.post({ kind: "feed", port: storage.port1 }, [storage.port1]);
  const { genesis, networkId, subnets } = opened;
  const started = await threads.execution.call<readonly ExecutionStarted[]>(
    {
      kind: "start",
      genesis,
      networkId,
      subnets: subnets.map((subnet) => ({ ...subnet, artifacts: [] })),
      storage: storage.port2,
    },
    [storage.port2],
  );
  // What several nodes made is shown once they certified it.
  const { subnets: kinds } = decodeGenesis(genesis);
  for (const [subnet, { tip }] of started.entries())
    if ((kinds[subnet]?.nodes ?? 1) === 1) threads.views.publish(subnet, tip.height);
  await threads.views.open();
  return started;
}

function adapterOf({ outcalls = {} }: NodeOptions): OutcallAdapter {
  return "fetch" in outcalls ? outcalls : lazyOutcalls(outcalls);
}

type Loaded = { readonly createService: typeof createService } & Pick<ServiceOptions, "bls" | "replication">;

async function loadService(isMember: boolean): Promise<Loaded> {
  const [{ createService, loadSignatures }, replication] = await Promise.all([
    import("./service.ts"),
    isMember ? import("./replica/replication.ts").then(({ loadReplication }) => loadReplication()) : null,
  ]);
  return { createService, replication, bls: await loadSignatures() };
}

/** What of a node's options its service needs. */
function serviceOptions(
  options: NodeOptions,
): Omit<ServiceOptions, "bls" | "replication" | "genesis" | "outcalls"> {
  return {
    self: options.member?.self ?? 0,
    nodeSeed: options.member?.seed ?? null,
    lostAt: options.member?.lostAt ?? null,
    clock: options.clock,
    rng: options.rng,
    logger: options.logger,
    hosts: [options.bind, ...(options.hosts ?? [])].map((name) => name.toLowerCase()),
    domains: options.domains ?? [],
    customDomainsFile: options.customDomainsFile ?? null,
    turns: options.watchTurns === true ? watchTurns() : null,
    artificialDelayMs: options.artificialDelayMs ?? 0,
  };
}

/** Starts a node; resolves when it answers everything. Errors carry codes of docs/errors.md; nothing is left running then. */
export async function startNode(options: NodeOptions): Promise<NodeHandle> {
  const directory = await openStateDirectory({ path: options.stateDir, clean: options.clean });
  let server: HttpServer | null = null;
  let threads: Threads | null = null;
  let service: Service | null = null;
  let rounds: readonly Rounds[] = [];
  try {
    const fatal = createFatal(options);
    const outcalls = adapterOf(options);
    // Requests that come before the node can answer wait for it. The port is taken before anything is written, so that a taken
    // one leaves the directory as it was.
    const front = await openFront(options);
    server = front.server;
    threads = startThreads(
      {
        stateDirectory: directory.path,
        durability: durabilityOf(options),
        logLevel: "info",
        chaosFile: options.chaosFile ?? null,
        self: options.member?.self ?? 0,
      },
      {
        onStorage: (report) => tellStorage(rounds, report),
        onExecution: (report) => rounds[report.subnet]?.onExecution(report),
        onFailure: fatal.raise,
      },
    );
    // The threads load their code while this one loads its own.
    const [loaded, opened] = await fatal.unless(
      Promise.all([
        loadService(options.member !== undefined),
        threads.storage.call<StorageOpened>({
          kind: "open",
          freshGenesis: options.member?.genesis ?? newGenesisRecord(options),
          salt: options.rng.bytes(16),
        }),
      ]),
    );
    const genesis = decodeGenesis(opened.genesis);
    requireSame(genesis, options);
    options.member?.onStored?.();
    service = loaded.createService({
      bls: loaded.bls,
      replication: loaded.replication,
      genesis,
      outcalls,
      ...serviceOptions(options),
    });
    front.serve(service);
    const joined = { ...threads, views: createViews({ threads, options, onFailure: fatal.raise }) };
    const started = await fatal.unless(startExecution(joined, opened));
    const begun = service.begin({
      started,
      opened,
      addresses: options.member?.addresses ?? [],
      threads: forService(joined),
      logger: options.logger,
      onFailure: fatal.raise,
    });
    rounds = begun.rounds;
    await fatal.unless(begun.ready);
    return handle({ options, directory, server, threads, rounds, service, outcalls, fatal });
  } catch (error) {
    for (const each of rounds) each.stop();
    await Promise.all([service?.disconnect(), server?.close()]);
    await threads?.terminate();
    directory.lock.release();
    throw error;
  }
}

function tellStorage(rounds: readonly Rounds[], report: StorageReport): void {
  if (report.kind === "durable") rounds[report.subnet]?.onDurable(report.height);
  else rounds[report.subnet]?.onKept?.(report.sequence);
}

function forService(threads: JoinedThreads): ServiceThreads {
  return {
    of: (subnet) => threadsOf(threads, subnet),
    delegate: (subnet, delegation) => threads.views.delegate(subnet, delegation),
    checkpoint: () => threads.execution.call<void>({ kind: "checkpoint" }),
  };
}

/** The server from its first moment: requests wait until there is a service. */
async function openFront(
  options: NodeOptions,
): Promise<{ readonly server: HttpServer; serve(service: Service): void }> {
  const serving = Promise.withResolvers<Service>();
  let current: Service | null = null;
  const server = await startHttpServer({
    port: options.port,
    bind: options.bind,
    handle: (request) =>
      current === null ? serving.promise.then((it) => it.handle(request)) : current.handle(request),
    onError: (error) =>
      options.logger.log("error", "answering a request failed", { error: describeError(error).stack }),
  });
  return {
    server,
    serve(service): void {
      current = service;
      serving.resolve(service);
    },
  };
}

function createViews(parts: {
  readonly threads: Threads;
  readonly options: NodeOptions;
  readonly onFailure: (thread: string, error: unknown) => void;
}): Views {
  const { threads, options, onFailure } = parts;
  return new Views({
    start: threads.startView,
    attach: threads.attachView,
    onDeath(view, error): void {
      const { code, message } = describeError(error);
      options.logger.log("warn", "a view thread ended and is replaced", { view, code, message });
    },
    onFailure: (error) => onFailure("view", error),
    nowMs: () => performance.now(),
  });
}

interface Fatal {
  raise(thread: string, error: unknown): void;
  /** The work's outcome, or the failure of a thread, which would leave it waiting for ever. */
  unless<T>(work: Promise<T>): Promise<T>;
}

function createFatal(options: NodeOptions): Fatal {
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  let raised = false;
  return {
    raise(thread, error): void {
      if (raised) return;
      raised = true;
      const { code, message, stack } = describeError(error);
      if (code === "state_fetched") options.logger.log("info", message);
      else options.logger.log("error", "the node stops after a failure", { thread, code, message, stack });
      const failure = error instanceof OrreryError ? error : new OrreryError(code, message, { cause: error });
      failed.reject(failure);
      options.onFatal(failure);
    },
    unless: (work) => Promise.race([work, failed.promise]),
  };
}

function handle(parts: {
  readonly options: NodeOptions;
  readonly directory: StateDirectory;
  readonly server: HttpServer;
  readonly threads: Threads;
  readonly rounds: readonly Rounds[];
  readonly service: Service;
  readonly outcalls: OutcallAdapter;
  readonly fatal: Fatal;
}): NodeHandle {
  const { options, directory, server, threads, rounds, service, outcalls, fatal } = parts;
  const host = options.bind === "0.0.0.0" || options.bind === "::" ? "127.0.0.1" : options.bind;
  const root = service.subnets[0] as LocalSubnet;
  const place = service.summary()[service.defaultSubnet] as SubnetSummary;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${server.port}`,
    port: server.port,
    rootKeyHex: toHex(root.keys.subnetPublicKey),
    defaultEffectiveCanisterId: place.defaultEffectiveCanisterId,
    status(): NodeStatus {
      const subnets = service.summary();
      return { healthy: subnets.every(({ healthy }) => healthy), subnets };
    },
    async stop(): Promise<void> {
      await server.close();
      for (const each of rounds) each.stop();
      await service.disconnect();
      outcalls.close();
      try {
        await fatal.unless(threads.execution.call({ kind: "shutdown" }));
        await fatal.unless(threads.storage.call({ kind: "close" }));
      } finally {
        await threads.terminate();
        directory.lock.release();
      }
    },
  };
}

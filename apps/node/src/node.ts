/**
 * A node put together: four threads, the round loop, and the replica that the HTTPS interface asks. Main does HTTP, envelope
 * validation, consensus steps and nothing longer; a thread that fails takes the node down, since half a node must not go on.
 */

import { MessageChannel } from "node:worker_threads";
import {
  type Clock,
  type Logger,
  type OrreryError,
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
import { inTime } from "./answer-limit.ts";
import { createFatal, type Fatal } from "./fatal.ts";
import { decodeGenesis, type Genesis, newGenesisRecord } from "./genesis.ts";
import { type Hosting, hostingOf } from "./hosting.ts";
import { lazyOutcalls } from "./outcalls.ts";
import { withOwnGenesis } from "./own-genesis.ts";
import type {
  BySubnet,
  DurabilityOptions,
  ExecutionStarted,
  StorageOpened,
  StorageReport,
} from "./protocol.ts";
import type { RegistryRecord } from "./registry/record.ts";
import { keptIn, readRegistryFile } from "./registry/registry-file.ts";
import { Healings } from "./replica/healings.ts";
import type { SubnetSummary } from "./replica.ts";
import type { Rounds } from "./rounds.ts";
import { requireSame } from "./same-network.ts";
import type { createService, Service, ServiceOptions, ServiceThreads } from "./service.ts";
import { openStateDirectory, type StateDirectory } from "./state-directory.ts";
import { stopInOrder } from "./stopping.ts";
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
  /**
   * Which of the processes that began the network it is: what that hosts follows from their number (`hostedByProcess`). Null: it joined, and
   * hosts what the registry's records say.
   */
  readonly self: number | null;
  /** The network's genesis record, the same for all. */
  readonly genesis: Uint8Array;
  /** What its subnets begin with, where that is another one: subnets that were created later (`ownGenesis`). */
  readonly own?: Uint8Array;
  /** Of a network that its nodes founded: what all secrets of this node follow from. */
  readonly seed?: Uint8Array;
  /** Where the processes that began listen for each other. */
  readonly addresses: readonly PeerAddress[];
  /** Where to listen for the others, if not where the registry says. */
  readonly listen?: PeerAddress;
  /** When it turned out that the node had lost its disk: it signs nothing for a while. */
  readonly lostAt?: TimeNs;
  /** How often it was healed before, where the process starts it again; by default it never was. */
  readonly healings?: Healings;
  /** Its stores are there and durable, and nothing was signed yet. */
  readonly onStored?: () => void;
}

export interface NodeStatus {
  readonly healthy: boolean;
  /** Those that it has a node of, the root first. */
  readonly subnets: readonly SubnetSummary[];
}

export interface NodeHandle {
  readonly url: string;
  readonly port: number;
  /** DER, hexadecimal. */
  readonly rootKeyHex: string;
  /** First id that canisters are created at: the default effective canister id. */
  readonly defaultEffectiveCanisterId: string;
  /** Resolves when it can answer for its subnets: one whose root is elsewhere needs that one's word first. */
  readonly delegated: Promise<void>;
  status(): NodeStatus;
  stop(): Promise<void>;
}

/** Nodes that were away ask the others for so many blocks, at least. */
const MEMBER_KEEP_ROUNDS = 5_000;

function durabilityOf({ durability = {}, member }: NodeOptions): DurabilityOptions {
  return member === undefined ? durability : { keepRounds: MEMBER_KEEP_ROUNDS, ...durability };
}

/** What execution begins with: without what consensus alone needs and, of one of several nodes, without blocks of other versions. */
async function recoveredFor(
  { member, stateDir }: NodeOptions,
  subnets: StorageOpened["subnets"],
  records: readonly RegistryRecord[],
): Promise<StorageOpened["subnets"]> {
  // A node alone in its subnets starts without the code of members.
  if (member === undefined) return subnets;
  const { noteProgram, replayable } = await import("./replica/own-version.ts");
  noteProgram(stateDir, subnets, records);
  return replayable(subnets, records);
}

async function startExecution(
  options: NodeOptions,
  threads: JoinedThreads,
  opened: StorageOpened,
  records: readonly RegistryRecord[],
): Promise<BySubnet<ExecutionStarted>> {
  threads.views.prepare();
  const storage = new MessageChannel();
  threads.storage.post({ kind: "feed", port: storage.port1 }, [storage.port1]);
  const started = await threads.execution.call<BySubnet<ExecutionStarted>>(
    {
      kind: "start",
      ...opened,
      subnets: await recoveredFor(options, opened.subnets, records),
      storage: storage.port2,
    },
    [storage.port2],
  );
  // What several nodes made is shown once they certified it.
  const { subnets: kinds } = decodeGenesis(opened.genesis);
  for (const [subnet, { tip }] of started)
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
  records: readonly RegistryRecord[],
  own: Genesis,
): Omit<ServiceOptions, "bls" | "replication" | "genesis" | "outcalls" | keyof Hosting> {
  return {
    began: options.member === undefined ? own : decodeGenesis(options.member.genesis),
    registry: { ...keptIn(options.stateDir), records, listen: options.member?.listen ?? null },
    nodeSeed: options.member?.seed ?? null,
    lostAt: options.member?.lostAt ?? null,
    healings: options.member?.healings ?? new Healings(),
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

function workerStart(
  options: NodeOptions,
  { place, hosted, process }: Hosting,
): Omit<Parameters<typeof startThreads>[0], "stateDirectory"> {
  const chaosFile = options.chaosFile ?? null;
  return {
    durability: durabilityOf(options),
    logLevel: "info",
    chaosFile,
    self: process === null ? 0 : place,
    hosted,
  };
}

/** Starts a node; resolves when it answers everything. Errors carry codes of docs/errors.md; nothing is left running then. */
export async function startNode(options: NodeOptions): Promise<NodeHandle> {
  return await startFounded(await withOwnGenesis(options));
}

/** All subnets that it has nodes of have their keys. */
async function startFounded(options: NodeOptions): Promise<NodeHandle> {
  const records = options.member === undefined ? [] : readRegistryFile(options.stateDir);
  const hosting = hostingOf(options.member, records);
  const [first = 0] = hosting.hosted ?? [];
  const directory = await openStateDirectory({ path: options.stateDir, clean: options.clean, first });
  let server: HttpServer | null = null;
  let threads: Threads | null = null;
  let service: Service | null = null;
  let rounds: BySubnet<Rounds> = new Map();
  try {
    const fatal = createFatal(options);
    const outcalls = adapterOf(options);
    // Requests that come before the node can answer wait for it. The port is taken before anything is written, so that a taken
    // one leaves the directory as it was.
    const front = await openFront(options);
    server = front.server;
    threads = startThreads(
      { ...workerStart(options, hosting), stateDirectory: directory.path },
      {
        onStorage: (report) => tellStorage(rounds, report),
        onExecution: (report) => rounds.get(report.subnet)?.onExecution(report),
        onFailure: fatal.raise,
      },
    );
    // The threads load their code while this one loads its own.
    const [loaded, opened] = await fatal.unless(
      Promise.all([
        loadService(options.member !== undefined),
        threads.storage.call<StorageOpened>({
          kind: "open",
          freshGenesis: options.member?.own ?? options.member?.genesis ?? newGenesisRecord(options),
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
      ...hosting,
      ...serviceOptions(options, records, genesis),
    });
    front.serve(service);
    const joined = { ...threads, views: createViews({ threads, options, onFailure: fatal.raise }) };
    const begun = service.begin({
      started: await fatal.unless(startExecution(options, joined, opened, records)),
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
    for (const each of rounds.values()) each.stop();
    await stopInOrder({
      steps: [["clients and peers", () => Promise.all([service?.disconnect(), server?.close()])]],
      terminate: async () => await threads?.terminate(),
      release: () => directory.lock.release(),
      logger: options.logger,
    });
    throw error;
  }
}

function tellStorage(rounds: BySubnet<Rounds>, report: StorageReport): void {
  if (report.kind === "durable") rounds.get(report.subnet)?.onDurable(report.height);
  else rounds.get(report.subnet)?.onKept?.(report.sequence);
}

function forService(threads: JoinedThreads): ServiceThreads {
  return {
    of: (subnet) => threadsOf(threads, subnet),
    delegate: (subnet, delegation) => threads.views.delegate(subnet, delegation),
    checkpoint: (when) => threads.execution.call<void>({ kind: "checkpoint", when }),
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
    handle(request) {
      const answer =
        current === null ? serving.promise.then((it) => it.handle(request)) : current.handle(request);
      return answer instanceof Promise ? inTime(request, answer) : answer;
    },
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

function handle(parts: {
  readonly options: NodeOptions;
  readonly directory: StateDirectory;
  readonly server: HttpServer;
  readonly threads: Threads;
  readonly rounds: BySubnet<Rounds>;
  readonly service: Service;
  readonly outcalls: OutcallAdapter;
  readonly fatal: Fatal;
}): NodeHandle {
  const { options, directory, server, threads, rounds, service, outcalls, fatal } = parts;
  const host = options.bind === "0.0.0.0" || options.bind === "::" ? "127.0.0.1" : options.bind;
  const root = service.subnets[0] as LocalSubnet;
  const place = service.summary().find(({ id }) => id === service.defaultSubnet) as SubnetSummary;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${server.port}`,
    port: server.port,
    rootKeyHex: toHex(root.keys.subnetPublicKey),
    delegated: service.delegated,
    defaultEffectiveCanisterId: place.defaultEffectiveCanisterId,
    status(): NodeStatus {
      const subnets = service.summary();
      return { healthy: subnets.every(({ healthy }) => healthy), subnets };
    },
    stop: () =>
      stopInOrder({
        steps: [
          ["clients", () => server.close()],
          [
            "peers",
            async () => {
              for (const each of rounds.values()) each.stop();
              await service.disconnect();
              outcalls.close();
            },
          ],
          ["execution", () => fatal.unless(threads.execution.call({ kind: "shutdown" }))],
          ["storage", () => fatal.unless(threads.storage.call({ kind: "close" }))],
        ],
        terminate: () => threads.terminate(),
        release: () => directory.lock.release(),
        logger: options.logger,
      }),
  };
}

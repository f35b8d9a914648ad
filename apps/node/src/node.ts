/**
 * A node put together: four threads, the round loop, and the replica that the HTTPS interface asks. Main does HTTP, envelope
 * validation, consensus steps and nothing longer; a thread that fails takes the node down, since half a node must not go on.
 */

import { MessageChannel } from "node:worker_threads";
import { type Clock, type Logger, OrreryError, principalToText, type Rng, toHex } from "@orrery/base";
import type { Bls } from "@orrery/crypto";
import { FIRST_CANISTER, type LocalKeys } from "@orrery/execution/local-network";
import { describeError, type HttpServer, startHttpServer } from "@orrery/host";
import { decodeGenesis, encodeGenesis, type Genesis } from "./genesis.ts";
import type { DurabilityOptions, ExecutionStarted, StorageOpened } from "./protocol.ts";
import type { Rounds, RoundThreads } from "./rounds.ts";
import type { createService, Service } from "./service.ts";
import { openStateDirectory, type StateDirectory } from "./state-directory.ts";
import { startThreads, type Threads } from "./threads.ts";

export interface NodeOptions {
  readonly stateDir: string;
  readonly port: number;
  readonly bind: string;
  readonly clean: boolean;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly durability?: DurabilityOptions;
  /** Called once when the node cannot go on; the process should end with a failure. */
  readonly onFatal: (error: OrreryError) => void;
}

export interface NodeStatus {
  readonly healthy: boolean;
  readonly height: number;
}

export interface NodeHandle {
  readonly url: string;
  readonly port: number;
  /** DER, hexadecimal. */
  readonly rootKeyHex: string;
  readonly subnetId: string;
  readonly subnetKind: string;
  readonly nodeId: string;
  /** First id that canisters are created at: the default effective canister id. */
  readonly defaultEffectiveCanisterId: string;
  status(): NodeStatus;
  stop(): Promise<void>;
}

function newGenesis(options: NodeOptions): Genesis {
  return {
    version: 1,
    seed: options.rng.bytes(32),
    time: options.clock.now(),
    subnetType: "application",
    feeSize: 13,
    profile: "local",
  };
}

async function startExecution(threads: RoundThreads, opened: StorageOpened): Promise<ExecutionStarted> {
  const view = new MessageChannel();
  const storage = new MessageChannel();
  threads.view.post({ kind: "feed", port: view.port1 }, [view.port1]);
  threads.storage.post({ kind: "feed", port: storage.port1 }, [storage.port1]);
  const started = await threads.execution.call<ExecutionStarted>(
    {
      kind: "start",
      genesis: opened.genesis,
      networkId: opened.networkId,
      checkpointBlock: opened.checkpointBlock,
      records: opened.records,
      view: view.port2,
      storage: storage.port2,
    },
    [view.port2, storage.port2],
  );
  threads.view.post({ kind: "publish", height: started.tip.height });
  return started;
}

async function loadService(): Promise<{ createService: typeof createService; bls: Bls }> {
  const { createService, loadSignatures } = await import("./service.ts");
  return { createService, bls: await loadSignatures() };
}

/** Starts a node; resolves when it answers everything. Errors carry codes of docs/errors.md; nothing is left running then. */
export async function startNode(options: NodeOptions): Promise<NodeHandle> {
  const directory = await openStateDirectory({ path: options.stateDir, clean: options.clean });
  let server: HttpServer | null = null;
  let threads: Threads | null = null;
  try {
    const fatal = createFatal(options);
    let rounds: Rounds | null = null;
    // Requests that come before the node can answer wait for it. The port is taken before anything is written, so that a taken
    // one leaves the directory as it was.
    const serving = Promise.withResolvers<Service>();
    serving.promise.catch(() => {});
    let service: Service | null = null;
    server = await startHttpServer({
      port: options.port,
      bind: options.bind,
      handle: (request) =>
        service === null ? serving.promise.then((it) => it.handle(request)) : service.handle(request),
      onError: (error) =>
        options.logger.log("error", "answering a request failed", { error: describeError(error).stack }),
    });
    threads = startThreads(
      { stateDirectory: directory.store, durability: options.durability ?? {}, logLevel: "info" },
      {
        onDurable: (height) => rounds?.onDurable(height),
        onExecuted: (report) => rounds?.onExecuted(report),
        onFailure: fatal.raise,
      },
    );
    // The threads load their code while this one loads its own.
    const [loaded, opened] = await fatal.unless(
      Promise.all([
        loadService(),
        threads.storage.call<StorageOpened>({
          kind: "open",
          freshGenesis: encodeGenesis(newGenesis(options)),
          salt: options.rng.bytes(16),
        }),
      ]),
    );
    const genesis = decodeGenesis(opened.genesis);
    service = loaded.createService({ bls: loaded.bls, genesis, clock: options.clock, hosts: [options.bind] });
    serving.resolve(service);
    const joined = { storage: threads.storage, execution: threads.execution, view: threads.startView() };
    const started = await fatal.unless(startExecution(joined, opened));
    rounds = service.begin({ started, threads: joined, logger: options.logger, onFailure: fatal.raise });
    return handle({ options, directory, server, threads, rounds, keys: service.keys, genesis, fatal });
  } catch (error) {
    await server?.close();
    await threads?.terminate();
    directory.lock.release();
    throw error;
  }
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
      options.logger.log("error", "the node stops after a failure", { thread, code, message, stack });
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
  readonly rounds: Rounds;
  readonly keys: LocalKeys;
  readonly genesis: Genesis;
  readonly fatal: Fatal;
}): NodeHandle {
  const { options, directory, server, threads, rounds, keys, genesis, fatal } = parts;
  const host = options.bind === "0.0.0.0" || options.bind === "::" ? "127.0.0.1" : options.bind;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${server.port}`,
    port: server.port,
    rootKeyHex: toHex(keys.subnetPublicKey),
    subnetId: principalToText(keys.subnetId),
    subnetKind: genesis.subnetType,
    nodeId: principalToText(keys.nodeId),
    defaultEffectiveCanisterId: principalToText(FIRST_CANISTER),
    status: () => ({ healthy: true, height: rounds.publishedHeight() }),
    async stop(): Promise<void> {
      await server.close();
      rounds.stop();
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

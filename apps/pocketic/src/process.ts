/** The life of the server process: port file, listening, signals, the two limits on its life, the orderly end. */
import { availableParallelism } from "node:os";
import { hostAllowed } from "@orrery/http/host-check";
import { failure, jsonAnswer } from "./answers.ts";
import type { Flags } from "./flags.ts";
import { type Admission, type Listener, type ListenerOptions, startListener } from "./listener.ts";
import { createLog, type Log } from "./log.ts";
import { createPortFile, type PortFile } from "./port-file.ts";
import type { Server } from "./server.ts";

const TTL_CHECK_MS = 1_000;
/** Threads for instances: as many as run side by side, two so that one instance never waits for all, eight for their memory. */
const THREADS_MIN = 2;
const THREADS_MAX = 8;

/** The rest of the server and the first thread load after this or with the first request that needs them, so as not to delay another's. */
const PREPARE_MS = 50;

/** Resolves with the reason when the server is to end. */
function ending(flags: Flags, idleMs: () => number | null): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(signal, () => {
        // Who asks twice does not want to wait for the orderly end.
        process.once(signal, () => process.exit(1));
        resolve(`received ${signal}`);
      });
    }
    const { ttlMs, hardTtlMs } = flags;
    if (hardTtlMs !== null) setTimeout(() => resolve("its time is over"), hardTtlMs).unref();
    if (ttlMs === null) return;
    const check = setInterval(
      () => {
        const idle = idleMs();
        if (idle === null || idle < ttlMs) return;
        clearInterval(check);
        resolve(`no request for ${Math.floor(idle / 1_000)} s`);
      },
      Math.min(TTL_CHECK_MS, Math.max(ttlMs, 100)),
    );
  });
}

/** Answers what needs no instance itself, and loads the rest of the server behind the first answer. */
function createFront(
  load: () => Promise<Server>,
  hosts: readonly string[],
): Pick<ListenerOptions, "admit" | "answer"> {
  return {
    async admit(method, url, host): Promise<Admission> {
      if (!hostAllowed(host, hosts)) {
        const name = (host ?? "").slice(0, 128);
        const remedy = "use localhost or an address, or name it in ORRERY_POCKET_IC_HOSTS";
        return failure(403, `Host "${name}" is not served, to guard against DNS rebinding: ${remedy}.`);
      }
      if (method === "GET" && (url === "/status" || url === "/status/")) return jsonAnswer(200, "");
      return (await load()).admit(method, url);
    },
    answer: async (request) => await (await load()).answer(request),
  };
}

async function run(
  flags: Flags,
  log: Log,
  portFile: PortFile | null,
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const hosts = (env["ORRERY_POCKET_IC_HOSTS"] ?? "")
    .toLowerCase()
    .split(",")
    .filter((name) => name !== "");
  const threadsMax = Math.min(Math.max(availableParallelism(), THREADS_MIN), THREADS_MAX);
  let loading: Promise<Server> | undefined;
  let server: Server | null = null;
  const load = (): Promise<Server> => {
    loading ??= import("./server.ts").then(({ createServer }) => {
      server = createServer({ log, hosts, threadsMax });
      server.prepare();
      return server;
    });
    return loading;
  };
  let listener: Listener;
  try {
    listener = await startListener(flags, {
      ...createFront(load, hosts),
      onError: (error) => log("error", `a request failed: ${(error as Error).stack ?? String(error)}`),
    });
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    process.stderr.write(`Failed to bind PocketIC server to address ${flags.bind}:${flags.port} (${why})\n`);
    return 1;
  }
  portFile?.write(listener.port);
  log("info", `The PocketIC server is listening on port ${listener.port}`);
  setTimeout(() => void load(), PREPARE_MS);
  const idleMs = (): number | null => {
    if (listener.pending > 0) return null;
    return performance.now() - Math.max(listener.idleSinceMs, server?.gatewaysIdleSinceMs() ?? 0);
  };
  const reason = await ending(flags, idleMs);
  log("info", `The PocketIC server will terminate: ${reason}`);
  const isKept = loading === undefined || (await (await loading).end());
  portFile?.remove();
  await listener.close();
  return isKept ? 0 : 1;
}

/** Serves until told to end; resolves with the exit code. */
export async function serve(flags: Flags, env: NodeJS.ProcessEnv): Promise<number> {
  // Who started the server may be gone; that is no reason to fail.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  let portFile: PortFile | null = null;
  if (flags.portFile !== null) {
    try {
      portFile = createPortFile(flags.portFile);
    } catch (error) {
      process.stderr.write(`Cannot create the port file ${flags.portFile}: ${(error as Error).message}\n`);
      return 1;
    }
    if (portFile === null) return 0;
  }
  try {
    return await run(flags, createLog(flags.logLevels, env), portFile, env);
  } finally {
    portFile?.remove();
  }
}

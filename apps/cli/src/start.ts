/** `orrery start`: runs a network in this process, or starts one in the background and waits until it answers. */
import { fork } from "node:child_process";
import { isIP } from "node:net";
import { OrreryError, type Principal, principalToText } from "@orrery/base";
import type { NodeHandle } from "@orrery/node";
import { type Io, jsonDocument, table } from "./io.ts";
import { writeLauncherStatus } from "./launcher-status.ts";
import { type LogFile, openLogFile } from "./log-file.ts";
import { ownScript } from "./own-script.ts";
import { icpYaml } from "./stanza.ts";
import {
  type NetworkInfo,
  removeNetworkInfo,
  replaceNetworkInfo,
  resolveStateDir,
  writeNetworkInfo,
} from "./state-files.ts";
import type { SubnetKind } from "./subnet-kinds.ts";
import { installSystemWasm, SYSTEM_WASM_VARIABLE, systemWasm } from "./system-wasm.ts";

export interface StartOptions {
  readonly stateDir: string;
  readonly port: number;
  readonly bind: string;
  readonly clean?: true;
  /** Kinds of the subnets beside the root. */
  readonly subnet?: readonly SubnetKind[];
  /** Who administers those of them that can be. */
  readonly subnetAdmin?: readonly Principal[];
  /** Of each subnet, in as many processes. */
  readonly nodesPerSubnet?: number;
  /** Heights from one catch-up package of such a subnet to the next. */
  readonly catchUpInterval?: number;
  /** Rounds that can run again, at least. */
  readonly keepRounds?: number;
  readonly background?: true;
  readonly statusDir?: string;
  /** Modules of system canisters that the user brings. */
  readonly systemWasm?: string;
  readonly json?: true;
}

/** What the background process tells the one that started it. */
type Report =
  | { readonly kind: "ready"; readonly info: NetworkInfo }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

/** Marks the process that `-d` starts. */
const BACKGROUND_VARIABLE = "ORRERY_BACKGROUND";

function isLoopback(bind: string): boolean {
  return bind === "localhost" || bind === "::1" || (isIP(bind) === 4 && bind.startsWith("127."));
}

export function describeNetwork(handle: NodeHandle): NetworkInfo {
  const { url, rootKeyHex, defaultEffectiveCanisterId } = handle;
  const { pid } = process;
  return {
    pid,
    gateway_url: url,
    api_url: url,
    root_key: rootKeyHex,
    default_effective_canister_id: defaultEffectiveCanisterId,
    subnets: handle.status().subnets.map(({ id, kind, node, defaultEffectiveCanisterId: first }) => ({
      id,
      kind,
      default_effective_canister_id: first,
      nodes: [{ id: node, pid, url }],
    })),
  };
}

function announce(options: StartOptions, io: Io, info: NetworkInfo): void {
  const stateDir = resolveStateDir(io.cwd, options.stateDir);
  if (options.json === true) {
    io.out(jsonDocument({ ...info, state_dir: stateDir, icp_yaml: icpYaml(info) }));
    return;
  }
  const background = options.background === true;
  const rows = [
    ["API", info.api_url],
    ["state", stateDir],
    ...(background ? [["process", `${info.pid}`]] : []),
  ];
  io.out(`${io.style("green", "The network is running.", "out")}\n\n${table(rows, "  ")}\n`);
  io.out(`To make it the network "local" of a project, put this into its icp.yaml:\n\n${icpYaml(info)}\n`);
  const stop = options.stateDir === ".orrery" ? "orrery stop" : `orrery stop --state-dir ${options.stateDir}`;
  io.out(background ? `Stop it with: ${stop}\n` : "Stop it with Ctrl-C.\n");
}

/** Tells the process that waits in the foreground, if there is one. */
async function report(message: Report): Promise<void> {
  const send = process.send as ((message: Report, sent: () => void) => boolean) | undefined;
  if (send === undefined || !process.connected) return;
  await new Promise<void>((resolve) => void send.call(process, message, resolve));
  process.disconnect?.();
}

/** Several nodes, asked for or there: processes of their own, and this one in front of them. */
async function runNodes(
  options: StartOptions,
  io: Io,
  log: LogFile | null,
  inBackground: boolean,
): Promise<number> {
  const stateDir = resolveStateDir(io.cwd, options.stateDir);
  const brought = systemWasm(options.systemWasm ?? process.env[SYSTEM_WASM_VARIABLE], io.cwd);
  const [{ startNodes }, { stopSignal }] = await Promise.all([
    import("./nodes/start-nodes.ts"),
    import("./node-process.ts"),
  ]);
  const stopping = stopSignal();
  await startNodes({
    stateDir,
    port: options.port,
    bind: options.bind,
    clean: options.clean === true,
    nodes: options.nodesPerSubnet ?? null,
    ...(options.catchUpInterval === undefined ? {} : { catchUpInterval: options.catchUpInterval }),
    ...(options.subnet === undefined ? {} : { subnets: options.subnet }),
    ...(options.subnetAdmin === undefined ? {} : { subnetAdmins: options.subnetAdmin }),
    ...(options.keepRounds === undefined ? {} : { keepRounds: options.keepRounds }),
    write(line) {
      log?.write(line);
      if (!inBackground) io.err(io.style("dim", line));
    },
    async ready(info) {
      await installSystemWasm(info.api_url, brought, io);
      replaceNetworkInfo(stateDir, info);
      if (options.statusDir !== undefined) writeLauncherStatus(options.statusDir, info);
      if (inBackground) await report({ kind: "ready", info });
      else announce(options, io, info);
    },
    changed: (info) => replaceNetworkInfo(stateDir, info),
    stopping: stopping.then(() => void (inBackground || io.err("Stopping the network.\n"))),
  });
  return 0;
}

/** Asked for, or there and not to be discarded. */
async function hasSeveralNodes(
  stateDir: string,
  { nodesPerSubnet = 1, clean, catchUpInterval }: StartOptions,
): Promise<boolean> {
  if (nodesPerSubnet > 1) return true;
  const { hasNetworkPlan } = await import("./nodes/network-directory.ts");
  if (clean !== true && hasNetworkPlan(stateDir)) return true;
  if (catchUpInterval === undefined) return false;
  throw new OrreryError(
    "interval_misplaced",
    "--catch-up-interval is of subnets of several nodes, and there are none here: ask for them with --nodes-per-subnet, or leave it out",
  );
}

async function runNode(
  options: StartOptions,
  io: Io,
  log: LogFile | null,
  inBackground: boolean,
): Promise<number> {
  const stateDir = resolveStateDir(io.cwd, options.stateDir);
  const brought = systemWasm(options.systemWasm ?? process.env[SYSTEM_WASM_VARIABLE], io.cwd);
  const { runNodeProcess } = await import("./node-process.ts");
  // The description of a node that already runs there, which refuses this one, is not ours to remove.
  let described = false;
  try {
    await runNodeProcess({
      node: {
        stateDir,
        port: options.port,
        bind: options.bind,
        clean: options.clean === true,
        ...(options.subnet === undefined ? {} : { subnets: options.subnet }),
        ...(options.subnetAdmin === undefined ? {} : { subnetAdmins: options.subnetAdmin }),
        ...(options.keepRounds === undefined ? {} : { durability: { keepRounds: options.keepRounds } }),
      },
      level: "info",
      write(line) {
        log?.write(line);
        if (!inBackground) io.err(io.style("dim", line));
      },
      async ready(handle) {
        await installSystemWasm(handle.url, brought, io);
        const info = describeNetwork(handle);
        described = true;
        writeNetworkInfo(stateDir, info);
        if (options.statusDir !== undefined) writeLauncherStatus(options.statusDir, info);
        if (inBackground) await report({ kind: "ready", info });
        else announce(options, io, info);
      },
      stopping: () => void (inBackground || io.err("Stopping the network.\n")),
    });
  } finally {
    if (described) removeNetworkInfo(stateDir);
  }
  return 0;
}

async function runInForeground(options: StartOptions, io: Io, inBackground: boolean): Promise<number> {
  const log = openLogFile(resolveStateDir(io.cwd, options.stateDir));
  try {
    const several = await hasSeveralNodes(resolveStateDir(io.cwd, options.stateDir), options);
    return await (several ? runNodes : runNode)(options, io, log, inBackground);
  } catch (error) {
    const { describeFailure } = await import("./failure.ts");
    const { code, message, detail } = describeFailure(error);
    // The log of a locked directory is that of the node that runs there, which has not ended.
    if (code !== "state_dir_locked") {
      log?.write(
        `${new Date().toISOString()} error the node ended code=${code} message=${JSON.stringify(message)}\n`,
      );
      if (detail !== null) log?.write(`${detail}\n`);
    }
    await report({ kind: "failed", code, message });
    // In the background stderr is the same log; whoever waits in the foreground tells the failure.
    if (inBackground) return 1;
    throw error;
  } finally {
    log?.close();
  }
}

/** Arguments of the background process; paths are absolute, `--json` and `-d` are this process's business. */
function backgroundArguments(options: StartOptions, stateDir: string): readonly string[] {
  return [
    "start",
    ...["--state-dir", stateDir, "--port", `${options.port}`, "--bind", options.bind],
    ...(options.clean === true ? ["--clean"] : []),
    ...(options.subnet ?? []).flatMap((kind) => ["--subnet", kind]),
    ...(options.subnetAdmin ?? []).flatMap((admin) => ["--subnet-admin", principalToText(admin)]),
    ...(options.nodesPerSubnet === undefined ? [] : ["--nodes-per-subnet", `${options.nodesPerSubnet}`]),
    ...(options.catchUpInterval === undefined ? [] : ["--catch-up-interval", `${options.catchUpInterval}`]),
    ...(options.keepRounds === undefined ? [] : ["--keep-rounds", `${options.keepRounds}`]),
    ...(options.statusDir === undefined ? [] : ["--status-dir", options.statusDir]),
    ...(options.systemWasm === undefined ? [] : ["--system-wasm", options.systemWasm]),
  ];
}

async function startInBackground(options: StartOptions, io: Io): Promise<number> {
  const stateDir = resolveStateDir(io.cwd, options.stateDir);
  const log = openLogFile(stateDir);
  const sink = log === null ? "ignore" : log.fd;
  const child = fork(ownScript(), backgroundArguments(options, stateDir), {
    detached: true,
    stdio: ["ignore", sink, sink, "ipc"],
    env: { ...process.env, [BACKGROUND_VARIABLE]: "1" },
  });
  const outcome = await new Promise<Report>((resolve) => {
    child.once("message", (message) => resolve(message as Report));
    child.once("error", (error) => resolve({ kind: "failed", code: "start_failed", message: error.message }));
    child.once("exit", (code, signal) =>
      resolve({
        kind: "failed",
        code: "start_failed",
        message: `the node ended before it answered (${signal ?? `exit code ${code}`}); its log is in ${stateDir}`,
      }),
    );
  });
  log?.close();
  if (outcome.kind === "failed") throw new OrreryError(outcome.code, outcome.message);
  if (child.connected) child.disconnect();
  child.unref();
  announce(options, io, outcome.info);
  return 0;
}

export async function start(given: StartOptions, io: Io): Promise<number> {
  const options =
    given.statusDir === undefined ? given : { ...given, statusDir: resolveStateDir(io.cwd, given.statusDir) };
  const inBackground = process.env[BACKGROUND_VARIABLE] === "1" && process.send !== undefined;
  if (!inBackground && !isLoopback(options.bind)) {
    const warning = `listening on ${options.bind}: whoever reaches this machine can use the network, its faucet included.`;
    io.err(`${io.style("yellow", "warning:")} ${warning}\n`);
  }
  return options.background === true
    ? startInBackground(options, io)
    : runInForeground(options, io, inBackground);
}

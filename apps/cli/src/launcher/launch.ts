/**
 * The network launcher, interface 1.1: starts a network for a tool such as `icp network start`, writes `status.json` once everything answers,
 * and runs until SIGINT or SIGTERM. What is asked for and cannot be done is refused before anything starts: a network without it would
 * fail later and less clearly.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { join, resolve } from "node:path";
import { OrreryError } from "@orrery/base";
import type { NodeHandle, NodeOptions } from "@orrery/node";
import { describeFailure } from "../failure.ts";
import type { Io } from "../io.ts";
import { writeLauncherStatus } from "../launcher-status.ts";
import { describeNetwork } from "../start.ts";
import {
  installSystemWasm,
  SYSTEM_WASM_VARIABLE,
  type SystemName,
  type SystemWasm,
  systemWasm,
} from "../system-wasm.ts";
import { openAdmin } from "./admin.ts";
import { movableClock } from "./clock.ts";
import { type LauncherFlags, type LauncherSubnet, parseFlags } from "./flags.ts";
import { keepIds } from "./ids.ts";
import { launcherState, STATE_VARIABLE } from "./state.ts";

type Environment = Readonly<Record<string, string | undefined>>;
type SubnetKind = NonNullable<NodeOptions["subnets"]>[number];

/** The types of the public network's subnets of these names; the root is there in any case. */
const TYPES: Readonly<Record<LauncherSubnet, SubnetKind | null>> = {
  nns: null,
  application: "application",
  fiduciary: "application",
  sns: "application",
  "test-threshold-keys": "application",
  system: "system",
  bitcoin: "system",
  "verified-application": "verified_application",
  "cloud-engine": "cloud_engine",
};

/** What a user has to bring for `--nns`. */
const NNS: readonly SystemName[] = ["registry", "governance"];

/** What the flags ask for that does not exist here, with what to do instead. */
function missing(flags: LauncherFlags, brought: readonly SystemWasm[]): string | null {
  const lacks = (name: SystemName): boolean => brought.every((each) => each.name !== name);
  if (flags.bitcoin || flags.dogecoin) {
    const flag = flags.bitcoin ? "--bitcoind-addr" : "--dogecoind-addr";
    return `${flag}: this network has no adapter for ${flags.bitcoin ? "Bitcoin" : "Dogecoin"}; remove it from the network's configuration`;
  }
  const lacking = NNS.filter(lacks);
  if (flags.nns && lacking.length > 0) {
    return `--nns: ${lacking.join(" and ")} of the public network are not carried here; bring their published modules with ${SYSTEM_WASM_VARIABLE}, or remove \`nns: true\` from the network's configuration. The ledgers and cycles minting are there without it`;
  }
  if (flags.internetIdentity && lacks("internet-identity")) {
    return `--ii: Internet Identity is not carried here; bring its published module with ${SYSTEM_WASM_VARIABLE} (internet-identity=PATH), or remove \`ii: true\` from the network's configuration`;
  }
  return null;
}

/** What `status.json` announces. */
const FEATURES: readonly string[] = ["custom-domains"];
/** Beside the ids of projects' canisters. */
const CLOCK_FILE = "clock.json";
const CUSTOM_DOMAINS_FILE = "custom-domains.txt";

interface Output {
  write(line: string): void;
  close(): void;
}

function outputTo(file: string | null, cwd: string, otherwise: (text: string) => void): Output {
  if (file === null) return { write: otherwise, close(): void {} };
  const fd = openSync(resolve(cwd, file), "a", 0o644);
  return { write: (line) => void writeSync(fd, line), close: () => closeSync(fd) };
}

/** A state directory of other subnets was made by an earlier configuration. */
function explain(error: unknown, statePath: string): unknown {
  if (!(error instanceof OrreryError) || error.code !== "subnets_differ") return error;
  return new OrreryError(
    "subnets_differ",
    `the network kept in ${statePath} has other subnets than the project asks for now: remove that directory to begin a new one, ` +
      `or choose another with ${STATE_VARIABLE} (none forgets the network when it stops)`,
    { cause: error },
  );
}

/** Where the tool writes custom domains: into the status directory, unless a flag says otherwise. */
function customDomainsFile(
  { customDomainsFile: file, statusDir }: LauncherFlags,
  cwd: string,
): string | null {
  if (file !== null) return resolve(cwd, file);
  return statusDir === null ? null : resolve(cwd, statusDir, CUSTOM_DOMAINS_FILE);
}

interface Plan {
  readonly flags: LauncherFlags;
  readonly brought: readonly SystemWasm[];
  readonly env: Environment;
}

async function runNetwork({ flags, brought, env }: Plan, io: Io): Promise<void> {
  const { runNodeProcess } = await import("../node-process.ts");
  const admin = await openAdmin({ port: flags.configPort, bind: flags.configBind });
  const state = launcherState({ given: flags.stateDir, env, cwd: io.cwd });
  const ids = keepIds(flags.stateDir, state.ids);
  const log = outputTo(flags.stderrFile, io.cwd, (text) => io.err(text));
  const progress = outputTo(flags.stdoutFile, io.cwd, (text) => io.err(text));
  try {
    const asked = flags.subnets.flatMap((kind) => TYPES[kind] ?? []);
    const customDomains = customDomainsFile(flags, io.cwd);
    const { systemClock } = await import("@orrery/host");
    const clock = movableClock(systemClock, join(state.ids, CLOCK_FILE), state.path);
    await runNodeProcess({
      node: {
        stateDir: state.path,
        port: flags.gatewayPort,
        bind: flags.bind,
        clean: false,
        subnets: flags.subnets.length === 0 ? ["application"] : asked,
        artificialDelayMs: flags.artificialDelayMs,
        domains: flags.domains.map((domain) => domain.toLowerCase()),
        ...(customDomains === null ? {} : { customDomainsFile: customDomains }),
      },
      clock,
      level: flags.verbose ? "info" : "warn",
      write: log.write,
      async ready(handle: NodeHandle): Promise<void> {
        await installSystemWasm(handle.url, brought, { ...io, err: progress.write });
        const network = describeNetwork(handle);
        admin.serve({
          clock,
          url: handle.url,
          effectiveIds: network.subnets.map((subnet) => subnet.default_effective_canister_id),
          domains: flags.domains,
        });
        ids.restore();
        progress.write(`The network answers at ${handle.url}; its state is in ${state.path}.\n`);
        // Last: whoever waits for the status finds everything else there.
        if (flags.statusDir !== null)
          writeLauncherStatus(resolve(io.cwd, flags.statusDir), network, {
            supported_features: FEATURES,
            config_port: admin.port,
            instance_id: 0,
          });
      },
      stopping: () => progress.write("Stopping the network.\n"),
    });
  } catch (error) {
    throw explain(error, state.path);
  } finally {
    await admin.close();
    ids.end();
    log.close();
    progress.close();
    state.end();
  }
}

/** Runs a network as the flags say; resolves to the exit code when it has ended. Never rejects. */
export async function launch(argv: readonly string[], env: Environment, io: Io): Promise<number> {
  try {
    const flags = parseFlags(argv, env);
    for (const warning of flags.warnings) io.err(`${io.style("yellow", "warning:")} ${warning}\n`);
    const brought = systemWasm(env[SYSTEM_WASM_VARIABLE], io.cwd);
    const why = missing(flags, brought);
    if (why !== null) throw new OrreryError("launcher_unsupported", why);
    await runNetwork({ flags, brought, env }, io);
    return 0;
  } catch (error) {
    const failure = describeFailure(error);
    io.err(`${io.style("red", "error:")} ${failure.message}\n`);
    if (failure.detail !== null) io.err(`${failure.detail}\n`);
    return failure.code === "launcher_usage" ? 2 : 1;
  }
}

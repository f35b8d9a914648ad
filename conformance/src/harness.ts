/**
 * A real network for tests: the `orrery` command as a process of its own on a free port, with a state directory that goes away
 * with it, and agents of the published client library that verify every certificate and query signature.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { AnonymousIdentity, HttpAgent, type Identity } from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";

const REPOSITORY: string = fileURLToPath(new URL("../../", import.meta.url));
const COMMAND: string = join(REPOSITORY, "apps/cli/src/main.ts");
const FIXTURES: string = join(REPOSITORY, "canisters/fixtures/built");

/** Tests that take any new network run on one of so many nodes a subnet: `ORRERY_TEST_NODES=4 node --test conformance/src/icp.test.ts`. */
const NODES: string | undefined = process.env["ORRERY_TEST_NODES"];

/** The document of `orrery start --json`. */
export interface StartDocument {
  readonly v: "1";
  readonly pid: number;
  readonly gateway_url: string;
  readonly api_url: string;
  readonly root_key: string;
  readonly default_effective_canister_id: string;
  readonly icp_yaml: string;
  /** The root first. */
  readonly subnets: readonly SubnetDocument[];
}

export interface SubnetDocument {
  readonly id: string;
  readonly kind: string;
  /** Leads creation calls to this subnet. */
  readonly default_effective_canister_id: string;
  readonly nodes: readonly { readonly id: string; readonly pid: number; readonly url: string }[];
}

/** The root subnet of a network, and the one where projects' canisters go. */
export function subnetsOf({ document }: Pick<Network, "document">): {
  readonly root: SubnetDocument;
  readonly application: SubnetDocument;
} {
  const [root, application] = document.subnets;
  if (root?.kind !== "system" || application?.kind !== "application")
    throw new Error(`not a root and an application subnet: ${JSON.stringify(document.subnets)}`);
  return { root, application };
}

export interface Network {
  readonly url: string;
  readonly rootKey: Uint8Array;
  readonly stateDir: string;
  readonly document: StartDocument;
  /** Any id of the network's range: where canisters are created. */
  readonly effectiveCanisterId: Principal;
  /** Standard error so far: progress and the node's log. */
  log(): string;
  /** Resolves to the exit code when the process ends, by itself or not. */
  readonly ended: Promise<number | null>;
  /** Ends the process with a signal and waits for its end; resolves to the exit code, null after a kill. */
  end(signal: "SIGINT" | "SIGTERM" | "SIGKILL"): Promise<number | null>;
}

export interface NetworkOptions {
  /** Kept after the process ends; by default a new one that is removed. */
  readonly stateDir?: string;
  readonly arguments?: readonly string[];
  /** Beside the environment of this process. */
  readonly environment?: Readonly<Record<string, string>>;
}

function firstLine(child: ChildProcess, log: () => string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout?.on("data", (chunk: string) => {
      text += chunk;
      const end = text.indexOf("\n");
      if (end >= 0) resolve(text.slice(0, end));
    });
    child.once("exit", (code, signal) =>
      reject(new Error(`the network ended with ${signal ?? code}:\n${log()}`)),
    );
    child.once("error", reject);
  });
}

/** Of a network on a busy machine. One that takes longer stands still. */
const START_MS_MAX = 300_000;
/** Longer than a network takes to end whatever its nodes do. */
const END_MS_MAX = 120_000;

/** Processes of networks: none outlives the test. */
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** What comes in time; else the network is killed, and what it said is the error. */
async function inTime<T>(
  what: Promise<T>,
  { child, ms, log }: { readonly child: ChildProcess; readonly ms: number; readonly log: () => string },
): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    child.kill("SIGKILL");
    late.reject(new Error(`the network took longer than ${ms / 1000} s:\n${log()}`));
  }, ms);
  return await Promise.race([what, late.promise]).finally(() => clearTimeout(timer));
}

/** Starts a network and resolves once it answers. */
export async function startNetwork(options: NetworkOptions = {}): Promise<Network> {
  const kept = options.stateDir !== undefined;
  const stateDir = options.stateDir ?? mkdtempSync(join(tmpdir(), "orrery-network-"));
  const nodes = kept || NODES === undefined ? [] : ["--nodes-per-subnet", NODES];
  const own = [...nodes, ...(options.arguments ?? [])];
  const argv = ["start", "--json", "--port", "0", "--state-dir", stateDir, ...own];
  const child = spawn(process.execPath, [COMMAND, ...argv], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.environment },
  });
  let errors = "";
  child.stdout.setEncoding("utf8");
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const log = (): string => errors;
  running.add(child);
  const ended = once(child, "exit").finally(() => running.delete(child)) as Promise<[number | null]>;
  const line = await inTime(firstLine(child, log), { child, ms: START_MS_MAX, log });
  const document = JSON.parse(line) as StartDocument;
  return {
    url: document.api_url,
    rootKey: new Uint8Array(Buffer.from(document.root_key, "hex")),
    stateDir,
    document,
    effectiveCanisterId: Principal.fromText(document.default_effective_canister_id),
    log,
    ended: ended.then(([code]) => code),
    async end(signal) {
      child.kill(signal);
      const [code] = await inTime(ended, { child, ms: END_MS_MAX, log });
      if (!kept) rmSync(stateDir, { recursive: true, force: true });
      return code;
    },
  };
}

/** A node that does not say by then how far it is stands still. */
const HEIGHTS_MS_MAX = 5_000;

/** Certified at the node that answers there, of each subnet, the root first, 0 for none; null while it does not answer. */
export async function heightsAt(url: string): Promise<readonly number[] | null> {
  try {
    const response = await fetch(`${url}/_/subnets`, { signal: AbortSignal.timeout(HEIGHTS_MS_MAX) });
    const { subnets } = (await response.json()) as {
      readonly subnets: readonly { readonly height: number | null }[];
    };
    return subnets.map(({ height }) => height ?? 0);
  } catch {
    return null;
  }
}

/** The unmodified client, with everything that it can verify verified. */
export function agentFor(network: Network, identity: Identity = new AnonymousIdentity()): HttpAgent {
  return HttpAgent.createSync({
    host: network.url,
    identity,
    rootKey: network.rootKey,
    verifyQuerySignatures: true,
    // A refusal must show as one, not as the last of several.
    retryTimes: 0,
  });
}

/** Bytes of a module built from `canisters/fixtures`, inflated. */
export function fixtureModule(name: string): Uint8Array {
  return new Uint8Array(gunzipSync(readFileSync(join(FIXTURES, `${name}.wasm.gz`))));
}

/** The same as committed: gzip, which the network takes too. */
export function fixtureGzip(name: string): Uint8Array {
  return new Uint8Array(readFileSync(join(FIXTURES, `${name}.wasm.gz`)));
}

/** Path of a committed module. */
export function fixturePath(name: string): string {
  return join(FIXTURES, `${name}.wasm.gz`);
}

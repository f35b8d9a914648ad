/** The network that a project's commands work on, and the agent that talks to it. */

import { AnonymousIdentity, HttpAgent } from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import { OrreryError } from "@orrery/base";
import { runningNetwork } from "../state-files.ts";
import { ENVIRONMENT } from "./ids.ts";
import type { Project } from "./manifest.ts";

const DEFAULT_URL = "http://127.0.0.1:8000";
const ANSWER_TIMEOUT_MS = 5_000;

export interface Target {
  readonly url: string;
  readonly agent: HttpAgent;
  /** Leads creation calls to the subnet where projects' canisters go. */
  readonly place: Principal;
}

interface SubnetsDocument {
  readonly subnets: readonly { readonly kind: string; readonly defaultEffectiveCanisterId: string }[];
}

async function ask<T>(url: string): Promise<T | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    return response.ok ? ((await response.json()) as T) : null;
  } catch {
    return null;
  }
}

/** Where the network is: as told, as the state directory's own record says, as the project says, or at the usual place. */
async function findUrl(project: Project, stateDir: string, given: string | undefined): Promise<string> {
  if (given !== undefined) return given;
  const running = await runningNetwork(stateDir);
  if (running !== null) return running.api_url;
  return project.networks.find(({ name }) => name === ENVIRONMENT)?.url ?? DEFAULT_URL;
}

/** Errors: `network_unreachable`. */
export async function findTarget(options: {
  readonly project: Project;
  readonly stateDir: string;
  readonly url?: string | undefined;
}): Promise<Target> {
  return await connect(await findUrl(options.project, options.stateDir, options.url));
}

/** The network at an address. Errors: `network_unreachable`. */
export async function connect(address: string): Promise<Target> {
  const url = address.replace(/\/$/, "");
  const document = await ask<SubnetsDocument>(`${url}/_/subnets`);
  if (document === null) {
    throw new OrreryError(
      "network_unreachable",
      `no network of this program answers at ${url}; start one with "orrery start -d", or name its address with --url`,
      { data: { url } },
    );
  }
  const { subnets } = document;
  const place = subnets.slice(1).find(({ kind }) => kind === "application") ?? subnets[1] ?? subnets[0];
  const agent = await HttpAgent.create({
    host: url,
    identity: new AnonymousIdentity(),
    shouldFetchRootKey: true,
  });
  return { url, agent, place: Principal.fromText(place?.defaultEffectiveCanisterId ?? "aaaaa-aa") };
}

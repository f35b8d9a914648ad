/**
 * What the command line keeps in a state directory beside the network's store: `node.json`, which describes the running node
 * to `stop` and `status`, and `node.log`. A description is believed only while the process that holds the lock lives.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { OrreryError } from "@orrery/base";
import { NODE_FILE } from "@orrery/host/directory-content";
import { writeWhole } from "@orrery/host/write-whole";

export { writeWhole };

export const DEFAULT_STATE_DIR = ".orrery";

/** A running network, as `node.json` and `--json` show it. */
export interface NetworkInfo {
  readonly pid: number;
  readonly gateway_url: string;
  readonly api_url: string;
  /** DER, hexadecimal. */
  readonly root_key: string;
  readonly default_effective_canister_id: string;
  readonly subnets: readonly SubnetDescription[];
}

export interface SubnetDescription {
  readonly id: string;
  readonly kind: string;
  /** Leads creation calls to this subnet. */
  readonly default_effective_canister_id: string;
  readonly nodes: readonly { readonly id: string; readonly pid: number; readonly url: string }[];
}

export function resolveStateDir(cwd: string, stateDir: string): string {
  return resolve(cwd, stateDir);
}

export function writeNetworkInfo(stateDir: string, info: NetworkInfo): void {
  // Written in place: a draft beside it could outlive a crash and make the directory look foreign. A torn file reads as none.
  writeFileSync(join(stateDir, NODE_FILE), `${JSON.stringify({ v: "1", ...info })}\n`, { mode: 0o600 });
}

/** The same whole or not at all: for a directory in which a draft that outlives a crash is known for what it is. */
export function replaceNetworkInfo(stateDir: string, info: NetworkInfo): void {
  writeWhole(join(stateDir, NODE_FILE), `${JSON.stringify({ v: "1", ...info })}\n`);
}

export function removeNetworkInfo(stateDir: string): void {
  rmSync(join(stateDir, NODE_FILE), { force: true });
}

function readNetworkInfo(stateDir: string): NetworkInfo | null {
  try {
    const info = JSON.parse(readFileSync(join(stateDir, NODE_FILE), "utf8")) as NetworkInfo & {
      readonly v: string;
    };
    return info.v === "1" ? info : null;
  } catch {
    return null;
  }
}

/** The network that runs from a state directory, or null. */
export async function runningNetwork(stateDir: string): Promise<NetworkInfo | null> {
  const info = readNetworkInfo(stateDir);
  if (info === null) return null;
  const { lockHolder } = await import("@orrery/host");
  return lockHolder(stateDir)?.pid === info.pid ? info : null;
}

export function notRunning(stateDir: string): OrreryError {
  return new OrreryError(
    "not_running",
    `no network is running from ${stateDir}; start one with "orrery start", or name its directory with --state-dir`,
  );
}

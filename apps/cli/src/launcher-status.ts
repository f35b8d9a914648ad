/** `status.json` in the format of the network launcher (version 1): one line, there only once the network answers. */
import { join } from "node:path";
import { OrreryError } from "@orrery/base";
import { makeDirectory } from "@orrery/host/make-directory";
import { type NetworkInfo, writeWhole } from "./state-files.ts";

export const STATUS_FILE = "status.json";

/** What the tool may make use of beyond the format's first version. */
export interface LauncherExtras {
  readonly supported_features?: readonly string[];
  /** Of the admin interface, and the network's number there. */
  readonly config_port?: number;
  readonly instance_id?: number;
}

export function launcherStatus(info: NetworkInfo, extras: LauncherExtras = {}): string {
  const gatewayPort = Number(new URL(info.gateway_url).port);
  const { root_key, default_effective_canister_id } = info;
  const status = { v: "1", gateway_port: gatewayPort, root_key, default_effective_canister_id };
  return `${JSON.stringify({ ...status, ...extras })}\n`;
}

export function writeLauncherStatus(directory: string, info: NetworkInfo, extras: LauncherExtras = {}): void {
  try {
    makeDirectory(directory);
    writeWhole(join(directory, STATUS_FILE), launcherStatus(info, extras));
  } catch (cause) {
    const why = (cause as Error).message;
    throw new OrreryError(
      "status_dir_unwritable",
      `cannot write ${STATUS_FILE} into ${directory} (${why}); check --status-dir`,
      { cause },
    );
  }
}

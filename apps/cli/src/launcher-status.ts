/** `status.json` in the format of the network launcher (version 1): one line, there only once the network answers. */
import { join } from "node:path";
import { OrreryError } from "@orrery/base";
import { makeDirectory } from "@orrery/host/make-directory";
import { type NetworkInfo, writeWhole } from "./state-files.ts";

export const STATUS_FILE = "status.json";

export function launcherStatus(info: NetworkInfo): string {
  const gatewayPort = Number(new URL(info.gateway_url).port);
  const { root_key, default_effective_canister_id } = info;
  return `${JSON.stringify({ v: "1", gateway_port: gatewayPort, root_key, default_effective_canister_id })}\n`;
}

export function writeLauncherStatus(directory: string, info: NetworkInfo): void {
  try {
    makeDirectory(directory);
    writeWhole(join(directory, STATUS_FILE), launcherStatus(info));
  } catch (cause) {
    const why = (cause as Error).message;
    throw new OrreryError(
      "status_dir_unwritable",
      `cannot write ${STATUS_FILE} into ${directory} (${why}); check --status-dir`,
      { cause },
    );
  }
}

/** The `icp.yaml` lines that make a running network the project's `local` network. */
import type { NetworkInfo } from "./state-files.ts";

/** `local` is the network that `icp` uses unless told otherwise; the root key is fetched since every new network has its own. */
export function icpYaml({ gateway_url }: Pick<NetworkInfo, "gateway_url">): string {
  return [
    "networks:",
    "  - name: local",
    "    mode: connected",
    `    url: ${gateway_url}`,
    "    root-key: fetch",
    "",
  ].join("\n");
}

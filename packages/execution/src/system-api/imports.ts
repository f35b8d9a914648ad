/** The whole `ic0` module for one instance. Invariant: its names are exactly those that the validator lets a module import. */
import { argumentImports } from "./arguments.ts";
import { balanceImports } from "./balance.ts";
import { callImports } from "./calls.ts";
import { costImports } from "./costs.ts";
import { debugImports } from "./debug.ts";
import { environmentImports } from "./environment.ts";
import type { Host, HostFunction } from "./host.ts";
import { replyImports } from "./reply.ts";
import { stableImports } from "./stable.ts";

export function systemApi(host: Host): Record<string, HostFunction> {
  return {
    ...argumentImports(host),
    ...replyImports(host),
    ...balanceImports(host),
    ...callImports(host),
    ...stableImports(host),
    ...environmentImports(host),
    ...costImports(host),
    ...debugImports(host),
  };
}

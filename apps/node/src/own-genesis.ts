/** What the subnets of a process begin with: the network's genesis, or what the root subnet said of one that it created. */
import { decodeGenesis } from "./genesis.ts";
import { hostingOf } from "./hosting.ts";
import type { NodeOptions } from "./node.ts";
import { readRegistryFile } from "./registry/registry-file.ts";

/** Of a process with a node of a subnet that is created: waits until it has its keys. */
export async function withOwnGenesis(options: NodeOptions): Promise<NodeOptions> {
  const { member, stateDir } = options;
  if (member?.seed === undefined || member.self !== null) return options;
  const { hosted } = hostingOf(member, readRegistryFile(stateDir));
  const begun = decodeGenesis(member.genesis).subnets.length;
  const place = hosted?.find((subnet) => subnet >= begun);
  if (place === undefined) return options;
  const { ownGenesis } = await import("./replica/awaiting.ts");
  const own = await ownGenesis({ ...options, member, seed: member.seed, place });
  return { ...options, member: { ...member, own } };
}

/** How a node of a simulated subnet comes by the state of a catch-up package: from the others in turn, some of which may lie. */
import { equalBytes, type Height } from "@orrery/base";
import type { SimState } from "./application.ts";
import type { Links } from "./links.ts";
import type { SimNode } from "./sim-node.ts";
import type { Tally } from "./tally.ts";

export interface Providers {
  readonly nodes: readonly SimNode[];
  readonly links: Links;
  readonly tally: Tally;
  readonly lies: (node: number) => boolean;
}

/** Takes the state from the first who has it; what has not the package's hash is not taken. Whether it has one now. */
export function fetchState(
  { nodes, links, tally, lies }: Providers,
  node: SimNode,
  { height, stateHash }: { readonly height: Height; readonly stateHash: Uint8Array },
): boolean {
  for (const other of nodes) {
    const isCut = links.holds(node.index, other.index) || links.holds(other.index, node.index);
    const state = other === node || !other.isUp || isCut ? null : other.application.stateAt(height);
    if (state === null) continue;
    let told: SimState = state;
    if (lies(other.index)) {
      tally.note("lying-sync");
      told = other.application.forge(state);
    }
    if (!equalBytes(node.application.hashOf(told), stateHash)) continue;
    node.adopt(told);
    return true;
  }
  return false;
}

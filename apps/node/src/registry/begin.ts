/** The registry as the genesis has it: its first version. */
import { OrreryError } from "@orrery/base";
import type { NodeKeys } from "@orrery/consensus/keys";
import type { Curve } from "@orrery/crypto/dkg";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { foundedNodeKeys } from "../founding/founding.ts";
import { ed25519Of } from "../founding/introduction.ts";
import { encodeGenesis, type Genesis } from "../genesis.ts";
import type { NodeProcess } from "../topology.ts";
import { genesisHash } from "./record.ts";
import { Registry } from "./registry.ts";

export interface GenesisRegistryOptions {
  /** Judged (`verifyFounded`), if its nodes founded it. */
  readonly genesis: Genesis;
  readonly subnets: readonly Pick<LocalSubnet, "info">[];
  /** In which its nodes run. */
  readonly processes: readonly NodeProcess[];
  readonly curve: Curve;
}

/** Of nodes whose keys derive from a seed; nothing is ever dealt to them. */
function seedKeys({ info }: Pick<LocalSubnet, "info">): readonly NodeKeys[] {
  return info.nodes.map(({ publicKey }) => {
    const signing = ed25519Of(publicKey);
    if (signing === null) throw new OrreryError("genesis_invalid", "keys of nodes are Ed25519 keys");
    return { signing, encryption: new Uint8Array(0) };
  });
}

export function genesisRegistry({ genesis, subnets, processes, curve }: GenesisRegistryOptions): Registry {
  const { founding, catchUpInterval: intervalLength = 1 } = genesis;
  return new Registry({
    genesis: genesisHash(encodeGenesis(genesis)),
    subnets,
    founders: founding?.map((founded) => foundedNodeKeys(curve, founded)) ?? subnets.map(seedKeys),
    processes,
    intervalLength,
    curve,
  });
}

/**
 * A replica on one thread: state, execution and certified view advanced together, a round at a time. It is what the threads of a
 * node are, without the threads; nothing here waits, reads a clock or draws randomness.
 */
import { type Batch, type Principal, principalKey, type TimeNs, toHex, u64be } from "@orrery/base";
import { type Bls, createSoleSigner, domainSep, sha256, stateRootMessage, treeHash } from "@orrery/crypto";
import { createChainKeys } from "@orrery/crypto/chain-keys";
import {
  type BatchResult,
  CertifiedView,
  createExecution,
  type GenesisCanister,
  installGenesis,
  takeSnapshot,
  WasmRunner,
} from "@orrery/execution";
import { type LocalSubnet, localNetwork } from "@orrery/execution/local-network";
import { createNodeSigner, inflateGzip, nodePublicKeyDer } from "@orrery/host";
import { type IngressStatus, newState, PageArena, PageReader, type SubnetInfo } from "@orrery/state";
import { createEngine } from "@orrery/wasm";

const NOMINAL_SIZE = 13;
/** Custom section of modules whose heap an upgrade has to keep or replace by word. */
const ORTHOGONAL_PERSISTENCE = "enhanced-orthogonal-persistence";

export interface InlineReplicaOptions {
  /** 32 bytes: keys, ids and randomness follow from it. */
  readonly seed: Uint8Array;
  readonly time: TimeNs;
  readonly bls: Bls;
  readonly genesis: (subnet: SubnetInfo) => readonly GenesisCanister[];
}

export interface InlineReplica {
  readonly subnet: SubnetInfo;
  readonly nodeId: Principal;
  readonly view: CertifiedView;
  readonly time: TimeNs;
  signAsNode(message: Uint8Array): Uint8Array;
  /** Of the tip; null when the request is not known. */
  requestStatus(requestId: Uint8Array): IngressStatus | null;
  /** Whether the installed module declares that upgrades keep its heap. */
  keepsHeap(canisterId: Principal): boolean;
  /** One round at `time` (later than the last) with these envelopes; the view sees it when this returns. */
  round(time: TimeNs, ingress: readonly Uint8Array[]): BatchResult;
}

export function createInlineReplica(options: InlineReplicaOptions): InlineReplica {
  const { keys, info: subnet } = localNetwork({
    seed: options.seed,
    subnets: [{ type: "application", feeSize: NOMINAL_SIZE }],
    local: true,
    makers: { bls: options.bls, ed25519PublicKeyDer: nodePublicKeyDer },
  })[0] as LocalSubnet;
  const signer = createSoleSigner({ bls: options.bls, secret: keys.subnetSecret });
  const arena = new PageArena();
  const state = newState({ subnet, time: options.time });
  const runner = new WasmRunner({
    engine: createEngine(),
    pages: arena,
    modules: state.blobs,
    inflate: inflateGzip,
  });
  installGenesis(state, runner, options.genesis(subnet));
  const execution = createExecution(state, { runner, arena, chainKeys: createChainKeys(options.seed) });
  const pages = new PageReader();
  let slabs = 0;

  function shareSlabs(): void {
    for (const slab of arena.slabs(slabs)) {
      pages.addSlab(slab);
      slabs++;
    }
  }

  function certify(rootHash: Uint8Array): { readonly signature: Uint8Array; readonly delegation: null } {
    const combined = signer.combine([signer.signShare(stateRootMessage(rootHash))]);
    if (!combined.ok) throw new Error(combined.error);
    return { signature: combined.value, delegation: null };
  }

  shareSlabs();
  const view = new CertifiedView({
    snapshot: takeSnapshot(state),
    certification: certify(treeHash(state.tree)),
    pages,
    inflate: inflateGzip,
  });

  return {
    subnet,
    nodeId: keys.nodeId,
    view,
    get time(): TimeNs {
      return state.time;
    },
    signAsNode: createNodeSigner(keys.nodeSecret),
    requestStatus: (id) => state.ingressHistory.get(toHex(id))?.status ?? null,
    keepsHeap: (id) =>
      state.canisters
        .get(principalKey(id))
        ?.meta.module?.metadata.some(({ name }) => name === ORTHOGONAL_PERSISTENCE) ?? false,
    round(time, ingress): BatchResult {
      const height = state.height + 1;
      const randomness = sha256(domainSep("orrery-inline-randomness"), options.seed, u64be(BigInt(height)));
      const queryStats = view.takeQueryStats();
      const batch: Batch = {
        height,
        time,
        registryVersion: 1,
        randomness,
        ingress,
        ...(queryStats.length === 0 ? {} : { queryStats }),
      };
      arena.advance(height);
      const result = execution.applyBatch(batch);
      shareSlabs();
      view.apply(result.delta, certify(result.rootHash));
      arena.reclaim(height);
      return result;
    },
  };
}

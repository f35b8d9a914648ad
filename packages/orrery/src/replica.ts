/**
 * A replica of one subnet on one thread: state, execution and certified view advanced together, a round at a time. It is what the threads of a
 * node are, without the threads; nothing here waits, reads a clock or draws randomness.
 */
import {
  type Batch,
  type BlockPayload,
  type Principal,
  principalKey,
  type TimeNs,
  toHex,
  u64be,
} from "@orrery/base";
import { type Bls, createSoleSigner, domainSep, sha256, stateRootMessage, treeHash } from "@orrery/crypto";
import type { ChainKeys } from "@orrery/crypto/chain-keys";
import {
  type BatchResult,
  type Certification,
  CertifiedView,
  createExecution,
  type GenesisCanister,
  installGenesis,
  takeSnapshot,
  WasmRunner,
} from "@orrery/execution";
import type { Delegation } from "@orrery/execution/delegation";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { createNodeSigner, inflateGzip } from "@orrery/host";
import {
  type IngressStatus,
  newState,
  type Outcall,
  PageArena,
  PageReader,
  type SubnetInfo,
} from "@orrery/state";
import { createEngine } from "@orrery/wasm";

/** Custom section of modules whose heap an upgrade has to keep or replace by word. */
const ORTHOGONAL_PERSISTENCE = "enhanced-orthogonal-persistence";

export interface InlineReplicaOptions {
  /** 32 bytes: randomness follows from it. */
  readonly seed: Uint8Array;
  readonly local: LocalSubnet;
  readonly time: TimeNs;
  readonly bls: Bls;
  /** Of the network: for the subnet whose record lists them. */
  readonly chainKeys: ChainKeys;
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
  /** From now on certificates carry this delegation, which the caller has verified. */
  delegate(delegation: Delegation): void;
  /** HTTPS outcalls that the state waits for, the oldest first. */
  outcalls(): readonly Outcall[];
  /** One round at `time` (later than the last) with what a block would hold; the view sees it when this returns. */
  round(
    time: TimeNs,
    payload: BlockPayload & Required<Pick<BlockPayload, "xnet" | "responses">>,
  ): BatchResult;
}

export function createInlineReplica(options: InlineReplicaOptions): InlineReplica {
  const { keys, info: subnet } = options.local;
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
  const execution = createExecution(state, {
    runner,
    arena,
    ...(subnet.chainKeys === undefined ? {} : { chainKeys: options.chainKeys }),
  });
  const pages = new PageReader();
  let slabs = 0;
  let delegation: Delegation | null = null;

  function shareSlabs(): void {
    for (const slab of arena.slabs(slabs)) {
      pages.addSlab(slab);
      slabs++;
    }
  }

  function certify(rootHash: Uint8Array): Certification {
    const combined = signer.combine([signer.signShare(stateRootMessage(rootHash))]);
    if (!combined.ok) throw new Error(combined.error);
    return { signature: combined.value, delegation };
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
    delegate(verified): void {
      delegation = verified;
      view.delegate(verified);
    },
    outcalls: () => [...state.outcalls.values()].sort((a, b) => a.id - b.id),
    round(time, { ingress, xnet, responses }): BatchResult {
      const height = state.height + 1;
      const randomness = sha256(
        domainSep("orrery-inline-randomness"),
        options.seed,
        u64be(BigInt(height)),
        subnet.subnetId,
      );
      const queryStats = view.takeQueryStats();
      const batch: Batch = {
        height,
        time,
        registryVersion: 1,
        randomness,
        ingress,
        ...(queryStats.length === 0 ? {} : { queryStats }),
        ...(xnet.length === 0 ? {} : { xnet }),
        ...(responses.length === 0 ? {} : { responses }),
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

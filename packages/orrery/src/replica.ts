/**
 * A replica on one thread: state, execution and certified view advanced together, a round at a time. It is what the threads of a
 * node are, without the threads; nothing here waits, reads a clock or draws randomness.
 */
import {
  type Batch,
  canisterIdFromIndex,
  type NodeId,
  type Principal,
  principalKey,
  type SubnetId,
  selfAuthenticating,
  type TimeNs,
  toHex,
  u64be,
  utf8,
} from "@orrery/base";
import {
  type Bls,
  blsToDer,
  createSoleSigner,
  domainSep,
  hkdfSha256,
  secretFromSeed,
  sha256,
  stateRootMessage,
  treeHash,
} from "@orrery/crypto";
import {
  type BatchResult,
  CertifiedView,
  createExecution,
  type GenesisCanister,
  installGenesis,
  takeSnapshot,
  WasmRunner,
} from "@orrery/execution";
import { createNodeSigner, inflateGzip, nodePublicKeyDer } from "@orrery/host";
import { type IngressStatus, newState, PageArena, PageReader, type SubnetInfo } from "@orrery/state";
import { createEngine } from "@orrery/wasm";

/** Ids without a wish start where projects are used to see them: tqzl2-p7777-77776-aaaaa-cai. */
const ALLOCATION_START: bigint = (2n ** 44n - 4n) * 2n ** 20n;
const CANISTERS_END: bigint = 2n ** 64n - 1n;
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

interface Keys {
  readonly subnet: SubnetInfo;
  readonly subnetSecret: Uint8Array;
  readonly nodeSecret: Uint8Array;
  readonly nodeId: NodeId;
}

function deriveKeys({ seed, bls }: InlineReplicaOptions): Keys {
  const derive = (purpose: string): Uint8Array =>
    hkdfSha256(seed, utf8(`orrery ${purpose}`), new Uint8Array(0), 32);
  const subnetSecret = secretFromSeed(derive("subnet 0 threshold key"));
  const publicKey = blsToDer(bls.publicKey(subnetSecret));
  const subnetId = selfAuthenticating(publicKey) as Principal as SubnetId;
  const nodeSecret = derive("subnet 0 node 0 key");
  const nodePublicKey = nodePublicKeyDer(nodeSecret);
  const nodeId = selfAuthenticating(nodePublicKey) as Principal as NodeId;
  const ranges = [{ start: canisterIdFromIndex(0n), end: canisterIdFromIndex(CANISTERS_END) }];
  const subnet: SubnetInfo = {
    subnetId,
    type: "application",
    publicKey,
    rootKey: publicKey,
    rootSubnetId: subnetId,
    routing: [{ subnetId, ranges }],
    allocation: { start: canisterIdFromIndex(ALLOCATION_START), end: canisterIdFromIndex(CANISTERS_END) },
    nodes: [{ nodeId, publicKey: nodePublicKey }],
    feeSize: NOMINAL_SIZE,
    local: true,
  };
  return { subnet, subnetSecret, nodeSecret, nodeId };
}

export function createInlineReplica(options: InlineReplicaOptions): InlineReplica {
  const { subnet, subnetSecret, nodeSecret, nodeId } = deriveKeys(options);
  const signer = createSoleSigner({ bls: options.bls, secret: subnetSecret });
  const arena = new PageArena();
  const state = newState({ subnet, time: options.time });
  const runner = new WasmRunner({
    engine: createEngine(),
    pages: arena,
    modules: state.blobs,
    inflate: inflateGzip,
  });
  installGenesis(state, runner, options.genesis(subnet));
  const execution = createExecution(state, { runner, arena });
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
    nodeId,
    view,
    get time(): TimeNs {
      return state.time;
    },
    signAsNode: createNodeSigner(nodeSecret),
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

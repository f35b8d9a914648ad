/**
 * Brings a node that was away over a catch-up package by the blocks that it missed, as far as peers still have them: a chain from its own
 * tip to the block of the package, which a quorum signed, so that no peer has to be believed. Nothing is executed before the chain is
 * whole. The state that comes of it has to have the package's hash.
 */
import { equalBytes, type Height, type NodeId, OrreryError, type SubnetId } from "@orrery/base";
import { blockHash, decodeFinalizedBlock, type FinalizedBlock } from "@orrery/consensus";
import {
  type CatchUpPackage,
  type MemberCrypto,
  proposalContent,
  thresholdContent,
} from "@orrery/consensus/member";

/** Blocks that wait for the chain to be whole. */
const HELD_BYTES_MAX: number = 1024 * 1024 * 1024;

export interface BlockFetchOptions {
  readonly tip: { readonly height: Height; readonly hash: Uint8Array };
  readonly catchUp: Pick<CatchUpPackage, "height" | "block" | "stateHash">;
  readonly subnetId: SubnetId;
  readonly nodes: readonly { readonly nodeId: NodeId | Uint8Array }[];
  readonly crypto: Pick<MemberCrypto, "verify" | "verifyWhole">;
}

export class BlockFetch {
  readonly #options: BlockFetchOptions;
  #tip: { readonly height: Height; readonly hash: Uint8Array };
  #blocks: FinalizedBlock[] = [];
  #bytes = 0;

  constructor(options: BlockFetchOptions) {
    this.#options = options;
    this.#tip = options.tip;
  }

  get catchUp(): BlockFetchOptions["catchUp"] {
    return this.#options.catchUp;
  }

  /** The height that is asked for next. */
  get next(): Height {
    return this.#tip.height + 1;
  }

  /**
   * Takes what a peer told; the whole chain once it is here, null before. Blocks that do not go on from the last are left out. When the
   * chain ends elsewhere than at the package's block, somebody lied on the way, and it begins anew.
   */
  take(records: readonly Uint8Array[]): readonly FinalizedBlock[] | null {
    const { catchUp, tip } = this.#options;
    for (const record of records) {
      const finalized = this.#read(record);
      if (finalized === null) break;
      const { block } = finalized.proposal;
      this.#bytes += record.length;
      if (this.#bytes > HELD_BYTES_MAX)
        throw new OrreryError(
          "state_behind",
          "this node was away for so long that the blocks it missed do not fit into memory; stop the network and copy the state " +
            "directory of another node to it",
        );
      this.#blocks.push(finalized);
      this.#tip = { height: block.height, hash: blockHash(block) };
      if (block.height < catchUp.height) continue;
      if (equalBytes(this.#tip.hash, blockHash(catchUp.block))) return this.#blocks;
      this.#blocks = [];
      this.#bytes = 0;
      this.#tip = tip;
      return null;
    }
    return null;
  }

  /** The next block, signed by its maker and with the subnet's tape; null for anything else. */
  #read(record: Uint8Array): FinalizedBlock | null {
    const { crypto, subnetId, nodes } = this.#options;
    const finalized = decode(record);
    if (finalized === null) return null;
    const { block, signer, signature } = finalized.proposal;
    if (block.height !== this.next || !equalBytes(block.parent, this.#tip.hash)) return null;
    const maker = nodes.findIndex(({ nodeId }) => equalBytes(nodeId, signer));
    const content = proposalContent(subnetId, block.height, blockHash(block));
    if (maker < 0 || !crypto.verify(maker, content, signature)) return null;
    const tape = thresholdContent("tape", subnetId, block.height, new Uint8Array(0));
    return crypto.verifyWhole("low", tape, finalized.tape) ? finalized : null;
  }
}

function decode(record: Uint8Array): FinalizedBlock | null {
  try {
    return decodeFinalizedBlock(record);
  } catch (error) {
    if (error instanceof OrreryError) return null;
    throw error;
  }
}

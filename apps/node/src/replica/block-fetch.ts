/**
 * Brings a node that was away over a catch-up package by the blocks that it missed, as far as peers still have them: from the block of the
 * package, which a quorum signed, down to its own tip, each named by the one above it, so that no peer has to be believed and who lies is
 * known at once. Nothing is executed before the chain is whole. The state that comes of it has to have the package's hash.
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
  readonly catchUp: Pick<CatchUpPackage, "height" | "block">;
  readonly subnetId: SubnetId;
  readonly nodes: readonly { readonly nodeId: NodeId | Uint8Array }[];
  readonly crypto: Pick<MemberCrypto, "verify" | "verifyWhole">;
}

export type Taken =
  | { readonly kind: "more" }
  /** The blocks above the tip, newest first. */
  | { readonly kind: "whole"; readonly blocks: FinalizedBlock[] }
  /** Nobody honest tells such. What came before it was taken. */
  | { readonly kind: "lie"; readonly why: string }
  /** The chain of the package does not come from this node's tip. */
  | { readonly kind: "elsewhere" }
  /** They do not fit into memory. */
  | { readonly kind: "too_many" };

const MORE: Taken = { kind: "more" };
const lie = (why: string): Taken => ({ kind: "lie", why });

export class BlockFetch {
  readonly #options: BlockFetchOptions;
  /** The block that is asked for next. */
  #next: { readonly height: Height; readonly hash: Uint8Array };
  readonly #blocks: FinalizedBlock[] = [];
  #bytes = 0;

  constructor(options: BlockFetchOptions) {
    this.#options = options;
    const { height, block } = options.catchUp;
    this.#next = { height, hash: blockHash(block) };
  }

  /** The height that is asked for next. */
  get next(): Height {
    return this.#next.height;
  }

  /** Takes what a peer told: the block that was asked for, and those below it. */
  take(records: readonly Uint8Array[]): Taken {
    const { tip } = this.#options;
    for (const record of records) {
      const finalized = decode(record);
      if (finalized === null) return lie("what is no block");
      const fault = this.#faultOf(finalized);
      if (fault !== null) return lie(fault);
      this.#bytes += record.length;
      if (this.#bytes > HELD_BYTES_MAX) return { kind: "too_many" };
      this.#blocks.push(finalized);
      const { height, parent } = finalized.proposal.block;
      this.#next = { height: height - 1, hash: parent };
      if (this.next > tip.height) continue;
      return equalBytes(parent, tip.hash) ? { kind: "whole", blocks: this.#blocks } : { kind: "elsewhere" };
    }
    return MORE;
  }

  /** It is the block that the one above names, signed by its maker and with the subnet's tape. */
  #faultOf({ proposal, tape }: FinalizedBlock): string | null {
    const { crypto, subnetId, nodes } = this.#options;
    const { block, signer, signature } = proposal;
    const { height, hash } = this.#next;
    if (!equalBytes(blockHash(block), hash)) return `a block that is not the one of height ${height}`;
    const maker = nodes.findIndex(({ nodeId }) => equalBytes(nodeId, signer));
    if (maker < 0 || !crypto.verify(maker, proposalContent(subnetId, height, hash), signature))
      return `block ${height} without its maker's signature`;
    const content = thresholdContent("tape", subnetId, height, new Uint8Array(0));
    return crypto.verifyWhole("low", content, tape) ? null : `block ${height} with another tape`;
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

/** Of a record of the same block; null of anything else. */
export function tapeOf(record: Uint8Array | undefined, { proposal }: FinalizedBlock): Uint8Array | null {
  const told = record === undefined ? null : decode(record);
  const isSame = told !== null && equalBytes(blockHash(told.proposal.block), blockHash(proposal.block));
  return isSame ? told.tape : null;
}

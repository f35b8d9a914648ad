/** A chain of final blocks with signatures of the test, for nodes that were away. */
import { type Block, equalBytes, type NodeId, type SubnetId, utf8 } from "@orrery/base";
import { blockHash, encodeFinalizedBlock } from "@orrery/consensus";
import { type MemberCrypto, proposalContent, thresholdContent } from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";

export const subnetId: SubnetId = new Uint8Array(29).fill(7) as Uint8Array as SubnetId;
export const nodes: readonly { readonly nodeId: NodeId }[] = [1, 2, 3, 4].map((n) => ({
  nodeId: new Uint8Array(29).fill(n) as Uint8Array as NodeId,
}));
export const ORIGIN: Uint8Array = new Uint8Array(32);
export const NOTHING: Uint8Array = new Uint8Array(0);

/** Signatures of the test: hashes of who and what. */
export const sign = (who: string, message: Uint8Array): Uint8Array => sha256(utf8(who), message);
export const crypto: Pick<MemberCrypto, "verify" | "verifyWhole"> = {
  verify: (signer: number, message: Uint8Array, signature: Uint8Array) =>
    equalBytes(signature, sign(`${signer}`, message)),
  verifyWhole: (keys: string, message: Uint8Array, signature: Uint8Array) =>
    equalBytes(signature, sign(keys, message)),
};

export interface Made {
  readonly block: Block;
  readonly record: Uint8Array;
}

export interface MakeOptions {
  readonly tape?: Uint8Array;
  readonly summary?: Uint8Array;
}

export function make(
  height: number,
  parent: Uint8Array,
  content: number,
  { tape, summary }: MakeOptions = {},
): Made {
  const block: Block = {
    version: 1,
    parent,
    height,
    rank: 0,
    context: { registryVersion: 1, certifiedHeight: 0, time: BigInt(height) },
    payload: summary === undefined ? { ingress: [Uint8Array.of(content)] } : { ingress: [], summary },
  };
  const maker = height % nodes.length;
  const record = encodeFinalizedBlock({
    proposal: {
      block,
      signer: (nodes[maker] as { nodeId: NodeId }).nodeId,
      signature: sign(`${maker}`, proposalContent(subnetId, height, blockHash(block))),
    },
    tape: tape ?? sign("low", thresholdContent("tape", subnetId, height, NOTHING)),
  });
  return { block, record };
}

export function chain(length: number, content = 0): readonly Made[] {
  const made: Made[] = [];
  for (let height = 1; height <= length; height++)
    made.push(make(height, height === 1 ? ORIGIN : blockHash((made.at(-1) as Made).block), content));
  return made;
}

/**
 * How processes found the network of their nodes, so that no one ever holds a key of a subnet or another node's share: each makes a seed of
 * its own and shows what it may show (`foundingRecord`); each deals to the nodes of its subnets (`dealFor`); what they dealt is the genesis
 * (`foundGenesis`), which anybody judges from nothing (`verifyFounded`). Whoever carries these pieces between processes learns nothing
 * secret, and can change nothing that would go unnoticed: every piece is signed by its node.
 */
import {
  type CborValue,
  decodeCbor,
  encodeCborBare,
  equalBytes,
  OrreryError,
  selfAuthenticating,
  u64be,
} from "@orrery/base";
import {
  type BySet,
  combineFounding,
  dealFounding,
  type Founders,
  foundedKey,
  type KeyMeans,
  type NodeKeys,
  verifyFounding,
} from "@orrery/consensus/keys";
import { blsToDer, domainSep, sha256 } from "@orrery/crypto";
import { type Curve, createEncryptionKey } from "@orrery/crypto/dkg";
import { createMclCurve } from "@orrery/crypto/mcl";
import type { FoundedSubnet } from "@orrery/execution/genesis";
import { createNodeSigner, nodePublicKeyDer } from "@orrery/host";
import { nodeSignatures } from "@orrery/host/signatures";
import { decodeGenesis, encodeGenesis, type Genesis } from "../genesis.ts";
import { type Hosted, hostedByProcess } from "../topology.ts";
import { ed25519Of, type Introduced, judgeNode, type Shown, showNode } from "./introduction.ts";
import { nodeSecretsOf } from "./node-seed.ts";

function unproven(why: string): OrreryError {
  return new OrreryError(
    "genesis_unproven",
    `what the network is to begin with does not hold: ${why}; let its nodes found it again`,
  );
}

const dealingContent = (network: Uint8Array, subnet: number, { low, high }: BySet): Uint8Array =>
  sha256(domainSep("orrery-founding-dealing"), network, u64be(BigInt(subnet)), sha256(low), sha256(high));

function readLists(
  bytes: Uint8Array,
  what: string,
  subnets: number,
  fields: number,
): readonly Uint8Array[][] {
  let value: CborValue;
  try {
    value = decodeCbor(bytes);
  } catch {
    throw unproven(`${what} cannot be read`);
  }
  const lists = Array.isArray(value) ? (value as readonly CborValue[]) : [];
  if (lists.length !== subnets) throw unproven(`${what} is of ${lists.length} subnets, not ${subnets}`);
  return lists.map((list) => {
    const isWhole =
      Array.isArray(list) && list.length === fields && list.every((field) => field instanceof Uint8Array);
    if (!isWhole) throw unproven(`${what} cannot be read`);
    return list as Uint8Array[];
  });
}

/**
 * What a process shows of its nodes: of each its key and its encryption key, signed. `subnets`: those that it will have a node of, ascending; all
 * by default.
 */
export async function foundingRecord(
  plan: Uint8Array,
  seed: Uint8Array,
  subnets: readonly number[] = [...decodeGenesis(plan).subnets.keys()],
): Promise<Uint8Array> {
  const curve = await createMclCurve();
  return encodeCborBare(
    subnets.map((subnet) => {
      const { publicKey, encryption, signature } = showNode(curve, seed, subnet);
      return [publicKey, encryption, signature];
    }),
  );
}

/** What everybody may know of a node; its proofs hold. */
function nodeKeysOf(curve: Curve, node: Shown, signature: Uint8Array): NodeKeys {
  const judged = judgeNode(curve, { ...node, signature });
  if (!judged.ok) throw unproven(judged.error);
  return judged.value;
}

/** Of all that was agreed on before anybody dealt. */
function networkName(plan: Uint8Array, founders: readonly (readonly Introduced[])[]): Uint8Array {
  return sha256(
    domainSep("orrery-founding"),
    encodeCborBare([
      plan,
      founders.map((nodes) => nodes.map(({ publicKey, encryption }) => [publicKey, encryption])),
    ]),
  );
}

/** The founders of every subnet, judged. */
function foundersOf(
  curve: Curve,
  plan: Uint8Array,
  introduced: readonly (readonly Introduced[])[],
): readonly Founders[] {
  const network = networkName(plan, introduced);
  return introduced.map((nodes, subnet) => {
    if (new Set(nodes.map(({ publicKey }) => publicKey.join())).size < nodes.length)
      throw unproven("a node is there twice");
    return { network, subnet, nodes: nodes.map((node) => nodeKeysOf(curve, node, node.signature)) };
  });
}

/** What processes said of their nodes, a list for each node; by subnet, then by the nodes' places. */
function bySubnet(
  plan: Uint8Array,
  said: readonly Uint8Array[],
  what: string,
): readonly (readonly (readonly Uint8Array[])[])[] {
  const { subnets } = decodeGenesis(plan);
  const lists: Uint8Array[][][] = subnets.map(() => []);
  for (const [process, hosted] of layoutOf(subnets, said.length).entries()) {
    const read = readLists(said[process] as Uint8Array, `${what} of process ${process}`, hosted.length, 3);
    for (const [at, { subnet }] of hosted.entries()) lists[subnet]?.push(read[at] as Uint8Array[]);
  }
  return lists;
}

function layoutOf(subnets: Genesis["subnets"], processes: number): ReturnType<typeof hostedByProcess> {
  try {
    return hostedByProcess(subnets, processes);
  } catch (cause) {
    if (cause instanceof OrreryError) throw unproven(cause.message);
    throw cause;
  }
}

/** By subnet, of records by process. */
function introductions(plan: Uint8Array, records: readonly Uint8Array[]): readonly (readonly Introduced[])[] {
  return bySubnet(plan, records, "the record").map((lists) =>
    lists.map((list) => {
      const [publicKey, encryption, signature] = list as [Uint8Array, Uint8Array, Uint8Array];
      return { publicKey, encryption, signature };
    }),
  );
}

/** Means of a node in a subnet for dealing and for opening what was dealt to it. */
export function keyMeansOf(curve: Curve, seed: Uint8Array, subnet: number): KeyMeans {
  const secrets = nodeSecretsOf(seed, subnet);
  const nodeId = selfAuthenticating(nodePublicKeyDer(secrets.signing));
  const { secret } = createEncryptionKey(curve, secrets.encryption, nodeId);
  return { curve, encryptionSecret: secret, dealingSeed: secrets.dealing };
}

/**
 * What the nodes of a process deal to those of these records, of which its own is one; signed. `genesis_unproven` when a record does not
 * hold.
 */
export async function dealFor(
  plan: Uint8Array,
  records: readonly Uint8Array[],
  seed: Uint8Array,
): Promise<Uint8Array> {
  const curve = await createMclCurve();
  const dealings = foundersOf(curve, plan, introductions(plan, records)).flatMap((founders) => {
    const { network, subnet, nodes } = founders;
    const { signing } = nodeSecretsOf(seed, subnet);
    const own = ed25519Of(nodePublicKeyDer(signing));
    const place = nodes.findIndex((node) => own !== null && equalBytes(node.signing, own));
    if (place < 0) return [];
    const dealt = dealFounding(keyMeansOf(curve, seed, subnet), founders, place);
    return [[dealt.low, dealt.high, createNodeSigner(signing)(dealingContent(network, subnet, dealt))]];
  });
  if (dealings.length === 0) throw unproven("this node is not one of them");
  return encodeCborBare(dealings);
}

function checkDealt(founders: Founders, dealt: readonly BySet[], signatures: readonly Uint8Array[]): void {
  const { network, subnet, nodes } = founders;
  for (const [place, { signing }] of nodes.entries()) {
    const content = dealingContent(network, subnet, dealt[place] as BySet);
    if (!nodeSignatures.ed25519(signing, content, signatures[place] as Uint8Array))
      throw unproven(`node ${place} of subnet ${subnet} did not sign what it dealt`);
  }
}

/** The genesis of what all processes showed and dealt, in their order. `genesis_unproven` names the piece that does not hold. */
export async function foundGenesis(
  plan: Uint8Array,
  records: readonly Uint8Array[],
  dealings: readonly Uint8Array[],
): Promise<Uint8Array> {
  const curve = await createMclCurve();
  const introduced = introductions(plan, records);
  const all = foundersOf(curve, plan, introduced);
  if (dealings.length !== records.length)
    throw unproven(`${dealings.length} processes dealt, not ${records.length}`);
  const read = bySubnet(plan, dealings, "the dealings");
  const founding = all.map((founders, subnet): FoundedSubnet => {
    const parts = read[subnet] as unknown as readonly (readonly [Uint8Array, Uint8Array, Uint8Array])[];
    const dealt = parts.map(([low, high]): BySet => ({ low, high }));
    const signatures = parts.map(([, , signature]) => signature);
    checkDealt(founders, dealt, signatures);
    const transcripts = combineFounding(curve, founders, dealt);
    if (!transcripts.ok) throw unproven(`in subnet ${subnet} ${transcripts.error}`);
    return {
      publicKey: blsToDer(foundedKey(transcripts.value)),
      nodes: (introduced[subnet] ?? []).map(({ publicKey, encryption, signature }, place) => ({
        publicKey,
        encryption,
        signatures: [signature, signatures[place] as Uint8Array],
      })),
      transcripts: transcripts.value,
    };
  });
  return encodeGenesis({ ...decodeGenesis(plan), founding });
}

/** What the nodes of a founded genesis agreed on before they dealt. */
export function planOf({ founding: _, ...plan }: Genesis): Uint8Array {
  return encodeGenesis(plan);
}

/**
 * Judges a founded genesis from nothing, as a process of it: that all nodes are who they are, that each dealt and signed what it dealt, that the
 * subnets' keys are what that adds up to, and that this process's nodes are among them, at their places. `genesis_unproven` otherwise.
 */
export async function verifyFounded(
  bytes: Uint8Array,
  self: { readonly hosted: readonly Hosted[]; readonly seed: Uint8Array },
): Promise<void> {
  const curve = await createMclCurve();
  const genesis = decodeGenesis(bytes);
  const { founding } = genesis;
  if (founding === undefined) throw unproven("its keys derive from a seed");
  const introduced = founding.map(({ nodes }) =>
    nodes.map(({ signatures: [signature], ...node }) => ({ ...node, signature })),
  );
  const all = foundersOf(curve, planOf(genesis), introduced);
  for (const { subnet, place } of self.hosted) {
    const own = nodePublicKeyDer(nodeSecretsOf(self.seed, subnet).signing);
    const there = founding[subnet]?.nodes[place];
    if (there === undefined || !equalBytes(there.publicKey, own))
      throw unproven(`node ${place} of subnet ${subnet} is another one than this`);
  }
  for (const [subnet, { publicKey, nodes, transcripts }] of founding.entries()) {
    const founders = all[subnet] as Founders;
    const founded = verifyFounding(curve, founders, transcripts);
    if (!founded.ok) throw unproven(`in subnet ${subnet} ${founded.error}`);
    if (!equalBytes(publicKey, blsToDer(founded.value.publicKey)))
      throw unproven(`the key of subnet ${subnet} is not the one that was dealt`);
    const signatures = nodes.map(({ signatures: [, dealt] }) => dealt);
    checkDealt(founders, founded.value.dealings, signatures);
  }
}

/** What everybody may know of the nodes of a subnet of a founded genesis, which was judged. */
export function foundedNodeKeys(curve: Curve, { nodes }: FoundedSubnet): readonly NodeKeys[] {
  return nodes.map((node) => nodeKeysOf(curve, node, node.signatures[0]));
}

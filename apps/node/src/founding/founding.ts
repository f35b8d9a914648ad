/**
 * How nodes found a network, so that no one ever holds a key of a subnet or another node's share: each makes a seed of its own and shows what
 * it may show (`foundingRecord`); each deals to all of them (`dealFor`); what they dealt is the genesis (`foundGenesis`), which anybody
 * judges from nothing (`verifyFounded`). Whoever carries these pieces between nodes learns nothing secret, and can change nothing that
 * would go unnoticed: every piece is signed by its node.
 */
import {
  type CborValue,
  decodeCbor,
  encodeCborBare,
  equalBytes,
  OrreryError,
  principalToText,
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
import { blsToDer, domainSep, parsePublicKeyDer, sha256 } from "@orrery/crypto";
import { type Curve, createEncryptionKey, verifyEncryptionKey } from "@orrery/crypto/dkg";
import { createMclCurve } from "@orrery/crypto/mcl";
import type { FoundedSubnet, FoundingNode } from "@orrery/execution/genesis";
import { createNodeSigner, nodePublicKeyDer } from "@orrery/host";
import { nodeSignatures } from "@orrery/host/signatures";
import { decodeGenesis, encodeGenesis, type Genesis } from "../genesis.ts";
import { nodeSecretsOf } from "./node-seed.ts";

function unproven(why: string): OrreryError {
  return new OrreryError(
    "genesis_unproven",
    `what the network is to begin with does not hold: ${why}; let its nodes found it again`,
  );
}

type Shown = Pick<FoundingNode, "publicKey" | "encryption">;

const encryptionContent = ({ publicKey, encryption }: Shown): Uint8Array =>
  sha256(domainSep("orrery-founding-node"), publicKey, encryption);

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

/** What a node shows of itself: for each subnet its key and its encryption key, signed. */
export async function foundingRecord(plan: Uint8Array, seed: Uint8Array): Promise<Uint8Array> {
  const curve = await createMclCurve();
  return encodeCborBare(
    decodeGenesis(plan).subnets.map((_, subnet) => {
      const secrets = nodeSecretsOf(seed, subnet);
      const publicKey = nodePublicKeyDer(secrets.signing);
      const nodeId = selfAuthenticating(publicKey);
      const { record: encryption } = createEncryptionKey(curve, secrets.encryption, nodeId);
      const signature = createNodeSigner(secrets.signing)(encryptionContent({ publicKey, encryption }));
      return [publicKey, encryption, signature];
    }),
  );
}

function ed25519Of(publicKey: Uint8Array): Uint8Array {
  const parsed = parsePublicKeyDer(publicKey);
  if (!parsed.ok || parsed.value.kind !== "ed25519") throw unproven("a node's key is not an Ed25519 key");
  return parsed.value.key;
}

/** What everybody may know of a node; its proofs hold. */
function nodeKeysOf(curve: Curve, node: Shown, signature: Uint8Array): NodeKeys {
  const signing = ed25519Of(node.publicKey);
  const nodeId = selfAuthenticating(node.publicKey);
  const encryption = verifyEncryptionKey(curve, node.encryption, nodeId);
  if (!encryption.ok) throw unproven(`node ${principalToText(nodeId)}: ${encryption.error}`);
  if (!nodeSignatures.ed25519(signing, encryptionContent(node), signature))
    throw unproven(`node ${principalToText(nodeId)} did not sign its encryption key`);
  return { signing, encryption: encryption.value };
}

type Introduced = Shown & { readonly signature: Uint8Array };

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

/** By subnet, of records by node. */
function introductions(plan: Uint8Array, records: readonly Uint8Array[]): readonly (readonly Introduced[])[] {
  const { subnets } = decodeGenesis(plan);
  const read = records.map((record, place) =>
    readLists(record, `the record of node ${place}`, subnets.length, 3),
  );
  return subnets.map(({ nodes = 1 }, subnet) => {
    if (nodes !== records.length) throw unproven(`${records.length} nodes showed themselves, not ${nodes}`);
    return read.map((lists) => {
      const [publicKey, encryption, signature] = lists[subnet] as [Uint8Array, Uint8Array, Uint8Array];
      return { publicKey, encryption, signature };
    });
  });
}

/** Means of a node in a subnet for dealing and for opening what was dealt to it. */
export function keyMeansOf(curve: Curve, seed: Uint8Array, subnet: number): KeyMeans {
  const secrets = nodeSecretsOf(seed, subnet);
  const nodeId = selfAuthenticating(nodePublicKeyDer(secrets.signing));
  const { secret } = createEncryptionKey(curve, secrets.encryption, nodeId);
  return { curve, encryptionSecret: secret, dealingSeed: secrets.dealing };
}

/** What a node deals to the nodes of these records, of which its own is one; signed. `genesis_unproven` when a record does not hold. */
export async function dealFor(
  plan: Uint8Array,
  records: readonly Uint8Array[],
  seed: Uint8Array,
): Promise<Uint8Array> {
  const curve = await createMclCurve();
  return encodeCborBare(
    foundersOf(curve, plan, introductions(plan, records)).map((founders) => {
      const { network, subnet, nodes } = founders;
      const { signing } = nodeSecretsOf(seed, subnet);
      const own = ed25519Of(nodePublicKeyDer(signing));
      const place = nodes.findIndex((node) => equalBytes(node.signing, own));
      if (place < 0) throw unproven("this node is not one of them");
      const dealt = dealFounding(keyMeansOf(curve, seed, subnet), founders, place);
      return [dealt.low, dealt.high, createNodeSigner(signing)(dealingContent(network, subnet, dealt))];
    }),
  );
}

function checkDealt(founders: Founders, dealt: readonly BySet[], signatures: readonly Uint8Array[]): void {
  const { network, subnet, nodes } = founders;
  for (const [place, { signing }] of nodes.entries()) {
    const content = dealingContent(network, subnet, dealt[place] as BySet);
    if (!nodeSignatures.ed25519(signing, content, signatures[place] as Uint8Array))
      throw unproven(`node ${place} of subnet ${subnet} did not sign what it dealt`);
  }
}

/** The genesis of what all nodes showed and dealt, by place. `genesis_unproven` names the piece that does not hold. */
export async function foundGenesis(
  plan: Uint8Array,
  records: readonly Uint8Array[],
  dealings: readonly Uint8Array[],
): Promise<Uint8Array> {
  const curve = await createMclCurve();
  const introduced = introductions(plan, records);
  const all = foundersOf(curve, plan, introduced);
  const read = dealings.map((each, place) => readLists(each, `the dealings of node ${place}`, all.length, 3));
  const founding = all.map((founders, subnet): FoundedSubnet => {
    const parts = read.map((lists) => lists[subnet] as [Uint8Array, Uint8Array, Uint8Array]);
    if (parts.length !== founders.nodes.length) throw unproven(`${parts.length} nodes dealt`);
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
 * Judges a founded genesis from nothing, as a node of it: that all nodes are who they are, that each dealt and signed what it dealt, that the
 * subnets' keys are what that adds up to, and that this node is one of them, at its place. `genesis_unproven` otherwise.
 */
export async function verifyFounded(
  bytes: Uint8Array,
  self: { readonly place: number; readonly seed: Uint8Array },
): Promise<void> {
  const curve = await createMclCurve();
  const genesis = decodeGenesis(bytes);
  const founding = genesis.founding ?? [];
  const introduced = founding.map(({ nodes }) =>
    nodes.map(({ signatures: [signature], ...node }) => ({ ...node, signature })),
  );
  const all = foundersOf(curve, planOf(genesis), introduced);
  for (const [subnet, { publicKey, nodes, transcripts }] of founding.entries()) {
    const own = nodePublicKeyDer(nodeSecretsOf(self.seed, subnet).signing);
    const there = nodes[self.place];
    if (there === undefined || !equalBytes(there.publicKey, own))
      throw unproven(`node ${self.place} of subnet ${subnet} is another one than this`);
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

/**
 * What the registry of a network says: records, one after the other, of which each changes the members of subnets and names the one before, with
 * the approvals of those who decided it. Reading is strict and bounded: what has not its one encoding is none. Whether a record may come next
 * is for the registry to judge (`registry.ts`).
 */
import {
  type CborValue,
  decodeCbor,
  encodeCborBare,
  equalBytes,
  type NodeId,
  OrreryError,
  PRINCIPAL_BYTES_MAX,
} from "@orrery/base";
import { isReplicaVersion } from "@orrery/consensus";
import { domainSep, sha256 } from "@orrery/crypto";
import { CATCH_UP_INTERVAL_MAX, SUBNET_KINDS } from "@orrery/execution/genesis";
import { LOCAL_SUBNETS_MAX } from "@orrery/execution/local-network";
import type { PeerAddress } from "@orrery/host/p2p";
import type { SubnetType } from "@orrery/state";
import type { Introduced } from "../founding/introduction.ts";
import type { SubnetIndex } from "../protocol.ts";

/** A node that comes to a subnet. */
export interface JoiningNode extends Introduced {
  readonly subnet: SubnetIndex;
}

export type RegistryChange =
  /** A process, by the key of the first of its nodes. Nodes by ascending subnet. */
  | { readonly kind: "join"; readonly address: PeerAddress; readonly nodes: readonly JoiningNode[] }
  | { readonly kind: "leave"; readonly subnet: SubnetIndex; readonly nodeId: NodeId }
  /** The subnet stands still from its next summary on, or goes on. */
  | { readonly kind: "halt"; readonly subnet: SubnetIndex; readonly halts: boolean }
  /** From its next summary on the subnet's blocks are for another version of the program, where they were for `from` until then. */
  | { readonly kind: "upgrade"; readonly subnet: SubnetIndex; readonly from: string; readonly to: string }
  /** A subnet more, whose nodes join it in the same record or later; the root subnet's members give it its keys. */
  | { readonly kind: "create"; readonly subnet: SubnetIndex; readonly type: SubnetType }
  /** How many blocks there are from one summary to the next, for the interval that the next summary names. */
  | { readonly kind: "interval"; readonly subnet: SubnetIndex; readonly blocks: number };

/** What is approved. */
export interface Mutation {
  /** Of the registry after it; that of the genesis is 1. */
  readonly version: number;
  /** 32 bytes: hash of the mutation before, or of the genesis. */
  readonly previous: Uint8Array;
  /** In their order; at least one. */
  readonly changes: readonly RegistryChange[];
}

/** Of a node of the root subnet, by its Ed25519 key. */
export interface Approval {
  readonly nodeId: NodeId;
  readonly signature: Uint8Array;
}

export interface RegistryRecord {
  readonly mutation: Mutation;
  /** By ascending node id. */
  readonly approvals: readonly Approval[];
}

const FORMAT = 1;
/** Room for the dealings of a dozen nodes to themselves; of more it has to be longer (`room.ts`). */
export const INTERVAL_BLOCKS_MIN = 20;
export const INTERVAL_BLOCKS_MAX: number = CATCH_UP_INTERVAL_MAX;
export const CHANGES_MAX = 64;
const APPROVALS_MAX = 128;
/** A few hundred bytes for each node that joins. */
export const RECORD_BYTES_MAX: number = 256 * 1024;
const HASH_BYTES = 32;
const SIGNATURE_BYTES = 64;
const HOST_CHARACTERS_MAX = 253;
const PORT_MAX = 65_535;

/** What the first record names as the one before it. */
export function genesisHash(genesis: Uint8Array): Uint8Array {
  return sha256(domainSep("orrery-registry-genesis"), genesis);
}

export function mutationHash(mutation: Mutation): Uint8Array {
  return sha256(domainSep("orrery-registry-mutation"), encodeMutation(mutation));
}

/** What a node signs that approves. The mutation names everything before it, down to the genesis. */
export function approvalContent(mutation: Mutation): Uint8Array {
  return sha256(domainSep("orrery-registry-approval"), mutationHash(mutation));
}

function changeFields(change: RegistryChange): readonly CborValue[] {
  switch (change.kind) {
    case "join": {
      const { address, nodes } = change;
      const shown = nodes.map(({ subnet, publicKey, encryption, signature }) => [
        subnet,
        publicKey,
        encryption,
        signature,
      ]);
      return ["join", address.host, address.port, shown];
    }
    case "leave":
      return ["leave", change.subnet, change.nodeId];
    case "halt":
      return ["halt", change.subnet, change.halts];
    case "upgrade":
      return ["upgrade", change.subnet, change.from, change.to];
    case "create":
      return ["create", change.subnet, change.type];
    case "interval":
      return ["interval", change.subnet, change.blocks];
  }
}

function mutationFields({ version, previous, changes }: Mutation): readonly CborValue[] {
  return [FORMAT, version, previous, changes.map(changeFields)];
}

export function encodeMutation(mutation: Mutation): Uint8Array {
  return encodeCborBare(mutationFields(mutation));
}

export function encodeRecord({ mutation, approvals }: RegistryRecord): Uint8Array {
  return encodeCborBare([
    mutationFields(mutation),
    approvals.map(({ nodeId, signature }) => [nodeId, signature]),
  ]);
}

export function recordInvalid(why: string, cause?: unknown): OrreryError {
  return new OrreryError("registry_invalid", `not a record of the registry: ${why}`, { cause });
}

function listOf(value: CborValue | undefined, what: string, max: number): readonly CborValue[] {
  if (!Array.isArray(value) || value.length > max) throw recordInvalid(what);
  return value as readonly CborValue[];
}

function fieldsOf(value: CborValue | undefined, what: string, count: number): readonly CborValue[] {
  const list = listOf(value, what, count);
  if (list.length !== count) throw recordInvalid(what);
  return list;
}

function naturalOf(value: CborValue | undefined, what: string, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0 || value > max)
    throw recordInvalid(what);
  return value;
}

const subnetOf = (value: CborValue | undefined): SubnetIndex =>
  naturalOf(value, "a subnet", LOCAL_SUBNETS_MAX - 1);

function bytesOf(value: CborValue | undefined, what: string, length?: number): Uint8Array {
  if (!(value instanceof Uint8Array) || (length !== undefined && value.length !== length))
    throw recordInvalid(what);
  return value.slice();
}

function nodeIdOf(value: CborValue | undefined): NodeId {
  const bytes = bytesOf(value, "a node's id");
  if (bytes.length > PRINCIPAL_BYTES_MAX) throw recordInvalid("a node's id");
  return bytes as NodeId;
}

function readAddress(host: CborValue | undefined, port: CborValue | undefined): PeerAddress {
  if (typeof host !== "string" || host.length > HOST_CHARACTERS_MAX || !/^[A-Za-z0-9.:-]+$/.test(host))
    throw recordInvalid("an address");
  const number = naturalOf(port, "an address", PORT_MAX);
  if (number === 0) throw recordInvalid("an address");
  return { host, port: number };
}

function replicaVersionOf(value: CborValue | undefined): string {
  if (typeof value !== "string" || !isReplicaVersion(value)) throw recordInvalid("a replica's version");
  return value;
}

function readInterval(value: CborValue | undefined): number {
  const blocks = naturalOf(value, "an interval", INTERVAL_BLOCKS_MAX);
  if (blocks < INTERVAL_BLOCKS_MIN) throw recordInvalid("an interval");
  return blocks;
}

function readJoining(value: CborValue): JoiningNode {
  const [subnet, publicKey, encryption, signature] = fieldsOf(value, "a node", 4);
  return {
    subnet: subnetOf(subnet),
    publicKey: bytesOf(publicKey, "a node's key"),
    encryption: bytesOf(encryption, "a node's encryption key"),
    signature: bytesOf(signature, "a node's signature", SIGNATURE_BYTES),
  };
}

function readChange(value: CborValue): RegistryChange {
  const [kind, ...rest] = listOf(value, "a change", 4);
  switch (kind) {
    case "join": {
      const [host, port, shown] = fieldsOf(rest, "a process", 3);
      const nodes = listOf(shown, "a process", LOCAL_SUBNETS_MAX).map(readJoining);
      const isAscending = nodes.every(({ subnet }, i) => i === 0 || (nodes[i - 1]?.subnet ?? 0) < subnet);
      if (nodes.length === 0 || !isAscending) throw recordInvalid("a process");
      return { kind, address: readAddress(host, port), nodes };
    }
    case "leave": {
      const [subnet, nodeId] = fieldsOf(rest, "who leaves", 2);
      return { kind, subnet: subnetOf(subnet), nodeId: nodeIdOf(nodeId) };
    }
    case "halt": {
      const [subnet, halts] = fieldsOf(rest, "a halt", 2);
      if (typeof halts !== "boolean") throw recordInvalid("a halt");
      return { kind, subnet: subnetOf(subnet), halts };
    }
    case "upgrade": {
      const [subnet, from, to] = fieldsOf(rest, "an upgrade", 3);
      return { kind, subnet: subnetOf(subnet), from: replicaVersionOf(from), to: replicaVersionOf(to) };
    }
    case "create": {
      const [subnet, type] = fieldsOf(rest, "a subnet", 2);
      const known = SUBNET_KINDS.find((each) => each === type);
      if (known === undefined) throw recordInvalid("a subnet of a kind that this program does not know");
      return { kind, subnet: subnetOf(subnet), type: known };
    }
    case "interval": {
      const [subnet, blocks] = fieldsOf(rest, "an interval", 2);
      return { kind, subnet: subnetOf(subnet), blocks: readInterval(blocks) };
    }
    default:
      throw recordInvalid("a change of a kind that this program does not know");
  }
}

function readMutation(value: CborValue | undefined): Mutation {
  const [format, version, previous, changes] = fieldsOf(value, "a mutation", 4);
  if (format !== FORMAT) throw recordInvalid("a format that this program does not know");
  const list = listOf(changes, "changes", CHANGES_MAX);
  if (list.length === 0) throw recordInvalid("no change");
  return {
    version: naturalOf(version, "a version"),
    previous: bytesOf(previous, "the hash of the one before", HASH_BYTES),
    changes: list.map(readChange),
  };
}

function readApprovals(value: CborValue | undefined): readonly Approval[] {
  const approvals = listOf(value, "approvals", APPROVALS_MAX).map((entry): Approval => {
    const [nodeId, signature] = fieldsOf(entry, "an approval", 2);
    return { nodeId: nodeIdOf(nodeId), signature: bytesOf(signature, "an approval", SIGNATURE_BYTES) };
  });
  return approvals;
}

/** `registry_invalid` for anything but the one encoding of a record. */
export function decodeRecord(bytes: Uint8Array): RegistryRecord {
  if (bytes.length > RECORD_BYTES_MAX) throw recordInvalid(`it has more than ${RECORD_BYTES_MAX} bytes`);
  let value: CborValue;
  try {
    value = decodeCbor(bytes);
  } catch (error) {
    throw recordInvalid((error as Error).message, error);
  }
  const [mutation, approvals] = fieldsOf(value, "a record", 2);
  const record = { mutation: readMutation(mutation), approvals: readApprovals(approvals) };
  if (!equalBytes(encodeRecord(record), bytes)) throw recordInvalid("not its one encoding");
  return record;
}

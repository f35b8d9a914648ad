/**
 * `orrery node apply|propose|approve|admit|registry`: how the operators of a network change who its nodes are. The new node's operator makes an
 * application; anybody proposes it; operators approve, each with its own node's key, handing the file on; who has enough approvals brings
 * it to the network. Files travel by whatever way: nothing in them is secret, and what is in them proves itself.
 */
import { mkdirSync } from "node:fs";
import {
  equalBytes,
  fromHex,
  OrreryError,
  principalFromText,
  principalToText,
  selfAuthenticating,
  toHex,
} from "@orrery/base";
import { nodeDirectory, nodePlaces } from "@orrery/host/directory-content";
import type {
  Mutation,
  Registry,
  RegistryChange,
  RegistryDocument,
  RegistryRecord,
} from "@orrery/node/registry";
import { type Io, jsonDocument, table } from "../io.ts";
import { resolveStateDir, runningNetwork } from "../state-files.ts";
import type { SubnetKind } from "../subnet-kinds.ts";
import { VERSION } from "../version.ts";
import { noteApproval, tellUndecided, undecidedApproval } from "./approvals.ts";
import {
  base64,
  bytesIn,
  ceremonyInvalid,
  type PeerAddress,
  readFields,
  showAddress,
  writeFields,
} from "./ceremony-files.ts";
import { type NetworkPlan, readNetworkPlan } from "./network-directory.ts";
import { nodeSeed, readNodeSeed } from "./node-key.ts";
import { soleNodeDirectory } from "./run-node.ts";

interface StateDir {
  /** Of the network, or of its part that this operator has. */
  readonly stateDir: string;
  readonly json?: true;
}

export interface ApplyOptions extends StateDir {
  readonly address: PeerAddress;
  /** Of which it is to have a node, by number; those that the network began with by default. */
  readonly subnet?: readonly number[];
}

export interface ProposeOptions extends StateDir {
  /** Kinds of subnets that the network is to have beside those that it has. */
  readonly create?: readonly SubnetKind[];
  /** Files of applications. */
  readonly add?: readonly string[];
  /** Node ids. */
  readonly remove?: readonly string[];
  /** Subnets, by their numbers: 0 is the root. */
  readonly halt?: readonly number[];
  readonly resume?: readonly number[];
  readonly upgrade?: readonly OfSubnets<string>[];
  /** What subnets run whose version no record named yet; this program's by default. */
  readonly from?: string;
  readonly interval?: readonly OfSubnets<number>[];
}

/** What is to be so of one subnet, or of all. */
export interface OfSubnets<T> {
  readonly subnet: number | null;
  readonly value: T;
}

/** What an application is a record of: nothing follows it, and nobody approves it. */
const NOTHING: Uint8Array = new Uint8Array(32);
const ANSWER_TIMEOUT_MS = 10_000;

/** Of a joining node's directory: the first number that none of the processes that began has. */
function joiningPlace(network: string, { addresses }: NetworkPlan): number {
  const begun = addresses.length;
  const last = nodePlaces(network).at(-1) ?? 0;
  return Math.max(begun, last);
}

export async function applyNode(
  file: string,
  named: number | undefined,
  options: ApplyOptions,
  io: Io,
): Promise<number> {
  const network = resolveStateDir(io.cwd, options.stateDir);
  const plan = readNetworkPlan(network);
  const [{ encodeRecord, joinWith, openRegistry }, { installFastHashes, systemRng }] = await Promise.all([
    import("@orrery/node/registry"),
    import("@orrery/host"),
  ]);
  installFastHashes();
  const { subnets: founded } = await openRegistry(plan, []);
  const subnets = options.subnet ?? founded;
  const begun = plan.addresses.length;
  if (named !== undefined && named < begun) {
    throw new OrreryError(
      "node_unknown",
      `node ${named} is one of those that the network began with: one that joins has a number from ${begun} on`,
    );
  }
  const place = named ?? joiningPlace(network, plan);
  const change = await joinWith(nodeSeed(network, place, systemRng), subnets, options.address);
  const record = { mutation: { version: 0, previous: NOTHING, changes: [change] }, approvals: [] };
  const path = resolveStateDir(io.cwd, file);
  writeFields(path, { application: base64(encodeRecord(record)) });
  if (options.json === true) io.out(jsonDocument({ application: path, place }));
  else
    io.out(
      `Send ${path} to an operator of the network. When all but few have approved, you get a file back: then run\n\n` +
        `  orrery node admit <file> ${place} --state-dir ${options.stateDir}\n  orrery node run ${place} --state-dir ${options.stateDir}\n`,
    );
  return 0;
}

/** The records that the operator's node has. */
async function ownRecords(directory: string): Promise<readonly RegistryRecord[]> {
  return (await import("@orrery/node/registry")).readRegistryFile(directory);
}

async function joinChange(path: string): Promise<RegistryChange> {
  const { decodeRecord } = await import("@orrery/node/registry");
  const [change] = decodeRecord(bytesIn(path, readFields(path), "application")).mutation.changes;
  if (change?.kind !== "join") throw ceremonyInvalid(path, "is no application of a node");
  return change;
}

export async function proposeChange(
  file: string,
  place: number | undefined,
  options: ProposeOptions,
  io: Io,
): Promise<number> {
  const network = resolveStateDir(io.cwd, options.stateDir);
  const directory = soleNodeDirectory(network, place);
  const records = await ownRecords(directory);
  const { mutationHash, openRegistry } = await import("@orrery/node/registry");
  const registry = await openRegistry(readNetworkPlan(network), records);
  const changes: RegistryChange[] = (options.create ?? []).map((type, i) => ({
    kind: "create",
    subnet: registry.subnets.length + i,
    type,
  }));
  for (const application of options.add ?? [])
    changes.push(await joinChange(resolveStateDir(io.cwd, application)));
  for (const text of options.remove ?? []) {
    const nodeId = principalFromText(text);
    const subnet = registry.subnets.find((each) => registry.node(each, nodeId) !== null);
    if (subnet === undefined) throw refusedChange(`${text} is no node of the network`);
    changes.push({ kind: "leave", subnet, nodeId: nodeId as Uint8Array as never });
  }
  for (const subnet of options.halt ?? []) changes.push({ kind: "halt", subnet, halts: true });
  for (const subnet of options.resume ?? []) changes.push({ kind: "halt", subnet, halts: false });
  const comes = (options.create ?? []).map((_, i) => registry.subnets.length + i);
  changes.push(...upgradesIn(options, registry), ...intervalsIn(options, [...registry.subnets, ...comes]));
  if (changes.length === 0) throw refusedChange("nothing is to change: say what, as with --add or --remove");
  const mutation = registry.propose(changes);
  await requirePossible(registry, mutation, directory);
  const path = resolveStateDir(io.cwd, file);
  await writeProposal(path, { records, record: { mutation, approvals: [] } });
  const approved = await undecidedApproval(directory);
  const undecided = approved?.change === toHex(mutationHash(mutation)) ? null : approved;
  if (undecided !== null) io.err(`${tellUndecided(undecided)}\n`);
  if (options.json === true) io.out(jsonDocument({ proposal: path, version: mutation.version, undecided }));
  else io.out(`${tellChanges(changes)}\n${path} is to be approved: orrery node approve ${file}\n`);
  return 0;
}

/** What comes of it may be, and can come to be: the operator's node knows which subnets that were created have their keys. */
async function requirePossible(registry: Registry, mutation: Mutation, directory: string): Promise<void> {
  const { readCreationsFile, roomFault } = await import("@orrery/node/registry");
  const judged = registry.judge(mutation);
  if (!judged.ok) throw refusedChange(judged.error);
  const fault = roomFault(registry, judged.value, readCreationsFile(directory).length);
  if (fault !== null) throw refusedChange(fault);
}

function eachOf<T>(
  wanted: readonly OfSubnets<T>[] | undefined,
  subnets: readonly number[],
): readonly (readonly [number, T])[] {
  return (wanted ?? []).flatMap(({ subnet, value }) =>
    (subnet === null ? subnets : [subnet]).map((each) => [each, value] as const),
  );
}

function upgradesIn(
  { upgrade, from }: ProposeOptions,
  registry: Pick<Registry, "subnets" | "version" | "upgrade">,
): RegistryChange[] {
  return eachOf(upgrade, registry.subnets).map(([subnet, to]) => ({
    kind: "upgrade",
    subnet,
    from: registry.upgrade(subnet, registry.version)?.to ?? from ?? VERSION,
    to,
  }));
}

function intervalsIn({ interval }: ProposeOptions, subnets: readonly number[]): RegistryChange[] {
  return eachOf(interval, subnets).map(([subnet, blocks]) => ({ kind: "interval", subnet, blocks }));
}

function refusedChange(why: string): OrreryError {
  return new OrreryError("registry_change_refused", `the registry cannot change like that: ${why}`);
}

interface Proposal {
  /** Of all versions before. */
  readonly records: readonly RegistryRecord[];
  readonly record: RegistryRecord;
}

async function writeProposal(path: string, { records, record }: Proposal): Promise<void> {
  const { encodeRecord, encodeRecords } = await import("@orrery/node/registry");
  writeFields(path, { records: base64(encodeRecords(records)), record: base64(encodeRecord(record)) });
}

async function readProposal(path: string): Promise<Proposal> {
  const { decodeRecord, decodeRecords } = await import("@orrery/node/registry");
  const fields = readFields(path);
  return {
    records: decodeRecords(bytesIn(path, fields, "records")),
    record: decodeRecord(bytesIn(path, fields, "record")),
  };
}

function tellChange(change: RegistryChange): readonly string[] {
  switch (change.kind) {
    case "join": {
      const nodes = change.nodes.map(
        ({ subnet, publicKey }) => `subnet ${subnet}: ${principalToText(selfAuthenticating(publicKey))}`,
      );
      return ["a process joins", showAddress(change.address), nodes.join(", ")];
    }
    case "leave":
      return ["a node leaves", principalToText(change.nodeId), `subnet ${change.subnet}`];
    case "halt":
      return [change.halts ? "stands still" : "goes on", `subnet ${change.subnet}`];
    case "upgrade":
      return ["runs another version", `${change.to} after ${change.from}`, `subnet ${change.subnet}`];
    case "create":
      return ["a subnet is created", `subnet ${change.subnet}`, change.type];
    case "interval":
      return ["blocks from one summary to the next", `${change.blocks}`, `subnet ${change.subnet}`];
  }
}

const tellChanges = (changes: readonly RegistryChange[]): string => table(changes.map(tellChange));

export async function approveChange(
  file: string,
  place: number | undefined,
  options: StateDir,
  io: Io,
): Promise<number> {
  const network = resolveStateDir(io.cwd, options.stateDir);
  const directory = soleNodeDirectory(network, place);
  const path = resolveStateDir(io.cwd, file);
  const proposal = await readProposal(path);
  const { approveWith, encodeRecord, mutationHash, nodeIdOf, openRegistry } = await import(
    "@orrery/node/registry"
  );
  const known = await ownRecords(directory);
  const records = known.length > proposal.records.length ? known : proposal.records;
  const registry = await openRegistry(readNetworkPlan(network), records);
  const { mutation } = proposal.record;
  await requirePossible(registry, mutation, directory);
  const seed = readNodeSeed(directory);
  if (seed === null) throw ceremonyInvalid(directory, "has no key of a node");
  const record = approveWith(proposal.record, seed);
  const counting = record.approvals.filter((approval) => registry.isApproval(mutation, approval));
  const own = nodeIdOf(seed, 0);
  if (!counting.some(({ nodeId }) => equalBytes(nodeId, own)))
    throw refusedChange("this node is not one of the root subnet's, whose operators decide");
  io.err(tellChanges(mutation.changes));
  noteApproval(directory, mutation.version, toHex(mutationHash(mutation)));
  const whole = { mutation, approvals: counting };
  await writeProposal(path, { records, record: whole });
  const missing = Math.max(0, registry.approvalsNeeded - counting.length);
  const version = missing === 0 ? await submit(await nodeUrl(network, directory), encodeRecord(whole)) : null;
  if (options.json === true)
    io.out(jsonDocument({ version: mutation.version, missing, told: version !== null }));
  else if (missing > 0) io.out(`Approved. ${missing} more to come: send ${path} to the next operator.\n`);
  else if (version === null)
    io.out(
      `Approved by enough. This operator's node does not run: let another one approve ${path} as well.\n`,
    );
  else
    io.out(
      `Version ${mutation.version} counts, and the network knows it. Joining nodes: orrery node admit ${file}\n`,
    );
  return 0;
}

/** Where the operator's own node answers, or another of the network that runs from the same directory; null where none does. */
async function nodeUrl(network: string, directory: string): Promise<string | null> {
  const own = await runningNetwork(directory);
  if (own !== null) return own.api_url;
  const all = await runningNetwork(network);
  return all?.subnets[0]?.nodes[0]?.url ?? null;
}

async function askedRegistry(url: string): Promise<RegistryDocument> {
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
  return (await response.json()) as RegistryDocument;
}

/** Brings a record to a node; null where none runs here. */
async function submit(url: string | null, record: Uint8Array): Promise<number | null> {
  if (url === null) return null;
  const { REGISTRY_PATH } = await import("@orrery/node/registry");
  const response = await fetch(`${url}${REGISTRY_PATH}`, {
    method: "POST",
    body: Buffer.from(record),
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
  });
  const said = (await response.json()) as { readonly version: number; readonly refused?: string };
  if (said.refused !== undefined) throw refusedChange(said.refused);
  return said.version;
}

export async function admitNode(
  file: string,
  place: number | undefined,
  options: StateDir,
  io: Io,
): Promise<number> {
  const network = resolveStateDir(io.cwd, options.stateDir);
  const plan = readNetworkPlan(network);
  const { records, record } = await readProposal(resolveStateDir(io.cwd, file));
  const { openRegistry, nodeIdOf, writeRegistryFile } = await import("@orrery/node/registry");
  const registry = await openRegistry(plan, [...records, record]);
  const directory = nodeDirectory(network, place ?? joiningPlace(network, plan));
  const seed = readNodeSeed(directory);
  const isListed =
    seed !== null &&
    registry.subnets.some((subnet) => registry.node(subnet, nodeIdOf(seed, subnet)) !== null);
  if (!isListed) throw refusedChange(`the node in ${directory} is not the one that joins`);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // A node that has run may know more by now.
  if ((await ownRecords(directory)).length <= records.length)
    writeRegistryFile(directory, [...records, record]);
  if (options.json === true) io.out(jsonDocument({ version: registry.version }));
  else io.out(`This node is listed from version ${registry.version} on: start it with "orrery node run".\n`);
  return 0;
}

export async function showRegistry(place: number | undefined, options: StateDir, io: Io): Promise<number> {
  const network = resolveStateDir(io.cwd, options.stateDir);
  const directory = soleNodeDirectory(network, place);
  const { decodeRecords, openRegistry, REGISTRY_PATH } = await import("@orrery/node/registry");
  const url = await nodeUrl(network, directory);
  const told = url === null ? null : await askedRegistry(`${url}${REGISTRY_PATH}`);
  const records = told === null ? await ownRecords(directory) : decodeRecords(fromHex(told.records));
  const registry = await openRegistry(readNetworkPlan(network), records);
  const subnets = registry.subnets.map((subnet) => ({
    nodes: registry
      .members(subnet, registry.version)
      .map((each) => principalToText(registry.nodes(subnet)[each]?.nodeId ?? new Uint8Array(0))),
    halts: registry.halts(subnet, registry.version),
    interval_length: registry.intervalLength(subnet, registry.version),
    replica_version: registry.upgrade(subnet, registry.version)?.to ?? null,
    created: registry.created(subnet),
  }));
  if (options.json === true) {
    io.out(jsonDocument({ version: registry.version, subnets }));
    return 0;
  }
  io.out(`version ${registry.version}\n`);
  for (const [
    subnet,
    { nodes, halts, interval_length: blocks, replica_version: runs, created },
  ] of subnets.entries()) {
    const version = runs === null ? "" : `, version ${runs}`;
    const kind = created === null ? "" : `, created as ${created}`;
    const about = `${blocks} blocks from one summary to the next${version}${kind}${halts ? ", stands still" : ""}`;
    io.out(
      `subnet ${subnet}: ${about}\n${table(
        nodes.map((id) => [id]),
        "  ",
      )}`,
    );
  }
  for (const { mutation } of records) io.out(`version ${mutation.version}\n${tellChanges(mutation.changes)}`);
  return 0;
}

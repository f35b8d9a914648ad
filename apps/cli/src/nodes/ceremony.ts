/**
 * `orrery node plan` and `orrery node init`: a network whose operators do not trust each other. One of them plans it; each makes a node, shows
 * its record, deals to all nodes that were shown, and puts together what all dealt (`@orrery/node/founding`). The pieces travel as files
 * (`ceremony-files.ts`), by whatever way; `init` does the next step that it has all pieces for, and says what is missing. At the end all
 * operators have the same fingerprint of genesis and addresses, or not the same network.
 */
import { createHash } from "node:crypto";
import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import {
  concatBytes,
  equalBytes,
  OrreryError,
  type Principal,
  principalToText,
  toHex,
  utf8,
} from "@orrery/base";
import { NODE_KEY_FILE, nodeDirectory, nodePlaces } from "@orrery/host/directory-content";
import { makeDirectory } from "@orrery/host/make-directory";
import { type Io, jsonDocument, table } from "../io.ts";
import { resolveStateDir, writeWhole } from "../state-files.ts";
import type { SubnetKind } from "../subnet-kinds.ts";
import {
  ceremonyInvalid,
  hasPlan,
  type NodeFile,
  type PeerAddress,
  readDealing,
  readNodes,
  readPlan,
  showAddress,
  writeDealing,
  writeNode,
  writePlan,
} from "./ceremony-files.ts";
import { hasNetworkPlan, readNetworkPlan, refuseOthers, writeNetworkPlan } from "./network-directory.ts";
import { newNodeSeed, readNodeSeed } from "./node-key.ts";

/** Fewer cannot do without any one of them. */
const NODES_MIN = 4;

export interface PlanOptions {
  readonly nodes: number;
  readonly subnet?: readonly SubnetKind[];
  readonly subnetAdmin?: readonly Principal[];
  readonly catchUpInterval?: number;
  readonly json?: true;
}

export interface InitOptions {
  readonly name: string;
  readonly address: PeerAddress;
  /** Of this operator's node. */
  readonly stateDir: string;
  readonly json?: true;
}

/** Where a ceremony stands, as one operator sees it. */
type Standing =
  | { readonly state: "waiting_for_nodes"; readonly nodes: readonly string[]; readonly missing: number }
  | {
      readonly state: "waiting_for_dealings";
      readonly nodes: readonly string[];
      readonly missing: readonly string[];
    }
  | {
      readonly state: "ready";
      readonly nodes: readonly string[];
      readonly place: number;
      readonly fingerprint: string;
    };

export async function planNetwork(folder: string, options: PlanOptions, io: Io): Promise<number> {
  const { nodes, subnet, subnetAdmin, catchUpInterval } = options;
  const path = resolveStateDir(io.cwd, folder);
  if (nodes < NODES_MIN) {
    throw new OrreryError(
      "ceremony_small",
      `${nodes} nodes are too few to do without any of them: plan ${NODES_MIN} at least, or try them on one machine with "orrery start --nodes-per-subnet"`,
    );
  }
  await requireRoom(nodes, catchUpInterval);
  makeDirectory(path);
  if (hasPlan(path)) {
    throw new OrreryError(
      "ceremony_planned",
      `${path} has a plan: nodes may have been made for it; take an empty folder for another network`,
    );
  }
  const [{ newGenesisRecord }, { systemClock, systemRng }] = await Promise.all([
    import("@orrery/node"),
    import("@orrery/host"),
  ]);
  const plan = newGenesisRecord({
    rng: systemRng,
    clock: systemClock,
    nodes,
    ...(catchUpInterval === undefined ? {} : { catchUpInterval }),
    ...(subnet === undefined ? {} : { subnets: subnet }),
    ...(subnetAdmin === undefined ? {} : { subnetAdmins: subnetAdmin }),
  });
  const written = writePlan(path, plan);
  if (options.json === true) io.out(jsonDocument({ plan: written, nodes }));
  else {
    io.out(`${await summary(plan)}\n`);
    io.out(`The plan is ${written}. Give it to all ${nodes} operators; each then runs "orrery node init".\n`);
  }
  return 0;
}

/** Nodes that never come to an end of dealing keys would stay the same for good. */
async function requireRoom(nodes: number, interval: number | undefined): Promise<void> {
  if (interval === undefined) return;
  const { intervalNeeded } = await import("@orrery/node/registry");
  const least = intervalNeeded(nodes, false);
  if (interval >= least) return;
  throw new OrreryError(
    "ceremony_short",
    `intervals of ${interval} heights have no room for the keys that ${nodes} nodes deal in each: plan --catch-up-interval ${least} at least, or leave it out`,
  );
}

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(bytes).digest());

/** What an operator agrees to. */
async function summary(plan: Uint8Array): Promise<string> {
  const { decodeGenesis } = await import("@orrery/node");
  const { subnets, time, catchUpInterval } = decodeGenesis(plan);
  const kinds = subnets.map(({ type }, place) => (place === 0 ? `${type} (the root)` : type));
  const admins = subnets.flatMap((subnet) => subnet.admins ?? []).map(principalToText);
  return table([
    ["nodes of each subnet", `${subnets[0]?.nodes ?? 1}`],
    ["subnets", kinds.join(", ")],
    ["administrators", admins.length === 0 ? "none" : [...new Set(admins)].join(", ")],
    ["planned at", new Date(Number(time / 1_000_000n)).toISOString()],
    ["heights between packages", `${catchUpInterval ?? "as by default"}`],
    ["plan", toHex(sha256(plan))],
  ]);
}

const hashed = (...parts: readonly Uint8Array[]): string =>
  toHex(sha256(concatBytes(...parts.map((part) => sha256(part)))));

/** Of all that is known before anybody deals. */
function foundersHash(plan: Uint8Array, nodes: readonly NodeFile[]): string {
  return hashed(
    plan,
    ...nodes.flatMap(({ name, address, record }) => [utf8(name), utf8(showAddress(address)), record]),
  );
}

function fingerprintOf(genesis: Uint8Array, addresses: readonly PeerAddress[]): string {
  return hashed(genesis, ...addresses.map((address) => utf8(showAddress(address))));
}

export async function initNode(folder: string, options: InitOptions, io: Io): Promise<number> {
  const path = resolveStateDir(io.cwd, folder);
  const plan = readPlan(path);
  if (options.json !== true) io.err(`${await summary(plan)}\n`);
  const { installFastHashes } = await import("@orrery/host");
  installFastHashes();
  const standing = await proceed(path, plan, options, io);
  if (options.json === true) io.out(jsonDocument({ ...standing }));
  else io.out(tell(standing, options, path));
  return 0;
}

function tell(standing: Standing, { name, stateDir }: InitOptions, folder: string): string {
  const again = "and run this command again when theirs are in the folder";
  switch (standing.state) {
    case "waiting_for_nodes":
      return (
        `Nodes here: ${standing.nodes.join(", ")}; ${standing.missing} more to come.\n` +
        `Send ${join(folder, `${name}.node.json`)} to the other operators, ${again}.\n`
      );
    case "waiting_for_dealings":
      return (
        `All nodes are here: ${standing.nodes.join(", ")}. Dealings to come: ${standing.missing.join(", ")}.\n` +
        `Send ${join(folder, `${name}.dealing.json`)} to the other operators, ${again}.\n`
      );
    case "ready":
      return (
        `The network is founded, and this is node ${standing.place} of it.\n\n  fingerprint  ${standing.fingerprint}\n\n` +
        "Compare the fingerprint with every other operator by a way that nobody else controls. Keep a copy of\n" +
        `${join(nodeDirectory(stateDir, standing.place), NODE_KEY_FILE)}: without it this node has lost its keys. Then start it:\n\n` +
        `  orrery node run --state-dir ${stateDir}\n`
      );
  }
}

/** Does all steps that can be done. */
async function proceed(folder: string, plan: Uint8Array, options: InitOptions, io: Io): Promise<Standing> {
  const { name } = options;
  const stateDir = resolveStateDir(io.cwd, options.stateDir);
  const { decodeGenesis, hostedByProcess } = await import("@orrery/node");
  const count = decodeGenesis(plan).subnets[0]?.nodes ?? 1;
  makeDirectory(stateDir);
  refuseOthers(stateDir, { discarded: false });
  if (hasNetworkPlan(stateDir)) return await ready(stateDir, folder, plan, name);
  const seed = await ownSeed(folder, plan, { ...options, stateDir });
  const nodes = readNodes(folder);
  const names = nodes.map((node) => node.name);
  if (nodes.length > count)
    throw ceremonyInvalid(folder, `has records of ${nodes.length} nodes, and the plan is for ${count}`);
  if (nodes.length < count)
    return { state: "waiting_for_nodes", nodes: names, missing: count - nodes.length };

  const { dealFor, foundGenesis, verifyFounded } = await import("@orrery/node/founding");
  const founders = foundersHash(plan, nodes);
  const records = nodes.map(({ record }) => record);
  if (readDealing(folder, name) === null) {
    io.err(`Dealing to ${count} nodes …\n`);
    writeDealing(folder, name, { founders, dealing: await dealFor(plan, records, seed) });
  }
  const dealt = nodes.map((node) => ({ name: node.name, file: readDealing(folder, node.name) }));
  const other = dealt.find(({ file }) => file !== null && file.founders !== founders);
  if (other !== undefined) {
    throw new OrreryError(
      "ceremony_differs",
      `${other.name} dealt to other nodes, or to other addresses, than those in ${folder}: compare the files of all nodes with every operator`,
      { data: { node: other.name } },
    );
  }
  const missing = dealt.filter(({ file }) => file === null).map((each) => each.name);
  if (missing.length > 0) return { state: "waiting_for_dealings", nodes: names, missing };

  io.err("Judging what all nodes dealt …\n");
  const dealings = dealt.flatMap(({ file }) => (file === null ? [] : [file.dealing]));
  const genesis = await foundGenesis(plan, records, dealings);
  const place = names.indexOf(name);
  const hosted = hostedByProcess(decodeGenesis(plan).subnets, count)[place] ?? [];
  await verifyFounded(genesis, { hosted, seed });
  const directory = nodeDirectory(stateDir, place);
  makeDirectory(directory);
  if (existsSync(join(stateDir, NODE_KEY_FILE)))
    renameSync(join(stateDir, NODE_KEY_FILE), join(directory, NODE_KEY_FILE));
  writeNetworkPlan(stateDir, { genesis, addresses: nodes.map(({ address }) => address) });
  return await ready(stateDir, folder, plan, name);
}

/** The network in the state directory, which has to be the folder's, with the node of that name. */
async function ready(stateDir: string, folder: string, plan: Uint8Array, name: string): Promise<Standing> {
  const { genesis, addresses } = readNetworkPlan(stateDir);
  const nodes = readNodes(folder);
  const names = nodes.map((node) => node.name);
  const place = names.indexOf(name);
  const [{ decodeGenesis }, { planOf }] = await Promise.all([
    import("@orrery/node"),
    import("@orrery/node/founding"),
  ]);
  const isSame =
    equalBytes(planOf(decodeGenesis(genesis)), plan) &&
    addresses.map(showAddress).join() === nodes.map(({ address }) => showAddress(address)).join() &&
    nodePlaces(stateDir).join() === `${place}`;
  if (!isSame) {
    throw new OrreryError(
      "state_dir_foreign",
      `state directory ${stateDir}: holds another network, or another node, than ${name} of the files in ${folder}; choose another ` +
        "directory with --state-dir, or the folder that its node was founded from",
    );
  }
  return { state: "ready", nodes: names, place, fingerprint: fingerprintOf(genesis, addresses) };
}

/** Made at the first run, when the node shows itself; until its place is known the key waits in the state directory. */
async function ownSeed(
  folder: string,
  plan: Uint8Array,
  { name, address, stateDir }: InitOptions,
): Promise<Uint8Array> {
  const shown = readNodes(folder).find((node) => node.name === name);
  const known = readNodeSeed(stateDir) ?? seedAtPlace(folder, stateDir, name);
  if (shown !== undefined && known === null) {
    throw new OrreryError(
      "ceremony_name_taken",
      `${folder} has a node called ${name}, whose key is not in ${stateDir}: take another --name, or the --state-dir that it was made with`,
    );
  }
  const { systemRng } = await import("@orrery/host");
  const seed = known ?? newNodeSeed(systemRng);
  if (known === null) writeWhole(join(stateDir, NODE_KEY_FILE), `${toHex(seed)}\n`);
  if (shown === undefined) {
    const { foundingRecord } = await import("@orrery/node/founding");
    writeNode(folder, { name, address, record: await foundingRecord(plan, seed) });
  } else if (showAddress(shown.address) !== showAddress(address)) {
    throw new OrreryError(
      "ceremony_differs",
      `${name} was shown with the address ${showAddress(shown.address)}, not ${showAddress(address)}: others may have it already`,
      { data: { node: name } },
    );
  }
  return seed;
}

/** A crash may have come between the key's move and the network's files. */
function seedAtPlace(folder: string, stateDir: string, name: string): Uint8Array | null {
  const place = readNodes(folder).findIndex((node) => node.name === name);
  return place < 0 ? null : readNodeSeed(nodeDirectory(stateDir, place));
}

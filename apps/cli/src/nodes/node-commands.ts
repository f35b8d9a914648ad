/** The commands of `orrery node`: processes of a network whose subnets have several nodes, one by one. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Io } from "../io.ts";
import { resolveStateDir } from "../state-files.ts";
import type { StatusOptions } from "../status.ts";
import type { InitOptions, PlanOptions } from "./ceremony.ts";
import { isNodeName, type PeerAddress, parseAddress } from "./ceremony-files.ts";
import { addMembershipCommands } from "./membership-commands.ts";
import type { RunNodeOptions } from "./run-node.ts";

function parsePeer(text: string): PeerAddress {
  const address = parseAddress(text);
  if (address === null)
    throw new InvalidArgumentError("expected host:port, such as node1.example:9000 or [2001:db8::1]:9000.");
  return address;
}

function parseName(text: string): string {
  if (!isNodeName(text))
    throw new InvalidArgumentError("expected 1 to 32 lower-case letters, digits and hyphens.");
  return text;
}

async function nodeStatus(place: number | undefined, options: StatusOptions, io: Io): Promise<number> {
  const [{ soleNodeDirectory }, { status }, { undecidedApproval }] = await Promise.all([
    import("./run-node.ts"),
    import("../status.ts"),
    import("./approvals.ts"),
  ]);
  const directory = soleNodeDirectory(resolveStateDir(io.cwd, options.stateDir), place);
  return await status({ ...options, stateDir: directory, undecided: await undecidedApproval(directory) }, io);
}

/** A network of operators who do not trust each other, step by step. */
function addCeremonyCommands(
  node: Command,
  { stateDir, subnets, nodes, catchUpInterval, json }: CommonOptions,
  io: Io,
  done: (code: number) => void,
): void {
  const plan = node
    .command("plan")
    .description("plan a network of several operators: one of them does it, and gives the folder to all")
    .argument("<folder>", "a new one, for the files that operators hand each other")
    .requiredOption("--nodes <count>", "nodes of each subnet: one of each operator", nodes);
  for (const option of subnets()) plan.addOption(option);
  plan
    .addOption(catchUpInterval())
    .addOption(json())
    .action(async (folder: string, options: PlanOptions) =>
      done(await (await import("./ceremony.ts")).planNetwork(folder, options, io)),
    );
  node
    .command("init")
    .description("make this operator's node of a planned network: run it again as the others' files arrive")
    .argument("<folder>", "of the plan, and what operators handed each other")
    .requiredOption("--name <name>", "of the node, another one for each", parseName)
    .requiredOption("--address <host:port>", "where the other nodes reach this one", parsePeer)
    .addOption(stateDir())
    .addOption(json())
    .action(async (folder: string, options: InitOptions) =>
      done(await (await import("./ceremony.ts")).initNode(folder, options, io)),
    );
}

/** Options that other commands have as well. */
export interface CommonOptions {
  readonly stateDir: () => Option;
  readonly port: () => Option;
  readonly bind: () => Option;
  readonly keepRounds: () => Option;
  readonly json: () => Option;
  readonly catchUpInterval: () => Option;
  /** Kinds of subnets, and their administrators. */
  readonly subnets: () => readonly Option[];
  readonly nodes: (text: string) => number;
  readonly parseCount: (text: string) => number;
}

export function addNodeCommands(
  program: Command,
  common: CommonOptions,
  io: Io,
  done: (code: number) => void,
): void {
  const { stateDir, port, bind, keepRounds, parseCount, json } = common;
  const node = program.command("node").description("processes of a network whose subnets have several nodes");
  node
    .command("run")
    .description("run one of them until it is interrupted")
    .argument("[place]", "which one, from 0; none where the state directory has one alone", parseCount)
    .addOption(stateDir())
    .addOption(port())
    .addOption(bind())
    .addOption(new Option("--host <name>", "name or address that clients reach the network under"))
    .addOption(
      new Option(
        "--peer-bind <address>",
        "host:port to listen on for the other nodes (default: the address that they know)",
      ).argParser(parsePeer),
    )
    .addOption(keepRounds())
    .action(async (place: number | undefined, options: RunNodeOptions) =>
      done(await (await import("./run-node.ts")).runNode(place, options, io)),
    );
  node
    .command("status")
    .description("show what one of them says of its subnets: health and heights")
    .argument("[place]", "which one, from 0; none where the state directory has one alone", parseCount)
    .addOption(stateDir())
    .addOption(json())
    .action(async (place: number | undefined, options: StatusOptions) =>
      done(await nodeStatus(place, options, io)),
    );
  addCeremonyCommands(node, common, io, done);
  addMembershipCommands(node, { ...common, parsePeer }, io, done);
  // Of use to a process alone that carries what nodes say to each other: it starts them like this.
  node
    .command("found", { hidden: true })
    .argument("<place>", "which one, from 0", parseCount)
    .addOption(stateDir())
    .action(async (place: number, options: { readonly stateDir: string }) =>
      done(await (await import("./found-node.ts")).foundNode(place, options.stateDir, io)),
    );
}

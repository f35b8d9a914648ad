/**
 * The command line (`orrery --help`): options, usage errors (exit 2), and how failures are told (exit 1): one paragraph that
 * says what is wrong and what to do, or a JSON document with `error` under `--json`.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { CanisterLoadOptions } from "./canister-load.ts";
import type { DoctorOptions } from "./doctor/doctor.ts";
import type { EnvOptions } from "./env.ts";
import { describeFailure } from "./failure.ts";
import { type Io, jsonDocument } from "./io.ts";
import type { LogsOptions } from "./logs.ts";
import { addNodeCommands } from "./nodes/node-commands.ts";
import type { ProfileOptions } from "./profile.ts";
import type { BuildOptions, DeployOptions } from "./project/commands.ts";
import type { NewOptions } from "./project/new.ts";
import { addSimulateCommand } from "./simulate-command.ts";
import type { SnapshotLoadOptions, SnapshotSaveOptions } from "./snapshot.ts";
import type { StartOptions } from "./start.ts";
import { DEFAULT_STATE_DIR } from "./state-files.ts";
import type { StatusOptions } from "./status.ts";
import type { StopOptions } from "./stop.ts";
import { parseSubnetAdmin, parseSubnetKind } from "./subnet-kinds.ts";
import type { TraceOptions } from "./trace.ts";
import { VERSION } from "./version.ts";

export const EXIT_OK = 0;
export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;

const PORT_MAX = 65_535;

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > PORT_MAX) {
    throw new InvalidArgumentError(`expected a number from 0 to ${PORT_MAX}; 0 takes any free port.`);
  }
  return port;
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count))
    throw new InvalidArgumentError("expected a whole number.");
  return count;
}

/** The public network's largest subnet has 40. */
const NODES_MAX = 40;

function parseNodes(text: string): number {
  const nodes = parseCount(text);
  if (nodes < 1 || nodes > NODES_MAX) throw new InvalidArgumentError(`expected 1 to ${NODES_MAX} nodes.`);
  return nodes;
}

/** As the registry has it for changes of the length. */
const INTERVAL_MAX = 2_000;

function parseInterval(text: string): number {
  const heights = parseCount(text);
  if (heights < 1 || heights > INTERVAL_MAX)
    throw new InvalidArgumentError(`expected 1 to ${INTERVAL_MAX} heights.`);
  return heights;
}

function parseCycles(text: string): bigint {
  if (!/^\d[\d_]*$/.test(text)) throw new InvalidArgumentError("expected a whole number of cycles.");
  return BigInt(text.replaceAll("_", ""));
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

const systemWasm = (): Option =>
  new Option(
    "--system-wasm <where>",
    "modules of the public network's system canisters: a folder, or name=path,name=path (default: $ORRERY_SYSTEM_WASM)",
  );
const stateDir = (): Option =>
  new Option("--state-dir <dir>", "directory that holds the network").default(DEFAULT_STATE_DIR);
const port = (): Option =>
  new Option("--port <port>", "port to serve; 0 takes any free one").argParser(parsePort).default(8000);
const bind = (): Option => new Option("--bind <address>", "address to listen on").default("127.0.0.1");
const nodesPerSubnet = (): Option =>
  new Option(
    "--nodes-per-subnet <count>",
    "nodes that agree on the blocks of each subnet, each in a process of its own, for a new network (default: 1)",
  ).argParser(parseNodes);
const subnets = (): readonly Option[] => [
  new Option(
    "--subnet <kind>",
    "kind of a subnet beside the root, for a new network; repeat it for more (default: application)",
  ).argParser(parseSubnetKind),
  new Option(
    "--subnet-admin <principal>",
    "administrator of the subnets of the kind cloud_engine; repeat it for more",
  ).argParser(parseSubnetAdmin),
];
const catchUpInterval = (): Option =>
  new Option(
    "--catch-up-interval <heights>",
    "blocks from one package to the next from which nodes of such subnets go on that were away, for a new network (default: 500)",
  ).argParser(parseInterval);
const keepRounds = (): Option =>
  new Option(
    "--keep-rounds <count>",
    "keep what orrery trace needs to run so many past rounds again, at the price of disk space",
  ).argParser(parseCount);
const json = (): Option => new Option("--json", "print one JSON document");

function createProgram(io: Io, done: (code: number) => void): Command {
  const program = new Command("orrery")
    .description(
      "A local Internet Computer: one command starts it, every tool that speaks its protocol works on it.",
    )
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: (text) => io.err(io.style("red", text)) })
    .showHelpAfterError("(orrery --help lists commands and options)");
  const start = program
    .command("start")
    .description("start a network and keep it running; with -d in the background")
    .addOption(stateDir())
    .addOption(port())
    .addOption(bind())
    .option("--clean", "discard the network in the state directory and begin a new one");
  for (const option of subnets()) start.addOption(option);
  start
    .addOption(nodesPerSubnet())
    .addOption(catchUpInterval())
    .addOption(keepRounds())
    .option("-d, --background", "run in the background, logging to <state-dir>/node.log")
    .addOption(systemWasm())
    .addOption(new Option("--status-dir <dir>", "write status.json there once the network answers"))
    .addOption(json())
    .action(async (options: StartOptions) => done(await (await import("./start.ts")).start(options, io)));
  program
    .command("stop")
    .description("stop the network of a state directory")
    .addOption(stateDir())
    .addOption(json())
    .action(async (options: StopOptions) => done(await (await import("./stop.ts")).stop(options, io)));
  program
    .command("status")
    .description("show the network of a state directory: URLs, root key, subnets, nodes, heights")
    .addOption(stateDir())
    .addOption(json())
    .action(async (options: StatusOptions) => done(await (await import("./status.ts")).status(options, io)));
  program
    .command("logs")
    .description("print the log of a network's node")
    .addOption(stateDir())
    .addOption(new Option("-n, --lines <count>", "only the last lines").argParser(parseCount))
    .addOption(new Option("-f, --follow", "print what is added until interrupted").conflicts("json"))
    .addOption(json())
    .action(async (options: LogsOptions) => done(await (await import("./logs.ts")).logs(options, io)));
  const nodeOptions = { stateDir, port, bind, keepRounds, json, subnets, catchUpInterval };
  addNodeCommands(program, { ...nodeOptions, nodes: parseNodes, parseCount }, io, done);
  addProjectCommands(program, io, done);
  addTraceCommand(program, io, done);
  addProfileCommand(program, io, done);
  addSnapshotCommands(program, io, done);
  addToolCommands(program, io, done);
  addSimulateCommand(program, io, done);
  return program;
}

/** What happened. */
function addTraceCommand(program: Command, io: Io, done: (code: number) => void): void {
  program
    .command("trace")
    .description("show what happened: the newest messages, or one of them run again with all that it led to")
    .argument(
      "[target]",
      'a request id or its first digits, a canister\'s id, or "last"; without one, the newest messages are listed, or with a file the last one is written',
    )
    .addOption(stateDir())
    .addOption(
      new Option("-n, --count <count>", "how many messages are listed").argParser(parseCount).default(20),
    )
    .addOption(new Option("--html <file>", "write a page that shows it, for any browser"))
    .addOption(
      new Option(
        "--flame <file>",
        "write a flame graph of instructions by function: a page, speedscope's .json, or .folded stacks",
      ),
    )
    .addOption(new Option("--perfetto <file>", "write a trace for ui.perfetto.dev or chrome://tracing"))
    .addOption(
      new Option("--axis <kind>", "what the Perfetto trace's time is")
        .choices(["instructions", "time"])
        .default("instructions"),
    )
    .addOption(json())
    .action(async (target: string | undefined, options: TraceOptions) =>
      done(await (await import("./trace.ts")).trace(target, options, io)),
    );
}

/** What a call costs, and where. */
function addProfileCommand(program: Command, io: Io, done: (code: number) => void): void {
  program
    .command("profile")
    .description("make a call in a copy of the network, and show which functions spend its instructions")
    .argument("<canister>", "its id, or its name in the project of this directory")
    .argument("<method>", "update or query method")
    .argument("[arg]", "Candid's textual form; () by default")
    .addOption(stateDir())
    .addOption(new Option("--sender <principal>", "who calls").default("2vxsx-fae", "anonymous"))
    .addOption(new Option("--query", "call it as a query; composite queries can only be"))
    .addOption(
      new Option("-n, --count <count>", "how many functions are listed").argParser(parseCount).default(20),
    )
    .addOption(new Option("--html <file>", "write a flame graph, a page for any browser"))
    .addOption(new Option("--folded <file>", "write folded stacks, which flame graph tools read"))
    .addOption(new Option("--speedscope <file>", "write a profile for speedscope.app"))
    .addOption(json())
    .action(async (canister: string, method: string, arg: string | undefined, options: ProfileOptions) =>
      done(await (await import("./profile.ts")).profile({ canister, method, arg }, options, io)),
    );
}

/** A network that lasts and travels. */
function addSnapshotCommands(program: Command, io: Io, done: (code: number) => void): void {
  const snapshot = program
    .command("snapshot")
    .description("keep a whole network in a file, or take it elsewhere; the file holds its keys");
  snapshot
    .command("save")
    .description("write the network of a state directory to a file, while it runs or not")
    .argument("<file>", "a new file")
    .addOption(stateDir())
    .addOption(json())
    .action(async (file: string, options: SnapshotSaveOptions) =>
      done(await (await import("./snapshot.ts")).saveNetwork(file, options, io)),
    );
  snapshot
    .command("load")
    .description(
      "make a state directory of such a file; or, with --icp, bring one canister from elsewhere onto a running network",
    )
    .argument("[file]", "what orrery snapshot save wrote")
    .addOption(stateDir())
    .option("--clean", "discard the network in the state directory")
    .addOption(
      new Option("--icp <dir>", "a folder that icp canister snapshot download filled").conflicts("clean"),
    )
    .option("--as <id>", "the canister's id (default: the folder's name)")
    .addOption(new Option("--cycles <amount>", "the canister's balance").argParser(parseCycles))
    .option("--controller <principal>", "one who controls the canister; repeat it for more", collect)
    .option("--url <url>", "address of the network (default: the one that runs from the state directory)")
    .addOption(json())
    .action(async (file: string | undefined, options: SnapshotLoadOptions & CanisterLoadOptions) =>
      done(await loadEither(file, options, io)),
    );
}

const OF_CANISTERS = ["as", "cycles", "controller", "url"] as const;

async function loadEither(
  file: string | undefined,
  options: SnapshotLoadOptions & Partial<CanisterLoadOptions>,
  io: Io,
): Promise<number> {
  const { icp } = options;
  const wrong = (text: string): CommanderError => new CommanderError(EXIT_USAGE, "usage", text);
  if (icp !== undefined) {
    if (file !== undefined) throw wrong("name a file, or a folder with --icp, and not both");
    return await (await import("./canister-load.ts")).loadCanister({ ...options, icp }, io);
  }
  if (file === undefined)
    throw wrong('name the file that "orrery snapshot save" wrote, or a folder with --icp');
  const stray = OF_CANISTERS.find((name) => options[name] !== undefined);
  if (stray !== undefined) throw wrong(`--${stray} belongs to --icp, the loading of one canister`);
  return await (await import("./snapshot.ts")).loadNetwork(file, options, io);
}

/** What helps other tools, and people, to a network that works. */
function addToolCommands(program: Command, io: Io, done: (code: number) => void): void {
  program
    .command("env")
    .description("print what a shell exports so that other tools use this network")
    .addOption(stateDir())
    .addOption(
      new Option("--shell <kind>", "whose words to use")
        .choices(["posix", "fish", "powershell"])
        .default("posix"),
    )
    .addOption(json())
    .action(async (options: EnvOptions) => done(await (await import("./env.ts")).env(options, io)));
  program
    .command("doctor")
    .description("look for what commonly goes wrong, and say what to do")
    .addOption(stateDir())
    .addOption(port())
    .addOption(bind())
    .addOption(json())
    .action(async (options: DoctorOptions) =>
      done(await (await import("./doctor/doctor.ts")).doctor(options, io)),
    );
}

/** What works on the project of the current directory. */
function addProjectCommands(program: Command, io: Io, done: (code: number) => void): void {
  const bindings = (): readonly Option[] => [
    new Option(
      "--bindings <dir>",
      "where typed bindings go, if the project has @icp-sdk/bindgen (default: src/bindings)",
    ),
    new Option("--no-bindings", "write no bindings"),
  ];
  program
    .command("new")
    .description("make a project: a backend canister and a page that calls it")
    .argument("<directory>", "where; its last part is the project's name")
    .addOption(
      new Option("--template <kind>", "language of the backend")
        .choices(["motoko", "typescript"])
        .default("motoko"),
    )
    .addOption(json())
    .action(async (directory: string, options: NewOptions) =>
      done((await import("./project/new.ts")).newProject(directory, options, io)),
    );
  const build = program
    .command("build")
    .description("build canisters of a project, all by default; Motoko by the compiler from npm")
    .argument("[canisters...]", "their names in icp.yaml");
  for (const option of [...bindings(), json()]) build.addOption(option);
  build.action(async (names: readonly string[], options: BuildOptions) =>
    done(await (await import("./project/commands.ts")).build(names, options, io)),
  );
  const deploy = program
    .command("deploy")
    .description("build canisters of a project and bring them onto its network, with their data kept")
    .argument("[canisters...]", "their names in icp.yaml")
    .addOption(stateDir())
    .addOption(
      new Option(
        "--url <url>",
        "address of the network (default: the one of the state directory, or of icp.yaml)",
      ),
    )
    .addOption(
      new Option("--mode <mode>", "reinstall discards the canisters' data")
        .choices(["auto", "reinstall"])
        .default("auto"),
    )
    .option("-w, --watch", "deploy again after each save, until interrupted");
  for (const option of [...bindings(), json()]) deploy.addOption(option);
  deploy.action(async (names: readonly string[], options: DeployOptions) =>
    done(await (await import("./project/commands.ts")).deploy(names, options, io)),
  );
}

/** Runs one command line (without the program's name) and resolves to the exit code. Never rejects. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  let code = EXIT_OK;
  const program = createProgram(io, (value) => {
    code = value;
  });
  if (argv.length === 0) {
    io.err(program.helpInformation());
    return EXIT_USAGE;
  }
  try {
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT_OK;
      const message = error.message.replace(/^error: /, "");
      if (error.code === "usage") io.err(`${io.style("red", "error:")} ${message}\n`);
      if (argv.includes("--json")) io.out(jsonDocument({ error: { code: "usage", message } }));
      return EXIT_USAGE;
    }
    const failure = describeFailure(error);
    if (argv.includes("--json"))
      io.out(jsonDocument({ error: { code: failure.code, message: failure.message } }));
    io.err(`${io.style("red", "error:")} ${failure.message}\n`);
    if (failure.detail !== null) io.err(`${io.style("dim", failure.detail)}\n`);
    return EXIT_FAILURE;
  }
}

/**
 * A node as a process to be killed: `startNode` with checkpoints and log segments so small that most kills meet one under way,
 * and so few pages in memory that most are read from the disk.
 * Argument: the options as JSON. Prints one JSON line when the node answers, ends with 1 when it cannot.
 */
import { createStreamLogger, describeError, systemClock, systemRng } from "@orrery/host";
import { startNode } from "@orrery/node";

export interface NodeProcessOptions {
  readonly stateDir: string;
  readonly checkpointRounds: number;
  readonly logSegmentBytes: number;
  readonly hotPagesMax: number;
  /** Application subnets beside the root. */
  readonly applications: number;
  /** As of `NodeOptions`. */
  readonly chaosFile?: string;
  /** Numbers on the standard input keep main busy for so many milliseconds then. */
  readonly watchTurns?: boolean;
}

export interface NodeProcessStarted {
  readonly url: string;
  readonly rootKeyHex: string;
  /** One for each application subnet: where canisters are created. */
  readonly effectiveCanisterIds: readonly string[];
  readonly height: number;
}

function end(error: unknown): never {
  const { code, message, stack } = describeError(error);
  process.stderr.write(`${code}: ${message}\n${stack}\n`);
  process.exit(1);
}

/** Lets main do nothing else for so many milliseconds of processor time: whoever watches its turns must notice. */
function keepBusy(ms: number): void {
  const start = process.threadCpuUsage();
  const spent = (): number => {
    const { user, system } = process.threadCpuUsage(start);
    return (user + system) / 1_000;
  };
  while (spent() < ms);
}

const options = JSON.parse(process.argv[2] ?? "{}") as NodeProcessOptions;
try {
  const handle = await startNode({
    stateDir: options.stateDir,
    port: 0,
    bind: "127.0.0.1",
    clean: false,
    logger: createStreamLogger({ write: (line) => process.stderr.write(line), level: "warn" }),
    clock: systemClock,
    rng: systemRng,
    durability: {
      checkpointRounds: options.checkpointRounds,
      logSegmentBytes: options.logSegmentBytes,
      hotPagesMax: options.hotPagesMax,
    },
    subnets: Array.from({ length: options.applications }, () => "application" as const),
    ...(options.chaosFile === undefined ? {} : { chaosFile: options.chaosFile }),
    ...(options.watchTurns === undefined ? {} : { watchTurns: options.watchTurns }),
    onFatal: end,
  });
  const { url, rootKeyHex } = handle;
  const [, ...applications] = handle.status().subnets;
  const started: NodeProcessStarted = {
    url,
    rootKeyHex,
    effectiveCanisterIds: applications.map(({ defaultEffectiveCanisterId: id }) => id),
    height: applications[0]?.height ?? 0,
  };
  if (options.watchTurns === true) process.stdin.on("data", (text) => keepBusy(Number(text)));
  process.on("SIGTERM", () => void handle.stop().then(() => process.exit(0), end));
  process.stdout.write(`${JSON.stringify(started)}\n`);
} catch (error) {
  end(error);
}

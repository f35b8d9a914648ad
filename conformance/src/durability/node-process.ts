/**
 * A node as a process to be killed: `startNode` with checkpoints and log segments so small that most kills meet one under way.
 * Argument: the options as JSON. Prints one JSON line when the node answers, ends with 1 when it cannot.
 */
import { createStreamLogger, describeError, systemClock, systemRng } from "@orrery/host";
import { startNode } from "@orrery/node";

export interface NodeProcessOptions {
  readonly stateDir: string;
  readonly checkpointRounds: number;
  readonly logSegmentBytes: number;
}

export interface NodeProcessStarted {
  readonly url: string;
  readonly rootKeyHex: string;
  readonly defaultEffectiveCanisterId: string;
  readonly height: number;
}

function end(error: unknown): never {
  const { code, message, stack } = describeError(error);
  process.stderr.write(`${code}: ${message}\n${stack}\n`);
  process.exit(1);
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
    durability: { checkpointRounds: options.checkpointRounds, logSegmentBytes: options.logSegmentBytes },
    onFatal: end,
  });
  const { url, rootKeyHex, defaultEffectiveCanisterId } = handle;
  const started: NodeProcessStarted = {
    url,
    rootKeyHex,
    defaultEffectiveCanisterId,
    height: handle.status().subnets.at(-1)?.height ?? 0,
  };
  process.on("SIGTERM", () => void handle.stop().then(() => process.exit(0), end));
  process.stdout.write(`${JSON.stringify(started)}\n`);
} catch (error) {
  end(error);
}

/**
 * A node of the drill as a process: the real node, told where to reach the others and what time it is, which starts again with what it fetched. Its clock can be set off by its
 * parent, never the machine's; what its members say can be twisted (`misbehave.ts`), which nodes that people run cannot do.
 * Argument: `NodeProcessOptions` as JSON. Messages to the parent: `NodeSays`; from it: `NodeOrder`. Its log goes to the standard error.
 */
import { readFileSync } from "node:fs";
import { fromHex, OrreryError } from "@orrery/base";
import { createStreamLogger, describeError, systemClock, systemRng } from "@orrery/host";
import { Healings, type NodeHandle, startNode } from "@orrery/node";
import type { Misbehaviour } from "./misbehave.ts";
import type { Address } from "./wires.ts";

export interface NodeProcessOptions {
  readonly stateDir: string;
  readonly self: number;
  /** Longer than arguments may be. */
  readonly genesisFile: string;
  /** What its secrets follow from, hexadecimal. */
  readonly seed: string;
  /** Where it listens and where it reaches the others, by place. */
  readonly addresses: readonly Address[];
  readonly clockOffsetMs: number;
  /** It can be told to misbehave. */
  readonly canMisbehave: boolean;
  /** When it turned out that what it had signed is lost. */
  readonly lostAtMs?: number;
}

export type NodeSays =
  | {
      readonly kind: "ready";
      readonly url: string;
      readonly rootKeyHex: string;
      readonly ids: readonly string[];
    }
  /** What its members said to peers that was not as it is, so far. */
  | { readonly kind: "twisted"; readonly count: number }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

export type NodeOrder =
  | { readonly kind: "clock"; readonly offsetMs: number }
  | { readonly kind: "misbehave"; readonly how: Misbehaviour | null };

const NS_PER_MS = 1_000_000n;

function say(what: NodeSays): Promise<void> {
  return new Promise((sent) => {
    if (process.connected) process.send?.(what, () => sent());
    else sent();
  });
}

async function end(error: unknown): Promise<never> {
  const { code, message, stack } = describeError(error);
  process.stderr.write(`${code}: ${message}\n${stack}\n`);
  await say({ kind: "failed", code, message });
  process.exit(1);
}

const options = JSON.parse(process.argv[2] ?? "{}") as NodeProcessOptions;
let offsetNs = BigInt(options.clockOffsetMs) * NS_PER_MS;
// Before the node's parts are loaded, one of which it replaces.
const twisting = options.canMisbehave ? await import("./misbehave.ts") : null;
process.on("message", (order: NodeOrder) => {
  if (order.kind === "clock") offsetNs = BigInt(order.offsetMs) * NS_PER_MS;
  else {
    twisting?.misbehave(order.how);
    void say({ kind: "twisted", count: twisting?.conduct.twisted ?? 0 });
  }
});
// Whoever started it is gone.
process.on("disconnect", () => process.exit(0));
const genesis = new Uint8Array(readFileSync(options.genesisFile));
const { lostAtMs } = options;
const healings = new Healings();
let running: NodeHandle | null = null;
let isStopping = false;

/** Resolves to the port, of a node that is to start again with the state that it fetched; never of one that goes on. */
async function live(port: number): Promise<number> {
  const fatal = Promise.withResolvers<never>();
  fatal.promise.catch(() => {});
  try {
    const handle = await startNode({
      stateDir: options.stateDir,
      port,
      bind: "127.0.0.1",
      clean: false,
      logger: createStreamLogger({ write: (line) => process.stderr.write(line), level: "info" }),
      clock: { now: () => systemClock.now() + offsetNs },
      rng: systemRng,
      member: {
        self: options.self,
        genesis,
        seed: fromHex(options.seed),
        addresses: options.addresses,
        healings,
        ...(lostAtMs === undefined ? {} : { lostAt: BigInt(lostAtMs) * NS_PER_MS }),
      },
      onFatal: fatal.reject,
    });
    running = handle;
    const { url, rootKeyHex } = handle;
    const ids = handle.status().subnets.map(({ defaultEffectiveCanisterId: id }) => id);
    await say({ kind: "ready", url, rootKeyHex, ids });
    return await fatal.promise;
  } catch (error) {
    const wasRunning: NodeHandle | null = running;
    running = null;
    if (isStopping || !(error instanceof OrreryError) || error.code !== "state_fetched") throw error;
    await wasRunning?.stop().catch(() => {});
    return wasRunning?.port ?? port;
  }
}

process.on("SIGTERM", () => {
  isStopping = true;
  if (running === null) process.exit(0);
  running.stop().then(() => process.exit(0), end);
});
try {
  for (let port = 0; ; ) port = await live(port);
} catch (error) {
  await end(error);
}

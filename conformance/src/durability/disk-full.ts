/**
 * The scenarios of a full disk, each a function on a real file system of a few MiB (tmpfs). Run as a process of its own, in a mount
 * namespace of its own, so that the file system goes away with it; prints what it saw as one JSON document.
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import type { Principal } from "@icp-sdk/core/principal";
import { type Counter, counterAt } from "../counter.ts";
import { agentFor, fixtureModule, type Network, startNetwork } from "../harness.ts";
import { createCanister, installCode } from "../management.ts";
import { type Ended, startUntilEnd } from "./command.ts";

const DISK_BYTES: number = 16 << 20;
/** What the network writes is far less before the disk is full. */
const CALLS_MAX = 2_000;
const BLOCK_BYTES = 4_096;

export interface DiskFullReport {
  readonly log: {
    readonly answered: number;
    readonly sent: number;
    readonly code: number | null;
    readonly text: string;
  };
  readonly startWhileFull: Ended;
  readonly afterwards: { readonly count: number; readonly next: number; readonly code: number | null };
  readonly checkpoint: {
    readonly code: number | null;
    readonly text: string;
    readonly count: number;
    readonly before: number;
  };
  readonly fresh: Ended;
  readonly freshAfterwards: number | null;
}

const disk = process.argv[2] as string;
const ballast = join(disk, "ballast");

/** Leaves that much free. */
function fill(free: number): void {
  const fd = openSync(ballast, "a");
  const block = new Uint8Array(BLOCK_BYTES);
  const freeBytes = (): number => {
    const { bavail, bsize } = statfsSync(disk);
    return bavail * bsize;
  };
  try {
    while (freeBytes() > free) writeSync(fd, block);
  } finally {
    closeSync(fd);
  }
}

const relieve = (): void => rmSync(ballast, { force: true });

const identity = Ed25519KeyIdentity.generate();
const counterOn = (network: Network, id: Principal): Counter => counterAt(agentFor(network, identity), id);

async function installed(network: Network, module: Uint8Array): Promise<Principal> {
  const agent = agentFor(network, identity);
  const id = await createCanister(agent, network.effectiveCanisterId);
  await installCode(agent, id, module);
  return id;
}

/** Calls until the node ends because a block no longer fits on the disk. */
async function fillByCalls(network: Network, id: Principal): Promise<{ answered: number; sent: number }> {
  const counter = counterOn(network, id);
  for (let sent = 1; sent <= CALLS_MAX; sent++) {
    try {
      await counter.inc();
    } catch {
      return { answered: sent - 1, sent };
    }
  }
  throw new Error(`${CALLS_MAX} calls were answered with no room for them`);
}

async function scenarios(): Promise<DiskFullReport> {
  const stateDir = join(disk, "state");
  const first = await startNetwork({ stateDir });
  const id = await installed(first, fixtureModule("counter.eop"));
  fill(0);
  const calls = await fillByCalls(first, id);
  const log = { ...calls, code: await first.ended, text: first.log() };
  fill(0);
  const startWhileFull = await startUntilEnd(stateDir);
  relieve();

  const second = await startNetwork({ stateDir });
  const count = Number(await counterOn(second, id).get());
  const next = Number(await counterOn(second, id).inc());
  const afterwards = { count, next, code: await second.end("SIGTERM") };

  // A module that is in the log already and that the checkpoint of a network that stops has to take in.
  const third = await startNetwork({ stateDir });
  await installed(third, fixtureModule("wallet.eop"));
  fill(64 << 10);
  const code = await third.end("SIGTERM");
  const text = third.log();
  relieve();
  const fourth = await startNetwork({ stateDir });
  const checkpoint = { code, text, before: next, count: Number(await counterOn(fourth, id).get()) };
  await fourth.end("SIGTERM");

  const freshDir = join(disk, "fresh");
  mkdirSync(freshDir);
  fill(0);
  const fresh = await startUntilEnd(freshDir);
  relieve();
  const fifth = await startNetwork({ stateDir: freshDir });
  return { log, startWhileFull, afterwards, checkpoint, fresh, freshAfterwards: await fifth.end("SIGTERM") };
}

const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "tmpfs", disk], {
  encoding: "utf8",
});
if (mounted.status !== 0) throw new Error(`mounting a file system failed: ${mounted.stderr}`);
process.stdout.write(JSON.stringify(await scenarios()));

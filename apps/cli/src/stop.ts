/** `orrery stop`: asks the node to stop and waits until its process is gone. Nothing running is not a failure. */
import { OrreryError } from "@orrery/base";
import { type Io, jsonDocument } from "./io.ts";
import { notRunning, removeNetworkInfo, resolveStateDir, runningNetwork } from "./state-files.ts";

export interface StopOptions {
  readonly stateDir: string;
  readonly json?: true;
}

/** A node finishes its round and flushes its log; ten times what a loaded one needs. */
const STOP_TIMEOUT_MS = 60_000;
const POLL_INTERVAL_MS = 20;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function exited(pid: number): Promise<boolean> {
  const deadline = performance.now() + STOP_TIMEOUT_MS;
  while (isAlive(pid)) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
  }
  return true;
}

export async function stop(options: StopOptions, io: Io): Promise<number> {
  const stateDir = resolveStateDir(io.cwd, options.stateDir);
  const info = await runningNetwork(stateDir);
  if (info === null) {
    io.err(`${notRunning(stateDir).message}\n`);
    if (options.json === true) io.out(jsonDocument({ stopped: false }));
    return 0;
  }
  // On Windows this ends the process at once, as a power cut would: what it had confirmed is kept there too.
  process.kill(info.pid, "SIGTERM");
  if (!(await exited(info.pid))) {
    const seconds = STOP_TIMEOUT_MS / 1_000;
    throw new OrreryError(
      "stop_timeout",
      `process ${info.pid} did not stop within ${seconds} s; its log is in ${stateDir}`,
    );
  }
  // It had no time to take its description away.
  if (process.platform === "win32") removeNetworkInfo(stateDir);
  if (options.json === true) io.out(jsonDocument({ stopped: true, pid: info.pid }));
  else io.out("The network is stopped; its state is kept.\n");
  return 0;
}

/**
 * `orrery snapshot save|load FILE`: a whole network in one file, to keep or to take elsewhere. Interrupted by a signal, both leave
 * everything as it was.
 */
import { resolve } from "node:path";
import { OrreryError } from "@orrery/base";
import { type Io, jsonDocument } from "./io.ts";
import { withProgress } from "./project/progress.ts";
import { resolveStateDir } from "./state-files.ts";

export interface SnapshotSaveOptions {
  readonly stateDir: string;
  readonly json?: true;
}

export interface SnapshotLoadOptions extends SnapshotSaveOptions {
  readonly clean?: true;
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/** A signal ends the work in order instead of the process at once. */
async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const abort = (signal: NodeJS.Signals): void =>
    controller.abort(
      new OrreryError("snapshot_interrupted", `${signal} came before the end; nothing was changed`),
    );
  for (const signal of SIGNALS) process.once(signal, abort);
  try {
    return await work(controller.signal);
  } finally {
    for (const signal of SIGNALS) process.off(signal, abort);
  }
}

function size(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

export async function saveNetwork(file: string, options: SnapshotSaveOptions, io: Io): Promise<number> {
  const stateDir = resolveStateDir(io.cwd, options.stateDir);
  const path = resolve(io.cwd, file);
  const { saveSnapshot } = await import("@orrery/node/snapshot");
  const report = await withProgress(io, "saving the network", () =>
    interruptible((signal) => saveSnapshot({ stateDir, file: path, signal })),
  );
  const { subnets, contentBytes, fileBytes, pid } = report;
  if (options.json === true) {
    io.out(
      jsonDocument({
        file: path,
        state_dir: stateDir,
        subnets,
        content_bytes: contentBytes,
        file_bytes: fileBytes,
        running: pid !== null,
      }),
    );
    return 0;
  }
  const how = pid === null ? "" : `, as it was at one instant; process ${pid} runs it on`;
  io.out(
    `Saved the network of ${stateDir} (${subnets} subnets, ${size(contentBytes)}) to ${path} (${size(fileBytes)})${how}.\n`,
  );
  io.out("The file holds the network's keys: give it to nobody who may not act for the network.\n");
  return 0;
}

export async function loadNetwork(file: string, options: SnapshotLoadOptions, io: Io): Promise<number> {
  const stateDir = resolveStateDir(io.cwd, options.stateDir);
  const path = resolve(io.cwd, file);
  const { loadSnapshot } = await import("@orrery/node/snapshot");
  const { subnets, contentBytes } = await withProgress(io, "loading the network", () =>
    interruptible((signal) => loadSnapshot({ file: path, stateDir, clean: options.clean === true, signal })),
  );
  if (options.json === true) {
    io.out(jsonDocument({ file: path, state_dir: stateDir, subnets, content_bytes: contentBytes }));
    return 0;
  }
  const start =
    options.stateDir === ".orrery" ? "orrery start" : `orrery start --state-dir ${options.stateDir}`;
  io.out(`Loaded the network (${subnets} subnets, ${size(contentBytes)}) into ${stateDir}.\n`);
  io.out(`Start it with: ${start}\n`);
  return 0;
}

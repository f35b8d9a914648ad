/** `orrery logs`: the node's log file, whole, its last lines, or followed as it grows. */
import { closeSync, existsSync, fstatSync, openSync, readSync, watch } from "node:fs";
import { join } from "node:path";
import { OrreryError } from "@orrery/base";
import { LOG_FILE } from "@orrery/host/directory-content";
import { type Io, jsonDocument } from "./io.ts";
import { resolveStateDir } from "./state-files.ts";

export interface LogsOptions {
  readonly stateDir: string;
  readonly lines?: number;
  readonly follow?: true;
  readonly json?: true;
}

interface Reader {
  /** What was added since the last call; from the start again when the file was begun anew. */
  read(): string;
  close(): void;
}

const CHUNK_BYTES = 65_536;

function openReader(path: string): Reader {
  const fd = openSync(path, "r");
  const chunk = new Uint8Array(CHUNK_BYTES);
  let decoder = new TextDecoder();
  let at = 0;
  return {
    read() {
      if (fstatSync(fd).size < at) {
        at = 0;
        decoder = new TextDecoder();
      }
      let text = "";
      for (;;) {
        const length = readSync(fd, chunk, 0, CHUNK_BYTES, at);
        if (length === 0) return text;
        at += length;
        text += decoder.decode(chunk.subarray(0, length), { stream: true });
      }
    },
    close: () => closeSync(fd),
  };
}

function lastLines(text: string, count: number | undefined): string {
  if (count === undefined) return text;
  const lines = text.split("\n");
  const ended = lines.at(-1) === "" ? lines.slice(0, -1) : lines;
  const kept = count === 0 ? [] : ended.slice(-count);
  return kept.length === 0 ? "" : `${kept.join("\n")}\n`;
}

/** Prints what is added until SIGINT or SIGTERM. */
function follow(path: string, reader: Reader, io: Io): Promise<void> {
  return new Promise((resolve) => {
    const watcher = watch(path, () => {
      const text = reader.read();
      if (text !== "") io.out(text);
    });
    const end = (): void => {
      watcher.close();
      resolve();
    };
    process.once("SIGINT", end);
    process.once("SIGTERM", end);
  });
}

export async function logs(options: LogsOptions, io: Io): Promise<number> {
  const stateDir = resolveStateDir(io.cwd, options.stateDir);
  const path = join(stateDir, LOG_FILE);
  if (!existsSync(path)) {
    throw new OrreryError(
      "log_missing",
      `there is no log in ${stateDir}; name the network's directory with --state-dir`,
    );
  }
  const reader = openReader(path);
  try {
    const text = lastLines(reader.read(), options.lines);
    if (options.json === true)
      io.out(jsonDocument({ lines: text.split("\n").filter((line) => line !== "") }));
    else io.out(text);
    if (options.follow === true) await follow(path, reader, io);
    return 0;
  } finally {
    reader.close();
  }
}

/**
 * `node.log`: appended to by the node, bounded by starting over when it reaches its limit. Opened only in a directory that is
 * new, empty or ours, so that a refused start leaves a foreign directory as it was.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { directoryContent, LOG_FILE } from "@orrery/host/directory-content";
import { makeDirectory } from "@orrery/host/make-directory";

/** Some 200,000 lines: days of an active node, and little beside its store. */
export const LOG_BYTES_MAX: number = 32 * 1024 * 1024;

export interface LogFile {
  readonly fd: number;
  write(line: string): void;
  close(): void;
}

/** Null when the directory cannot be made, cannot be written or is not ours: the node's own check says why. */
export function openLogFile(stateDir: string): LogFile | null {
  let fd: number;
  try {
    makeDirectory(stateDir);
    if (directoryContent(stateDir).strangers.length > 0) return null;
    fd = openSync(join(stateDir, LOG_FILE), "a", 0o600);
  } catch {
    return null;
  }
  let bytes = fstatSync(fd).size;
  return {
    fd,
    write(line) {
      try {
        if (bytes >= LOG_BYTES_MAX) {
          ftruncateSync(fd, 0);
          bytes = 0;
        }
        bytes += writeSync(fd, line);
      } catch {
        // A full disk must not take the node down through its log; the store reports it with its own code.
      }
    },
    close: () => closeSync(fd),
  };
}

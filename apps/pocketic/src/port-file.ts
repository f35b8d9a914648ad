/**
 * The port file by which clients find a server: created exclusively before anything else, so that of several servers started for one test
 * process one serves; filled with digits and a newline in one write once connections are accepted; removed at the end.
 */
import { closeSync, openSync, rmSync, writeSync } from "node:fs";

export interface PortFile {
  /** Connections are accepted from now on. */
  write(port: number): void;
  remove(): void;
}

/** Null when the file exists: another server has it. Other failures are thrown. */
export function createPortFile(path: string): PortFile | null {
  let fd: number | null;
  try {
    fd = openSync(path, "wx");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return null;
    throw error;
  }
  function close(): void {
    if (fd !== null) closeSync(fd);
    fd = null;
  }
  return {
    write(port): void {
      if (fd !== null) writeSync(fd, `${port}\n`);
      close();
    },
    remove(): void {
      close();
      rmSync(path, { force: true });
    },
  };
}

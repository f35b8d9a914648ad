/** A disk of a few MiB under the directory of one node, that can be filled: a tmpfs in the mount namespace that this process is in. */
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Violation } from "../durability/client.ts";

export interface SmallDisk {
  /** Of the node. */
  readonly place: number;
  /** Until no byte is free. */
  fill(): void;
  relieve(): void;
}

const DISK_BYTES: number = 256 << 20;
/** The unit of files on it. */
const BLOCK_BYTES = 4_096;
const MUCH_BYTES: number = 1 << 20;

/** `nodeDir`: of the node at `place`. */
export function mountSmallDisk(nodeDir: string, place: number): SmallDisk {
  mkdirSync(nodeDir, { recursive: true, mode: 0o700 });
  const argv = ["-t", "tmpfs", "-o", `size=${DISK_BYTES},mode=700`, "tmpfs", nodeDir];
  const mounted = spawnSync("mount", argv, { encoding: "utf8" });
  if (mounted.status !== 0) throw new Violation(`mounting a file system failed: ${mounted.stderr}`);
  const ballast = join(nodeDir, "ballast");
  return {
    place,
    fill(): void {
      const fd = openSync(ballast, "a");
      const free = (): number => {
        const { bavail, bsize } = statfsSync(nodeDir);
        return bavail * bsize;
      };
      try {
        for (let left = free(); left > 0; left = free())
          writeSync(fd, new Uint8Array(left > MUCH_BYTES ? MUCH_BYTES : BLOCK_BYTES));
      } catch (error) {
        // The node writes too.
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      } finally {
        closeSync(fd);
      }
    },
    relieve: () => rmSync(ballast, { force: true }),
  };
}

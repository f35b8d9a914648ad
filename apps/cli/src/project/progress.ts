/** Tells people that something takes its time: a line on standard error once it has taken a second, and what it took when it ends. */
import type { Io } from "../io.ts";

const QUIET_MS = 1_000;

export async function withProgress<T>(io: Io, what: string, work: () => Promise<T>): Promise<T> {
  const startedMs = performance.now();
  let told = false;
  const timer = setTimeout(() => {
    told = true;
    io.err(io.style("dim", `${what} …\n`));
  }, QUIET_MS);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    if (told) io.err(io.style("dim", `${what}: ${seconds} s\n`));
  }
}

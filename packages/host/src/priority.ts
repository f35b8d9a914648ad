/** Priority of threads, where the system lets a thread be told from its process: Linux. Elsewhere nothing happens. */
import { readlinkSync } from "node:fs";
import { setPriority } from "node:os";

/** About a tenth of what a thread of normal priority gets beside it. */
const LOW = 10;

/** The calling thread leaves processors to others that need them. */
export function yieldToOthers(): void {
  if (process.platform !== "linux") return;
  try {
    // "<process>/task/<thread>"; the system's call takes the number of a thread as well.
    const thread = Number(readlinkSync("/proc/thread-self").split("/").at(-1));
    if (thread !== process.pid) setPriority(thread, LOW);
  } catch {
    // A system that does not tell or does not let: the thread keeps its priority.
  }
}

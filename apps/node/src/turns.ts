/**
 * How long the main thread kept its event loop busy at a time, in processor time, which a crowded machine does not inflate: a bound from
 * above on its longest task, since a turn may hold several. Costs a timer, so only nodes that are watched measure it.
 */
const EVERY_MS = 1;
const SECONDS_PER_US = 1e-6;

export interface Turns {
  /** The longest since the last look at it, seconds. */
  takeMaxSeconds(): number;
  stop(): void;
}

export function watchTurns(): Turns {
  const cpu = (): number => {
    const { user, system } = process.threadCpuUsage();
    return user + system;
  };
  let last = cpu();
  let max = 0;
  const timer = setInterval(() => {
    const now = cpu();
    max = Math.max(max, now - last);
    last = now;
  }, EVERY_MS);
  timer.unref();
  return {
    takeMaxSeconds(): number {
      const seconds = max * SECONDS_PER_US;
      max = 0;
      return seconds;
    },
    stop: () => clearInterval(timer),
  };
}

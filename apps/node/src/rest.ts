/**
 * The pause between a round that left work behind and the one that goes on with it (docs/ARCHITECTURE.md "Rounds are driven by work"): as
 * long as the rounds before took, within bounds, by a clock that does not jump. A flood of calls between canisters takes half of the time
 * at most, and who asks in the other half waits for no round but his own.
 */

const REST_MS_MIN = 4;
const REST_MS_MAX = 20;

export interface Rest {
  /** A round begins after none. */
  begin(): void;
  /** The round ended; `over` is told when the pause is. */
  start(): void;
  end(): void;
}

export function createRest(over: () => void): Rest {
  let beganMs = performance.now();
  let timer: NodeJS.Timeout | null = null;
  const end = (): void => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  };
  return {
    begin(): void {
      beganMs = performance.now();
    },
    start(): void {
      end();
      timer = setTimeout(over, Math.min(REST_MS_MAX, Math.max(REST_MS_MIN, performance.now() - beganMs)));
    },
    end,
  };
}

/** The real world lent to the core: wall clock, randomness, inflation, logging to a stream. */
import { randomBytes } from "node:crypto";
import { gunzipSync } from "node:zlib";
import type { Clock, LogFields, Logger, LogLevel, Rng } from "@orrery/base";
import { OrreryError } from "@orrery/base";

const NS_PER_MS = 1_000_000n;

export const systemClock: Clock = {
  now: () => BigInt(Date.now()) * NS_PER_MS,
};

export const systemRng: Rng = {
  bytes: (length) => new Uint8Array(randomBytes(length)),
};

/** Inflates gzip of at most `bytesMax` bytes; `gzip_invalid` when malformed or larger. */
export function inflateGzip(bytes: Uint8Array, bytesMax: number): Uint8Array {
  try {
    return new Uint8Array(gunzipSync(bytes, { maxOutputLength: bytesMax }));
  } catch (cause) {
    throw new OrreryError(
      "gzip_invalid",
      `not gzip of at most ${bytesMax} bytes: ${(cause as Error).message}`,
      { cause },
    );
  }
}

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

function field(value: LogFields[string]): string {
  const text = String(value);
  return /[\s"=]/.test(text) ? JSON.stringify(text) : text;
}

/** One line a record: ISO time, level, message, `key=value` fields. */
export function createStreamLogger(options: {
  readonly write: (line: string) => void;
  readonly level: LogLevel;
  readonly fields?: LogFields;
}): Logger {
  const fixed = options.fields ?? {};
  return {
    log(level, message, fields = {}): void {
      if (LEVELS.indexOf(level) < LEVELS.indexOf(options.level)) return;
      const pairs = Object.entries({ ...fixed, ...fields })
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => ` ${key}=${field(value)}`);
      options.write(`${new Date().toISOString()} ${level.padEnd(5)} ${message}${pairs.join("")}\n`);
    },
    child(fields): Logger {
      return createStreamLogger({ ...options, fields: { ...fixed, ...fields } });
    },
  };
}

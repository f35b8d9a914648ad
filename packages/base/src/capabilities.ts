/**
 * What the world lends the core: time, randomness, logging. Declared here, implemented by `host` on a node
 * and by `sim` under test, passed in explicitly; nothing below floor 5 reaches for a global.
 */

/** Nanoseconds since 1970-01-01 as in the state tree's `/time`. */
export type TimeNs = bigint;

export interface Clock {
  /** Wall-clock time in nanoseconds. */
  now(): TimeNs;
}

export interface Rng {
  /** `length` random bytes. */
  bytes(length: number): Uint8Array;
}

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Readonly<Record<string, string | number | bigint | boolean | null | undefined>>;

/** Verb phrase plus fields, never interpolated text; never the network's bytes at `info` or above. */
export interface Logger {
  log(level: LogLevel, message: string, fields?: LogFields): void;
  child(fields: LogFields): Logger;
}

export const silentLogger: Logger = {
  log(): void {},
  child(): Logger {
    return silentLogger;
  },
};

/**
 * The one error base class and the invariant check. Expected failures are results (`Result`), outside input
 * that cannot be accepted is an `OrreryError` with a stable code (docs/errors.md), a broken invariant is an
 * `AssertionError` and crashes.
 */

export type ErrorData = Readonly<Record<string, string | number | bigint | boolean | null>>;

/**
 * Base of every error thrown on purpose. `message` says value, expectation and remedy; `code` is stable and
 * documented.
 */
export class OrreryError extends Error {
  readonly code: string;
  readonly data: ErrorData;

  constructor(code: string, message: string, options: { data?: ErrorData; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "OrreryError";
    this.code = code;
    this.data = options.data ?? {};
  }
}

/** A broken invariant of ours: never caught to go on. */
export class AssertionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "AssertionError";
  }
}

/** Crashes when an invariant does not hold. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Ends an exhaustive switch. */
export function assertNever(value: never, what: string): never {
  throw new AssertionError(`unhandled ${what}: ${JSON.stringify(value)}`);
}

/** Outcome of an operation whose failure is expected. */
export type Result<T, E> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E };

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

export function err<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error };
}

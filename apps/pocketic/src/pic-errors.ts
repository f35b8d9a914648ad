/**
 * What an operation could not do, in the words of a PocketIC server: a variant of its error type as the Rust client's users know it from
 * their panics ("SettingTimeIntoPast((…"), which tests match parts of. Errors of the core become these by their code.
 */
import { OrreryError, principalToText } from "@orrery/base";
import { type Answer, failure } from "./answers.ts";
import { ShapeError } from "./shapes.ts";

/** An operation that failed, with the status and the text of its answer. */
export class PicError extends Error {
  readonly status: number;

  constructor(variant: string, status = 400) {
    super(variant);
    this.status = status;
  }
}

export function canisterNotFound(id: Uint8Array): PicError {
  return new PicError(`CanisterNotFound(CanisterId(${principalToText(id)}))`);
}

export function canisterIsEmpty(id: Uint8Array): PicError {
  return new PicError(`CanisterIsEmpty(CanisterId(${principalToText(id)}))`);
}

export function subnetNotFound(id: Uint8Array): PicError {
  return new PicError(`SubnetNotFound(${principalToText(id)})`);
}

export function badIngressMessage(why: string): PicError {
  return new PicError(`BadIngressMessage(${JSON.stringify(why)})`);
}

/** Codes of the core whose text is what a client should read, as the variant that it would be. */
const VARIANTS: Readonly<Record<string, string>> = {
  call_unroutable: "BadIngressMessage",
  call_pending: "BadIngressMessage",
  ingress_too_large: "BadIngressMessage",
  subnet_unknown: "BadIngressMessage",
};

/** The answer that an error of an operation makes; null when it is none that a request can cause. */
export function answerOfError(error: unknown): Answer | null {
  if (error instanceof PicError) return failure(error.status, error.message);
  if (error instanceof ShapeError) return failure(400, error.message);
  if (!(error instanceof OrreryError)) return null;
  const variant = VARIANTS[error.code];
  return failure(400, variant === undefined ? error.message : `${variant}(${JSON.stringify(error.message)})`);
}

/** Runs `what`; an error of the core with the code becomes the given one. */
export function mapping<T>(
  errors: Readonly<Record<string, (error: OrreryError) => PicError>>,
  what: () => T,
): T {
  try {
    return what();
  } catch (error) {
    if (!(error instanceof OrreryError)) throw error;
    const made = Object.hasOwn(errors, error.code) ? errors[error.code] : undefined;
    throw made === undefined ? error : made(error);
  }
}

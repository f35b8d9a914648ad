/** Floor 0: the vocabulary that every package shares. */
export * from "./bytes.ts";
export * from "./candid.ts";
export * from "./capabilities.ts";
export * from "./cbor.ts";
export * from "./errors.ts";
export * from "./leb128.ts";
export * from "./messages.ts";
export * from "./principal.ts";
export * from "./requests.ts";
export * from "./responses.ts";
export { textAt } from "./short-text.ts";
export { timeToText } from "./time-text.ts";

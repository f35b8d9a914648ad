/** What cases expect of outcomes; a failure shows the whole outcome. */
import assert from "node:assert/strict";
import { hex, numberOf, numbersOf, parseRelayed, type Relayed, textOf } from "./bytes.ts";
import type { Outcome } from "./wire.ts";

export interface Expected {
  /** Reject code, or those that are right. */
  readonly code?: number | readonly number[];
  readonly error?: string | readonly string[];
  readonly text?: RegExp | string;
  readonly from?: "state" | "submission" | "query";
}

export function show(outcome: Outcome): string {
  if (outcome.kind !== "replied") return JSON.stringify(outcome);
  return `replied ${outcome.reply.length} bytes: ${hex(outcome.reply.subarray(0, 64))}`;
}

/** The reply; anything else fails. */
export function replied(outcome: Outcome): Uint8Array {
  if (outcome.kind !== "replied") assert.fail(`expected a reply: ${show(outcome)}`);
  return outcome.reply;
}

export function repliedNumber(outcome: Outcome, expected: number | bigint): void {
  assert.equal(numberOf(replied(outcome)), BigInt(expected));
}

export function repliedNumbers(outcome: Outcome, ...expected: readonly (number | bigint)[]): void {
  assert.deepEqual(numbersOf(replied(outcome)), expected.map(BigInt));
}

export function repliedText(outcome: Outcome, expected: string): void {
  assert.equal(textOf(replied(outcome)), expected);
}

export function repliedBytes(outcome: Outcome, expected: Uint8Array): void {
  assert.equal(hex(replied(outcome)), hex(expected));
}

function among<T>(actual: T, expected: T | readonly T[], outcome: Outcome): void {
  const all = Array.isArray(expected) ? (expected as readonly T[]) : [expected as T];
  assert.ok(all.includes(actual), `expected ${all.join(" or ")}: ${show(outcome)}`);
}

function matches(text: string, expected: RegExp | string | undefined): void {
  if (expected === undefined) return;
  const fits = typeof expected === "string" ? text.includes(expected) : expected.test(text);
  assert.ok(fits, `expected the text ${expected} in:\n${text}`);
}

/** A reject with the given code, error code and text. */
export function rejected(outcome: Outcome, expected: Expected): void {
  if (outcome.kind !== "rejected")
    assert.fail(`expected a reject ${JSON.stringify(expected)}: ${show(outcome)}`);
  if (expected.code !== undefined) among(outcome.code, expected.code, outcome);
  if (expected.error !== undefined) among(outcome.error ?? "none", expected.error, outcome);
  if (expected.from !== undefined) among(outcome.from, expected.from, outcome);
  matches(outcome.message, expected.text);
}

/** A reject because of a trap by the System API's rules (IC0504) or of the engine (IC0502). */
export function trapped(outcome: Outcome, text: RegExp | string, error = "IC0504"): void {
  rejected(outcome, { code: 5, error, text });
}

/** An HTTP status other than 200 and 202, with its text. */
export function refused(outcome: Outcome, status: number | readonly number[], text?: RegExp | string): void {
  if (outcome.kind !== "refused") assert.fail(`expected HTTP ${status}: ${show(outcome)}`);
  among(outcome.status, status, outcome);
  matches(outcome.text, text);
}

/** What a relayed call came back with: a reply. */
export function relayedReply(outcome: Outcome): Uint8Array {
  const relayed = relayedOf(outcome);
  if (relayed.kind !== "reply") assert.fail(`expected the callee's reply: ${JSON.stringify(relayed)}`);
  return relayed.data;
}

/** What a relayed call came back with: a reject. */
export function relayedReject(
  outcome: Outcome,
  code: number | readonly number[],
  text?: RegExp | string,
): void {
  const relayed = relayedOf(outcome);
  if (relayed.kind !== "reject") assert.fail(`expected the callee's reject: reply ${hex(relayed.data)}`);
  among(relayed.code, code, outcome);
  matches(relayed.message, text);
}

function relayedOf(outcome: Outcome): Relayed {
  return parseRelayed(replied(outcome));
}

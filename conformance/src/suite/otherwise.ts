/**
 * What a network does otherwise than the specification on purpose: sentences of cases that fail there, and why. Such a list is held to
 * both ways: a case that fails must be in it, and a sentence in it must be that of a case, which fails.
 */
import { declaredCases } from "./case.ts";
import type { CaseResult } from "./run.ts";

/** What is otherwise on purpose, by sentence, each with its reason. */
export type Otherwise = ReadonlyMap<string, string>;

export const sentenceOf = ({ section, title }: Pick<CaseResult, "section" | "title">): string =>
  `${section}: ${title}`;

export interface Verdict {
  /** Failed and not expected to: the sentence and what went wrong. */
  readonly failed: readonly string[];
  /** Failed as the list says: the sentence and its reason. */
  readonly expected: readonly string[];
  /** Entries of the list that are wrong. */
  readonly stale: readonly string[];
}

/** Judges the results of a run, of all cases or of some: entries whose case was not run are checked for being a case's only. */
export function judge(results: readonly CaseResult[], otherwise: Otherwise = new Map()): Verdict {
  const failed = results.filter(({ status }) => status === "failed");
  const passed = new Set(results.filter(({ status }) => status === "passed").map(sentenceOf));
  const declared = new Set(declaredCases().map(sentenceOf));
  return {
    failed: failed
      .filter((one) => !otherwise.has(sentenceOf(one)))
      .map((one) => `${sentenceOf(one)}\n${one.reason}`),
    expected: failed
      .map(sentenceOf)
      .filter((sentence) => otherwise.has(sentence))
      .map((sentence) => `${sentence}: ${otherwise.get(sentence)}`),
    stale: [...otherwise.keys()].flatMap((sentence) => {
      if (!declared.has(sentence)) return [`${sentence}: there is no such case`];
      return passed.has(sentence) ? [`${sentence}: passed and is said to be otherwise`] : [];
    }),
  };
}

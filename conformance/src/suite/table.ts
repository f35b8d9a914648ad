/** Counts of cases by section, for the README and for the command's last words. */
import { type Case, SECTIONS } from "./case.ts";
import type { CaseResult } from "./run.ts";

/** The table of `conformance/README.md`: every section that has cases, and their sum. */
export function countsTable(cases: readonly Case[]): string {
  const lines = ["| section | cases |", "|---|---:|"];
  for (const section of SECTIONS) {
    const count = cases.filter((one) => one.section === section).length;
    if (count > 0) lines.push(`| ${section} | ${count} |`);
  }
  lines.push(`| **all** | **${cases.length}** |`);
  return lines.join("\n");
}

export function summary(results: readonly CaseResult[]): string {
  const count = (status: CaseResult["status"]): number =>
    results.filter((one) => one.status === status).length;
  return `${results.length} cases: ${count("passed")} passed, ${count("failed")} failed, ${count("not run")} not run`;
}

/** The specification map is complete: every section that states something to implement has a row with a file and a test. */
import type { Repository } from "../repository.ts";
import type { Problem, Rule } from "./rule.ts";
import { SPEC_SECTIONS } from "./spec-sections.ts";

const PATH = "docs/spec-map.md";

export const specMap: Rule = {
  name: "spec-map",
  check(repository: Repository): Problem[] {
    const text = repository.text(PATH);
    if (text === undefined) return [{ path: PATH, message: "is missing: it says where each section lives" }];
    const rows = new Map<string, { readonly line: number; readonly cells: readonly string[] }>();
    for (const [index, line] of text.split("\n").entries()) {
      const [, titles = "", ...cells] = line.split("|").map((cell) => cell.trim());
      for (const title of titles.split("; ")) rows.set(title, { line: index + 1, cells });
    }
    return SPEC_SECTIONS.flatMap((title): Problem[] => {
      const row = rows.get(title);
      if (row === undefined) return [{ path: PATH, message: `has no row for the section "${title}"` }];
      const [files = "", tests = ""] = row.cells;
      if (!/`[^`]+`/.test(files))
        return [{ path: PATH, line: row.line, message: `names no file for "${title}"` }];
      if (!/`[^`]+\.test\.ts`/.test(tests))
        return [{ path: PATH, line: row.line, message: `names no test for "${title}"` }];
      return [];
    });
  },
};

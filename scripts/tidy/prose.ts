/** Prose that must stay true: links that resolve, package pages with their headings, a specification map whose files exist. */
import type { Repository } from "../repository.ts";
import { resolve } from "./floors.ts";
import type { Problem, Rule } from "./rule.ts";
import { isFixture, sourcesOf } from "./source.ts";

const SPEC_MAP = "docs/spec-map.md";
const HEADINGS = ["Owns", "Does not own", "Invariants", "Spec sections", "How it is tested"];

/** Relative links of every Markdown page, and the code spans of the specification map, name things that exist. */
export const links: Rule = {
  name: "links",
  check(repository: Repository): Problem[] {
    const existing = new Set<string>();
    for (const path of repository.paths) {
      const parts = path.split("/");
      for (let count = 1; count <= parts.length; count++) existing.add(parts.slice(0, count).join("/"));
    }
    const problems: Problem[] = [];
    for (const path of repository.paths.filter((name) => name.endsWith(".md") && !isFixture(name))) {
      for (const [index, line] of (repository.text(path) ?? "").split("\n").entries()) {
        for (const [, target] of line.matchAll(/\]\(([^)\s]+)\)/g)) {
          if (target === undefined || /^([a-z]+:|#)/.test(target)) continue;
          const file = resolve(path, target.replace(/#.*$/, ""));
          if (!existing.has(file))
            problems.push({ path, line: index + 1, message: `links to ${target}, which does not exist` });
        }
        if (path !== SPEC_MAP) continue;
        for (const [, span] of line.matchAll(/`((?:packages|apps|conformance|canisters)\/[^`\s]+)`/g)) {
          if (span !== undefined && !existing.has(span.replace(/\/$/, ""))) {
            problems.push({ path, line: index + 1, message: `names ${span}, which does not exist` });
          }
        }
      }
    }
    return problems;
  },
};

export const readmes: Rule = {
  name: "readmes",
  check(repository: Repository): Problem[] {
    const problems: Problem[] = [];
    for (const manifest of repository.paths.filter((path) => /^packages\/[^/]+\/package\.json$/.test(path))) {
      const path = manifest.replace("package.json", "README.md");
      const text = repository.text(path);
      if (text === undefined) {
        problems.push({ path, message: "is missing: every package says what it owns" });
        continue;
      }
      for (const heading of HEADINGS) {
        if (!text.split("\n").includes(`## ${heading}`))
          problems.push({ path, message: `has no heading "## ${heading}"` });
      }
    }
    return problems;
  },
};

/** A file in a `fixtures` folder is named by some source, itself or by a folder of its path. */
export const fixtures: Rule = {
  name: "fixtures",
  check(repository: Repository): Problem[] {
    const texts = [
      ...sourcesOf(repository).map(({ text }) => text),
      ...repository.paths
        .filter((path) => /\.(json|sh)$/.test(path))
        .map((path) => repository.text(path) ?? ""),
    ];
    const problems: Problem[] = [];
    for (const path of repository.paths.filter(isFixture)) {
      const inside = path.replace(/^.*?(^|\/)(fixtures|vectors)\//, "").split("/");
      const file = inside.at(-1) as string;
      const names = [...inside.slice(0, -1), file, file.replace(/\.[\s\S]*$/, "")];
      const isMentioned = names.some((name) => texts.some((text) => mentions(text, name)));
      if (!isMentioned && file !== "README.md")
        problems.push({ path, message: "no source names this fixture: remove it" });
    }
    return problems;
  },
};

function mentions(text: string, name: string): boolean {
  for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, at + 1)) {
    if (/["'`/]/.test(text[at - 1] ?? "") && /["'`/.]/.test(text[at + name.length] ?? "")) return true;
  }
  return false;
}

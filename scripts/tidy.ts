/**
 * `npm run tidy`: what linters cannot see. Each rule is a function from the repository to problems, with a test that plants the fault
 * it looks for (scripts/tidy/*.test.ts). Prints every problem and exits 1 when there is one.
 */
import { openRepository, REPOSITORY_ROOT } from "./repository.ts";
import { errors } from "./tidy/errors.ts";
import { floors, importForm } from "./tidy/floors.ts";
import { header, markers, words } from "./tidy/form.ts";
import { fixtures, links, readmes } from "./tidy/prose.ts";
import { purity } from "./tidy/purity.ts";
import type { Rule } from "./tidy/rule.ts";
import { size } from "./tidy/size.ts";
import { specMap } from "./tidy/spec-map.ts";
import { systems } from "./tidy/systems.ts";

const RULES: readonly Rule[] = [
  floors,
  importForm,
  purity,
  header,
  markers,
  words,
  size,
  errors,
  links,
  readmes,
  fixtures,
  specMap,
  systems,
];

const repository = openRepository(REPOSITORY_ROOT);
let count = 0;
for (const rule of RULES) {
  for (const { path, line, message } of rule.check(repository)) {
    count++;
    console.log(`${path}${line === undefined ? "" : `:${line}`} [${rule.name}] ${message}`);
  }
}
if (count > 0) {
  console.log(`tidy: ${count} problem${count === 1 ? "" : "s"}`);
  process.exitCode = 1;
} else {
  console.log(`tidy: ${RULES.length} rules, ${repository.paths.length} files, no problem`);
}

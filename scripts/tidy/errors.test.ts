import assert from "node:assert/strict";
import { test } from "node:test";
import { repositoryOf } from "../repository.ts";
import { errors } from "./errors.ts";

function page(...codes: string[]): string {
  return `# Errors\n\n| code | meaning |\n|---|---|\n${codes.map((code) => `| \`${code}\` | text |\n`).join("")}`;
}

function messages(files: Record<string, string>): string[] {
  return errors.check(repositoryOf(files)).map(({ path, line, message }) => `${path}:${line} ${message}`);
}

const path = "packages/base/src/a.ts";

test("a code that the page does not list is found where it is thrown", () => {
  const found = messages({ [path]: '\nthrow new OrreryError("port_taken", "…");', "docs/errors.md": page() });
  assert.deepEqual(found, [`${path}:2 error code port_taken is not listed in docs/errors.md`]);
});

test("a listed code that nothing uses and a page out of order are found", () => {
  const found = messages({
    [path]: 'new OrreryError("b", ""); new OrreryError("a", "");',
    "docs/errors.md": page("b", "a", "c"),
  });
  assert.match(found.join("\n"), /errors.md:6 a is out of alphabetical order/);
  assert.match(found.join("\n"), /errors.md:7 c is listed but no source uses it/);
  assert.equal(found.length, 2);
});

test("codes are read through choices, helper functions and helpers of helpers in other files", () => {
  const found = messages({
    [path]: `
      export function fail(code: string, text: string) { throw new OrreryError(code, text); }
      const failAt = (line: number, code: string) => fail(code, String(line));
      failAt(1, "one");
      new OrreryError(isFull ? "two" : "three", "");
      class Rejected extends OrreryError { constructor() { super("six", ""); } }
      class Other extends Thing { constructor() { super("no code"); } }
    `,
    "packages/base/src/b.ts": 'import { fail } from "./a.ts";\nfail("four", "");',
    "packages/crypto/src/c.ts": 'import { fail } from "@orrery/base";\nfail("five", "");',
    "packages/crypto/src/d.ts": 'function fail(text: string) {}\nfail("not a code");',
    "docs/errors.md": page("five", "four", "one", "six", "three", "two"),
  });
  assert.deepEqual(found, []);
});

test("an error passed on with its own code is fine, a computed code is found", () => {
  for (const text of [
    'new OrreryError(received.code, "");',
    'const { code } = x; new OrreryError(code, "");',
  ]) {
    assert.deepEqual(messages({ [path]: text, "docs/errors.md": page() }), [], text);
  }
  const local = messages({
    [path]: 'const code = x(); new OrreryError(code, "");',
    "docs/errors.md": page(),
  });
  assert.match(local[0] ?? "", /neither a literal nor a parameter/);
  const found = messages({ [path]: 'new OrreryError("a_" + kind, "");', "docs/errors.md": page() });
  assert.match(found[0] ?? "", /neither a literal nor a parameter/);
});

test("tests may make up codes", () => {
  assert.deepEqual(
    messages({ "packages/base/src/a.test.ts": 'new OrreryError("made_up", "");', "docs/errors.md": page() }),
    [],
  );
});

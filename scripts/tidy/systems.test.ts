import assert from "node:assert/strict";
import { test } from "node:test";
import { repositoryOf } from "../repository.ts";
import { systems } from "./systems.ts";

const ATTRIBUTES = { ".gitattributes": "* text=auto eol=lf\n" };
const SOURCE = "apps/cli/src/a.ts";

function messages(files: Readonly<Record<string, string>>): readonly string[] {
  return systems
    .check(repositoryOf({ ...ATTRIBUTES, ...files }))
    .map(({ path, message }) => `${path}: ${message}`);
}

function assertFound(files: Readonly<Record<string, string>>, text: RegExp): void {
  const found = messages(files);
  assert.equal(found.length, 1, JSON.stringify([files, found]));
  assert.match(found[0] as string, text);
}

test("names that Windows refuses, shortens or takes for devices are found", () => {
  for (const name of [
    "docs/a:b.md",
    "docs/why?.md",
    "docs/a*b",
    "docs/a|b",
    'docs/"a"',
    "docs/a<b",
    "docs/a\\b",
    "docs/a\tb",
  ])
    assertFound({ [name]: "" }, /refuses the name/);
  for (const name of ["docs/end.", "docs/folder /a.md"]) assertFound({ [name]: "" }, /drops the end/);
  for (const name of ["docs/con", "docs/aux.md", "docs/LPT1.txt", "nul/a"])
    assertFound({ [name]: "" }, /device on Windows/);
  assertFound({ [`docs/${"a".repeat(200)}`]: "" }, /205 letters/);
  assert.deepEqual(messages({ "docs/console.md": "", "docs/com.md": "", "docs/a-b_c.1.md": "" }), []);
});

test("names that differ by case only are found, of files and of folders", () => {
  assertFound({ "docs/Readme.md": "", "docs/readme.md": "" }, /differ by case only/);
  assertFound({ "docs/a.md": "", "Docs/b.md": "" }, /differ by case only/);
});

test("line endings: git is told, and files have those of Unix", () => {
  assert.match(systems.check(repositoryOf({}))[0]?.message ?? "", /text=auto eol=lf/);
  assertFound({ "docs/a.md": "one\r\ntwo\r\n" }, /CR LF/);
});

test("scripts of a shell are found, and npm scripts that need one", () => {
  for (const first of ["#!/bin/sh", "#!/usr/bin/env bash", "#!/bin/zsh"])
    assertFound({ "scripts/a": `${first}\n` }, /script of a POSIX shell/);
  assert.deepEqual(messages({ "bin/pocket-ic": "#!/bin/sh\n", "scripts/a.ts": "#!/usr/bin/env node\n" }), []);
  const script = (command: string): Record<string, string> => ({
    "examples/x/package.json": JSON.stringify({ scripts: { go: command } }),
  });
  for (const command of [
    "rm -rf dist",
    "tsc && cp a b",
    "PORT=1 vite",
    "echo $HOME",
    "node -e 'x'",
    "a; b",
    "./run",
    "vite &",
  ])
    assertFound(script(command), /script go needs a POSIX shell/);
  for (const command of ["tsc && vite build", 'node -e "x"', "orrery deploy --watch"])
    assert.deepEqual(messages(script(command)), []);
});

test("shells, folders, signals, modes and users of one system are found in code", () => {
  const faults: readonly [code: string, text: RegExp][] = [
    ['spawn("/bin/sh", ["-c", "ls"]);', /not on every system: run Node\.js/],
    ['execFileSync("bash", ["x"]);', /not on every system: run Node\.js/],
    ['spawn("npm", ["run"], { shell: true });', /pass the arguments as a list/],
    ['execSync("ls | wc");', /use execFile/],
    [`const folder = "/${"tmp"}/x";`, /\/tmp\/x is not on every system/],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the planted code has a template.
    ["const folder = `/var/tmp/${name}`;", /\/var\/tmp\/ is not on every system/],
    ['const path = "C:\\\\temp";', /is not on every system/],
    ['const path = new URL("./a", import.meta.url).pathname;', /use fileURLToPath/],
    ['process.kill(pid, "SIGTERM");', /knows no signals/],
    ['child.kill("x", "SIGINT");', /knows no signals/],
    ["chmodSync(path, 0o755);", /file modes/],
    ["const open = statSync(path).mode & 0o077;", /file modes/],
    ["const root = process.getuid() === 0;", /no getuid on Windows/],
  ];
  for (const [code, text] of faults) {
    const expected = code.includes('"/bin/sh"') ? 2 : 1;
    const found = messages({ [SOURCE]: `${code}\n` });
    assert.equal(found.length, expected, `${code}\n${found.join("\n")}`);
    assert.match(found.join("\n"), text, code);
    const asking = `if (process.platform !== "win32") go();\n${code}\n`;
    if (!/pathname|shell: true|execSync/.test(code))
      assert.deepEqual(messages({ [SOURCE]: asking }), [], asking);
  }
});

test("what is the same everywhere passes", () => {
  for (const code of [
    'spawn(process.execPath, ["a.js"]);',
    "process.kill(pid, 0);",
    "const root = process.getuid?.() === 0;",
    'const url = new URL("/api", base).pathname;',
    'const path = "/api/v2/status";',
    'const match = /x/.exec("sh");',
    "worker.kill(job);",
  ])
    assert.deepEqual(messages({ [SOURCE]: `${code}\n` }), [], code);
  // A test kills what it started, and needs a folder that the system refuses.
  const test = 'child.kill(pid, "SIGKILL");\nconst refused = "/proc/x";\n';
  assert.deepEqual(messages({ "apps/cli/src/a.test.ts": test }), []);
});

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { renderDiagnostic } from "./diagnostics.ts";
import { chooseCanisters, findProject, readProject } from "./manifest.ts";
import { motokoPackages } from "./motoko-packages.ts";

const scratch = mkdtempSync(join(tmpdir(), "orrery-project-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
let projects = 0;

function project(files: Readonly<Record<string, string>>): string {
  const root = join(scratch, `p${projects++}`);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  return root;
}

const refused = (yaml: string): string => {
  const root = project({ "icp.yaml": yaml });
  try {
    readProject(root);
  } catch (error) {
    assert.equal((error as { code?: string }).code, "project_invalid", String(error));
    return (error as Error).message;
  }
  throw new Error(`not refused:\n${yaml}`);
};

test("project: canisters in place and in files, recipes and steps, arguments in every form", () => {
  const root = project({
    "icp.yaml": `
networks:
  - { name: local, mode: connected, url: "http://127.0.0.1:8000", root-key: fetch }
canisters:
  - name: backend
    recipe: { type: "@dfinity/motoko@v4.0.0", configuration: { main: src/main.mo, args: "-W M0223" } }
    init_args: "(5)"
    settings: { memory_allocation: 1GiB }
  - canisters/*
`,
    "canisters/web/canister.yaml": `
name: web
build: { steps: [{ type: pre-built, path: web.wasm, sha256: AB }, { type: script, command: echo hi }] }
init_args: { value: 4449444c0000, format: hex }
upgrade_args: { path: args.txt }
sync: { steps: [{ type: script, commands: [echo a, echo b] }] }
`,
    "canisters/web/args.txt": "(opt 1)\n",
  });
  const { canisters, networks } = readProject(root);
  assert.deepEqual(networks, [{ name: "local", mode: "connected", url: "http://127.0.0.1:8000" }]);
  assert.deepEqual(
    canisters.map(({ name, directory }) => [name, directory]),
    [
      ["backend", root],
      ["web", join(root, "canisters/web")],
    ],
  );
  const [backend, web] = canisters;
  assert.deepEqual(backend?.plan, { kind: "motoko", main: "src/main.mo", args: "-W M0223", candid: null });
  assert.deepEqual(backend?.upgradeArgs, { text: "(5)", format: "candid" });
  assert.deepEqual(web?.initArgs, { text: "4449444c0000", format: "hex" });
  assert.deepEqual(web?.upgradeArgs, { text: "(opt 1)", format: "candid" });
  assert.deepEqual(web?.sync, ["echo a", "echo b"]);
  assert.deepEqual(web?.plan, {
    kind: "steps",
    steps: [
      { kind: "pre-built", path: "web.wasm", sha256: "ab" },
      { kind: "script", commands: ["echo hi"] },
    ],
  });
  assert.equal(findProject(join(root, "canisters/web")), root);
  assert.deepEqual(
    chooseCanisters({ root, canisters, networks }, ["web"]).map(({ name }) => name),
    ["web"],
  );
  assert.throws(
    () => chooseCanisters({ root, canisters, networks }, ["moon"]),
    /no canister moon.*backend, web/,
  );
});

test("project: what is wrong is told with its place", () => {
  assert.match(refused("canisters: [{"), /not YAML/);
  assert.match(refused("- a"), /names with values/);
  assert.match(refused("canisters: 5"), /canisters must be a list/);
  assert.match(refused("canisters: [{ build: {} }]"), /canister 1.*name is missing/);
  assert.match(refused("canisters: [{ name: a }]"), /canister a: build or recipe/);
  assert.match(refused("canisters: [{ name: a, build: { steps: [] } }]"), /build.steps is empty/);
  assert.match(
    refused("canisters: [{ name: a, build: { steps: [{ type: dream }] } }]"),
    /"dream".*script or pre-built/,
  );
  assert.match(
    refused("canisters: [{ name: a, build: { steps: [{ type: pre-built, url: 'https://x.test' }] } }]"),
    /behind a URL/,
  );
  assert.match(
    refused('canisters: [{ name: a, recipe: { type: "@dfinity/rust@v3" } }]'),
    /@dfinity\/rust@v3/,
  );
  assert.match(refused("canisters: [nowhere/*]"), /no file matches nowhere/);
  const twice = "{ name: a, build: { steps: [{ type: script, command: x }] } }";
  assert.match(refused(`canisters: [${twice}, ${twice}]`), /two canisters have the name a/);
  assert.match(refused("networks: [{ name: x, mode: dream }]"), /managed or connected/);
  assert.throws(() => findProject(scratch), { code: "project_missing" });
});

test("project: Motoko's packages are found where mops keeps them, or at their path, with their own", () => {
  const root = project({
    "mops.toml": '[dependencies]\ncore = "9.9.9"\nmap = "1.2.3"\nmine = "./lib/mine"\n',
    ".mops/map@1.2.3/src/lib.mo": "module {}",
    ".mops/map@1.2.3/mops.toml": '[dependencies]\nbits = "0.1.0"\n',
    ".mops/bits@0.1.0/src/lib.mo": "module {}",
    "lib/mine/src/lib.mo": "module {}",
  });
  assert.deepEqual(
    [...motokoPackages(root).found],
    [
      ["map", join(root, ".mops/map@1.2.3/src")],
      ["bits", join(root, ".mops/bits@0.1.0/src")],
      ["mine", join(root, "lib/mine/src")],
    ],
  );
  assert.deepEqual(motokoPackages(root).local, [join(root, "lib/mine")]);
  assert.deepEqual([...motokoPackages(project({ "icp.yaml": "" })).found], []);
  const lacking = '[dependencies]\nmoon = "1.0.0"\ncore = "1.0.0"\nsun = "./sun"\n';
  const { found, missing } = motokoPackages(project({ "mops.toml": lacking }));
  assert.deepEqual([...found], []);
  assert.deepEqual([...missing.keys()], ["moon", "sun"]);
  assert.match(missing.get("moon") ?? "", /moon 1\.0\.0, which is not there.*mops install/);
  assert.match(missing.get("sun") ?? "", /sun at \.\/sun, and there is nothing at/);
  assert.throws(() => motokoPackages(project({ "mops.toml": "[depend" })), /not TOML/);
});

test("project: a diagnostic shows its line, and a caret under the place", () => {
  const root = project({ "src/main.mo": 'actor {\n\tlet x : Nat = "a";\n}\n' });
  const shown = renderDiagnostic(
    {
      source: "src/main.mo",
      severity: "error",
      code: "M0050",
      message: "literal of type\n  Text",
      start: { line: 1, character: 15 },
      end: { line: 1, character: 18 },
    },
    root,
    (_, text) => text,
  );
  const expected = [
    "src/main.mo:2:16: error [M0050] literal of type\n  Text",
    '2 |     let x : Nat = "a";',
    "  |                   ^^^",
    "",
  ];
  assert.equal(shown, expected.join("\n"));
});

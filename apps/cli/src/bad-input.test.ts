/** Every command with input that is wrong: a stable code, the value, what was expected or what to do, and never a stack. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { runIn } from "./run.testkit.ts";

const scratch = mkdtempSync(join(tmpdir(), "orrery-bad-"));
const server = createServer();
let takenPort = 0;

before(async () => {
  await new Promise<void>((resolve) => void server.listen({ port: 0, host: "127.0.0.1" }, resolve));
  takenPort = (server.address() as { readonly port: number }).port;
});
after(() => {
  server.close();
  rmSync(scratch, { recursive: true, force: true });
});

/** A folder with these files. */
function folder(files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(scratch, "in-"));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(path, name, ".."), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  return path;
}

const YAML = "canisters:\n  - name: backend\n    recipe: {}\n";
const PLAIN =
  "canisters:\n  - name: backend\n    build:\n      steps:\n        - type: pre-built\n          path: a.wasm\n";

type Case = readonly [
  argv: readonly string[] | (() => readonly string[]),
  files: Readonly<Record<string, string>>,
  code: string,
  text: RegExp,
];

const CASES: readonly Case[] = [
  ...["start", "stop", "status", "logs", "trace", "env", "doctor", "build", "deploy"].map(
    (command): Case => [[command, "--moon"], {}, "usage", /unknown option '--moon'/],
  ),
  [["new"], {}, "usage", /missing required argument 'directory'/],
  [["snapshot", "save"], {}, "usage", /missing required argument 'file'/],
  [["snapshot", "load"], {}, "usage", /name the file .* or a folder with --icp/],
  [["snapshot", "load", "a", "--icp", "b"], {}, "usage", /a file, or a folder with --icp, and not both/],
  [["snapshot", "load", "a", "--as", "b"], {}, "usage", /--as belongs to --icp/],
  [
    ["snapshot", "load", "--icp", "b", "--cycles", "1.5"],
    {},
    "usage",
    /'1\.5' is invalid\. expected a whole number/,
  ],
  ...["0", "2001", "all"].map(
    (heights): Case => [
      ["node", "plan", "ceremony", "--nodes", "4", "--catch-up-interval", heights],
      {},
      "usage",
      heights === "all" ? /expected a whole number/ : /expected 1 to 2000 heights/,
    ],
  ),
  [
    () => ["start", "--port", `${takenPort}`],
    {},
    "port_taken",
    /port \d+ on 127\.0\.0\.1 is taken .*use --port \d+/,
  ],
  [
    ["start", "--port", "0"],
    { ".orrery/thesis.tex": "" },
    "state_dir_foreign",
    /thesis\.tex|not a network's/,
  ],
  [["start", "--port", "0"], { ".orrery": "a file" }, "state_dir_unwritable", /\.orrery/],
  [["start", "--system-wasm", "none"], {}, "system_wasm_invalid", /there is no folder .*none; name a folder/],
  [["status"], {}, "not_running", /no network is running from .*; start one/],
  [["logs"], {}, "log_missing", /\.orrery/],
  [["snapshot", "save", "a.orrery"], {}, "store_missing", /\.orrery/],
  [["snapshot", "load", "none"], {}, "snapshot_unusable", /none/],
  [
    ["snapshot", "load", "text"],
    { text: "no snapshot" },
    "snapshot_foreign",
    /not a snapshot .* Name another file/,
  ],
  [["snapshot", "load", "--icp", "none"], {}, "snapshot_folder_invalid", /there is no folder .*none/],
  [["snapshot", "load", "--icp", "f"], { "f/metadata.json": "{" }, "snapshot_folder_invalid", /is not JSON/],
  [["new", "Guest Book"], {}, "project_name_invalid", /"Guest Book" cannot be the name/],
  [["new", "a"], { "a/b": "" }, "project_exists", /is not empty/],
  [["build"], {}, "project_missing", /no icp\.yaml/],
  [["build"], { "icp.yaml": "canisters: [" }, "project_invalid", /icp\.yaml/],
  [["build"], { "icp.yaml": "canisters: 5" }, "project_invalid", /canisters/],
  [["build"], { "icp.yaml": YAML }, "project_invalid", /backend|recipe/],
  [["build", "moon"], { "icp.yaml": PLAIN }, "project_canister_unknown", /no canister moon; it has backend/],
  [["build"], { "icp.yaml": PLAIN }, "build_failed", /there is no module at .*a\.wasm/],
  [
    ["deploy", "--url", "http://127.0.0.1:1"],
    { "icp.yaml": PLAIN, "a.wasm": "x" },
    "network_unreachable",
    /orrery start/,
  ],
  [["deploy", "--url", "nowhere"], { "icp.yaml": PLAIN, "a.wasm": "x" }, "network_unreachable", /nowhere/],
  [
    ["deploy", "--mode", "magic"],
    {},
    "usage",
    /Allowed choices are reinstall|Allowed choices are auto, reinstall/,
  ],
];

for (const [argv, files, expected, text] of CASES) {
  const shown = typeof argv === "function" ? "start on a taken port" : argv.join(" ");
  test(`orrery ${shown} (${Object.keys(files).join(", ")}): ${expected}`, async () => {
    const words = typeof argv === "function" ? argv() : argv;
    const { code, out, err } = await runIn(folder(files), ...words, "--json");
    const shown = `${out}\n${err}`;
    const [document] = out.split("\n").filter((line) => line.startsWith("{"));
    const { error } = JSON.parse(document ?? "{}") as {
      readonly error?: { readonly code: string; readonly message: string };
    };
    assert.equal(error?.code, expected, shown);
    assert.match(error?.message ?? "", text, shown);
    assert.equal(code, expected === "usage" ? 2 : 1, shown);
    assert.doesNotMatch(err, /\n\s+at /, "a stack is for defects");
  });
}

test("a file that is far too large is refused for what it is, not read", async () => {
  const cwd = folder({ "icp.yaml": "", large: "" });
  truncateSync(join(cwd, "large"), 2 ** 33);
  const { code, out } = await runIn(cwd, "snapshot", "load", "large", "--json");
  assert.equal(code, 1);
  assert.match(out, /snapshot_foreign/);
  truncateSync(join(cwd, "icp.yaml"), 2 ** 31);
  const build = await runIn(cwd, "build", "--json");
  assert.equal(build.code, 1);
  assert.match(build.out, /project_invalid/);
});

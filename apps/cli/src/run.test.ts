import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { canisterNames } from "./canister-names.ts";
import { describeFailure } from "./failure.ts";
import { table } from "./io.ts";
import { launcherStatus } from "./launcher-status.ts";
import { openLogFile } from "./log-file.ts";
import { plain } from "./plain.ts";
import { type Outcome, runIn } from "./run.testkit.ts";
import { icpYaml } from "./stanza.ts";
import { writeNetworkInfo } from "./state-files.ts";

const directory = mkdtempSync(join(tmpdir(), "orrery-cli-"));
after(() => rmSync(directory, { recursive: true }));
/** Where the commands look unless told otherwise. */
const stateDirectory = join(directory, ".orrery");
mkdirSync(stateDirectory);

const orrery = (...argv: readonly string[]): Promise<Outcome> => runIn(directory, ...argv);

const INFO = {
  pid: process.pid,
  gateway_url: "http://127.0.0.1:8123",
  api_url: "http://127.0.0.1:8123",
  root_key: "3081",
  default_effective_canister_id: "aaaaa-aa",
  subnets: [],
};

describe("usage", () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /^Usage: orrery/],
    [["bogus"], /unknown command 'bogus'/],
    [["--bogus"], /unknown option '--bogus'/],
    [["start", "--port", "65536"], /'65536' is invalid\. expected a number from 0 to 65535/],
    [["start", "--port", "-1"], /expected a number|argument missing/],
    [["start", "--port", "8e3"], /expected a number/],
    [["start", "--port"], /argument missing/],
    [["start", "now"], /too many arguments/],
    [["start", "--subnet-admin", "nobody"], /'nobody' is invalid\. expected a principal/],
    [["start", "--subnet", "root"], /'root' is invalid\. expected one of application, system, /],
    [["stop", "--force"], /unknown option '--force'/],
    [["logs", "--lines", "many"], /expected a whole number/],
    [["trace", "--axis", "mood"], /Allowed choices are instructions, time/],
    [["trace", "--count", "-3"], /expected a whole number/],
    [["trace", "last", "first"], /too many arguments/],
    [["logs", "--follow", "--json"], /cannot be used with option '--json'/],
  ];
  for (const [argv, text] of wrong) {
    test(`orrery ${argv.join(" ")} exits 2`, async () => {
      const outcome = await orrery(...argv);
      assert.equal(outcome.code, 2);
      assert.match(outcome.err, text);
      if (!argv.includes("--json")) assert.equal(outcome.out, "");
      else assert.equal(JSON.parse(outcome.out).error.code, "usage");
    });
  }

  for (const argv of [
    ["--help"],
    ["start", "--help"],
    ["stop", "--help"],
    ["status", "--help"],
    ["logs", "--help"],
    ["--version"],
  ]) {
    test(`orrery ${argv.join(" ")} exits 0`, async () => {
      const outcome = await orrery(...argv);
      assert.equal(outcome.code, 0);
      assert.match(outcome.out, argv.includes("--version") ? /^\d+\.\d+\.\d+\n$/ : /^Usage: orrery/);
    });
  }
});

describe("without a network", () => {
  test("status exits 1 and says how to start one", async () => {
    const outcome = await orrery("status");
    assert.equal(outcome.code, 1);
    assert.match(outcome.err, /^error: no network is running from .*; start one with "orrery start"/);
  });

  test("status --json prints the error as the document", async () => {
    const outcome = await orrery("status", "--json");
    assert.equal(outcome.code, 1);
    const document = JSON.parse(outcome.out);
    assert.equal(document.v, "1");
    assert.equal(document.error.code, "not_running");
  });

  test("stop has nothing to do", async () => {
    assert.deepEqual(JSON.parse((await orrery("stop", "--json")).out), { v: "1", stopped: false });
  });

  test("a description whose process is gone counts for nothing", async () => {
    writeNetworkInfo(stateDirectory, INFO);
    assert.equal((await orrery("status")).code, 1);
    rmSync(join(stateDirectory, "node.json"));
  });
});

describe("logs", () => {
  test("all of it, its end, as JSON", async () => {
    writeFileSync(join(stateDirectory, "node.log"), "one\ntwo\nthree\n");
    assert.equal((await orrery("logs")).out, "one\ntwo\nthree\n");
    assert.equal((await orrery("logs", "-n", "2")).out, "two\nthree\n");
    assert.equal((await orrery("logs", "-n", "0")).out, "");
    assert.deepEqual(JSON.parse((await orrery("logs", "--json", "-n", "1")).out), {
      v: "1",
      lines: ["three"],
    });
    rmSync(join(stateDirectory, "node.log"));
    assert.equal((await orrery("logs")).code, 1);
  });

  test("are not written into a foreign directory", () => {
    const foreign = mkdtempSync(join(directory, "foreign-"));
    writeFileSync(join(foreign, "thesis.txt"), "");
    assert.equal(openLogFile(foreign), null);
    assert.deepEqual(readdirSync(foreign), ["thesis.txt"]);
  });

  test("begin in a new directory and go on in an old one", async () => {
    const stateDir = join(directory, "new", "state");
    for (const line of ["first\n", "second\n"]) {
      const log = openLogFile(stateDir);
      log?.write(line);
      log?.close();
    }
    assert.equal((await orrery("logs", "--state-dir", stateDir)).out, "first\nsecond\n");
  });
});

describe("failures", () => {
  const cases: readonly (readonly [unknown, string, RegExp, boolean])[] = [
    [
      Object.assign(new Error("port 1 is taken"), { code: "port_taken" }),
      "port_taken",
      /^port 1 is taken$/,
      false,
    ],
    [
      new Error("write", { cause: Object.assign(new Error("no space"), { code: "ENOSPC" }) }),
      "disk_full",
      /the disk is full/,
      false,
    ],
    [
      Object.assign(new Error("the disk is full", { cause: { code: "ENOSPC" } }), { code: "internal" }),
      "disk_full",
      /^the disk is full$/,
      false,
    ],
    [Object.assign(new Error("odd"), { code: "ERR_ODD" }), "unexpected", /^unexpected failure: odd$/, true],
    ["text", "unexpected", /^unexpected failure: text$/, false],
  ];
  for (const [error, code, message, withStack] of cases) {
    test(`${code}: ${message.source}`, () => {
      const failure = describeFailure(error);
      assert.equal(failure.code, code);
      assert.match(failure.message, message);
      assert.equal(failure.detail !== null, withStack);
    });
  }
});

test("status.json is one line with what the launcher's clients require", () => {
  const text = launcherStatus(INFO);
  assert.ok(text.endsWith("}\n") && !text.slice(0, -1).includes("\n"));
  assert.deepEqual(JSON.parse(text), {
    v: "1",
    gateway_port: 8123,
    root_key: "3081",
    default_effective_canister_id: "aaaaa-aa",
  });
});

test("the stanza names the network local, connected, with its key fetched", () => {
  assert.equal(
    icpYaml(INFO),
    "networks:\n  - name: local\n    mode: connected\n    url: http://127.0.0.1:8123\n    root-key: fetch\n",
  );
});

test("tables align their columns", () => {
  assert.equal(
    table([
      ["A", "LONG", "C"],
      ["wide", "x", "y"],
    ]),
    "A     LONG  C\nwide  x     y\n",
  );
});

describe("orrery trace", () => {
  test("where there is no network it says so", async () => {
    const { code, out, err } = await orrery("trace", "last", "--json", "--state-dir", "nowhere");
    assert.deepEqual([code, JSON.parse(out).error.code], [1, "store_missing"]);
    assert.match(err, /there is no network in .*nowhere yet/);
  });

  test("values of the library are JSON that loses nothing", () => {
    const value = { canisterId: "a", cycles: 2n ** 70n, calls: [{ argBytes: 3, trace: null }], text: "A B" };
    assert.deepEqual(plain(value), {
      canister_id: "a",
      cycles: "1180591620717411303424",
      calls: [{ arg_bytes: 3, trace: null }],
      text: "A B",
    });
  });

  test("canisters are called what the project calls them, and a file that is none names nobody", () => {
    const project = mkdtempSync(join(directory, "project-"));
    const folder = join(project, ".icp", "cache", "mappings");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "local.ids.json"), '{ "shop": "aaaaa-aa" }');
    writeFileSync(join(folder, "broken.ids.json"), "{");
    assert.deepEqual([...canisterNames(project)], [["aaaaa-aa", "shop"]]);
    assert.deepEqual([...canisterNames(directory)], []);
  });
});

/**
 * A project whose actor imports packages as mops has them: one in a folder of the project, one that mops fetched, and one that only the latter
 * imports. It is built, deployed and answers; what is not there is told by the compiler, with its place, and with what to do.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Principal } from "@icp-sdk/core/principal";
import type { Outcome } from "@orrery/host/command";
import { agentFor, type Network, startNetwork } from "./harness.ts";
import { orrery } from "./orrery.ts";
import { programAt } from "./programs.ts";

const NODE_MODULES = fileURLToPath(new URL("../../node_modules", import.meta.url));
const MAIN = "src/backend/main.mo";
/** `core` is not fetched either: it comes with the compiler. */
const PACKAGES = '[dependencies]\ncore = "1.0.0"\ntag = "1.2.3"\nshout = "./packages/shout"\n';
const FILES = {
  "mops.toml": PACKAGES,
  "packages/shout/src/lib.mo":
    'import Text "mo:core/Text";\nmodule { public func loud(t : Text) : Text { Text.toUpper(t) } };\n',
  ".mops/tag@1.2.3/mops.toml": '[dependencies]\nends = "0.1.0"\n',
  ".mops/tag@1.2.3/src/Tag.mo":
    'import Ends "mo:ends";\nmodule { public func around(t : Text) : Text { Ends.left # t # Ends.right } };\n',
  ".mops/ends@0.1.0/src/lib.mo": 'module { public let left = "<"; public let right = ">" };\n',
  [MAIN]: [
    'import Shout "mo:shout";',
    'import Tag "mo:tag/Tag";',
    "persistent actor {",
    "  public query func say(text : Text) : async Text { Tag.around(Shout.loud(text)) };",
    "};",
    "",
  ].join("\n"),
} as const;

describe("packages as mops has them", () => {
  let scratch: string;
  let root: string;
  let network: Network;
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const fails = async (...shown: readonly RegExp[]): Promise<Outcome> => {
    const failed = await orrery({ cwd: root }, "build");
    assert.equal(failed.code, 1, failed.out);
    for (const each of shown) assert.match(failed.err, each);
    return failed;
  };

  before(async () => {
    scratch = mkdtempSync(join(tmpdir(), "orrery-mops-"));
    root = join(scratch, "speech");
    const made = await orrery({ cwd: scratch }, "new", "speech");
    assert.equal(made.code, 0, made.err);
    symlinkSync(NODE_MODULES, join(root, "node_modules"), "junction");
    for (const [path, text] of Object.entries(FILES)) write(path, text);
    network = await startNetwork({ stateDir: join(root, ".orrery") });
  });
  after(async () => {
    await network.end("SIGTERM");
    rmSync(scratch, { recursive: true, force: true });
  });

  test("an actor that imports them is built, deployed and answers", async () => {
    const deployed = await orrery({ cwd: root }, "deploy", "--json");
    assert.equal(deployed.code, 0, deployed.err);
    const { canisters } = JSON.parse(deployed.out) as {
      readonly canisters: readonly { readonly id: string }[];
    };
    const backend = programAt(agentFor(network), Principal.fromText(canisters[0]?.id ?? ""), ({ IDL }) =>
      IDL.Service({ say: IDL.Func([IDL.Text], [IDL.Text], ["query"]) }),
    );
    assert.equal(await backend.call("say", "hello"), "<HELLO>");
  });

  test("one that nobody asked for is the compiler's to tell, with file and caret", async () => {
    write(MAIN, FILES[MAIN].replace('"mo:shout"', '"mo:moon"'));
    const { err } = await fails(
      /src\/backend\/main\.mo:1:1: error \[M0010\] package "moon" not defined/,
      /1 \| import Shout "mo:moon";\n {2}\| \^{22}/,
    );
    assert.doesNotMatch(err, /mops install/);
    write(MAIN, FILES[MAIN]);
  });

  test("one that was asked for and not fetched is told the same way, and how to get it", async () => {
    write("mops.toml", PACKAGES.replace("1.2.3", "2.0.0").replace("./packages/shout", "./nowhere"));
    await fails(
      /main\.mo:2:1: error \[M0010\] package "tag" not defined\n2 \| import Tag "mo:tag\/Tag";\n {2}\| \^+\n/,
      /main\.mo:1:1: error \[M0010\] package "shout" not defined/,
      /mops\.toml asks for the package tag 2\.0\.0, which is not there; fetch it with "mops install"/,
      /package shout at \.\/nowhere, and there is nothing at .*nowhere; correct the path/,
    );
    write("mops.toml", `${PACKAGES}moon = "1.0.0"\n`);
    const unused = await orrery({ cwd: root }, "build");
    assert.equal(unused.code, 0, unused.err);
    write("mops.toml", PACKAGES);
  });

  test("an error within one is shown in its own file", async () => {
    const path = ".mops/ends@0.1.0/src/lib.mo";
    write(path, readFileSync(join(root, path), "utf8").replace('">"', "5 : Text"));
    await fails(
      /\.mops\/ends@0\.1\.0\/src\/lib\.mo:1:52: error \[M0050\][\s\S]*\n1 \| module[^\n]*\n {2}\| {52}\^\n[\s\S]*lib\.mo has 1 error/,
    );
    write(path, FILES[path]);
    write(
      ".mops/tag@1.2.3/src/Tag.mo",
      FILES[".mops/tag@1.2.3/src/Tag.mo"].replace("mo:ends", "mo:ends/Gone"),
    );
    await fails(
      /\.mops\/tag@1\.2\.3\/src\/Tag\.mo:1:1: error \[M0009\] file "\.mops\/ends@0\.1\.0\/src\/Gone/,
    );
  });
});

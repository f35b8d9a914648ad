/**
 * `orrery env` as its reader uses it: what it prints, evaluated, is the whole environment of programs that were started with nothing else set. With it
 * the `icp` command, PicJS and an agent of the published library find this installation's network, launcher and server.
 */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { IC_ROOT_KEY } from "@icp-sdk/core/agent";
import { type Command, launch, refused, succeeded } from "@orrery/host/command";
import { fixturePath, type Network, startNetwork } from "./harness.ts";
import { launchOrrery } from "./orrery.ts";
import { ICP_AVAILABLE, ICP_COMMAND, nameWithoutIcp } from "./programs/icp-project.ts";

/** Where packages' names lead to what is installed. */
const HERE = fileURLToPath(new URL(".", import.meta.url));
const SHELLS = ["posix", "fish", "powershell"] as const;
const COUNTER = fixturePath("counter.eop");

type Environment = Readonly<Record<string, string>>;

/** Starts a module with the environment and no other; packages are found as this file finds them. */
const program = (env: Environment, source: string): Command =>
  launch({ cwd: HERE, env }, process.execPath, "--input-type=module", "--eval", source);

const outOf = async (command: Command): Promise<string> => (await succeeded(command)).out;

const printed = (stateDir: string, ...argv: string[]): Promise<string> =>
  outOf(launchOrrery({ cwd: HERE, env: {} }, "env", "--state-dir", stateDir, ...argv));

/** What a shell would have of the lines: a literal in single quotes, with its quotes written as each shell has it. */
function evaluate(text: string, shell: (typeof SHELLS)[number]): Environment {
  const lead = { posix: "export (\\w+)=", fish: "set -gx (\\w+) ", powershell: "\\$env:(\\w+) = " }[shell];
  const quote = shell === "powershell" ? "''" : "'\\''";
  const lines = text.trimEnd().split("\n");
  return Object.fromEntries(
    lines.map((line) => {
      const [, name, value] = new RegExp(`^${lead}'(.*)' {2}# .+$`).exec(line) ?? [];
      assert.ok(name !== undefined && value !== undefined, line);
      return [name, value.replaceAll(quote, "'")];
    }),
  );
}

describe("orrery env", () => {
  let network: Network;
  let exports: Environment;
  let scratch: string;
  before(async () => {
    network = await startNetwork();
    scratch = mkdtempSync(join(tmpdir(), "orrery-env-"));
    exports = evaluate(await printed(network.stateDir), "posix");
  });
  after(async () => {
    await network.end("SIGTERM");
    rmSync(scratch, { recursive: true, force: true });
  });

  test("says the same to every shell and to scripts; without a network, where the tools are", async () => {
    const { variables } = JSON.parse(await printed(network.stateDir, "--json")) as {
      readonly variables: Environment;
    };
    for (const shell of SHELLS)
      assert.deepEqual(evaluate(await printed(network.stateDir, "--shell", shell), shell), variables);
    assert.deepEqual(exports, variables);
    const tools = ["ICP_CLI_NETWORK_LAUNCHER_PATH", "POCKET_IC_BIN"];
    assert.deepEqual(Object.keys(exports), [...tools, "ORRERY_URL", "ORRERY_ROOT_KEY"]);
    assert.deepEqual(Object.keys(evaluate(await printed(scratch), "posix")), tools);
  });

  test("an agent finds the network, and verifies it by its key", async () => {
    const source = `
      import { Certificate, HttpAgent, lookupResultToBuffer } from "@icp-sdk/core/agent";
      import { Principal } from "@icp-sdk/core/principal";
      const agent = HttpAgent.createSync({
        host: process.env.ORRERY_URL,
        rootKey: Uint8Array.from(Buffer.from(process.env.ORRERY_ROOT_KEY, "hex")),
      });
      const canisterId = Principal.fromText("${network.document.default_effective_canister_id}");
      const path = ["time"].map((label) => new TextEncoder().encode(label));
      const { certificate } = await agent.readState(canisterId, { paths: [path] });
      const verified = await Certificate.create({
        certificate,
        rootKey: agent.rootKey,
        principal: { canisterId },
      });
      console.log(lookupResultToBuffer(verified.lookup_path(["time"])).length);
    `;
    // Nanoseconds since 1970 as LEB128.
    assert.equal(await outOf(program(exports, source)), "9\n");
    // That of the public network.
    const other = await refused(program({ ...exports, ORRERY_ROOT_KEY: IC_ROOT_KEY }, source));
    assert.match(other.err, /Certificate verification error: "Signature verification failed/);
  });

  const onPosix = { skip: process.platform === "win32" ? "PicJS starts no server there" : false };
  test("PicJS starts this installation's server and calls a canister on it", onPosix, async () => {
    const source = `
      import { PocketIc, PocketIcServer } from "@dfinity/pic";
      const server = await PocketIcServer.start();
      const pic = await PocketIc.create(server.getUrl());
      const canisterId = await pic.createCanister();
      await pic.installCode({ canisterId, wasm: ${JSON.stringify(COUNTER)} });
      const arg = Uint8Array.from([0x44, 0x49, 0x44, 0x4c, 0, 0]);
      const reply = await pic.updateCall({ canisterId, method: "inc", arg });
      console.log(Buffer.from(reply).toString("hex"));
      await pic.tearDown();
      await server.stop();
    `;
    const binary = exports["POCKET_IC_BIN"] ?? "";
    const { mode } = statSync(binary);
    try {
      assert.equal(await outOf(program(exports, source)), "4449444c00017d01\n");
    } finally {
      // PicJS makes it its owner's alone.
      chmodSync(binary, mode);
    }
  });

  if (ICP_AVAILABLE) {
    const yaml = ["canisters:", "  - name: counter", "    build:", "      steps:"];
    const preBuilt = ["        - type: pre-built", `          path: ${COUNTER}`];
    const managed = ["networks:", "  - name: local", "    mode: managed", "    gateway:", "      port: 0"];
    const project = (...lines: string[]): string => {
      const directory = mkdtempSync(join(scratch, "icp-"));
      writeFileSync(join(directory, "icp.yaml"), `${[...lines, ...yaml, ...preBuilt].join("\n")}\n`);
      return directory;
    };
    // The command keeps its own things somewhere, or has nowhere to.
    const icp = (directory: string, ...argv: string[]): Promise<string> =>
      outOf(
        launch(
          { cwd: directory, env: { ...exports, HOME: directory, DO_NOT_TRACK: "1" } },
          ICP_COMMAND,
          ...argv,
        ),
      );

    test("icp deploys and calls on the network that runs", async () => {
      const directory = project();
      const at = ["-n", exports["ORRERY_URL"] ?? "", "-k", exports["ORRERY_ROOT_KEY"] ?? ""];
      const id = (await icp(directory, "canister", "create", "--detached", "-q", ...at)).trim();
      await icp(directory, "canister", "install", id, "--wasm", COUNTER, ...at);
      assert.match(await icp(directory, "canister", "call", id, "inc", "()", ...at), /\(1 : nat\)/);
    });

    test("icp starts a network by this installation's launcher", async () => {
      const directory = project(...managed);
      try {
        await icp(directory, "network", "start", "-d");
        await icp(directory, "deploy", "-y");
        assert.match(await icp(directory, "canister", "call", "counter", "inc", "()"), /\(1 : nat\)/);
      } finally {
        await icp(directory, "network", "stop");
      }
    });
  }
  nameWithoutIcp("orrery env: the icp command");
});

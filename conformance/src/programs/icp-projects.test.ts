/**
 * The `icp` command on what a project says beside its modules: arguments, synchronization, names of canisters and environments; logs as they come
 * and of a stretch of time; identities that act for others. Linux on x64 only: there the command comes as an optional dependency.
 */
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createIcpProject, ICP_AVAILABLE, type IcpProject, nameWithoutIcp } from "./icp-project.ts";
import { shareNetwork } from "./shared-network.ts";

const shared = shareNetwork();
let project: IcpProject;

const idOf = async (name: string): Promise<string> =>
  String((await project.json("canister", "status", name))["id"]);
const calling = (...argv: readonly string[]): Promise<string> => project.succeed("canister", "call", ...argv);

/** Changes the project's description for a while. */
async function described(change: (yaml: string) => string, during: () => Promise<void>): Promise<void> {
  const path = join(project.directory, "icp.yaml");
  const yaml = readFileSync(path, "utf8");
  assert.notEqual(change(yaml), yaml);
  writeFileSync(path, change(yaml));
  try {
    await during();
  } finally {
    writeFileSync(path, yaml);
  }
}

interface LogRecord {
  readonly timestamp: string | number;
  readonly content: string;
}

if (ICP_AVAILABLE) {
  describe("icp projects", () => {
    before(async () => {
      project = createIcpProject(shared.network, {
        counter: "counter.eop",
        talker: "management.eop",
        hooks: "hooks.eop",
      });
      await project.succeed("deploy", "-y", "counter", "talker");
    });
    after(() => project.remove());

    test("logs are followed: what is said meanwhile is shown, once each", async () => {
      await calling("talker", "say", '("before")');
      const argv = ["canister", "logs", "talker", "--follow", "--interval", "1"];
      const { out } = await project.follow(argv, async (said) => {
        await said(/before/);
        await calling("talker", "say", '("during")');
        await said(/during/);
        await calling("talker", "say", '("towards the end")');
        await said(/towards the end/);
      });
      const told = [...out.matchAll(/before|during|towards the end/g)].map(([what]) => what);
      assert.deepEqual(told, ["before", "during", "towards the end"]);
      // What it rejects with quotes the command, not how it was called.
      await assert.rejects(
        project.follow(["canister", "logs", "nobody", "--follow"], (said) => said(/anything at all/)),
        /nobody/,
      );
    });

    test("logs of a stretch of time", async () => {
      const text = await project.succeed("canister", "logs", "talker", "--json");
      const parsed = JSON.parse(text) as
        | { readonly log_records?: readonly LogRecord[] }
        | readonly LogRecord[];
      const records = "log_records" in parsed ? (parsed.log_records ?? []) : (parsed as readonly LogRecord[]);
      const middle = records.find(({ content }) => content.includes("during"))?.timestamp;
      const since = await project.succeed("canister", "logs", "talker", "--since", `${middle}`);
      assert.match(since, /during[\s\S]*towards/);
      assert.doesNotMatch(since, /before/);
      const until = await project.succeed("canister", "logs", "talker", "--until", `${middle}`);
      assert.match(until, /before/);
      assert.doesNotMatch(until, /during/);
    });

    test("arguments of the project and of the command line, and those that are missing", async () => {
      assert.match(await project.refuse("deploy", "-y", "hooks"), /IC0503|arg|decod/i);
      await described(
        (yaml) => yaml.replace("- name: hooks", '- name: hooks\n    init_args: "(\\"\\")"'),
        async () => {
          await project.succeed("deploy", "-y", "hooks");
          assert.match(await calling("hooks", "counts", "()", "--query"), /updates = \d/);
        },
      );
      writeFileSync(join(project.directory, "args.txt"), '("")');
      const install = ["canister", "install", "hooks", "--mode", "reinstall", "-y"];
      await project.succeed(...install, "--args-file", "args.txt");
      await project.succeed(...install, "--args", "4449444c00017100", "--args-format", "hex");
      writeFileSync(join(project.directory, "args.bin"), Buffer.from("4449444c00017100", "hex"));
      await project.succeed(...install, "--args-file", "args.bin", "--args-format", "bin");
      await project.refuse(...install, "--args", "(5 : nat)");
    });

    test("a canister is synchronized by the project's script, told its id, with a deployment and alone", async () => {
      const script = "echo $ICP_CLI_CID >> synced.txt";
      const step = `\n    sync:\n      steps:\n        - type: script\n          command: ${script}`;
      const id = await idOf("counter");
      await described(
        (yaml) => yaml.replace("- name: counter", `- name: counter${step}`),
        async () => {
          await project.succeed("sync", "counter");
          await project.succeed("deploy", "-y", "counter");
          assert.deepEqual(readFileSync(join(project.directory, "synced.txt"), "utf8").trim().split("\n"), [
            id,
            id,
          ]);
        },
      );
    });

    test("a canister is synchronized by a plugin, which calls it, as soon as a deployment has started it", async () => {
      const plugin = fileURLToPath(new URL("./sync-plugin.wat", import.meta.url));
      copyFileSync(plugin, join(project.directory, "plugin.wasm"));
      writeFileSync(join(project.directory, "note.txt"), "from a file");
      const step = "\n    sync:\n      steps:\n        - type: plugin\n          path: plugin.wasm";
      const named = `${step}\n          files: [note.txt]`;
      const heard = async (): Promise<number> =>
        (await project.succeed("canister", "logs", "talker")).match(/from a file/g)?.length ?? 0;
      await described(
        (yaml) => yaml.replace("- name: talker", `- name: talker${named}`),
        async () => {
          await project.succeed("sync", "talker");
          assert.equal(await heard(), 1);
          await project.succeed("deploy", "-y", "talker");
          assert.equal(await heard(), 2);
          await project.succeed("canister", "stop", "talker");
          assert.match(await project.refuse("sync", "talker"), /is Stopped; .* requires it to be Running/);
          await project.succeed("canister", "start", "talker");
        },
      );
      await described(
        (yaml) => yaml.replace("- name: talker", `- name: talker${step}`),
        async () => assert.match(await project.refuse("sync", "talker"), /the step names no file/),
      );
    });

    test("canisters, networks and environments by name; an id is linked to a name", async () => {
      assert.match(await project.succeed("canister", "list"), /counter[\s\S]*talker|talker[\s\S]*counter/);
      assert.match(await project.succeed("network", "list"), /local/);
      assert.match(await project.succeed("environment", "list"), /local/);
      assert.match(await project.succeed("project", "show"), /counter/);
      assert.match(await project.succeed("network", "ping"), /replica_health_status.*healthy/s);
      const id = await project.succeed("canister", "create", "--detached", "-q");
      const own = await idOf("counter");
      await project.refuse("canister", "link", "counter", id);
      await project.succeed("canister", "link", "counter", id, "--force");
      assert.equal(await idOf("counter"), id);
      await project.succeed("canister", "link", "counter", own, "--force");
      assert.match(await calling("counter", "inc", "()"), /\(1 : nat\)/);
    });

    test("identities exported, imported, renamed and deleted are the same ones", async () => {
      await project.succeed("identity", "new", "bob", "--storage", "plaintext");
      const principal = await project.succeed("identity", "principal", "--identity", "bob");
      const pem = join(project.directory, "bob.pem");
      writeFileSync(pem, `${await project.succeed("identity", "export", "bob")}\n`);
      await project.succeed("identity", "import", "again", "--from-pem", pem, "--storage", "plaintext");
      assert.equal(await project.succeed("identity", "principal", "--identity", "again"), principal);
      await project.succeed("identity", "rename", "again", "robert");
      assert.match(await project.succeed("identity", "list"), /robert/);
      await project.succeed("identity", "delete", "robert");
      assert.doesNotMatch(await project.succeed("identity", "list"), /robert/);
    });

    test("a delegated identity acts for whoever signed, within the canisters that it was given", async () => {
      const signer = ["--identity", "carol"];
      await project.succeed("identity", "new", "carol", "--storage", "plaintext");
      const pem = join(project.directory, "session.pem");
      const asked = ["identity", "delegation", "request", "session", "--storage", "plaintext"];
      writeFileSync(pem, `${await project.succeed(...asked)}\n`);
      const chain = join(project.directory, "chain.json");
      const sign = ["identity", "delegation", "sign", "--key-pem", pem, "--duration", "1h"];
      const only = ["--canisters", await idOf("counter")];
      writeFileSync(chain, await project.succeed(...sign, ...only, ...signer));
      await project.succeed("identity", "delegation", "use", "session", "--from-json", chain);
      const session = ["--identity", "session"];
      assert.equal(
        await project.succeed("identity", "principal", ...session),
        await project.succeed("identity", "principal", ...signer),
      );
      assert.match(await calling("counter", "inc", "()", ...session), /\(2 : nat\)/);
      const refusal = await project.refuse("canister", "call", "talker", "say", '("no")', ...session);
      assert.ok(
        refusal.includes(`Canister '${await idOf("talker")}' is not one of the delegation targets.`),
        refusal,
      );
    });
  });
}
nameWithoutIcp("icp projects");

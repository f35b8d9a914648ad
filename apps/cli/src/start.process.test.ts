/** The `orrery` command as a process: starting, stopping, and every start that is refused. Free ports, temporary directories. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "orrery-start-"));
after(() => rmSync(directory, { recursive: true, force: true }));

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

interface Running {
  readonly child: ChildProcess;
  /** Resolves to what stdout holds once it holds a match. */
  readonly seen: (pattern: RegExp) => Promise<string>;
  readonly ended: Promise<Outcome>;
}

function launch(...argv: readonly string[]): Running {
  const child = spawn(process.execPath, [MAIN, ...argv], {
    cwd: directory,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const written = { out: "", err: "" };
  const waiting: (() => void)[] = [];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    written.out += text;
    for (const check of waiting) check();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    written.err += text;
  });
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, ...written }));
  return {
    child,
    ended,
    seen: (pattern) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (pattern.test(written.out)) resolve(written.out);
        };
        waiting.push(check);
        check();
        void ended.then(({ code, err }) => reject(new Error(`ended with ${code} before ${pattern}: ${err}`)));
      }),
  };
}

const orrery = (...argv: readonly string[]): Promise<Outcome> => launch(...argv).ended;

let named = 0;
const newStateDir = (): string => join(directory, `state-${named++}`);

async function startForeground(stateDir: string, ...argv: readonly string[]) {
  const running = launch("start", "--json", "--port", "0", "--state-dir", stateDir, ...argv);
  const document = JSON.parse(await running.seen(/\n/));
  return { ...running, document, port: Number(new URL(document.gateway_url).port) };
}

describe("orrery start", () => {
  test("in the foreground: answers, describes itself, stops on SIGINT with its state kept", async () => {
    const stateDir = newStateDir();
    const statusDir = join(directory, "status");
    const first = await startForeground(stateDir, "--status-dir", statusDir);
    assert.equal(first.document.v, "1");
    assert.match(first.document.root_key, /^[0-9a-f]{266}$/);
    assert.equal((await fetch(`${first.document.api_url}/api/v2/status`)).status, 200);

    const file = readFileSync(join(statusDir, "status.json"), "utf8");
    assert.ok(file.endsWith("\n"));
    assert.deepEqual(JSON.parse(file), {
      v: "1",
      gateway_port: first.port,
      root_key: first.document.root_key,
      default_effective_canister_id: first.document.default_effective_canister_id,
    });

    const status = JSON.parse((await orrery("status", "--json", "--state-dir", stateDir)).out);
    assert.equal(status.v, "1");
    assert.equal(status.healthy, true);
    assert.equal(status.root_key, first.document.root_key);
    const kinds = status.subnets.map(({ kind }: { readonly kind: string }) => kind);
    assert.deepEqual(kinds, ["system", "application"]);
    for (const { nodes, height } of status.subnets) {
      assert.equal(nodes[0].pid, first.child.pid);
      assert.equal(nodes[0].healthy, true);
      assert.equal(typeof height, "number");
    }
    assert.equal(first.document.default_effective_canister_id, "tqzl2-p7777-77776-aaaaa-cai");
    assert.equal(status.subnets[1].default_effective_canister_id, "tqzl2-p7777-77776-aaaaa-cai");

    first.child.kill("SIGINT");
    assert.equal((await first.ended).code, 0);
    assert.ok(!existsSync(join(stateDir, "node.json")));
    assert.equal((await orrery("status", "--state-dir", stateDir)).code, 1);

    const second = await startForeground(stateDir);
    assert.equal(second.document.root_key, first.document.root_key);
    second.child.kill("SIGTERM");
    assert.equal((await second.ended).code, 0);

    const cleaned = await startForeground(stateDir, "--clean");
    assert.notEqual(cleaned.document.root_key, first.document.root_key);
    cleaned.child.kill("SIGTERM");
    assert.equal((await cleaned.ended).code, 0);
  });

  test("with subnets of chosen kinds: started with them again, and with no others", async () => {
    const stateDir = newStateDir();
    const kinds = ["--subnet", "system", "--subnet", "application", "--subnet", "cloud_engine"];
    const first = await startForeground(stateDir, ...kinds);
    const names = ({ document }: typeof first): string[] =>
      document.subnets.map(({ kind }: { readonly kind: string }) => kind);
    assert.deepEqual(names(first), ["system", "system", "application", "cloud_engine"]);
    first.child.kill("SIGTERM");
    assert.equal((await first.ended).code, 0);
    for (const argv of [kinds, []]) {
      const again = await startForeground(stateDir, ...argv);
      assert.deepEqual(again.document.subnets.length, 4);
      assert.equal(again.document.root_key, first.document.root_key);
      again.child.kill("SIGTERM");
      assert.equal((await again.ended).code, 0);
    }
    const other = await orrery(
      "start",
      "--json",
      "--state-dir",
      stateDir,
      "--port",
      "0",
      "--subnet",
      "system",
    );
    assert.equal(other.code, 1);
    assert.equal(JSON.parse(other.out).error.code, "subnets_differ");
  });

  test("for people: URLs, the stanza, how to stop", async () => {
    const running = launch("start", "--port", "0", "--state-dir", newStateDir());
    const text = await running.seen(/Ctrl-C/);
    assert.match(text, /API +http:\/\/127\.0\.0\.1:\d+\n/);
    assert.match(
      text,
      /networks:\n {2}- name: local\n {4}mode: connected\n {4}url: http:\/\/127\.0\.0\.1:\d+\n {4}root-key: fetch\n/,
    );
    running.child.kill("SIGTERM");
    assert.equal((await running.ended).code, 0);
  });

  test("in the background: returns once it answers; stop, status and logs find it", async () => {
    const stateDir = newStateDir();
    const started = await orrery("start", "-d", "--json", "--port", "0", "--state-dir", stateDir);
    assert.equal(started.code, 0, started.err);
    const document = JSON.parse(started.out);
    assert.equal((await fetch(`${document.api_url}/api/v2/status`)).status, 200);
    const again = await orrery("start", "-d", "--port", "0", "--state-dir", stateDir);
    assert.equal(again.code, 1);
    assert.match(again.err, new RegExp(`in use by process ${document.pid}`));
    assert.equal((await orrery("status", "--state-dir", stateDir)).code, 0);
    const stopped = await orrery("stop", "--json", "--state-dir", stateDir);
    assert.deepEqual(JSON.parse(stopped.out), { v: "1", stopped: true, pid: document.pid });
    await assert.rejects(fetch(`${document.api_url}/api/v2/status`));
    assert.equal((await orrery("logs", "--state-dir", stateDir)).code, 0);
  });

  test("while it runs, doctor finds it well and env tells where it is; doctor finds what would hinder a start", async () => {
    const state = join(directory, "examined");
    const started = await orrery("start", "-d", "--json", "--port", "0", "--state-dir", state);
    const { api_url, root_key } = JSON.parse(started.out) as { api_url: string; root_key: string };
    try {
      const port = new URL(api_url).port;
      const well = await orrery("doctor", "--json", "--state-dir", state);
      assert.equal(well.code, 0, well.out);
      const { checks } = JSON.parse(well.out) as { checks: { name: string; state: string; text: string }[] };
      assert.match(checks.find(({ name }) => name === "network")?.text ?? "", new RegExp(api_url));
      // The check knows the format of the stores that this version writes.
      assert.match(checks.find(({ name }) => name === "state")?.text ?? "", /holds a network/);
      const { variables } = JSON.parse((await orrery("env", "--json", "--state-dir", state)).out);
      assert.equal(variables.ORRERY_URL, api_url);
      assert.equal(variables.ORRERY_ROOT_KEY, root_key);
      assert.ok(existsSync(variables.ICP_CLI_NETWORK_LAUNCHER_PATH));
      const exported = (await orrery("env", "--shell", "fish")).out;
      assert.match(exported, /^set -gx ICP_CLI_NETWORK_LAUNCHER_PATH '/);
      const taken = await orrery("doctor", "--port", port, "--state-dir", join(directory, "none"));
      assert.equal(taken.code, 1);
      assert.match(taken.out, new RegExp(`problem.*127\\.0\\.0\\.1:${port} is taken`));
    } finally {
      await orrery("stop", "--state-dir", state);
    }
  });

  test("after a kill: the lock left behind does not hinder", async () => {
    const stateDir = newStateDir();
    const first = await startForeground(stateDir);
    first.child.kill("SIGKILL");
    await first.ended;
    assert.equal((await orrery("status", "--state-dir", stateDir)).code, 1);
    const second = await startForeground(stateDir);
    assert.equal(second.document.root_key, first.document.root_key);
    second.child.kill("SIGTERM");
    assert.equal((await second.ended).code, 0);
  });
});

describe("refused starts", () => {
  /** Exit 1, one paragraph on stderr, the code in the JSON document. */
  async function refused(code: string, text: RegExp, ...argv: readonly string[]): Promise<void> {
    for (const background of [[], ["-d"]]) {
      const outcome = await orrery("start", "--json", ...argv, ...background);
      assert.equal(outcome.code, 1, outcome.err);
      const { error } = JSON.parse(outcome.out);
      assert.equal(error.code, code);
      assert.match(error.message, text);
      assert.match(outcome.err, /^error: [^\n]+\n$/m);
    }
  }

  test("a taken port: the error names a free one", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    try {
      await refused(
        "port_taken",
        new RegExp(`port ${port} on 127\\.0\\.0\\.1 is taken .*use --port \\d+`),
        "--port",
        `${port}`,
        "--state-dir",
        newStateDir(),
      );
    } finally {
      server.close();
    }
  });

  test("a locked state directory: the error names the process, which goes on", async () => {
    const stateDir = newStateDir();
    const running = await startForeground(stateDir);
    await refused(
      "state_dir_locked",
      new RegExp(`in use by process ${running.child.pid}`),
      "--port",
      "0",
      "--state-dir",
      stateDir,
    );
    assert.equal((await fetch(`${running.document.api_url}/api/v2/status`)).status, 200);
    assert.doesNotMatch(readFileSync(join(stateDir, "node.log"), "utf8"), /error/);
    running.child.kill("SIGTERM");
    assert.equal((await running.ended).code, 0);
  });

  test("a status directory that cannot be made: the start ends", async () => {
    const argv = ["--port", "0", "--state-dir", newStateDir(), "--status-dir", "/proc/orrery/status"];
    await refused("status_dir_unwritable", /check --status-dir/, ...argv);
  });

  test("a foreign directory: nothing is added to it", async () => {
    const foreign = mkdtempSync(join(directory, "foreign-"));
    writeFileSync(join(foreign, "thesis.txt"), "chapter one");
    await refused("state_dir_foreign", /thesis\.txt/, "--port", "0", "--state-dir", foreign);
    await refused("state_dir_foreign", /thesis\.txt/, "--port", "0", "--clean", "--state-dir", foreign);
    assert.deepEqual(readdirSync(foreign), ["thesis.txt"]);
  });

  test("a directory that cannot be made", async () => {
    const file = join(directory, "a-file");
    writeFileSync(file, "");
    await refused(
      "state_dir_unwritable",
      /choose another with --state-dir/,
      "--port",
      "0",
      "--state-dir",
      join(file, "state"),
    );
  });

  test("a state directory of another version: refused by name, unchanged, and discarded when told to", async () => {
    const stateDir = newStateDir();
    const running = await startForeground(stateDir);
    running.child.kill("SIGTERM");
    await running.ended;
    const identity = join(stateDir, "store", "ORRERY");
    for (const [format, code, text] of [
      [999_999, "store_newer", /newer/],
      [1, "store_older", /Begin anew with --clean/],
    ] as const) {
      const changed = readFileSync(identity, "utf8").replace(/format \d+/, `format ${format}`);
      writeFileSync(identity, changed);
      await refused(code, text, "--port", "0", "--state-dir", stateDir);
      assert.equal(readFileSync(identity, "utf8"), changed);
    }
    const cleaned = await startForeground(stateDir, "--clean");
    cleaned.child.kill("SIGTERM");
    assert.equal((await cleaned.ended).code, 0);
  });

  test("an address that is not this machine's", async () => {
    await refused(
      "listen_failed",
      /check --bind/,
      "--port",
      "0",
      "--bind",
      "192.0.2.1",
      "--state-dir",
      newStateDir(),
    );
  });
});

test("a warning when others can reach the network", async () => {
  const running = launch("start", "--port", "0", "--bind", "0.0.0.0", "--state-dir", newStateDir());
  await running.seen(/Ctrl-C/);
  running.child.kill("SIGTERM");
  assert.match(
    (await running.ended).err,
    /warning: listening on 0\.0\.0\.0: whoever reaches this machine can use the network/,
  );
});

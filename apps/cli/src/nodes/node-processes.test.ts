/** Processes of nodes as the one that started them has them, by a script in the node's place that does what each test needs. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { OrreryError } from "@orrery/base";
import { beginScript } from "../own-script.ts";
import { NodeProcesses } from "./node-processes.ts";

const directory = mkdtempSync(join(tmpdir(), "orrery-processes-"));
after(() => {
  beginScript(undefined);
  rmSync(directory, { recursive: true, force: true });
});

let named = 0;

/** One node. `life` runs in its process, with `lives` before it and `ready(port)`; each life's arguments are kept. */
function nodes(life: string, options: { readonly steadyMs?: number; readonly stopMs?: number } = {}) {
  const stateDir = mkdtempSync(join(directory, "network-"));
  const livesFile = join(stateDir, "lives");
  const path = join(directory, `node-${named++}.mjs`);
  writeFileSync(livesFile, "");
  writeFileSync(
    path,
    `import { appendFileSync, readFileSync } from "node:fs";
    const file = ${JSON.stringify(livesFile)};
    const lives = readFileSync(file, "utf8").split("\\n").length - 1;
    appendFileSync(file, process.argv.slice(2).join(" ") + "\\n");
    const ready = (port) => process.send({ kind: "ready", info: { api_url: "http://127.0.0.1:" + port } });
    const fail = (code) => process.send({ kind: "failed", code, message: code }, () => process.exit(1));
    process.on("disconnect", () => process.exit());
    ${life}`,
  );
  beginScript(path);
  const waits: number[] = [];
  const said: string[] = [];
  const ended = Promise.withResolvers<string>();
  const waiting = new Set<() => void>();
  const processes = new NodeProcesses({
    count: 1,
    stateDir,
    host: "network.example",
    ...options,
    write(_place, line) {
      said.push(line);
      if (line.includes(" is not started again")) ended.resolve(line);
      const wait = /started again in (\d+) ms/.exec(line)?.[1];
      if (wait !== undefined) waits.push(Number(wait));
      for (const check of waiting) check();
    },
    onChange: () => {},
  });
  return {
    processes,
    said,
    /** What is said when it is left alone. */
    ended: ended.promise,
    lives: () => readFileSync(livesFile, "utf8").trimEnd().split("\n"),
    /** How long the starts after so many ends wait. */
    waits: (count: number) =>
      new Promise<readonly number[]>((resolve) => {
        const check = (): void => void (waits.length >= count && resolve(waits));
        waiting.add(check);
        check();
      }),
  };
}

test("one that fails at each start waits longer each time, though it once was steady", async () => {
  const { processes, waits, lives } = nodes(
    `if (lives === 0) { ready(4001); setTimeout(() => process.exit(3), 400); } else process.exit(3);`,
    { steadyMs: 100 },
  );
  await processes.start();
  assert.deepEqual(await waits(3), [500, 1_000, 2_000]);
  await processes.stop();
  assert.equal(lives().length, 3);
});

test("one keeps its port, and takes another when somebody else has it", async () => {
  const { processes, waits, lives } = nodes(
    `if (lives === 0) { ready(4002); setTimeout(() => process.exit(3), 50); } else fail("port_taken");`,
  );
  await processes.start();
  assert.deepEqual(processes.ports([0]), [4002]);
  await waits(3);
  await processes.stop();
  const ports = lives().map((life) => /--port (\d+)/.exec(life)?.[1]);
  assert.deepEqual(ports, ["0", "4002", "0"]);
  assert.deepEqual(processes.ports([0]), []);
});

test("one is told what the network is called", async () => {
  const { processes, lives } = nodes("ready(4003);");
  await processes.start();
  await processes.stop();
  assert.match(lives()[0] ?? "", /^node run 0 .* --host network\.example/);
});

test("one that nothing mends is not started again", async () => {
  const { processes, ended, lives } = nodes(`ready(4006); setTimeout(() => fail("state_diverges"), 50);`);
  await processes.start();
  assert.match(await ended, /^node 0 ended and is not started again: state_diverges\n$/);
  assert.deepEqual(processes.ports([0]), []);
  await processes.stop();
  assert.equal(lives().length, 1);
});

test("one that stops is not asked twice", async () => {
  // As the command: the first signal stops it, the second ends it at once.
  const { processes, lives } = nodes(
    `let signals = 0;
    process.on("SIGTERM", () => process.exit(++signals));
    process.removeAllListeners("disconnect");
    process.on("disconnect", () => setTimeout(() => { appendFileSync(file, "stopped\\n"); process.exit(); }, 300));
    ready(4004);`,
  );
  await processes.start();
  const first = processes.stop();
  await processes.stop();
  await first;
  assert.equal(lives()[1], "stopped");
});

test("one that stands still is killed in the end", async () => {
  const { processes, said } = nodes(
    `process.removeAllListeners("disconnect");
    setInterval(() => {}, 1_000);
    ready(4007);`,
    { stopMs: 300 },
  );
  await processes.start();
  await processes.stop();
  assert.deepEqual(said, ["node 0 does not stop, for 300 ms now: it is killed\n"]);
});

test("one that cannot be started fails the start, and is tried again later", async () => {
  const { execPath } = process;
  const { processes, waits } = nodes(`ready(4005); setTimeout(() => process.exit(3), 50);`);
  await processes.start();
  process.execPath = join(directory, "nowhere");
  try {
    assert.deepEqual(await waits(2), [500, 1_000]);
    await processes.stop();
    await assert.rejects(
      nodes("").processes.start(),
      (error) => error instanceof OrreryError && error.code === "start_failed",
    );
  } finally {
    process.execPath = execPath;
  }
});

test("a node that left its network is not started again, and no start fails for it", async () => {
  const { processes, said, lives } = nodes('fail("node_removed");');
  try {
    await processes.start();
    assert.deepEqual(processes.infos(), [null]);
    assert.deepEqual(processes.ports([0]), []);
    assert.equal(lives().length, 1);
    assert.match(said.join(""), /node 0 ended for good/);
  } finally {
    await processes.stop();
  }
});

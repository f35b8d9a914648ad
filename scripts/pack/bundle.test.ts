import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { bundle, type Peers } from "./bundle.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "orrery-bundle-")));
after(() => rmSync(root, { recursive: true }));

const SOURCES: Readonly<Record<string, string>> = {
  "main.ts": `
    import { Worker } from "node:worker_threads";
    import { readFileSync } from "node:fs";
    import { shared } from "./shared.ts";
    const worker = new Worker(new URL("./threads/counter.ts", import.meta.url));
    worker.once("message", (answer: number) => {
      const text = readFileSync(new URL("../data/text.txt", import.meta.url), "utf8");
      const folder = readFileSync(new URL("deep.txt", new URL("../data/folder/", import.meta.url)), "utf8");
      console.log(shared(answer), text, folder);
    });
  `,
  "threads/counter.ts": `
    import { parentPort } from "node:worker_threads";
    import { shared } from "../shared.ts";
    export const restart = new URL("../main.ts", import.meta.url);
    parentPort?.postMessage(shared(20));
  `,
  "shared.ts": "export function shared(x: number): number { return x + 1; }",
};

const NO_PEERS: Peers = { packages: [], importers: [] };

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

test("threads named at run time become entries, other files assets, and the result runs", async () => {
  for (const [path, text] of Object.entries(SOURCES)) write(`src/${path}`, text);
  write("data/text.txt", "text");
  write("data/folder/deep.txt", "deep");
  write("data/folder/deep.md", "left out");
  const outdir = join(root, "out");
  const entries = { "command-x": join(root, "src/main.ts") };
  const result = await bundle({
    root,
    entries,
    outdir,
    platform: "node",
    target: "node24",
    omit: /\.md$/,
    peers: NO_PEERS,
  });
  assert.deepEqual(result.entries, ["command-x", "counter"]);
  assert.deepEqual(result.assets, ["assets/folder", "assets/text.txt"]);
  assert.ok(existsSync(join(outdir, "counter.js")));
  assert.ok(!existsSync(join(outdir, "assets/folder/deep.md")));
  assert.match(
    readFileSync(join(outdir, "counter.js"), "utf8"),
    /new URL\("\.\/command-x\.js", import\.meta\.url\)/,
  );
  rmSync(join(root, "src"), { recursive: true });
  rmSync(join(root, "data"), { recursive: true });
  const run = spawnSync(process.execPath, [join(outdir, "command-x.js")], { encoding: "utf8" });
  assert.equal(run.stdout, "22 text deep\n", run.stderr);
});

test("two threads of one name, a computed name and a file that is not there are refused", async () => {
  const outdir = join(root, "out2");
  write(
    "src2/a.ts",
    'export const u = [new URL("./x/w.ts", import.meta.url), new URL("./y/w.ts", import.meta.url)];',
  );
  write("src2/x/w.ts", "export const x = 1;");
  write("src2/y/w.ts", "export const y = 1;");
  const twice = bundle({
    root,
    entries: { a: join(root, "src2/a.ts") },
    outdir,
    platform: "node",
    target: "node24",
    omit: /\.md$/,
    peers: NO_PEERS,
  });
  await assert.rejects(twice, /is the second file to become w: rename one/);
  write("src2/c.ts", 'const name = "./x.txt"; export const u = new URL(name, import.meta.url);');
  const computed = bundle({
    root,
    entries: { c: join(root, "src2/c.ts") },
    outdir,
    platform: "node",
    target: "node24",
    omit: /\.md$/,
    peers: NO_PEERS,
  });
  await assert.rejects(computed, /must be a literal/);
  write("src2/b.ts", 'export const u = new URL("./gone.ts", import.meta.url);');
  const gone = bundle({
    root,
    entries: { b: join(root, "src2/b.ts") },
    outdir,
    platform: "node",
    target: "node24",
    omit: /\.md$/,
    peers: NO_PEERS,
  });
  await assert.rejects(gone, /names \.\/gone\.ts, which does not exist/);
});

test("what users have themselves is left to them, where they meet it", async () => {
  write("node_modules/theirs/index.js", "export const name = 'bundled';");
  write("node_modules/theirs/package.json", '{ "name": "theirs", "version": "1.0.0", "license": "MIT" }');
  write("src3/met/m.ts", 'export { name } from "theirs";');
  write("src3/hidden.ts", 'export { name } from "theirs";');
  const outdir = join(root, "out3");
  const entries = { met: join(root, "src3/met/m.ts"), hidden: join(root, "src3/hidden.ts") };
  const peers: Peers = { packages: ["theirs"], importers: ["src3/met"] };
  await bundle({ root, entries, outdir, platform: "node", target: "node24", omit: /\.md$/, peers });
  assert.match(readFileSync(join(outdir, "met.js"), "utf8"), /from "theirs"/);
  assert.doesNotMatch(readFileSync(join(outdir, "hidden.js"), "utf8"), /from "theirs"/);
});

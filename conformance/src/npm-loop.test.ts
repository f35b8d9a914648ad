/**
 * The loop of a stranger who has npm and nothing of this repository: the package's tarball in an empty folder, a project of each template from
 * it, installed, built, deployed, opened in a browser, changed while it is watched, and live with its data kept.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Command, launch } from "@orrery/host/command";
import { CHROMIUM, launchBrowser } from "./browser.ts";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "orrery-loop-"));
const commands = new Set<Command>();
let tarball: string;

interface Template {
  readonly kind: "motoko" | "typescript";
  readonly source: string;
  /** A change of what a note becomes. */
  readonly from: string;
  readonly to: string;
  /** A change that no compiler takes, and what it is told by. */
  readonly broken: string;
  readonly complaint: RegExp;
}

const TEMPLATES: readonly Template[] = [
  {
    kind: "motoko",
    source: "src/backend/main.mo",
    from: "List.pushFront(entries, text);",
    to: 'List.pushFront(entries, text # "!");',
    broken: "List.pushFront(entries, 5);",
    complaint:
      /src\/backend\/main\.mo:14:40: error \[M0\d+\][\s\S]*14 \| {5}entries := List\.pushFront\(entries, 5\);\n {3}\| {40}\^/,
  },
  {
    kind: "typescript",
    source: "src/backend/index.ts",
    from: "this.entries.insert(count, text);",
    to: 'this.entries.insert(count, text.concat("!"));',
    broken: "this.entries.insert(count, text;",
    complaint: /src\/backend\/index\.ts:16:\d+: ERROR/,
  },
];

function npm(cwd: string, ...argv: readonly string[]): string {
  const path = process.env["npm_execpath"];
  const [command, lead] = path === undefined ? ["npm", []] : [process.execPath, [path]];
  return execFileSync(command, [...lead, "--loglevel=error", ...argv], { cwd, encoding: "utf8" });
}

function run(cwd: string, script: string, ...argv: readonly string[]): Command {
  const env = { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" };
  const command = launch({ cwd, env }, process.execPath, script, ...argv);
  commands.add(command);
  return command;
}

before(() => {
  const pack = spawnSync(process.execPath, ["scripts/pack.ts", join(scratch, "dist")], {
    cwd: REPOSITORY,
    encoding: "utf8",
  });
  assert.equal(pack.status, 0, pack.stdout + pack.stderr);
  tarball = pack.stdout.trim();
  writeFileSync(join(scratch, "package.json"), '{ "private": true }\n');
  npm(scratch, "install", "--no-audit", "--no-fund", tarball);
});

after(async () => {
  for (const { child } of commands) child.kill("SIGKILL");
  await Promise.all([...commands].map(({ ended }) => ended));
  rmSync(scratch, { recursive: true, force: true });
});

for (const template of TEMPLATES)
  describe(`from the package, a project in ${template.kind}`, () => loop(template));

function loop({ kind, source, from, to, broken, complaint }: Template): void {
  const root = join(scratch, `app-${kind}`);
  const orrery = join(root, "node_modules/ic-orrery/bin/orrery.js");
  const edit = (a: string, b: string): void => {
    const text = readFileSync(join(root, source), "utf8");
    assert.ok(text.includes(a), `${source} has no ${a}`);
    writeFileSync(join(root, source), text.replace(a, b));
  };
  const orreryOnce = (
    ...argv: readonly string[]
  ): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [orrery, ...argv], {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1" },
    });

  before(() => {
    npm(scratch, "exec", "--", "orrery", "new", `app-${kind}`, "--template", kind);
    // The version that is installed is on no registry yet.
    const manifest = readFileSync(join(root, "package.json"), "utf8");
    assert.match(manifest, /"ic-orrery": "\d+\.\d+\.\d+"/);
    const file = JSON.stringify(`file:${tarball}`);
    writeFileSync(join(root, "package.json"), manifest.replace(/("ic-orrery": )"[^"]*"/, `$1${file}`));
    npm(root, "install", "--no-audit", "--no-fund");
  });

  test("is built with typed bindings, and its compiler's complaints come with the place", () => {
    const built = orreryOnce("build", "--json");
    assert.equal(built.status, 0, built.stderr);
    assert.ok(existsSync(join(root, "src/bindings/backend.ts")));
    edit(from, broken);
    const failed = orreryOnce("build");
    edit(broken, from);
    assert.equal(failed.status, 1, failed.stderr);
    assert.match(failed.stderr, complaint);
  });

  test("is deployed, opened in a browser, edited, and live with its data kept", {
    skip: CHROMIUM === undefined ? "Chromium not on this machine" : false,
  }, async () => {
    const network = run(root, orrery, "start", "--port", "0");
    await network.said(/The network is running/);
    const watching = run(root, orrery, "deploy", "--watch");
    await watching.said(/Watching/);
    const vite = run(root, join(root, "node_modules/vite/bin/vite.js"), "--port", "0", "--host", "127.0.0.1");
    const [, url = ""] = await vite.said(/(http:\/\/127\.0\.0\.1:\d+\/)/);
    const browser = await launchBrowser();
    try {
      const page = await browser.newPage();
      const leave = async (note: string): Promise<void> => {
        await page.getByLabel("Leave a note").fill(note);
        await page.getByRole("button", { name: "Add" }).click();
      };
      const shown = (note: string): Promise<void> =>
        page.getByRole("listitem").getByText(note, { exact: true }).waitFor();
      await page.goto(url);
      await leave("one");
      await shown("one");
      edit(from, to);
      await watching.said(/Live after/);
      await leave("two");
      await shown("two!");
      await shown("one");
    } finally {
      await browser.close();
    }
  });
}

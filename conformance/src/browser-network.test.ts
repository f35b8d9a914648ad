/**
 * A browser tab hosts a network: the example page, with the library of the tarball as users unpack it, in headless Chromium. Where there
 * is no Chromium the test says so and is skipped.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { CHROMIUM, launchBrowser } from "./browser.ts";

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));
const COUNTER = join(REPOSITORY, "canisters/fixtures/built/counter.eop.wasm.gz");
/** Where a picture of the page goes, if anywhere. */
const PICTURE = process.env["ORRERY_TEST_PICTURE"];

interface PageNetwork {
  readonly rootKey: Uint8Array;
  fetch(url: string): Promise<Response>;
}

describe("a network in a page", {
  skip: CHROMIUM === undefined ? "Chromium not on this machine" : false,
}, () => {
  const project = mkdtempSync(join(tmpdir(), "orrery-page-"));
  let server: ChildProcess;
  let browser: Browser;
  let page: Page;
  const failures: string[] = [];

  before(async () => {
    const pack = spawnSync(process.execPath, ["scripts/pack.ts", join(project, "dist")], {
      cwd: REPOSITORY,
      encoding: "utf8",
    });
    assert.equal(pack.status, 0, pack.stdout + pack.stderr);
    cpSync(join(REPOSITORY, "examples/browser"), project, { recursive: true });
    cpSync(COUNTER, join(project, "counter.wasm.gz"));
    const unpacked = join(project, "node_modules/ic-orrery");
    mkdirSync(unpacked, { recursive: true });
    execFileSync("tar", ["-xzf", pack.stdout.trim(), "-C", unpacked, "--strip-components=1"]);
    server = spawn(process.execPath, ["serve.js"], {
      cwd: project,
      env: { ...process.env, PORT: "0" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    assert.ok(server.stdout !== null);
    const [line] = (await once(server.stdout, "data")) as [Buffer];
    browser = await launchBrowser();
    page = await browser.newPage();
    page.on("pageerror", ({ message }) => failures.push(message));
    await page.goto(line.toString().trim());
  });
  after(async () => {
    await browser?.close();
    server?.kill();
    rmSync(project, { recursive: true, force: true });
  });

  async function shows(id: string, text: RegExp): Promise<void> {
    const found = page.locator(`#${id}`).filter({ hasText: text });
    await found.waitFor({ state: "attached", timeout: 20_000 }).catch(async () => {
      const seen = await page.locator("body").innerText();
      assert.fail(`#${id} does not show ${text}: ${failures.join("; ")}\n${seen}`);
    });
  }

  test("a counter is deployed, called and asked", async () => {
    await shows("time", /^2021-05-06T19:17:10/);
    await page.locator("#deploy").click();
    await shows("canister", /^tqzl2-p7777-77776-aaaaa-cai$/);
    await page.locator("#inc").click();
    await shows("answer", /^1$/);
    await page.locator("#inc").click();
    await shows("answer", /^2$/);
    await page.locator("#get").click();
    await shows("answer", /^2$/);
    await shows("cycles", /^\d{1,3}(,\d{3}){4}$/);
    await page.locator("#hour").click();
    await shows("time", /^2021-05-06T20:17:10/);
    if (PICTURE !== undefined) await page.screenshot({ path: PICTURE });
    assert.deepEqual(failures, []);
  });

  test("a module that the user chooses, and one that is none", async () => {
    await page.locator("#file").setInputFiles(join(project, "package.json"));
    await shows("error", /\S/);
    await page.locator("#file").setInputFiles(COUNTER);
    await shows("answer", /^none yet$/);
    await page.locator("#inc").click();
    await shows("answer", /^1$/);
    await shows("error", /^$/);
  });

  test("its HTTPS interface answers, and nothing leaves the page", async () => {
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    const [status, keyBytes] = await page.evaluate(async () => {
      const { network } = globalThis as unknown as { readonly network: PageNetwork };
      const response = await network.fetch("http://localhost/api/v2/status");
      return [response.status, network.rootKey.length];
    });
    assert.deepEqual([status, keyBytes, asked], [200, 133, []]);
  });
});

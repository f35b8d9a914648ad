/**
 * The flame graph's page in headless Chromium, of a real program's message: zoom by click and by keys, search, hover, dark and light,
 * nothing asked of anybody. Where there is no Chromium the test says so and is skipped.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { renderFlameGraph } from "ic-orrery";
import type { Browser, Locator, Page } from "playwright-core";
import { CHROMIUM, launchBrowser } from "./browser.ts";

/** Where a picture of the page goes, if anywhere. */
const PICTURE = process.env["ORRERY_TEST_PICTURE"];

const PROFILE = {
  stacks: [
    { frames: ["update go"], instructions: 1_000n },
    { frames: ["update go", "parse", "next"], instructions: 6_000n },
    { frames: ["update go", "parse", "ic0.msg_arg_data_copy"], instructions: 2_000n },
    { frames: ["update go", "<b>store</b>"], instructions: 1_000n },
  ],
};

describe("the flame graph's page", {
  skip: CHROMIUM === undefined ? "Chromium not on this machine" : false,
}, () => {
  const folder = mkdtempSync(join(tmpdir(), "orrery-flame-"));
  const problems: string[] = [];
  let browser: Browser;
  let page: Page;

  before(async () => {
    const file = join(folder, "flame.html");
    writeFileSync(file, renderFlameGraph(PROFILE, { title: "go", subtitle: "replied" }));
    browser = await launchBrowser();
    page = await browser.newPage({ viewport: { width: 1200, height: 700 }, colorScheme: "dark" });
    page.on("pageerror", ({ message }) => problems.push(message));
    page.on("console", (message) => problems.push(message.text()));
    page.on("request", (request) => {
      if (request.url() !== pathToFileURL(file).href) problems.push(request.url());
    });
    await page.goto(pathToFileURL(file).href);
  });
  after(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const frame = (name: string): Locator => page.locator(".frame", { hasText: new RegExp(`^${name}$`) });
  const status = (): Promise<string | null> => page.locator("#status").textContent();
  const widthOf = async (name: string): Promise<number> => (await frame(name).boundingBox())?.width ?? 0;

  test("frames are as wide as their shares, names are texts", async () => {
    assert.equal(await status(), "10,000 instructions");
    const all = await widthOf("all");
    assert.ok(Math.abs((await widthOf("parse")) / all - 0.8) < 0.01);
    assert.equal(await page.locator("#graph b").count(), 0);
    assert.equal(await frame("<b>store</b>").count(), 1);
  });

  test("a click zooms, keys go on from there, Escape goes back", async () => {
    await frame("parse").click();
    assert.equal(await status(), "10,000 instructions · parse: 8,000 (80.00 %)");
    assert.equal(await widthOf("parse"), await widthOf("all"));
    assert.equal(await frame("<b>store</b>").count(), 0);
    await page.locator("#graph").press("ArrowRight");
    assert.match((await status()) ?? "", /<b>store<\/b>: 1,000/);
    await page.locator("#graph").press("ArrowUp");
    assert.match((await status()) ?? "", /update go: 10,000/);
    await page.keyboard.press("Escape");
    assert.equal(await status(), "10,000 instructions");
  });

  test("a search marks what it finds and says how much that is", async () => {
    await page.fill("#search", "PARSE");
    assert.equal(await status(), "10,000 instructions · matched: 8,000 (80.00 %)");
    assert.deepEqual(await page.locator(".frame.match").allTextContents(), ["parse"]);
    await page.locator("#top tr").first().click();
    assert.equal(await page.inputValue("#search"), "next");
    assert.equal(await status(), "10,000 instructions · matched: 6,000 (60.00 %)");
    await page.keyboard.press("Escape");
    assert.equal(await page.inputValue("#search"), "");
  });

  test("hovering tells the numbers, in the reader's colours", async () => {
    await frame("next").hover();
    const tip = (await page.locator("#tip").textContent()) ?? "";
    assert.match(tip, /6,000 instructions with callees \(60\.00 % of all, 75\.00 % of its caller\)/);
    assert.match(tip, /6,000 of its own/);
    const background = (): Promise<unknown> =>
      page.evaluate("getComputedStyle(document.body).backgroundColor");
    const dark = await background();
    if (PICTURE !== undefined) await page.screenshot({ path: PICTURE });
    await page.click("#theme");
    assert.notEqual(await background(), dark);
  });

  test("nothing went wrong, and nothing was asked for", () => assert.deepEqual(problems, []));
});

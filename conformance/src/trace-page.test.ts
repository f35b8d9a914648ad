/**
 * The page of a trace in headless Chromium: tree and timeline, what is known of an execution, search, keys, both axes, dark and light; nothing is
 * asked of anybody, and texts of canisters stay texts. Where there is no Chromium the test says so and is skipped.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { type Trace, type TraceMessage, traceToHtml } from "ic-orrery";
import type { Browser, Locator, Page } from "playwright-core";
import { CHROMIUM, launchBrowser } from "./browser.ts";

/** Where a picture of the page goes, if anywhere. */
const PICTURE = process.env["ORRERY_TEST_PICTURE"];
const HOSTILE = '</script><img src="http://127.0.0.1:9/x" onerror="alert(1)">';

function message(options: Partial<TraceMessage>): TraceMessage {
  return {
    ...{ subnetId: "subnet", height: 5, kind: "update", name: "order", answers: null, rounds: 1 },
    ...{ time: 1_700_000_000_000_000_000n, instructions: 40_000n, pagesWritten: 3, cycles: -7_000n },
    ...{ error: null, backtrace: [], logs: [], response: null, calls: [] },
    ...options,
  };
}

const trapped: Trace = {
  canisterId: "stock",
  cause: { kind: "call", from: "shop", id: 1 },
  instructions: 10_000n,
  messages: [
    message({
      ...{ name: "reserve", instructions: 10_000n, backtrace: ["trap", HOSTILE], logs: [`said ${HOSTILE}`] },
      error: { code: "IC0503", message: `trapped: ${HOSTILE}` },
    }),
  ],
};
const TRACE: Trace = {
  canisterId: "shop",
  cause: { kind: "ingress", requestId: "ab", sender: "2vxsx-fae" },
  instructions: 80_000n,
  messages: [
    message({
      calls: [
        {
          id: 1,
          callee: "stock",
          method: "reserve",
          argBytes: 8,
          cycles: 5n,
          bestEffort: false,
          trace: trapped,
        },
      ],
    }),
    message({
      ...{ kind: "reject_callback", name: "IC0503", answers: 1, instructions: 30_000n, height: 6 },
      ...{ time: 1_700_000_000_500_000_000n, response: { kind: "reply", bytes: 12 } },
    }),
  ],
};

describe("the page of a trace", {
  skip: CHROMIUM === undefined ? "Chromium not on this machine" : false,
}, () => {
  const folder = mkdtempSync(join(tmpdir(), "orrery-trace-page-"));
  const problems: string[] = [];
  let browser: Browser;
  let page: Page;

  before(async () => {
    const file = join(folder, "trace.html");
    writeFileSync(
      file,
      traceToHtml([TRACE], { facts: [["status", HOSTILE]], names: new Map([["shop", "front"]]) }),
    );
    browser = await launchBrowser();
    page = await browser.newPage({ viewport: { width: 1300, height: 800 }, colorScheme: "dark" });
    page.on("pageerror", ({ message: text }) => problems.push(text));
    page.on("console", (said) => problems.push(said.text()));
    page.on("request", (request) => {
      if (request.url() !== pathToFileURL(file).href) problems.push(request.url());
    });
    await page.goto(pathToFileURL(file).href);
  });
  after(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const rows = (): Locator => page.locator("#tree .row:not(.head)");
  const chosen = (): Locator => page.locator('#tree .row[aria-selected="true"]');
  const details = async (): Promise<string> => (await page.locator("#details").textContent()) ?? "";

  test("opens at what failed, with the functions that were under way", async () => {
    assert.equal(await rows().count(), 4);
    assert.match((await chosen().textContent()) ?? "", /stock reserve ✗ IC0503/);
    assert.deepEqual(await page.locator("#details ol li").allTextContents(), ["trap", HOSTILE]);
    assert.ok((await details()).includes(`said ${HOSTILE}`));
    assert.equal(await page.locator("img").count(), 0);
    assert.equal(await page.locator("#timeline .span.failed").count(), 1);
    assert.equal(await page.locator("#timeline .link").count(), 2);
  });

  test("a click on the timeline chooses, keys go on, branches close and open", async () => {
    await page.locator("#timeline .span").first().click();
    assert.match(await details(), /^order.*front \(shop\).*2023-11-14 22:13:20 UTC/s);
    await page.locator("#tree").press("ArrowLeft");
    assert.equal(await rows().count(), 2);
    await page.locator("#tree").press("ArrowDown");
    assert.match((await chosen().textContent()) ?? "", /reject_callback replied, 12 bytes/);
    await page.click("#open");
    assert.equal(await rows().count(), 4);
    await page.click("#close");
    assert.equal(await rows().count(), 2);
  });

  test("a search opens what it finds", async () => {
    await page.fill("#search", "SAID");
    assert.equal(await page.locator("#found").textContent(), "1 found");
    assert.equal(await page.locator("#tree .row.hit").count(), 1);
    await page.press("#search", "Enter");
    assert.match((await chosen().textContent()) ?? "", /stock reserve/);
    await page.fill("#search", "nowhere");
    assert.equal(await page.locator("#found").textContent(), "nothing found");
    await page.fill("#search", "");
  });

  test("by the time of rounds nothing is before its round", async () => {
    const last = page.locator("#timeline .span").nth(2);
    const before = (await last.boundingBox())?.x ?? 0;
    await page.click("#axis-time");
    const after = (await last.boundingBox())?.x ?? 0;
    assert.ok(after > before, `${after} > ${before}`);
    assert.equal(await page.locator("#axis-time").getAttribute("aria-pressed"), "true");
    if (PICTURE !== undefined) await page.screenshot({ path: PICTURE });
  });

  test("the reader's colours", async () => {
    const background = (): Promise<unknown> =>
      page.evaluate("getComputedStyle(document.body).backgroundColor");
    const dark = await background();
    await page.emulateMedia({ colorScheme: "light" });
    assert.notEqual(await background(), dark);
  });

  test("nothing went wrong, and nothing was asked for", () => assert.deepEqual(problems, []));
});

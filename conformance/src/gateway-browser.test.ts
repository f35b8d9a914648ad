/**
 * Pages of canisters in headless Chromium through a node's gateway: the Candid interface that `icp network start` installs, used on a
 * canister, and the friendly names that `icp` gives canisters. Where there is no Chromium, or no `icp` for the machine, the tests say
 * so and are skipped.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { CHROMIUM, launchBrowser } from "./browser.ts";
import { createIcpProject, ICP_AVAILABLE, type IcpProject } from "./programs/icp-project.ts";

const LAUNCHER = fileURLToPath(new URL("../../bin/icp-cli-network-launcher", import.meta.url));
const LEDGER = "ryjl3-tyaaa-aaaaa-aaaba-cai";
interface Descriptor {
  readonly gateway: { readonly port: number };
  readonly "candid-ui-canister-id": string;
}

async function open(browser: Browser, url: string): Promise<Page> {
  const page = await browser.newPage();
  const response = await page.goto(url, { waitUntil: "domcontentloaded" });
  assert.equal(response?.status(), 200, url);
  return page;
}

const missing = [...(CHROMIUM === undefined ? ["Chromium"] : []), ...(ICP_AVAILABLE ? [] : ["icp"])].join(
  " and ",
);

describe("pages of canisters in a browser", {
  skip: missing === "" ? false : `${missing} not on this machine`,
}, () => {
  let project: IcpProject;
  let browser: Browser;
  let descriptor: Descriptor;

  before(async () => {
    const icpYaml = "networks:\n  - name: local\n    mode: managed\n    gateway:\n      port: 0\n";
    const env = { ICP_CLI_NETWORK_LAUNCHER_PATH: LAUNCHER, ORRERY_LAUNCHER_STATE: "none" };
    project = createIcpProject({ icpYaml, log: () => "", env }, { counter: "counter.eop" });
    await project.succeed("network", "start", "-d");
    const path = join(project.directory, ".icp/cache/networks/local/descriptor.json");
    descriptor = JSON.parse(readFileSync(path, "utf8")) as Descriptor;
    browser = await launchBrowser();
  });
  after(async () => {
    await browser.close();
    await project.run("network", "stop");
    project.remove();
  });

  /** The Candid interface shows the ledger's methods and asks one of them. */
  async function useCandidInterface(url: string): Promise<void> {
    const page = await open(browser, url);
    const method = page.locator("li", { hasText: /^decimals: \(\)/ }).first();
    await method.getByText("Query", { exact: true }).click();
    await page.getByText("(record {decimals=8})").first().waitFor();
    await page.close();
  }

  test("the Candid interface under its own host name", async () => {
    const { gateway, "candid-ui-canister-id": ui } = descriptor;
    await useCandidInterface(`http://${ui}.localhost:${gateway.port}/?id=${LEDGER}`);
  });

  test("the Candid interface by query, its parts found by referer", async () => {
    const { gateway, "candid-ui-canister-id": ui } = descriptor;
    await useCandidInterface(`http://127.0.0.1:${gateway.port}/?canisterId=${ui}&id=${LEDGER}`);
  });

  test("a canister without pages says so, and the name that icp gives it leads to it", async () => {
    await project.succeed("deploy", "-y");
    const { port } = descriptor.gateway;
    const page = await browser.newPage();
    const deadline = performance.now() + 20_000;
    let response = await page.goto(`http://counter.local.localhost:${port}/`);
    // The file of custom domains is looked at once a second.
    while (response?.status() === 400 && performance.now() < deadline) response = await page.goto(page.url());
    assert.equal(response?.status(), 503);
    assert.equal(await page.locator("h1").innerText(), "No web pages");
    assert.match(await page.locator("pre").innerText(), /IC0536/);
  });
});

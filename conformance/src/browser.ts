/**
 * Headless Chromium for tests of pages, from the system's packages or where `ORRERY_CHROMIUM`
 * says. Nothing outside this machine is asked: fonts and the like stay away.
 */
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const PLACES: readonly string[] = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];
const given: string | undefined = process.env["ORRERY_CHROMIUM"];

/** Undefined where there is none; tests that need it say so and are skipped. */
export const CHROMIUM: string | undefined = (given === undefined ? PLACES : [given]).find((path) =>
  existsSync(path),
);

const ARGUMENTS = [
  "--no-sandbox",
  "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE *.localhost , EXCLUDE 127.0.0.1",
];

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM as string, args: ARGUMENTS });
}

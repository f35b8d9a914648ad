/** Headless Chromium for tests of pages, from the system's packages. Nothing outside this machine is asked: fonts and the like stay away. */
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

/** Undefined where there is none; tests that need it say so and are skipped. */
export const CHROMIUM: string | undefined = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
].find((path) => existsSync(path));

const ARGUMENTS = [
  "--no-sandbox",
  "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE *.localhost , EXCLUDE 127.0.0.1",
];

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM as string, args: ARGUMENTS });
}

/**
 * `npm run hostile`: all hostile modules and messages, those that take long and fill memories included, through rounds and at real
 * nodes. `npm test` runs the same files with the cases that take seconds left out.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const EXECUTION = "../../../packages/execution/src/";
const FILES = [
  `${EXECUTION}hostile.slow.test.ts`,
  `${EXECUTION}hostile-messages.test.ts`,
  "./node.test.ts",
  "./crash.test.ts",
];

const child = spawn(
  process.execPath,
  ["--test", "--test-concurrency=1", ...FILES.map((file) => fileURLToPath(new URL(file, import.meta.url)))],
  { stdio: "inherit", env: { ...process.env, ORRERY_HOSTILE: "all" } },
);
child.on("close", (code) => {
  process.exitCode = code ?? 1;
});

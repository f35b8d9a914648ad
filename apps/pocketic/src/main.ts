/**
 * Process entry of `pocket-ic`. Only what the first answer needs is loaded before the port file is written; the threads of instances and
 * their modules come after it.
 */
import { enableCompileCache } from "node:module";
import { prepareEngine } from "@orrery/host/engine-flags";

prepareEngine();
const cache = enableCompileCache();
// Threads take it from the environment: without it each compiles its modules anew.
if (cache.directory !== undefined) process.env["NODE_COMPILE_CACHE"] ??= cache.directory;
const { readCommandLine } = await import("./flags.ts");
const command = readCommandLine(process.argv.slice(2), process.env);
if (command.kind === "say") {
  (command.code === 0 ? process.stdout : process.stderr).write(command.text);
  process.exitCode = command.code;
} else {
  const { serve } = await import("./process.ts");
  process.exitCode = await serve(command.flags, process.env);
  // Threads that are in the middle of something must not keep the process.
  process.stdout.write("", () => process.stderr.write("", () => process.exit()));
}

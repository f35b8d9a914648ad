/**
 * Process entry of the `orrery` command. Nothing but the compile cache is set up before the command line is read, and each
 * command loads its own modules, so that a start pays for nothing that it does not use.
 */
import { enableCompileCache } from "node:module";
import { prepareEngine } from "@orrery/host/engine-flags";

prepareEngine();
const cache = enableCompileCache();
// Threads and the background process take it from the environment: without it each compiles its modules anew.
if (cache.directory !== undefined) process.env["NODE_COMPILE_CACHE"] ??= cache.directory;
const { processIo } = await import("./io.ts");
const { beginScript } = await import("./own-script.ts");
const { run } = await import("./run.ts");
beginScript(process.argv[1]);
const code = await run(process.argv.slice(2), processIo());
// Pipes flush asynchronously on some systems; threads that outlive a failed start must not keep the process.
process.stdout.write("", () => process.stderr.write("", () => process.exit(code)));

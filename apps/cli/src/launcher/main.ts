/** Process entry of the network launcher; see main.ts of the command for why modules load late. */
import { enableCompileCache } from "node:module";
import { prepareEngine } from "@orrery/host/engine-flags";

prepareEngine();
const cache = enableCompileCache();
if (cache.directory !== undefined) process.env["NODE_COMPILE_CACHE"] ??= cache.directory;
const { processIo } = await import("../io.ts");
const { launch } = await import("./launch.ts");
const code = await launch(process.argv.slice(2), process.env, processIo());
process.stdout.write("", () => process.stderr.write("", () => process.exit(code)));

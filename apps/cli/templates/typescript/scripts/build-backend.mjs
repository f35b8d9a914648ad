// Compiles src/backend with Azle and leaves the module where the tool that runs this wants it.
import { spawnSync } from "node:child_process";
import { copyFileSync } from "node:fs";

const output = process.env.ICP_WASM_OUTPUT_PATH;
if (output === undefined) {
  console.error("run this by orrery build or icp build, which say where the module goes");
  process.exit(1);
}
const azle = ["--import", "tsx", "node_modules/azle/src/build.ts", "build", "backend"];
const { status } = spawnSync(process.execPath, azle, {
  stdio: "inherit",
  env: { ...process.env, CANISTER_CANDID_PATH: "src/backend/backend.did" },
});
if (status !== 0) process.exit(status ?? 1);
copyFileSync(".azle/backend/backend.wasm", output);

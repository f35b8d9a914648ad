// Compiles src/backend with Azle, adds the interface for whoever asks the canister, and leaves the module where the tool that runs this wants it.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const CANDID = "src/backend/backend.did";
const output = process.env.ICP_WASM_OUTPUT_PATH;
if (output === undefined) {
  console.error("run this by orrery build or icp build, which say where the module goes");
  process.exit(1);
}
const azle = ["--import", "tsx", "node_modules/azle/src/build.ts", "build", "backend"];
const { status } = spawnSync(process.execPath, azle, {
  stdio: "inherit",
  env: { ...process.env, CANISTER_CANDID_PATH: CANDID },
});
if (status !== 0) process.exit(status ?? 1);

/** A number as WebAssembly writes it: seven bits a byte, the lowest first. */
function leb128(value) {
  return value < 128 ? [value] : [(value % 128) + 128, ...leb128(Math.floor(value / 128))];
}

const name = Buffer.from("icp:public candid:service");
const content = Buffer.concat([Buffer.from(leb128(name.length)), name, readFileSync(CANDID)]);
const section = Buffer.concat([Buffer.from([0, ...leb128(content.length)]), content]);
writeFileSync(output, Buffer.concat([readFileSync(".azle/backend/backend.wasm"), section]));

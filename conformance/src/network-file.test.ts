/**
 * `orrery snapshot save|load`: a network saved while its canister is called, and while it is stopped, goes on elsewhere with everything
 * that had been answered before, and with nothing that had not been asked.
 */
import assert from "node:assert/strict";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import type { Principal } from "@icp-sdk/core/principal";
import { counterAt } from "./counter.ts";
import { agentFor, fixtureModule, type Network, startNetwork } from "./harness.ts";
import { createCanister, installCode } from "./management.ts";
import { orrery } from "./orrery.ts";

/** No snapshot. */
const FOREIGN = fileURLToPath(import.meta.url);
const directory = mkdtempSync(join(tmpdir(), "orrery-network-file-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const identity = Ed25519KeyIdentity.generate();
const CALLERS = 4;
const stateDir = join(directory, "home");

/** Exit code and JSON document of `orrery snapshot …`. */
async function snapshot(...argv: readonly string[]) {
  const { code, out } = await orrery({ cwd: directory }, "snapshot", ...argv, "--json");
  return { code, document: JSON.parse(out) as Record<string, never> };
}

/** Starts what is in a directory and reads the counter, which then counts on. */
async function countThere(path: string, canisterId: Principal, rootKey: Uint8Array): Promise<bigint> {
  const network = await startNetwork({ stateDir: path });
  try {
    assert.deepEqual(network.rootKey, rootKey);
    const counter = counterAt(agentFor(network, identity), canisterId);
    const count = await counter.get();
    assert.equal(await counter.inc(), count + 1n);
    return count;
  } finally {
    await network.end("SIGTERM");
  }
}

/** Calls until told to stop; `answered` and `asked` tell how far it is. */
function keepCalling(network: Network, canisterId: Principal) {
  const progress = { asked: 0n, answered: 0n, stop: false };
  const caller = async (): Promise<void> => {
    const counter = counterAt(agentFor(network, identity), canisterId);
    while (!progress.stop) {
      progress.asked++;
      const count = await counter.inc();
      if (count > progress.answered) progress.answered = count;
    }
  };
  const ended = Promise.all(Array.from({ length: CALLERS }, caller));
  return { progress, ended };
}

test("a network saved while it is called, and while it is stopped, goes on elsewhere", async () => {
  const network = await startNetwork({ stateDir });
  const { rootKey } = network;
  const canisterId = await createCanister(agentFor(network, identity), network.effectiveCanisterId);
  await installCode(agentFor(network, identity), canisterId, fixtureModule("counter.eop"));
  const { progress, ended } = keepCalling(network, canisterId);
  const saves: { readonly file: string; readonly least: bigint; readonly most: bigint }[] = [];
  for (const name of ["first", "second"]) {
    const file = join(directory, name);
    const least = progress.answered;
    const { code, document } = await snapshot("save", file, "--state-dir", stateDir);
    assert.equal(code, 0, JSON.stringify(document));
    assert.equal(document["running"], true);
    assert.equal(document["subnets"], 2);
    saves.push({ file, least, most: progress.asked });
  }
  assert.ok((saves[1]?.least ?? 0n) > (saves[0]?.least ?? 0n), "calls went on while the first was saved");
  progress.stop = true;
  await ended;
  await network.end("SIGTERM");

  const file = join(directory, "stopped");
  const stopped = await snapshot("save", file, "--state-dir", stateDir);
  assert.equal(stopped.document["running"], false);
  assert.ok(!existsSync(join(stateDir, "lock.json")));
  saves.push({ file, least: progress.answered, most: progress.answered });
  const elsewhere = join(directory, "elsewhere");
  for (const [i, save] of saves.entries()) {
    const clean = i === 0 ? [] : ["--clean"];
    const { code, document } = await snapshot("load", save.file, "--state-dir", elsewhere, ...clean);
    assert.equal(code, 0, JSON.stringify(document));
    const count = await countThere(elsewhere, canisterId, rootKey);
    assert.ok(count >= save.least && count <= save.most, `${save.least} ≤ ${count} ≤ ${save.most}`);
  }
  assert.equal(await countThere(stateDir, canisterId, rootKey), progress.answered);
});

test("refused: a network in use, one that is there, damage, other files", async () => {
  const refused = async (code: string, ...argv: readonly string[]): Promise<void> => {
    const outcome = await snapshot(...argv);
    assert.equal(outcome.code, 1);
    assert.equal((outcome.document["error"] as { readonly code: string } | undefined)?.code, code);
  };
  const file = join(directory, "stopped");
  await refused("store_exists", "load", file, "--state-dir", stateDir);
  await refused("snapshot_exists", "save", file, "--state-dir", stateDir);
  await refused("store_missing", "save", join(directory, "x"), "--state-dir", join(directory, "none"));
  const changed = join(directory, "changed");
  copyFileSync(file, changed);
  const bytes = readFileSync(changed);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(changed, bytes);
  const before = readdirSync(directory);
  await refused("snapshot_corrupt", "load", changed, "--state-dir", join(directory, "none"));
  await refused("snapshot_foreign", "load", FOREIGN, "--state-dir", join(directory, "none"));
  const running = await startNetwork({ stateDir });
  await refused("state_dir_locked", "load", file, "--clean", "--state-dir", stateDir);
  assert.equal(await running.end("SIGTERM"), 0);
  assert.deepEqual(readdirSync(directory), before);
});

/** Networks in files: what is saved is what is loaded, and no file that differs from one leaves anything behind. */
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { concatBytes, type OrreryError, utf8 } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { lockDirectory } from "@orrery/host";
import fc from "fast-check";
import { encodeGenesis, networkOf } from "../genesis.ts";
import { openStores } from "../subnet-store.ts";
import { END_BYTES, END_MAGIC, entryName, parseEntryName } from "./format.ts";
import { loadSnapshot } from "./load.ts";
import { saveSnapshot } from "./save.ts";

const directory = mkdtempSync(join(tmpdir(), "orrery-snapshot-"));
after(() => rmSync(directory, { recursive: true }));
const GENESIS = encodeGenesis({
  seed: new Uint8Array(32).fill(5),
  time: 1n,
  subnets: networkOf(["application", "system"]),
  profile: "local",
});

/** A directory with a stopped network of three subnets. */
function makeNetwork(name: string): string {
  const path = join(directory, name);
  mkdirSync(path);
  const { stores } = openStores({ stateDirectory: path, freshGenesis: GENESIS, salt: new Uint8Array(16) });
  for (const [subnet, store] of stores) {
    for (let height = 1; height <= 5; height++)
      store.append({ height, bytes: utf8(`block ${height} of subnet ${subnet}`) });
    store.commit();
    store.close();
  }
  return path;
}

/** Every file below a directory with its bytes. */
function contents(path: string): Record<string, string> {
  const names = readdirSync(path, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  return Object.fromEntries(
    names
      .map(({ parentPath, name }) => join(parentPath, name))
      .sort()
      .map((file) => [file.slice(path.length), readFileSync(file, "latin1")]),
  );
}

const codeOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "nothing was refused",
    (error: OrreryError) => error.code,
  );

const network = makeNetwork("network");
const saved = join(directory, "network.snapshot");
const report = await saveSnapshot({ stateDir: network, file: saved });
let named = 0;
const fresh = (): string => join(directory, `target-${named++}`);

/** A snapshot of these bytes is refused, and nothing of it is left. */
async function refusal(bytes: Uint8Array): Promise<string> {
  const file = join(directory, "changed.snapshot");
  writeFileSync(file, bytes);
  const before = readdirSync(directory);
  const code = await codeOf(loadSnapshot({ file, stateDir: join(directory, "never"), clean: false }));
  assert.deepEqual(readdirSync(directory), before);
  return code;
}

describe("a network in a file", () => {
  test("is loaded as it was saved, for its owner only; the source is as it was", async () => {
    const before = contents(network);
    assert.equal(report.subnets, 3);
    assert.equal(report.pid, null);
    assert.equal(report.fileBytes, statSync(saved).size);
    assert.equal(statSync(saved).mode & 0o777, process.platform === "win32" ? 0o666 : 0o600);
    const target = join(fresh(), "deeper");
    const loaded = await loadSnapshot({ file: saved, stateDir: target, clean: false });
    assert.equal(loaded.contentBytes, report.contentBytes);
    const { opened, stores } = openStores({
      stateDirectory: target,
      freshGenesis: new Uint8Array(0),
      salt: new Uint8Array(16),
    });
    assert.deepEqual(opened.genesis, GENESIS);
    for (const [subnet, { records }] of opened.subnets) {
      const texts = [...records].map(({ bytes }) => new TextDecoder().decode(bytes));
      assert.deepEqual(
        texts,
        [1, 2, 3, 4, 5].map((height) => `block ${height} of subnet ${subnet}`),
      );
    }
    for (const store of stores.values()) store.close();
    assert.deepEqual(contents(network), before);
    assert.deepEqual(readdirSync(join(target, "..")), ["deeper"]);
  });

  test("takes the place of another one only when told to, and of an empty directory", async () => {
    const target = makeNetwork("old");
    const old = contents(target);
    assert.equal(await codeOf(loadSnapshot({ file: saved, stateDir: target, clean: false })), "store_exists");
    assert.deepEqual(contents(target), old);
    await loadSnapshot({ file: saved, stateDir: target, clean: true });
    assert.notDeepEqual(contents(target), old);
    const empty = fresh();
    mkdirSync(empty);
    await loadSnapshot({ file: saved, stateDir: empty, clean: false });
    assert.deepEqual(contents(empty), contents(target));
    assert.deepEqual(readdirSync(empty), ["store", "store-1", "store-2"]);
    const strays = readdirSync(directory).filter((name) => /loading|replaced|discarded|partial/.test(name));
    assert.deepEqual(strays, []);
  });

  test("after a load that was killed: what was there is put back, what was half written goes", async () => {
    const target = makeNetwork("interrupted");
    const { renameSync } = await import("node:fs");
    renameSync(target, `${target}.replaced`);
    mkdirSync(`${target}.loading`);
    writeFileSync(join(`${target}.loading`, "half"), "x");
    mkdirSync(`${target}.discarded`);
    assert.equal(await codeOf(loadSnapshot({ file: saved, stateDir: target, clean: false })), "store_exists");
    assert.ok(existsSync(join(target, "store")));
    await loadSnapshot({ file: saved, stateDir: target, clean: true });
    const left = readdirSync(directory).filter((name) => name.startsWith("interrupted"));
    assert.deepEqual(left, ["interrupted"]);
  });
});

describe("refused", () => {
  test("targets that are in use or somebody else's, files that exist or would be in the way", async () => {
    const load = (stateDir: string): Promise<string> =>
      codeOf(loadSnapshot({ file: saved, stateDir, clean: true }));
    const used = fresh();
    mkdirSync(used);
    const lock = lockDirectory(used);
    assert.equal(await load(used), "state_dir_locked");
    lock.release();
    writeFileSync(join(used, "thesis.txt"), "chapter one");
    assert.equal(await load(used), "state_dir_foreign");
    assert.deepEqual(readdirSync(used), ["thesis.txt"]);
    const save = (stateDir: string, file: string): Promise<string> =>
      codeOf(saveSnapshot({ stateDir, file }));
    assert.equal(await save(network, saved), "snapshot_exists");
    assert.equal(await save(network, join(network, "x")), "snapshot_unusable");
    assert.equal(await save(network, join(directory, "none", "x")), "snapshot_unusable");
    assert.equal(await save(used, join(directory, "x")), "state_dir_foreign");
    assert.deepEqual(readdirSync(used), ["thesis.txt"]);
    const missing = loadSnapshot({ file: join(directory, "none"), stateDir: fresh(), clean: false });
    assert.equal(await codeOf(missing), "snapshot_unusable");
  });

  test("interrupted work, with nothing left of it", async () => {
    const reason = Object.assign(new Error("stop"), { code: "stopped" });
    const signal = AbortSignal.abort(reason);
    const before = readdirSync(directory);
    const file = join(directory, "interrupted.snapshot");
    assert.equal(await codeOf(saveSnapshot({ stateDir: network, file, signal })), "stopped");
    const stateDir = join(directory, "never");
    assert.equal(await codeOf(loadSnapshot({ file: saved, stateDir, clean: false, signal })), "stopped");
    assert.deepEqual(readdirSync(directory), before);
    assert.ok(!readdirSync(network).includes("lock.json"));
  });

  test("files of others and of other versions, by name", async () => {
    const bytes = readFileSync(saved);
    assert.equal(await refusal(utf8("PK a picture")), "snapshot_foreign");
    assert.equal(await refusal(new Uint8Array(0)), "snapshot_foreign");
    const later = Buffer.from(bytes.toString("latin1").replace("format 1", "format 2"), "latin1");
    assert.equal(await refusal(later), "snapshot_newer");
  });

  test("files that end anywhere, go on, or differ in any place", async () => {
    const bytes = new Uint8Array(readFileSync(saved));
    const line = bytes.indexOf(10) + 1;
    const position = fc.integer({ min: line, max: bytes.length - 1 });
    await fc.assert(
      fc.asyncProperty(position, fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const flipped = bytes.slice();
        flipped[at] = (flipped[at] as number) ^ change;
        assert.equal(await refusal(flipped), "snapshot_corrupt");
        assert.equal(await refusal(bytes.subarray(0, at)), "snapshot_corrupt");
      }),
      { numRuns: 60 },
    );
    assert.equal(await refusal(concatBytes(bytes, Uint8Array.of(0))), "snapshot_corrupt");
    // Bytes behind the frame, with an end mark that fits them.
    const body = concatBytes(bytes.subarray(0, bytes.length - END_BYTES), utf8("more"));
    assert.equal(await refusal(concatBytes(body, END_MAGIC, sha256(body))), "snapshot_corrupt");
  });

  test("names that lead elsewhere", () => {
    for (const [subnet, file] of [
      [0, "ORRERY"],
      [12, "blocks-0000000000000001"],
    ] as const)
      assert.deepEqual(parseEntryName(entryName(subnet, file), 13), { subnet, file });
    const wrong =
      "../x|store/../x|/store/ORRERY|store-0/ORRERY|store-01/ORRERY|store-13/ORRERY|store\\ORRERY";
    for (const name of [...wrong.split("|"), "store/MANIFEST.tmp", "store/ORRERY\n", "store/lock.json", ""])
      assert.equal(parseEntryName(name, 13), null, name);
  });
});

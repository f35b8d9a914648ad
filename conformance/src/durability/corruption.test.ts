/**
 * A stopped node's store, damaged in one place at a time: the next start is refused with a clear error and exit code 1, and changes
 * nothing. The undamaged store starts and has what it had.
 */
import assert from "node:assert/strict";
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import type { Principal } from "@icp-sdk/core/principal";
import { counterAt } from "../counter.ts";
import { agentFor, fixtureModule, startNetwork } from "../harness.ts";
import { createCanister, installCode } from "../management.ts";
import { contentsOf, startUntilEnd } from "./command.ts";

const directory = mkdtempSync(join(tmpdir(), "kill-corruption-"));
const sound = join(directory, "sound");
const identity = Ed25519KeyIdentity.generate();
const COUNT = 25n;
let canisterId: Principal;

before(async () => {
  const network = await startNetwork({ stateDir: sound });
  const agent = agentFor(network, identity);
  canisterId = await createCanister(agent, network.effectiveCanisterId);
  await installCode(agent, canisterId, fixtureModule("counter.eop"));
  const counter = counterAt(agent, canisterId);
  for (let i = 0n; i < COUNT; i++) await counter.inc();
  // Killed, so that the log holds blocks that only replay brings back.
  await network.end("SIGKILL");
});
after(() => rmSync(directory, { recursive: true }));

function fileNamed(store: string, prefix: string): string {
  const name = readdirSync(store).find((each) => each.startsWith(prefix));
  assert.ok(name !== undefined, `the store has a file ${prefix}`);
  return join(store, name);
}

function flipByte(path: string, at: (size: number) => number): void {
  const bytes = readFileSync(path);
  const offset = at(bytes.length);
  bytes[offset] = (bytes[offset] as number) ^ 0x40;
  writeFileSync(path, bytes);
}

/** From the one that begins a file to its last, so that header, body and footer are met. */
const PLACES: readonly (readonly [string, (size: number) => number])[] = [
  ["in the first bytes", () => 3],
  ["a quarter in", (size) => size >> 2],
  ["in the middle", (size) => size >> 1],
  ["at the end", (size) => size - 1],
];

const DAMAGES: readonly (readonly [string, (store: string) => void])[] = [
  ...["MANIFEST", "genesis", "checkpoint-"].flatMap((prefix) =>
    PLACES.map(
      ([where, at]) =>
        [`a byte of ${prefix} ${where}`, (store: string) => flipByte(fileNamed(store, prefix), at)] as const,
    ),
  ),
  ["a byte of the identity", (store) => flipByte(fileNamed(store, "ORRERY"), (size) => size >> 1)],
  // The last record may be torn by a power cut; whatever was synced before another record may not.
  ["the header of the log", (store) => flipByte(fileNamed(store, "blocks-"), () => 3)],
  ["the first record of the log", (store) => flipByte(fileNamed(store, "blocks-"), () => 120)],
  [
    "a record in the middle of the log",
    (store) => flipByte(fileNamed(store, "blocks-"), (size) => size >> 1),
  ],
  [
    "the end of a checkpoint cut off",
    (store) =>
      truncateSync(fileNamed(store, "checkpoint-"), statSync(fileNamed(store, "checkpoint-")).size - 100),
  ],
  ["a missing checkpoint", (store) => rmSync(fileNamed(store, "checkpoint-"))],
  ["a missing genesis", (store) => rmSync(fileNamed(store, "genesis"))],
  ["a missing log", (store) => rmSync(fileNamed(store, "blocks-"))],
];

/** The log notes in its last file what is durable whenever it is opened: that is all that a refused start may write. */
function contentsWithoutMarks(store: string): Record<string, string> {
  const { [lastSegment(store) ?? ""]: _, ...others } = contentsOf(store);
  return others;
}

function lastSegment(store: string): string | undefined {
  return readdirSync(store)
    .sort()
    .findLast((name) => name.startsWith("blocks-"));
}

describe("a damaged store is refused, unchanged", () => {
  for (const [index, [name, damage]] of DAMAGES.entries()) {
    test(name, async () => {
      const stateDir = join(directory, `damaged-${index}`);
      const store = join(stateDir, "store");
      cpSync(sound, stateDir, { recursive: true });
      damage(store);
      const damaged = contentsWithoutMarks(store);
      const { code, error, err } = await startUntilEnd(stateDir);
      assert.equal(code, 1, err);
      assert.equal(error?.code, "store_corrupt", err);
      assert.match(
        error?.message ?? "",
        /damaged: .*nothing was changed\. Restore the state directory from a copy/s,
      );
      assert.deepEqual(contentsWithoutMarks(store), damaged);
      rmSync(stateDir, { recursive: true });
    });
  }

  test("after the refusal, with the damage undone, everything is there", async () => {
    const stateDir = join(directory, "undone");
    cpSync(sound, stateDir, { recursive: true });
    const path = fileNamed(join(stateDir, "store"), "checkpoint-");
    flipByte(path, (size) => size >> 1);
    assert.equal((await startUntilEnd(stateDir)).error?.code, "store_corrupt");
    flipByte(path, (size) => size >> 1);
    await assertStartsWithEverything(stateDir);
  });

  test("without checkpoints the log brings everything back", async () => {
    const stateDir = join(directory, "log-alone");
    cpSync(sound, stateDir, { recursive: true });
    rmSync(fileNamed(join(stateDir, "store"), "MANIFEST"));
    await assertStartsWithEverything(stateDir);
  });

  test("the undamaged store starts with everything", () => assertStartsWithEverything(sound));
});

async function assertStartsWithEverything(stateDir: string): Promise<void> {
  const network = await startNetwork({ stateDir });
  assert.equal(await counterAt(agentFor(network, identity), canisterId).get(), COUNT);
  assert.equal(await network.end("SIGTERM"), 0);
}

describe("a store that is not this version's, or not a store", () => {
  test("files of somebody else where the store should be", async () => {
    const stateDir = join(directory, "foreign");
    cpSync(sound, stateDir, { recursive: true });
    const store = join(stateDir, "store");
    for (const name of readdirSync(store)) rmSync(join(store, name));
    writeFileSync(join(store, "thesis.txt"), "chapter one");
    const { code, error } = await startUntilEnd(stateDir);
    assert.equal(code, 1);
    assert.equal(error?.code, "store_foreign");
    assert.match(error?.message ?? "", /thesis\.txt/);
    assert.deepEqual(readdirSync(store), ["thesis.txt"]);
  });

  test("a file of another network", async () => {
    const other = join(directory, "other");
    const network = await startNetwork({ stateDir: other });
    await network.end("SIGTERM");
    const stateDir = join(directory, "mixed");
    cpSync(sound, stateDir, { recursive: true });
    const store = join(stateDir, "store");
    cpSync(join(other, "store", "MANIFEST"), join(store, "MANIFEST"));
    const mixed = contentsOf(store);
    const { code, error } = await startUntilEnd(stateDir);
    assert.equal(code, 1);
    assert.equal(error?.code, "store_foreign");
    assert.deepEqual(contentsOf(store), mixed);
  });

  test("where no directory can be made", async () => {
    const { code, error } = await startUntilEnd("/proc/kill-drill/state");
    assert.equal(code, 1);
    assert.equal(error?.code, "state_dir_unwritable");
  });
});

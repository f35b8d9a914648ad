import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { OrreryError } from "@orrery/base";
import { LATEST_NS, movableClock } from "./clock.ts";

const scratch = mkdtempSync(join(tmpdir(), "orrery-clock-"));
after(() => rmSync(scratch, { recursive: true }));
const file = join(scratch, "state-ids", "clock.json");
const stateDir = join(scratch, "state");
mkdirSync(join(scratch, "state-ids"));
mkdirSync(stateDir);

test("movable clock: moved to the latest instant it goes on from there, after a restart as well", () => {
  let machineNs = 1_800_000_000_000_000_000n;
  const machine = { now: () => machineNs };
  movableClock(machine, file, stateDir).moveTo(LATEST_NS);
  machineNs += 31_536_000_000_000_000n;
  assert.equal(movableClock(machine, file, stateDir).now(), LATEST_NS + 31_536_000_000_000_000n);
});

test("movable clock: a kept lead that no time can have is refused in words, and a new network forgets it", () => {
  const machine = { now: () => 1_800_000_000_000_000_000n };
  const ahead = 2n ** 64n - 1n - machine.now();
  writeFileSync(file, JSON.stringify({ ahead_ns: `${ahead}` }));
  assert.throws(
    () => movableClock(machine, file, stateDir),
    (error) =>
      error instanceof OrreryError &&
      error.code === "clock_too_far" &&
      error.message.includes(`${file} keeps`) &&
      error.message.includes("remove that file") &&
      error.message.includes(`or ${stateDir} to begin`),
  );
  assert.match(readFileSync(file, "utf8"), /ahead_ns/, "the user decides");
  rmSync(stateDir, { recursive: true });
  assert.equal(movableClock(machine, file, stateDir).now(), machine.now());
  assert.ok(!existsSync(file));
});

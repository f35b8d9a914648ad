import assert from "node:assert/strict";
import { test } from "node:test";
import { examine, type Machine, type Verdict } from "./checks.ts";

/** A machine on which all is well, and a network runs. Simulated. */
const WELL: Machine = {
  nodeVersion: "26.10.0",
  stateDir: "/p/.orrery",
  port: 8000,
  bind: "127.0.0.1",
  now: () => Date.UTC(2026, 10, 23),
  memoryBytes: () => 2 ** 34,
  freeBytes: async () => 2 ** 40,
  entries: () => ["store", "store-1", "lock.json", "node.json", "node.log"],
  writable: () => true,
  identity: () => "Orrery state directory, format 2. Everything here",
  newestChange: () => Date.UTC(2026, 10, 23) - 1_000,
  lockHolder: () => 41,
  running: async () => "http://127.0.0.1:8000",
  answers: async () => true,
  tryPort: async () => "EADDRINUSE",
  resolve: async () => ["127.0.0.1"],
  tool: (name) => `/x/bin/${name}`,
};
const NOT_RUNNING: Partial<Machine> = { lockHolder: () => null, running: async () => null };

async function verdict(name: string, changes: Partial<Machine>): Promise<Verdict> {
  const found = (await examine({ ...WELL, ...changes })).find((each) => each.name === name);
  assert.ok(found !== undefined, `no check ${name}`);
  assert.equal(found.remedy === null, found.state === "ok", "whatever is not well has a remedy");
  return found;
}

test("doctor: a machine on which all is well", async () => {
  const verdicts = await examine(WELL);
  assert.deepEqual(
    verdicts.filter(({ state }) => state !== "ok"),
    [],
  );
});

const CASES: readonly [
  what: string,
  check: string,
  changes: Partial<Machine>,
  state: Verdict["state"],
  text: RegExp,
][] = [
  ["an old runtime", "runtime", { nodeVersion: "22.4.0" }, "problem", /22\.4\.0/],
  ["little memory", "memory", { memoryBytes: () => 2 ** 30 }, "warning", /1\.0 GiB/],
  ["a full disk", "disk", { freeBytes: async () => 1_000 }, "warning", /0\.0 GiB/],
  ["no directory yet", "state", { entries: () => null }, "ok", /does not exist/],
  ["a foreign directory", "state", { entries: () => ["store", "thesis.tex"] }, "problem", /thesis\.tex/],
  ["a directory of another user", "state", { writable: () => false }, "problem", /cannot be written/],
  [
    "a directory that cannot be listed",
    "state",
    {
      entries() {
        throw new Error("EACCES");
      },
    },
    "problem",
    /cannot be read/,
  ],
  [
    "a newer store",
    "state",
    { identity: () => "Orrery state directory, format 9." },
    "problem",
    /newer.*format 9/,
  ],
  ["an older store", "state", { identity: () => "Orrery state directory, format 1." }, "problem", /format 1/],
  ["a stranger's store", "state", { identity: () => "hello" }, "problem", /not a state directory/],
  ["a network that hangs", "network", { answers: async () => false }, "problem", /does not answer/],
  ["a start under way", "network", { running: async () => null }, "warning", /process 41/],
  ["a taken port", "port", NOT_RUNNING, "problem", /taken/],
  [
    "a port of the system's",
    "port",
    { ...NOT_RUNNING, tryPort: async () => "EACCES" },
    "problem",
    /may not be listened on/,
  ],
  [
    "a foreign address",
    "port",
    { ...NOT_RUNNING, tryPort: async () => "EADDRNOTAVAIL" },
    "problem",
    /not an address/,
  ],
  ["a free port", "port", { ...NOT_RUNNING, tryPort: async () => null }, "ok", /free/],
  ["a clock without battery", "clock", { now: () => 0 }, "problem", /1970/],
  [
    "a clock set back",
    "clock",
    { newestChange: () => Date.UTC(2026, 10, 23) + 3_600_000 },
    "warning",
    /last written/,
  ],
  ["names that do not resolve", "names", { resolve: async () => [] }, "warning", /does not resolve/],
  ["names that lead elsewhere", "names", { resolve: async () => ["10.0.0.1"] }, "warning", /10\.0\.0\.1/],
  ["a torn installation", "tools", { tool: () => null }, "warning", /pocket-ic/],
];
for (const [what, check, changes, state, text] of CASES) {
  test(`doctor: ${what}`, async () => {
    const found = await verdict(check, changes);
    assert.equal(found.state, state);
    assert.match(found.text, text);
  });
}

/**
 * `createNetwork({ from })`: copies of a real network's state directory, while it runs and after it was killed. They have what it has, go
 * their own ways, need nothing of the directory any more, and leave it, to the byte, as it is.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  cpSync,
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
import { after, before, test } from "node:test";
import { AnonymousIdentity, HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { motokoFixture } from "@orrery/canisters/fixtures";
import { pinNetwork } from "@orrery/host/kept-stores";
import { openNewest, type PinnedStore } from "@orrery/state";
import { type Network as Copy, createNetwork } from "ic-orrery";
import { agentFor, type Network, startNetwork } from "./harness.ts";
import { icpLedgerFor } from "./programs/ledger-services.ts";
import { putPages } from "./programs/web-pages.ts";
import { install, type Program, programAt } from "./programs.ts";

const directory = mkdtempSync(join(tmpdir(), "orrery-fork-"));
const stateDir = join(directory, "state");
const identity = Ed25519KeyIdentity.generate();
const NS_PER_MS = 1_000_000n;
const PAID = 1_234_567n;
type Name = "counter" | "caller" | "callee" | "timers" | "stable-structures" | "web";

let network: Network;
let programs: Record<Name, Program>;
const copies: Copy[] = [];

async function copy(options: Parameters<typeof createNetwork>[0] = {}): Promise<Copy> {
  const made = await createNetwork({ from: stateDir, ...options });
  copies.push(made);
  return made;
}

/** Every file of the network with what is in it and when it was last written. */
function fingerprint(path = stateDir): readonly string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => {
      const file = join(parentPath, name);
      const hash = createHash("sha256").update(readFileSync(file)).digest("hex");
      return `${file} ${statSync(file).mtimeMs} ${hash}`;
    })
    .sort();
}

const idl = (name: Name): IDL.InterfaceFactory => {
  const { idlFactory } = motokoFixture(name, "enhanced");
  assert.ok(idlFactory !== null);
  return idlFactory;
};
/** One of the programs as it is in a copy, through the published client, which verifies what it is told. */
const inCopy = (of: Copy, name: Name): Program => {
  const { url: host, fetch } = of;
  const agent = HttpAgent.createSync({ host, fetch, identity, rootKey: network.rootKey, retryTimes: 0 });
  return programAt(agent, programs[name].id, idl(name));
};
const nat = (value: bigint): Uint8Array => new Uint8Array(IDL.encode([IDL.Nat], [value]));
const text = (name: Name): string => programs[name].id.toText();
const add = (of: Copy, value: bigint): bigint =>
  IDL.decode(
    [IDL.Nat],
    of.update({ canisterId: text("counter"), method: "add", arg: nat(value) }),
  )[0] as never;
const ticks = (of: Copy): bigint => {
  const reply = of.query({ canisterId: text("timers"), method: "counts" });
  return (IDL.decode([IDL.Record({ ticks: IDL.Nat })], reply)[0] as unknown as { ticks: bigint }).ticks;
};

before(async () => {
  network = await startNetwork({
    stateDir,
    arguments: ["--subnet", "application", "--subnet", "application"],
  });
  const agent = agentFor(network, identity);
  const on = async (subnet: number, name: Name): Promise<readonly [Name, Program]> => {
    const { default_effective_canister_id: id } = network.document.subnets[subnet] ?? {};
    const place = { effectiveCanisterId: Principal.fromText(id ?? "") };
    return [name, await install(place, agent, motokoFixture(name, "enhanced"))];
  };
  const all = [
    on(1, "counter"),
    on(1, "caller"),
    on(2, "callee"),
    on(1, "timers"),
    on(2, "stable-structures"),
    on(1, "web"),
  ];
  programs = Object.fromEntries(await Promise.all(all)) as Record<Name, Program>;
  const { counter, timers, web } = programs;
  await counter.call("set", 41n);
  await programs["stable-structures"].call("append", new Uint8Array(100_000).fill(7));
  await putPages(web, [{ key: "GET /", body: "a page" }]);
  const treasury = icpLedgerFor(agentFor(network, new AnonymousIdentity()));
  await treasury.call("icrc1_transfer", { to: { owner: identity.getPrincipal() }, amount: PAID });
  await timers.call("startRecurring", 3_600_000n * NS_PER_MS);
  // Still in the log only, whatever was written down meanwhile.
  assert.equal(await counter.call("inc"), 42n);
});

after(async () => {
  await Promise.all(copies.map((one) => one.stop()));
  await network.end("SIGKILL");
  rmSync(directory, { recursive: true, force: true });
});

test("copies of a running network have what it has, and go their own ways", async () => {
  const balance = (of: Copy): bigint => of.cycles(text("counter"));
  const [one, other] = await Promise.all([copy(), copy()]);
  assert.deepEqual(one.rootKey, network.rootKey);
  assert.deepEqual(
    one.subnets.map(({ id, kind }) => ({ id, kind })),
    network.document.subnets.map(({ id, kind }) => ({ id, kind })),
  );
  assert.equal(one.subnetId, network.document.subnets[1]?.id);
  assert.ok(one.time() === other.time() && one.time() <= BigInt(Date.now()) * NS_PER_MS);
  assert.equal(balance(one), balance(other));
  assert.equal(add(one, 8n), 50n);
  assert.equal(add(one, 1n), 51n);
  assert.equal(add(other, 1n), 43n);
  assert.ok(balance(one) < balance(other));
  const inner = await one.fork();
  copies.push(inner);
  assert.equal(add(inner, 10n), 61n);
  assert.equal(await programs.counter.call("get"), 42n);
  assert.equal(add(one, 0n), 51n);
  // A canister made here has the next id there too: copies do not know of one another.
  assert.equal(one.createCanister(), other.createCanister());
});

test("its pages, ledger, stable memory and subnets are there, under its own certificates", async () => {
  const here = await copy({ clock: "wall" });
  const body = new Uint8Array((await programs["stable-structures"].call("read", 0n, 100_000n)) as Uint8Array);
  const read = (await inCopy(here, "stable-structures").call("read", 0n, 100_000n)) as Uint8Array;
  assert.deepEqual(new Uint8Array(read), body);
  assert.equal(body[99_999], 7);
  // To another subnet and back.
  assert.equal(await inCopy(here, "caller").call("relay", programs.callee.id, 5n), 5n);
  const page = await here.fetch(`http://${text("web")}.localhost/`);
  assert.deepEqual([page.status, await page.text()], [200, "a page"]);
  const { url: host, fetch } = here;
  const agent = HttpAgent.createSync({ host, fetch, identity, rootKey: network.rootKey, retryTimes: 0 });
  const owner = identity.getPrincipal();
  assert.equal(await icpLedgerFor(agent).call("icrc1_balance_of", { owner }), PAID);
});

test("time goes on from where it was: timers, traces and profiles of a copy", async () => {
  const here = await copy();
  assert.equal(ticks(here), 0n);
  here.advanceTime(2.5 * 3_600_000);
  assert.equal(ticks(here), 2n);
  assert.equal(ticks(await copy()), 0n);
  here.trace(true);
  add(here, 1n);
  const { traces } = here.takeTraces();
  const tree = traces.find(({ canisterId }) => canisterId === text("counter"));
  assert.equal(tree?.messages[0]?.name, "add");
  const { instructions } = await here.profile({ canisterId: text("counter"), method: "add", arg: nat(1n) });
  assert.ok(instructions > 0n);
  const [now, later] = [here.time(), here.time() + 3_600_000n * NS_PER_MS];
  assert.equal((await copy({ time: later })).time(), later);
  await assert.rejects(createNetwork({ from: stateDir, time: 1n }), { code: "time_backwards" });
  assert.ok(here.time() >= now);
});

/** Rounds of the first application subnet that a copy would run again now. */
function behind(): number {
  const pinned = pinNetwork(stateDir);
  try {
    const { loaded, last } = openNewest(pinned.stores[1] as PinnedStore, { hotPagesMax: 0 });
    return last - (loaded?.info.height ?? 0);
  } finally {
    pinned.close();
  }
}

test("a busy network writes down what a copy would have to run again", async () => {
  const calls = 30;
  for (let i = 0; i < calls; i++) await programs.counter.call("set", 42n);
  // A node that was busy with a checkpoint a moment ago makes none for now.
  for (let attempts = 10; attempts > 0; attempts--) {
    assert.equal(add(await copy(), 1n), 43n);
    if (behind() < calls / 2) return;
  }
  assert.fail(`${behind()} rounds are in the log only`);
});

test("nothing in the directory changes, and a copy outlives it", async () => {
  const here = await copy();
  add(here, 8n);
  here.install({ canisterId: here.createCanister(), wasm: motokoFixture("heap", "enhanced").wasmGzip });
  const saved = here.save();
  // The network goes on, writes everything down and is gone; what the copy did not look at yet is still there.
  assert.equal(await programs.counter.call("inc"), 43n);
  await network.end("SIGTERM");
  const before = fingerprint();
  const stopped = await copy();
  assert.equal(add(stopped, 7n), 50n);
  stopped.advanceTime(60_000);
  stopped.install({ canisterId: stopped.createCanister(), wasm: motokoFixture("heap", "enhanced").wasmGzip });
  assert.deepEqual(fingerprint(), before);
  const kept = join(directory, "kept");
  cpSync(stateDir, kept, { recursive: true });
  rmSync(stateDir, { recursive: true });
  const stored = { canisterId: text("stable-structures"), method: "digest" };
  const digest = here.query(stored);
  assert.equal(add(here, 1n), 51n);
  const again = await createNetwork({ state: saved });
  copies.push(again);
  assert.equal(add(again, 0n), 50n);
  assert.deepEqual(again.query(stored), digest);
  cpSync(kept, stateDir, { recursive: true });
});

test("a network that was killed in the middle, its log torn", async () => {
  network = await startNetwork({ stateDir });
  const counter = programAt(agentFor(network, identity), programs.counter.id, idl("counter"));
  assert.equal(await counter.call("inc"), 44n);
  await network.end("SIGKILL");
  const log = readdirSync(join(stateDir, "store-1"))
    .filter((name) => name.startsWith("blocks-"))
    .at(-1);
  writeFileSync(join(stateDir, "store-1", log as string), Buffer.alloc(100, 1), { flag: "a" });
  const before = fingerprint();
  const here = await copy();
  assert.equal(add(here, 0n), 44n);
  assert.deepEqual(fingerprint(), before);
});

test("what is no network's directory is refused by name, and so are options that a copy has from elsewhere", async () => {
  const refused = (options: Parameters<typeof createNetwork>[0], code: string): Promise<void> =>
    assert.rejects(createNetwork(options), { code });
  const other = (name: string, change: (path: string) => void): string => {
    const path = join(directory, name);
    cpSync(stateDir, path, { recursive: true });
    change(path);
    return path;
  };
  await refused({ from: join(directory, "nowhere") }, "store_missing");
  const foreign = join(directory, "foreign");
  mkdirSync(foreign);
  await refused({ from: foreign }, "store_missing");
  writeFileSync(join(foreign, "thesis.txt"), "mine");
  await refused({ from: foreign }, "state_dir_foreign");
  await refused({ from: join(foreign, "thesis.txt") }, "state_dir_foreign");
  const identityOf = (path: string): string => join(path, "store-1", "ORRERY");
  const newer = other("newer", (path) => {
    const words = readFileSync(identityOf(path), "utf8");
    writeFileSync(identityOf(path), words.replace(/format \d+/, "format 99"));
  });
  await refused({ from: newer }, "store_newer");
  const lacking = other("lacking", (path) => rmSync(join(path, "store-2"), { recursive: true }));
  await refused({ from: lacking }, "store_missing");
  const mixed = other("mixed", (path) => {
    rmSync(join(path, "store-2"), { recursive: true });
    cpSync(join(path, "store-1"), join(path, "store-2"), { recursive: true });
  });
  await refused({ from: mixed }, "store_foreign");
  const damaged = other("damaged", (path) => {
    const file = join(path, "store-1", "MANIFEST");
    const bytes = readFileSync(file);
    bytes[60] = (bytes[60] as number) ^ 1;
    writeFileSync(file, bytes);
  });
  await refused({ from: damaged }, "store_corrupt");
  await refused({ from: stateDir, seed: new Uint8Array(32) }, "options_conflict");
  await refused({ from: stateDir, subnets: ["system"] }, "options_conflict");
  await refused({ from: stateDir, state: new Uint8Array(1) }, "options_conflict");
});

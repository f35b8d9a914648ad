/** Operators who change who the nodes of their network are, by files: so many approvals count, and nobody approves two things. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { principalToText, toHex, utf8 } from "@orrery/base";
import { installFastHashes, systemClock } from "@orrery/host";
import { NODE_KEY_FILE, nodeDirectory, REGISTRY_FILE } from "@orrery/host/directory-content";
import { newGenesisRecord } from "@orrery/node";
import { dealFor, foundGenesis, foundingRecord } from "@orrery/node/founding";
import { nodeIdOf, readRegistryFile, writeRegistryFile } from "@orrery/node/registry";
import { run } from "../run.ts";
import { tellUndecided, undecidedApproval } from "./approvals.ts";
import { writeNetworkPlan } from "./network-directory.ts";

const NODES = 4;
/** Room for the keys of the nodes, and not for those of a subnet that they create. */
const INTERVAL = 16;
const directory = mkdtempSync(join(tmpdir(), "orrery-membership-"));
const seeds = Array.from({ length: NODES }, (_, place) => utf8(`node ${place}`.padEnd(32, ".")));
const addresses = seeds.map((_, place) => ({ host: "node.example", port: 9_000 + place }));
/** Each operator has a directory of their own; the last one's node joins. */
const stateOf = (operator: number): string => join(directory, `state-${operator}`);
after(() => rmSync(directory, { recursive: true, force: true }));

async function orrery(...argv: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  let out = "";
  const io = {
    cwd: directory,
    out: (text: string) => {
      out += text;
    },
    err: () => {},
    style: (_: string, text: string) => text,
  };
  await run(["node", ...argv, "--json"], io);
  return JSON.parse(out) as Readonly<Record<string, unknown>>;
}

const approve = (file: string, operator: number): ReturnType<typeof orrery> =>
  orrery("approve", file, "--state-dir", stateOf(operator));

function codeOf(document: Readonly<Record<string, unknown>>): unknown {
  return (document["error"] as { readonly code?: unknown } | undefined)?.code;
}

before(async () => {
  installFastHashes();
  const rng = { bytes: (count: number) => new Uint8Array(count).fill(9) };
  const plan = newGenesisRecord({
    rng,
    clock: systemClock,
    nodes: NODES,
    subnets: ["application"],
    catchUpInterval: INTERVAL,
  });
  const records = await Promise.all(seeds.map((seed) => foundingRecord(plan, seed)));
  const dealings = await Promise.all(seeds.map((seed) => dealFor(plan, records, seed)));
  const genesis = await foundGenesis(plan, records, dealings);
  for (const operator of [...seeds.keys(), NODES]) {
    mkdirSync(stateOf(operator), { recursive: true });
    writeNetworkPlan(stateOf(operator), { genesis, addresses });
    const seed = seeds[operator];
    if (seed === undefined) continue;
    mkdirSync(nodeDirectory(stateOf(operator), operator), { mode: 0o700 });
    writeFileSync(join(nodeDirectory(stateOf(operator), operator), NODE_KEY_FILE), `${toHex(seed)}\n`);
  }
});

test("a node applies, is proposed in another's place, approved by three of four, and listed", async () => {
  const joins = stateOf(NODES);
  await orrery("apply", "new.json", "--address", "new.example:9000", "--state-dir", joins);
  const gone = principalToText(nodeIdOf(seeds[0] as Uint8Array, 0));
  const proposed = await orrery(
    ...["propose", "change.json", "--state-dir", stateOf(1), "--add", "new.json", "--remove", gone],
  );
  assert.equal(proposed["version"], 2);
  copyFileSync(join(directory, "change.json"), join(directory, "early.json"));
  assert.equal((await approve("change.json", 1))["missing"], 2);
  assert.equal((await approve("change.json", 1))["missing"], 2, "twice is once");
  assert.equal((await approve("change.json", 2))["missing"], 1);
  const early = await orrery("admit", "change.json", `${NODES}`, "--state-dir", joins);
  assert.equal(codeOf(early), "registry_corrupt");
  assert.deepEqual(await approve("change.json", 3), { v: "1", version: 2, missing: 0, told: false });
  assert.equal((await orrery("admit", "change.json", "--state-dir", joins))["version"], 2);
  assert.equal(readRegistryFile(nodeDirectory(joins, NODES)).length, 1);
  const shown = await orrery("registry", `${NODES}`, "--state-dir", joins);
  const [root] = shown["subnets"] as readonly { readonly nodes: readonly string[] }[];
  assert.equal(root?.nodes.length, NODES);
  assert.ok(!root?.nodes.includes(gone));
  // Whoever got the records from elsewhere goes on from there.
  const other = await orrery("admit", "change.json", "0", "--state-dir", stateOf(0));
  assert.equal(codeOf(other), undefined);
});

test("an operator approves one change for a version, and none that cannot be", async () => {
  const halted = await orrery("propose", "halt.json", "--state-dir", stateOf(1), "--halt", "0");
  assert.equal(halted["version"], 2);
  assert.equal(codeOf(await approve("halt.json", 1)), "registry_approved_other");
  assert.equal(codeOf(await approve("halt.json", NODES)), "registry_change_refused");
  // Who proposes it hears at once that this node approved another one, which is not decided as far as it knows.
  const own = nodeDirectory(stateOf(1), 1);
  const undecided = await undecidedApproval(own);
  assert.equal(undecided?.version, 2);
  assert.deepEqual(halted["undecided"], undecided);
  assert.match(tellUndecided(undecided), new RegExp(`approved change ${undecided.change.slice(0, 16)}`));
  writeRegistryFile(own, readRegistryFile(nodeDirectory(stateOf(NODES), NODES)));
  assert.equal(await undecidedApproval(own), null);
  rmSync(join(own, REGISTRY_FILE));
  const gone = principalToText(nodeIdOf(seeds[0] as Uint8Array, 0));
  const few = await orrery("propose", "few.json", "--state-dir", stateOf(1), "--remove", gone);
  assert.equal(codeOf(few), "registry_change_refused");
  assert.equal(
    codeOf(await orrery("propose", "none.json", "--state-dir", stateOf(1))),
    "registry_change_refused",
  );
  const text = readFileSync(join(directory, "early.json"), "utf8");
  writeFileSync(join(directory, "broken.json"), text.replace('"record"', '"other"'));
  assert.equal(codeOf(await approve("broken.json", 2)), "ceremony_invalid");
});

test("a subnet is created of nodes that applied for its number", async () => {
  const coming = [20, 21, 22, 23];
  for (const operator of coming) {
    mkdirSync(stateOf(operator), { recursive: true });
    for (const file of ["genesis.hex", "peers.json"])
      copyFileSync(join(stateOf(1), file), join(stateOf(operator), file));
    const address = `new${operator}.example:9000`;
    const apply = (place: number): ReturnType<typeof orrery> =>
      orrery(
        ...["apply", `${operator}.json`, `${place}`, "--address", address, "--subnet", "2"],
        ...["--state-dir", stateOf(operator)],
      );
    assert.equal(codeOf(await apply(NODES - 1)), "node_unknown", "it is another's");
    assert.equal((await apply(operator))["place"], operator);
  }
  const all = coming.flatMap((operator) => ["--add", `${operator}.json`]);
  const propose = (...argv: readonly string[]): ReturnType<typeof orrery> =>
    orrery("propose", "create.json", "--state-dir", stateOf(0), ...argv);
  assert.equal(codeOf(await propose(...all)), "registry_change_refused", "there is no subnet 2");
  assert.equal(codeOf(await propose("--create", "application", ...all.slice(2))), "registry_change_refused");
  const short = await propose("--create", "application", ...all);
  assert.equal(codeOf(short), "registry_change_refused");
  assert.match(JSON.stringify(short), /16 blocks, and 4 nodes need 18 .*--interval 0=18/);
  // This operator's node knows of what was decided before.
  const proposed = await propose("--create", "application", ...all, "--interval", "20");
  assert.equal(proposed["version"], 3);
  for (const operator of [1, 2, 3]) await approve("create.json", operator);
  const [first = 0] = coming;
  for (const operator of coming)
    assert.equal((await orrery("admit", "create.json", "--state-dir", stateOf(operator)))["version"], 3);
  const shown = await orrery("registry", "--state-dir", stateOf(first));
  const subnets = shown["subnets"] as readonly {
    readonly nodes: readonly string[];
    readonly created: unknown;
    readonly interval_length: number;
  }[];
  const [root, , created] = subnets;
  assert.deepEqual([root?.created, created?.created, created?.nodes.length], [null, "application", 4]);
  assert.deepEqual(
    subnets.map(({ interval_length: blocks }) => blocks),
    [20, 20, 20],
  );
});

/**
 * The `icp` command with tokens, cycles and canisters of a connected network, as its users type it: what they see agrees with the ledgers
 * and with the canisters' own status. Then what is typed less often: logs by index, messages signed on one machine and sent from another,
 * settings as the project has them, what strangers see, and what no local network serves. Linux on x64 only: there the command comes as an optional
 * dependency.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Principal } from "@icp-sdk/core/principal";
import { toHex } from "@orrery/base";
import { accountIdentifierHex } from "@orrery/canisters";
import { fixturePath } from "../harness.ts";
import { createIcpProject, ICP_AVAILABLE, type IcpProject, nameWithoutIcp } from "./icp-project.ts";
import { cyclesLedgerFor, icpLedgerFor } from "./ledger-services.ts";
import { shareNetwork } from "./shared-network.ts";

const shared = shareNetwork();
const ANONYMOUS = "2vxsx-fae";
const CYCLES_LEDGER_ID = "um5iw-rqaaa-aaaaq-qaaba-cai";
const ICP = 100_000_000n;
const ICP_FEE = 10_000n;
const CYCLES_FEE = 100_000_000n;
const TRILLION = 1_000_000_000_000n;
const ALICE = ["--identity", "alice"] as const;

let project: IcpProject;
let alice: Principal;

const icpOf = (owner: Principal): Promise<bigint> =>
  icpLedgerFor(shared.agent).call("icrc1_balance_of", { owner });
const cyclesOf = (owner: Principal): Promise<bigint> =>
  cyclesLedgerFor(shared.agent).call("icrc1_balance_of", { owner });
/** A number as the command prints it: digits in groups, and a unit. */
const numberIn = (text: string): bigint => BigInt((/[\d_]+/.exec(text)?.[0] ?? "").replaceAll("_", ""));

async function calling(method: string, args: string, ...more: readonly string[]): Promise<string> {
  return await project.succeed("canister", "call", "counter", method, args, ...more);
}

interface Shown {
  readonly status: string;
  readonly cycles: string;
  readonly module_hash: string | null;
  readonly settings: Readonly<Record<string, unknown>>;
}
const status = async (): Promise<Shown> =>
  (await project.json("canister", "status", "counter")) as unknown as Shown;

if (ICP_AVAILABLE) {
  describe("icp commands", () => {
    before(async () => {
      project = createIcpProject(shared.network, { counter: "counter.eop" });
      await project.succeed("identity", "new", "alice", "--storage", "plaintext");
      alice = Principal.fromText(await project.succeed("identity", "principal", ...ALICE));
    });
    after(() => project.remove());

    test("an identity, its accounts, ICP sent to each form of them", async () => {
      const account = await project.succeed("identity", "account-id", ...ALICE);
      assert.equal(account, accountIdentifierHex(alice));
      const { block_index } = await project.json("token", "transfer", "5", alice.toText());
      assert.match(String(block_index), /^\d+$/);
      assert.equal(await icpOf(alice), 5n * ICP);
      await project.succeed("token", "transfer", "2.5", account, "-q");
      assert.equal(await icpOf(alice), (15n * ICP) / 2n);
      assert.equal(await project.succeed("token", "balance", "-q", ...ALICE), "7.50000000 ICP");
      await project.succeed("token", "transfer", "1", ANONYMOUS, ...ALICE);
      assert.equal(await icpOf(alice), (13n * ICP) / 2n - ICP_FEE);
      assert.match(await project.refuse("token", "transfer", "1000", ANONYMOUS, ...ALICE), /[Ii]nsufficient/);
    });

    test("an allowance, given and read", async () => {
      const given = await project.json("token", "approve", "3", ANONYMOUS, "--expires-in", "1h", ...ALICE);
      assert.ok(Number(given["expires_at"]) / 1e6 > Date.now());
      const shown = await project.succeed("token", "allowance", ANONYMOUS, ...ALICE);
      assert.match(shown, /3\.00000000 ICP/);
      const pair = { account: { owner: alice }, spender: { owner: Principal.anonymous() } };
      const { allowance } = await icpLedgerFor(shared.agent).call<{ allowance: bigint }>(
        "icrc2_allowance",
        pair,
      );
      assert.equal(allowance, 3n * ICP);
    });

    test("cycles minted from ICP, and sent", async () => {
      await project.succeed("token", "transfer", "20", alice.toText());
      const before = await icpOf(alice);
      const minted = await project.json("cycles", "mint", "--icp", "10", ...ALICE);
      assert.equal(before - (await icpOf(alice)), 10n * ICP + ICP_FEE);
      assert.equal(numberIn(String(minted["new_balance"])), 10n * 3_520_000_000_000n - CYCLES_FEE);
      await project.succeed("cycles", "mint", "--cycles", "2t", ...ALICE);
      const balance = await cyclesOf(alice);
      assert.ok(balance >= 37n * TRILLION && balance < 38n * TRILLION, `${balance}`);
      assert.equal(numberIn(await project.succeed("cycles", "balance", "-q", ...ALICE)), balance);
      await project.succeed("cycles", "transfer", "1t", shared.sender.toText(), ...ALICE);
      assert.equal(await cyclesOf(shared.sender), TRILLION);
      await project.json("token", CYCLES_LEDGER_ID, "transfer", "0.5", shared.sender.toText(), ...ALICE);
      assert.equal(await cyclesOf(shared.sender), (3n * TRILLION) / 2n);
      assert.equal(await cyclesOf(alice), balance - (3n * TRILLION) / 2n - 2n * CYCLES_FEE);
    });

    test("a canister created, installed, called and filled", async () => {
      await project.succeed("identity", "default", "alice");
      const before = await cyclesOf(alice);
      const created = await project.json("canister", "create", "counter", "--cycles", "20t");
      assert.equal(before - (await cyclesOf(alice)), 20n * TRILLION + CYCLES_FEE);
      const fresh = await status();
      assert.deepEqual([fresh.status, fresh.module_hash], ["Running", null]);
      assert.deepEqual(fresh.settings["controllers"], [alice.toText()]);
      assert.match(await project.refuse("canister", "call", "counter", "inc", "()"), /IC0537/);
      await project.succeed("build");
      await project.succeed("canister", "install", "counter");
      assert.match(await calling("inc", "()"), /\(1 : nat\)/);
      assert.match(await calling("add", "(41 : nat)"), /\(42 : nat\)/);
      assert.match(await calling("get", "()", "--query"), /\(42 : nat\)/);
      const full = numberIn((await status()).cycles);
      await project.succeed("canister", "top-up", "counter", "--amount", "3t");
      const gained = numberIn((await status()).cycles) - full;
      assert.ok(gained > 3n * TRILLION - TRILLION / 100n && gained <= 3n * TRILLION, `${gained}`);
      assert.match(await project.succeed("canister", "list"), /counter/);
      assert.match(
        await project.succeed("canister", "metadata", String(created["canister_id"]), "candid:service"),
        /inc: \(\)/,
      );
    });

    test("settings changed and shown", async () => {
      await project.succeed(
        ...["canister", "settings", "update", "counter", "-f", "--freezing-threshold", "20d"],
        ...["--add-controller", ANONYMOUS, "--log-visibility", "public", "--wasm-memory-limit", "1gib"],
        ...["--add-environment-variable", "COLOUR=blue", "--reserved-cycles-limit", "7t"],
      );
      const { settings } = await status();
      assert.deepEqual(
        (settings["controllers"] as string[]).toSorted(),
        [alice.toText(), ANONYMOUS].toSorted(),
      );
      assert.equal(numberIn(String(settings["freezing_threshold"])), 20n * 86_400n);
      assert.equal(numberIn(String(settings["wasm_memory_limit"])), 1n << 30n);
      assert.equal(numberIn(String(settings["reserved_cycles_limit"])), 7n * TRILLION);
      assert.deepEqual(settings["log_visibility"], { type: "Public" });
      assert.match(JSON.stringify(settings["environment_variables"]), /COLOUR.*blue/);
      const shown = await project.succeed("canister", "settings", "show", "counter");
      assert.match(shown, /Freezing threshold: 1_728_000/);
      await project.succeed(
        "canister",
        "settings",
        "update",
        "counter",
        "-f",
        "--remove-controller",
        ANONYMOUS,
      );
      assert.deepEqual((await status()).settings["controllers"], [alice.toText()]);
      const refused = await project.refuse(
        "canister",
        "settings",
        "update",
        "counter",
        "-f",
        "--compute-allocation",
        "1",
        "--identity",
        "anonymous",
      );
      assert.match(refused, /IC0512|[Oo]nly (the )?controllers/);
    });

    test("upgrades that keep, replace, and change the interface", async () => {
      const upgrade = (...more: readonly string[]): readonly string[] => [
        "canister",
        "install",
        "counter",
        "--mode",
        "upgrade",
        ...more,
      ];
      await project.succeed(...upgrade("-y", "--wasm-memory-persistence", "keep"));
      assert.match(await calling("get", "()"), /\(42 : nat\)/);
      await project.succeed(...upgrade());
      assert.match(await calling("get", "()"), /\(42 : nat\)/);
      // Nobody is there to answer the question whether another interface is meant; -y answers it.
      const other = ["--wasm", fixturePath("certified.eop")];
      await project.refuse(...upgrade(...other));
      assert.match(await calling("get", "()"), /\(42 : nat\)/);
      await project.refuse(...upgrade("--wasm-memory-persistence", "replace"));
      await project.succeed(...upgrade("-y", "--wasm-memory-persistence", "replace"));
      assert.match(await calling("get", "()"), /\(0 : nat\)/);
      await calling("set", "(7 : nat)");
      await project.succeed("canister", "install", "counter", "--mode", "reinstall", "-y");
      assert.match(await calling("get", "()"), /\(0 : nat\)/);
      const { module_hash } = await status();
      await project.succeed("deploy", "-y");
      assert.equal((await status()).module_hash, module_hash);
    });

    test("stopped, started, deleted with the cycles recovered", async () => {
      await project.succeed("canister", "stop", "counter");
      assert.equal((await status()).status, "Stopped");
      assert.match(await project.refuse("canister", "call", "counter", "inc", "()"), /IC0508/);
      await project.succeed("canister", "start", "counter");
      assert.match(await calling("inc", "()"), /\(1 : nat\)/);
      await project.succeed("canister", "stop", "counter");
      const held = numberIn((await status()).cycles);
      const before = await cyclesOf(alice);
      await project.succeed("canister", "delete", "counter");
      const recovered = (await cyclesOf(alice)) - before;
      // Short of what the way back and its reserve cost.
      assert.ok(recovered > held - TRILLION && recovered < held, `${recovered} of ${held}`);
      await project.refuse("canister", "status", "counter");
    });

    test("canisters outside of the project, paid in cycles and in ICP", async () => {
      const id = await project.succeed("canister", "create", "--detached", "--cycles", "2t", "-q");
      const paid = await project.json("canister", "create", "--detached", "--with-icp", "1");
      for (const canister of [id, String(paid["canister_id"])]) {
        const shown = (await project.json("canister", "status", canister)) as unknown as Shown;
        assert.deepEqual(shown.settings["controllers"], [alice.toText()]);
        await project.succeed("canister", "stop", canister);
        await project.succeed("canister", "delete", canister, "--no-recover-cycles");
      }
      assert.match(
        await project.refuse("canister", "create", "--detached", "--cycles", "900t"),
        /[Ii]nsufficient cycles/,
      );
    });
  });

  describe("icp commands, the rarer ones", () => {
    let rarer: IcpProject;
    before(async () => {
      rarer = createIcpProject(shared.network, { counter: "counter.eop", talker: "management.eop" });
      await rarer.succeed("deploy", "-y");
      await rarer.succeed("identity", "new", "alice", "--storage", "plaintext");
    });
    after(() => rarer.remove());

    test("logs: their text, a range of them, and from an index on", async () => {
      for (const text of ["first", "second", "third"])
        await rarer.succeed("canister", "call", "talker", "say", `("${text}")`);
      const all = await rarer.succeed("canister", "logs", "talker");
      assert.match(all, /first[\s\S]*second[\s\S]*third/);
      const some = await rarer.succeed(
        "canister",
        "logs",
        "talker",
        "--since-index",
        "1",
        "--until-index",
        "2",
      );
      assert.match(some, /second/);
      assert.ok(!some.includes("first") && !some.includes("third"), some);
      await rarer.refuse("canister", "logs", "talker", "--identity", "alice");
    });

    test("a call signed without a network, looked at, sent by somebody else, and not twice", async () => {
      const file = join(rarer.directory, "signed.json");
      const key = toHex(shared.network.rootKey);
      const id = String((await rarer.json("canister", "status", "counter"))["id"]);
      const signed = ["--sign-only", file, "-n", shared.network.url, "-k", key, "--identity", "alice"];
      await rarer.succeed("canister", "call", id, "add", "(5 : nat)", ...signed);
      const looked = await rarer.run("message", "send", file, "--dry-run");
      assert.equal(looked.code, 0);
      assert.match(looked.err, /add/);
      assert.match(await rarer.succeed("canister", "call", "counter", "get", "()", "--query"), /\(0 : nat\)/);
      assert.match(await rarer.succeed("message", "send", file, "-y"), /5/);
      await rarer.run("message", "send", file, "-y");
      assert.match(await rarer.succeed("canister", "call", "counter", "get", "()", "--query"), /\(5 : nat\)/);
      const broken = join(rarer.directory, "broken.json");
      writeFileSync(broken, readFileSync(file, "utf8").replace(/"[0-9a-f]{64,}"/, '"00"'));
      await rarer.refuse("message", "send", broken, "-y");
    });

    test("settings as the project has them, again after somebody changed them", async () => {
      await rarer.succeed("canister", "settings", "update", "counter", "-f", "--freezing-threshold", "20d");
      const path = join(rarer.directory, "icp.yaml");
      const yaml = readFileSync(path, "utf8");
      writeFileSync(
        path,
        yaml.replace("- name: counter", "- name: counter\n    settings: { freezing_threshold: 5d }"),
      );
      await rarer.succeed("canister", "settings", "sync", "counter");
      const shown = await rarer.succeed("canister", "settings", "show", "counter");
      assert.match(shown, /Freezing threshold: 432_000/);
      writeFileSync(path, yaml);
    });

    test("what a stranger sees, and sections that are not there", async () => {
      const shown = await rarer.succeed("canister", "status", "counter", "--identity", "alice");
      assert.match(shown, /[0-9a-f]{64}/);
      assert.match(await rarer.refuse("canister", "metadata", "counter", "none"), /none/);
    });

    test("the network is described, and canisters do not move to another subnet", async () => {
      const status = await rarer.json("network", "status");
      assert.equal(status["root_key"], toHex(shared.network.rootKey));
      for (const canister of ["counter", "talker"]) {
        await rarer.succeed("canister", "top-up", canister, "--amount", "12t");
        await rarer.succeed("canister", "stop", canister);
      }
      const refused = await rarer.refuse("canister", "migrate-id", "counter", "--replace", "talker", "-y");
      // The registry is not carried, which the command asks which subnet a canister is on.
      assert.match(
        refused,
        /Failed to query registry canister[\s\S]*IC0301: Canister rwlgt-iiaaa-aaaaa-aaaaa-cai not found/,
      );
      await rarer.succeed("canister", "start", "counter");
    });
  });
}
nameWithoutIcp("icp commands");

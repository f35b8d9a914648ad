/** Operators who found a network by files: all come to one fingerprint, and whatever somebody changed on the way is noticed. */
import assert from "node:assert/strict";
import {
  copyFileSync,
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
import { after, before, describe, test } from "node:test";
import { runIn } from "../run.testkit.ts";
import { run } from "../run.ts";

const NODES = 4;
const names = Array.from({ length: NODES }, (_, i) => `node-${"abcd"[i]}`);
const directory = mkdtempSync(join(tmpdir(), "orrery-ceremony-"));
after(() => rmSync(directory, { recursive: true, force: true }));

interface Outcome {
  readonly code: number;
  readonly document: Readonly<Record<string, unknown>>;
}

async function orrery(...argv: readonly string[]): Promise<Outcome> {
  let out = "";
  const io = {
    cwd: directory,
    out: (text: string) => {
      out += text;
    },
    err: () => {},
    style: (_: string, text: string) => text,
  };
  const code = await run([...argv, "--json"], io);
  return { code, document: JSON.parse(out) as Outcome["document"] };
}

/** Each operator has a folder of their own; what one has, others get by `send`. */
const folderOf = (name: string): string => join(directory, `${name}-folder`);
const stateOf = (name: string): string => join(directory, `${name}-state`);
const init = (name: string, place = names.indexOf(name)): Promise<Outcome> =>
  orrery(
    ...["node", "init", folderOf(name), "--name", name],
    ...["--address", `${name}.example:${9_000 + place}`, "--state-dir", stateOf(name)],
  );

function send(from: string, file: string): void {
  for (const to of names) if (to !== from) copyFileSync(join(folderOf(from), file), join(folderOf(to), file));
}

function codeOf({ document }: Outcome): unknown {
  return (document["error"] as { readonly code?: unknown } | undefined)?.code;
}

function changed(path: string, change: (fields: Record<string, unknown>) => void): () => void {
  const before = readFileSync(path);
  const fields = JSON.parse(before.toString()) as Record<string, unknown>;
  change(fields);
  writeFileSync(path, JSON.stringify(fields));
  return () => writeFileSync(path, before);
}

describe("founding by files", () => {
  const [first = ""] = names;

  before(async () => {
    const planned = await orrery("node", "plan", folderOf(first), "--nodes", `${NODES}`);
    assert.equal(planned.code, 0, JSON.stringify(planned.document));
    for (const name of names.slice(1)) mkdirSync(folderOf(name));
    send(first, "plan.json");
  });

  test("plans that nobody can use are refused", async () => {
    assert.equal(
      codeOf(await orrery("node", "plan", join(directory, "small"), "--nodes", "3")),
      "ceremony_small",
    );
    // Of seven nodes eight dealings, and half as many blocks again beside the summary.
    const planned = (heights: number): Promise<Outcome> =>
      orrery("node", "plan", join(directory, "seven"), "--nodes", "7", "--catch-up-interval", `${heights}`);
    assert.equal(codeOf(await planned(12)), "ceremony_short");
    assert.equal((await planned(13)).code, 0);
    assert.equal(codeOf(await orrery("node", "plan", folderOf(first), "--nodes", "4")), "ceremony_planned");
    const empty = await orrery(
      "node",
      "init",
      directory,
      "--name",
      "a",
      "--address",
      "a:1",
      "--state-dir",
      "x",
    );
    assert.equal(codeOf(empty), "ceremony_invalid");
  });

  test("each shows itself, and waits for the others", async () => {
    for (const name of names) {
      const { document } = await init(name);
      assert.deepEqual([document["state"], document["missing"]], ["waiting_for_nodes", NODES - 1]);
      if (process.platform !== "win32")
        assert.equal(statSync(join(stateOf(name), "node.key")).mode & 0o077, 0);
    }
    assert.deepEqual(readdirSync(folderOf(first)).sort(), [`${first}.node.json`, "plan.json"]);
    for (const name of names) send(name, `${name}.node.json`);
    // Somebody else cannot take a name, nor its operator change the address that others have.
    const other = ["node", "init", folderOf(first), "--name", first, "--address", `${first}.example:9000`];
    assert.equal(
      codeOf(await orrery(...other, "--state-dir", join(directory, "other"))),
      "ceremony_name_taken",
    );
    assert.equal(codeOf(await init(first, 7)), "ceremony_differs");
  });

  test("each deals to all, and waits for what they dealt", async () => {
    for (const name of names) {
      const { document } = await init(name);
      assert.deepEqual(
        [document["state"], document["missing"]],
        ["waiting_for_dealings", names.filter((each) => each !== name)],
      );
    }
    for (const name of names) send(name, `${name}.dealing.json`);
  });

  test("what was changed on the way is noticed", async () => {
    const [, second = "", third = ""] = names;
    const folder = folderOf(first);
    const swaps: readonly (readonly [string, (fields: Record<string, unknown>) => void, string])[] = [
      [
        `${second}.node.json`,
        (fields) => Object.assign(fields, { address: "evil.example:1" }),
        "ceremony_differs",
      ],
      [`${second}.node.json`, (fields) => Object.assign(fields, { record: "AAAA" }), "ceremony_differs"],
      [`${second}.node.json`, (fields) => Object.assign(fields, { address: "no port" }), "ceremony_invalid"],
      [`${second}.node.json`, (fields) => Object.assign(fields, { v: "2" }), "ceremony_invalid"],
      [`${third}.dealing.json`, (fields) => Object.assign(fields, { dealing: "?" }), "ceremony_invalid"],
      [`${third}.dealing.json`, (fields) => Object.assign(fields, { dealing: "AAAA" }), "genesis_unproven"],
      [
        `${third}.dealing.json`,
        (fields) => {
          const bytes = Buffer.from(fields["dealing"] as string, "base64");
          bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
          fields["dealing"] = bytes.toString("base64");
        },
        "genesis_unproven",
      ],
    ];
    for (const [file, change, code] of swaps) {
      const restore = changed(join(folder, file), change);
      assert.equal(codeOf(await init(first)), code, file);
      restore();
    }
    const restore = changed(join(folder, "plan.json"), () => {});
    writeFileSync(join(folder, "plan.json"), "no JSON");
    assert.equal(codeOf(await init(first)), "ceremony_invalid");
    restore();
    assert.ok(!existsSync(join(stateOf(first), "peers.json")), "nothing has begun");
  });

  test("all come to the same network, each at its place with its own key", async () => {
    const outcomes = [];
    for (const name of names) outcomes.push(await init(name));
    for (const [place, { document }] of outcomes.entries()) {
      assert.deepEqual([document["state"], document["place"]], ["ready", place]);
      assert.equal(document["fingerprint"], outcomes[0]?.document["fingerprint"]);
      const state = stateOf(names[place] as string);
      assert.deepEqual(readdirSync(state).sort(), ["genesis.hex", `node-${place}`, "peers.json"]);
      assert.deepEqual(readdirSync(join(state, `node-${place}`)), ["node.key"]);
    }
    const keys = names.map((name, place) =>
      readFileSync(join(stateOf(name), `node-${place}`, "node.key"), "utf8"),
    );
    assert.equal(new Set(keys).size, NODES);
    const again = await init(first);
    assert.equal(again.document["fingerprint"], outcomes[0]?.document["fingerprint"], "and says so again");
  });

  test("a directory with a node of another network, or with another node, is not said to be this one", async () => {
    const [, second = ""] = names;
    const elsewhere = join(directory, "elsewhere");
    assert.equal((await orrery("node", "plan", elsewhere, "--nodes", `${NODES}`)).code, 0);
    const words = (folder: string, name: string, place: number): readonly string[] => [
      ...["node", "init", folder, "--name", name],
      ...["--address", `${name}.example:${9_000 + place}`, "--state-dir", stateOf(first)],
    ];
    assert.equal(codeOf(await orrery(...words(elsewhere, first, 0))), "state_dir_foreign");
    assert.equal(codeOf(await orrery(...words(folderOf(first), second, 1))), "state_dir_foreign");
    const file = join(folderOf(first), `${second}.node.json`);
    const restore = changed(file, (fields) => Object.assign(fields, { address: "evil.example:1" }));
    assert.equal(codeOf(await init(first)), "state_dir_foreign");
    restore();
  });

  test("an operator is shown all that is agreed to, administrators included", async () => {
    const admin = "rrkah-fqaaa-aaaaa-aaaaq-cai";
    const folder = join(directory, "administered");
    const argv = ["--nodes", `${NODES}`, "--subnet", "cloud_engine", "--subnet-admin", admin];
    const planned = await runIn(directory, "node", "plan", folder, ...argv);
    assert.equal(planned.code, 0, planned.err);
    assert.match(planned.out, new RegExp(`administrators +${admin}\n`));
    const shown = await runIn(
      directory,
      ...["node", "init", folder, "--name", "a", "--address", "a.example:9000", "--state-dir", "shown"],
    );
    assert.match(shown.err, new RegExp(`administrators +${admin}\n`));
  });
});

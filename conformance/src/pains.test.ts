/**
 * What users of local networks complain of, each as a test: those that no other file covers, and a check that every test which
 * docs/pains.md names is there. The installed package is tested where users meet it; nothing here leaves the machine.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { createNetwork } from "ic-orrery";
import { agentFor, startNetwork } from "./harness.ts";
import { ask, newInstance, type Server, startServer } from "./pocketic/server.ts";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const TABLE = join(REPOSITORY, "docs/pains.md");
const AT_ONCE = 64;
const UPLOADED_CHUNKS = 24;
const MIB: number = 2 ** 20;

test("every test that docs/pains.md names is in the file that it names", () => {
  const rows = readFileSync(TABLE, "utf8")
    .split("\n")
    .filter((line) => /^\| \d+ \|/.test(line));
  assert.deepEqual(
    rows.map((row) => Number(row.split("|")[1])),
    Array.from(rows, (_, index) => index + 1),
  );
  let named = 0;
  for (const row of rows) {
    const references = [...row.matchAll(/`([^`]+\.test\.ts)`: “([^”]+)”/g)];
    assert.ok(references.length > 0 || row.includes("**Why not:**"), `neither a test nor a reason: ${row}`);
    for (const [, file, title] of references as Iterable<string[]>) {
      assert.ok(
        readFileSync(join(REPOSITORY, file as string), "utf8").includes(title as string),
        `${file} has no “${title}”`,
      );
      named++;
    }
  }
  assert.ok(named >= rows.length);
});

/** Connections to other machines, and questions after their names, are refused and told on standard error; in every thread. */
const NO_WAY_OUT = `
import dns from "node:dns";
import net from "node:net";
import { writeSync } from "node:fs";
const local = (host) => host === undefined || host === "localhost" || host === "::1" || /^127\\./.test(host);
const refuse = (host) => { writeSync(2, "OUTSIDE " + host + "\\n"); throw new Error("no network: " + host); };
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...parts) {
  const first = Array.isArray(parts[0]) ? parts[0][0] : parts[0];
  const host = typeof first === "object" && first !== null ? first.host : parts[1];
  if (typeof host === "string" && !local(host)) refuse(host);
  return connect.apply(this, parts);
};
for (const where of [dns, dns.promises]) {
  const lookup = where.lookup;
  where.lookup = (name, ...rest) => (local(name) ? lookup(name, ...rest) : refuse(name));
}
`;

test("a start needs no other machine", async () => {
  const preload = `data:text/javascript,${encodeURIComponent(NO_WAY_OUT)}`;
  const probe = spawnSync(
    process.execPath,
    ["--import", preload, "--eval", 'require("net").connect(443, "example.com")'],
    {
      encoding: "utf8",
    },
  );
  assert.match(probe.stderr, /^OUTSIDE example\.com$/m, "the guard itself");
  const network = await startNetwork({ environment: { NODE_OPTIONS: `--import=${preload}` } });
  try {
    const { replica_health_status: health } = await agentFor(network).status();
    assert.equal(health, "healthy");
  } finally {
    assert.equal(await network.end("SIGTERM"), 0);
  }
  assert.doesNotMatch(network.log(), /OUTSIDE/);
});

test("many requests at once to one instance are answered one after the other, and none is told to come again", async () => {
  const server: Server = await startServer({ arguments: ["--log-levels", "error"] });
  try {
    const id = await newInstance(server);
    const answers = await Promise.all(
      Array.from({ length: AT_ONCE }, () => ask(server, `/instances/${id}/update/tick`, { body: "{}" })),
    );
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  } finally {
    await server.end();
  }
});

test("large uploads are taken as often as one likes, each replacing the one before", async () => {
  const network = await createNetwork();
  const canisterId = network.createCanister();
  const canister = Principal.fromText(canisterId);
  const manage = (method: string, type: IDL.Type, value: object): Uint8Array =>
    network.update({
      canisterId: Principal.managementCanister().toText(),
      method,
      arg: new Uint8Array(IDL.encode([type], [value])),
    });
  const One = IDL.Record({ canister_id: IDL.Principal });
  const Upload = IDL.Record({ canister_id: IDL.Principal, chunk: IDL.Vec(IDL.Nat8) });
  const Hashes = IDL.Vec(IDL.Record({ hash: IDL.Vec(IDL.Nat8) }));
  for (let times = 1; times <= 3; times++) {
    manage("clear_chunk_store", One, { canister_id: canister });
    for (let index = 0; index < UPLOADED_CHUNKS; index++) {
      const chunk = new Uint8Array(MIB).fill(times).fill(index, 1);
      manage("upload_chunk", Upload, { canister_id: canister, chunk });
    }
    const [stored] = IDL.decode([Hashes], manage("stored_chunks", One, { canister_id: canister }));
    assert.equal((stored as unknown as readonly unknown[]).length, UPLOADED_CHUNKS);
  }
});

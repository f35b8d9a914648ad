/**
 * Certified data and certificates (interface spec, "Certified data", "Certification"): a canister's answer proved by a certificate that
 * came with it, over upgrades and reinstallations, and what certificates of the system state hold beside each other.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import {
  Cbor,
  Certificate,
  type HashTree,
  LookupPathStatus,
  lookup_path,
  reconstruct,
} from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import { motokoFixture, otherFixture } from "@orrery/canisters/fixtures";
import { decodeCertificate, lookupPath } from "@orrery/crypto";
import { subnetsOf } from "../harness.ts";
import { createCanister, installCode } from "../management.ts";
import { install, PERSISTENCE_MODES, type Program, upgrade } from "../programs.ts";
import { rejectionOf } from "./rejection.ts";
import { pattern, shareNetwork } from "./shared-network.ts";

const shared = shareNetwork();
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

interface Proven {
  readonly value: string;
  readonly certificate: readonly Uint8Array[];
  readonly witness: Uint8Array;
}

/** The certified data that the answer's certificate proves, after every check of the client. */
async function certifiedData(program: Program, { certificate }: Proven): Promise<Uint8Array> {
  const verified = await Certificate.create({
    certificate: certificate[0] ?? new Uint8Array(0),
    rootKey: shared.network.rootKey,
    principal: { canisterId: program.id },
  });
  const found = verified.lookup_path(["canister", program.id.toUint8Array(), "certified_data"]);
  assert.ok(found.status === LookupPathStatus.Found, found.status);
  assert.equal(verified.lookup_path(["time"]).status, LookupPathStatus.Found);
  return new Uint8Array(found.value);
}

/** Checks an answer as a careful reader does: certificate, then witness, then value. */
async function assertProven(program: Program, expected: string): Promise<void> {
  const answer = (await program.call("get")) as Proven;
  assert.equal(answer.value, expected);
  const tree = Cbor.decode<HashTree>(answer.witness);
  assert.deepEqual(new Uint8Array(await reconstruct(tree)), await certifiedData(program, answer));
  const found = lookup_path(["value"], tree);
  assert.ok(found.status === LookupPathStatus.Found);
  assert.equal(new TextDecoder().decode(found.value), expected);
}

for (const mode of PERSISTENCE_MODES) {
  describe(`certified data, ${mode} persistence`, () => {
    test("proves each value as it is set, and never in a replicated call", async () => {
      const program = await shared.motoko("certified", mode);
      const untouched = (await program.call("get")) as Proven;
      assert.deepEqual(await certifiedData(program, untouched), new Uint8Array(0));
      for (const text of ["first", "", "Υ".repeat(5_000), "last"]) {
        await program.call("set", text);
        await assertProven(program, text);
      }
      assert.deepEqual(await program.call("getReplicated"), []);
    });

    test("is at most 32 bytes, kept by a trap and an upgrade, gone with a reinstallation", async () => {
      const program = await shared.motoko("certified", mode);
      await program.call("set", "kept");
      const refused = await rejectionOf(program.call("setRaw", pattern(33)));
      assert.equal(refused.errorCode, "IC0504");
      await assertProven(program, "kept");
      await assertProven(await upgrade(shared.agent, program, "certified", mode), "kept");
      for (const size of [0, 1, 32]) {
        await program.call("setRaw", pattern(size));
        assert.deepEqual(await certifiedData(program, (await program.call("get")) as Proven), pattern(size));
      }
      const { wasmGzip } = motokoFixture("certified", mode);
      await installCode(shared.agent, program.id, wasmGzip, { reinstall: null });
      const answer = (await program.call("get")) as Proven;
      assert.deepEqual(await certifiedData(program, answer), new Uint8Array(0));
    });

    test("of another canister, or altered, proves nothing", async () => {
      const [program, other] = [
        await shared.motoko("certified", mode),
        await shared.motoko("certified", mode),
      ];
      await program.call("set", "mine");
      const answer = (await program.call("get")) as Proven;
      await assert.rejects(certifiedData(other, answer));
      const altered = Uint8Array.from(answer.certificate[0] ?? []);
      for (const at of [altered.length - 20, altered.length - 200]) {
        const copy = altered.slice();
        copy[at] = (copy[at] ?? 0) ^ 1;
        await assert.rejects(certifiedData(program, { ...answer, certificate: [copy] }));
      }
    });
  });
}

describe("system state", () => {
  test("sections of a module beside each other, present and absent", async () => {
    const { agent } = shared;
    const { id } = await shared.motoko("counter", "enhanced");
    const section = (name: string): Uint8Array[] => [
      utf8("canister"),
      id.toUint8Array(),
      utf8("metadata"),
      utf8(name),
    ];
    const names = ["candid:service", "candid:args", "motoko:compiler", "candid:nothing", "a", "zzz"];
    const { verifiedCertificate } = await agent.readState({ canisterId: id }, { paths: names.map(section) });
    const statuses = names.map((name) => verifiedCertificate.lookup_path(section(name)).status);
    const { Found, Absent } = LookupPathStatus;
    assert.deepEqual(statuses, [Found, Found, Found, Absent, Absent, Absent]);
    const found = verifiedCertificate.lookup_path(section("candid:service"));
    assert.ok(found.status === Found);
    assert.match(new TextDecoder().decode(found.value), /inc: \(\) -> \(nat\)/);
  });

  test("a section whose name begins another's", async () => {
    const { agent, network } = shared;
    const section = (name: string, content: string): Uint8Array => {
      const body = [name.length, ...utf8(name), ...utf8(content)];
      return Uint8Array.of(0, body.length, ...body);
    };
    const wasm = new Uint8Array([
      ...gunzipSync(otherFixture("memory64").wasmGzip),
      ...section("icp:public candid", "short"),
      ...section("icp:public candid:service", "long"),
    ]);
    const id = await createCanister(agent, network.effectiveCanisterId);
    await installCode(agent, id, wasm);
    const path = (name: string): Uint8Array[] => [
      utf8("canister"),
      id.toUint8Array(),
      utf8("metadata"),
      utf8(name),
    ];
    for (const [name, content] of [
      ["candid", "short"],
      ["candid:service", "long"],
    ] as const) {
      const { verifiedCertificate } = await agent.readState({ canisterId: id }, { paths: [path(name)] });
      const found = verifiedCertificate.lookup_path(path(name));
      assert.ok(found.status === LookupPathStatus.Found);
      assert.equal(new TextDecoder().decode(found.value), content);
    }
    // Both in one certificate: by the specification's lookup, since the client's misses a label that another one begins.
    const names = ["candid", "candid:service"];
    const { certificate } = await agent.readState({ canisterId: id }, { paths: names.map(path) });
    const decoded = decodeCertificate(new Uint8Array(certificate));
    assert.ok(decoded.ok);
    const kinds = names.map((name) => lookupPath(decoded.value.tree, path(name)).kind);
    assert.deepEqual(kinds, ["found", "found"]);
  });

  test("each request has its own certified answer, read one at a time", async () => {
    const { agent, network } = shared;
    const { id } = await install(network, agent, otherFixture("memory64"));
    const requests = await Promise.all(
      Array.from({ length: 5 }, () =>
        agent.call(id, { methodName: "inc", arg: new Uint8Array(0), effectiveCanisterId: id }),
      ),
    );
    const path = (requestId: Uint8Array, field: string): Uint8Array[] => [
      utf8("request_status"),
      requestId,
      utf8(field),
    ];
    const ids = requests.map(({ requestId }) => new Uint8Array(requestId));
    const read = (paths: Uint8Array[][]) => agent.readState({ canisterId: id }, { paths });
    const replies = await Promise.all(
      ids.map(async (requestId) => {
        const { verifiedCertificate } = await read([[utf8("request_status"), requestId], [utf8("time")]]);
        const status = verifiedCertificate.lookup_path(path(requestId, "status"));
        assert.ok(status.status === LookupPathStatus.Found);
        assert.equal(new TextDecoder().decode(status.value), "replied");
        const reply = verifiedCertificate.lookup_path(path(requestId, "reply"));
        assert.ok(reply.status === LookupPathStatus.Found);
        return reply.value[0];
      }),
    );
    await assert.rejects(read(ids.map((requestId) => path(requestId, "status"))), /non-unique request ID/);
    assert.deepEqual([...replies].sort(), [1, 2, 3, 4, 5]);
  });

  test("the subnet tells its nodes, key and ranges to anybody", async () => {
    const { agent, network } = shared;
    const subnet = subnetsOf(network).application;
    const subnetId = Principal.fromText(subnet.id);
    const at = (...labels: readonly (string | Uint8Array)[]): Uint8Array[] => [
      utf8("subnet"),
      subnetId.toUint8Array(),
      ...labels.map((label) => (typeof label === "string" ? utf8(label) : label)),
    ];
    const node = Principal.fromText(subnet.nodes[0]?.id ?? "").toUint8Array();
    const ranges = [utf8("canister_ranges"), subnetId.toUint8Array()];
    const { verifiedCertificate } = await agent.readState(
      { subnetId },
      { paths: [at("public_key"), at("node"), at("metrics"), ranges] },
    );
    for (const path of [at("public_key"), at("node", node, "public_key"), at("metrics")])
      assert.equal(verifiedCertificate.lookup_path(path).status, LookupPathStatus.Found);
  });
});

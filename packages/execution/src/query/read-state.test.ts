/** The table of who may read what: every path shape, every refusal with status and text, what a certificate shows. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { canisterIdFromIndex, principalKey, utf8 } from "@orrery/base";
import { lookupSubtree } from "@orrery/crypto";
import { COUNTER, STRANGER, Watched } from "../testing/watched.testkit.ts";
import type { ReadStateAnswer } from "./view.ts";

describe("read_state", () => {
  const watched = new Watched();
  const id = watched.subnet.installed(COUNTER);
  const requestId = watched.subnet.submit({ canisterId: id, method: "inc" });
  watched.subnet.settle(requestId);
  const { subnetId } = watched.subnet.state.subnet;
  const here = { destination: { kind: "canister", id } } as const;
  const subnetHere = { destination: { kind: "subnet", id: subnetId } } as const;

  function found(answer: ReadStateAnswer, path: readonly (string | Uint8Array)[]): string {
    assert.ok(answer.kind === "certificate", JSON.stringify(answer));
    const labels = path.map((label) => (typeof label === "string" ? utf8(label) : label));
    return lookupSubtree(watched.tree(answer.certificate), labels).kind;
  }

  test("shows what anybody may see, and proves what is not there", () => {
    const paths = [
      ["canister", id, "module_hash"],
      ["canister", id, "controllers"],
      ["canister", id, "canister_creation_timestamp"],
      ["canister", id, "metadata", "nothing"],
      ["subnet", subnetId, "public_key"],
      ["request_status", new Uint8Array(32)],
      ["api_boundary_nodes"],
    ];
    const answer = watched.read(paths, here);
    assert.deepEqual(
      paths.map((path) => found(answer, path)),
      ["found", "found", "found", "absent", "found", "absent", "absent"],
    );
  });

  test("shows a request's status to its sender", () => {
    const answer = watched.read([["request_status", requestId]], here);
    assert.equal(found(answer, ["request_status", requestId, "reply"]), "found");
    const status = watched.follow().statusCertificate(requestId);
    assert.equal(status?.terminal, true);
    assert.equal(watched.view.requestCertificate(new Uint8Array(32)), null);
  });

  test("spells out subnets, leaving out what is not for this URL", () => {
    const all = watched.read([["subnet"]], here);
    assert.equal(found(all, ["subnet", subnetId, "metrics"]), "found");
    assert.equal(found(all, ["subnet", subnetId, "canister_ranges"]), "found");
    const elsewhere = { destination: { kind: "canister", id: canisterIdFromIndex(1n << 40n) } } as const;
    const outside = watched.read([["subnet", subnetId]], elsewhere);
    assert.equal(found(outside, ["subnet", subnetId, "public_key"]), "found");
    assert.equal(found(outside, ["subnet", subnetId, "metrics"]), "unknown");
  });

  const refusals: readonly (readonly [
    string,
    readonly (readonly (string | Uint8Array)[])[],
    object,
    number,
    RegExp,
  ])[] = [
    ["no path", [[]], here, 404, /^Invalid path requested\.$/],
    ["unknown root", [["nothing"]], here, 404, /^Invalid path requested\.$/],
    ["certified data", [["canister", id, "certified_data"]], here, 404, /^Invalid path requested\.$/],
    ["a whole canister", [["canister", id]], here, 404, /^Invalid path requested\.$/],
    ["ranges at a canister", [["canister_ranges", subnetId]], here, 404, /^Invalid path requested\.$/],
    [
      "canisters at a subnet",
      [["canister", id, "controllers"]],
      subnetHere,
      404,
      /^Invalid path requested\.$/,
    ],
    ["time's children", [["time", "x"]], here, 404, /^Invalid path requested\.$/],
    ["metrics at a canister", [["subnet", subnetId, "metrics"]], here, 404, /^Invalid path requested\.$/],
    [
      "another canister",
      [["canister", canisterIdFromIndex(9n), "controllers"]],
      here,
      400,
      /^Effective principal id in URL .* does not match requested principal id: /,
    ],
    [
      "a long principal",
      [["canister", new Uint8Array(30), "controllers"]],
      here,
      400,
      /^Could not parse principal ID/,
    ],
    [
      "a bad name",
      [["canister", id, "metadata", Uint8Array.of(0xff)]],
      here,
      400,
      /^Could not parse the custom section name/,
    ],
    [
      "a short request id",
      [["request_status", new Uint8Array(31)]],
      here,
      400,
      /^Invalid request id in paths\. Maybe the request ID is not of 32 bytes in length\?!$/,
    ],
    [
      "two request ids",
      [
        ["request_status", new Uint8Array(32)],
        ["request_status", new Uint8Array(32).fill(1)],
      ],
      here,
      400,
      /^More than one non-unique request ID exists in request_status paths: 0{64} and (01){32}\.$/,
    ],
    [
      "another's request",
      [["request_status", requestId]],
      { ...here, sender: STRANGER },
      403,
      /^The user tries to access Request ID not signed by the caller\.$/,
    ],
    [
      "a target that is not allowed",
      [["request_status", requestId]],
      { ...here, targets: new Set([principalKey(STRANGER)]) },
      403,
      /not belonging to sender delegation targets\.$/,
    ],
    [
      "another canister's request",
      [["request_status", requestId]],
      { destination: { kind: "canister", id: canisterIdFromIndex(9n) } },
      400,
      /^Effective principal id in URL/,
    ],
  ];
  for (const [what, paths, options, status, text] of refusals) {
    test(`refuses ${what} with ${status}`, () => {
      const answer = watched.read(paths, options);
      assert.ok(answer.kind === "refused");
      assert.equal(answer.status, status);
      assert.match(answer.text, text);
    });
  }

  test("nodes show where the URL lies in their subnet, and stay hidden elsewhere", () => {
    const elsewhere = { destination: { kind: "subnet", id: STRANGER } } as const;
    for (const paths of [[["subnet", subnetId, "node"]], [["subnet", subnetId]], [["subnet"]]]) {
      const node = ["subnet", subnetId, "node"];
      assert.notEqual(found(watched.read(paths, here), node), "unknown");
      assert.equal(found(watched.read(paths, elsewhere), node), "unknown");
    }
  });

  test("subnet endpoints show ranges and metrics of their subnet", () => {
    const answer = watched.read(
      [
        ["canister_ranges", subnetId],
        ["subnet", subnetId, "metrics"],
      ],
      subnetHere,
    );
    assert.equal(found(answer, ["canister_ranges", subnetId]), "found");
    assert.equal(found(answer, ["subnet", subnetId, "metrics"]), "found");
  });
});

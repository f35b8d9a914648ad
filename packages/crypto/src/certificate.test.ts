/**
 * Certificates against the running mainnet's (vectors beside the repository) and against our own root of
 * trust.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { before, test } from "node:test";
import {
  type CanisterId,
  type CborMap,
  canisterIdFromIndex,
  concatBytes,
  decodeCbor,
  encodeCbor,
  encodeUleb128,
  fromHex,
  principalFromText,
  type SubnetId,
  selfAuthenticating,
  toHex,
  utf8,
} from "@orrery/base";
import { type Bls, secretFromSeed } from "./bls.ts";
import { createMclBls } from "./bls-mcl.ts";
import {
  type CertificateDelegation,
  type CertificateScope,
  decodeCertificate,
  encodeCertificate,
  stateRootMessage,
  type VerifyCertificateOptions,
  verifyCertificate,
} from "./certificate.ts";
import { nobleBls } from "./curves.ts";
import { blsToDer } from "./der.ts";
import { listLabels, lookupAll, lookupPath, lookupSubtree } from "./hash-tree.ts";
import { emptyTree, type LabelTree, treeSet } from "./label-tree.ts";
import { treeHash } from "./label-tree-hash.ts";
import { type CanisterRange, encodeRanges, shardRanges } from "./ranges.ts";
import { witness } from "./witness.ts";

/** The mainnet's root key, as every client has it. */
const MAINNET_ROOT_KEY: Uint8Array = fromHex(
  "308182301d060d2b0601040182dc7c0503010201060c2b0601040182dc7c05030201036100814c0e6ec71fab583b08bd" +
    "81373c255c3c371b2e84863c98a4f1e08b74235d14fb5d9c0cd546d9685f913a0c0b2cc5341583bf4b4392e467db96d6" +
    "5b9bb4cb717112f8472e0d5a4d14505ffd7484b01291091c5f87b98883463f98091a0baaae",
);

const VECTORS = new URL("../../../../shared/vectors/", import.meta.url);

const canister = (text: string): CertificateScope => ({ canister: principalFromText(text) as CanisterId });
const subnet = (text: string): CertificateScope => ({ subnet: principalFromText(text) as SubnetId });

const IVG37 = canister("ivg37-qiaaa-aaaab-aaaga-cai");
const RYJL3 = canister("ryjl3-tyaaa-aaaaa-aaaba-cai");
const UZR34 = subnet("uzr34-akd3s-xrdag-3ql62-ocgoh-ld2ao-tamcv-54e7j-krwgb-2gm4z-oqe");
const O3OW2 = subnet("o3ow2-2ipam-6fcjo-3j5vt-fzbge-2g7my-5fz2m-p4o2t-dwlc4-gt2q7-5ae");

let bls: Bls;
before(async () => {
  bls = await createMclBls();
});

function certificateOf(file: string): Uint8Array {
  const body = decodeCbor(readFileSync(new URL(`mainnet-certificates/${file}`, VECTORS))) as CborMap;
  const certificate = body.get("certificate");
  assert.ok(certificate instanceof Uint8Array, `${file} holds a certificate`);
  return certificate;
}

type Verdict = string;

function verdict(
  bytes: Uint8Array,
  scope: CertificateScope,
  more: Partial<VerifyCertificateOptions> = {},
): Verdict {
  const result = verifyCertificate({ bytes, scope, bls, rootKeyDer: MAINNET_ROOT_KEY, ...more });
  return result.ok ? "verifies" : result.error.code;
}

/** The subnet that the certificate's delegation names, as the "qxesv-…" rows want it. */
function delegated(bytes: Uint8Array): CertificateScope {
  const certificate = decodeCertificate(bytes, { allowUntagged: true });
  assert.ok(certificate.ok && certificate.value.delegation !== null);
  return { subnet: certificate.value.delegation.subnetId };
}

interface Row {
  readonly file: string;
  readonly scope: CertificateScope | "delegated";
  readonly allowUntagged?: boolean;
  readonly expected: Verdict;
}

const ROWS: readonly Row[] = [
  { file: "ivg37_time.bin", scope: IVG37, expected: "verifies" },
  { file: "ivg37_time.bin", scope: RYJL3, expected: "certificate_not_authorised" },
  { file: "ivg37_time_pruned_ranges.bin", scope: IVG37, expected: "certificate_no_ranges" },
  { file: "ivg37_time_pruned_ranges.bin", scope: RYJL3, expected: "certificate_no_ranges" },
  { file: "ivg37_time_pruned_ranges.bin", scope: "delegated", expected: "verifies" },
  { file: "ivg37_delegated_v2.bin", scope: IVG37, expected: "verifies" },
  { file: "ivg37_delegated_v2.bin", scope: RYJL3, expected: "certificate_not_authorised" },
  { file: "ivg37_delegated_v2_pruned_subnet.bin", scope: IVG37, expected: "certificate_malformed" },
  {
    file: "ivg37_delegated_v2_pruned_subnet.bin",
    scope: IVG37,
    allowUntagged: true,
    expected: "certificate_no_ranges",
  },
  {
    file: "ivg37_delegated_v2_pruned_subnet.bin",
    scope: RYJL3,
    allowUntagged: true,
    expected: "certificate_no_ranges",
  },
  { file: "ivg37_delegated_v2_pruned_subnet.bin", scope: "delegated", expected: "certificate_malformed" },
  {
    file: "ivg37_delegated_v2_pruned_subnet.bin",
    scope: "delegated",
    allowUntagged: true,
    expected: "verifies",
  },
  { file: "224od_subnet.bin", scope: canister("224od-giaaa-aaaao-ae5vq-cai"), expected: "verifies" },
  {
    file: "224od_subnet.bin",
    scope: canister("rdmx6-jaaaa-aaaaa-aaadq-cai"),
    expected: "certificate_not_authorised",
  },
  { file: "uzr34_node_keys.bin", scope: UZR34, expected: "verifies" },
  { file: "uzr34_node_keys.bin", scope: O3OW2, expected: "certificate_not_authorised" },
  { file: "uzr34_node_keys.bin", scope: IVG37, expected: "certificate_no_ranges" },
  { file: "o3ow2_subnet_key.bin", scope: O3OW2, expected: "verifies" },
  { file: "o3ow2_subnet_key.bin", scope: UZR34, expected: "certificate_not_authorised" },
  { file: "o3ow2_subnet_key.bin", scope: IVG37, expected: "certificate_no_ranges" },
];

test("every mainnet certificate gets the verdict that its README gives it", () => {
  for (const { file, scope, allowUntagged = false, expected } of ROWS) {
    const bytes = certificateOf(file);
    const judged = scope === "delegated" ? delegated(bytes) : scope;
    const name = `${file} for ${JSON.stringify(scope)}${allowUntagged ? ", untagged allowed" : ""}`;
    assert.equal(verdict(bytes, judged, { allowUntagged }), expected, name);
  }
});

test("no mainnet certificate is left unjudged, and the README has a row for each", () => {
  const files = readdirSync(new URL("mainnet-certificates/", VECTORS)).filter((name) =>
    name.endsWith(".bin"),
  );
  assert.deepEqual(new Set(ROWS.map((row) => row.file)), new Set(files));
  const readme = readFileSync(new URL("README.md", VECTORS), "utf8");
  for (const file of files) assert.ok(readme.includes(`| ${file} |`), file);
});

test("with one bit flipped 200 bytes before its end every certificate fails", () => {
  for (const { file, scope, allowUntagged = false, expected } of ROWS) {
    if (expected !== "verifies") continue;
    const bytes = certificateOf(file).slice();
    const judged = scope === "delegated" ? delegated(bytes) : scope;
    bytes[bytes.length - 200] = (bytes[bytes.length - 200] as number) ^ 1;
    assert.notEqual(verdict(bytes, judged, { allowUntagged }), "verifies", file);
  }
});

test("a certificate as its own delegation has too many delegations", () => {
  const bytes = certificateOf("uzr34_node_keys.bin");
  const certificate = decodeCertificate(bytes);
  assert.ok(certificate.ok && certificate.value.delegation !== null);
  const { subnetId } = certificate.value.delegation;
  const forged = encodeCertificate({ ...certificate.value, delegation: { subnetId, certificate: bytes } });
  assert.equal(verdict(forged, UZR34), "certificate_too_many_delegations");
});

test("contents of the mainnet certificates are as their README says", () => {
  const open = (file: string, scope: CertificateScope) => {
    const result = verifyCertificate({
      bytes: certificateOf(file),
      scope,
      bls,
      rootKeyDer: MAINNET_ROOT_KEY,
    });
    assert.ok(result.ok);
    return result.value;
  };
  const subnets = open("224od_subnet.bin", canister("224od-giaaa-aaaao-ae5vq-cai"));
  const listed = lookupSubtree(subnets.tree, [utf8("subnet")]);
  assert.ok(listed.kind === "found");
  assert.equal(listLabels(listed.value).length, 47);
  assert.ok("subnet" in O3OW2);
  const nodes = lookupSubtree(subnets.tree, [utf8("subnet"), O3OW2.subnet, utf8("node")]);
  assert.ok(nodes.kind === "found");
  assert.equal(listLabels(nodes.value).length, 13);
  const rejected = open("ivg37_delegated_v2.bin", IVG37);
  const codes = lookupAll(rejected.tree, [utf8("request_status")]);
  assert.deepEqual(
    codes
      .filter(({ path }) => toHex(path.at(-1) as Uint8Array) === toHex(utf8("reject_code")))
      .map(({ value }) => [...value]),
    [[3]],
  );
  const pruned = decodeCertificate(certificateOf("ivg37_time_pruned_ranges.bin"));
  assert.ok(pruned.ok && pruned.value.delegation !== null);
  const inner = decodeCertificate(pruned.value.delegation.certificate);
  assert.ok(inner.ok);
  assert.equal(
    lookupPath(inner.value.tree, [utf8("canister_ranges"), pruned.value.delegation.subnetId]).kind,
    "unknown",
  );
});

test("the pure and the fast verifier agree on a mainnet certificate", () => {
  const bytes = certificateOf("ivg37_time.bin");
  assert.equal(verdict(bytes, IVG37, { bls: nobleBls }), "verifies");
});

test("time is judged when asked for", () => {
  const bytes = certificateOf("ivg37_time.bin");
  const result = verifyCertificate({ bytes, scope: IVG37, bls, rootKeyDer: MAINNET_ROOT_KEY });
  assert.ok(result.ok);
  const { time } = result.value;
  const maxAgeNs = 300_000_000_000n;
  assert.equal(verdict(bytes, IVG37, { now: time + maxAgeNs, maxAgeNs }), "verifies");
  assert.equal(verdict(bytes, IVG37, { now: time + maxAgeNs + 1n, maxAgeNs }), "certificate_not_fresh");
  assert.equal(verdict(bytes, IVG37, { now: time - maxAgeNs - 1n, maxAgeNs }), "certificate_not_fresh");
});

const ROOT_SECRET = secretFromSeed(new Uint8Array(32).fill(1));
const SUBNET_SECRET = secretFromSeed(new Uint8Array(32).fill(2));
const RANGE: CanisterRange = { start: canisterIdFromIndex(10n), end: canisterIdFromIndex(20n) };
const INSIDE: CertificateScope = { canister: canisterIdFromIndex(20n) };
const OUTSIDE: CertificateScope = { canister: canisterIdFromIndex(21n) };

function issue(
  secret: Uint8Array,
  tree: LabelTree,
  delegation: CertificateDelegation | null = null,
): Uint8Array {
  const signature = bls.sign(secret, stateRootMessage(treeHash(tree)));
  return encodeCertificate({ tree: witness(tree, [[]]), signature, delegation });
}

interface World {
  readonly rootKeyDer: Uint8Array;
  readonly rootId: SubnetId;
  readonly subnetId: SubnetId;
  readonly state: LabelTree;
  delegation(ranges: "flat" | "sharded" | "none", key?: Uint8Array): CertificateDelegation;
}

function world(): World {
  const rootKeyDer = blsToDer(bls.publicKey(ROOT_SECRET));
  const subnetKey = blsToDer(bls.publicKey(SUBNET_SECRET));
  const id = (key: Uint8Array) => selfAuthenticating(key) as Uint8Array as SubnetId;
  const subnetId = id(subnetKey);
  const state = treeSet(emptyTree(), [utf8("time")], encodeUleb128(5n));
  return {
    rootKeyDer,
    rootId: id(rootKeyDer),
    subnetId,
    state,
    delegation(ranges, key = subnetKey) {
      let tree = treeSet(state, [utf8("subnet"), subnetId, utf8("public_key")], key);
      if (ranges === "flat") {
        tree = treeSet(tree, [utf8("subnet"), subnetId, utf8("canister_ranges")], encodeRanges([RANGE]));
      }
      if (ranges === "sharded") {
        for (const { label, ranges } of shardRanges([RANGE])) {
          tree = treeSet(tree, [utf8("canister_ranges"), subnetId, label], encodeRanges(ranges));
        }
      }
      return { subnetId, certificate: issue(ROOT_SECRET, tree) };
    },
  };
}

test("our own certificates: root, delegated with flat or sharded ranges, and their refusals", () => {
  const { rootKeyDer, rootId, subnetId, state, delegation } = world();
  const judge = (bytes: Uint8Array, scope: CertificateScope, more: Partial<VerifyCertificateOptions> = {}) =>
    verdict(bytes, scope, { rootKeyDer, ...more });
  const root = issue(ROOT_SECRET, state);
  assert.equal(judge(root, { subnet: rootId }), "verifies");
  assert.equal(judge(root, { subnet: subnetId }), "certificate_not_authorised");
  assert.equal(judge(root, OUTSIDE), "verifies");
  assert.equal(judge(issue(SUBNET_SECRET, state), OUTSIDE), "certificate_bad_signature");
  assert.equal(
    judge(issue(ROOT_SECRET, treeSet(emptyTree(), [utf8("x")], utf8("y"))), OUTSIDE),
    "certificate_no_time",
  );
  for (const form of ["flat", "sharded"] as const) {
    const bytes = issue(SUBNET_SECRET, state, delegation(form));
    assert.equal(judge(bytes, INSIDE), "verifies");
    assert.equal(judge(bytes, INSIDE, { ranges: form }), "verifies");
    assert.equal(
      judge(bytes, INSIDE, { ranges: form === "flat" ? "sharded" : "flat" }),
      "certificate_no_ranges",
    );
    assert.equal(judge(bytes, OUTSIDE), "certificate_not_authorised");
    assert.equal(judge(bytes, { subnet: subnetId }), "verifies");
    assert.equal(judge(bytes, { subnet: rootId }), "certificate_not_authorised");
  }
  assert.equal(judge(issue(SUBNET_SECRET, state, delegation("none")), INSIDE), "certificate_no_ranges");
  assert.equal(judge(issue(ROOT_SECRET, state, delegation("flat")), INSIDE), "certificate_bad_signature");
  const noKey = issue(SUBNET_SECRET, state, delegation("flat", utf8("not a key")));
  assert.equal(judge(noKey, INSIDE), "certificate_no_subnet_key");
  assert.equal(judge(root, OUTSIDE, { rootKeyDer: utf8("?") }), "root_key_invalid");
});

test("malformed certificates are refused with a reason", () => {
  const { rootKeyDer, state } = world();
  const good = issue(ROOT_SECRET, state);
  const fields = decodeCbor(good) as CborMap;
  const changed = (key: string, value: unknown) => encodeCbor(new Map([...fields, [key, value as never]]));
  const bad = [
    good.subarray(3),
    good.subarray(0, good.length - 1),
    concatBytes(good, Uint8Array.of(0)),
    encodeCbor([1]),
    changed("signature", new Uint8Array(47)),
    changed("signature", undefined),
    changed("tree", [9]),
    changed("delegation", [1]),
    changed("delegation", { subnet_id: new Uint8Array(30), certificate: good }),
    changed("delegation", { subnet_id: new Uint8Array(3) }),
  ];
  for (const [i, bytes] of bad.entries())
    assert.equal(verdict(bytes, OUTSIDE, { rootKeyDer }), "certificate_malformed", `${i}`);
});

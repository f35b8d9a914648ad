/**
 * Views that follow a subnet through real rounds: what queries, read_state, request statuses and inspection answer, and that the
 * mirror stays in step.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { IDL } from "@icp-sdk/core/candid";
import {
  ANONYMOUS,
  type CanisterId,
  canisterIdFromIndex,
  MANAGEMENT_CANISTER,
  type Principal,
  principalFromText,
  principalKey,
  utf8,
} from "@orrery/base";
import {
  decodeCertificate,
  decodeNat,
  type HashTree,
  lookupPath,
  lookupSubtree,
  reconstruct,
} from "@orrery/crypto";
import { PageReader } from "@orrery/state";
import { idArg, TestSubnet } from "../testing/subnet.testkit.ts";
import { takeSnapshot } from "./snapshot.ts";
import { type Certification, CertifiedView, type ReadStateAnswer, type ViewQueryOutcome } from "./view.ts";

const STRANGER: Principal = principalFromText("em77e-bvlzu-aq");
const CERTIFICATION: Certification = { signature: new Uint8Array(48).fill(5), delegation: null };

/** A subnet and a view of it that is kept up to date. */
class Watched {
  readonly subnet = new TestSubnet();
  readonly view: CertifiedView;
  readonly #reader = new PageReader();
  #seen = 0;

  constructor(before: (subnet: TestSubnet) => void = () => {}) {
    before(this.subnet);
    this.#seen = this.subnet.results.length;
    this.#slabs();
    const snapshot = structuredClone(takeSnapshot(this.subnet.state));
    this.view = new CertifiedView({
      snapshot,
      certification: CERTIFICATION,
      pages: this.#reader,
      inflate: (bytes, max) => new Uint8Array(gunzipSync(bytes, { maxOutputLength: max })),
    });
  }

  #slabs(): void {
    for (const slab of this.subnet.arena.slabs(this.#reader.slabCount)) this.#reader.addSlab(slab);
  }

  /** Lets the view follow what the subnet did since. */
  follow(): CertifiedView {
    this.#slabs();
    for (; this.#seen < this.subnet.results.length; this.#seen++) {
      const { delta } = this.subnet.results[this.#seen] as (typeof this.subnet.results)[number];
      this.view.apply(structuredClone(delta), CERTIFICATION);
    }
    return this.view;
  }

  query(
    canisterId: CanisterId,
    methodName: string,
    arg: Uint8Array = new Uint8Array(0),
    sender: Principal = ANONYMOUS,
  ): ViewQueryOutcome {
    return this.follow().query({ sender, senderInfo: null, canisterId, methodName, arg }).outcome;
  }

  read(
    paths: readonly (readonly (string | Uint8Array)[])[],
    options: Partial<Parameters<CertifiedView["readState"]>[0]> = {},
  ): ReadStateAnswer {
    return this.follow().readState({
      destination: { kind: "canister", id: canisterIdFromIndex(0n) },
      ranges: "sharded",
      sender: ANONYMOUS,
      targets: null,
      paths: paths.map((path) => path.map((label) => (typeof label === "string" ? utf8(label) : label))),
      ...options,
    });
  }

  /** The tree of a certificate, checked against the state's root hash. */
  tree(certificate: Uint8Array): HashTree {
    const decoded = decodeCertificate(certificate);
    assert.ok(decoded.ok);
    const last = this.subnet.results.at(-1);
    assert.deepEqual(reconstruct(decoded.value.tree), last?.rootHash);
    const time = lookupPath(decoded.value.tree, [utf8("time")]);
    assert.ok(time.kind === "found");
    assert.equal(decodeNat(time.value), this.subnet.state.time);
    return decoded.value.tree;
  }
}

const COUNTER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reject" (func $reject (param i32 i32)))
  (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
  (import "ic0" "data_certificate_size" (func $csize (result i32)))
  (import "ic0" "data_certificate_copy" (func $ccopy (param i32 i32 i32)))
  (import "ic0" "debug_print" (func $print (param i32 i32)))
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (import "ic0" "accept_message" (func $accept))
  (import "ic0" "msg_method_name_size" (func $name (result i32)))
  (memory 1) (data (i32.const 100) "oh no")
  (global $n (mut i32) (i32.const 0))
  (func $give (i32.store (i32.const 0) (global.get $n)) (call $append (i32.const 0) (i32.const 4)) (call $reply))
  (func (export "canister_update inc")
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (i32.store (i32.const 70000) (global.get $n))
    (call $print (i32.const 100) (i32.const 2))
    (call $certify (i32.const 70000) (i32.const 4)) (call $give))
  (func (export "canister_update grow") (drop (memory.grow (i32.const 4)))
    (i32.store (i32.const 300000) (i32.const 5)) (call $give))
  (func (export "canister_query get") (call $give))
  (func (export "canister_query big") (i32.store (i32.const 0) (i32.load (i32.const 300000)))
    (call $append (i32.const 0) (i32.const 4)) (call $reply))
  (func (export "canister_query bump") (global.set $n (i32.const 99)) (i32.store (i32.const 70000) (i32.const 99)) (call $give))
  (func (export "canister_query cert")
    (call $ccopy (i32.const 1000) (i32.const 0) (call $csize))
    (call $append (i32.const 1000) (call $csize)) (call $reply))
  (func (export "canister_query silent"))
  (func (export "canister_query refuse") (call $reject (i32.const 100) (i32.const 5)))
  (func (export "canister_query trap") (call $trap (i32.const 100) (i32.const 5)))
  (func (export "canister_inspect_message")
    (if (i32.le_u (call $name) (i32.const 4)) (then (call $accept)))))`.replace("(memory 1)", "(memory 2)");

function replied(outcome: ViewQueryOutcome): Uint8Array {
  assert.equal(outcome.status, "replied", JSON.stringify(outcome));
  return outcome.status === "replied" ? outcome.reply : new Uint8Array(0);
}

function rejection(outcome: ViewQueryOutcome): Extract<ViewQueryOutcome, { status: "rejected" }> {
  assert.equal(outcome.status, "rejected");
  return outcome as Extract<ViewQueryOutcome, { status: "rejected" }>;
}

describe("queries on a view", () => {
  test("see the certified state and follow it", () => {
    const watched = new Watched();
    const id = watched.subnet.installed(COUNTER);
    assert.deepEqual(replied(watched.query(id, "get")), Uint8Array.of(0, 0, 0, 0));
    watched.subnet.reply({ canisterId: id, method: "inc" });
    watched.subnet.reply({ canisterId: id, method: "inc" });
    assert.deepEqual(replied(watched.query(id, "get")), Uint8Array.of(2, 0, 0, 0));
    assert.deepEqual(replied(watched.query(id, "bump")), Uint8Array.of(99, 0, 0, 0));
    assert.deepEqual(replied(watched.query(id, "get")), Uint8Array.of(2, 0, 0, 0));
    watched.subnet.reply({ canisterId: id, method: "grow" });
    assert.deepEqual(replied(watched.query(id, "big")), Uint8Array.of(5, 0, 0, 0));
    assert.equal(watched.view.height, watched.subnet.state.height);
  });

  test("a view that starts late has everything", () => {
    let id = canisterIdFromIndex(0n);
    const watched = new Watched((subnet) => {
      id = subnet.installed(COUNTER);
      subnet.reply({ canisterId: id, method: "inc" });
    });
    assert.deepEqual(replied(watched.query(id, "get")), Uint8Array.of(1, 0, 0, 0));
    watched.subnet.reply({ canisterId: id, method: "inc" });
    assert.deepEqual(replied(watched.query(id, "get")), Uint8Array.of(2, 0, 0, 0));
  });

  test("get a certificate of their certified data", () => {
    const watched = new Watched();
    const id = watched.subnet.installed(COUNTER);
    watched.subnet.reply({ canisterId: id, method: "inc" });
    const tree = watched.tree(replied(watched.query(id, "cert")));
    const data = lookupPath(tree, [utf8("canister"), id, utf8("certified_data")]);
    assert.deepEqual(data, { kind: "found", value: Uint8Array.of(1, 0, 0, 0) });
  });

  test("failures are told with their code", () => {
    const watched = new Watched();
    const id = watched.subnet.installed(COUNTER);
    const trap = rejection(watched.query(id, "trap"));
    assert.equal(trap.errorCode, "IC0503");
    assert.equal(trap.rejectCode, 5);
    assert.match(
      trap.rejectMessage,
      /^IC0503: Error from Canister [a-z0-9-]+: Canister called `ic0\.trap` with message: 'oh no'/,
    );
    assert.deepEqual(rejection(watched.query(id, "refuse")), {
      status: "rejected",
      rejectCode: 4,
      rejectMessage: "oh no",
      errorCode: "IC0406",
    });
    assert.equal(rejection(watched.query(id, "silent")).errorCode, "IC0506");
    assert.equal(rejection(watched.query(id, "nope")).errorCode, "IC0536");
    const missing = rejection(watched.query(canisterIdFromIndex(77n), "get"));
    assert.equal(missing.errorCode, "IC0301");
    assert.equal(missing.rejectCode, 3);
    assert.equal(rejection(watched.query(watched.subnet.create(), "get")).errorCode, "IC0537");
    watched.subnet.manage("stop_canister", id);
    assert.equal(rejection(watched.query(id, "get")).errorCode, "IC0508");
  });

  test("the management canister's queries", () => {
    const watched = new Watched();
    const id = watched.subnet.installed(COUNTER);
    watched.subnet.reply({ canisterId: id, method: "inc" });
    const logs = replied(watched.query(MANAGEMENT_CANISTER, "fetch_canister_logs", idArg(id)));
    const Records = IDL.Record({
      canister_log_records: IDL.Vec(IDL.Record({ idx: IDL.Nat64, content: IDL.Vec(IDL.Nat8) })),
    });
    const [decoded] = IDL.decode([Records], logs) as unknown as [
      { canister_log_records: { content: Uint8Array }[] },
    ];
    assert.deepEqual(Uint8Array.from(decoded.canister_log_records[0]?.content ?? []), utf8("oh"));
    assert.equal(
      rejection(watched.query(MANAGEMENT_CANISTER, "fetch_canister_logs", idArg(id), STRANGER)).errorCode,
      "IC0406",
    );
    assert.ok(replied(watched.query(MANAGEMENT_CANISTER, "canister_status", idArg(id))).length > 100);
    assert.ok(replied(watched.query(MANAGEMENT_CANISTER, "canister_metrics", idArg(id))).length > 20);
    assert.equal(
      rejection(watched.query(MANAGEMENT_CANISTER, "canister_status", idArg(id), STRANGER)).errorCode,
      "IC0512",
    );
    assert.equal(rejection(watched.query(MANAGEMENT_CANISTER, "raw_rand", idArg(id))).errorCode, "IC0536");
  });

  test("deleted canisters disappear", () => {
    const watched = new Watched();
    const id = watched.subnet.installed(COUNTER);
    replied(watched.query(id, "get"));
    watched.subnet.manage("stop_canister", id);
    watched.subnet.manage("delete_canister", id);
    assert.equal(rejection(watched.query(id, "get")).errorCode, "IC0301");
  });

  test("an upgrade's new code answers, a frozen canister does not", () => {
    const watched = new Watched();
    const id = watched.subnet.installed(COUNTER);
    replied(watched.query(id, "get"));
    const next = COUNTER.replace('(export "canister_query get")', '(export "canister_query fetch")');
    assert.equal(watched.subnet.install(id, next, { mode: { upgrade: [] } }).kind, "replied");
    assert.equal(rejection(watched.query(id, "get")).errorCode, "IC0536");
    replied(watched.query(id, "fetch"));
    const { meta } = watched.subnet.canister(id);
    meta.cycles = 1n;
    watched.subnet.state.changed.canisters.add(principalKey(id));
    watched.subnet.round();
    const frozen = rejection(watched.query(id, "fetch"));
    assert.equal(frozen.errorCode, "IC0207");
    assert.match(frozen.rejectMessage, /is unable to process query calls because it's frozen/);
  });
});

/** Calls method `q` of the canister in its argument, and in the callback answers what came back, counted in its own memory. */
const COMPOSITE = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
  (import "ic0" "msg_reject_code" (func $code (result i32)))
  (import "ic0" "msg_reject_msg_size" (func $msize (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $mcopy (param i32 i32 i32)))
  (import "ic0" "data_certificate_present" (func $present (result i32)))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $data (param i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (import "ic0" "call_on_cleanup" (func $cleanup (param i32 i32)))
  (memory 1) (table 4 funcref) (elem (i32.const 0) $onreply $onreject $ontrap $oncleanup)
  (data (i32.const 0) "get") (data (i32.const 8) "relay") (data (i32.const 16) "pair")
  (global $seen (mut i32) (i32.const 0))
  (func $call (param $name i32) (param $len i32) (param $from i32) (param $callback i32)
    (call $new (local.get $from) (i32.const 10) (local.get $name) (local.get $len)
      (local.get $callback) (i32.const 0) (i32.const 1) (i32.const 0)))
  (func $take (call $arg (i32.const 100) (i32.const 0) (call $size)))
  (func (export "canister_composite_query relay")
    (call $take) (global.set $seen (i32.add (call $present) (i32.const 40)))
    (if (i32.eq (call $size) (i32.const 10))
      (then (call $call (i32.const 0) (i32.const 3) (i32.const 100) (i32.const 0)))
      (else (call $call (i32.const 8) (i32.const 5) (i32.const 100) (i32.const 0))
        (call $data (i32.const 110) (i32.sub (call $size) (i32.const 10)))))
    (drop (call $perform)))
  (func (export "canister_composite_query trapping")
    (call $take) (global.set $seen (i32.const 1))
    (call $call (i32.const 0) (i32.const 3) (i32.const 100) (i32.const 2))
    (call $cleanup (i32.const 3) (i32.const 0)) (drop (call $perform)))
  (func (export "canister_composite_query twice")
    (call $take) (global.set $seen (i32.const 1))
    (call $call (i32.const 0) (i32.const 3) (i32.const 100) (i32.const 2)) (drop (call $perform))
    (call $call (i32.const 0) (i32.const 3) (i32.const 100) (i32.const 0)) (drop (call $perform)))
  (func (export "canister_query seen") (i32.store (i32.const 200) (global.get $seen))
    (call $append (i32.const 200) (i32.const 1)) (call $reply))
  (func $onreply (param i32)
    (call $take) (i32.store8 (i32.const 99) (global.get $seen))
    (call $append (i32.const 99) (i32.add (call $size) (i32.const 1))) (call $reply))
  (func $onreject (param i32)
    (call $mcopy (i32.const 300) (i32.const 0) (call $msize)) (i32.store8 (i32.const 299) (call $code))
    (call $append (i32.const 299) (i32.add (call $msize) (i32.const 1))) (call $reply))
  (func $ontrap (param i32) unreachable)
  (func $oncleanup (param i32) unreachable))`;

describe("composite queries", () => {
  function setup(): { watched: Watched; counter: CanisterId; outer: CanisterId } {
    const watched = new Watched();
    const counter = watched.subnet.installed(COUNTER);
    const outer = watched.subnet.installed(COMPOSITE);
    watched.subnet.reply({ canisterId: counter, method: "inc" });
    return { watched, counter, outer };
  }

  function path(...ids: CanisterId[]): Uint8Array {
    return Uint8Array.from(ids.flatMap((id) => [...id]));
  }

  test("call other canisters; callbacks see the draft, nobody else does", () => {
    const { watched, counter, outer } = setup();
    // The certificate is there in the root's entry only; 41 = 40 + present.
    assert.deepEqual(replied(watched.query(outer, "relay", path(counter))), Uint8Array.of(41, 1, 0, 0, 0));
    assert.deepEqual(replied(watched.query(outer, "seen")), Uint8Array.of(0));
    const nested = replied(watched.query(outer, "relay", path(outer, counter)));
    assert.deepEqual(nested, Uint8Array.of(41, 40, 1, 0, 0, 0));
  });

  test("are bounded in depth", () => {
    const { watched, counter, outer } = setup();
    const deep = (n: number): ViewQueryOutcome =>
      watched.query(outer, "relay", path(...new Array<CanisterId>(n).fill(outer), counter));
    replied(deep(5));
    assert.equal(rejection(deep(6)).errorCode, "IC0525");
  });

  test("a callee's failure reaches the callback with its code", () => {
    const { watched, outer } = setup();
    const bytes = replied(watched.query(outer, "relay", path(canisterIdFromIndex(77n))));
    assert.equal(bytes[0], 3);
    assert.match(String.fromCharCode(...bytes.subarray(1)), /^IC0301: Canister [a-z0-9-]+ not found/);
  });

  test("a trapping callback fails the call, unless another one answers", () => {
    const { watched, counter, outer } = setup();
    const both = rejection(watched.query(outer, "trapping", path(counter)));
    assert.equal(both.errorCode, "IC0502");
    assert.match(
      both.rejectMessage,
      /Canister trapped: unreachable\n\ncall_on_cleanup also failed:\n\nCanister trapped: unreachable$/,
    );
    assert.deepEqual(replied(watched.query(outer, "twice", path(counter))), Uint8Array.of(1, 1, 0, 0, 0));
    assert.deepEqual(replied(watched.query(outer, "seen")), Uint8Array.of(0));
  });

  test("are not for replicated execution", () => {
    const { watched, outer } = setup();
    assert.equal(watched.subnet.rejection({ canisterId: outer, method: "relay" }).errorCode, "IC0527");
  });
});

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

describe("inspection", () => {
  const watched = new Watched();
  const { subnet } = watched;
  const id = subnet.installed(COUNTER);

  function inspect(message: Parameters<TestSubnet["envelope"]>[0]): string | null {
    const error = watched.follow().inspect(subnet.envelope(message).bytes);
    return error === null ? null : `${error.code} ${error.message}`;
  }

  test("asks the canister", () => {
    assert.equal(inspect({ canisterId: id, method: "inc" }), null);
    assert.match(
      inspect({ canisterId: id, method: "longer" }) ?? "",
      /^406 Error from Canister [a-z0-9-]+: Canister rejected the message$/,
    );
  });

  test("checks existence, code, cycles and the management canister's rules", () => {
    assert.match(
      inspect({ canisterId: canisterIdFromIndex(99n), method: "inc" }) ?? "",
      /^301 Canister [a-z0-9-]+ not found/,
    );
    assert.match(inspect({ canisterId: subnet.create(), method: "inc" }) ?? "", /^537 /);
    assert.equal(inspect({ method: "canister_status", arg: idArg(id) }), null);
    assert.match(inspect({ method: "canister_status", arg: idArg(id), sender: STRANGER }) ?? "", /^512 /);
    assert.match(inspect({ method: "raw_rand" }) ?? "", /^406 Only canisters can call ic00 method raw_rand/);
    assert.match(inspect({ method: "unknown" }) ?? "", /^536 /);
    const poor = subnet.installed(COUNTER);
    subnet.canister(poor).meta.cycles = 5n;
    subnet.state.changed.canisters.add(principalKey(poor));
    subnet.round();
    assert.match(
      inspect({ canisterId: poor, method: "inc" }) ?? "",
      /^207 Canister [a-z0-9-]+ is out of cycles/,
    );
    subnet.manage("stop_canister", id);
    assert.match(inspect({ canisterId: id, method: "inc" }) ?? "", /^508 /);
  });
});

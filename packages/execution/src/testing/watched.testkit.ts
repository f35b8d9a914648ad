/** A subnet in rounds with a certified view that follows it, and the canister that tests of views ask. */
import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import {
  ANONYMOUS,
  type CanisterId,
  canisterIdFromIndex,
  type Principal,
  principalFromText,
  utf8,
} from "@orrery/base";
import { decodeCertificate, decodeNat, type HashTree, lookupPath, reconstruct } from "@orrery/crypto";
import { PageReader } from "@orrery/state";
import {
  type Certification,
  CertifiedView,
  type ReadStateAnswer,
  type ViewOptions,
  type ViewQueryOutcome,
} from "../query/view.ts";
import { formedView } from "./formed.testkit.ts";
import { TestSubnet, type TestSubnetOptions } from "./subnet.testkit.ts";

export const STRANGER: Principal = principalFromText("em77e-bvlzu-aq");
const CERTIFICATION: Certification = { signature: new Uint8Array(48).fill(5), delegation: null };

/** A subnet and a view of it that is kept up to date. */
export class Watched {
  readonly subnet: TestSubnet;
  readonly view: CertifiedView;
  readonly #reader = new PageReader();
  #seen = 0;

  constructor(
    before: (subnet: TestSubnet) => void = () => {},
    options: TestSubnetOptions & Pick<ViewOptions, "startTimer"> = {},
  ) {
    this.subnet = new TestSubnet(options);
    before(this.subnet);
    this.#seen = this.subnet.results.length;
    this.#slabs();
    const snapshot = formedView(this.subnet.state);
    this.view = new CertifiedView({
      snapshot,
      certification: CERTIFICATION,
      pages: this.#reader,
      inflate: (bytes, max) => new Uint8Array(gunzipSync(bytes, { maxOutputLength: max })),
      ...(options.startTimer === undefined ? {} : { startTimer: options.startTimer }),
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

export const COUNTER: string = `(module
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

export function replied(outcome: ViewQueryOutcome): Uint8Array {
  assert.equal(outcome.status, "replied", JSON.stringify(outcome));
  return outcome.status === "replied" ? outcome.reply : new Uint8Array(0);
}

export function rejection(outcome: ViewQueryOutcome): Extract<ViewQueryOutcome, { status: "rejected" }> {
  assert.equal(outcome.status, "rejected");
  return outcome as Extract<ViewQueryOutcome, { status: "rejected" }>;
}

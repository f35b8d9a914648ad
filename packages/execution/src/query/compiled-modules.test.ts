/** A view does not compile what execution compiled: the module comes with the round that brings it to the subnet, once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PageReader } from "@orrery/state";
import { type CompiledCanister, Engine } from "@orrery/wasm";
import { formedView } from "../testing/formed.testkit.ts";
import { TestSubnet } from "../testing/subnet.testkit.ts";
import { COUNTER } from "../testing/watched.testkit.ts";
import { CertifiedView } from "./view.ts";

class CountingEngine extends Engine {
  compiled = 0;

  override compile(wasm: Uint8Array): ReturnType<Engine["compile"]> {
    this.compiled++;
    return super.compile(wasm);
  }
}

test("modules come to the view compiled", () => {
  const subnet = new TestSubnet();
  const engine = new CountingEngine();
  const pages = new PageReader();
  const share = (): void => {
    for (const slab of subnet.arena.slabs(pages.slabCount)) pages.addSlab(slab);
  };
  const certification = { signature: new Uint8Array(48), delegation: null };
  const inflate = (): never => assert.fail("not gzip");
  const snapshot = formedView(subnet.state);
  const view = new CertifiedView({ snapshot, certification, pages, inflate, engine });
  const sent: CompiledCanister[] = [];
  let seen = 0;
  const follow = (): void => {
    share();
    for (; seen < subnet.results.length; seen++) {
      const { delta } = subnet.results[seen] as (typeof subnet.results)[number];
      for (const { compiled } of delta.modules) if (compiled !== undefined) sent.push(compiled);
      view.apply(structuredClone(delta), certification);
    }
  };
  const get = (canisterId: ReturnType<typeof subnet.create>): unknown =>
    view.query({
      sender: canisterId as never,
      senderInfo: null,
      canisterId,
      methodName: "get",
      arg: new Uint8Array(0),
    }).outcome.status;
  const first = subnet.installed(COUNTER);
  const second = subnet.installed(COUNTER);
  follow();
  assert.deepEqual([first, second].map(get), ["replied", "replied"]);
  assert.equal(engine.compiled, 0);
  assert.equal(sent.length, 1);
  // Gone with its last canister, it comes again with the next.
  for (const id of [first, second]) assert.equal(subnet.manage("uninstall_code", id).kind, "replied");
  const third = subnet.installed(COUNTER);
  follow();
  assert.equal(get(third), "replied");
  assert.equal(sent.length, 2);
  assert.equal(engine.compiled, 0);
});

/** A view that begins while rounds go on: parts and deltas in turn come to the state, record by record. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, principalKey } from "@orrery/base";
import { treeHash } from "@orrery/crypto";
import { fullTree, type PageTable, type ReplicatedState } from "@orrery/state";
import fc from "fast-check";
import { createArg, TestSubnet } from "../testing/subnet.testkit.ts";
import { COUNTER } from "../testing/watched.testkit.ts";
import { FormingMirror } from "./forming.ts";
import { type PartLimits, ViewGathering } from "./gathering.ts";
import { Mirror, type MirroredCanister } from "./mirror.ts";

const OTHER = COUNTER.replace("oh no", "no oh");
const NO_OBSERVER = { moved: () => {}, removed: () => {} };
const SMALL: PartLimits = { canistersMax: 1, pagesMax: 1_000, ingressMax: 2 };

/** What a view has of a canister, pages as pairs. */
function seen({ meta, memory, logs, consumed, queryStats }: Omit<MirroredCanister, "chargedUntil">) {
  const pages = (table: PageTable): number[] => [...table.pairs()];
  return {
    meta: structuredClone(meta),
    heap: pages(memory.heap),
    stable: pages(memory.stable),
    logs,
    consumed: [...consumed].sort(),
    queryStats,
  };
}

/** Every record of the mirror is the state's. */
function assertSame(mirror: Mirror, state: ReplicatedState): void {
  assert.equal(mirror.height, state.height);
  assert.equal(mirror.time, state.time);
  assert.deepEqual([...mirror.canisters.keys()].sort(), [...state.canisters.keys()].sort());
  for (const canister of state.canisters.values()) {
    const mirrored = mirror.canister(canister.meta.id);
    assert.ok(mirrored !== null);
    assert.deepEqual(seen(mirrored), seen(canister));
    const { module } = canister.meta;
    if (module !== null) assert.deepEqual(mirror.get(module.blob), state.blobs.get(module.blob));
  }
  assert.deepEqual([...mirror.ingress.keys()].sort(), [...state.ingressHistory.keys()].sort());
  for (const [key, { sender, receiver, effectiveId }] of state.ingressHistory) {
    const { requestId, ...rest } = mirror.ingress.get(key) ?? assert.fail(`no request ${key}`);
    assert.deepEqual(rest, { sender, receiver, effectiveId });
  }
  assert.deepEqual(treeHash(mirror.tree), treeHash(fullTree(state)));
}

/** A subnet that moves on, one round at a time, in ways that views have to follow. */
class Moving {
  readonly subnet = new TestSubnet();
  readonly ids: CanisterId[] = [];

  constructor() {
    for (let i = 0; i < 4; i++) this.ids.push(this.subnet.installed(i % 2 === 0 ? COUNTER : OTHER));
  }

  /** Each step is one round; `what` decides which, `which` of which canister. */
  step(what: number, which: number): void {
    const { subnet } = this;
    const id = this.ids[which % this.ids.length] as CanisterId;
    const manage = (method: string): Uint8Array => subnet.manageEnvelope(method, id).bytes;
    const install = (canister: CanisterId, text: string, mode: unknown): Uint8Array =>
      subnet.envelope({ method: "install_code", arg: subnet.installArg(canister, text, { mode }) }).bytes;
    const create = (specifiedId?: CanisterId): Uint8Array =>
      subnet.envelope({
        method: "provisional_create_canister_with_cycles",
        arg: createArg(specifiedId === undefined ? {} : { specifiedId }),
      }).bytes;
    const steps: readonly (() => readonly Uint8Array[])[] = [
      () => [subnet.envelope({ canisterId: id, method: "inc" }).bytes],
      () => [subnet.envelope({ canisterId: id, method: "grow" }).bytes],
      () => [create()],
      () => [install(id, OTHER, { reinstall: null })],
      () => [install(id, COUNTER, { upgrade: [] })],
      () => [manage("uninstall_code")],
      () => [manage("stop_canister"), manage("delete_canister")],
      () => [
        manage("stop_canister"),
        manage("delete_canister"),
        create(id),
        install(id, OTHER, { install: null }),
      ],
      () => [create(id), install(id, COUNTER, { install: null })],
      () => [],
    ];
    const messages = (steps[what % steps.length] as (typeof steps)[number])();
    // Requests are forgotten and pruned as time goes by.
    subnet.round(messages, what % 7 === 0 ? 100_000_000_000n : 1_000_000n);
    for (const { meta } of subnet.state.canisters.values())
      if (!this.ids.some((one) => principalKey(one) === principalKey(meta.id))) this.ids.push(meta.id);
  }
}

/** Gathers with the steps between parts, after which comes whatever is left. */
function formed(
  moving: Moving,
  steps: readonly (readonly [what: number, which: number, parts: number])[],
): Mirror {
  const { subnet } = moving;
  const gathering = new ViewGathering(subnet.state);
  const forming = new FormingMirror();
  const part = (): void => forming.add(structuredClone(gathering.next(SMALL)));
  for (const [what, which, parts] of steps) {
    for (let i = 0; i < parts && !gathering.isDone; i++) part();
    moving.step(what, which);
    forming.follow(structuredClone(subnet.results.at(-1)?.delta ?? assert.fail()));
  }
  while (!gathering.isDone) part();
  return new Mirror(forming.finish(structuredClone(gathering.end())));
}

test("whatever rounds do between the parts, the view has the state and follows it", () => {
  const step = fc.tuple(fc.nat(9), fc.nat(11), fc.nat(3));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const moving = new Moving();
      const mirror = formed(moving, steps);
      assertSame(mirror, moving.subnet.state);
      for (const [what, which] of steps) {
        moving.step(what, which);
        mirror.apply(structuredClone(moving.subnet.results.at(-1)?.delta ?? assert.fail()), NO_OBSERVER);
      }
      assertSame(mirror, moving.subnet.state);
    }),
    { numRuns: 40 },
  );
});

test("canisters and requests that come to be after all were visited come with their deltas", () => {
  const moving = new Moving();
  const { subnet } = moving;
  const gathering = new ViewGathering(subnet.state);
  const forming = new FormingMirror();
  while (!gathering.isDone) forming.add(structuredClone(gathering.next()));
  for (const what of [2, 0, 6, 8, 3, 7]) {
    moving.step(what, 1);
    forming.follow(structuredClone(subnet.results.at(-1)?.delta ?? assert.fail()));
  }
  assertSame(new Mirror(forming.finish(gathering.end())), subnet.state);
});

test("a delta that was lost, or a part, is found out before anybody asks", () => {
  const moving = new Moving();
  const { subnet } = moving;
  const begin = (): { readonly gathering: ViewGathering; readonly forming: FormingMirror } => ({
    gathering: new ViewGathering(subnet.state),
    forming: new FormingMirror(),
  });
  const last = () => structuredClone(subnet.results.at(-1)?.delta ?? assert.fail());

  const unfinished = begin();
  unfinished.forming.add(unfinished.gathering.next(SMALL));
  assert.throws(() => unfinished.forming.finish(unfinished.gathering.end()), /the whole state/);

  const gap = begin();
  moving.step(0, 0);
  gap.forming.follow(last());
  moving.step(0, 0);
  moving.step(0, 0);
  assert.throws(() => gap.forming.follow(last()), /follows/);

  const lost = begin();
  // The first two have brought the modules.
  for (let i = 0; i < 2; i++) lost.forming.add(lost.gathering.next(SMALL));
  lost.gathering.next(SMALL);
  while (!lost.gathering.isDone) lost.forming.add(lost.gathering.next(SMALL));
  assert.throws(() => new Mirror(lost.forming.finish(lost.gathering.end())), /root hash/);

  const late = begin();
  while (!late.gathering.isDone) late.forming.add(structuredClone(late.gathering.next()));
  moving.step(0, 0);
  assert.throws(() => new Mirror(late.forming.finish(late.gathering.end())), /root hash/);
});

/** What canisters counted is compared with what was ordered: what was never executed, and what comes from nowhere, is found. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Block } from "@orrery/base";
import type { CanisterApplication } from "../subnet/canister-application.ts";
import { CALM } from "../subnet/faults.ts";
import { worldFor } from "../subnet/run.ts";
import type { World } from "../subnet/world.ts";
import { CanisterNetwork } from "./canister-network.ts";

const SECOND = 1_000_000_000n;

/** At rest, with some updates counted. */
function counted(): { readonly network: CanisterNetwork; readonly world: World } {
  const network = new CanisterNetwork(1, 1);
  const world = worldFor({
    seed: 1,
    nodes: 4,
    spares: null,
    seconds: 0,
    messagesPerSecond: 0,
    catchUpInterval: 20,
    faults: CALM,
    application: () => network.application(0),
  });
  network.add(world);
  for (let i = 0; i < 4; i++) world.submit(network.message(0, world.now));
  for (let i = 0; i < 20 || !network.isAtRest(); i++) world.run(world.now + SECOND / 2n);
  return { network, world };
}

/** A block that is said to be final, with these messages. */
function saidFinal(world: World, height: number, ingress: readonly Uint8Array[]): void {
  const [last] = world.checkers.blocks.slice(-1) as [Block];
  const block = { ...last, height, payload: { ingress } };
  world.checkers.delivered({ node: 0, height, hash: new Uint8Array(32).fill(1), block });
}

test("an update that was ordered and never executed, and one that was executed twice, are found", () => {
  const { network, world } = counted();
  assert.deepEqual(network.problems(), []);
  const { blocks } = world.checkers;
  assert.equal(blocks.flatMap(({ payload }) => payload.ingress).length, 4);
  // Of another height than those of the chain, so that only what was counted can tell.
  saidFinal(world, 0, [network.message(0, world.now), network.message(0, world.now)]);
  const [updates, calls] = network.problems();
  assert.match(updates ?? "", /6 updates are ordered, 4 counted/);
  assert.match(calls ?? "", /3 calls between canisters, 2 came, 2 answered/);
  const without = counted();
  const ordered = without.world.checkers.blocks.filter(({ payload }) => payload.ingress.length > 0);
  for (const { payload } of ordered) (payload.ingress as Uint8Array[]).pop();
  assert.match(without.network.problems()[0] ?? "", /updates are ordered, 4 counted/);
});

test("cycles from nowhere are found", () => {
  const { network, world } = counted();
  for (const { application } of world.nodes) {
    const { state } = application as CanisterApplication;
    for (const { meta } of state.canisters.values()) Object.assign(meta, { cycles: meta.cycles + 1n });
  }
  assert.match(network.problems()[0] ?? "", /\d+ cycles too many/);
});

/** Which nodes a process hosts, and how processes know each other. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OrreryError } from "@orrery/base";
import { hostedByProcess } from "./topology.ts";

test("a process hosts one node, or one of every subnet", () => {
  const two = [{ nodes: 3 }, { nodes: 3 }];
  assert.deepEqual(hostedByProcess(two, 6).slice(2, 4), [
    [{ subnet: 0, place: 2 }],
    [{ subnet: 1, place: 0 }],
  ]);
  assert.deepEqual(hostedByProcess(two, 3)[1], [
    { subnet: 0, place: 1 },
    { subnet: 1, place: 1 },
  ]);
  assert.deepEqual(hostedByProcess([{ nodes: 4 }], 4)[3], [{ subnet: 0, place: 3 }]);
  assert.equal(hostedByProcess([{ nodes: 4 }, { nodes: 7 }], 11).length, 11);
  for (const [kinds, processes] of [
    [two, 4],
    [[{ nodes: 4 }, { nodes: 7 }], 7],
    [[{}], 0],
  ] as const)
    assert.throws(
      () => hostedByProcess(kinds, processes),
      (error) => error instanceof OrreryError && error.code === "network_plan_invalid",
    );
});

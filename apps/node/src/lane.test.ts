/** Turns between owners. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Lane } from "./lane.ts";

test("owners take turns, one piece at a time, and a failure is its own", async () => {
  const lane = new Lane();
  const order: string[] = [];
  let under = 0;
  const piece = (name: string) => async (): Promise<string> => {
    assert.equal(++under, 1);
    await Promise.resolve();
    under--;
    order.push(name);
    if (name === "a2") throw new Error("a2 fails");
    return name;
  };
  const asked = ["a1", "a2", "a3", "b1", "c1"].map((name) => lane.run(name.slice(0, 1), piece(name)));
  const results = await Promise.allSettled(asked);
  assert.deepEqual(order, ["a1", "a2", "b1", "c1", "a3"]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled", "fulfilled", "fulfilled"],
  );
  assert.equal(await lane.run("d", piece("d1")), "d1");
});

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { Target } from "./lib/attacks.ts";
import { manage } from "./lib/counter.ts";
import { startNetwork } from "./lib/network.ts";

const scratch = mkdtempSync(join(tmpdir(), "orrery-bench-network-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

describe("a network that is measured", () => {
  test("counts an attack that it took on and none that it turned away, and is stopped once", async () => {
    const network = await startNetwork(join(scratch, "attacked"));
    try {
      const target = await Target.open(network);
      const call = { network, arg: new Uint8Array(), effective: network.defaultEffectiveCanisterId };
      const taken = (): void => assert.fail("nobody has such a method");
      await assert.rejects(manage({ ...call, method: "moon", taken }), /moon/);
      await assert.rejects(target.assail(Uint8Array.of(0)), /IC0505/);
      assert.equal(target.taken, 1);
      await network.stop({ signal: "SIGKILL", keepState: true });
    } finally {
      // Where it was stopped already there is nothing to wait for.
      await network.stop();
    }
  });

  test("says why it does not start", async () => {
    const file = join(scratch, "file");
    writeFileSync(file, "");
    await assert.rejects(startNetwork(file), /the network did not start: state directory .*file: /);
  });
});

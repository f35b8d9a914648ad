/**
 * Hostile modules and messages thrown at a real node: the documented answers over HTTP, a main thread that is never busy for more than
 * 50 ms at a time, and a neighbour that is answered meanwhile. How fast it is answered is what `npm run bench -- hostile` prints.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Principal } from "@icp-sdk/core/principal";
import { HOSTILE_MODULES } from "@orrery/execution/hostile";
import { canisterArgument } from "../durability/candid.ts";
import { countOf, replyOf, Stage } from "./stage.ts";

const NOTHING = new Uint8Array(0);
const TURN_MS_MAX = 50;
/** More does not fit an ingress message beside the argument's frame. */
const UPLOAD_BYTES_MAX = 2 * 1024 * 1024 - 1_000;
const ALL: boolean = process.env["ORRERY_HOSTILE"] === "all";
/** Those that cost a node most are enough for every run. */
const WORST =
  /100 MiB of zeros in|490,000 blocks|50,000 functions|filled table|200,000 custom|10,000 exports|locals/;

describe("a node under attack", () => {
  let stage: Stage;
  let neighbour: Principal;
  let victim: Principal;
  let counted = 0;

  before(async () => {
    stage = await Stage.open();
    neighbour = await stage.worst();
    victim = await stage.create();
    // Starting is not what is measured.
    await stage.longestTurnMs();
  });
  after(() => stage.close());

  async function neighbourAnswers(): Promise<void> {
    assert.equal(countOf(replyOf(await stage.call(neighbour, "count"))), ++counted);
    assert.equal(countOf(await stage.client.query(stage.at, neighbour, "total", NOTHING)), counted);
  }

  async function assertMainWasFree(): Promise<void> {
    const longest = await stage.longestTurnMs();
    assert.ok(longest <= TURN_MS_MAX, `main was busy for ${longest} ms`);
    assert.deepEqual(stage.ends, []);
  }

  for (const { name, wasm, verdict } of HOSTILE_MODULES) {
    if (!ALL && !WORST.test(name)) continue;
    const bytes = wasm();
    // Those are for rounds only.
    if (bytes.length > UPLOAD_BYTES_MAX) continue;
    test(`${name}: ${verdict === "installed" ? "installed" : "refused"}`, async () => {
      const [answer] = await Promise.all([stage.install(victim, bytes), neighbourAnswers()]);
      if (verdict === "installed") {
        replyOf(answer);
        replyOf(await stage.manage("uninstall_code", canisterArgument(victim), victim));
      } else {
        assert.ok(answer.kind === "rejected" && answer.code === 5, JSON.stringify(answer));
        assert.ok(answer.message.includes(verdict.refused), answer.message);
      }
      await assertMainWasFree();
    });
  }

  test("endless queries and inspections are refused at their limits, and nobody waits for them", async () => {
    const hostile = await stage.worst();
    const asked = [
      assert.rejects(stage.client.query(stage.at, hostile, "endless", NOTHING), /IC0522/),
      stage.call(hostile, "inspected").then((answer) => {
        assert.ok(
          answer.kind === "rejected" && answer.message.includes("exceeded the limit"),
          JSON.stringify(answer),
        );
      }),
    ];
    for (let i = 0; i < 5; i++) await neighbourAnswers();
    await Promise.all(asked);
    await assertMainWasFree();
  });

  test("endless heartbeats and updates, and storms of memory, go on beside others until they are uninstalled", async () => {
    const hostile = [await stage.worst(), await stage.worst(), await stage.worst()] as const;
    replyOf(await stage.call(hostile[0], "beat"));
    for (const [i, method] of ["spin", "stable"].entries()) {
      const canisterId = hostile[i + 1] as Principal;
      await stage.client.send(stage.at, await stage.client.sign({ canisterId, method, arg: NOTHING }));
    }
    for (let i = 0; i < 10; i++) await neighbourAnswers();
    await assertMainWasFree();
  });
});

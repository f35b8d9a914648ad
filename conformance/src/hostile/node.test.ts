/**
 * Hostile modules and messages thrown at a real node: the documented answers over HTTP, a main thread that is never busy for more than
 * 50 ms at a time, and a neighbour that is answered meanwhile. How fast it is answered is what `npm run bench -- hostile` prints.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Principal } from "@icp-sdk/core/principal";
import { HOSTILE_MODULES } from "@orrery/execution/hostile";
import { canisterArgument } from "../durability/candid.ts";
import { countOf, replyOf, Stage, worstModule } from "./stage.ts";

const NOTHING = new Uint8Array(0);
const TURN_MS_MAX = 50;
const ATTEMPTS_MAX = 3;
/** More does not fit an ingress message beside the frames. */
const ARGUMENT_BYTES_MAX = 2 * 1024 * 1024 - 1_000;
const FLOODING_CANISTERS = 8;
/** Large answers take several rounds. */
const FLOOD_TURNS_MAX = 20;
const CLIENTS = 16;
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

  /**
   * Attacks, and main must not have been busy for longer at a time. What is measured is a turn of the event loop, in which a crowded machine
   * gathers many tasks by chance; one that is too long in itself is so every time.
   */
  async function leavingMainFree(attack: () => Promise<void>): Promise<void> {
    let longest = 0;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      await attack();
      assert.deepEqual(stage.ends, []);
      longest = await stage.longestTurnMs();
      if (longest <= TURN_MS_MAX) return;
    }
    assert.fail(`main was busy for ${longest} ms`);
  }

  test("a main thread that is busy for longer is noticed", async () => {
    await assert.rejects(
      leavingMainFree(() => stage.block(2 * TURN_MS_MAX)),
      /main was busy for \d+/,
    );
  });

  for (const { name, wasm, verdict } of HOSTILE_MODULES) {
    if (!ALL && !WORST.test(name)) continue;
    const bytes = wasm();
    // Those are for rounds only.
    if (bytes.length > ARGUMENT_BYTES_MAX) continue;
    test(`${name}: ${verdict === "installed" ? "installed" : "refused"}`, async () => {
      await leavingMainFree(async () => {
        const [answer] = await Promise.all([stage.install(victim, bytes), neighbourAnswers()]);
        if (verdict === "installed") {
          replyOf(answer);
          replyOf(await stage.manage("uninstall_code", canisterArgument(victim), victim));
        } else {
          assert.ok(answer.kind === "rejected" && answer.code === 5, JSON.stringify(answer));
          assert.ok(answer.message.includes(verdict.refused), answer.message);
        }
      });
    });
  }

  test("bodies of nothing but the shortest values are refused at once", async () => {
    for (const value of [0x00, 0x40, 0x80, 0xa0]) {
      const body = new Uint8Array(5 * 1024 * 1024).fill(value);
      body[0] = 0x9a;
      new DataView(body.buffer).setUint32(1, body.length - 5);
      await leavingMainFree(async () => {
        const response = await fetch(`${stage.at.url}/api/v4/canister/${victim.toText()}/call`, {
          method: "POST",
          headers: { "content-type": "application/cbor" },
          body,
        });
        assert.equal(response.status, 400);
        assert.match(await response.text(), /too many items/);
      });
    }
  });

  test("endless queries and inspections are refused at their limits, and nobody waits for them", async () => {
    const hostile = await stage.worst();
    await leavingMainFree(async () => {
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
    });
  });

  test("endless heartbeats and updates, queries as updates, and storms of memory go on beside others until they are uninstalled", async () => {
    const hostile = await Promise.all(Array.from({ length: 5 }, () => stage.worst()));
    replyOf(await stage.call(hostile[0] as Principal, "beat"));
    for (const [i, method] of ["spin", "stable", "keep", "endless"].entries()) {
      const canisterId = hostile[i + 1] as Principal;
      await stage.client.send(stage.at, await stage.client.sign({ canisterId, method, arg: NOTHING }));
    }
    await leavingMainFree(async () => {
      for (let i = 0; i < 10; i++) await neighbourAnswers();
    });
  });

  /** The fewest answers that one of the flooding canisters got to its calls. */
  async function answered(ids: readonly Principal[]): Promise<number> {
    const counts = ids.map((id) => stage.client.query(stage.at, id, "answers", NOTHING).then(countOf));
    return Math.min(...(await Promise.all(counts)));
  }

  for (const { method, canisters } of [
    { method: "flood", canisters: FLOODING_CANISTERS },
    { method: "bulk", canisters: 1 },
  ]) {
    // They fill their queues to the next, and once more with every answer, until they are uninstalled.
    test(`calls without end are nothing to main: ${method}, ${canisters} canisters`, async () => {
      const hostile = await Promise.all(Array.from({ length: canisters }, () => stage.worst()));
      try {
        const begun = hostile.map((id, i) =>
          stage.call(id, method, (hostile[(i + 1) % canisters] as Principal).toUint8Array()),
        );
        for (const answer of await Promise.all(begun)) replyOf(answer);
        await leavingMainFree(async () => {
          for (let i = 0; i < 10; i++) await neighbourAnswers();
        });
        // What was measured was a flood, and it is one yet.
        const before = await answered(hostile);
        let now = before;
        for (let turn = 0; turn < FLOOD_TURNS_MAX && now === before; turn++) {
          await neighbourAnswers();
          now = await answered(hostile);
        }
        assert.ok(now > before, `${now} answers, and no further one`);
      } finally {
        for (const id of hostile) replyOf(await stage.manage("uninstall_code", canisterArgument(id), id));
      }
    });
  }

  for (const { what, bytes, each } of [
    { what: "small", bytes: 0, each: 8 },
    { what: "as large as messages may be", bytes: ARGUMENT_BYTES_MAX, each: 2 },
  ]) {
    test(`sixteen clients at once, messages ${what}`, async () => {
      const arg = new Uint8Array(bytes);
      const client = async (): Promise<void> => {
        for (let i = 0; i < each; i++) replyOf(await stage.call(victim, "ping", arg));
      };
      replyOf(await stage.install(victim, await worstModule()));
      await leavingMainFree(async () => {
        await Promise.all([...Array.from({ length: CLIENTS }, client), neighbourAnswers()]);
      });
      replyOf(await stage.manage("uninstall_code", canisterArgument(victim), victim));
    });
  }
});

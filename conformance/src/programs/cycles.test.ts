/**
 * Cycles (interface spec, "Cycles", "IC method canister_status"; the published fee table, 13 nodes): what messages cost, that refunds are
 * exact, that nothing is made or lost between canisters, what a canister that cannot pay refuses.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { QueryResponseStatus } from "@icp-sdk/core/agent";
import type { Principal } from "@icp-sdk/core/principal";
import { childIdlFactory, otherFixture } from "@orrery/canisters/fixtures";
import { install, PERSISTENCE_MODES, type Program, programAt } from "../programs.ts";
import { changeSettings, managing, statusOf } from "./management-service.ts";
import { rejectionOf } from "./rejection.ts";
import { shareNetwork } from "./shared-network.ts";

const shared = shareNetwork();
const TRILLION = 1_000_000_000_000n;
/** Far more than a few small messages and their bytes cost. */
const SMALL = TRILLION / 1_000n;
/** What an idle canister of these sizes may pay for its storage meanwhile; a message costs millions. */
const STORAGE_SLACK = 1_000_000n;
const UPDATE_BASE = 5_000_000n;
const INGRESS_BASE = 1_200_000n;
const INGRESS_BYTE = 2_000n;

function numberBytes(value: bigint): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, value, true);
  return out;
}

describe("the price of a message", () => {
  test("follows its bytes and its instructions", async () => {
    const { agent, network } = shared;
    const { id } = await install(network, agent, otherFixture("memory64"));
    const balance = async (): Promise<bigint> => {
      const answer = await agent.query(id, { methodName: "balance", arg: new Uint8Array(0) });
      assert.ok(answer.status === QueryResponseStatus.Replied);
      return new DataView(Uint8Array.from(answer.reply.arg).buffer).getBigUint64(0, true);
    };
    const costOf = async (methodName: string, arg: Uint8Array): Promise<bigint> => {
      const before = await balance();
      await agent.update(id, { methodName, arg, effectiveCanisterId: id });
      return before - (await balance());
    };
    assert.equal(await balance(), await balance(), "queries are free");
    const [short, long] = [
      await costOf("spin", numberBytes(1_000_000n)),
      await costOf("spin", numberBytes(11_000_000n)),
    ];
    // An iteration weighs ten instructions; ten of them cost 20 cycles where the memory is 64-bit.
    const perLoop = long - short - 10_000_000n * 20n;
    assert.ok(perLoop >= -STORAGE_SLACK && perLoop <= STORAGE_SLACK, `off by ${perLoop}`);
    const least = UPDATE_BASE + INGRESS_BASE + INGRESS_BYTE * BigInt("spin".length + 8) + 1_000_000n * 20n;
    assert.ok(short >= least && short < least + SMALL / 100n, `${short}, at least ${least}`);
    // The argument of `inc` is ignored: longer by 1,000 bytes, dearer by their induction and nothing else.
    const [bare, padded] = [
      await costOf("inc", new Uint8Array(0)),
      await costOf("inc", new Uint8Array(1_000)),
    ];
    const perByte = padded - bare - 1_000n * INGRESS_BYTE;
    assert.ok(perByte >= -STORAGE_SLACK && perByte <= STORAGE_SLACK, `off by ${perByte}`);
  });

  test("an enhanced program pays twice for instructions, a trapping one for what it ran", async () => {
    const costs = new Map<string, bigint>();
    for (const mode of PERSISTENCE_MODES) {
      const heap = await shared.motoko("heap", mode);
      const before = (await statusOf(shared.agent, heap.id)).cycles;
      await heap.call("churn", 10n, 200_000n);
      costs.set(mode, before - (await statusOf(shared.agent, heap.id)).cycles);
      const hooks = await shared.motoko("hooks", mode, "");
      const full = (await statusOf(shared.agent, hooks.id)).cycles;
      await rejectionOf(hooks.call("trapInUpdate"));
      const lost = full - (await statusOf(shared.agent, hooks.id)).cycles;
      assert.ok(lost >= UPDATE_BASE + INGRESS_BASE && lost < SMALL / 10n, `${lost}`);
    }
    for (const cost of costs.values()) assert.ok(cost > UPDATE_BASE && cost < SMALL, `${cost}`);
  });
});

for (const mode of PERSISTENCE_MODES) {
  describe(`cycles, ${mode} persistence`, () => {
    const wallet = (): Promise<Program> => shared.motoko("wallet", mode);
    const balanceOf = async (program: Program): Promise<bigint> => (await program.call("balance")) as bigint;

    /** Runs `act`; what it took from the canister beyond `expected`, which must be small and no gain. */
    async function assertLoses(
      program: Program,
      expected: bigint,
      act: () => Promise<unknown>,
    ): Promise<void> {
      const before = await balanceOf(program);
      await act();
      const lost = before - (await balanceOf(program)) - expected;
      assert.ok(lost >= 0n && lost < SMALL, `lost ${lost} more than the ${expected} expected`);
    }

    test("what is not accepted comes back", async () => {
      const [from, to] = [await wallet(), await wallet()];
      await assertLoses(from, 2n * TRILLION, () =>
        assertLoses(to, -2n * TRILLION, async () =>
          assert.deepEqual(await from.call("send", to.id, 5n * TRILLION, 2n * TRILLION), {
            accepted: 2n * TRILLION,
            refunded: 3n * TRILLION,
          }),
        ),
      );
      assert.equal(await to.call("receivedTotal"), 2n * TRILLION);
      // More than is offered cannot be accepted, and nothing is accepted from an ingress message.
      assert.deepEqual(await from.call("send", to.id, 7n, 10n ** 30n), { accepted: 7n, refunded: 0n });
      assert.equal(await to.call("receive", 1n), 0n);
      await assertLoses(from, (3n * TRILLION) / 2n, () => from.call("sendTwice", to.id, TRILLION));
      // To oneself: paid and received.
      await assertLoses(from, 0n, () => from.call("send", from.id, TRILLION, TRILLION));
    });

    test("traps and missing canisters return everything", async () => {
      const [caller, callee] = [await shared.motoko("caller", mode), await shared.motoko("callee", mode)];
      const before = (await statusOf(shared.agent, callee.id)).cycles;
      const paid = (await caller.call("payTrapping", callee.id, 9n * TRILLION)) as {
        outcome: { rejection: { code: string } };
        balanceBefore: bigint;
        balanceAfter: bigint;
      };
      assert.equal(paid.outcome.rejection.code, "#canister_error");
      assert.ok(paid.balanceBefore - paid.balanceAfter < SMALL, "the payer has it back");
      assert.ok((await statusOf(shared.agent, callee.id)).cycles <= before, "the payee kept nothing");
      const partly = (await caller.call("pay", callee.id, 9n * TRILLION, 4n * TRILLION)) as {
        refunded: bigint;
        balanceBefore: bigint;
        balanceAfter: bigint;
      };
      assert.equal(partly.refunded, 5n * TRILLION);
      const spent = partly.balanceBefore - partly.balanceAfter - 4n * TRILLION;
      assert.ok(spent >= 0n && spent < SMALL, `${spent}`);
      const empty = await wallet();
      await managing(shared.agent, empty.id).uninstall_code({
        canister_id: empty.id,
        sender_canister_version: [],
      });
      const refused = (await caller.call("pay", empty.id, 9n * TRILLION, 4n * TRILLION)) as typeof paid;
      assert.equal(refused.outcome.rejection.code, "#canister_error");
      assert.ok(refused.balanceBefore - refused.balanceAfter < SMALL);
    });

    test("more than the balance is not sent, and the message is undone", async () => {
      const [from, to] = [await wallet(), await wallet()];
      const { errorCode, message } = await rejectionOf(from.call("overspend", to.id));
      assert.equal(errorCode, "IC0504");
      assert.match(message, /is out of cycles/);
      assert.equal(await from.call("receivedTotal"), 0n);
    });

    test("deposits, burns and top-ups", async () => {
      const { agent } = shared;
      const [from, to] = [await wallet(), await wallet()];
      // The receiver runs nothing, so that it gets exactly what was sent.
      const before = await balanceOf(to);
      await assertLoses(from, TRILLION, async () =>
        assert.deepEqual(await from.call("deposit", to.id, TRILLION), { deposited: null }),
      );
      const gained = (await balanceOf(to)) - before;
      assert.ok(gained <= TRILLION && gained > TRILLION - STORAGE_SLACK, `${gained}`);
      await assertLoses(from, 3n * TRILLION, async () =>
        assert.equal(await from.call("burn", 3n * TRILLION), 3n * TRILLION),
      );
      const half = await balanceOf(to);
      await managing(agent, to.id).provisional_top_up_canister({ canister_id: to.id, amount: 7n * TRILLION });
      const added = (await balanceOf(to)) - half;
      assert.ok(added <= 7n * TRILLION && added > 7n * TRILLION - SMALL, `${added}`);
    });

    test("a new canister costs its fee and holds the rest", async () => {
      const spawner = await shared.motoko("spawner", mode);
      let id: Principal | undefined;
      await assertLoses(spawner, 5n * TRILLION, async () => {
        id = (await spawner.call("spawn", "Io", 5n * TRILLION)) as Principal;
      });
      assert.ok(id !== undefined);
      const child = programAt(shared.agent, id, childIdlFactory);
      const { name, greetings, bornWith } = (await child.call("state")) as {
        name: string;
        greetings: bigint;
        bornWith: bigint;
      };
      assert.deepEqual([name, greetings], ["Io", 0n]);
      // The balance seen while installing has the installation's own price reserved.
      assert.ok(bornWith <= 5n * TRILLION - TRILLION / 2n && bornWith > 3n * TRILLION, `${bornWith}`);
      const poor = await rejectionOf(spawner.call("spawn", "Europa", 1n));
      assert.match(
        poor.message,
        /Creating a canister requires a fee of 500000000000 .* but only 1 cycles were received/,
      );
      assert.deepEqual(((await spawner.call("ids")) as unknown[]).length, 1);
    });

    test("a frozen canister refuses, a thawed one goes on", async () => {
      const { agent } = shared;
      const counter = await shared.motoko("counter", mode);
      await counter.call("inc");
      await changeSettings(agent, counter.id, { freezing_threshold: 2n ** 63n });
      const update = await rejectionOf(counter.call("inc"));
      assert.deepEqual([update.code, update.errorCode], [2, "IC0207"]);
      assert.match(
        update.message,
        /is out of cycles: please top up the canister with at least \d+ additional cycles/,
      );
      const query = await rejectionOf(counter.call("get"));
      assert.deepEqual([query.code, query.errorCode], [2, "IC0207"]);
      assert.match(
        query.message,
        /is unable to process query calls because it's frozen\. Please top up the canister with cycles and try again\./,
      );
      const caller = await shared.motoko("caller", mode);
      const refused = await rejectionOf(caller.call("relay", counter.id, 1n));
      assert.match(refused.message, /is out of cycles/);
      await changeSettings(agent, counter.id, { freezing_threshold: 2_592_000n });
      assert.equal(await counter.call("inc"), 2n);
    });
  });
}

/**
 * The cycles ledger and the cycles-minting canister at their real ids (their published interfaces): accounts in cycles, canisters made and
 * filled from them, ICP turned into cycles once and only once, what failed paid back.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AnonymousIdentity, Certificate, type HttpAgent, LookupPathStatus } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { accountIdentifier, DEFAULT_XDR_PERMYRIAD_PER_ICP, subaccountOf } from "@orrery/canisters";
import { motokoFixture } from "@orrery/canisters/fixtures";
import { subnetsOf } from "../harness.ts";
import { installCode } from "../management.ts";
import { install, programAt } from "../programs.ts";
import {
  type Answered,
  type Client,
  CYCLES_LEDGER,
  CYCLES_MINTING,
  cyclesLedgerFor,
  cyclesMintingFor,
  icpLedgerFor,
} from "./ledger-services.ts";
import { statusOf } from "./management-service.ts";
import { rejectionOf } from "./rejection.ts";
import { shareNetwork } from "./shared-network.ts";

const shared = shareNetwork();
const TRILLION = 1_000_000_000_000n;
const FEE = 100_000_000n;
const ICP_FEE = 10_000n;
const ICP = 100_000_000n;
const CREATION_FEE = 500_000_000_000n;
/** For storage, paid meanwhile. */
const SLACK = 10_000_000n;
const MEMO_CREATE = 0x41455243n;
const MEMO_TOP_UP = 0x50555054n;
const MEMO_MINT = 0x544e494dn;

interface User {
  readonly owner: Principal;
  readonly agent: HttpAgent;
  readonly cycles: Client;
  readonly icp: Client;
  readonly minting: Client;
}

function userOf(agent: HttpAgent, owner: Principal): User {
  return {
    owner,
    agent,
    cycles: cyclesLedgerFor(agent),
    icp: icpLedgerFor(agent),
    minting: cyclesMintingFor(agent),
  };
}

function user(): User {
  const identity = Ed25519KeyIdentity.generate();
  return userOf(shared.as(identity), identity.getPrincipal());
}

/** The anonymous user owns ICP and cycles from the start. */
const treasury = (): User => userOf(shared.as(new AnonymousIdentity()), Principal.anonymous());
const nowNs = (): bigint => BigInt(Date.now()) * 1_000_000n;
const cyclesOf = (owner: Principal): Promise<bigint> => treasury().cycles.call("icrc1_balance_of", { owner });
const icpOf = (owner: Principal, subaccount?: Uint8Array): Promise<bigint> =>
  treasury().icp.call("icrc1_balance_of", { owner, subaccount });

function ok<Ok>(answer: Answered<Ok>): Ok {
  assert.ok(
    "Ok" in answer,
    JSON.stringify(answer, (_key, value) => (typeof value === "bigint" ? `${value}` : value)),
  );
  return answer.Ok;
}

async function withCycles(amount: bigint): Promise<User> {
  const someone = user();
  ok(await treasury().cycles.call<Answered>("icrc1_transfer", { to: { owner: someone.owner }, amount }));
  return someone;
}

async function withIcp(amount: bigint): Promise<User> {
  const someone = user();
  ok(await treasury().icp.call<Answered>("icrc1_transfer", { to: { owner: someone.owner }, amount }));
  return someone;
}

async function emptyCanister(): Promise<Principal> {
  const { id } = await shared.motoko("wallet", "classic");
  return id;
}

describe("cycles ledger", () => {
  test("says what it is", async () => {
    const { cycles } = treasury();
    assert.deepEqual(
      await Promise.all(
        ["icrc1_name", "icrc1_symbol", "icrc1_decimals", "icrc1_fee", "icrc1_minting_account"].map((m) =>
          cycles.call(m),
        ),
      ),
      ["Trillion Cycles", "TCYCLES", 12, FEE, []],
    );
    const standards = await cycles.call<{ name: string }[]>("icrc1_supported_standards");
    assert.deepEqual(
      standards.map(({ name }) => name),
      ["ICRC-1", "ICRC-2", "ICRC-3", "ICRC-10", "ICRC-103", "ICRC-106"],
    );
  });

  test("transfers, approvals and duplicates", async () => {
    const [from, to] = [await withCycles(10n * TRILLION), await withCycles(TRILLION)];
    const argument = { to: { owner: to.owner }, amount: TRILLION, created_at_time: nowNs() };
    const index = ok(await from.cycles.call<Answered>("icrc1_transfer", argument));
    assert.deepEqual(await from.cycles.call("icrc1_transfer", argument), {
      Err: { Duplicate: { duplicate_of: index } },
    });
    assert.deepEqual(await from.cycles.call("icrc1_transfer", { ...argument, fee: 1n }), {
      Err: { BadFee: { expected_fee: FEE } },
    });
    assert.deepEqual(
      [await cyclesOf(from.owner), await cyclesOf(to.owner)],
      [9n * TRILLION - FEE, 2n * TRILLION],
    );
    const take = (amount: bigint): Promise<Answered> =>
      to.cycles.call("icrc2_transfer_from", { from: { owner: from.owner }, to: { owner: to.owner }, amount });
    assert.deepEqual(await take(1n), { Err: { InsufficientAllowance: { allowance: 0n } } });
    ok(
      await from.cycles.call<Answered>("icrc2_approve", {
        spender: { owner: to.owner },
        amount: 2n * TRILLION,
      }),
    );
    ok(await take(TRILLION));
    assert.deepEqual(await take(TRILLION), { Err: { InsufficientAllowance: { allowance: TRILLION - FEE } } });
    assert.deepEqual(
      [await cyclesOf(from.owner), await cyclesOf(to.owner)],
      [8n * TRILLION - 3n * FEE, 3n * TRILLION],
    );
    const pair = { account: { owner: from.owner }, spender: { owner: to.owner } };
    assert.deepEqual(await from.cycles.call("icrc2_allowance", pair), {
      allowance: TRILLION - FEE,
      expires_at: [],
    });
  });

  test("makes canisters that hold what is left of the payment", async () => {
    const owner = await withCycles(10n * TRILLION);
    const argument = { amount: 3n * TRILLION, created_at_time: nowNs() };
    type Created = Answered<{ block_id: bigint; canister_id: Principal }>;
    const { canister_id, block_id } = ok(await owner.cycles.call<Created>("create_canister", argument));
    assert.equal(await cyclesOf(owner.owner), 7n * TRILLION - FEE);
    const status = await statusOf(owner.agent, canister_id);
    assert.deepEqual(status.settings.controllers.map(String), [owner.owner.toText()]);
    const missing = 3n * TRILLION - CREATION_FEE - status.cycles;
    assert.ok(missing >= 0n && missing < SLACK, `${missing}`);
    assert.deepEqual(await owner.cycles.call("create_canister", argument), {
      Err: { Duplicate: { duplicate_of: block_id, canister_id: [canister_id] } },
    });
    const fixture = motokoFixture("counter", "enhanced");
    await installCode(owner.agent, canister_id, fixture.wasmGzip);
    const counter = programAt(owner.agent, canister_id, fixture.idlFactory as IDL.InterfaceFactory);
    assert.equal(await counter.call("inc"), 1n);
    // With settings, for another user, on a named subnet.
    const other = user();
    const subnet = Principal.fromText(subnetsOf(shared.network).application.id);
    const settings = { controllers: [owner.owner, other.owner], freezing_threshold: 10_000n };
    const second = ok(
      await owner.cycles.call<Created>("create_canister", {
        amount: TRILLION,
        creation_args: { settings, subnet_selection: { Subnet: { subnet } } },
      }),
    );
    const { settings: given } = await statusOf(other.agent, second.canister_id);
    assert.deepEqual(given.controllers.map(String).sort(), [owner.owner, other.owner].map(String).sort());
    assert.equal(given.freezing_threshold, 10_000n);
  });

  test("pays back, less fees, what could not be made", async () => {
    const owner = await withCycles(10n * TRILLION);
    const funds = await cyclesOf(owner.owner);
    assert.deepEqual(await owner.cycles.call("create_canister", { amount: 100n * TRILLION }), {
      Err: { InsufficientFunds: { balance: funds } },
    });
    assert.equal(await cyclesOf(owner.owner), funds);
    const failed = await owner.cycles.call<Answered<never>>("create_canister", { amount: 200_000_000_000n });
    assert.ok("Err" in failed && "FailedToCreate" in failed.Err);
    const { error, refund_block } = failed.Err["FailedToCreate"] as { error: string; refund_block: [bigint] };
    assert.match(error, /Creating a canister requires a fee of 500000000000/);
    assert.equal(refund_block.length, 1);
    const lost = funds - (await cyclesOf(owner.owner));
    assert.ok(lost >= 2n * FEE && lost < 4n * FEE, `${lost}`);
  });

  test("fills canisters, and only canisters", async () => {
    const [owner, to] = [await withCycles(10n * TRILLION), await emptyCanister()];
    const before = (await statusOf(shared.agent, to)).cycles;
    ok(await owner.cycles.call<Answered>("withdraw", { amount: 2n * TRILLION, to }));
    const gained = (await statusOf(shared.agent, to)).cycles - before;
    assert.ok(gained <= 2n * TRILLION && gained > 2n * TRILLION - SLACK, `${gained}`);
    assert.equal(await cyclesOf(owner.owner), 8n * TRILLION - FEE);
    assert.deepEqual(await owner.cycles.call("withdraw", { amount: 1n, to: owner.owner }), {
      Err: { InvalidReceiver: { receiver: owner.owner } },
    });
    const absent = Principal.fromText("rrkah-fqaaa-aaaaa-aaaaq-cai");
    const failed = await owner.cycles.call<Answered<never>>("withdraw", { amount: TRILLION, to: absent });
    assert.ok("Err" in failed && "FailedToWithdraw" in failed.Err);
    const { rejection_code, rejection_reason } = failed.Err["FailedToWithdraw"] as {
      rejection_code: object;
      rejection_reason: string;
    };
    assert.deepEqual(rejection_code, { DestinationInvalid: null });
    assert.match(rejection_reason, /not found/);
    assert.equal(await cyclesOf(owner.owner), 8n * TRILLION - 3n * FEE);
    // Another user, within an allowance.
    const spender = user();
    ok(
      await owner.cycles.call<Answered>("icrc2_approve", {
        spender: { owner: spender.owner },
        amount: TRILLION,
      }),
    );
    const draw = (amount: bigint): Promise<Answered> =>
      spender.cycles.call("withdraw_from", { from: { owner: owner.owner }, to, amount });
    ok(await draw(TRILLION / 2n));
    assert.deepEqual(await draw(TRILLION / 2n), {
      Err: { InsufficientAllowance: { allowance: TRILLION / 2n - FEE } },
    });
    assert.equal(await cyclesOf(owner.owner), 8n * TRILLION - 5n * FEE - TRILLION / 2n);
  });

  test("takes deposits from canisters, and backs every balance", async () => {
    const caller = await install(shared.network, shared.agent, motokoFixture("caller", "enhanced"));
    const Deposit = IDL.Record({
      to: IDL.Record({ owner: IDL.Principal, subaccount: IDL.Opt(IDL.Vec(IDL.Nat8)) }),
      memo: IDL.Opt(IDL.Vec(IDL.Nat8)),
    });
    const empty = caller.call(
      "raw",
      CYCLES_LEDGER,
      "deposit",
      IDL.encode([Deposit], [{ to: { owner: shared.sender, subaccount: [] }, memo: [] }]),
    );
    assert.match(
      (await rejectionOf(empty)).message,
      /to be deposited is not more than the cycles ledger fee/,
    );
    const { cycles } = treasury();
    const { log_length, blocks } = await cycles.call<{
      log_length: bigint;
      blocks: { id: bigint; block: object }[];
    }>("icrc3_get_blocks", [{ start: 0n, length: 5n }]);
    assert.ok(log_length >= 1n && blocks.length >= 1);
    assert.equal(blocks[0]?.id, 0n);
    assert.ok("Map" in (blocks[0]?.block ?? {}));
    const [tip] =
      await cycles.call<[{ certificate: Uint8Array; hash_tree: Uint8Array }]>("icrc3_get_tip_certificate");
    const verified = await Certificate.create({
      certificate: tip.certificate,
      rootKey: shared.network.rootKey,
      principal: { canisterId: CYCLES_LEDGER },
    });
    const found = verified.lookup_path(["canister", CYCLES_LEDGER.toUint8Array(), "certified_data"]);
    assert.equal(found.status, LookupPathStatus.Found);
  });
});

describe("cycles-minting canister", () => {
  /** Pays to the canister for `beneficiary`; the ledger's block. */
  async function pay(from: User, beneficiary: Principal, amount: bigint, memo: bigint): Promise<bigint> {
    return ok(
      await from.icp.call<Answered>("transfer", {
        memo,
        amount: { e8s: amount },
        fee: { e8s: ICP_FEE },
        to: accountIdentifier(CYCLES_MINTING, subaccountOf(beneficiary)),
      }),
    );
  }
  const cyclesFor = (e8s: bigint): bigint => e8s * DEFAULT_XDR_PERMYRIAD_PER_ICP;

  test("tells a certified rate and its subnets", async () => {
    const { minting } = treasury();
    const rate = await minting.call<{
      data: { xdr_permyriad_per_icp: bigint; timestamp_seconds: bigint };
      certificate: Uint8Array;
    }>("get_icp_xdr_conversion_rate");
    assert.equal(rate.data.xdr_permyriad_per_icp, DEFAULT_XDR_PERMYRIAD_PER_ICP);
    await Certificate.create({
      certificate: rate.certificate,
      rootKey: shared.network.rootKey,
      principal: { canisterId: CYCLES_MINTING },
    });
    const subnets = await minting.call<Principal[]>("get_default_subnets");
    assert.deepEqual(subnets.map(String), [subnetsOf(shared.network).application.id]);
    assert.match(
      (await rejectionOf(minting.call("set_authorized_subnetwork_list", { subnets: [] }))).message,
      /Only the governance canister/,
    );
  });

  test("tops up a canister, once", async () => {
    const [from, to] = [await withIcp(10n * ICP), await emptyCanister()];
    const block_index = await pay(from, to, 2n * ICP, MEMO_TOP_UP);
    const supply = await from.icp.call<bigint>("icrc1_total_supply");
    const before = (await statusOf(shared.agent, to)).cycles;
    // Notified by several at once and again later: paid out once, answered alike.
    const answers = await Promise.all(
      [from, treasury(), from].map(({ minting }) =>
        minting.call<Answered>("notify_top_up", { block_index, canister_id: to }),
      ),
    );
    for (const answer of answers)
      assert.ok("Ok" in answer ? answer.Ok === cyclesFor(2n * ICP) : "Processing" in answer.Err);
    assert.equal(
      ok(await from.minting.call<Answered>("notify_top_up", { block_index, canister_id: to })),
      cyclesFor(2n * ICP),
    );
    const gained = (await statusOf(shared.agent, to)).cycles - before;
    assert.ok(gained <= cyclesFor(2n * ICP) && gained > cyclesFor(2n * ICP) - SLACK, `${gained}`);
    assert.equal(await from.icp.call("icrc1_total_supply"), supply - 2n * ICP, "the ICP is burned");
    assert.equal(await icpOf(CYCLES_MINTING, subaccountOf(to)), 0n);
    const asMint = await from.minting.call<Answered<never>>("notify_mint_cycles", { block_index });
    assert.deepEqual(asMint, {
      Err: { InvalidTransaction: "The same payment was already processed as a top up request." },
    });
  });

  test("makes a canister, once", async () => {
    const from = await withIcp(10n * ICP);
    const block_index = await pay(from, from.owner, ICP, MEMO_CREATE);
    const notify = (who: User): Promise<Answered<Principal>> =>
      who.minting.call("notify_create_canister", { block_index, controller: from.owner });
    const stranger = await notify(user());
    assert.ok("Err" in stranger && "Other" in stranger.Err, "only the controller may");
    const id = ok(await notify(from));
    assert.equal(ok(await notify(from)).toText(), id.toText());
    const status = await statusOf(from.agent, id);
    assert.deepEqual(status.settings.controllers.map(String), [from.owner.toText()]);
    const missing = cyclesFor(ICP) - CREATION_FEE - status.cycles;
    assert.ok(missing >= 0n && missing < SLACK, `${missing}`);
  });

  test("mints cycles into an account, once", async () => {
    const from = await withIcp(10n * ICP);
    const block_index = await pay(from, from.owner, 3n * ICP, MEMO_MINT);
    type Minted = Answered<{ minted: bigint; balance: bigint; block_index: bigint }>;
    const minted = ok(
      await from.minting.call<Minted>("notify_mint_cycles", {
        block_index,
        deposit_memo: new Uint8Array([5]),
      }),
    );
    assert.equal(minted.minted, cyclesFor(3n * ICP));
    assert.equal(minted.balance, cyclesFor(3n * ICP) - FEE);
    assert.equal(await cyclesOf(from.owner), minted.balance);
    assert.deepEqual(ok(await from.minting.call<Minted>("notify_mint_cycles", { block_index })), minted);
    assert.equal(await cyclesOf(from.owner), minted.balance);
  });

  test("refuses what is no payment, returns what it cannot use", async () => {
    const from = await withIcp(10n * ICP);
    const to = await emptyCanister();
    const far = await from.minting.call<Answered<never>>("notify_top_up", {
      block_index: 10n ** 9n,
      canister_id: to,
    });
    assert.ok("Err" in far && "Other" in far.Err);
    const elsewhere = ok(await from.icp.call<Answered>("icrc1_transfer", { to: { owner: to }, amount: ICP }));
    const wrong = await from.minting.call<Answered<never>>("notify_top_up", {
      block_index: elsewhere,
      canister_id: to,
    });
    assert.ok("Err" in wrong && "InvalidTransaction" in wrong.Err);
    const minting = await pay(from, to, ICP, MEMO_MINT);
    const intent = await from.minting.call<Answered<never>>("notify_top_up", {
      block_index: minting,
      canister_id: to,
    });
    assert.ok("Err" in intent && "InvalidTransaction" in intent.Err);
    // A top-up of a canister that is not there goes back, less fees.
    const absent = Principal.fromText("rrkah-fqaaa-aaaaa-aaaaq-cai");
    const before = await icpOf(from.owner);
    const lost = await pay(from, absent, ICP, MEMO_TOP_UP);
    const refunded = await from.minting.call<Answered<never>>("notify_top_up", {
      block_index: lost,
      canister_id: absent,
    });
    assert.ok("Err" in refunded && "Refunded" in refunded.Err);
    assert.match((refunded.Err["Refunded"] as { reason: string }).reason, /not found/);
    // The payment's own fee, two for the work, one for the way back.
    assert.equal(before - (await icpOf(from.owner)), 4n * ICP_FEE);
    assert.deepEqual(
      await from.minting.call("notify_top_up", { block_index: lost, canister_id: absent }),
      refunded,
    );
  });
});

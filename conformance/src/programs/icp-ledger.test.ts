/**
 * The ICP ledger at its real id (its published interface; ICRC-1, ICRC-2): fees, both forms of transfer, approvals, duplicates, minting
 * and burning, and a chain of blocks whose tip is certified.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { AnonymousIdentity, Certificate, LookupPathStatus } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { accountIdentifier, accountIdentifierHex, GOVERNANCE_CANISTER_ID } from "@orrery/canisters";
import { type Answered, type Client, ICP_LEDGER, icpLedgerFor } from "./ledger-services.ts";
import { rejectionOf } from "./rejection.ts";
import { shareNetwork } from "./shared-network.ts";

const shared = shareNetwork();
const FEE = 10_000n;
const ICP = 100_000_000n;
const MINUTE_NS = 60_000_000_000n;
const DAY_NS = 24n * 60n * MINUTE_NS;

interface User {
  readonly owner: Principal;
  readonly ledger: Client;
}

function user(): User {
  const identity = Ed25519KeyIdentity.generate();
  return { owner: identity.getPrincipal(), ledger: icpLedgerFor(shared.as(identity)) };
}

/** The anonymous user owns ICP from the start. */
const treasury = (): Client => icpLedgerFor(shared.as(new AnonymousIdentity()));
const balanceOf = (owner: Principal, subaccount?: Uint8Array): Promise<bigint> =>
  treasury().call("icrc1_balance_of", { owner, subaccount });
const nowNs = (): bigint => BigInt(Date.now()) * 1_000_000n;

async function funded(amount: bigint): Promise<User> {
  const someone = user();
  const sent = await treasury().call<Answered>("icrc1_transfer", { to: { owner: someone.owner }, amount });
  assert.ok("Ok" in sent);
  return someone;
}

describe("ICP ledger", () => {
  test("says what it is", async () => {
    const ledger = treasury();
    const answers = await Promise.all(
      [
        "icrc1_name",
        "icrc1_symbol",
        "icrc1_decimals",
        "icrc1_fee",
        "name",
        "symbol",
        "decimals",
        "archives",
      ].map((method) => ledger.call(method)),
    );
    assert.deepEqual(answers, [
      "Internet Computer",
      "ICP",
      8,
      FEE,
      { name: "Internet Computer" },
      { symbol: "ICP" },
      { decimals: 8 },
      { archives: [] },
    ]);
    assert.deepEqual(await ledger.call("transfer_fee"), { transfer_fee: { e8s: FEE } });
    const metadata = new Map(await ledger.call<[string, unknown][]>("icrc1_metadata"));
    assert.deepEqual(metadata.get("icrc1:fee"), { Nat: FEE });
    const minter = await ledger.call<[{ owner: Principal }]>("icrc1_minting_account");
    assert.equal(minter[0].owner.toText(), GOVERNANCE_CANISTER_ID);
    const standards = await ledger.call<{ name: string }[]>("icrc1_supported_standards");
    assert.deepEqual(
      standards.map(({ name }) => name),
      ["ICRC-1", "ICRC-2", "ICRC-10"],
    );
    assert.deepEqual(await ledger.call("icrc10_supported_standards"), standards);
  });

  test("accounts have identifiers, and both interfaces one balance", async () => {
    const { owner, ledger } = await funded(5n * ICP);
    const subaccount = new Uint8Array(32).fill(7);
    const account = accountIdentifier(owner, subaccount);
    assert.deepEqual(await ledger.call("account_identifier", { owner, subaccount }), account);
    assert.deepEqual(await ledger.call("account_balance", { account: accountIdentifier(owner) }), {
      e8s: 5n * ICP,
    });
    assert.deepEqual(await ledger.call("account_balance_dfx", { account: accountIdentifierHex(owner) }), {
      e8s: 5n * ICP,
    });
    assert.deepEqual(await ledger.call("account_balance", { account: new Uint8Array(3) }), { e8s: 0n });
    const moved = await ledger.call<Answered>("icrc1_transfer", { to: { owner, subaccount }, amount: ICP });
    assert.ok("Ok" in moved);
    assert.equal(await balanceOf(owner), 4n * ICP - FEE);
    assert.equal(await balanceOf(owner, subaccount), ICP);
    const back = await ledger.call<Answered>("icrc1_transfer", {
      from_subaccount: subaccount,
      to: { owner },
      amount: ICP - FEE,
    });
    assert.ok("Ok" in back);
    assert.equal(await balanceOf(owner, subaccount), 0n);
  });

  test("transfers cost the fee, which is burned", async () => {
    const [from, to] = [await funded(10n * ICP), user()];
    const supply = await from.ledger.call<bigint>("icrc1_total_supply");
    const sent = await from.ledger.call<Answered>("icrc1_transfer", {
      to: { owner: to.owner },
      amount: 3n * ICP,
      fee: FEE,
      memo: new Uint8Array([1, 2]),
    });
    assert.ok("Ok" in sent);
    assert.deepEqual([await balanceOf(from.owner), await balanceOf(to.owner)], [7n * ICP - FEE, 3n * ICP]);
    assert.equal(await from.ledger.call("icrc1_total_supply"), supply - FEE);
    const errors: readonly (readonly [object, object])[] = [
      [{ amount: 1n, fee: 1n }, { BadFee: { expected_fee: FEE } }],
      [{ amount: 7n * ICP }, { InsufficientFunds: { balance: 7n * ICP - FEE } }],
      [{ amount: 1n, created_at_time: nowNs() - DAY_NS - 10n * MINUTE_NS }, { TooOld: null }],
    ];
    for (const [argument, Err] of errors)
      assert.deepEqual(await from.ledger.call("icrc1_transfer", { to: { owner: to.owner }, ...argument }), {
        Err,
      });
    const early = await from.ledger.call<Answered>("icrc1_transfer", {
      to: { owner: to.owner },
      amount: 1n,
      created_at_time: nowNs() + 10n * MINUTE_NS,
    });
    assert.ok("Err" in early && "CreatedInFuture" in early.Err);
    assert.equal(await balanceOf(from.owner), 7n * ICP - FEE, "errors cost nothing");
    const { message } = await rejectionOf(
      from.ledger.call("icrc1_transfer", { to: { owner: to.owner }, amount: 1n, memo: new Uint8Array(33) }),
    );
    assert.match(message, /the memo field is too large/);
  });

  test("the same transaction twice is one", async () => {
    const [from, to] = [await funded(10n * ICP), user()];
    const argument = { to: { owner: to.owner }, amount: ICP, created_at_time: nowNs() };
    const first = await from.ledger.call<Answered>("icrc1_transfer", argument);
    assert.ok("Ok" in first);
    assert.deepEqual(await from.ledger.call("icrc1_transfer", argument), {
      Err: { Duplicate: { duplicate_of: first.Ok } },
    });
    assert.equal(await balanceOf(to.owner), ICP);
    const others = [
      { ...argument, memo: new Uint8Array([1]) },
      { ...argument, created_at_time: argument.created_at_time + 1n },
    ];
    for (const other of others)
      assert.ok("Ok" in (await from.ledger.call<Answered>("icrc1_transfer", other)));
    // Without a time, repetitions are meant.
    for (let i = 0; i < 2; i++)
      assert.ok(
        "Ok" in
          (await from.ledger.call<Answered>("icrc1_transfer", { to: { owner: to.owner }, amount: ICP })),
      );
    assert.equal(await balanceOf(to.owner), 5n * ICP);
  });

  test("legacy transfers by account identifier", async () => {
    const [from, to] = [await funded(10n * ICP), user()];
    const argument = {
      memo: 42n,
      amount: { e8s: ICP },
      fee: { e8s: FEE },
      to: accountIdentifier(to.owner),
      created_at_time: { timestamp_nanos: nowNs() },
    };
    const sent = await from.ledger.call<Answered>("transfer", argument);
    assert.ok("Ok" in sent);
    assert.deepEqual(await from.ledger.call("transfer", argument), {
      Err: { TxDuplicate: { duplicate_of: sent.Ok } },
    });
    assert.deepEqual(await from.ledger.call("transfer", { ...argument, fee: { e8s: 1n } }), {
      Err: { BadFee: { expected_fee: { e8s: FEE } } },
    });
    assert.deepEqual(
      await from.ledger.call("transfer", { ...argument, memo: 43n, amount: { e8s: 100n * ICP } }),
      {
        Err: { InsufficientFunds: { balance: { e8s: 9n * ICP - FEE } } },
      },
    );
    const old = { timestamp_nanos: nowNs() - 2n * DAY_NS };
    assert.deepEqual(await from.ledger.call("transfer", { ...argument, created_at_time: old }), {
      Err: { TxTooOld: { allowed_window_nanos: DAY_NS } },
    });
    const index = await from.ledger.call<bigint>("send_dfx", {
      ...argument,
      memo: 1n,
      to: accountIdentifierHex(to.owner),
    });
    assert.ok(index > sent.Ok);
    assert.equal(await balanceOf(to.owner), 2n * ICP);
    const bad = await rejectionOf(from.ledger.call("transfer", { ...argument, to: new Uint8Array(32) }));
    assert.match(bad.message, /to is not an account identifier/);
  });

  test("approvals: given, used, changed, run out", async () => {
    const [from, spender, to] = [await funded(10n * ICP), await funded(ICP), user()];
    const pair = { account: { owner: from.owner }, spender: { owner: spender.owner } };
    const approve = (argument: object): Promise<Answered> =>
      from.ledger.call("icrc2_approve", { spender: { owner: spender.owner }, ...argument });
    const take = (amount: bigint): Promise<Answered> =>
      spender.ledger.call("icrc2_transfer_from", {
        from: { owner: from.owner },
        to: { owner: to.owner },
        amount,
      });
    assert.deepEqual(await take(1n), { Err: { InsufficientAllowance: { allowance: 0n } } });
    assert.ok("Ok" in (await approve({ amount: 2n * ICP })));
    assert.equal(await balanceOf(from.owner), 10n * ICP - FEE);
    assert.deepEqual(await from.ledger.call("icrc2_allowance", pair), {
      allowance: 2n * ICP,
      expires_at: [],
    });
    assert.ok("Ok" in (await take(ICP)));
    assert.equal(await balanceOf(from.owner), 9n * ICP - 2n * FEE);
    assert.equal(await balanceOf(to.owner), ICP);
    assert.equal(await balanceOf(spender.owner), ICP, "the spender pays nothing");
    assert.deepEqual(await take(ICP), { Err: { InsufficientAllowance: { allowance: ICP - FEE } } });
    assert.deepEqual(await approve({ amount: 5n, expected_allowance: 1n }), {
      Err: { AllowanceChanged: { current_allowance: ICP - FEE } },
    });
    const expires_at = nowNs() + DAY_NS;
    assert.ok("Ok" in (await approve({ amount: 100n * ICP, expected_allowance: ICP - FEE, expires_at })));
    assert.deepEqual(await from.ledger.call("icrc2_allowance", pair), {
      allowance: 100n * ICP,
      expires_at: [expires_at],
    });
    const funds = await balanceOf(from.owner);
    assert.deepEqual(await take(50n * ICP), { Err: { InsufficientFunds: { balance: funds } } });
    const late = await approve({ amount: 1n, expires_at: nowNs() - MINUTE_NS });
    assert.ok("Err" in late && "Expired" in late.Err);
    const { message } = await rejectionOf(
      from.ledger.call("icrc2_approve", { spender: { owner: from.owner }, amount: 1n }),
    );
    assert.match(message, /self approval is not allowed/);
  });

  test("a transfer to the minting account burns", async () => {
    const from = await funded(10n * ICP);
    const to = { owner: Principal.fromText(GOVERNANCE_CANISTER_ID) };
    const supply = await from.ledger.call<bigint>("icrc1_total_supply");
    assert.deepEqual(await from.ledger.call("icrc1_transfer", { to, amount: 1n }), {
      Err: { BadBurn: { min_burn_amount: FEE } },
    });
    assert.deepEqual(await from.ledger.call("icrc1_transfer", { to, amount: ICP, fee: FEE }), {
      Err: { BadFee: { expected_fee: 0n } },
    });
    assert.ok("Ok" in (await from.ledger.call<Answered>("icrc1_transfer", { to, amount: ICP })));
    assert.equal(await balanceOf(from.owner), 9n * ICP);
    assert.equal(await from.ledger.call("icrc1_total_supply"), supply - ICP);
  });

  test("blocks are chained by their hashes, and the tip is certified", async () => {
    const [from, to] = [await funded(10n * ICP), user()];
    const sent = await from.ledger.call<Answered>("transfer", {
      memo: 77n,
      amount: { e8s: ICP },
      fee: { e8s: FEE },
      to: accountIdentifier(to.owner),
    });
    assert.ok("Ok" in sent);
    interface Blocks<Block> {
      readonly chain_length: bigint;
      readonly certificate: [Uint8Array];
      readonly blocks: readonly Block[];
    }
    const all = { start: 0n, length: 1_000n };
    const encoded = await from.ledger.call<Blocks<Uint8Array>>("query_encoded_blocks", all);
    const decoded = await from.ledger.call<
      Blocks<{ parent_hash: [] | [Uint8Array]; transaction: { memo: bigint; operation: [object] } }>
    >("query_blocks", all);
    assert.equal(encoded.blocks.length, Number(encoded.chain_length));
    const hashes = encoded.blocks.map((block) => new Uint8Array(createHash("sha256").update(block).digest()));
    for (const [i, { parent_hash }] of decoded.blocks.entries())
      assert.deepEqual(parent_hash, i === 0 ? [] : [hashes[i - 1]], `block ${i}`);
    const tip = decoded.blocks[Number(sent.Ok)];
    assert.equal(tip?.transaction.memo, 77n);
    assert.deepEqual(tip?.transaction.operation, [
      {
        Transfer: {
          from: accountIdentifier(from.owner),
          to: accountIdentifier(to.owner),
          amount: { e8s: ICP },
          fee: { e8s: FEE },
          spender: [],
        },
      },
    ]);
    const { certification, tip_index } = await from.ledger.call<{
      certification: [Uint8Array];
      tip_index: bigint;
    }>("tip_of_chain");
    assert.equal(tip_index, encoded.chain_length - 1n);
    const verified = await Certificate.create({
      certificate: certification[0],
      rootKey: shared.network.rootKey,
      principal: { canisterId: ICP_LEDGER },
    });
    const found = verified.lookup_path(["canister", ICP_LEDGER.toUint8Array(), "certified_data"]);
    assert.ok(found.status === LookupPathStatus.Found);
    assert.deepEqual(new Uint8Array(found.value), hashes.at(-1));
  });
});

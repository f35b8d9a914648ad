/**
 * The system canisters on a real network, by the published client: tokens move by the rules of their standards (ICRC-1, ICRC-2),
 * blocks chain to a certified tip, cycles become canisters, ICP becomes cycles once for a payment.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { Certificate, type HttpAgent, LookupPathStatus } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { accountIdentifier, subaccountOf } from "@orrery/canisters";
import { agentFor, type Network, startNetwork } from "./harness.ts";
import { managementOf } from "./management.ts";
import { type Program, programAt } from "./programs.ts";
import { cyclesLedger, cyclesMinting, icpLedger } from "./token-interfaces.ts";

const ICP = Principal.fromText("ryjl3-tyaaa-aaaaa-aaaba-cai");
const CYCLES = Principal.fromText("um5iw-rqaaa-aaaaq-qaaba-cai");
const MINTING = Principal.fromText("rkp4c-7iaaa-aaaaa-aaaca-cai");
const GOVERNANCE = Principal.fromText("rrkah-fqaaa-aaaaa-aaaaq-cai");
const ANONYMOUS = Principal.anonymous();
const ICP_FEE = 10_000n;
const CYCLES_FEE = 100_000_000n;
const TRILLION = 1_000_000_000_000n;
const MEMO = { create: 0x41455243n, topUp: 0x50555054n, mint: 0x544e494dn } as const;
const NANOS_A_MILLISECOND = 1_000_000n;

interface Person {
  readonly id: Principal;
  readonly agent: HttpAgent;
  readonly icp: Program;
  readonly cycles: Program;
  readonly minting: Program;
}

interface Outcome<T> {
  readonly Ok?: T;
  readonly Err?: Readonly<Record<string, unknown>>;
}

let network: Network;
let faucet: Person;
let alice: Person;
let bob: Person;

async function person(agent: HttpAgent): Promise<Person> {
  return {
    id: await agent.getPrincipal(),
    agent,
    icp: programAt(agent, ICP, icpLedger),
    cycles: programAt(agent, CYCLES, cyclesLedger),
    minting: programAt(agent, MINTING, cyclesMinting),
  };
}

function account(owner: Principal): { readonly owner: Principal; readonly subaccount: [] } {
  return { owner, subaccount: [] };
}

/** An ICRC-1 transfer with every option absent but those given. */
function payment(to: Principal, amount: bigint, options: Readonly<Record<string, unknown>> = {}): unknown {
  const none = { from_subaccount: [], fee: [], memo: [], created_at_time: [] };
  return { to: account(to), amount, ...none, ...options };
}

/** A legacy transfer of `e8s` to an account identifier. */
function legacy(to: Uint8Array, e8s: bigint, options: Readonly<Record<string, unknown>> = {}): unknown {
  const none = { memo: 0n, fee: { e8s: ICP_FEE }, from_subaccount: [], created_at_time: [] };
  return { to, amount: { e8s }, ...none, ...options };
}

async function ok<T>(answer: Promise<unknown>): Promise<T> {
  const outcome = (await answer) as Outcome<T>;
  assert.ok(
    outcome.Ok !== undefined,
    JSON.stringify(outcome, (_, value) => (typeof value === "bigint" ? `${value}` : value)),
  );
  return outcome.Ok;
}

async function error(answer: Promise<unknown>): Promise<Readonly<Record<string, unknown>>> {
  const outcome = (await answer) as Outcome<unknown>;
  assert.ok(outcome.Err !== undefined, "succeeded");
  return outcome.Err;
}

function balance(program: Program, owner: Principal): Promise<bigint> {
  return program.call("icrc1_balance_of", account(owner)) as Promise<bigint>;
}

function nowNanos(): bigint {
  return BigInt(Date.now()) * NANOS_A_MILLISECOND;
}

/** The certified data of a canister from a verified certificate. */
async function certifiedData(canister: Principal, bytes: Uint8Array): Promise<Uint8Array> {
  const certificate = await Certificate.create({
    certificate: bytes,
    rootKey: network.rootKey,
    principal: { canisterId: canister },
  });
  const path = ["canister", canister.toUint8Array(), "certified_data"];
  const found = certificate.lookup_path(path);
  assert.equal(found.status, LookupPathStatus.Found);
  return found.status === LookupPathStatus.Found ? found.value : new Uint8Array(0);
}

before(async () => {
  network = await startNetwork();
  faucet = await person(agentFor(network));
  alice = await person(agentFor(network, Ed25519KeyIdentity.generate()));
  bob = await person(agentFor(network, Ed25519KeyIdentity.generate()));
  await ok(faucet.icp.call("transfer", legacy(accountIdentifier(alice.id), 1_000_000_000n)));
  await ok(faucet.cycles.call("icrc1_transfer", payment(alice.id, 100n * TRILLION)));
});
after(async () => {
  await network.end("SIGTERM");
});

test("the anonymous principal begins with ICP and cycles", async () => {
  const { e8s } = (await faucet.icp.call("account_balance", { account: accountIdentifier(ANONYMOUS) })) as {
    e8s: bigint;
  };
  assert.ok(e8s >= 10n ** 17n);
  assert.ok((await balance(faucet.cycles, ANONYMOUS)) >= 2n ** 99n);
  assert.equal(await faucet.cycles.call("icrc1_symbol"), "TCYCLES");
});

test("ICP: fees burn, duplicates and stale times are refused, balances must suffice", async () => {
  const supply = (await alice.icp.call("icrc1_total_supply")) as bigint;
  const before = await balance(alice.icp, alice.id);
  const stamped = legacy(accountIdentifier(bob.id), 1_000n, {
    created_at_time: [{ timestamp_nanos: nowNanos() }],
  });
  const index = await ok<bigint>(alice.icp.call("transfer", stamped));
  assert.deepEqual(await error(alice.icp.call("transfer", stamped)), {
    TxDuplicate: { duplicate_of: index },
  });
  assert.equal(await balance(alice.icp, alice.id), before - 1_000n - ICP_FEE);
  assert.equal(await alice.icp.call("icrc1_total_supply"), supply - ICP_FEE);
  const day = 86_400n * 1_000n * NANOS_A_MILLISECOND;
  const at = (nanos: bigint): unknown =>
    legacy(accountIdentifier(bob.id), 1n, { created_at_time: [{ timestamp_nanos: nanos }] });
  assert.deepEqual(await error(alice.icp.call("transfer", at(nowNanos() - day - 1n))), {
    TxTooOld: { allowed_window_nanos: day },
  });
  assert.deepEqual(
    await error(alice.icp.call("transfer", at(nowNanos() + 2n * 60_000n * NANOS_A_MILLISECOND))),
    {
      TxCreatedInFuture: null,
    },
  );
  assert.deepEqual(await error(alice.icp.call("icrc1_transfer", payment(bob.id, 1n, { fee: [1n] }))), {
    BadFee: { expected_fee: ICP_FEE },
  });
  const rich = await error(bob.icp.call("icrc1_transfer", payment(alice.id, 10n ** 30n)));
  assert.deepEqual(rich, { InsufficientFunds: { balance: 1_000n } });
  const burn = await error(alice.icp.call("icrc1_transfer", payment(GOVERNANCE, 1n)));
  assert.deepEqual(burn, { BadBurn: { min_burn_amount: ICP_FEE } });
  await assert.rejects(
    alice.icp.call("icrc1_transfer", payment(bob.id, 1n, { memo: [new Uint8Array(33)] })),
    /memo/,
  );
});

test("ICP: blocks chain by their hashes to a certified tip", async () => {
  const range = { start: 0n, length: 2_000n };
  const { blocks } = (await alice.icp.call("query_blocks", range)) as {
    blocks: { parent_hash: [] | [Uint8Array] }[];
  };
  const encoded = (await alice.icp.call("query_encoded_blocks", range)) as { blocks: Uint8Array[] };
  const hashes = encoded.blocks.map((block) => createHash("sha256").update(block).digest());
  assert.ok(blocks.length >= 2);
  for (let i = 1; i < blocks.length; i++)
    assert.deepEqual(Buffer.from(blocks[i]?.parent_hash[0] ?? []), hashes[i - 1]);
  const tip = (await alice.icp.call("tip_of_chain")) as { certification: [Uint8Array]; tip_index: bigint };
  assert.equal(tip.tip_index, BigInt(blocks.length - 1));
  assert.deepEqual(Buffer.from(await certifiedData(ICP, tip.certification[0])), hashes.at(-1));
});

for (const name of ["icp", "cycles"] as const) {
  test(`${name}: an allowance is spent with its fees, expires and is compared`, async () => {
    const [owner, spender, fee] = [alice[name], bob[name], name === "icp" ? ICP_FEE : CYCLES_FEE];
    const none = {
      from_subaccount: [],
      fee: [],
      memo: [],
      created_at_time: [],
      expected_allowance: [],
      expires_at: [],
    };
    const approval = { spender: account(bob.id), amount: 10n * fee, ...none };
    await ok(owner.call("icrc2_approve", approval));
    const expects = { ...approval, expected_allowance: [1n] };
    assert.deepEqual(await error(owner.call("icrc2_approve", expects)), {
      AllowanceChanged: { current_allowance: 10n * fee },
    });
    const expired = await error(owner.call("icrc2_approve", { ...approval, expires_at: [1n] }));
    assert.ok("Expired" in expired);
    const spend = (amount: bigint): Promise<unknown> =>
      spender.call("icrc2_transfer_from", {
        spender_subaccount: [],
        from: account(alice.id),
        to: account(bob.id),
        amount,
        fee: [],
        memo: [],
        created_at_time: [],
      });
    const before = await balance(owner, bob.id);
    await ok(spend(4n * fee));
    assert.equal(await balance(owner, bob.id), before + 4n * fee);
    assert.deepEqual(await error(spend(5n * fee)), { InsufficientAllowance: { allowance: 5n * fee } });
    const left = await owner.call("icrc2_allowance", {
      account: account(alice.id),
      spender: account(bob.id),
    });
    assert.deepEqual(left, { allowance: 5n * fee, expires_at: [] });
    const self = { ...approval, spender: account(alice.id) };
    await assert.rejects(owner.call("icrc2_approve", self), /self approval is not allowed/);
  });
}

test("cycles: creating a canister, the same again, and a creation that fails", async () => {
  const [subnet] = (await alice.minting.call("get_default_subnets")) as Principal[];
  assert.ok(subnet !== undefined);
  const creation = {
    from_subaccount: [],
    created_at_time: [nowNanos()],
    amount: 2n * TRILLION,
    creation_args: [{ settings: [], subnet_selection: [{ Subnet: { subnet } }] }],
  };
  const before = await balance(alice.cycles, alice.id);
  type Created = { block_id: bigint; canister_id: Principal };
  const created = await ok<Created>(alice.cycles.call("create_canister", creation));
  assert.equal(await balance(alice.cycles, alice.id), before - 2n * TRILLION - CYCLES_FEE);
  const status = await managementOf(alice.agent, created.canister_id).canister_status({
    canister_id: created.canister_id,
  });
  assert.deepEqual(status.settings.controllers.map(String), [alice.id.toText()]);
  assert.ok(status.cycles > TRILLION && status.cycles <= 2n * TRILLION, `${status.cycles}`);
  const again = (await error(alice.cycles.call("create_canister", creation))) as {
    Duplicate: { duplicate_of: bigint; canister_id: [Principal] };
  };
  assert.equal(again.Duplicate.duplicate_of, created.block_id);
  assert.equal(again.Duplicate.canister_id[0].toText(), created.canister_id.toText());

  const middle = await balance(alice.cycles, alice.id);
  const poor = { ...creation, created_at_time: [], amount: 200_000_000_000n };
  const failed = (await error(alice.cycles.call("create_canister", poor))) as {
    FailedToCreate: { refund_block: [bigint] };
  };
  assert.equal(failed.FailedToCreate.refund_block.length, 1);
  const lost = middle - (await balance(alice.cycles, alice.id));
  assert.ok(lost >= 2n * CYCLES_FEE && lost <= 4n * CYCLES_FEE, `${lost}`);
});

test("cycles: withdrawing to a canister, to nobody and to a person", async () => {
  const withdraw = (to: Principal, amount: bigint): Promise<unknown> =>
    alice.cycles.call("withdraw", { amount, from_subaccount: [], to, created_at_time: [] });
  const before = await balance(alice.cycles, alice.id);
  await ok(withdraw(MINTING, TRILLION));
  assert.equal(await balance(alice.cycles, alice.id), before - TRILLION - CYCLES_FEE);
  const nobody = (await error(withdraw(GOVERNANCE, TRILLION))) as {
    FailedToWithdraw: { fee_block: [bigint] };
  };
  assert.equal(nobody.FailedToWithdraw.fee_block.length, 1);
  assert.equal(await balance(alice.cycles, alice.id), before - TRILLION - 3n * CYCLES_FEE);
  assert.deepEqual(await error(withdraw(bob.id, TRILLION)), { InvalidReceiver: { receiver: bob.id } });
});

test("minting: a payment becomes cycles once, a canister, a top-up, or comes back", async () => {
  const pay = (beneficiary: Principal, memo: bigint, e8s: bigint): Promise<bigint> =>
    ok(
      alice.icp.call(
        "transfer",
        legacy(accountIdentifier(MINTING, subaccountOf(beneficiary)), e8s, { memo }),
      ),
    );
  const { data } = (await alice.minting.call("get_icp_xdr_conversion_rate")) as {
    data: { xdr_permyriad_per_icp: bigint };
  };
  const cyclesFor = (e8s: bigint): bigint => e8s * data.xdr_permyriad_per_icp;

  const supply = (await alice.icp.call("icrc1_total_supply")) as bigint;
  const mint = {
    block_index: await pay(alice.id, MEMO.mint, 10_000_000n),
    to_subaccount: [],
    deposit_memo: [],
  };
  const before = await balance(alice.cycles, alice.id);
  const minted = await ok<{ minted: bigint; balance: bigint }>(
    alice.minting.call("notify_mint_cycles", mint),
  );
  assert.equal(minted.minted, cyclesFor(10_000_000n));
  assert.equal(minted.balance, before + minted.minted - CYCLES_FEE);
  assert.deepEqual(await ok(alice.minting.call("notify_mint_cycles", mint)), minted);
  assert.equal(await balance(alice.cycles, alice.id), minted.balance);
  assert.equal(await alice.icp.call("icrc1_total_supply"), supply - 10_000_000n - ICP_FEE);

  const canister = await ok<Principal>(
    alice.minting.call("notify_create_canister", {
      block_index: await pay(alice.id, MEMO.create, 100_000_000n),
      controller: alice.id,
      subnet_type: [],
      subnet_selection: [],
      settings: [],
    }),
  );
  const cyclesOf = async (): Promise<bigint> =>
    (await managementOf(alice.agent, canister).canister_status({ canister_id: canister })).cycles;
  const empty = await cyclesOf();
  const topUp = { block_index: await pay(canister, MEMO.topUp, 50_000_000n), canister_id: canister };
  assert.equal(await ok(alice.minting.call("notify_top_up", topUp)), cyclesFor(50_000_000n));
  assert.ok((await cyclesOf()) > empty + cyclesFor(49_000_000n));

  const unknown = { ...mint, block_index: await pay(alice.id, 7n, 1_000_000n) };
  const icpBefore = await balance(alice.icp, alice.id);
  assert.ok("Refunded" in (await error(alice.minting.call("notify_mint_cycles", unknown))));
  assert.equal(await balance(alice.icp, alice.id), icpBefore + 1_000_000n - ICP_FEE);
  const other = await error(
    alice.minting.call("notify_top_up", { block_index: mint.block_index, canister_id: canister }),
  );
  assert.ok("InvalidTransaction" in other);
});

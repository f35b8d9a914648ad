/**
 * Candid installation arguments of the system canisters. The types agree with the `.did` files beside the
 * modules, which a test compares.
 */

import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";

import { accountIdentifierHex } from "./account.ts";

/** One principal that owns tokens from the start. */
export interface Funding {
  /** Textual principal. */
  readonly owner: string;
  /** In 10^-8 ICP. */
  readonly icpE8s: bigint;
  /** Balance in the cycles ledger. */
  readonly cycles: bigint;
}

/** What the system canisters must know of the network they begin with. */
export interface SystemGenesis {
  /** Textual id of the subnet they run on. */
  readonly subnetId: string;
  /** Subnets anybody may create canisters on; the own one when absent. */
  readonly defaultSubnetIds?: readonly string[];
  /** Initial balances; {@link DEFAULT_FUNDING} when absent. */
  readonly funding?: readonly Funding[];
  /** Ten-thousandths of an XDR an ICP is worth; {@link DEFAULT_XDR_PERMYRIAD_PER_ICP} when absent. */
  readonly xdrPermyriadPerIcp?: bigint;
}

/** The governance canister: its default account mints and burns ICP. */
export const GOVERNANCE_CANISTER_ID = "rrkah-fqaaa-aaaaa-aaaaq-cai";

/** Tools fund their users from the anonymous principal, without signing in. */
export const DEFAULT_FUNDING: readonly Funding[] = [
  { owner: "2vxsx-fae", icpE8s: 10n ** 18n, cycles: 2n ** 100n },
];

/** 3.52 XDR an ICP, the rate local networks commonly start with. */
export const DEFAULT_XDR_PERMYRIAD_PER_ICP = 35_200n;

const MAX_BLOCKS_PER_REQUEST = 100n;

const Account = IDL.Record({ owner: IDL.Principal, subaccount: IDL.Opt(IDL.Vec(IDL.Nat8)) });
const Tokens = IDL.Record({ e8s: IDL.Nat64 });
const Duration = IDL.Record({ secs: IDL.Nat64, nanos: IDL.Nat32 });
const ArchiveOptions = IDL.Record({
  trigger_threshold: IDL.Nat64,
  num_blocks_to_archive: IDL.Nat64,
  node_max_memory_size_bytes: IDL.Opt(IDL.Nat64),
  max_message_size_bytes: IDL.Opt(IDL.Nat64),
  controller_id: IDL.Principal,
  more_controller_ids: IDL.Opt(IDL.Vec(IDL.Principal)),
  cycles_for_archive_creation: IDL.Opt(IDL.Nat64),
  max_transactions_per_response: IDL.Opt(IDL.Nat64),
});
const FeatureFlags = IDL.Record({ icrc2: IDL.Bool });
const IcpLedgerPayload = IDL.Variant({
  Init: IDL.Record({
    minting_account: IDL.Text,
    icrc1_minting_account: IDL.Opt(Account),
    initial_values: IDL.Vec(IDL.Tuple(IDL.Text, Tokens)),
    max_message_size_bytes: IDL.Opt(IDL.Nat64),
    transaction_window: IDL.Opt(Duration),
    archive_options: IDL.Opt(ArchiveOptions),
    send_whitelist: IDL.Vec(IDL.Principal),
    transfer_fee: IDL.Opt(Tokens),
    token_symbol: IDL.Opt(IDL.Text),
    token_name: IDL.Opt(IDL.Text),
    feature_flags: IDL.Opt(FeatureFlags),
    index_principal: IDL.Opt(IDL.Principal),
  }),
  Upgrade: IDL.Opt(
    IDL.Record({
      icrc1_minting_account: IDL.Opt(Account),
      feature_flags: IDL.Opt(FeatureFlags),
      index_principal: IDL.Opt(IDL.Principal),
    }),
  ),
});
const CyclesLedgerArgs = IDL.Variant({
  Init: IDL.Record({
    max_blocks_per_request: IDL.Nat64,
    index_id: IDL.Opt(IDL.Principal),
    initial_balances: IDL.Opt(IDL.Vec(IDL.Tuple(Account, IDL.Nat))),
  }),
  Upgrade: IDL.Opt(
    IDL.Record({
      max_blocks_per_request: IDL.Opt(IDL.Nat64),
      change_index_id: IDL.Opt(IDL.Variant({ Unset: IDL.Null, SetTo: IDL.Principal })),
    }),
  ),
});
const CyclesMintingPayload = IDL.Opt(
  IDL.Record({
    ledger_canister_id: IDL.Opt(IDL.Principal),
    governance_canister_id: IDL.Opt(IDL.Principal),
    minting_account_id: IDL.Opt(IDL.Text),
    last_purged_notification: IDL.Opt(IDL.Nat64),
    exchange_rate_canister: IDL.Opt(IDL.Variant({ Set: IDL.Principal, Unset: IDL.Null })),
    cycles_ledger_canister_id: IDL.Opt(IDL.Principal),
    own_subnet_id: IDL.Opt(IDL.Principal),
    default_subnets: IDL.Opt(IDL.Vec(IDL.Principal)),
    xdr_permyriad_per_icp: IDL.Opt(IDL.Nat64),
  }),
);

/** Candid types of the installation arguments. */
export const initTypes: Readonly<Record<"icpLedger" | "cyclesLedger" | "cyclesMinting", IDL.Type>> = {
  icpLedger: IcpLedgerPayload,
  cyclesLedger: CyclesLedgerArgs,
  cyclesMinting: CyclesMintingPayload,
};

/** Installation argument of the ICP ledger: governance mints, the funded principals own their ICP. */
export function encodeIcpLedgerInit(genesis: SystemGenesis): Uint8Array {
  const minter = { owner: Principal.fromText(GOVERNANCE_CANISTER_ID), subaccount: [] };
  const initialValues = fundingOf(genesis)
    .filter(({ icpE8s }) => icpE8s > 0n)
    .map(({ owner, icpE8s }) => [accountIdentifierHex(Principal.fromText(owner)), { e8s: icpE8s }]);
  const init = {
    minting_account: accountIdentifierHex(minter.owner),
    icrc1_minting_account: [minter],
    initial_values: initialValues,
    max_message_size_bytes: [],
    transaction_window: [],
    archive_options: [],
    send_whitelist: [],
    transfer_fee: [],
    token_symbol: [],
    token_name: [],
    feature_flags: [],
    index_principal: [],
  };
  return IDL.encode([IcpLedgerPayload], [{ Init: init }]);
}

/** Installation argument of the cycles ledger; the canister must hold {@link fundedCycles} to back it. */
export function encodeCyclesLedgerInit(genesis: SystemGenesis): Uint8Array {
  const balances = fundingOf(genesis)
    .filter(({ cycles }) => cycles > 0n)
    .map(({ owner, cycles }) => [{ owner: Principal.fromText(owner), subaccount: [] }, cycles]);
  const init = { max_blocks_per_request: MAX_BLOCKS_PER_REQUEST, index_id: [], initial_balances: [balances] };
  return IDL.encode([CyclesLedgerArgs], [{ Init: init }]);
}

/** Installation argument of the cycles-minting canister: subnets and rate, the rest at their real ids. */
export function encodeCyclesMintingInit(genesis: SystemGenesis): Uint8Array {
  const subnets = (genesis.defaultSubnetIds ?? [genesis.subnetId]).map((id) => Principal.fromText(id));
  const init = {
    ledger_canister_id: [],
    governance_canister_id: [],
    minting_account_id: [],
    last_purged_notification: [],
    exchange_rate_canister: [],
    cycles_ledger_canister_id: [],
    own_subnet_id: [Principal.fromText(genesis.subnetId)],
    default_subnets: [subnets],
    xdr_permyriad_per_icp: [genesis.xdrPermyriadPerIcp ?? DEFAULT_XDR_PERMYRIAD_PER_ICP],
  };
  return IDL.encode([CyclesMintingPayload], [[init]]);
}

/** The sum of all initial balances of the cycles ledger. */
export function fundedCycles(genesis: SystemGenesis): bigint {
  return fundingOf(genesis).reduce((sum, { cycles }) => sum + cycles, 0n);
}

function fundingOf(genesis: SystemGenesis): readonly Funding[] {
  return genesis.funding ?? DEFAULT_FUNDING;
}

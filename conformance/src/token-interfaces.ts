/** The ICP ledger, the cycles ledger and the cycles-minting canister as the tests call them: the public types of those calls. */
import { IDL } from "@icp-sdk/core/candid";

const Blob = IDL.Vec(IDL.Nat8);
const Account = IDL.Record({ owner: IDL.Principal, subaccount: IDL.Opt(Blob) });
const Tokens = IDL.Record({ e8s: IDL.Nat64 });
const Time = IDL.Record({ timestamp_nanos: IDL.Nat64 });
const QUERY = ["query"];

function result(ok: IDL.Type, error: IDL.Type): IDL.Type {
  return IDL.Variant({ Ok: ok, Err: error });
}

const Failure = {
  BadFee: IDL.Record({ expected_fee: IDL.Nat }),
  InsufficientFunds: IDL.Record({ balance: IDL.Nat }),
  TooOld: IDL.Null,
  CreatedInFuture: IDL.Record({ ledger_time: IDL.Nat64 }),
  TemporarilyUnavailable: IDL.Null,
  Duplicate: IDL.Record({ duplicate_of: IDL.Nat }),
  GenericError: IDL.Record({ error_code: IDL.Nat, message: IDL.Text }),
};
const TransferFailure = IDL.Variant({ ...Failure, BadBurn: IDL.Record({ min_burn_amount: IDL.Nat }) });
const TransferFromFailure = IDL.Variant({
  ...Failure,
  BadBurn: IDL.Record({ min_burn_amount: IDL.Nat }),
  InsufficientAllowance: IDL.Record({ allowance: IDL.Nat }),
});
const ApproveFailure = IDL.Variant({
  ...Failure,
  AllowanceChanged: IDL.Record({ current_allowance: IDL.Nat }),
  Expired: IDL.Record({ ledger_time: IDL.Nat64 }),
});
const Paid = { fee: IDL.Opt(IDL.Nat), memo: IDL.Opt(Blob), created_at_time: IDL.Opt(IDL.Nat64) };

/** ICRC-1 and ICRC-2, which both ledgers speak. */
const token = {
  icrc1_symbol: IDL.Func([], [IDL.Text], QUERY),
  icrc1_total_supply: IDL.Func([], [IDL.Nat], QUERY),
  icrc1_balance_of: IDL.Func([Account], [IDL.Nat], QUERY),
  icrc1_transfer: IDL.Func(
    [IDL.Record({ ...Paid, from_subaccount: IDL.Opt(Blob), to: Account, amount: IDL.Nat })],
    [result(IDL.Nat, TransferFailure)],
  ),
  icrc2_approve: IDL.Func(
    [
      IDL.Record({
        ...Paid,
        from_subaccount: IDL.Opt(Blob),
        spender: Account,
        amount: IDL.Nat,
        expected_allowance: IDL.Opt(IDL.Nat),
        expires_at: IDL.Opt(IDL.Nat64),
      }),
    ],
    [result(IDL.Nat, ApproveFailure)],
  ),
  icrc2_allowance: IDL.Func(
    [IDL.Record({ account: Account, spender: Account })],
    [IDL.Record({ allowance: IDL.Nat, expires_at: IDL.Opt(IDL.Nat64) })],
    QUERY,
  ),
  icrc2_transfer_from: IDL.Func(
    [
      IDL.Record({
        ...Paid,
        spender_subaccount: IDL.Opt(Blob),
        from: Account,
        to: Account,
        amount: IDL.Nat,
      }),
    ],
    [result(IDL.Nat, TransferFromFailure)],
  ),
};

const LegacyFailure = IDL.Variant({
  BadFee: IDL.Record({ expected_fee: Tokens }),
  InsufficientFunds: IDL.Record({ balance: Tokens }),
  TxTooOld: IDL.Record({ allowed_window_nanos: IDL.Nat64 }),
  TxCreatedInFuture: IDL.Null,
  TxDuplicate: IDL.Record({ duplicate_of: IDL.Nat64 }),
});
const Range = IDL.Record({ start: IDL.Nat64, length: IDL.Nat64 });

export const icpLedger: IDL.InterfaceFactory = () =>
  IDL.Service({
    ...token,
    transfer: IDL.Func(
      [
        IDL.Record({
          memo: IDL.Nat64,
          amount: Tokens,
          fee: Tokens,
          from_subaccount: IDL.Opt(Blob),
          to: Blob,
          created_at_time: IDL.Opt(Time),
        }),
      ],
      [result(IDL.Nat64, LegacyFailure)],
    ),
    account_balance: IDL.Func([IDL.Record({ account: Blob })], [Tokens], QUERY),
    query_blocks: IDL.Func(
      [Range],
      [
        IDL.Record({
          chain_length: IDL.Nat64,
          first_block_index: IDL.Nat64,
          blocks: IDL.Vec(IDL.Record({ parent_hash: IDL.Opt(Blob), timestamp: Time })),
        }),
      ],
      QUERY,
    ),
    query_encoded_blocks: IDL.Func([Range], [IDL.Record({ blocks: IDL.Vec(Blob) })], QUERY),
    tip_of_chain: IDL.Func([], [IDL.Record({ certification: IDL.Opt(Blob), tip_index: IDL.Nat64 })], QUERY),
  });

const Rejection = IDL.Variant({
  NoError: IDL.Null,
  CanisterError: IDL.Null,
  SysTransient: IDL.Null,
  DestinationInvalid: IDL.Null,
  Unknown: IDL.Null,
  SysFatal: IDL.Null,
  CanisterReject: IDL.Null,
});
const Selection = IDL.Variant({
  Subnet: IDL.Record({ subnet: IDL.Principal }),
  Filter: IDL.Record({ subnet_type: IDL.Opt(IDL.Text) }),
});
const Settings = IDL.Record({ controllers: IDL.Opt(IDL.Vec(IDL.Principal)) });
const CreationArgs = IDL.Record({ settings: IDL.Opt(Settings), subnet_selection: IDL.Opt(Selection) });

export const cyclesLedger: IDL.InterfaceFactory = () =>
  IDL.Service({
    ...token,
    create_canister: IDL.Func(
      [
        IDL.Record({
          from_subaccount: IDL.Opt(Blob),
          created_at_time: IDL.Opt(IDL.Nat64),
          amount: IDL.Nat,
          creation_args: IDL.Opt(CreationArgs),
        }),
      ],
      [
        result(
          IDL.Record({ block_id: IDL.Nat, canister_id: IDL.Principal }),
          IDL.Variant({
            InsufficientFunds: IDL.Record({ balance: IDL.Nat }),
            TooOld: IDL.Null,
            CreatedInFuture: IDL.Record({ ledger_time: IDL.Nat64 }),
            TemporarilyUnavailable: IDL.Null,
            Duplicate: IDL.Record({ duplicate_of: IDL.Nat, canister_id: IDL.Opt(IDL.Principal) }),
            FailedToCreate: IDL.Record({
              fee_block: IDL.Opt(IDL.Nat),
              refund_block: IDL.Opt(IDL.Nat),
              error: IDL.Text,
            }),
            GenericError: Failure.GenericError,
          }),
        ),
      ],
    ),
    withdraw: IDL.Func(
      [
        IDL.Record({
          amount: IDL.Nat,
          from_subaccount: IDL.Opt(Blob),
          to: IDL.Principal,
          created_at_time: IDL.Opt(IDL.Nat64),
        }),
      ],
      [
        result(
          IDL.Nat,
          IDL.Variant({
            ...Failure,
            InvalidReceiver: IDL.Record({ receiver: IDL.Principal }),
            FailedToWithdraw: IDL.Record({
              fee_block: IDL.Opt(IDL.Nat),
              rejection_code: Rejection,
              rejection_reason: IDL.Text,
            }),
          }),
        ),
      ],
    ),
    icrc3_get_tip_certificate: IDL.Func(
      [],
      [IDL.Opt(IDL.Record({ certificate: Blob, hash_tree: Blob }))],
      QUERY,
    ),
  });

const NotifyFailure = IDL.Variant({
  Refunded: IDL.Record({ reason: IDL.Text, block_index: IDL.Opt(IDL.Nat64) }),
  Processing: IDL.Null,
  TransactionTooOld: IDL.Nat64,
  InvalidTransaction: IDL.Text,
  Other: IDL.Record({ error_code: IDL.Nat64, error_message: IDL.Text }),
});

export const cyclesMinting: IDL.InterfaceFactory = () =>
  IDL.Service({
    get_default_subnets: IDL.Func([], [IDL.Vec(IDL.Principal)], QUERY),
    get_icp_xdr_conversion_rate: IDL.Func(
      [],
      [
        IDL.Record({
          data: IDL.Record({ xdr_permyriad_per_icp: IDL.Nat64 }),
          hash_tree: Blob,
          certificate: Blob,
        }),
      ],
      QUERY,
    ),
    notify_top_up: IDL.Func(
      [IDL.Record({ block_index: IDL.Nat64, canister_id: IDL.Principal })],
      [result(IDL.Nat, NotifyFailure)],
    ),
    notify_create_canister: IDL.Func(
      [
        IDL.Record({
          block_index: IDL.Nat64,
          controller: IDL.Principal,
          subnet_type: IDL.Opt(IDL.Text),
          subnet_selection: IDL.Opt(Selection),
          settings: IDL.Opt(Settings),
        }),
      ],
      [result(IDL.Principal, NotifyFailure)],
    ),
    notify_mint_cycles: IDL.Func(
      [IDL.Record({ block_index: IDL.Nat64, to_subaccount: IDL.Opt(Blob), deposit_memo: IDL.Opt(Blob) })],
      [result(IDL.Record({ block_index: IDL.Nat, minted: IDL.Nat, balance: IDL.Nat }), NotifyFailure)],
    ),
  });

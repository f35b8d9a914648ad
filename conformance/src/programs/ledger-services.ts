/**
 * The ledgers' and the cycles-minting canister's published interfaces as clients use them (their `.did` files; ICRC-1, ICRC-2, ICRC-3).
 * Optional arguments may be left out.
 */
import { Actor, type HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";

const { Func, Int, Nat, Nat8, Nat32, Nat64, Null, Opt, Record, Service, Text, Tuple, Variant, Vec } = IDL;
const Id = IDL.Principal;
const Blob = Vec(Nat8);
const QUERY = ["query"];

export const ICP_LEDGER: Principal = Principal.fromText("ryjl3-tyaaa-aaaaa-aaaba-cai");
export const CYCLES_LEDGER: Principal = Principal.fromText("um5iw-rqaaa-aaaaq-qaaba-cai");
export const CYCLES_MINTING: Principal = Principal.fromText("rkp4c-7iaaa-aaaaa-aaaca-cai");

const Account = Record({ owner: Id, subaccount: Opt(Blob) });
const Tokens = Record({ e8s: Nat64 });
const TimeStamp = Record({ timestamp_nanos: Nat64 });
const GenericError = Record({ error_code: Nat, message: Text });

const commonErrors = {
  BadFee: Record({ expected_fee: Nat }),
  InsufficientFunds: Record({ balance: Nat }),
  TooOld: Null,
  CreatedInFuture: Record({ ledger_time: Nat64 }),
  TemporarilyUnavailable: Null,
  Duplicate: Record({ duplicate_of: Nat }),
  GenericError,
};
const transferErrors = { ...commonErrors, BadBurn: Record({ min_burn_amount: Nat }) };
const allowanceErrors = { InsufficientAllowance: Record({ allowance: Nat }) };
const result = (ok: IDL.Type, errors: Readonly<Record<string, IDL.Type>>): IDL.Type =>
  Variant({ Ok: ok, Err: Variant({ ...errors }) });

const TransferArg = Record({
  from_subaccount: Opt(Blob),
  to: Account,
  amount: Nat,
  fee: Opt(Nat),
  memo: Opt(Blob),
  created_at_time: Opt(Nat64),
});
const icrc = {
  icrc1_name: Func([], [Text], QUERY),
  icrc1_symbol: Func([], [Text], QUERY),
  icrc1_decimals: Func([], [Nat8], QUERY),
  icrc1_fee: Func([], [Nat], QUERY),
  icrc1_total_supply: Func([], [Nat], QUERY),
  icrc1_minting_account: Func([], [Opt(Account)], QUERY),
  icrc1_balance_of: Func([Account], [Nat], QUERY),
  icrc1_metadata: Func([], [Vec(Tuple(Text, Variant({ Nat, Int, Text, Blob })))], QUERY),
  icrc1_supported_standards: Func([], [Vec(Record({ name: Text, url: Text }))], QUERY),
  icrc10_supported_standards: Func([], [Vec(Record({ name: Text, url: Text }))], QUERY),
  icrc1_transfer: Func([TransferArg], [result(Nat, transferErrors)]),
  icrc2_approve: Func(
    [
      Record({
        from_subaccount: Opt(Blob),
        spender: Account,
        amount: Nat,
        expected_allowance: Opt(Nat),
        expires_at: Opt(Nat64),
        fee: Opt(Nat),
        memo: Opt(Blob),
        created_at_time: Opt(Nat64),
      }),
    ],
    [
      result(Nat, {
        ...commonErrors,
        AllowanceChanged: Record({ current_allowance: Nat }),
        Expired: Record({ ledger_time: Nat64 }),
      }),
    ],
  ),
  icrc2_allowance: Func(
    [Record({ account: Account, spender: Account })],
    [Record({ allowance: Nat, expires_at: Opt(Nat64) })],
    QUERY,
  ),
  icrc2_transfer_from: Func(
    [
      Record({
        spender_subaccount: Opt(Blob),
        from: Account,
        to: Account,
        amount: Nat,
        fee: Opt(Nat),
        memo: Opt(Blob),
        created_at_time: Opt(Nat64),
      }),
    ],
    [result(Nat, { ...transferErrors, ...allowanceErrors })],
  ),
};

const Operation = Variant({
  Mint: Record({ to: Blob, amount: Tokens }),
  Burn: Record({ from: Blob, spender: Opt(Blob), amount: Tokens }),
  Transfer: Record({ from: Blob, to: Blob, amount: Tokens, fee: Tokens, spender: Opt(Blob) }),
  Approve: Record({
    from: Blob,
    spender: Blob,
    allowance_e8s: Int,
    allowance: Tokens,
    fee: Tokens,
    expires_at: Opt(TimeStamp),
    expected_allowance: Opt(Tokens),
  }),
});
const Block = Record({
  parent_hash: Opt(Blob),
  timestamp: TimeStamp,
  transaction: Record({
    memo: Nat64,
    icrc1_memo: Opt(Blob),
    operation: Opt(Operation),
    created_at_time: TimeStamp,
  }),
});
const Range = Record({ start: Nat64, length: Nat64 });
const blocksOf = (block: IDL.Type): IDL.Type =>
  Record({ chain_length: Nat64, certificate: Opt(Blob), blocks: Vec(block), first_block_index: Nat64 });

const icpLedger = Service({
  ...icrc,
  transfer: Func(
    [
      Record({
        memo: Nat64,
        amount: Tokens,
        fee: Tokens,
        from_subaccount: Opt(Blob),
        to: Blob,
        created_at_time: Opt(TimeStamp),
      }),
    ],
    [
      result(Nat64, {
        BadFee: Record({ expected_fee: Tokens }),
        InsufficientFunds: Record({ balance: Tokens }),
        TxTooOld: Record({ allowed_window_nanos: Nat64 }),
        TxCreatedInFuture: Null,
        TxDuplicate: Record({ duplicate_of: Nat64 }),
      }),
    ],
  ),
  send_dfx: Func(
    [
      Record({
        memo: Nat64,
        amount: Tokens,
        fee: Tokens,
        from_subaccount: Opt(Blob),
        to: Text,
        created_at_time: Opt(TimeStamp),
      }),
    ],
    [Nat64],
  ),
  account_balance: Func([Record({ account: Blob })], [Tokens], QUERY),
  account_balance_dfx: Func([Record({ account: Text })], [Tokens], QUERY),
  account_identifier: Func([Account], [Blob], QUERY),
  transfer_fee: Func([Record({})], [Record({ transfer_fee: Tokens })], QUERY),
  symbol: Func([], [Record({ symbol: Text })], QUERY),
  name: Func([], [Record({ name: Text })], QUERY),
  decimals: Func([], [Record({ decimals: Nat32 })], QUERY),
  archives: Func([], [Record({ archives: Vec(Record({ canister_id: Id })) })], QUERY),
  tip_of_chain: Func([], [Record({ certification: Opt(Blob), tip_index: Nat64 })], QUERY),
  query_blocks: Func([Range], [blocksOf(Block)], QUERY),
  query_encoded_blocks: Func([Range], [blocksOf(Blob)], QUERY),
});

const RejectionCode = Variant({
  NoError: Null,
  CanisterError: Null,
  SysTransient: Null,
  DestinationInvalid: Null,
  Unknown: Null,
  SysFatal: Null,
  CanisterReject: Null,
});
const createFields = {
  amount: Nat,
  created_at_time: Opt(Nat64),
  creation_args: Opt(
    Record({
      subnet_selection: Opt(
        Variant({ Filter: Record({ subnet_type: Opt(Text) }), Subnet: Record({ subnet: Id }) }),
      ),
      settings: Opt(
        Record({
          controllers: Opt(Vec(Id)),
          compute_allocation: Opt(Nat),
          memory_allocation: Opt(Nat),
          freezing_threshold: Opt(Nat),
          reserved_cycles_limit: Opt(Nat),
        }),
      ),
    }),
  ),
};
const Created = Record({ block_id: Nat, canister_id: Id });
const { BadFee: _, ...outgoingErrors } = commonErrors;
const Value = IDL.Rec();
Value.fill(
  Variant({
    Blob,
    Text,
    Nat,
    Nat64,
    Int,
    Array: Vec(Value),
    Map: Vec(Tuple(Text, Value)),
  }),
);

const cyclesLedger = Service({
  ...icrc,
  deposit: Func([Record({ to: Account, memo: Opt(Blob) })], [Record({ balance: Nat, block_index: Nat })]),
  withdraw: Func(
    [Record({ amount: Nat, from_subaccount: Opt(Blob), to: Id, created_at_time: Opt(Nat64) })],
    [
      result(Nat, {
        ...commonErrors,
        FailedToWithdraw: Record({
          rejection_code: RejectionCode,
          fee_block: Opt(Nat),
          rejection_reason: Text,
        }),
        InvalidReceiver: Record({ receiver: Id }),
      }),
    ],
  ),
  withdraw_from: Func(
    [
      Record({
        spender_subaccount: Opt(Blob),
        from: Account,
        to: Id,
        amount: Nat,
        created_at_time: Opt(Nat64),
      }),
    ],
    [
      result(Nat, {
        ...outgoingErrors,
        ...allowanceErrors,
        InvalidReceiver: Record({ receiver: Id }),
        FailedToWithdrawFrom: Record({
          withdraw_from_block: Opt(Nat),
          refund_block: Opt(Nat),
          approval_refund_block: Opt(Nat),
          rejection_code: RejectionCode,
          rejection_reason: Text,
        }),
      }),
    ],
  ),
  create_canister: Func(
    [Record({ from_subaccount: Opt(Blob), ...createFields })],
    [
      result(Created, {
        ...outgoingErrors,
        Duplicate: Record({ duplicate_of: Nat, canister_id: Opt(Id) }),
        FailedToCreate: Record({ fee_block: Opt(Nat), refund_block: Opt(Nat), error: Text }),
      }),
    ],
  ),
  create_canister_from: Func(
    [Record({ from: Account, spender_subaccount: Opt(Blob), ...createFields })],
    [
      result(Created, {
        ...outgoingErrors,
        ...allowanceErrors,
        Duplicate: Record({ duplicate_of: Nat, canister_id: Opt(Id) }),
        FailedToCreateFrom: Record({
          create_from_block: Opt(Nat),
          refund_block: Opt(Nat),
          approval_refund_block: Opt(Nat),
          rejection_code: RejectionCode,
          rejection_reason: Text,
        }),
      }),
    ],
  ),
  icrc3_get_blocks: Func(
    [Vec(Record({ start: Nat, length: Nat }))],
    [Record({ log_length: Nat, blocks: Vec(Record({ id: Nat, block: Value })) })],
    QUERY,
  ),
  icrc3_get_tip_certificate: Func([], [Opt(Record({ certificate: Blob, hash_tree: Blob }))], QUERY),
});

const NotifyError = Variant({
  Refunded: Record({ block_index: Opt(Nat64), reason: Text }),
  InvalidTransaction: Text,
  Other: Record({ error_message: Text, error_code: Nat64 }),
  Processing: Null,
  TransactionTooOld: Nat64,
});
const notified = (ok: IDL.Type): IDL.Type => Variant({ Ok: ok, Err: NotifyError });

const cyclesMinting = Service({
  notify_top_up: Func([Record({ block_index: Nat64, canister_id: Id })], [notified(Nat)]),
  notify_create_canister: Func(
    [
      Record({
        block_index: Nat64,
        controller: Id,
        subnet_selection: Opt(
          Variant({ Filter: Record({ subnet_type: Opt(Text) }), Subnet: Record({ subnet: Id }) }),
        ),
        subnet_type: Opt(Text),
      }),
    ],
    [notified(Id)],
  ),
  notify_mint_cycles: Func(
    [Record({ block_index: Nat64, to_subaccount: Opt(Blob), deposit_memo: Opt(Blob) })],
    [notified(Record({ block_index: Nat, minted: Nat, balance: Nat }))],
  ),
  get_icp_xdr_conversion_rate: Func(
    [],
    [
      Record({
        data: Record({ timestamp_seconds: Nat64, xdr_permyriad_per_icp: Nat64 }),
        hash_tree: Blob,
        certificate: Blob,
      }),
    ],
    QUERY,
  ),
  get_default_subnets: Func([], [Vec(Id)], QUERY),
  set_authorized_subnetwork_list: Func([Record({ who: Opt(Id), subnets: Vec(Id) })], []),
});

/** A canister whose optional record fields may be left out of arguments. */
export interface Client {
  call<Answer>(method: string, argument?: unknown): Promise<Answer>;
}

function completed(type: IDL.Type | undefined, argument: unknown): unknown {
  if (!(type instanceof IDL.RecordClass)) return argument;
  const given = argument as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    type._fields.map(([name, field]) => {
      const value = given[name];
      if (!(field instanceof IDL.OptClass)) return [name, completed(field, value)];
      return [name, value === undefined ? [] : [completed(field._type, value)]];
    }),
  );
}

function clientOf(agent: HttpAgent, canisterId: Principal, service: IDL.ServiceClass): Client {
  const actor = Actor.createActor(() => service, { agent, canisterId });
  const methods = new Map(service._fields);
  return {
    async call<Answer>(method: string, argument?: unknown): Promise<Answer> {
      const run = actor[method];
      if (run === undefined) throw new Error(`no method ${method}`);
      const [type] = methods.get(method)?.argTypes ?? [];
      return (await (type === undefined ? run() : run(completed(type, argument ?? {})))) as Answer;
    },
  };
}

export const icpLedgerFor = (agent: HttpAgent): Client => clientOf(agent, ICP_LEDGER, icpLedger);
export const cyclesLedgerFor = (agent: HttpAgent): Client => clientOf(agent, CYCLES_LEDGER, cyclesLedger);
export const cyclesMintingFor = (agent: HttpAgent): Client => clientOf(agent, CYCLES_MINTING, cyclesMinting);

/** The variant's one case, by name. */
export type Answered<Ok = bigint> = { readonly Ok: Ok } | { readonly Err: Readonly<Record<string, unknown>> };

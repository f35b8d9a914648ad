/// The cycles ledger: accounts in cycles (symbol TCYCLES), at canister id um5iw-rqaaa-aaaaq-qaaba-cai.
/// ICRC-1, ICRC-2, ICRC-3 and the calls that turn a balance into cycles of canisters.
///
/// Every balance is backed by cycles that this canister holds. `deposit` takes attached cycles in; `withdraw`
/// and `create_canister` first burn amount and fee, then hand the cycles out, and when that fails mint back
/// what came back, less another fee. Canisters are created by the cycles-minting canister, which knows the
/// subnets.
import Cycles "mo:core/Cycles";
import Blob "mo:core/Blob";
import CertifiedData "mo:core/CertifiedData";
import Error "mo:core/Error";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat8 "mo:core/Nat8";
import Nat64 "mo:core/Nat64";
import Prim "mo:⛔";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import Account "../lib/Account";
import Block "Block";
import Bytes "../lib/Bytes";
import HashTree "../lib/HashTree";
import State "State";
import Types "Types";

persistent actor class CyclesLedger(ledger_args : Types.LedgerArgs) {
  type Account = Types.Account;
  type Charge = { from : Account; spender : ?Account; amount : Nat; transaction : Block.Transaction };
  type ChargeError = {
    #duplicate : State.Recent;
    #insufficientFunds : Nat;
    #insufficientAllowance : Nat;
    #tooOld;
    #createdInFuture;
  };
  type Refund = { refundBlock : ?Nat; approvalBlock : ?Nat };

  transient let maxAllowancesPerQuery = 500;
  transient let deniedOwnerCode = 100_001;
  transient let zeroAmountCode = 100_002;
  transient let expiredApprovalCode = 100_003;
  transient let penalizeMemo = Bytes.repeat(255, 32);
  transient let createCanisterMemo = Bytes.repeat(254, 32);
  transient let refundMemo = Bytes.repeat(253, 32);

  transient let management = actor "aaaaa-aa" : actor {
    deposit_cycles : shared { canister_id : Principal } -> async ();
  };
  transient let cyclesMinting = actor "rkp4c-7iaaa-aaaaa-aaaca-cai" : actor {
    create_canister : shared Types.CmcCreateCanisterArgs -> async Types.CmcCreateCanisterResult;
  };

  let state = State.empty();
  var initialised = false;

  // ── Cycles in and out ─────────────────────────────────────────────────────────────────────────────

  public shared func deposit(args : Types.DepositArgs) : async Types.DepositResult {
    let amount = Cycles.accept<system>(Cycles.available());
    if (amount <= State.fee) {
      Runtime.trap("The requested amount " # debug_show amount # " to be deposited is not more than the cycles ledger fee: " # debug_show State.fee);
    };
    let to = Account.normalize(args.to);
    let index = mint(to, amount - State.fee, State.fee, args.memo);
    { balance = State.balance(state, to); block_index = index };
  };

  public shared ({ caller }) func withdraw(args : Types.WithdrawArgs) : async { #Ok : Types.BlockIndex; #Err : Types.WithdrawError } {
    let from = { owner = caller; subaccount = args.from_subaccount };
    switch (await* withdrawTo(from, null, args.to, args.amount, args.created_at_time)) {
      case (#Ok index) #Ok index;
      case (#Err(#FailedToWithdrawFrom e)) #Err(
        #FailedToWithdraw {
          fee_block = e.refund_block;
          rejection_code = e.rejection_code;
          rejection_reason = e.rejection_reason;
        }
      );
      case (#Err(#InsufficientAllowance _)) Runtime.unreachable();
      case (#Err(#GenericError e)) #Err(#GenericError e);
      case (#Err(#TemporarilyUnavailable)) #Err(#TemporarilyUnavailable);
      case (#Err(#Duplicate e)) #Err(#Duplicate e);
      case (#Err(#InvalidReceiver e)) #Err(#InvalidReceiver e);
      case (#Err(#CreatedInFuture e)) #Err(#CreatedInFuture e);
      case (#Err(#TooOld)) #Err(#TooOld);
      case (#Err(#InsufficientFunds e)) #Err(#InsufficientFunds e);
    };
  };

  public shared ({ caller }) func withdraw_from(args : Types.WithdrawFromArgs) : async {
    #Ok : Types.BlockIndex;
    #Err : Types.WithdrawFromError;
  } {
    let spender = Account.normalize({ owner = caller; subaccount = args.spender_subaccount });
    await* withdrawTo(args.from, ?spender, args.to, args.amount, args.created_at_time);
  };

  public shared ({ caller }) func create_canister(args : Types.CreateCanisterArgs) : async {
    #Ok : Types.CreateCanisterSuccess;
    #Err : Types.CreateCanisterError;
  } {
    let from = { owner = caller; subaccount = args.from_subaccount };
    switch (await* createFor(caller, from, null, args.amount, args.created_at_time, args.creation_args)) {
      case (#Ok success) #Ok success;
      case (#Err(#FailedToCreateFrom e)) #Err(
        #FailedToCreate {
          fee_block = e.create_from_block;
          refund_block = e.refund_block;
          error = e.rejection_reason;
        }
      );
      case (#Err(#InsufficientAllowance _)) Runtime.unreachable();
      case (#Err(#InsufficientFunds e)) #Err(#InsufficientFunds e);
      case (#Err(#TooOld)) #Err(#TooOld);
      case (#Err(#CreatedInFuture e)) #Err(#CreatedInFuture e);
      case (#Err(#TemporarilyUnavailable)) #Err(#TemporarilyUnavailable);
      case (#Err(#Duplicate e)) #Err(#Duplicate e);
      case (#Err(#GenericError e)) #Err(#GenericError e);
    };
  };

  public shared ({ caller }) func create_canister_from(args : Types.CreateCanisterFromArgs) : async {
    #Ok : Types.CreateCanisterSuccess;
    #Err : Types.CreateCanisterFromError;
  } {
    let spender = Account.normalize({ owner = caller; subaccount = args.spender_subaccount });
    await* createFor(caller, args.from, ?spender, args.amount, args.created_at_time, args.creation_args);
  };

  // ── ICRC-1 ────────────────────────────────────────────────────────────────────────────────────────

  public query func icrc1_name() : async Text { "Trillion Cycles" };

  public query func icrc1_symbol() : async Text { "TCYCLES" };

  public query func icrc1_decimals() : async Nat8 { 12 };

  public query func icrc1_fee() : async Nat { State.fee };

  public query func icrc1_metadata() : async [(Text, Types.MetadataValue)] {
    [
      ("icrc1:decimals", #Nat 12),
      ("icrc1:name", #Text "Trillion Cycles"),
      ("icrc1:symbol", #Text "TCYCLES"),
      ("icrc1:fee", #Nat(State.fee)),
      ("icrc1:max_memo_length", #Nat(State.memoBytesMax)),
      ("dfn:max_blocks_per_request", #Nat(state.maxBlocksPerRequest)),
    ];
  };

  public query func icrc1_total_supply() : async Nat { state.totalSupply };

  public query func icrc1_minting_account() : async ?Account { null };

  public query func icrc1_balance_of(account : Account) : async Nat { State.balance(state, account) };

  public query func icrc1_supported_standards() : async [Types.SupportedStandard] { standards() };

  public query func icrc10_supported_standards() : async [Types.SupportedStandard] { standards() };

  public shared ({ caller }) func icrc1_transfer(args : Types.TransferArgs) : async { #Ok : Types.BlockIndex; #Err : Types.TransferError } {
    let from = { owner = caller; subaccount = args.from_subaccount };
    switch (transfer(null, { args with from; spender_subaccount = null })) {
      case (#Ok index) #Ok index;
      case (#Err(#InsufficientAllowance _)) Runtime.unreachable();
      case (#Err(#BadFee e)) #Err(#BadFee e);
      case (#Err(#BadBurn e)) #Err(#BadBurn e);
      case (#Err(#InsufficientFunds e)) #Err(#InsufficientFunds e);
      case (#Err(#TooOld)) #Err(#TooOld);
      case (#Err(#CreatedInFuture e)) #Err(#CreatedInFuture e);
      case (#Err(#Duplicate e)) #Err(#Duplicate e);
      case (#Err(#TemporarilyUnavailable)) #Err(#TemporarilyUnavailable);
      case (#Err(#GenericError e)) #Err(#GenericError e);
    };
  };

  // ── ICRC-2 ────────────────────────────────────────────────────────────────────────────────────────

  public shared ({ caller }) func icrc2_transfer_from(args : Types.TransferFromArgs) : async { #Ok : Nat; #Err : Types.TransferFromError } {
    transfer(?Account.normalize({ owner = caller; subaccount = args.spender_subaccount }), args);
  };

  public shared ({ caller }) func icrc2_approve(args : Types.ApproveArgs) : async { #Ok : Nat; #Err : Types.ApproveError } {
    let from = Account.normalize({ owner = caller; subaccount = args.from_subaccount });
    let spender = Account.normalize(args.spender);
    let transaction : Block.Transaction = {
      operation = #approve {
        from;
        spender;
        amount = Nat.min(args.amount, State.maxAmount);
        expectedAllowance = args.expected_allowance;
        expiresAt = args.expires_at;
        fee = args.fee;
      };
      createdAtTime = args.created_at_time;
      memo = args.memo;
    };
    switch (State.duplicate(state, transaction)) {
      case (?found) return #Err(#Duplicate { duplicate_of = found.index });
      case null {};
    };
    if (caller == spender.owner) Runtime.trap("self approval is not allowed");
    switch (deniedOwner([from, spender])) {
      case (?error) return #Err(#GenericError error);
      case null {};
    };
    let current = State.approval(state, from, spender, now()).amount;
    if (not isNullOr(args.expected_allowance, current)) return #Err(#AllowanceChanged { current_allowance = current });
    if (not isNullOr(args.fee, State.fee)) return #Err(#BadFee { expected_fee = State.fee });
    let balance = State.balance(state, from);
    if (balance < State.fee) return #Err(#InsufficientFunds { balance });
    switch (args.expires_at) {
      case (?time) if (time <= now()) return #Err(#Expired { ledger_time = now() });
      case null {};
    };
    switch (State.checkTime(args.created_at_time, now())) {
      case (?#tooOld) return #Err(#TooOld);
      case (?#createdInFuture) return #Err(#CreatedInFuture { ledger_time = now() });
      case null {};
    };
    #Ok(recordApproval(transaction, { from; spender; amount = Nat.min(args.amount, State.maxAmount); expiresAt = args.expires_at }));
  };

  public query func icrc2_allowance(args : Types.AllowanceArgs) : async Types.Allowance {
    let found = State.approval(state, args.account, args.spender, now());
    { allowance = found.amount; expires_at = found.expiresAt };
  };

  public shared query ({ caller }) func icrc103_get_allowances(args : Types.GetAllowancesArgs) : async Types.ICRC103GetAllowancesResponse {
    let from = Account.normalize(
      switch (args.from_account) {
        case (?account) account;
        case null ({ owner = caller; subaccount = null });
      }
    );
    let first = switch (args.prev_spender) {
      case (?spender) Bytes.join([State.approvalKey(from, spender), Bytes.byte(0)]);
      case null Account.key(from);
    };
    let take = switch (args.take) {
      case (?count) Nat.min(count, maxAllowancesPerQuery);
      case null maxAllowancesPerQuery;
    };
    let found = List.empty<{ from_account : Account; to_spender : Account; allowance : Nat; expires_at : ?Nat64 }>();
    label scan for ((_, approval) in Map.entriesFrom(state.approvals, Blob.compare, first)) {
      if (List.size(found) >= take or approval.from.owner != from.owner) break scan;
      let live = switch (approval.expiresAt) {
        case (?time) time > now();
        case null true;
      };
      if (live) List.add(
        found,
        {
          from_account = approval.from;
          to_spender = approval.spender;
          allowance = approval.amount;
          expires_at = approval.expiresAt;
        },
      );
    };
    #Ok(List.toArray(found));
  };

  // ── ICRC-3, ICRC-106 ──────────────────────────────────────────────────────────────────────────────

  public query func icrc3_get_blocks(args : Types.GetBlocksArgs) : async Types.GetBlocksResult {
    let length = List.size(state.blocks);
    let blocks = List.empty<{ id : Nat; block : Types.Value }>();
    for (range in args.vals()) {
      var id = range.start;
      let end = Nat.min(length, range.start + range.length);
      while (id < end and List.size(blocks) < state.maxBlocksPerRequest) {
        List.add(blocks, { id; block = Block.toValue(List.at(state.blocks, id)) });
        id += 1;
      };
    };
    { log_length = length; blocks = List.toArray(blocks); archived_blocks = [] };
  };

  public query func icrc3_get_archives(_ : Types.GetArchivesArgs) : async Types.GetArchivesResult { [] };

  public query func icrc3_get_tip_certificate() : async ?Types.DataCertificate {
    switch (CertifiedData.getCertificate(), State.tree(state)) {
      case (?certificate, ?tree) ?{ certificate; hash_tree = HashTree.encode(tree) };
      case _ null;
    };
  };

  public query func icrc3_supported_block_types() : async [Types.SupportedBlockType] {
    let base = "https://github.com/dfinity/ICRC-1/blob/main/standards/";
    [
      { block_type = "1burn"; url = base # "ICRC-1/README.md" },
      { block_type = "1mint"; url = base # "ICRC-1/README.md" },
      { block_type = "2xfer"; url = base # "ICRC-2/README.md" },
      { block_type = "2approve"; url = base # "ICRC-2/README.md" },
    ];
  };

  public query func icrc106_get_index_principal() : async Types.GetIndexPrincipalResult {
    switch (state.indexId) {
      case (?principal) #Ok principal;
      case null #Err(#IndexPrincipalNotSet);
    };
  };

  // ── Shared rules ──────────────────────────────────────────────────────────────────────────────────

  func transfer(spenderAccount : ?Account, args : Types.TransferFromArgs) : { #Ok : Nat; #Err : Types.TransferFromError } {
    let from = Account.normalize(args.from);
    let to = Account.normalize(args.to);
    let operation = #transfer { from; to; spender = spenderAccount; amount = args.amount; fee = args.fee };
    let transaction : Block.Transaction = { operation; createdAtTime = args.created_at_time; memo = args.memo };
    switch (State.duplicate(state, transaction)) {
      case (?found) return #Err(#Duplicate { duplicate_of = found.index });
      case null {};
    };
    switch (deniedOwner([from, to])) {
      case (?error) return #Err(#GenericError error);
      case null {};
    };
    if (not isNullOr(args.fee, State.fee)) return #Err(#BadFee { expected_fee = State.fee });
    let cost = args.amount + State.fee;
    let delegate = delegated(from, spenderAccount);
    switch (delegate) {
      case (?spender) {
        if (State.approvalExpired(state, from, spender, now())) {
          return #Err(#GenericError { error_code = expiredApprovalCode; message = "Approval has expired" });
        };
        let allowance = State.approval(state, from, spender, now()).amount;
        if (allowance < cost) return #Err(#InsufficientAllowance { allowance });
      };
      case null {};
    };
    let balance = State.balance(state, from);
    if (balance < cost) return #Err(#InsufficientFunds { balance });
    switch (State.checkTime(args.created_at_time, now())) {
      case (?#tooOld) return #Err(#TooOld);
      case (?#createdInFuture) return #Err(#CreatedInFuture { ledger_time = now() });
      case null {};
    };
    let index = State.record(state, transaction, if (args.fee == null) ?State.fee else null, now());
    switch (delegate) {
      case (?spender) State.useApproval(state, from, spender, cost);
      case null {};
    };
    State.debit(state, from, cost);
    State.credit(state, to, args.amount);
    #Ok index;
  };

  func withdrawTo(
    fromAccount : Account,
    spender : ?Account,
    to : Principal,
    amount : Nat,
    createdAtTime : ?Nat64,
  ) : async* { #Ok : Nat; #Err : Types.WithdrawFromError } {
    if (Principal.isSelfAuthenticating(to)) return #Err(#InvalidReceiver { receiver = to });
    if (amount == 0) {
      return #Err(#GenericError { error_code = zeroAmountCode; message = "The withdraw_from 0 cycles is not possible" });
    };
    let (charge, expiresAt) = chargeOf(fromAccount, spender, amount, createdAtTime, withdrawMemo(to));
    let index = switch (burn(charge)) {
      case (#ok index) index;
      case (#err(#duplicate found)) return #Err(#Duplicate { duplicate_of = found.index });
      case (#err(#insufficientFunds balance)) return #Err(#InsufficientFunds { balance });
      case (#err(#insufficientAllowance allowance)) return #Err(#InsufficientAllowance { allowance });
      case (#err(#tooOld)) return #Err(#TooOld);
      case (#err(#createdInFuture)) return #Err(#CreatedInFuture { ledger_time = now() });
    };
    try {
      await (with cycles = amount) management.deposit_cycles({ canister_id = to });
      #Ok index;
    } catch (error) {
      let refunded = refund(charge, amount, penalizeMemo, expiresAt);
      #Err(
        #FailedToWithdrawFrom {
          withdraw_from_block = ?index;
          refund_block = refunded.refundBlock;
          approval_refund_block = refunded.approvalBlock;
          rejection_code = rejectionCode(error);
          rejection_reason = Error.message(error);
        }
      );
    };
  };

  func createFor(
    caller : Principal,
    fromAccount : Account,
    spender : ?Account,
    amount : Nat,
    createdAtTime : ?Nat64,
    creationArgs : ?Types.CmcCreateCanisterArgs,
  ) : async* { #Ok : Types.CreateCanisterSuccess; #Err : Types.CreateCanisterFromError } {
    let (charge, expiresAt) = chargeOf(fromAccount, spender, amount, createdAtTime, createCanisterMemo);
    let index = switch (burn(charge)) {
      case (#ok index) index;
      case (#err(#duplicate found)) return #Err(#Duplicate { duplicate_of = found.index; canister_id = found.canister });
      case (#err(#insufficientFunds balance)) return #Err(#InsufficientFunds { balance });
      case (#err(#insufficientAllowance allowance)) return #Err(#InsufficientAllowance { allowance });
      case (#err(#tooOld)) return #Err(#TooOld);
      case (#err(#createdInFuture)) return #Err(#CreatedInFuture { ledger_time = now() });
    };
    let outcome : { #created : Principal; #failed : (Types.RejectionCode, Nat, Text) } = try {
      switch (await (with cycles = amount) cyclesMinting.create_canister(withController(creationArgs, caller))) {
        case (#Ok canister) #created canister;
        case (#Err(#Refunded { refund_amount; create_error })) #failed(#CanisterError, refund_amount, create_error);
      };
    } catch (error) #failed(rejectionCode(error), amount, Error.message(error));
    switch (outcome) {
      case (#created canister) {
        State.recordCanister(state, charge.transaction, canister);
        #Ok { block_id = index; canister_id = canister };
      };
      case (#failed(code, returned, reason)) {
        let refunded = refund(charge, returned, refundMemo, expiresAt);
        #Err(
          #FailedToCreateFrom {
            create_from_block = ?index;
            refund_block = refunded.refundBlock;
            approval_refund_block = refunded.approvalBlock;
            rejection_code = code;
            rejection_reason = reason;
          }
        );
      };
    };
  };

  // The charge of an outgoing call, and the end of the approval it uses, for giving that back.
  func chargeOf(fromAccount : Account, spender : ?Account, amount : Nat, createdAtTime : ?Nat64, memo : Blob) : (Charge, ?Nat64) {
    let from = Account.normalize(fromAccount);
    let transaction : Block.Transaction = {
      operation = #burn { from; spender; amount };
      createdAtTime;
      memo = ?memo;
    };
    let expiresAt = switch (delegated(from, spender)) {
      case (?delegate) State.approval(state, from, delegate, now()).expiresAt;
      case null null;
    };
    ({ from; spender; amount; transaction }, expiresAt);
  };

  // Takes amount and fee from the account, or says why not and changes nothing.
  func burn(charge : Charge) : { #ok : Nat; #err : ChargeError } {
    switch (State.duplicate(state, charge.transaction)) {
      case (?found) return #err(#duplicate found);
      case null {};
    };
    let cost = charge.amount + State.fee;
    let delegate = delegated(charge.from, charge.spender);
    switch (delegate) {
      case (?spender) {
        let allowance = State.approval(state, charge.from, spender, now()).amount;
        if (allowance < cost) return #err(#insufficientAllowance allowance);
      };
      case null {};
    };
    let balance = State.balance(state, charge.from);
    if (balance < cost) return #err(#insufficientFunds balance);
    switch (State.checkTime(charge.transaction.createdAtTime, now())) {
      case (?error) return #err error;
      case null {};
    };
    let index = State.record(state, charge.transaction, ?State.fee, now());
    switch (delegate) {
      case (?spender) State.useApproval(state, charge.from, spender, cost);
      case null {};
    };
    State.debit(state, charge.from, cost);
    #ok index;
  };

  // Mints `returned` back to the payer less the fee of the block, and restores the approval it used, less
  // the fee of that block, while it would still be in force.
  func refund(charge : Charge, returned : Nat, memo : Blob, expiresAt : ?Nat64) : Refund {
    if (returned <= State.fee) return { refundBlock = null; approvalBlock = null };
    let amount = returned - State.fee : Nat;
    let refundBlock = ?mint(charge.from, amount, 0, ?memo);
    let inForce = switch (expiresAt) {
      case (?time) now() < time;
      case null true;
    };
    switch (delegated(charge.from, charge.spender)) {
      case (?spender) if (amount > State.fee and inForce) {
        let current = State.approval(state, charge.from, spender, now());
        let approval : State.Approval = {
          from = charge.from;
          spender;
          amount = Nat.min(current.amount + amount - State.fee, State.maxAmount);
          expiresAt = if (current.expiresAt != null) current.expiresAt else expiresAt;
        };
        let operation = #approve {
          from = approval.from;
          spender;
          amount = approval.amount;
          expectedAllowance = null;
          expiresAt = approval.expiresAt;
          fee = null;
        };
        let block = recordApproval({ operation; createdAtTime = null; memo = ?penalizeMemo }, approval);
        return { refundBlock; approvalBlock = ?block };
      };
      case null {};
    };
    { refundBlock; approvalBlock = null };
  };

  func recordApproval(transaction : Block.Transaction, approval : State.Approval) : Nat {
    let given = switch (transaction.operation) {
      case (#approve { fee }) fee;
      case _ null;
    };
    let index = State.record(state, transaction, if (given == null) ?State.fee else null, now());
    State.debit(state, approval.from, State.fee);
    State.approve(state, approval);
    index;
  };

  func mint(to : Account, amount : Nat, fee : Nat, memo : ?Blob) : Nat {
    let index = State.record(state, { operation = #mint { to; amount; fee }; createdAtTime = null; memo }, ?0, now());
    State.credit(state, to, amount);
    index;
  };

  // An owner who spends from the own account needs no allowance.
  func delegated(from : Account, spender : ?Account) : ?Account = switch (spender) {
    case (?account) if (account == from) null else ?account;
    case null null;
  };

  func withController(args : ?Types.CmcCreateCanisterArgs, caller : Principal) : Types.CmcCreateCanisterArgs {
    let { settings; subnet_selection } = switch (args) {
      case (?given) given;
      case null ({ settings = null; subnet_selection = null });
    };
    let none : Types.CanisterSettings = {
      controllers = null;
      compute_allocation = null;
      memory_allocation = null;
      freezing_threshold = null;
      reserved_cycles_limit = null;
      wasm_memory_limit = null;
      wasm_memory_threshold = null;
      log_visibility = null;
      environment_variables = null;
    };
    let chosen = switch (settings) {
      case (?given) given;
      case null none;
    };
    let controllers = if (chosen.controllers == null) ?[caller] else chosen.controllers;
    { settings = ?{ chosen with controllers }; subnet_selection };
  };

  // CBOR array of one byte string: who received the cycles.
  func withdrawMemo(to : Principal) : Blob {
    let receiver = Principal.toBlob(to);
    let head = if (receiver.size() < 24) Blob.fromArray([0x81, Nat8.fromNat(0x40 + receiver.size())]) else Blob.fromArray([
      0x81,
      0x58,
      Nat8.fromNat(receiver.size()),
    ]);
    Bytes.join([head, receiver]);
  };

  func rejectionCode(error : Error.Error) : Types.RejectionCode = switch (Error.code(error)) {
    case (#system_fatal) #SysFatal;
    case (#system_transient) #SysTransient;
    case (#destination_invalid) #DestinationInvalid;
    case (#canister_reject) #CanisterReject;
    case (#canister_error) #CanisterError;
    case _ #Unknown;
  };

  func deniedOwner(accounts : [Account]) : ?{ message : Text; error_code : Nat } {
    for (account in accounts.vals()) {
      if (Principal.toBlob(account.owner).size() == 0) {
        return ?{ error_code = deniedOwnerCode; message = "The management canister cannot own an account" };
      };
    };
    null;
  };

  func isNullOr(given : ?Nat, expected : Nat) : Bool = switch (given) {
    case (?value) value == expected;
    case null true;
  };

  func now() : Nat64 = Prim.time();

  func standards() : [Types.SupportedStandard] {
    let first = "https://github.com/dfinity/ICRC-1/blob/main/standards/";
    let later = "https://github.com/dfinity/ICRC/blob/main/ICRCs/";
    [
      { name = "ICRC-1"; url = first # "ICRC-1/README.md" },
      { name = "ICRC-2"; url = first # "ICRC-2/README.md" },
      { name = "ICRC-3"; url = first # "ICRC-3/README.md" },
      { name = "ICRC-10"; url = later # "ICRC-10/ICRC-10.md" },
      { name = "ICRC-103"; url = later # "ICRC-103/ICRC-103.md" },
      { name = "ICRC-106"; url = later # "ICRC-106/ICRC-106.md" },
    ];
  };

  func initialise(args : Types.InitArgs) {
    state.maxBlocksPerRequest := Nat64.toNat(args.max_blocks_per_request);
    state.indexId := args.index_id;
    switch (args.initial_balances) {
      case (?balances) for ((account, amount) in balances.vals()) ignore mint(Account.normalize(account), amount, State.fee, null);
      case null {};
    };
    initialised := true;
  };

  // Runs at installation and at every upgrade, after the definitions it needs.
  switch (ledger_args) {
    case (#Init args) if (not initialised) initialise(args) else Runtime.trap("Cannot upgrade the canister with an Init argument. Please provide an Upgrade argument.");
    case (#Upgrade args) {
      if (not initialised) Runtime.trap("Cannot initialize the canister with an Upgrade argument. Please provide an Init argument.");
      switch (args) {
        case (?{ max_blocks_per_request = ?count }) state.maxBlocksPerRequest := Nat64.toNat(count);
        case _ {};
      };
      switch (args) {
        case (?{ change_index_id = ?#SetTo principal }) state.indexId := ?principal;
        case (?{ change_index_id = ?#Unset }) state.indexId := null;
        case _ {};
      };
    };
  };
};

/// The ICP ledger: the native token's accounts, at canister id ryjl3-tyaaa-aaaaa-aaaba-cai.
/// Legacy interface (account identifiers), ICRC-1 and ICRC-2 over one set of balances.
///
/// Rules: a transfer costs the fee, which is burned; transfers from the minting account mint and those to
/// it burn, both free; a burn is at least the fee or the whole balance; `created_at_time` opens a window
/// of 24 h (and 60 s ahead) in which a second identical transaction is a duplicate. Legacy transfers
/// without a time take the ledger's own. The certified data is the hash of the last block.
import Array "mo:core/Array";
import Blob "mo:core/Blob";
import CertifiedData "mo:core/CertifiedData";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Prim "mo:⛔";
import Runtime "mo:core/Runtime";
import Account "../lib/Account";
import Block "Block";
import Bytes "../lib/Bytes";
import State "State";
import Types "Types";

persistent actor class IcpLedger(payload : Types.LedgerCanisterPayload) {
  transient let maxBlocksPerQuery : Nat64 = 2000;
  transient let maxBlocksPerReplicatedQuery : Nat64 = 50;
  transient let maxAllowancesPerQuery : Nat64 = 500;
  transient let memoBytesMax = 32;

  transient let buffer = Block.buffer();
  let state = State.empty();
  var initialised = false;

  func initialise(args : Types.InitArgs) {
    state.minter := parseAccount(args.minting_account);
    switch (args.icrc1_minting_account) {
      case (?account) setIcrc1Minter(account);
      case null {};
    };
    switch (args.transfer_fee) {
      case (?fee) state.fee := fee.e8s;
      case null {};
    };
    switch (args.transaction_window) {
      case (?window) state.windowNanos := window.secs * 1_000_000_000 + Nat64.fromNat32(window.nanos);
      case null {};
    };
    switch (args.token_symbol) {
      case (?symbol) state.symbol := symbol;
      case null {};
    };
    switch (args.token_name) {
      case (?name) state.name := name;
      case null {};
    };
    for ((account, tokens) in args.initial_values.vals()) {
      let to = parseAccount(account);
      if (to == state.minter) Runtime.trap("the minting account cannot have an initial balance");
      let mint : Block.Transaction = {
        operation = #mint { to; amount = tokens.e8s };
        memo = 0;
        icrc1Memo = null;
        createdAtTime = null;
      };
      ignore State.apply(state, buffer, mint, now());
    };
    initialised := true;
  };

  func setIcrc1Minter(account : Types.Account) {
    if (Account.identifier(account) != state.minter) Runtime.trap("icrc1_minting_account is not the account of minting_account");
    state.icrc1Minter := ?Account.normalize(account);
  };

  // ── Legacy interface ──────────────────────────────────────────────────────────────────────────────

  public shared ({ caller }) func transfer(args : Types.TransferArgs) : async Types.TransferResult {
    send(caller, args);
  };

  public shared ({ caller }) func send_dfx(args : Types.SendArgs) : async Types.BlockIndex {
    switch (send(caller, { args with to = parseAccount(args.to) })) {
      case (#Ok index) index;
      case (#Err error) Runtime.trap(debug_show error);
    };
  };

  public query func account_balance(args : { account : Types.AccountIdentifier }) : async Types.Tokens {
    // A malformed identifier owns nothing.
    if (not validIdentifier(args.account)) return { e8s = 0 };
    { e8s = State.balance(state, args.account) };
  };

  public query func account_balance_dfx(args : { account : Types.TextAccountIdentifier }) : async Types.Tokens {
    { e8s = State.balance(state, parseAccount(args.account)) };
  };

  public query func account_identifier(account : Types.Account) : async Types.AccountIdentifier {
    Account.identifier(account);
  };

  public query func transfer_fee(_ : {}) : async { transfer_fee : Types.Tokens } {
    { transfer_fee = { e8s = state.fee } };
  };

  public query func symbol() : async { symbol : Text } { { symbol = state.symbol } };

  public query func name() : async { name : Text } { { name = state.name } };

  public query func decimals() : async { decimals : Nat32 } { { decimals = 8 } };

  public query func query_blocks(args : Types.GetBlocksArgs) : async Types.QueryBlocksResponse {
    {
      chain_length = chainLength();
      certificate = CertifiedData.getCertificate();
      blocks = Array.map<Block.Block, Types.Block>(blockRange(args), Block.toCandid);
      first_block_index = args.start;
      archived_blocks = [];
    };
  };

  public query func query_encoded_blocks(args : Types.GetBlocksArgs) : async Types.QueryEncodedBlocksResponse {
    {
      chain_length = chainLength();
      certificate = CertifiedData.getCertificate();
      blocks = Array.map<Block.Block, Blob>(blockRange(args), Block.encode);
      first_block_index = args.start;
      archived_blocks = [];
    };
  };

  public query func tip_of_chain() : async Types.TipOfChainRes {
    if (chainLength() == 0) Runtime.trap("the chain has no block yet");
    { certification = CertifiedData.getCertificate(); tip_index = chainLength() - 1 };
  };

  public query func archives() : async { archives : [{ canister_id : Principal }] } { { archives = [] } };

  public query func is_ledger_ready() : async Bool { initialised };

  // ── ICRC-1 ────────────────────────────────────────────────────────────────────────────────────────

  public query func icrc1_name() : async Text { state.name };

  public query func icrc1_symbol() : async Text { state.symbol };

  public query func icrc1_decimals() : async Nat8 { 8 };

  public query func icrc1_fee() : async Types.Icrc1Tokens { Nat64.toNat(state.fee) };

  public query func icrc1_metadata() : async [(Text, Types.Value)] {
    [
      ("icrc1:decimals", #Nat 8),
      ("icrc1:name", #Text(state.name)),
      ("icrc1:symbol", #Text(state.symbol)),
      ("icrc1:fee", #Nat(Nat64.toNat(state.fee))),
      ("icrc1:max_memo_length", #Nat memoBytesMax),
    ];
  };

  public query func icrc1_total_supply() : async Types.Icrc1Tokens { Nat64.toNat(state.totalSupply) };

  public query func icrc1_minting_account() : async ?Types.Account { state.icrc1Minter };

  public query func icrc1_balance_of(account : Types.Account) : async Types.Icrc1Tokens {
    Nat64.toNat(State.balance(state, Account.identifier(account)));
  };

  public query func icrc1_supported_standards() : async [Types.StandardRecord] { standards() };

  public query func icrc10_supported_standards() : async [Types.StandardRecord] { standards() };

  public shared ({ caller }) func icrc1_transfer(args : Types.TransferArg) : async Types.Icrc1TransferResult {
    let from = { owner = caller; subaccount = args.from_subaccount };
    switch (move(from, null, { args with from; spender_subaccount = null })) {
      case (#Ok index) #Ok index;
      case (#Err(#InsufficientAllowance _)) Runtime.unreachable();
      case (#Err(#BadFee e)) #Err(#BadFee e);
      case (#Err(#BadBurn e)) #Err(#BadBurn e);
      case (#Err(#InsufficientFunds e)) #Err(#InsufficientFunds e);
      case (#Err(#TooOld)) #Err(#TooOld);
      case (#Err(#CreatedInFuture e)) #Err(#CreatedInFuture e);
      case (#Err(#TemporarilyUnavailable)) #Err(#TemporarilyUnavailable);
      case (#Err(#Duplicate e)) #Err(#Duplicate e);
      case (#Err(#GenericError e)) #Err(#GenericError e);
    };
  };

  // ── ICRC-2 ────────────────────────────────────────────────────────────────────────────────────────

  public shared ({ caller }) func icrc2_transfer_from(args : Types.TransferFromArgs) : async Types.TransferFromResult {
    move(args.from, ?{ owner = caller; subaccount = args.spender_subaccount }, args);
  };

  public shared ({ caller }) func icrc2_approve(args : Types.ApproveArgs) : async Types.ApproveResult {
    if (args.spender.owner == caller) Runtime.trap("self approval is not allowed");
    let from = Account.identifier({ owner = caller; subaccount = args.from_subaccount });
    let spender = Account.identifier(args.spender);
    let expected = switch (args.expected_allowance) {
      case null null;
      case (?amount) {
        // More than any allowance can be: what the caller expects is not so.
        if (amount > Nat64.toNat(State.maxTokens)) {
          return #Err(#AllowanceChanged { current_allowance = Nat64.toNat(State.approval(state, from, spender, now()).allowance) });
        };
        ?Nat64.fromNat(amount);
      };
    };
    let allowance = Nat64.fromNat(Nat.min(args.amount, Nat64.toNat(State.maxTokens)));
    approve(from, spender, allowance, expected, args.expires_at, args.fee, args.memo, args.created_at_time);
  };

  public shared ({ caller }) func remove_approval(args : Types.RemoveApprovalArgs) : async Types.ApproveResult {
    if (not validIdentifier(args.spender)) Runtime.trap("spender is not an account identifier: " # Bytes.toHex(args.spender));
    let from = Account.identifier({ owner = caller; subaccount = args.from_subaccount });
    approve(from, args.spender, 0, null, null, args.fee, null, null);
  };

  public query func icrc2_allowance(args : Types.AllowanceArgs) : async Types.Allowance {
    let found = State.approval(state, Account.identifier(args.account), Account.identifier(args.spender), now());
    { allowance = Nat64.toNat(found.allowance); expires_at = found.expiresAt };
  };

  public query func get_allowances(args : Types.GetAllowancesArgs) : async Types.Allowances {
    let from = parseAccount(args.from_account_id);
    let first = switch (args.prev_spender_id) {
      case (?spender) Bytes.join([from, parseAccount(spender), Bytes.byte(0)]);
      case null from;
    };
    let take = Nat64.toNat(
      switch (args.take) {
        case (?count) Nat64.min(count, maxAllowancesPerQuery);
        case null maxAllowancesPerQuery;
      }
    );
    let fromText = Bytes.toHex(from);
    let found = List.empty<{ from_account_id : Text; to_spender_id : Text; allowance : Types.Tokens; expires_at : ?Nat64 }>();
    label scan for ((key, value) in Map.entriesFrom(state.approvals, Blob.compare, first)) {
      if (List.size(found) >= take) break scan;
      if (Bytes.slice(key, 0, 32) != from) break scan;
      let live = switch (value.expiresAt) {
        case (?time) time > now();
        case null true;
      };
      if (live) List.add(
        found,
        {
          from_account_id = fromText;
          to_spender_id = Bytes.toHex(Bytes.slice(key, 32, 64));
          allowance = { e8s = value.allowance };
          expires_at = value.expiresAt;
        },
      );
    };
    List.toArray(found);
  };

  // ── Shared rules ──────────────────────────────────────────────────────────────────────────────────

  func send(caller : Principal, args : Types.TransferArgs) : Types.TransferResult {
    if (not validIdentifier(args.to)) Runtime.trap("to is not an account identifier: " # Bytes.toHex(args.to));
    let from = Account.identifier({ owner = caller; subaccount = args.from_subaccount });
    let amount = args.amount.e8s;
    let operation : Block.Operation = if (from == state.minter) {
      if (args.fee.e8s != 0) Runtime.trap("Fee for minting should be zero");
      if (args.to == state.minter) Runtime.trap("It is illegal to mint to a minting_account");
      #mint { to = args.to; amount };
    } else if (args.to == state.minter) {
      if (args.fee.e8s != 0) Runtime.trap("Fee for burning should be zero");
      let least = leastBurn(from);
      if (amount < least) Runtime.trap("Burns lower than " # debug_show least # " e8s are not allowed");
      #burn { from; spender = null; amount };
    } else {
      if (args.fee.e8s != state.fee) return #Err(#BadFee { expected_fee = { e8s = state.fee } });
      #transfer { from; to = args.to; spender = null; amount; fee = state.fee };
    };
    let createdAtTime = switch (args.created_at_time) {
      case (?time) ?time.timestamp_nanos;
      case null ?now();
    };
    switch (State.apply(state, buffer, { operation; memo = args.memo; icrc1Memo = null; createdAtTime }, now())) {
      case (#ok index) #Ok(Nat64.fromNat index);
      case (#err(#insufficientFunds balance)) #Err(#InsufficientFunds { balance = { e8s = balance } });
      case (#err(#tooOld)) #Err(#TxTooOld { allowed_window_nanos = state.windowNanos });
      case (#err(#createdInFuture)) #Err(#TxCreatedInFuture);
      case (#err(#duplicate index)) #Err(#TxDuplicate { duplicate_of = Nat64.fromNat index });
      // Only delegated spending and approvals meet the others.
      case (#err(#insufficientAllowance _ or #allowanceChanged _ or #expired)) Runtime.unreachable();
    };
  };

  func move(fromAccount : Types.Account, spenderAccount : ?Types.Account, args : Types.TransferFromArgs) : Types.TransferFromResult {
    checkMemo(args.memo);
    let from = Account.identifier(fromAccount);
    let to = Account.identifier(args.to);
    let spender = switch (spenderAccount) {
      case (?account) ?Account.identifier(account);
      case null null;
    };
    if (args.amount > Nat64.toNat(State.maxTokens)) {
      return #Err(#InsufficientFunds { balance = Nat64.toNat(State.balance(state, from)) });
    };
    let amount = Nat64.fromNat(args.amount);
    let free = to == state.minter or from == state.minter;
    let expectedFee = if (free) 0 else Nat64.toNat(state.fee);
    let operation : Block.Operation = if (to == state.minter) {
      if (not feeIs(args.fee, 0)) return #Err(#BadFee { expected_fee = 0 });
      let least = leastBurn(from);
      if (amount < least) return #Err(#BadBurn { min_burn_amount = Nat64.toNat(least) });
      if (amount == 0) return #Err(#BadBurn { min_burn_amount = Nat64.toNat(state.fee) });
      #burn { from; spender; amount };
    } else if (from == state.minter) {
      if (spender != null) Runtime.trap("the minter account cannot delegate mints");
      if (not feeIs(args.fee, 0)) return #Err(#BadFee { expected_fee = 0 });
      #mint { to; amount };
    } else {
      if (not feeIs(args.fee, expectedFee)) return #Err(#BadFee { expected_fee = expectedFee });
      #transfer { from; to; spender; amount; fee = state.fee };
    };
    let transaction = { operation; memo = 0 : Nat64; icrc1Memo = args.memo; createdAtTime = args.created_at_time };
    switch (State.apply(state, buffer, transaction, now())) {
      case (#ok index) #Ok index;
      case (#err(#insufficientFunds available)) #Err(#InsufficientFunds { balance = Nat64.toNat(available) });
      case (#err(#insufficientAllowance allowed)) #Err(#InsufficientAllowance { allowance = Nat64.toNat(allowed) });
      case (#err(#tooOld)) #Err(#TooOld);
      case (#err(#createdInFuture)) #Err(#CreatedInFuture { ledger_time = now() });
      case (#err(#duplicate index)) #Err(#Duplicate { duplicate_of = index });
      case (#err(#allowanceChanged _ or #expired)) Runtime.unreachable();
    };
  };

  func approve(
    from : Blob,
    spender : Blob,
    allowance : Nat64,
    expectedAllowance : ?Nat64,
    expiresAt : ?Nat64,
    fee : ?Nat,
    memo : ?Blob,
    createdAtTime : ?Nat64,
  ) : Types.ApproveResult {
    checkMemo(memo);
    if (from == state.minter) Runtime.trap("the minting account cannot delegate mints");
    if (not feeIs(fee, Nat64.toNat(state.fee))) return #Err(#BadFee { expected_fee = Nat64.toNat(state.fee) });
    let operation = #approve { from; spender; allowance; expectedAllowance; expiresAt; fee = state.fee };
    switch (State.apply(state, buffer, { operation; memo = 0 : Nat64; icrc1Memo = memo; createdAtTime }, now())) {
      case (#ok index) #Ok index;
      case (#err(#insufficientFunds balance)) #Err(#InsufficientFunds { balance = Nat64.toNat(balance) });
      case (#err(#allowanceChanged current)) #Err(#AllowanceChanged { current_allowance = Nat64.toNat(current) });
      case (#err(#expired)) #Err(#Expired { ledger_time = now() });
      case (#err(#tooOld)) #Err(#TooOld);
      case (#err(#createdInFuture)) #Err(#CreatedInFuture { ledger_time = now() });
      case (#err(#duplicate index)) #Err(#Duplicate { duplicate_of = index });
      case (#err(#insufficientAllowance _)) Runtime.unreachable();
    };
  };

  func leastBurn(from : Blob) : Nat64 = Nat64.min(state.fee, State.balance(state, from));

  func feeIs(given : ?Nat, expected : Nat) : Bool = switch (given) {
    case (?fee) fee == expected;
    case null true;
  };

  func checkMemo(memo : ?Blob) = switch (memo) {
    case (?bytes) if (bytes.size() > memoBytesMax) Runtime.trap("the memo field is too large");
    case null {};
  };

  func now() : Nat64 = Prim.time();

  func chainLength() : Nat64 = Nat64.fromNat(List.size(state.blocks));

  func blockRange(args : Types.GetBlocksArgs) : [Block.Block] {
    let length = chainLength();
    if (args.start >= length) return [];
    let most = if (Prim.isReplicatedExecution()) maxBlocksPerReplicatedQuery else maxBlocksPerQuery;
    let count = Nat64.min(Nat64.min(args.length, most), length - args.start);
    List.sliceToArray(state.blocks, Nat64.toNat(args.start), Nat64.toNat(args.start + count));
  };

  func standards() : [Types.StandardRecord] {
    let base = "https://github.com/dfinity/ICRC-1/tree/main/standards/";
    [
      { name = "ICRC-1"; url = base # "ICRC-1" },
      { name = "ICRC-2"; url = base # "ICRC-2" },
      { name = "ICRC-10"; url = "https://github.com/dfinity/ICRC/blob/main/ICRCs/ICRC-10/ICRC-10.md" },
    ];
  };

  // 32 bytes whose first four are the checksum of the rest.
  func validIdentifier(identifier : Blob) : Bool {
    if (identifier.size() != 32) return false;
    // Blob.hash is CRC-32.
    let (a, b, c, d) = Prim.explodeNat32(Blob.hash(Bytes.slice(identifier, 4, 32)));
    Bytes.slice(identifier, 0, 4) == Blob.fromArray([a, b, c, d]);
  };

  func parseAccount(text : Text) : Blob {
    switch (Bytes.fromHex(text)) {
      case (?bytes) if (validIdentifier(bytes)) return bytes;
      case null {};
    };
    Runtime.trap("not an account identifier (64 hex digits with a valid checksum): " # text);
  };

  // Runs at installation and at every upgrade, after the definitions it needs.
  switch (payload) {
    case (#Init args) if (not initialised) initialise(args) else Runtime.trap("Cannot upgrade the canister with an Init argument. Please provide an Upgrade argument.");
    case (#Upgrade args) {
      if (not initialised) Runtime.trap("Cannot initialize the canister with an Upgrade argument. Please provide an Init argument.");
      switch (args) {
        case (?{ icrc1_minting_account = ?account }) setIcrc1Minter(account);
        case _ {};
      };
    };
  };
};

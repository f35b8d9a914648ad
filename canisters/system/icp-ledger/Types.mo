/// The ICP ledger's Candid types. Names and field sets agree with the public interface of
/// ryjl3-tyaaa-aaaaa-aaaba-cai, so that clients written for that canister decode every reply.
import Account "../lib/Account";

module {
  public type Tokens = { e8s : Nat64 };
  public type TimeStamp = { timestamp_nanos : Nat64 };
  public type AccountIdentifier = Blob;
  public type TextAccountIdentifier = Text;
  public type SubAccount = Blob;
  public type BlockIndex = Nat64;
  public type Memo = Nat64;
  public type Account = Account.Account;

  public type Duration = { secs : Nat64; nanos : Nat32 };
  public type ArchiveOptions = {
    trigger_threshold : Nat64;
    num_blocks_to_archive : Nat64;
    node_max_memory_size_bytes : ?Nat64;
    max_message_size_bytes : ?Nat64;
    controller_id : Principal;
    more_controller_ids : ?[Principal];
    cycles_for_archive_creation : ?Nat64;
    max_transactions_per_response : ?Nat64;
  };
  public type FeatureFlags = { icrc2 : Bool };
  public type InitArgs = {
    minting_account : TextAccountIdentifier;
    icrc1_minting_account : ?Account;
    initial_values : [(TextAccountIdentifier, Tokens)];
    max_message_size_bytes : ?Nat64;
    transaction_window : ?Duration;
    archive_options : ?ArchiveOptions;
    send_whitelist : [Principal];
    transfer_fee : ?Tokens;
    token_symbol : ?Text;
    token_name : ?Text;
    feature_flags : ?FeatureFlags;
    index_principal : ?Principal;
  };
  public type UpgradeArgs = {
    icrc1_minting_account : ?Account;
    feature_flags : ?FeatureFlags;
    index_principal : ?Principal;
  };
  public type LedgerCanisterPayload = { #Init : InitArgs; #Upgrade : ?UpgradeArgs };

  public type Operation = {
    #Mint : { to : AccountIdentifier; amount : Tokens };
    #Burn : { from : AccountIdentifier; spender : ?AccountIdentifier; amount : Tokens };
    #Transfer : {
      from : AccountIdentifier;
      to : AccountIdentifier;
      amount : Tokens;
      fee : Tokens;
      spender : ?AccountIdentifier;
    };
    #Approve : {
      from : AccountIdentifier;
      spender : AccountIdentifier;
      allowance_e8s : Int;
      allowance : Tokens;
      fee : Tokens;
      expires_at : ?TimeStamp;
      expected_allowance : ?Tokens;
    };
  };
  public type Transaction = {
    memo : Memo;
    icrc1_memo : ?Blob;
    operation : ?Operation;
    created_at_time : TimeStamp;
  };
  public type Block = { parent_hash : ?Blob; transaction : Transaction; timestamp : TimeStamp };

  public type TransferArgs = {
    memo : Memo;
    amount : Tokens;
    fee : Tokens;
    from_subaccount : ?SubAccount;
    to : AccountIdentifier;
    created_at_time : ?TimeStamp;
  };
  public type SendArgs = {
    memo : Memo;
    amount : Tokens;
    fee : Tokens;
    from_subaccount : ?SubAccount;
    to : TextAccountIdentifier;
    created_at_time : ?TimeStamp;
  };
  public type TransferError = {
    #BadFee : { expected_fee : Tokens };
    #InsufficientFunds : { balance : Tokens };
    #TxTooOld : { allowed_window_nanos : Nat64 };
    #TxCreatedInFuture;
    #TxDuplicate : { duplicate_of : BlockIndex };
  };
  public type TransferResult = { #Ok : BlockIndex; #Err : TransferError };
  public type GetBlocksArgs = { start : BlockIndex; length : Nat64 };
  public type BlockRange = { blocks : [Block] };
  public type QueryArchiveError = {
    #BadFirstBlockIndex : { requested_index : BlockIndex; first_valid_index : BlockIndex };
    #Other : { error_code : Nat64; error_message : Text };
  };
  public type QueryArchiveResult = { #Ok : BlockRange; #Err : QueryArchiveError };
  public type ArchivedBlocksRange = {
    start : BlockIndex;
    length : Nat64;
    callback : shared query (GetBlocksArgs) -> async QueryArchiveResult;
  };
  public type QueryBlocksResponse = {
    chain_length : Nat64;
    certificate : ?Blob;
    blocks : [Block];
    first_block_index : BlockIndex;
    archived_blocks : [ArchivedBlocksRange];
  };
  public type ArchivedEncodedBlocksRange = {
    start : BlockIndex;
    length : Nat64;
    callback : shared query (GetBlocksArgs) -> async { #Ok : [Blob]; #Err : QueryArchiveError };
  };
  public type QueryEncodedBlocksResponse = {
    chain_length : Nat64;
    certificate : ?Blob;
    blocks : [Blob];
    first_block_index : BlockIndex;
    archived_blocks : [ArchivedEncodedBlocksRange];
  };
  public type TipOfChainRes = { certification : ?Blob; tip_index : BlockIndex };
  public type Value = { #Nat : Nat; #Int : Int; #Text : Text; #Blob : Blob };
  public type StandardRecord = { name : Text; url : Text };

  public type Icrc1Tokens = Nat;
  public type Icrc1BlockIndex = Nat;
  public type Icrc1Timestamp = Nat64;
  public type TransferArg = {
    from_subaccount : ?SubAccount;
    to : Account;
    amount : Icrc1Tokens;
    fee : ?Icrc1Tokens;
    memo : ?Blob;
    created_at_time : ?Icrc1Timestamp;
  };
  public type Icrc1TransferError = {
    #BadFee : { expected_fee : Icrc1Tokens };
    #BadBurn : { min_burn_amount : Icrc1Tokens };
    #InsufficientFunds : { balance : Icrc1Tokens };
    #TooOld;
    #CreatedInFuture : { ledger_time : Nat64 };
    #TemporarilyUnavailable;
    #Duplicate : { duplicate_of : Icrc1BlockIndex };
    #GenericError : { error_code : Nat; message : Text };
  };
  public type Icrc1TransferResult = { #Ok : Icrc1BlockIndex; #Err : Icrc1TransferError };
  public type ApproveArgs = {
    from_subaccount : ?SubAccount;
    spender : Account;
    amount : Icrc1Tokens;
    expected_allowance : ?Icrc1Tokens;
    expires_at : ?Icrc1Timestamp;
    fee : ?Icrc1Tokens;
    memo : ?Blob;
    created_at_time : ?Icrc1Timestamp;
  };
  public type ApproveError = {
    #BadFee : { expected_fee : Icrc1Tokens };
    #InsufficientFunds : { balance : Icrc1Tokens };
    #AllowanceChanged : { current_allowance : Icrc1Tokens };
    #Expired : { ledger_time : Nat64 };
    #TooOld;
    #CreatedInFuture : { ledger_time : Nat64 };
    #Duplicate : { duplicate_of : Icrc1BlockIndex };
    #TemporarilyUnavailable;
    #GenericError : { error_code : Nat; message : Text };
  };
  public type ApproveResult = { #Ok : Icrc1BlockIndex; #Err : ApproveError };
  public type AllowanceArgs = { account : Account; spender : Account };
  public type Allowance = { allowance : Icrc1Tokens; expires_at : ?Icrc1Timestamp };
  public type TransferFromArgs = {
    spender_subaccount : ?SubAccount;
    from : Account;
    to : Account;
    amount : Icrc1Tokens;
    fee : ?Icrc1Tokens;
    memo : ?Blob;
    created_at_time : ?Icrc1Timestamp;
  };
  public type TransferFromError = {
    #BadFee : { expected_fee : Icrc1Tokens };
    #BadBurn : { min_burn_amount : Icrc1Tokens };
    #InsufficientFunds : { balance : Icrc1Tokens };
    #InsufficientAllowance : { allowance : Icrc1Tokens };
    #TooOld;
    #CreatedInFuture : { ledger_time : Icrc1Timestamp };
    #Duplicate : { duplicate_of : Icrc1BlockIndex };
    #TemporarilyUnavailable;
    #GenericError : { error_code : Nat; message : Text };
  };
  public type TransferFromResult = { #Ok : Icrc1BlockIndex; #Err : TransferFromError };
  public type RemoveApprovalArgs = {
    from_subaccount : ?SubAccount;
    spender : AccountIdentifier;
    fee : ?Icrc1Tokens;
  };
  public type GetAllowancesArgs = {
    from_account_id : TextAccountIdentifier;
    prev_spender_id : ?TextAccountIdentifier;
    take : ?Nat64;
  };
  public type Allowances = [{
    from_account_id : TextAccountIdentifier;
    to_spender_id : TextAccountIdentifier;
    allowance : Tokens;
    expires_at : ?Nat64;
  }];
};

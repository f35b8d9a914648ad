/// The cycles ledger's Candid types. Names and field sets agree with the public interface of
/// um5iw-rqaaa-aaaaq-qaaba-cai, so that clients written for that canister decode every reply.
import Account "../lib/Account";

module {
  public type Account = Account.Account;
  public type BlockIndex = Nat;

  public type InitArgs = {
    max_blocks_per_request : Nat64;
    index_id : ?Principal;
    initial_balances : ?[(Account, Nat)];
  };
  public type ChangeIndexId = { #Unset; #SetTo : Principal };
  public type UpgradeArgs = { max_blocks_per_request : ?Nat64; change_index_id : ?ChangeIndexId };
  public type LedgerArgs = { #Init : InitArgs; #Upgrade : ?UpgradeArgs };

  public type TransferArgs = {
    from_subaccount : ?Blob;
    to : Account;
    amount : Nat;
    fee : ?Nat;
    memo : ?Blob;
    created_at_time : ?Nat64;
  };
  public type TransferError = {
    #BadFee : { expected_fee : Nat };
    #BadBurn : { min_burn_amount : Nat };
    #InsufficientFunds : { balance : Nat };
    #TooOld;
    #CreatedInFuture : { ledger_time : Nat64 };
    #Duplicate : { duplicate_of : Nat };
    #TemporarilyUnavailable;
    #GenericError : { message : Text; error_code : Nat };
  };
  public type TransferFromArgs = {
    spender_subaccount : ?Blob;
    from : Account;
    to : Account;
    amount : Nat;
    fee : ?Nat;
    memo : ?Blob;
    created_at_time : ?Nat64;
  };
  public type TransferFromError = {
    #BadFee : { expected_fee : Nat };
    #BadBurn : { min_burn_amount : Nat };
    #InsufficientFunds : { balance : Nat };
    #InsufficientAllowance : { allowance : Nat };
    #TooOld;
    #CreatedInFuture : { ledger_time : Nat64 };
    #Duplicate : { duplicate_of : Nat };
    #TemporarilyUnavailable;
    #GenericError : { message : Text; error_code : Nat };
  };
  public type ApproveArgs = {
    from_subaccount : ?Blob;
    spender : Account;
    amount : Nat;
    expected_allowance : ?Nat;
    expires_at : ?Nat64;
    fee : ?Nat;
    memo : ?Blob;
    created_at_time : ?Nat64;
  };
  public type ApproveError = {
    #BadFee : { expected_fee : Nat };
    #InsufficientFunds : { balance : Nat };
    #AllowanceChanged : { current_allowance : Nat };
    #Expired : { ledger_time : Nat64 };
    #TooOld;
    #CreatedInFuture : { ledger_time : Nat64 };
    #Duplicate : { duplicate_of : Nat };
    #TemporarilyUnavailable;
    #GenericError : { message : Text; error_code : Nat };
  };
  public type AllowanceArgs = { account : Account; spender : Account };
  public type Allowance = { allowance : Nat; expires_at : ?Nat64 };

  public type DepositArgs = { to : Account; memo : ?Blob };
  public type DepositResult = { balance : Nat; block_index : BlockIndex };

  public type RejectionCode = {
    #NoError;
    #CanisterError;
    #SysTransient;
    #DestinationInvalid;
    #Unknown;
    #SysFatal;
    #CanisterReject;
  };
  public type WithdrawArgs = {
    amount : Nat;
    from_subaccount : ?Blob;
    to : Principal;
    created_at_time : ?Nat64;
  };
  public type WithdrawError = {
    #GenericError : { message : Text; error_code : Nat };
    #TemporarilyUnavailable;
    #FailedToWithdraw : { fee_block : ?Nat; rejection_code : RejectionCode; rejection_reason : Text };
    #Duplicate : { duplicate_of : Nat };
    #BadFee : { expected_fee : Nat };
    #InvalidReceiver : { receiver : Principal };
    #CreatedInFuture : { ledger_time : Nat64 };
    #TooOld;
    #InsufficientFunds : { balance : Nat };
  };
  public type WithdrawFromArgs = {
    spender_subaccount : ?Blob;
    from : Account;
    to : Principal;
    amount : Nat;
    created_at_time : ?Nat64;
  };
  public type WithdrawFromError = {
    #GenericError : { message : Text; error_code : Nat };
    #TemporarilyUnavailable;
    #FailedToWithdrawFrom : {
      withdraw_from_block : ?Nat;
      refund_block : ?Nat;
      approval_refund_block : ?Nat;
      rejection_code : RejectionCode;
      rejection_reason : Text;
    };
    #Duplicate : { duplicate_of : BlockIndex };
    #InvalidReceiver : { receiver : Principal };
    #CreatedInFuture : { ledger_time : Nat64 };
    #TooOld;
    #InsufficientFunds : { balance : Nat };
    #InsufficientAllowance : { allowance : Nat };
  };

  public type EnvironmentVariable = { name : Text; value : Text };
  public type LogVisibility = { #controllers; #public_; #allowed_viewers : [Principal] };
  public type CanisterSettings = {
    controllers : ?[Principal];
    compute_allocation : ?Nat;
    memory_allocation : ?Nat;
    freezing_threshold : ?Nat;
    reserved_cycles_limit : ?Nat;
    wasm_memory_limit : ?Nat;
    wasm_memory_threshold : ?Nat;
    log_visibility : ?LogVisibility;
    environment_variables : ?[EnvironmentVariable];
  };
  public type SubnetFilter = { subnet_type : ?Text };
  public type SubnetSelection = { #Subnet : { subnet : Principal }; #Filter : SubnetFilter };
  public type CmcCreateCanisterArgs = {
    settings : ?CanisterSettings;
    subnet_selection : ?SubnetSelection;
  };
  public type CreateCanisterArgs = {
    from_subaccount : ?Blob;
    created_at_time : ?Nat64;
    amount : Nat;
    creation_args : ?CmcCreateCanisterArgs;
  };
  public type CreateCanisterFromArgs = {
    from : Account;
    spender_subaccount : ?Blob;
    created_at_time : ?Nat64;
    amount : Nat;
    creation_args : ?CmcCreateCanisterArgs;
  };
  public type CreateCanisterSuccess = { block_id : BlockIndex; canister_id : Principal };
  public type CreateCanisterError = {
    #InsufficientFunds : { balance : Nat };
    #TooOld;
    #CreatedInFuture : { ledger_time : Nat64 };
    #TemporarilyUnavailable;
    #Duplicate : { duplicate_of : Nat; canister_id : ?Principal };
    #FailedToCreate : { fee_block : ?BlockIndex; refund_block : ?BlockIndex; error : Text };
    #GenericError : { message : Text; error_code : Nat };
  };
  public type CreateCanisterFromError = {
    #InsufficientFunds : { balance : Nat };
    #InsufficientAllowance : { allowance : Nat };
    #TooOld;
    #CreatedInFuture : { ledger_time : Nat64 };
    #TemporarilyUnavailable;
    #Duplicate : { duplicate_of : Nat; canister_id : ?Principal };
    #FailedToCreateFrom : {
      create_from_block : ?BlockIndex;
      refund_block : ?BlockIndex;
      approval_refund_block : ?BlockIndex;
      rejection_code : RejectionCode;
      rejection_reason : Text;
    };
    #GenericError : { message : Text; error_code : Nat };
  };
  /// What the cycles-minting canister answers to `create_canister`.
  public type CmcCreateCanisterResult = {
    #Ok : Principal;
    #Err : { #Refunded : { refund_amount : Nat; create_error : Text } };
  };

  public type MetadataValue = { #Nat : Nat; #Int : Int; #Text : Text; #Blob : Blob };
  public type SupportedStandard = { url : Text; name : Text };
  public type SupportedBlockType = { block_type : Text; url : Text };
  public type Value = {
    #Int : Int;
    #Map : [(Text, Value)];
    #Nat : Nat;
    #Nat64 : Nat64;
    #Blob : Blob;
    #Text : Text;
    #Array : [Value];
  };
  public type GetArchivesArgs = { from : ?Principal };
  public type GetArchivesResult = [{ canister_id : Principal; start : Nat; end : Nat }];
  public type GetBlocksArgs = [{ start : Nat; length : Nat }];
  public type GetBlocksResult = {
    log_length : Nat;
    blocks : [{ id : Nat; block : Value }];
    archived_blocks : [{
      args : GetBlocksArgs;
      callback : shared query (GetBlocksArgs) -> async GetBlocksResult;
    }];
  };
  public type DataCertificate = { certificate : Blob; hash_tree : Blob };
  public type GetAllowancesArgs = { from_account : ?Account; prev_spender : ?Account; take : ?Nat };
  public type Allowances = [{
    from_account : Account;
    to_spender : Account;
    allowance : Nat;
    expires_at : ?Nat64;
  }];
  public type GetAllowancesError = {
    #AccessDenied : { reason : Text };
    #GenericError : { error_code : Nat; message : Text };
  };
  public type ICRC103GetAllowancesResponse = { #Ok : Allowances; #Err : GetAllowancesError };
  public type GetIndexPrincipalError = {
    #IndexPrincipalNotSet;
    #GenericError : { error_code : Nat; description : Text };
  };
  public type GetIndexPrincipalResult = { #Ok : Principal; #Err : GetIndexPrincipalError };
};

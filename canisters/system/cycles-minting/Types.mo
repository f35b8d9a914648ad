/// The cycles-minting canister's Candid types. Names and field sets agree with the public interface of
/// rkp4c-7iaaa-aaaaa-aaaca-cai; the three last fields of the init record are our own and optional.
module {
  public type BlockIndex = Nat64;
  public type Cycles = Nat;
  public type AccountIdentifier = Text;

  public type ExchangeRateCanister = { #Set : Principal; #Unset };
  public type CyclesCanisterInitPayload = {
    ledger_canister_id : ?Principal;
    governance_canister_id : ?Principal;
    minting_account_id : ?AccountIdentifier;
    last_purged_notification : ?Nat64;
    exchange_rate_canister : ?ExchangeRateCanister;
    cycles_ledger_canister_id : ?Principal;
    /// The subnet this canister runs on: canisters there are created through the management canister.
    own_subnet_id : ?Principal;
    /// Subnets anybody may create canisters on.
    default_subnets : ?[Principal];
    /// Ten-thousandths of an XDR that one ICP is worth.
    xdr_permyriad_per_icp : ?Nat64;
  };

  public type log_visibility = { #controllers; #public_; #allowed_viewers : [Principal] };
  public type snapshot_visibility = { #controllers; #public_; #allowed_viewers : [Principal] };
  public type environment_variable = { name : Text; value : Text };
  public type CanisterSettings = {
    controllers : ?[Principal];
    compute_allocation : ?Nat;
    memory_allocation : ?Nat;
    freezing_threshold : ?Nat;
    reserved_cycles_limit : ?Nat;
    log_visibility : ?log_visibility;
    snapshot_visibility : ?snapshot_visibility;
    wasm_memory_limit : ?Nat;
    wasm_memory_threshold : ?Nat;
    environment_variables : ?[environment_variable];
    log_memory_limit : ?Nat;
  };
  public type SubnetFilter = { subnet_type : ?Text };
  public type SubnetSelection = { #Subnet : { subnet : Principal }; #Filter : SubnetFilter };

  public type NotifyTopUpArg = { block_index : BlockIndex; canister_id : Principal };
  public type NotifyTopUpResult = { #Ok : Cycles; #Err : NotifyError };
  public type CreateCanisterArg = {
    settings : ?CanisterSettings;
    subnet_type : ?Text;
    subnet_selection : ?SubnetSelection;
  };
  public type CreateCanisterError = { #Refunded : { refund_amount : Nat; create_error : Text } };
  public type CreateCanisterResult = { #Ok : Principal; #Err : CreateCanisterError };
  public type NotifyCreateCanisterArg = {
    block_index : BlockIndex;
    controller : Principal;
    subnet_type : ?Text;
    subnet_selection : ?SubnetSelection;
    settings : ?CanisterSettings;
  };
  public type NotifyCreateCanisterResult = { #Ok : Principal; #Err : NotifyError };
  public type NotifyMintCyclesArg = {
    block_index : BlockIndex;
    to_subaccount : ?Blob;
    deposit_memo : ?Blob;
  };
  public type NotifyMintCyclesSuccess = { block_index : Nat; minted : Nat; balance : Nat };
  public type NotifyMintCyclesResult = { #Ok : NotifyMintCyclesSuccess; #Err : NotifyError };
  public type NotifyError = {
    #Refunded : { reason : Text; block_index : ?BlockIndex };
    #Processing;
    #TransactionTooOld : BlockIndex;
    #InvalidTransaction : Text;
    #Other : { error_code : Nat64; error_message : Text };
  };

  public type IcpXdrConversionRate = { timestamp_seconds : Nat64; xdr_permyriad_per_icp : Nat64 };
  public type IcpXdrConversionRateResponse = {
    data : IcpXdrConversionRate;
    hash_tree : Blob;
    certificate : Blob;
  };
  public type SubnetTypesToSubnetsResponse = { data : [(Text, [Principal])] };
  public type PrincipalsAuthorizedToCreateCanistersToSubnetsResponse = { data : [(Principal, [Principal])] };
  public type SetAuthorizedSubnetworkListArgs = { who : ?Principal; subnets : [Principal] };
  public type UpdateSubnetTypeArgs = { #Add : Text; #Remove : Text };
  public type SubnetListWithType = { subnets : [Principal]; subnet_type : Text };
  public type ChangeSubnetTypeAssignmentArgs = { #Add : SubnetListWithType; #Remove : SubnetListWithType };

  // What this canister uses of the ICP ledger, the cycles ledger and the management canister.

  public type Tokens = { e8s : Nat64 };
  public type Operation = {
    #Mint : { to : Blob; amount : Tokens };
    #Burn : { from : Blob; amount : Tokens };
    #Transfer : { from : Blob; to : Blob; amount : Tokens };
    #Approve : { from : Blob; spender : Blob };
  };
  public type Block = { transaction : { memo : Nat64; icrc1_memo : ?Blob; operation : ?Operation } };
  public type IcpTransferError = {
    #BadFee : { expected_fee : Tokens };
    #InsufficientFunds : { balance : Tokens };
    #TxTooOld : { allowed_window_nanos : Nat64 };
    #TxCreatedInFuture;
    #TxDuplicate : { duplicate_of : BlockIndex };
  };
  public type IcpLedger = actor {
    query_blocks : shared query { start : Nat64; length : Nat64 } -> async {
      chain_length : Nat64;
      first_block_index : Nat64;
      blocks : [Block];
    };
    transfer : shared {
      memo : Nat64;
      amount : Tokens;
      fee : Tokens;
      from_subaccount : ?Blob;
      to : Blob;
      created_at_time : ?{ timestamp_nanos : Nat64 };
    } -> async { #Ok : BlockIndex; #Err : IcpTransferError };
  };
  public type CyclesLedger = actor {
    deposit : shared {
      to : { owner : Principal; subaccount : ?Blob };
      memo : ?Blob;
    } -> async { balance : Nat; block_index : Nat };
  };
  public type Management = actor {
    create_canister : shared { settings : ?CanisterSettings; sender_canister_version : ?Nat64 } -> async {
      canister_id : Principal;
    };
    deposit_cycles : shared { canister_id : Principal } -> async ();
  };
};

/// The cycles-minting canister, at canister id rkp4c-7iaaa-aaaaa-aaaca-cai: turns ICP into cycles and
/// creates canisters on the subnet a creator chooses.
///
/// A payment is an ICP transfer to this canister's subaccount of the beneficiary with a memo that says what
/// for. The notification names the ledger's block; it is read back from the ledger, paid out once, and its
/// ICP burned. A payment that cannot be paid out goes back less fees. Outcomes are kept by block index, so
/// that a repeated notification gets the first answer.
///
/// Cycles are not minted here: the canister pays out of the balance it was given at genesis.
import Blob "mo:core/Blob";
import CertifiedData "mo:core/CertifiedData";
import Cycles "mo:core/Cycles";
import Debug "mo:core/Debug";
import Error "mo:core/Error";
import Map "mo:core/Map";
import Nat8 "mo:core/Nat8";
import Nat64 "mo:core/Nat64";
import Prim "mo:⛔";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import Account "../lib/Account";
import Bytes "../lib/Bytes";
import HashTree "../lib/HashTree";
import Subnets "Subnets";
import Types "Types";

persistent actor class CyclesMinting(payload : ?Types.CyclesCanisterInitPayload) = self {
  type Payment = { from : Blob; amount : Nat64; subaccount : Blob };
  type Outcome = {
    #processing;
    #toppedUp : Types.NotifyTopUpResult;
    #created : Types.NotifyCreateCanisterResult;
    #minted : Types.NotifyMintCyclesResult;
    /// The memo asked for nothing we do; the payment went back.
    #returned : Types.NotifyError;
  };

  transient let memoCreate : Nat64 = 0x41455243;
  transient let memoTopUp : Nat64 = 0x50555054;
  transient let memoMint : Nat64 = 0x544e494d;
  transient let icpFee : Nat64 = 10_000;
  // Beyond the transfer fee, for the work of a payment that failed.
  transient let createRefundFee : Nat64 = 4 * icpFee;
  transient let topUpRefundFee : Nat64 = 2 * icpFee;
  transient let mintRefundFee : Nat64 = 2 * icpFee;
  transient let badRequestPenalty = 100_000_000;
  transient let minimumCreationCycles = 100_000_000_000;
  transient let outcomesKept = 1_000_000;
  transient let memoBytesMax = 32;
  transient let failedToFetchBlock : Nat64 = 2;
  transient let refundFailed : Nat64 = 3;
  transient let badSubnetSelection : Nat64 = 4;
  transient let unauthorized : Nat64 = 5;
  transient let depositMemoTooLong : Nat64 = 6;
  /// Creates canisters on behalf of its users.
  transient let nnsDapp = Principal.fromText("qoctq-giaaa-aaaaa-aaaea-cai");

  var ledgerId = Principal.fromText("ryjl3-tyaaa-aaaaa-aaaba-cai");
  var cyclesLedgerId = Principal.fromText("um5iw-rqaaa-aaaaq-qaaba-cai");
  var governanceId = Principal.fromText("rrkah-fqaaa-aaaaa-aaaaq-cai");
  var mintingAccount = Account.identifier({ owner = governanceId; subaccount = null });
  var ownSubnet : ?Principal = null;
  var rate : Types.IcpXdrConversionRate = { timestamp_seconds = 1_620_633_600; xdr_permyriad_per_icp = 1_000_000 };
  /// Blocks up to this one are too old to be notified.
  var lastPurged : ?Nat64 = null;
  var turn = 0;
  let subnets = Subnets.empty();
  let outcomes = Map.empty<Nat64, Outcome>();
  var initialised = false;

  // ── Payments ──────────────────────────────────────────────────────────────────────────────────────

  public shared func notify_top_up(args : Types.NotifyTopUpArg) : async Types.NotifyTopUpResult {
    let payment = switch (await* claim(args.block_index, args.canister_id, memoTopUp)) {
      case (#fresh payment) payment;
      case (#known(#toppedUp result)) return result;
      case (#known outcome) return #Err(otherUse(outcome));
      case (#err error) return #Err error;
    };
    let cycles = cyclesFor(payment.amount);
    let result : Types.NotifyTopUpResult = try {
      await (with cycles) management().deposit_cycles({ canister_id = args.canister_id });
      await* burn(payment, payment.amount, memoTopUp);
      #Ok cycles;
    } catch (error) #Err(await* refund(payment, topUpRefundFee, Error.message(error)));
    settle(args.block_index, #toppedUp result);
    result;
  };

  public shared ({ caller }) func notify_create_canister(args : Types.NotifyCreateCanisterArg) : async Types.NotifyCreateCanisterResult {
    if (caller != args.controller and caller != nnsDapp) {
      let error_message = Principal.toText(caller) # " is not authorized to call notify_create_canister on behalf of " # Principal.toText(args.controller);
      return #Err(#Other { error_code = unauthorized; error_message });
    };
    let candidates = switch (Subnets.eligible(subnets, args.controller, args.subnet_type, args.subnet_selection)) {
      case (#ok found) found;
      case (#err error_message) return #Err(#Other { error_code = badSubnetSelection; error_message });
    };
    let payment = switch (await* claim(args.block_index, args.controller, memoCreate)) {
      case (#fresh payment) payment;
      case (#known(#created result)) return result;
      case (#known outcome) return #Err(otherUse(outcome));
      case (#err error) return #Err error;
    };
    let result : Types.NotifyCreateCanisterResult = switch (await* createOn(candidates, args.controller, args.settings, cyclesFor(payment.amount))) {
      case (#ok canister) {
        await* burn(payment, payment.amount, memoCreate);
        #Ok canister;
      };
      case (#err reason) #Err(await* refund(payment, createRefundFee, reason));
    };
    settle(args.block_index, #created result);
    result;
  };

  public shared ({ caller }) func notify_mint_cycles(args : Types.NotifyMintCyclesArg) : async Types.NotifyMintCyclesResult {
    switch (args.deposit_memo) {
      case (?memo) if (memo.size() > memoBytesMax) {
        let error_message = "Memo is too long: " # debug_show memo.size() # " bytes, at most " # debug_show memoBytesMax;
        return #Err(#Other { error_code = depositMemoTooLong; error_message });
      };
      case null {};
    };
    let to = { owner = caller; subaccount = args.to_subaccount };
    ignore Account.subaccountBytes(to.subaccount);
    let payment = switch (await* claim(args.block_index, caller, memoMint)) {
      case (#fresh payment) payment;
      case (#known(#minted result)) return result;
      case (#known outcome) return #Err(otherUse(outcome));
      case (#err error) return #Err error;
    };
    let cycles = cyclesFor(payment.amount);
    let result : Types.NotifyMintCyclesResult = try {
      let deposit = await (with cycles) cyclesLedger().deposit({ to; memo = args.deposit_memo });
      await* burn(payment, payment.amount, memoMint);
      #Ok { block_index = deposit.block_index; minted = cycles; balance = deposit.balance };
    } catch (error) #Err(await* refund(payment, mintRefundFee, Error.message(error)));
    settle(args.block_index, #minted result);
    result;
  };

  // ── Creation with attached cycles ─────────────────────────────────────────────────────────────────

  public shared ({ caller }) func create_canister(args : Types.CreateCanisterArg) : async Types.CreateCanisterResult {
    let attached = Cycles.available();
    if (attached < minimumCreationCycles) {
      return #Err(#Refunded { refund_amount = attached; create_error = "Insufficient cycles attached." });
    };
    let candidates = switch (Subnets.eligible(subnets, caller, args.subnet_type, args.subnet_selection)) {
      case (#ok found) found;
      case (#err create_error) return #Err(#Refunded { refund_amount = attached; create_error });
    };
    // Paid from our own balance first: what is not accepted returns to the caller without another call.
    switch (await* createOn(candidates, caller, args.settings, attached)) {
      case (#ok canister) {
        ignore Cycles.accept<system>(attached);
        #Ok canister;
      };
      case (#err create_error) {
        let penalty = Cycles.accept<system>(badRequestPenalty);
        #Err(#Refunded { refund_amount = attached - penalty; create_error });
      };
    };
  };

  // ── Rates and subnets ─────────────────────────────────────────────────────────────────────────────

  public query func get_icp_xdr_conversion_rate() : async Types.IcpXdrConversionRateResponse {
    {
      data = rate;
      hash_tree = HashTree.encode(rateTree());
      certificate = switch (CertifiedData.getCertificate()) {
        case (?certificate) certificate;
        case null "";
      };
    };
  };

  public query func get_default_subnets() : async [Principal] { subnets.defaults };

  public query func get_subnet_types_to_subnets() : async Types.SubnetTypesToSubnetsResponse {
    { data = Subnets.typeList(subnets) };
  };

  public query func get_principals_authorized_to_create_canisters_to_subnets() : async Types.PrincipalsAuthorizedToCreateCanistersToSubnetsResponse {
    { data = Subnets.authorizedList(subnets) };
  };

  public query func get_build_metadata() : async Text { "Orrery cycles-minting canister in Motoko" };

  public shared ({ caller }) func set_authorized_subnetwork_list(args : Types.SetAuthorizedSubnetworkListArgs) : async () {
    onlyGovernance(caller);
    Subnets.authorize(subnets, args);
  };

  public shared ({ caller }) func update_subnet_type(args : Types.UpdateSubnetTypeArgs) : async () {
    onlyGovernance(caller);
    orTrap(Subnets.updateType(subnets, args));
  };

  public shared ({ caller }) func change_subnet_type_assignment(args : Types.ChangeSubnetTypeAssignmentArgs) : async () {
    onlyGovernance(caller);
    orTrap(Subnets.assign(subnets, args));
  };

  // ── Claiming a payment ────────────────────────────────────────────────────────────────────────────

  // Reads the block and takes it for this caller: `fresh` is given once for a block until `settle`.
  func claim(index : Nat64, beneficiary : Principal, intent : Nat64) : async* {
    #fresh : Payment;
    #known : Outcome;
    #err : Types.NotifyError;
  } {
    switch (lastPurged) {
      case (?last) if (index <= last) return #err(#TransactionTooOld(last + 1));
      case null {};
    };
    switch (Map.get(outcomes, Nat64.compare, index)) {
      case (?outcome) return #known outcome;
      case null {};
    };
    let block = try {
      let reply = await ledger().query_blocks({ start = index; length = 1 });
      if (reply.blocks.size() != 1) {
        let error_message = "Block " # debug_show index # " not found: the ledger has " # debug_show reply.chain_length # " blocks";
        return #err(#Other { error_code = failedToFetchBlock; error_message });
      };
      reply.blocks[0];
    } catch (error) {
      let error_message = "Failed to fetch block " # debug_show index # ": " # Error.message(error);
      return #err(#Other { error_code = failedToFetchBlock; error_message });
    };
    // Another notification of the same block may have come first while the ledger answered.
    switch (Map.get(outcomes, Nat64.compare, index)) {
      case (?outcome) return #known outcome;
      case null {};
    };
    let (from, to, amount) = switch (block.transaction.operation) {
      case (?#Transfer t) (t.from, t.to, t.amount.e8s);
      case _ return #err(#InvalidTransaction "Notification transaction must be of type Transfer");
    };
    let subaccount = Account.subaccountOf(beneficiary);
    let expected = Account.identifier({ owner = Principal.fromActor(self); subaccount = ?subaccount });
    if (to != expected) {
      return #err(#InvalidTransaction("Destination account in the block (" # Bytes.toHex(to) # ") is not the one of the notification (" # Bytes.toHex(expected) # ")"));
    };
    let payment = { from; amount; subaccount };
    let memo = memoOf(block);
    if (memo == intent) {
      record(index, #processing);
      return #fresh payment;
    };
    if (memo == memoCreate or memo == memoTopUp or memo == memoMint) {
      return #err(#InvalidTransaction("Intent in the block (" # debug_show memo # ") is not the one of the notification (" # debug_show intent # ")"));
    };
    record(index, #processing);
    let reason = "Memo (" # debug_show memo # ") in the incoming ICP transfer does not correspond to any of the operations that the Cycles Minting canister offers.";
    let error = await* refund(payment, 0, reason);
    settle(index, #returned error);
    #err error;
  };

  // A memo of eight bytes in the newer field counts when the older one is zero.
  func memoOf(block : Types.Block) : Nat64 {
    if (block.transaction.memo != 0) return block.transaction.memo;
    switch (block.transaction.icrc1_memo) {
      case (?bytes) if (bytes.size() == 8) {
        var value : Nat64 = 0;
        var shift : Nat64 = 0;
        for (byte in bytes.vals()) {
          value |= Nat64.fromNat(Nat8.toNat(byte)) << shift;
          shift += 8;
        };
        value;
      } else 0;
      case null 0;
    };
  };

  func record(index : Nat64, outcome : Outcome) {
    Map.add(outcomes, Nat64.compare, index, outcome);
    while (Map.size(outcomes) > outcomesKept) {
      switch (Map.minEntry(outcomes)) {
        case (?(oldest, _)) {
          Map.remove(outcomes, Nat64.compare, oldest);
          lastPurged := ?oldest;
        };
        case null {};
      };
    };
  };

  // A refund that did not happen leaves the block to be notified again.
  func settle(index : Nat64, outcome : Outcome) {
    let retry = switch (outcome) {
      case (#toppedUp(#Err(#Other _)) or #created(#Err(#Other _)) or #minted(#Err(#Other _)) or #returned(#Other _)) true;
      case _ false;
    };
    if (retry) Map.remove(outcomes, Nat64.compare, index) else record(index, outcome);
  };

  func otherUse(outcome : Outcome) : Types.NotifyError = switch (outcome) {
    case (#processing) #Processing;
    case (#returned error) error;
    case (#toppedUp _) #InvalidTransaction "The same payment was already processed as a top up request.";
    case (#created _) #InvalidTransaction "The same payment was already processed as a create canister request.";
    case (#minted _) #InvalidTransaction "The same payment was already processed as a mint cycles request.";
  };

  // ── Paying out ────────────────────────────────────────────────────────────────────────────────────

  // One XDR buys 10^12 cycles: e8s/10^8 × permyriad/10^4 × 10^12.
  func cyclesFor(e8s : Nat64) : Nat = Nat64.toNat(e8s) * Nat64.toNat(rate.xdr_permyriad_per_icp);

  // Tries the subnets in turn, beginning with another one each time.
  func createOn(
    candidates : [Principal],
    controller : Principal,
    settings : ?Types.CanisterSettings,
    cycles : Nat,
  ) : async* { #ok : Principal; #err : Text } {
    let count = candidates.size();
    if (count == 0) return #err "No subnets in which to create a canister.";
    let first = turn;
    turn += 1;
    let complete = withController(settings, controller);
    var failure = "";
    var i = 0;
    while (i < count) {
      let subnet = candidates[(first + i) % count];
      let target : Types.Management = if (ownSubnet == ?subnet) management() else Principal.toActor<Types.Management>(subnet);
      try {
        let created = await (with cycles) target.create_canister({ settings = ?complete; sender_canister_version = null });
        return #ok(created.canister_id);
      } catch (error) failure := "Creating canister in subnet " # Principal.toText(subnet) # " failed: " # Error.message(error);
      i += 1;
    };
    #err failure;
  };

  func withController(settings : ?Types.CanisterSettings, controller : Principal) : Types.CanisterSettings {
    let none : Types.CanisterSettings = {
      controllers = null;
      compute_allocation = null;
      memory_allocation = null;
      freezing_threshold = null;
      reserved_cycles_limit = null;
      log_visibility = null;
      snapshot_visibility = null;
      wasm_memory_limit = null;
      wasm_memory_threshold = null;
      environment_variables = null;
      log_memory_limit = null;
    };
    let chosen = switch (settings) {
      case (?given) given;
      case null none;
    };
    let controllers = if (chosen.controllers == null) ?[controller] else chosen.controllers;
    { chosen with controllers };
  };

  // The payment is already used: a burn that fails is logged, not answered, so that it is not paid twice.
  func burn(payment : Payment, amount : Nat64, memo : Nat64) : async* () {
    try {
      switch (await* transferIcp(payment, mintingAccount, amount, 0, memo)) {
        case (#Ok _) {};
        case (#Err error) Debug.print("burning " # debug_show amount # " e8s failed: " # debug_show error);
      };
    } catch (error) Debug.print("burning " # debug_show amount # " e8s failed: " # Error.message(error));
  };

  // Sends the payment back less `extraFee`, which is burned, and the transfer fee.
  func refund(payment : Payment, extraFee : Nat64, reason : Text) : async* Types.NotifyError {
    if (payment.amount <= extraFee + icpFee) {
      await* burn(payment, payment.amount, 0);
      return #Refunded { reason; block_index = null };
    };
    if (extraFee > 0) await* burn(payment, extraFee, 0);
    try {
      switch (await* transferIcp(payment, payment.from, payment.amount - extraFee - icpFee, icpFee, 0)) {
        case (#Ok index) #Refunded { reason; block_index = ?index };
        case (#Err error) #Other { error_code = refundFailed; error_message = "Refund failed: " # debug_show error };
      };
    } catch (error) #Other { error_code = refundFailed; error_message = "Refund failed: " # Error.message(error) };
  };

  func transferIcp(payment : Payment, to : Blob, amount : Nat64, fee : Nat64, memo : Nat64) : async* {
    #Ok : Types.BlockIndex;
    #Err : Types.IcpTransferError;
  } {
    await ledger().transfer({
      memo;
      amount = { e8s = amount };
      fee = { e8s = fee };
      from_subaccount = ?payment.subaccount;
      to;
      created_at_time = null;
    });
  };

  func ledger() : Types.IcpLedger = Principal.toActor<Types.IcpLedger>(ledgerId);

  func cyclesLedger() : Types.CyclesLedger = Principal.toActor<Types.CyclesLedger>(cyclesLedgerId);

  func management() : Types.Management = actor "aaaaa-aa";

  // ── Rate, governance, installation ────────────────────────────────────────────────────────────────

  func rateTree() : HashTree.HashTree {
    let leaf : HashTree.HashTree = #leaf(to_candid (rate));
    #fork(#labeled(Bytes.utf8("AVERAGE_ICP_XDR_CONVERSION_RATE"), leaf), #labeled(Bytes.utf8("ICP_XDR_CONVERSION_RATE"), leaf));
  };

  func onlyGovernance(caller : Principal) {
    if (caller != governanceId) Runtime.trap("Only the governance canister may call this method, not " # Principal.toText(caller));
  };

  func orTrap(complaint : ?Text) = switch (complaint) {
    case (?text) Runtime.trap(text);
    case null {};
  };

  func initialise(args : Types.CyclesCanisterInitPayload) {
    switch (args.ledger_canister_id) {
      case (?id) ledgerId := id;
      case null {};
    };
    switch (args.cycles_ledger_canister_id) {
      case (?id) cyclesLedgerId := id;
      case null {};
    };
    switch (args.governance_canister_id) {
      case (?id) {
        governanceId := id;
        mintingAccount := Account.identifier({ owner = id; subaccount = null });
      };
      case null {};
    };
    switch (args.minting_account_id) {
      case (?text) switch (Bytes.fromHex(text)) {
        case (?account) mintingAccount := account;
        case null Runtime.trap("minting_account_id is not hexadecimal: " # text);
      };
      case null {};
    };
    lastPurged := args.last_purged_notification;
    ownSubnet := args.own_subnet_id;
    switch (args.default_subnets) {
      case (?list) subnets.defaults := list;
      case null {};
    };
    switch (args.xdr_permyriad_per_icp) {
      case (?permyriad) rate := { timestamp_seconds = Prim.time() / 1_000_000_000; xdr_permyriad_per_icp = permyriad };
      case null {};
    };
  };

  // Runs at installation and at every upgrade, after the definitions it needs.
  if (not initialised) {
    switch (payload) {
      case (?args) initialise(args);
      case null {};
    };
    initialised := true;
  };
  CertifiedData.set(HashTree.hash(rateTree()));
};

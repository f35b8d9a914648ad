/// Balances, allowances, blocks and duplicate detection of the ICP ledger.
/// Invariants: the sum of all balances equals `totalSupply`; block i's parent hash is the hash of block
/// i − 1; a transaction enters `recent` only with the block it made.
import Blob "mo:core/Blob";
import CertifiedData "mo:core/CertifiedData";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Queue "mo:core/Queue";
import Runtime "mo:core/Runtime";
import Block "Block";
import Bytes "../lib/Bytes";

module {
  public let permittedDriftNanos : Nat64 = 60_000_000_000;
  public let maxTokens : Nat64 = 0xffff_ffff_ffff_ffff;
  // Pruning is spread over later transactions, so that no transaction pays for a long backlog.
  let pruneLimit = 100;

  public type Approval = { allowance : Nat64; expiresAt : ?Nat64 };
  /// What an account holds; changed in place, so that a transfer finds each account once.
  public type Account = { var e8s : Nat64 };
  public type State = {
    var minter : Blob;
    var icrc1Minter : ?{ owner : Principal; subaccount : ?Blob };
    var fee : Nat64;
    var windowNanos : Nat64;
    var name : Text;
    var symbol : Text;
    var totalSupply : Nat64;
    var lastHash : ?Blob;
    balances : Map.Map<Blob, Account>;
    approvals : Map.Map<Blob, Approval>;
    blocks : List.List<Block.Block>;
    recent : Map.Map<Blob, Nat>;
    recentOrder : Queue.Queue<(Nat64, Blob)>;
  };

  public type ApplyError = {
    #insufficientFunds : Nat64;
    #insufficientAllowance : Nat64;
    #allowanceChanged : Nat64;
    #expired;
    #tooOld;
    #createdInFuture;
    #duplicate : Nat;
  };
  public type ApplyResult = { #ok : Nat; #err : ApplyError };

  /// A ledger with no accounts and no blocks.
  public func empty() : State = {
    var minter = "" : Blob;
    var icrc1Minter = null;
    var fee = 10_000 : Nat64;
    var windowNanos = 86_400_000_000_000 : Nat64;
    var name = "Internet Computer";
    var symbol = "ICP";
    var totalSupply = 0 : Nat64;
    var lastHash = null : ?Blob;
    balances = Map.empty<Blob, Account>();
    approvals = Map.empty<Blob, Approval>();
    blocks = List.empty<Block.Block>();
    recent = Map.empty<Blob, Nat>();
    recentOrder = Queue.empty<(Nat64, Blob)>();
  };

  public func balance(state : State, account : Blob) : Nat64 = switch (Map.get(state.balances, Blob.compare, account)) {
    case (?account) account.e8s;
    case null 0;
  };

  /// The approval in force at `now`, or one of zero tokens.
  public func approval(state : State, from : Blob, spender : Blob, now : Nat64) : Approval {
    let none : Approval = { allowance = 0; expiresAt = null };
    switch (Map.get(state.approvals, Blob.compare, Bytes.join([from, spender]))) {
      case null none;
      case (?found) switch (found.expiresAt) {
        case (?time) if (time <= now) none else found;
        case null found;
      };
    };
  };

  /// Checks `transaction` against the window, the recent transactions and the accounts, and when all hold
  /// applies it and appends its block. Nothing changes on an error.
  public func apply(state : State, buffer : Block.Buffer, transaction : Block.Transaction, now : Nat64) : ApplyResult {
    prune(state, now);
    var duplicateKey : ?Blob = null;
    switch (transaction.createdAtTime) {
      case (?created) {
        let key = to_candid (transaction);
        duplicateKey := ?key;
        if (Nat64.toNat(created) + Nat64.toNat(state.windowNanos) < Nat64.toNat(now)) return #err(#tooOld);
        if (created > now + permittedDriftNanos) return #err(#createdInFuture);
        switch (Map.get(state.recent, Blob.compare, key)) {
          case (?index) return #err(#duplicate index);
          case null {};
        };
      };
      case null {};
    };
    switch (move(state, transaction.operation, now)) {
      case (?error) return #err error;
      case null {};
    };
    let index = append(state, buffer, transaction, now);
    switch (duplicateKey) {
      case (?key) {
        Map.add(state.recent, Blob.compare, key, index);
        Queue.pushBack(state.recentOrder, (now, key));
      };
      case null {};
    };
    #ok index;
  };

  // All checks of an operation come before its first change.
  func move(state : State, operation : Block.Operation, now : Nat64) : ?ApplyError = switch (operation) {
    case (#mint m) {
      if (m.amount > maxTokens - state.totalSupply) Runtime.trap("total token supply exceeded");
      state.totalSupply += m.amount;
      credit(state, m.to, m.amount);
      null;
    };
    case (#burn b) {
      let delegated = delegatedBy(b.from, b.spender);
      switch (checkAllowance(state, b.from, delegated, Nat64.toNat(b.amount), now)) {
        case (?error) return ?error;
        case null {};
      };
      let payer = find(state, b.from);
      if (payer.e8s < b.amount) return ?#insufficientFunds(payer.e8s);
      useAllowance(state, b.from, delegated, b.amount);
      debit(state, b.from, payer, b.amount);
      state.totalSupply -= b.amount;
      null;
    };
    case (#transfer t) {
      let delegated = delegatedBy(t.from, t.spender);
      let cost = Nat64.toNat(t.amount) + Nat64.toNat(t.fee);
      switch (checkAllowance(state, t.from, delegated, cost, now)) {
        case (?error) return ?error;
        case null {};
      };
      let payer = find(state, t.from);
      if (Nat64.toNat(payer.e8s) < cost) return ?#insufficientFunds(payer.e8s);
      useAllowance(state, t.from, delegated, t.amount + t.fee);
      debit(state, t.from, payer, t.amount + t.fee);
      credit(state, t.to, t.amount);
      state.totalSupply -= t.fee;
      null;
    };
    case (#approve a) {
      let payer = find(state, a.from);
      if (payer.e8s < a.fee) return ?#insufficientFunds(payer.e8s);
      switch (a.expiresAt) {
        case (?time) if (time <= now) return ?#expired;
        case null {};
      };
      let current = approval(state, a.from, a.spender, now).allowance;
      switch (a.expectedAllowance) {
        case (?expected) if (expected != current) return ?(#allowanceChanged current);
        case null {};
      };
      debit(state, a.from, payer, a.fee);
      state.totalSupply -= a.fee;
      setApproval(state, a.from, a.spender, { allowance = a.allowance; expiresAt = a.expiresAt });
      null;
    };
  };

  // An owner who spends from the own account needs no allowance.
  func delegatedBy(from : Blob, spender : ?Blob) : ?Blob = switch (spender) {
    case (?account) if (account == from) null else ?account;
    case null null;
  };

  func checkAllowance(state : State, from : Blob, spender : ?Blob, cost : Nat, now : Nat64) : ?ApplyError = switch (spender) {
    case null null;
    case (?account) {
      let allowed = approval(state, from, account, now).allowance;
      if (Nat64.toNat(allowed) < cost) ?(#insufficientAllowance allowed) else null;
    };
  };

  // An account that is not in the map holds nothing.
  func find(state : State, account : Blob) : Account = switch (Map.get(state.balances, Blob.compare, account)) {
    case (?found) found;
    case null { { var e8s = 0 : Nat64 } };
  };

  func useAllowance(state : State, from : Blob, spender : ?Blob, amount : Nat64) = switch (spender) {
    case null {};
    case (?account) switch (Map.get(state.approvals, Blob.compare, Bytes.join([from, account]))) {
      case null {};
      case (?found) setApproval(state, from, account, { found with allowance = found.allowance - amount });
    };
  };

  func setApproval(state : State, from : Blob, spender : Blob, value : Approval) {
    let key = Bytes.join([from, spender]);
    if (value.allowance == 0) Map.remove(state.approvals, Blob.compare, key) else Map.add(state.approvals, Blob.compare, key, value);
  };

  func credit(state : State, account : Blob, amount : Nat64) {
    if (amount == 0) return;
    switch (Map.get(state.balances, Blob.compare, account)) {
      case (?found) found.e8s += amount;
      case null Map.add(state.balances, Blob.compare, account, { var e8s = amount });
    };
  };

  // Accounts that hold nothing leave the map.
  func debit(state : State, account : Blob, payer : Account, amount : Nat64) {
    payer.e8s -= amount;
    if (payer.e8s == 0) Map.remove(state.balances, Blob.compare, account);
  };

  func append(state : State, buffer : Block.Buffer, transaction : Block.Transaction, now : Nat64) : Nat {
    let block : Block.Block = { parentHash = state.lastHash; transaction; timestamp = now };
    List.add(state.blocks, block);
    let hash = Block.hash(buffer, block);
    state.lastHash := ?hash;
    CertifiedData.set(hash);
    List.size(state.blocks) - 1;
  };

  func prune(state : State, now : Nat64) {
    var left = pruneLimit;
    while (left > 0) {
      switch (Queue.peekFront(state.recentOrder)) {
        case null return;
        case (?(time, key)) {
          if (Nat64.toNat(time) + Nat64.toNat(state.windowNanos) + Nat64.toNat(permittedDriftNanos) >= Nat64.toNat(now)) return;
          ignore Queue.popFront(state.recentOrder);
          Map.remove(state.recent, Blob.compare, key);
        };
      };
      left -= 1;
    };
  };
};

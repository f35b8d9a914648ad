/// Balances, allowances, blocks and duplicate detection of the cycles ledger.
/// Invariants: the sum of all balances equals `totalSupply` and never exceeds the canister's own cycles;
/// block i's parent hash is the hash of block i − 1; nothing changes when a check fails.
import Blob "mo:core/Blob";
import CertifiedData "mo:core/CertifiedData";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Queue "mo:core/Queue";
import Runtime "mo:core/Runtime";
import Account "../lib/Account";
import Block "Block";
import Bytes "../lib/Bytes";
import HashTree "../lib/HashTree";

module {
  public let fee : Nat = 100_000_000;
  public let windowNanos : Nat64 = 86_400_000_000_000;
  public let permittedDriftNanos : Nat64 = 60_000_000_000;
  public let memoBytesMax = 32;
  // Cycles are 128-bit numbers.
  public let maxAmount : Nat = 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_ffff;
  // Pruning is spread over later transactions, so that no transaction pays for a long backlog.
  let pruneLimit = 100;

  public type Approval = {
    from : Account.Account;
    spender : Account.Account;
    amount : Nat;
    expiresAt : ?Nat64;
  };
  public type Recent = { index : Nat; canister : ?Principal };
  public type State = {
    var totalSupply : Nat;
    var lastHash : ?Blob;
    var maxBlocksPerRequest : Nat;
    var indexId : ?Principal;
    balances : Map.Map<Blob, Nat>;
    approvals : Map.Map<Blob, Approval>;
    blocks : List.List<Block.Block>;
    recent : Map.Map<Blob, Recent>;
    recentOrder : Queue.Queue<(Nat64, Blob)>;
  };
  public type TimeError = { #tooOld; #createdInFuture };

  /// A ledger with no accounts and no blocks.
  public func empty() : State = {
    var totalSupply = 0;
    var lastHash = null : ?Blob;
    var maxBlocksPerRequest = 100;
    var indexId = null;
    balances = Map.empty<Blob, Nat>();
    approvals = Map.empty<Blob, Approval>();
    blocks = List.empty<Block.Block>();
    recent = Map.empty<Blob, Recent>();
    recentOrder = Queue.empty<(Nat64, Blob)>();
  };

  public func balance(state : State, account : Account.Account) : Nat = switch (Map.get(state.balances, Blob.compare, Account.key(account))) {
    case (?amount) amount;
    case null 0;
  };

  public func credit(state : State, account : Account.Account, amount : Nat) {
    if (amount == 0) return;
    if (state.totalSupply + amount > maxAmount) Runtime.trap("total supply exceeds 128 bits");
    Map.add(state.balances, Blob.compare, Account.key(account), balance(state, account) + amount);
    state.totalSupply += amount;
  };

  /// Takes `amount` from an account that was checked to have it.
  public func debit(state : State, account : Account.Account, amount : Nat) {
    let available = balance(state, account);
    if (available < amount) Runtime.trap("debit exceeds the balance");
    let left = available - amount : Nat;
    let key = Account.key(account);
    if (left == 0) Map.remove(state.balances, Blob.compare, key) else Map.add(state.balances, Blob.compare, key, left);
    state.totalSupply -= amount;
  };

  /// The amount `spender` may take from `from` at `now`, fees included, and until when.
  public func approval(state : State, from : Account.Account, spender : Account.Account, now : Nat64) : {
    amount : Nat;
    expiresAt : ?Nat64;
  } {
    switch (Map.get(state.approvals, Blob.compare, approvalKey(from, spender))) {
      case (?found) switch (found.expiresAt) {
        case (?time) if (time > now) return { amount = found.amount; expiresAt = ?time };
        case null return { amount = found.amount; expiresAt = null };
      };
      case null {};
    };
    { amount = 0; expiresAt = null };
  };

  /// True when there is an approval but its time is over.
  public func approvalExpired(state : State, from : Account.Account, spender : Account.Account, now : Nat64) : Bool = switch (
    Map.get(state.approvals, Blob.compare, approvalKey(from, spender))
  ) {
    case (?{ expiresAt = ?time }) time <= now;
    case _ false;
  };

  /// Replaces the approval; zero removes it.
  public func approve(state : State, approval : Approval) {
    let key = approvalKey(approval.from, approval.spender);
    if (approval.amount == 0) Map.remove(state.approvals, Blob.compare, key) else Map.add(state.approvals, Blob.compare, key, approval);
  };

  /// Uses up `amount` of an approval that was checked to cover it.
  public func useApproval(state : State, from : Account.Account, spender : Account.Account, amount : Nat) = switch (
    Map.get(state.approvals, Blob.compare, approvalKey(from, spender))
  ) {
    case (?found) {
      if (found.amount < amount) Runtime.trap("the allowance is used up");
      approve(state, { found with amount = found.amount - amount : Nat });
    };
    case null Runtime.trap("there is no allowance");
  };

  public func approvalKey(from : Account.Account, spender : Account.Account) : Blob = Bytes.join([Account.key(from), Account.key(spender)]);

  /// What is known of an identical transaction within the window.
  public func duplicate(state : State, transaction : Block.Transaction) : ?Recent {
    if (transaction.createdAtTime == null) return null;
    Map.get(state.recent, Blob.compare, to_candid (transaction));
  };

  /// Notes the canister that a recorded transaction created.
  public func recordCanister(state : State, transaction : Block.Transaction, canister : Principal) {
    switch (duplicate(state, transaction)) {
      case (?found) Map.add(state.recent, Blob.compare, to_candid (transaction), { found with canister = ?canister });
      case null {};
    };
  };

  public func checkTime(createdAtTime : ?Nat64, now : Nat64) : ?TimeError = switch (createdAtTime) {
    case null null;
    case (?created) if (Nat64.toNat(created) + Nat64.toNat(windowNanos + permittedDriftNanos) < Nat64.toNat(now)) ?#tooOld else if (
      created > now + permittedDriftNanos
    ) ?#createdInFuture else null;
  };

  /// Appends the block of a transaction whose checks are done; returns its index. Traps on a long memo.
  public func record(state : State, transaction : Block.Transaction, effectiveFee : ?Nat, now : Nat64) : Nat {
    switch (transaction.memo) {
      case (?memo) if (memo.size() > memoBytesMax) Runtime.trap("memo length exceeds the maximum of 32 bytes");
      case null {};
    };
    prune(state, now);
    let block : Block.Block = { transaction; timestamp = now; parentHash = state.lastHash; effectiveFee };
    let index = List.size(state.blocks);
    List.add(state.blocks, block);
    state.lastHash := ?Block.hash(block);
    certify(state);
    if (transaction.createdAtTime != null) {
      let key = to_candid (transaction);
      Map.add(state.recent, Blob.compare, key, { index; canister = null });
      Queue.pushBack(state.recentOrder, (now, key));
    };
    index;
  };

  /// The certified tree (ICRC-3): index and hash of the last block; null while there is none.
  public func tree(state : State) : ?HashTree.HashTree = switch (state.lastHash) {
    case null null;
    case (?hash) ?#fork(
      #labeled(Bytes.utf8("last_block_hash"), #leaf hash),
      #labeled(Bytes.utf8("last_block_index"), #leaf(Bytes.leb128(List.size(state.blocks) - 1 : Nat))),
    );
  };

  func certify(state : State) = switch (tree(state)) {
    case (?present) CertifiedData.set(HashTree.hash(present));
    case null {};
  };

  func prune(state : State, now : Nat64) {
    var left = pruneLimit;
    while (left > 0) {
      switch (Queue.peekFront(state.recentOrder)) {
        case null return;
        case (?(time, key)) {
          // Twice the drift: a transaction may have been created a drift after its block.
          if (time + windowNanos + 2 * permittedDriftNanos >= now) return;
          ignore Queue.popFront(state.recentOrder);
          Map.remove(state.recent, Blob.compare, key);
        };
      };
      left -= 1;
    };
  };
};

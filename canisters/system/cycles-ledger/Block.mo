/// One block of the cycles ledger and its generic form (ICRC-3), whose representation-independent hash
/// chains the blocks.
/// Invariant: maps are emitted in the order of their keys, so that the value and not only its hash is stable.
import Array "mo:core/Array";
import Blob "mo:core/Blob";
import Iter "mo:core/Iter";
import List "mo:core/List";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import Account "../lib/Account";
import Bytes "../lib/Bytes";
import Sha256 "../lib/Sha256";
import Types "Types";

module {
  public type Operation = {
    #mint : { to : Account.Account; amount : Nat; fee : Nat };
    #burn : { from : Account.Account; spender : ?Account.Account; amount : Nat };
    #transfer : {
      from : Account.Account;
      to : Account.Account;
      spender : ?Account.Account;
      amount : Nat;
      fee : ?Nat;
    };
    #approve : {
      from : Account.Account;
      spender : Account.Account;
      amount : Nat;
      expectedAllowance : ?Nat;
      expiresAt : ?Nat64;
      fee : ?Nat;
    };
  };
  public type Transaction = { operation : Operation; createdAtTime : ?Nat64; memo : ?Blob };
  public type Block = {
    transaction : Transaction;
    timestamp : Nat64;
    parentHash : ?Blob;
    /// The fee that was taken, where the transaction does not say it.
    effectiveFee : ?Nat;
  };

  type Field = (Text, Types.Value);

  /// The block as `icrc3_get_blocks` returns it.
  public func toValue(block : Block) : Types.Value {
    let fields = List.empty<Field>();
    addNat(fields, "fee", block.effectiveFee);
    addBlob(fields, "phash", block.parentHash);
    List.add(fields, ("ts", #Nat(Nat64.toNat(block.timestamp))));
    List.add(fields, ("tx", transactionValue(block.transaction)));
    #Map(List.toArray(fields));
  };

  /// The block's hash in the chain.
  public func hash(block : Block) : Blob = hashValue(toValue(block));

  /// The representation-independent hash of a generic value (ICRC-3).
  public func hashValue(value : Types.Value) : Blob = switch (value) {
    case (#Nat n) Sha256.digest(Bytes.leb128(n));
    case (#Nat64 n) Sha256.digest(Bytes.leb128(Nat64.toNat(n)));
    case (#Int _) Runtime.trap("no block has a signed integer");
    case (#Text t) Sha256.digest(Bytes.utf8(t));
    case (#Blob b) Sha256.digest(b);
    case (#Array items) Sha256.digest(Bytes.join(Array.map<Types.Value, Blob>(items, hashValue)));
    case (#Map fields) {
      let pairs = Array.map<Field, Blob>(fields, func((key, item)) = Bytes.join([Sha256.digest(Bytes.utf8(key)), hashValue(item)]));
      Sha256.digest(Bytes.join(Array.sort(pairs, Blob.compare)));
    };
  };

  func transactionValue(transaction : Transaction) : Types.Value {
    let fields = List.empty<Field>();
    addNat64(fields, "ts", transaction.createdAtTime);
    addBlob(fields, "memo", transaction.memo);
    switch (transaction.operation) {
      case (#mint m) {
        addText(fields, "op", "mint");
        addAccount(fields, "to", ?m.to);
        addNat(fields, "amt", ?m.amount);
        addNat(fields, "fee", ?m.fee);
      };
      case (#burn b) {
        addText(fields, "op", "burn");
        addAccount(fields, "from", ?b.from);
        addAccount(fields, "spender", b.spender);
        addNat(fields, "amt", ?b.amount);
      };
      case (#transfer t) {
        addText(fields, "op", "xfer");
        addAccount(fields, "from", ?t.from);
        addAccount(fields, "to", ?t.to);
        addAccount(fields, "spender", t.spender);
        addNat(fields, "amt", ?t.amount);
        addNat(fields, "fee", t.fee);
      };
      case (#approve a) {
        addText(fields, "op", "approve");
        addAccount(fields, "from", ?a.from);
        addAccount(fields, "spender", ?a.spender);
        addNat(fields, "amt", ?a.amount);
        addNat(fields, "expected_allowance", a.expectedAllowance);
        addNat64(fields, "expires_at", a.expiresAt);
        addNat(fields, "fee", a.fee);
      };
    };
    let byName = func(left : Field, right : Field) : { #less; #equal; #greater } = Blob.compare(Bytes.utf8(left.0), Bytes.utf8(right.0));
    #Map(Array.sort(Iter.toArray(List.values(fields)), byName));
  };

  func accountValue(account : Account.Account) : Types.Value {
    let owner : Types.Value = #Blob(Principal.toBlob(account.owner));
    switch (account.subaccount) {
      case (?bytes) #Array([owner, #Blob bytes]);
      case null #Array([owner]);
    };
  };

  func addText(fields : List.List<Field>, name : Text, value : Text) = List.add(fields, (name, #Text value));

  func addNat(fields : List.List<Field>, name : Text, value : ?Nat) = switch (value) {
    case (?present) List.add(fields, (name, #Nat present));
    case null {};
  };

  func addNat64(fields : List.List<Field>, name : Text, value : ?Nat64) = switch (value) {
    case (?present) List.add(fields, (name, #Nat(Nat64.toNat(present))));
    case null {};
  };

  func addBlob(fields : List.List<Field>, name : Text, value : ?Blob) = switch (value) {
    case (?present) List.add(fields, (name, #Blob present));
    case null {};
  };

  func addAccount(fields : List.List<Field>, name : Text, value : ?Account.Account) = switch (value) {
    case (?present) List.add(fields, (name, accountValue(present)));
    case null {};
  };
};

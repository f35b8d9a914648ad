/// One block of the ICP ledger as it is kept, and its two outward forms: the protobuf bytes that are
/// hashed into the chain (messages Block, Transaction, Send, Mint, Burn of the ledger's wire format) and
/// the Candid record that `query_blocks` returns.
/// Invariant: the encoding depends on the block alone, so the hash chain can be recomputed by anyone.
import Nat64 "mo:core/Nat64";
import Bytes "../lib/Bytes";
import Types "Types";

module {
  public type Operation = {
    #mint : { to : Blob; amount : Nat64 };
    #burn : { from : Blob; spender : ?Blob; amount : Nat64 };
    #transfer : { from : Blob; to : Blob; spender : ?Blob; amount : Nat64; fee : Nat64 };
    #approve : {
      from : Blob;
      spender : Blob;
      allowance : Nat64;
      expectedAllowance : ?Nat64;
      expiresAt : ?Nat64;
      fee : Nat64;
    };
  };
  public type Transaction = {
    operation : Operation;
    memo : Nat64;
    icrc1Memo : ?Blob;
    createdAtTime : ?Nat64;
  };
  public type Block = { parentHash : ?Blob; transaction : Transaction; timestamp : Nat64 };

  /// The block in the ledger's protobuf form.
  public func encode(block : Block) : Blob = Bytes.join([
    optionalMessage(1, mapBlob(block.parentHash, func hash = bytesField(1, hash))),
    message(2, varintField(1, block.timestamp)),
    message(3, encodeTransaction(block.transaction)),
  ]);

  /// The block in the form that `query_blocks` returns.
  public func toCandid(block : Block) : Types.Block = {
    parent_hash = block.parentHash;
    timestamp = { timestamp_nanos = block.timestamp };
    transaction = {
      memo = block.transaction.memo;
      icrc1_memo = block.transaction.icrc1Memo;
      created_at_time = {
        timestamp_nanos = switch (block.transaction.createdAtTime) {
          case (?time) time;
          case null 0;
        };
      };
      operation = ?toCandidOperation(block.transaction.operation);
    };
  };

  func toCandidOperation(operation : Operation) : Types.Operation = switch (operation) {
    case (#mint m) #Mint({ to = m.to; amount = { e8s = m.amount } });
    case (#burn b) #Burn({ from = b.from; spender = b.spender; amount = { e8s = b.amount } });
    case (#transfer t) #Transfer({
      from = t.from;
      to = t.to;
      spender = t.spender;
      amount = { e8s = t.amount };
      fee = { e8s = t.fee };
    });
    case (#approve a) #Approve({
      from = a.from;
      spender = a.spender;
      allowance_e8s = Nat64.toNat(a.allowance);
      allowance = { e8s = a.allowance };
      fee = { e8s = a.fee };
      expires_at = switch (a.expiresAt) {
        case (?time) ?{ timestamp_nanos = time };
        case null null;
      };
      expected_allowance = switch (a.expectedAllowance) {
        case (?amount) ?{ e8s = amount };
        case null null;
      };
    });
  };

  // Field numbers 1–3 are the alternatives of one `oneof`, 5 is obsolete.
  func encodeTransaction(transaction : Transaction) : Blob = Bytes.join([
    encodeOperation(transaction.operation),
    message(4, varintField(1, transaction.memo)),
    optionalMessage(6, mapNat64(transaction.createdAtTime, func time = varintField(1, time))),
    optionalMessage(7, mapBlob(transaction.icrc1Memo, func memo = bytesField(1, memo))),
  ]);

  func encodeOperation(operation : Operation) : Blob = switch (operation) {
    case (#burn b) message(
      1,
      Bytes.join([account(1, b.from), tokens(3, b.amount), optionalMessage(4, mapBlob(b.spender, func s = bytesField(1, s)))]),
    );
    case (#mint m) message(2, Bytes.join([account(2, m.to), tokens(3, m.amount)]));
    case (#transfer t) message(
      3,
      Bytes.join([
        account(1, t.from),
        account(2, t.to),
        tokens(3, t.amount),
        tokens(4, t.fee),
        optionalMessage(6, mapBlob(t.spender, func spender = account(1, spender))),
      ]),
    );
    case (#approve a) message(
      3,
      Bytes.join([
        account(1, a.from),
        account(2, a.spender),
        tokens(3, 0),
        tokens(4, a.fee),
        message(
          5,
          Bytes.join([
            tokens(1, a.allowance),
            optionalMessage(2, mapNat64(a.expiresAt, func time = varintField(1, time))),
            optionalMessage(3, mapNat64(a.expectedAllowance, func amount = varintField(1, amount))),
          ]),
        ),
      ]),
    );
  };

  func account(number : Nat, identifier : Blob) : Blob = message(number, bytesField(1, identifier));

  func tokens(number : Nat, e8s : Nat64) : Blob = message(number, varintField(1, e8s));

  // Protobuf wire type 2, also for an empty message: presence of a sub-message is information.
  func message(number : Nat, body : Blob) : Blob = Bytes.join([
    Bytes.leb128(number * 8 + 2),
    Bytes.leb128(body.size()),
    body,
  ]);

  func optionalMessage(number : Nat, body : ?Blob) : Blob = switch (body) {
    case (?bytes) message(number, bytes);
    case null "";
  };

  // Scalars equal to their default are left out, as proto3 prescribes.
  func varintField(number : Nat, value : Nat64) : Blob = if (value == 0) "" else Bytes.join([
    Bytes.leb128(number * 8),
    Bytes.leb128(Nat64.toNat(value)),
  ]);

  func bytesField(number : Nat, value : Blob) : Blob = if (value.size() == 0) "" else message(number, value);

  func mapBlob(value : ?Blob, f : Blob -> Blob) : ?Blob = switch (value) {
    case (?present) ?f(present);
    case null null;
  };

  func mapNat64(value : ?Nat64, f : Nat64 -> Blob) : ?Blob = switch (value) {
    case (?present) ?f(present);
    case null null;
  };
};

/// One block of the ICP ledger as it is kept, and its two outward forms: the protobuf bytes that are
/// hashed into the chain (messages Block, Transaction, Send, Mint, Burn of the ledger's wire format) and
/// the Candid record that `query_blocks` returns.
/// Invariant: the encoding depends on the block alone, so the hash chain can be recomputed by anyone.
import Blob "mo:core/Blob";
import Nat64 "mo:core/Nat64";
import Nat8 "mo:core/Nat8";
import VarArray "mo:core/VarArray";
import Bytes "../lib/Bytes";
import Sha256 "../lib/Sha256";
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

  /// Where blocks are encoded, from the end backwards: a message's length is known when it is written.
  public type Buffer = { bytes : [var Nat8]; var at : Nat };

  // Blocks are shorter by far: their longest parts are five byte strings of 32 bytes.
  let blockBytesMax : Nat = 500;

  /// A buffer for any number of blocks, one after the other.
  public func buffer() : Buffer = {
    bytes = VarArray.repeat<Nat8>(0, blockBytesMax + Sha256.paddingMax);
    var at = blockBytesMax;
  };

  /// The block in the ledger's protobuf form.
  public func encode(block : Block) : Blob {
    let out = buffer();
    write(out, block);
    Blob.fromArray(VarArray.sliceToArray(out.bytes, out.at, blockBytesMax));
  };

  /// The SHA-256 of the block's protobuf form, written into `out`.
  public func hash(out : Buffer, block : Block) : Blob {
    write(out, block);
    Sha256.digestRange(out.bytes, out.at, blockBytesMax);
  };

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

  func write(out : Buffer, block : Block) {
    out.at := blockBytesMax;
    writeTransaction(out, block.transaction);
    head(out, 3, blockBytesMax);
    uint64Message(out, 2, block.timestamp);
    switch (block.parentHash) {
      case (?hash) bytesMessage(out, 1, hash);
      case null {};
    };
  };

  // Field numbers 1–3 are the alternatives of one `oneof`, 5 is obsolete.
  func writeTransaction(out : Buffer, transaction : Transaction) {
    switch (transaction.icrc1Memo) {
      case (?memo) bytesMessage(out, 7, memo);
      case null {};
    };
    optionalUint64(out, 6, transaction.createdAtTime);
    uint64Message(out, 4, transaction.memo);
    writeOperation(out, transaction.operation);
  };

  func writeOperation(out : Buffer, operation : Operation) {
    let end = out.at;
    switch (operation) {
      case (#burn b) {
        switch (b.spender) {
          case (?spender) bytesMessage(out, 4, spender);
          case null {};
        };
        uint64Message(out, 3, b.amount);
        bytesMessage(out, 1, b.from);
        head(out, 1, end);
      };
      case (#mint m) {
        uint64Message(out, 3, m.amount);
        bytesMessage(out, 2, m.to);
        head(out, 2, end);
      };
      case (#transfer t) {
        switch (t.spender) {
          case (?spender) {
            bytesMessage(out, 1, spender);
            head(out, 6, end);
          };
          case null {};
        };
        uint64Message(out, 4, t.fee);
        uint64Message(out, 3, t.amount);
        bytesMessage(out, 2, t.to);
        bytesMessage(out, 1, t.from);
        head(out, 3, end);
      };
      case (#approve a) {
        optionalUint64(out, 3, a.expectedAllowance);
        optionalUint64(out, 2, a.expiresAt);
        uint64Message(out, 1, a.allowance);
        head(out, 5, end);
        uint64Message(out, 4, a.fee);
        uint64Message(out, 3, 0);
        bytesMessage(out, 2, a.spender);
        bytesMessage(out, 1, a.from);
        head(out, 3, end);
      };
    };
  };

  // A message whose first field is the byte string; that field is left out when it is empty, as proto3 prescribes.
  func bytesMessage(out : Buffer, number : Nat8, value : Blob) {
    let end = out.at;
    if (value.size() > 0) {
      out.at -= value.size();
      Bytes.put(out.bytes, out.at, value);
      head(out, 1, end);
    };
    head(out, number, end);
  };

  // A message whose first field is the number, left out when it is 0.
  func uint64Message(out : Buffer, number : Nat8, value : Nat64) {
    let end = out.at;
    if (value != 0) {
      varint(out, value);
      byte(out, 0x08);
    };
    head(out, number, end);
  };

  func optionalUint64(out : Buffer, number : Nat8, value : ?Nat64) = switch (value) {
    case (?present) uint64Message(out, number, present);
    case null {};
  };

  // Protobuf wire type 2, also for an empty message: presence of a sub-message is information.
  func head(out : Buffer, number : Nat8, end : Nat) {
    varint(out, Nat64.fromNat(end - out.at));
    byte(out, number * 8 + 2);
  };

  func varint(out : Buffer, value : Nat64) {
    if (value < 128) return byte(out, Nat8.fromNat64(value));
    var groups : Nat64 = 1;
    while (groups < 10 and value >> (groups * 7) != 0) groups += 1;
    groups -= 1;
    byte(out, Nat8.fromNat64(value >> (groups * 7)));
    while (groups > 0) {
      groups -= 1;
      byte(out, Nat8.fromNat64((value >> (groups * 7)) & 0x7f) | 0x80);
    };
  };

  func byte(out : Buffer, value : Nat8) {
    out.at -= 1;
    out.bytes[out.at] := value;
  };
};

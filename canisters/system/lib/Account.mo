/// Accounts of the token standards (ICRC-1) and account identifiers of the ICP ledger:
/// CRC-32 (big endian) followed by SHA-224 of a domain separator, the principal and the subaccount.
import Array "mo:core/Array";
import Blob "mo:core/Blob";
import Nat8 "mo:core/Nat8";
import Prim "mo:⛔";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import Bytes "Bytes";
import Sha256 "Sha256";

module {
  public type Account = { owner : Principal; subaccount : ?Blob };

  /// The subaccount as 32 bytes; absent means all zeros. Traps on any other length.
  public func subaccountBytes(subaccount : ?Blob) : Blob = switch (subaccount) {
    case null Bytes.repeat(0, 32);
    case (?bytes) {
      if (bytes.size() != 32) Runtime.trap("a subaccount must be 32 bytes long, got " # debug_show bytes.size());
      bytes;
    };
  };

  /// `account` with an all-zero subaccount written as none, so that equal accounts compare equal.
  public func normalize(account : Account) : Account {
    let bytes = subaccountBytes(account.subaccount);
    { owner = account.owner; subaccount = if (bytes == Bytes.repeat(0, 32)) null else ?bytes };
  };

  /// A byte string that is the same exactly for equal accounts.
  public func key(account : Account) : Blob {
    let owner = Principal.toBlob(account.owner);
    Bytes.join([Bytes.byte(Nat8.fromNat(owner.size())), owner, subaccountBytes(account.subaccount)]);
  };

  /// The 32-byte account identifier.
  public func identifier(account : Account) : Blob {
    let digest = Sha256.digest224(
      Bytes.join(["\0Aaccount-id", Principal.toBlob(account.owner), subaccountBytes(account.subaccount)])
    );
    // Blob.hash is CRC-32.
    let (a, b, c, d) = Prim.explodeNat32(Blob.hash(digest));
    Bytes.join([Blob.fromArray([a, b, c, d]), digest]);
  };

  /// The subaccount of a canister that stands for `principal`: its length, its bytes, zeros.
  public func subaccountOf(principal : Principal) : Blob {
    let bytes = Blob.toArray(Principal.toBlob(principal));
    Blob.fromArray(
      Array.tabulate<Nat8>(
        32,
        func i = if (i == 0) Nat8.fromNat(bytes.size()) else if (i <= bytes.size()) bytes[i - 1] else 0,
      )
    );
  };
};

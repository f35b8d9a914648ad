/// Accounts of the token standards (ICRC-1) and account identifiers of the ICP ledger:
/// CRC-32 (big endian) followed by SHA-224 of a domain separator, the principal and the subaccount.
import Array "mo:core/Array";
import Blob "mo:core/Blob";
import Nat8 "mo:core/Nat8";
import Prim "mo:⛔";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import VarArray "mo:core/VarArray";
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

  let domain : Blob = "\0Aaccount-id";

  /// The 32-byte account identifier.
  public func identifier(account : Account) : Blob {
    let owner = Principal.toBlob(account.owner);
    let size = domain.size() + owner.size() + 32;
    let bytes = VarArray.repeat<Nat8>(0, size + Sha256.paddingMax);
    Bytes.put(bytes, 0, domain);
    Bytes.put(bytes, domain.size(), owner);
    switch (account.subaccount) {
      case null {};
      case (?subaccount) Bytes.put(bytes, size - 32, subaccountBytes(?subaccount));
    };
    let digest = Sha256.digest224Range(bytes, 0, size);
    // Blob.hash is CRC-32.
    let (a, b, c, d) = Prim.explodeNat32(Blob.hash(digest));
    let out : [var Nat8] = [var a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    Bytes.put(out, 4, digest);
    Blob.fromVarArray(out);
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

/// Byte strings: joining, hexadecimal text, unsigned LEB128.
import Array "mo:core/Array";
import Blob "mo:core/Blob";
import Char "mo:core/Char";
import List "mo:core/List";
import Nat8 "mo:core/Nat8";
import Nat32 "mo:core/Nat32";
import Text "mo:core/Text";
import VarArray "mo:core/VarArray";

module {
  /// The concatenation of `parts`.
  public func join(parts : [Blob]) : Blob {
    var size = 0;
    for (part in parts.vals()) size += part.size();
    let out = VarArray.repeat<Nat8>(0, size);
    var at = 0;
    for (part in parts.vals()) {
      put(out, at, part);
      at += part.size();
    };
    Blob.fromVarArray(out);
  };

  /// Writes `bytes` into `out` from `at` on.
  public func put(out : [var Nat8], at : Nat, bytes : Blob) {
    let size = bytes.size();
    var i = 0;
    while (i < size) {
      out[at + i] := bytes[i];
      i += 1;
    };
  };

  /// A blob of one byte.
  public func byte(value : Nat8) : Blob = Blob.fromArray([value]);

  /// UTF-8 bytes of `text`.
  public func utf8(text : Text) : Blob = Text.encodeUtf8(text);

  /// `value` in unsigned LEB128, shortest form.
  public func leb128(value : Nat) : Blob {
    if (value < 128) return byte(Nat8.fromNat(value));
    var size = 1;
    var rest = value;
    while (rest >= 128) {
      rest /= 128;
      size += 1;
    };
    let out = VarArray.repeat<Nat8>(0, size);
    rest := value;
    var at = 0;
    while (rest >= 128) {
      out[at] := Nat8.fromNat(rest % 128 + 128);
      rest /= 128;
      at += 1;
    };
    out[at] := Nat8.fromNat(rest);
    Blob.fromVarArray(out);
  };

  /// Lower-case hexadecimal text of `bytes`.
  public func toHex(bytes : Blob) : Text {
    let digits = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];
    var text = "";
    for (value in bytes.vals()) {
      text #= digits[Nat8.toNat(value / 16)] # digits[Nat8.toNat(value % 16)];
    };
    text;
  };

  /// The bytes that hexadecimal `text` stands for, or null when it is not an even number of hex digits.
  public func fromHex(text : Text) : ?Blob {
    let out = List.empty<Nat8>();
    var high : ?Nat8 = null;
    for (char in text.chars()) {
      let digit = switch (hexDigit(char)) {
        case (?value) value;
        case null return null;
      };
      switch (high) {
        case null high := ?digit;
        case (?first) {
          List.add(out, first * 16 + digit);
          high := null;
        };
      };
    };
    if (high != null) return null;
    ?Blob.fromArray(List.toArray(out));
  };

  /// Bytes `from` to `to` (exclusive) of `bytes`.
  public func slice(bytes : Blob, from : Nat, to : Nat) : Blob = Blob.fromArray(Array.sliceToArray(Blob.toArray(bytes), from, to));

  /// A blob of `size` equal bytes.
  public func repeat(value : Nat8, size : Nat) : Blob = Blob.fromArray(Array.repeat<Nat8>(value, size));

  func hexDigit(char : Char) : ?Nat8 {
    let code = Char.toNat32(char);
    let value : Nat32 = if (code >= 48 and code <= 57) code - 48 else if (code >= 97 and code <= 102) code - 87 else if (
      code >= 65 and code <= 70
    ) code - 55 else return null;
    ?Nat8.fromNat32(value);
  };
};

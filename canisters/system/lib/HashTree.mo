/// Hash trees for certified data (interface specification, "Certification"): root hash and CBOR form.
import Blob "mo:core/Blob";
import Nat "mo:core/Nat";
import Nat8 "mo:core/Nat8";
import Bytes "Bytes";
import Sha256 "Sha256";

module {
  public type HashTree = {
    #fork : (HashTree, HashTree);
    #labeled : (Blob, HashTree);
    #leaf : Blob;
  };

  /// The tree's root hash.
  public func hash(tree : HashTree) : Blob = switch (tree) {
    case (#fork(left, right)) Sha256.digest(Bytes.join([domain("ic-hashtree-fork"), hash(left), hash(right)]));
    case (#labeled(name, subtree)) Sha256.digest(Bytes.join([domain("ic-hashtree-labeled"), name, hash(subtree)]));
    case (#leaf(value)) Sha256.digest(Bytes.join([domain("ic-hashtree-leaf"), value]));
  };

  /// The tree in CBOR with the self-describing tag, as clients expect it.
  public func encode(tree : HashTree) : Blob = Bytes.join([Blob.fromArray([0xd9, 0xd9, 0xf7]), encodeNode(tree)]);

  func encodeNode(tree : HashTree) : Blob = switch (tree) {
    case (#fork(left, right)) Bytes.join([Blob.fromArray([0x83, 0x01]), encodeNode(left), encodeNode(right)]);
    case (#labeled(name, subtree)) Bytes.join([Blob.fromArray([0x83, 0x02]), byteString(name), encodeNode(subtree)]);
    case (#leaf(value)) Bytes.join([Blob.fromArray([0x82, 0x03]), byteString(value)]);
  };

  // CBOR major type 2; no value in these trees reaches 64 KiB.
  func byteString(value : Blob) : Blob {
    let size = value.size();
    let head = if (size < 24) Bytes.byte(Nat8.fromNat(0x40 + size)) else if (size < 256) Blob.fromArray([0x58, Nat8.fromNat(size)]) else Blob.fromArray([
      0x59,
      Nat8.fromNat(size / 256),
      Nat8.fromNat(size % 256),
    ]);
    Bytes.join([head, value]);
  };

  func domain(separator : Text) : Blob {
    let bytes = Bytes.utf8(separator);
    Bytes.join([Bytes.byte(Nat8.fromNat(bytes.size())), bytes]);
  };
};

/// SHA-256 and SHA-224 (FIPS 180-4) over a whole blob. The round constants are the first 32 fractional bits of the
/// cube roots of the first 64 primes, the initial state those of the square roots of the first 8.
import Blob "mo:core/Blob";
import Nat8 "mo:core/Nat8";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import VarArray "mo:core/VarArray";

module {
  let roundConstants : [Nat32] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
  ];

  /// The 32-byte digest of `message`.
  public func digest(message : Blob) : Blob = hash(
    message,
    [var 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19],
    8,
  );

  /// The 28-byte SHA-224 digest of `message`; its initial state is bits 33 to 64 of the square roots of the 9th to 16th primes.
  public func digest224(message : Blob) : Blob = hash(
    message,
    [var 0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939, 0xffc00b31, 0x68581511, 0x64f98fa7, 0xbefa4fa4],
    7,
  );

  // The first `words` words of the final state.
  func hash(message : Blob, state : [var Nat32], words : Nat) : Blob {
    let padded = pad(message);
    let schedule = VarArray.repeat<Nat32>(0, 64);
    var offset = 0;
    while (offset < padded.size()) {
      compress(state, schedule, padded, offset);
      offset += 64;
    };
    let out = VarArray.repeat<Nat8>(0, words * 4);
    var i = 0;
    while (i < words) {
      putNat32(out, i * 4, state[i]);
      i += 1;
    };
    Blob.fromVarArray(out);
  };

  // One bit 1, zeros, then the length in bits as 64 big-endian bits; a multiple of 64 bytes in all.
  func pad(message : Blob) : [var Nat8] {
    let length = message.size();
    let out = VarArray.repeat<Nat8>(0, (length + 9 + 63) / 64 * 64);
    var i = 0;
    for (byte in message.vals()) {
      out[i] := byte;
      i += 1;
    };
    out[length] := 0x80;
    let bits = Nat64.fromNat(length) * 8;
    putNat32(out, out.size() - 8, Nat64.toNat32(bits >> 32));
    putNat32(out, out.size() - 4, Nat64.toNat32(bits & 0xffff_ffff));
    out;
  };

  func putNat32(out : [var Nat8], at : Nat, value : Nat32) {
    out[at] := Nat8.fromNat32(value >> 24);
    out[at + 1] := Nat8.fromNat32((value >> 16) & 0xff);
    out[at + 2] := Nat8.fromNat32((value >> 8) & 0xff);
    out[at + 3] := Nat8.fromNat32(value & 0xff);
  };

  func compress(state : [var Nat32], w : [var Nat32], bytes : [var Nat8], offset : Nat) {
    var i = 0;
    while (i < 16) {
      let at = offset + i * 4;
      w[i] := Nat8.toNat32(bytes[at]) << 24 | Nat8.toNat32(bytes[at + 1]) << 16
        | Nat8.toNat32(bytes[at + 2]) << 8 | Nat8.toNat32(bytes[at + 3]);
      i += 1;
    };
    while (i < 64) {
      let x = w[i - 15];
      let y = w[i - 2];
      let s0 = (x <>> 7) ^ (x <>> 18) ^ (x >> 3);
      let s1 = (y <>> 17) ^ (y <>> 19) ^ (y >> 10);
      w[i] := w[i - 16] +% s0 +% w[i - 7] +% s1;
      i += 1;
    };
    var a = state[0];
    var b = state[1];
    var c = state[2];
    var d = state[3];
    var e = state[4];
    var f = state[5];
    var g = state[6];
    var h = state[7];
    i := 0;
    while (i < 64) {
      let s1 = (e <>> 6) ^ (e <>> 11) ^ (e <>> 25);
      let choice = (e & f) ^ ((^e) & g);
      let t1 = h +% s1 +% choice +% roundConstants[i] +% w[i];
      let s0 = (a <>> 2) ^ (a <>> 13) ^ (a <>> 22);
      let majority = (a & b) ^ (a & c) ^ (b & c);
      let t2 = s0 +% majority;
      h := g;
      g := f;
      f := e;
      e := d +% t1;
      d := c;
      c := b;
      b := a;
      a := t1 +% t2;
      i += 1;
    };
    state[0] +%= a;
    state[1] +%= b;
    state[2] +%= c;
    state[3] +%= d;
    state[4] +%= e;
    state[5] +%= f;
    state[6] +%= g;
    state[7] +%= h;
  };
};

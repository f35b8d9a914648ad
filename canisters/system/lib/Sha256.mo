/// SHA-256 and SHA-224 (FIPS 180-4) over a whole blob. The round constants are the first 32 fractional bits of the
/// cube roots of the first 64 primes, the initial state those of the square roots of the first 8.
import Blob "mo:core/Blob";
import Nat8 "mo:core/Nat8";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import VarArray "mo:core/VarArray";
import Bytes "Bytes";

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

  /// One bit 1 and the length in bits, at the least; and zeros to a whole block.
  public let paddingMax : Nat = 72;

  /// The 32-byte digest of `message`.
  public func digest(message : Blob) : Blob {
    let size = message.size();
    let bytes = VarArray.repeat<Nat8>(0, size + paddingMax);
    Bytes.put(bytes, 0, message);
    digestRange(bytes, 0, size);
  };

  /// The 32-byte digest of `bytes[from … to - 1]`; writes up to `paddingMax` bytes behind them.
  public func digestRange(bytes : [var Nat8], from : Nat, to : Nat) : Blob = hash(
    bytes,
    from,
    to,
    [var 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19],
    8,
  );

  /// The 28-byte SHA-224 digest, as `digestRange`; its initial state is bits 33 to 64 of the square roots of the 9th to 16th primes.
  public func digest224Range(bytes : [var Nat8], from : Nat, to : Nat) : Blob = hash(
    bytes,
    from,
    to,
    [var 0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939, 0xffc00b31, 0x68581511, 0x64f98fa7, 0xbefa4fa4],
    7,
  );

  // The first `words` words of the final state.
  func hash(bytes : [var Nat8], from : Nat, to : Nat, state : [var Nat32], words : Nat) : Blob {
    let end = pad(bytes, from, to);
    var offset = from;
    while (offset < end) {
      compress(state, bytes, offset);
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

  // One bit 1, zeros, then the length in bits as 64 big-endian bits; a multiple of 64 bytes in all. Returns their end.
  func pad(bytes : [var Nat8], from : Nat, to : Nat) : Nat {
    let length : Nat = to - from;
    let end = from + (length + paddingMax) / 64 * 64;
    bytes[to] := 0x80;
    var i = to + 1;
    while (i + 8 < end) {
      bytes[i] := 0;
      i += 1;
    };
    let bits = Nat64.fromNat(length) * 8;
    putNat32(bytes, end - 8, Nat64.toNat32(bits >> 32));
    putNat32(bytes, end - 4, Nat64.toNat32(bits & 0xffff_ffff));
    end;
  };

  func putNat32(out : [var Nat8], at : Nat, value : Nat32) {
    let (a, b, c, d) = Nat32.explode(value);
    out[at] := a;
    out[at + 1] := b;
    out[at + 2] := c;
    out[at + 3] := d;
  };

  func word(bytes : [var Nat8], at : Nat) : Nat32 = Nat8.toNat32(bytes[at]) << 24 | Nat8.toNat32(bytes[at + 1]) << 16
    | Nat8.toNat32(bytes[at + 2]) << 8 | Nat8.toNat32(bytes[at + 3]);

  // Sixteen rounds a turn, written out: the schedule's last sixteen words and the state stay in local variables, and the
  // state's letters move on by one each round instead of its values.
  func compress(state : [var Nat32], bytes : [var Nat8], at : Nat) {
    var w0 = word(bytes, at);
    var w1 = word(bytes, at + 4);
    var w2 = word(bytes, at + 8);
    var w3 = word(bytes, at + 12);
    var w4 = word(bytes, at + 16);
    var w5 = word(bytes, at + 20);
    var w6 = word(bytes, at + 24);
    var w7 = word(bytes, at + 28);
    var w8 = word(bytes, at + 32);
    var w9 = word(bytes, at + 36);
    var w10 = word(bytes, at + 40);
    var w11 = word(bytes, at + 44);
    var w12 = word(bytes, at + 48);
    var w13 = word(bytes, at + 52);
    var w14 = word(bytes, at + 56);
    var w15 = word(bytes, at + 60);
    var a = state[0];
    var b = state[1];
    var c = state[2];
    var d = state[3];
    var e = state[4];
    var f = state[5];
    var g = state[6];
    var h = state[7];
    var i = 0;
    loop {
      h +%= ((e <>> 6) ^ (e <>> 11) ^ (e <>> 25)) +% (g ^ (e & (f ^ g))) +% roundConstants[i] +% w0;
      d +%= h;
      h +%= ((a <>> 2) ^ (a <>> 13) ^ (a <>> 22)) +% ((a & b) | (c & (a | b)));
      g +%= ((d <>> 6) ^ (d <>> 11) ^ (d <>> 25)) +% (f ^ (d & (e ^ f))) +% roundConstants[i + 1] +% w1;
      c +%= g;
      g +%= ((h <>> 2) ^ (h <>> 13) ^ (h <>> 22)) +% ((h & a) | (b & (h | a)));
      f +%= ((c <>> 6) ^ (c <>> 11) ^ (c <>> 25)) +% (e ^ (c & (d ^ e))) +% roundConstants[i + 2] +% w2;
      b +%= f;
      f +%= ((g <>> 2) ^ (g <>> 13) ^ (g <>> 22)) +% ((g & h) | (a & (g | h)));
      e +%= ((b <>> 6) ^ (b <>> 11) ^ (b <>> 25)) +% (d ^ (b & (c ^ d))) +% roundConstants[i + 3] +% w3;
      a +%= e;
      e +%= ((f <>> 2) ^ (f <>> 13) ^ (f <>> 22)) +% ((f & g) | (h & (f | g)));
      d +%= ((a <>> 6) ^ (a <>> 11) ^ (a <>> 25)) +% (c ^ (a & (b ^ c))) +% roundConstants[i + 4] +% w4;
      h +%= d;
      d +%= ((e <>> 2) ^ (e <>> 13) ^ (e <>> 22)) +% ((e & f) | (g & (e | f)));
      c +%= ((h <>> 6) ^ (h <>> 11) ^ (h <>> 25)) +% (b ^ (h & (a ^ b))) +% roundConstants[i + 5] +% w5;
      g +%= c;
      c +%= ((d <>> 2) ^ (d <>> 13) ^ (d <>> 22)) +% ((d & e) | (f & (d | e)));
      b +%= ((g <>> 6) ^ (g <>> 11) ^ (g <>> 25)) +% (a ^ (g & (h ^ a))) +% roundConstants[i + 6] +% w6;
      f +%= b;
      b +%= ((c <>> 2) ^ (c <>> 13) ^ (c <>> 22)) +% ((c & d) | (e & (c | d)));
      a +%= ((f <>> 6) ^ (f <>> 11) ^ (f <>> 25)) +% (h ^ (f & (g ^ h))) +% roundConstants[i + 7] +% w7;
      e +%= a;
      a +%= ((b <>> 2) ^ (b <>> 13) ^ (b <>> 22)) +% ((b & c) | (d & (b | c)));
      h +%= ((e <>> 6) ^ (e <>> 11) ^ (e <>> 25)) +% (g ^ (e & (f ^ g))) +% roundConstants[i + 8] +% w8;
      d +%= h;
      h +%= ((a <>> 2) ^ (a <>> 13) ^ (a <>> 22)) +% ((a & b) | (c & (a | b)));
      g +%= ((d <>> 6) ^ (d <>> 11) ^ (d <>> 25)) +% (f ^ (d & (e ^ f))) +% roundConstants[i + 9] +% w9;
      c +%= g;
      g +%= ((h <>> 2) ^ (h <>> 13) ^ (h <>> 22)) +% ((h & a) | (b & (h | a)));
      f +%= ((c <>> 6) ^ (c <>> 11) ^ (c <>> 25)) +% (e ^ (c & (d ^ e))) +% roundConstants[i + 10] +% w10;
      b +%= f;
      f +%= ((g <>> 2) ^ (g <>> 13) ^ (g <>> 22)) +% ((g & h) | (a & (g | h)));
      e +%= ((b <>> 6) ^ (b <>> 11) ^ (b <>> 25)) +% (d ^ (b & (c ^ d))) +% roundConstants[i + 11] +% w11;
      a +%= e;
      e +%= ((f <>> 2) ^ (f <>> 13) ^ (f <>> 22)) +% ((f & g) | (h & (f | g)));
      d +%= ((a <>> 6) ^ (a <>> 11) ^ (a <>> 25)) +% (c ^ (a & (b ^ c))) +% roundConstants[i + 12] +% w12;
      h +%= d;
      d +%= ((e <>> 2) ^ (e <>> 13) ^ (e <>> 22)) +% ((e & f) | (g & (e | f)));
      c +%= ((h <>> 6) ^ (h <>> 11) ^ (h <>> 25)) +% (b ^ (h & (a ^ b))) +% roundConstants[i + 13] +% w13;
      g +%= c;
      c +%= ((d <>> 2) ^ (d <>> 13) ^ (d <>> 22)) +% ((d & e) | (f & (d | e)));
      b +%= ((g <>> 6) ^ (g <>> 11) ^ (g <>> 25)) +% (a ^ (g & (h ^ a))) +% roundConstants[i + 14] +% w14;
      f +%= b;
      b +%= ((c <>> 2) ^ (c <>> 13) ^ (c <>> 22)) +% ((c & d) | (e & (c | d)));
      a +%= ((f <>> 6) ^ (f <>> 11) ^ (f <>> 25)) +% (h ^ (f & (g ^ h))) +% roundConstants[i + 15] +% w15;
      e +%= a;
      a +%= ((b <>> 2) ^ (b <>> 13) ^ (b <>> 22)) +% ((b & c) | (d & (b | c)));
      i += 16;
      if (i == 64) {
        state[0] +%= a;
        state[1] +%= b;
        state[2] +%= c;
        state[3] +%= d;
        state[4] +%= e;
        state[5] +%= f;
        state[6] +%= g;
        state[7] +%= h;
        return;
      };
      w0 +%= ((w1 <>> 7) ^ (w1 <>> 18) ^ (w1 >> 3)) +% w9 +% ((w14 <>> 17) ^ (w14 <>> 19) ^ (w14 >> 10));
      w1 +%= ((w2 <>> 7) ^ (w2 <>> 18) ^ (w2 >> 3)) +% w10 +% ((w15 <>> 17) ^ (w15 <>> 19) ^ (w15 >> 10));
      w2 +%= ((w3 <>> 7) ^ (w3 <>> 18) ^ (w3 >> 3)) +% w11 +% ((w0 <>> 17) ^ (w0 <>> 19) ^ (w0 >> 10));
      w3 +%= ((w4 <>> 7) ^ (w4 <>> 18) ^ (w4 >> 3)) +% w12 +% ((w1 <>> 17) ^ (w1 <>> 19) ^ (w1 >> 10));
      w4 +%= ((w5 <>> 7) ^ (w5 <>> 18) ^ (w5 >> 3)) +% w13 +% ((w2 <>> 17) ^ (w2 <>> 19) ^ (w2 >> 10));
      w5 +%= ((w6 <>> 7) ^ (w6 <>> 18) ^ (w6 >> 3)) +% w14 +% ((w3 <>> 17) ^ (w3 <>> 19) ^ (w3 >> 10));
      w6 +%= ((w7 <>> 7) ^ (w7 <>> 18) ^ (w7 >> 3)) +% w15 +% ((w4 <>> 17) ^ (w4 <>> 19) ^ (w4 >> 10));
      w7 +%= ((w8 <>> 7) ^ (w8 <>> 18) ^ (w8 >> 3)) +% w0 +% ((w5 <>> 17) ^ (w5 <>> 19) ^ (w5 >> 10));
      w8 +%= ((w9 <>> 7) ^ (w9 <>> 18) ^ (w9 >> 3)) +% w1 +% ((w6 <>> 17) ^ (w6 <>> 19) ^ (w6 >> 10));
      w9 +%= ((w10 <>> 7) ^ (w10 <>> 18) ^ (w10 >> 3)) +% w2 +% ((w7 <>> 17) ^ (w7 <>> 19) ^ (w7 >> 10));
      w10 +%= ((w11 <>> 7) ^ (w11 <>> 18) ^ (w11 >> 3)) +% w3 +% ((w8 <>> 17) ^ (w8 <>> 19) ^ (w8 >> 10));
      w11 +%= ((w12 <>> 7) ^ (w12 <>> 18) ^ (w12 >> 3)) +% w4 +% ((w9 <>> 17) ^ (w9 <>> 19) ^ (w9 >> 10));
      w12 +%= ((w13 <>> 7) ^ (w13 <>> 18) ^ (w13 >> 3)) +% w5 +% ((w10 <>> 17) ^ (w10 <>> 19) ^ (w10 >> 10));
      w13 +%= ((w14 <>> 7) ^ (w14 <>> 18) ^ (w14 >> 3)) +% w6 +% ((w11 <>> 17) ^ (w11 <>> 19) ^ (w11 >> 10));
      w14 +%= ((w15 <>> 7) ^ (w15 <>> 18) ^ (w15 >> 3)) +% w7 +% ((w12 <>> 17) ^ (w12 <>> 19) ^ (w12 >> 10));
      w15 +%= ((w0 <>> 7) ^ (w0 <>> 18) ^ (w0 >> 3)) +% w8 +% ((w13 <>> 17) ^ (w13 <>> 19) ^ (w13 >> 10));
    };
  };
};

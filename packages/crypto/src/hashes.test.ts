/** Hash functions against published vectors, and the installation of back ends. */
import assert from "node:assert/strict";
import { createHash, createHmac, hkdfSync } from "node:crypto";
import { after, test } from "node:test";
import { fromHex, toHex, utf8 } from "@orrery/base";
import {
  createSha256,
  domainSep,
  hkdfSha256,
  hmacSha256,
  installSha256Backend,
  installSha256StreamBackend,
  type Sha256Stream,
  sha224,
  sha256,
  sha256Pure,
  sha512,
} from "./hashes.ts";
import { SHORT_MESSAGE_BYTES_MAX, sha256Short } from "./sha256-short.ts";

after(() => installSha256Backend(sha256Pure));

test("SHA-2 of FIPS 180-4's example", () => {
  assert.equal(
    toHex(sha256(utf8("abc"))),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
  assert.equal(toHex(sha224(utf8("abc"))), "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7");
  assert.equal(toHex(sha512(utf8("abc"))), createHash("sha512").update("abc").digest("hex"));
  assert.equal(toHex(sha256(utf8("a"), utf8("bc"))), toHex(sha256(utf8("abc"))));
});

test("short messages hash as the oracle says, however they are cut", () => {
  for (let length = 0; length <= 2 * SHORT_MESSAGE_BYTES_MAX + 1; length++) {
    const data = Uint8Array.from({ length }, (_, i) => (i * 167 + length * 31) & 0xff);
    const expected = toHex(sha256Pure(data));
    assert.equal(toHex(sha256Short([data])), expected);
    const [a, b] = [length % 7, (length * 3) >> 2];
    const parts = [data.subarray(0, a), data.subarray(a, Math.max(a, b)), data.subarray(Math.max(a, b))];
    assert.equal(toHex(sha256Short(parts)), expected);
    assert.equal(toHex(sha256(...parts)), expected);
  }
  assert.equal(toHex(sha256()), toHex(sha256Pure(new Uint8Array(0))));
});

test("HMAC and HKDF agree with the platform's", () => {
  const key = fromHex("0b0b0b0b");
  assert.equal(toHex(hmacSha256(key, utf8("x"))), createHmac("sha256", key).update("x").digest("hex"));
  const platform = new Uint8Array(hkdfSync("sha256", key, utf8("salt"), utf8("info"), 48));
  assert.equal(toHex(hkdfSha256(key, utf8("salt"), utf8("info"), 48)), toHex(platform));
});

test("domain separators carry their length", () => {
  assert.equal(toHex(domainSep("ic-request")), `0a${toHex(utf8("ic-request"))}`);
  assert.equal(toHex(domainSep("ic-request-auth-delegation")).slice(0, 2), "1a");
  assert.throws(() => domainSep("x".repeat(256)), { code: "domain_separator_invalid" });
});

test("a right back end is used, a wrong one is refused and changes nothing", () => {
  let calls = 0;
  installSha256Backend((data) => {
    calls++;
    return new Uint8Array(createHash("sha256").update(data).digest());
  });
  const before = calls;
  const long = new Uint8Array(SHORT_MESSAGE_BYTES_MAX + 1).fill(7);
  assert.equal(toHex(sha256(long)), toHex(sha256Pure(long)));
  assert.equal(calls, before + 1);
  assert.equal(toHex(sha256(utf8("abc"))), toHex(sha256Pure(utf8("abc"))));
  assert.equal(calls, before + 1);
  const wrongAt64 = (data: Uint8Array) => (data.length === 64 ? new Uint8Array(32) : sha256Pure(data));
  assert.throws(() => installSha256Backend(wrongAt64), { code: "sha256_backend_wrong" });
  assert.equal(toHex(sha256(new Uint8Array(64))), toHex(sha256Pure(new Uint8Array(64))));
});

test("data in pieces has the hash of the whole, and a wrong back end is refused", () => {
  const stream = createSha256();
  const pieces = [0, 1, 63, 64, 65, 1_000].map((length) => new Uint8Array(length).fill(length & 0xff));
  for (const piece of pieces) stream.update(piece);
  assert.deepEqual(stream.digest(), sha256(...pieces));
  const wrong = (): Sha256Stream => ({ update(): void {}, digest: () => new Uint8Array(32) });
  assert.throws(() => installSha256StreamBackend(wrong), { code: "sha256_backend_wrong" });
});

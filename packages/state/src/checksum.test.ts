import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { utf8 } from "@orrery/base";
import fc from "fast-check";
import { checksum } from "./checksum.ts";

test("the checksum is CRC-32, in one piece or several", () => {
  assert.equal(checksum(utf8("123456789")), 0xcbf43926);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), fc.nat(70), (bytes, cut) => {
      assert.equal(checksum(bytes), crc32(bytes));
      assert.equal(checksum(bytes.subarray(cut), checksum(bytes.subarray(0, cut))), crc32(bytes));
    }),
  );
});

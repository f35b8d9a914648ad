import assert from "node:assert/strict";
import { test } from "node:test";
import { AssertionError, toHex, utf8 } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { BlobStore } from "./blob-store.ts";

const code = utf8("some module");
const key = toHex(sha256(code));

test("a blob lives as long as somebody refers to it", () => {
  const blobs = new BlobStore();
  assert.equal(blobs.put(code), key);
  assert.equal(blobs.put(code), key);
  assert.deepEqual(blobs.get(key), code);
  assert.equal(blobs.totalBytes, code.length);
  assert.deepEqual(blobs.takeChanges(), [key]);
  blobs.release(key);
  assert.ok(blobs.has(key));
  assert.deepEqual(blobs.takeChanges(), []);
  blobs.retain(key);
  blobs.release(key);
  blobs.release(key);
  assert.ok(!blobs.has(key));
  assert.equal(blobs.totalBytes, 0);
  assert.deepEqual(blobs.takeChanges(), [key]);
  assert.throws(() => blobs.get(key), AssertionError);
  assert.throws(() => blobs.release(key), AssertionError);
});

test("restoring counts references, leaves out what nobody holds, checks what it takes", () => {
  const other = utf8("other");
  const stored = new Map([
    [key, code],
    [toHex(sha256(other)), other],
  ]);
  const blobs = BlobStore.restore(stored, [key, key]);
  assert.deepEqual(blobs.keys(), [key]);
  assert.deepEqual(blobs.takeChanges(), []);
  blobs.release(key);
  assert.ok(blobs.has(key));
  assert.throws(() => BlobStore.restore(stored, ["00".repeat(32)]), { code: "store_corrupt" });
  assert.throws(() => BlobStore.restore(new Map([[key, other]]), [key]), { code: "store_corrupt" });
});

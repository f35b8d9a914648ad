/** What is written is what the general encoder makes of the value, long byte strings among short ones too. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeCborBare } from "@orrery/base";
import { CborWriter } from "./cbor-writer.ts";

const LENGTHS = [0, 65_535, 65_536, 65_537, 3, 200_000, 200_000, 1, 70_000];

test("long byte strings stand where they were written, in a writer that is used again", () => {
  const values = LENGTHS.map((length, i) => new Uint8Array(length).fill(i + 1));
  const writer = new CborWriter();
  for (const count of [values.length, 1, 0, 6, values.length]) {
    const written = values.slice(0, count);
    writer.list(count);
    for (const value of written) writer.bytes(value);
    const bytes = writer.finish();
    assert.deepEqual(bytes, encodeCborBare(written));
    assert.equal(bytes.buffer.byteLength, bytes.length);
  }
});

/** The argument decoder: what other encoders write is read, hostile bytes are refused in time proportional to their length. */
import assert from "node:assert/strict";
import test from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { candidFieldId, concatBytes, utf8 } from "@orrery/base";
import fc from "fast-check";
import {
  decodeRecord,
  optional,
  readBlob,
  readNat,
  readNat64,
  readPrincipal,
  readText,
  readVariant,
  readVec,
  required,
} from "./candid-decode.ts";

const Args = IDL.Record({
  id: IDL.Principal,
  amount: IDL.Opt(IDL.Nat),
  version: IDL.Opt(IDL.Nat64),
  blob: IDL.Vec(IDL.Nat8),
  names: IDL.Vec(IDL.Text),
  mode: IDL.Variant({ on: IDL.Null, off: IDL.Opt(IDL.Bool) }),
  extra: IDL.Record({ nested: IDL.Vec(IDL.Tuple(IDL.Int, IDL.Float64)), call: IDL.Func([], [], ["query"]) }),
});

test("what the SDK encodes is read, fields that are not asked for are skipped", () => {
  const value = {
    id: fc.uint8Array({ maxLength: 29 }),
    amount: fc.option(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n })),
    version: fc.option(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })),
    blob: fc.uint8Array(),
    names: fc.array(fc.string({ unit: "grapheme" })),
    on: fc.boolean(),
  };
  fc.assert(
    fc.property(fc.record(value), ({ id, amount, version, blob, names, on }) => {
      const bytes = IDL.encode(
        [Args],
        [
          {
            id: Principal.fromUint8Array(id),
            amount: amount === null ? [] : [amount],
            version: version === null ? [] : [version],
            blob,
            names,
            mode: on ? { on: null } : { off: [true] },
            extra: { nested: [[-5n, 1.5]], call: [Principal.anonymous(), "x"] },
          },
        ],
      );
      const decoded = decodeRecord(new Uint8Array(bytes), (record) => ({
        id: [...required(record, "id", readPrincipal)],
        amount: optional(record, "amount", readNat),
        version: optional(record, "version", readNat64),
        blob: [...required(record, "blob", readBlob)],
        names: required(record, "names", readVec(readText)),
        on: required(record, "mode", readVariant({ on: () => true, off: () => false })),
        absent: optional(record, "absent", readNat),
      }));
      const expected = { id: [...id], amount, version, blob: [...blob], names, on, absent: null };
      assert.deepEqual(decoded, { ok: true, value: expected });
    }),
  );
});

test("an opt field may be sent plain, null or not at all", () => {
  const read = (type: IDL.Type, value: unknown): unknown => {
    const bytes = new Uint8Array(IDL.encode([IDL.Record({ x: type })], [{ x: value }]));
    const decoded = decodeRecord(bytes, (record) => optional(record, "x", readNat));
    return decoded.ok ? decoded.value : decoded.error;
  };
  assert.equal(read(IDL.Nat, 5n), 5n);
  assert.equal(read(IDL.Opt(IDL.Nat), [5n]), 5n);
  assert.equal(read(IDL.Opt(IDL.Nat), []), null);
  assert.equal(read(IDL.Null, null), null);
  assert.equal(read(IDL.Text, "5"), "field x is not a nat");
});

/** `DIDL`, a type table, one argument of type 0, its bytes. */
function message(table: readonly number[], ...value: readonly Uint8Array[]): Uint8Array {
  return concatBytes(utf8("DIDL"), Uint8Array.from(table), Uint8Array.of(1, 0), ...value);
}

test("bombs are refused at once", () => {
  const id = candidFieldId("x");
  const leb: number[] = [];
  for (let n = id; ; n >>>= 7) {
    leb.push(n < 128 ? n : (n & 127) | 128);
    if (n < 128) break;
  }
  const bombs: [string, Uint8Array][] = [
    // record { x : vec null } with 2^32 - 1 elements.
    ["values", message([2, 0x6c, 1, ...leb, 1, 0x6d, 0x7f], Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f))],
    // type t = record { x : t }: no value exists.
    ["recursion", message([1, 0x6c, 1, ...leb, 0])],
    // record { x : t }, t = opt t, nested as deep as the message is long.
    ["depth", message([2, 0x6c, 1, ...leb, 1, 0x6e, 1], new Uint8Array(1_000_000).fill(1))],
    // A nat of a million bytes.
    ["number", message([1, 0x6c, 1, ...leb, 0x7d], new Uint8Array(1_000_000).fill(0x80))],
    ["table", concatBytes(utf8("DIDL"), Uint8Array.of(0xff, 0xff, 0xff, 0x7f))],
    ["text", message([1, 0x6c, 1, ...leb, 0x71], Uint8Array.of(0xff, 0xff, 0x7f))],
  ];
  for (const [name, bytes] of bombs) {
    const started = performance.now();
    const decoded = decodeRecord(bytes, (record) => record.size);
    assert.equal(decoded.ok, false, name);
    assert.ok(performance.now() - started < 200, name);
  }
});

test("random bytes never throw", () => {
  const valid = new Uint8Array(
    IDL.encode([IDL.Record({ x: IDL.Opt(IDL.Vec(IDL.Text)), y: IDL.Nat })], [{ x: [["a", "b"]], y: 7n }]),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 4 }), (changes) => {
      const bytes = valid.slice();
      for (const [at, byte] of changes) bytes[at] = byte;
      decodeRecord(bytes, (record) => required(record, "y", readNat));
    }),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (tail) => {
      decodeRecord(concatBytes(utf8("DIDL"), tail), (record) => record.size);
    }),
    { numRuns: 2_000 },
  );
});

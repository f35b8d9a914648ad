/** Symbols and their readings as the Rust RFCs and compilers give them, and hostile ones. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { demangle } from "./demangle.ts";

const READINGS: readonly (readonly [string, string])[] = [
  ["_ZN4testE", "test"],
  ["_ZN3ic03ic014stable64_write17h0123456789abcdefE", "ic0::ic0::stable64_write"],
  ["_ZN13test$u20$test4foobE", "test test::foob"],
  ["_ZN35Bar$LT$$u5b$u32$u3b$$u20$4$u5d$$GT$E", "Bar<[u32; 4]>"],
  ["_ZN12test$BP$test4foobE", "test*test::foob"],
  [
    "_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$3barE",
    "<Test + 'static as foo::Bar<Test>>::bar",
  ],
  ["_ZN3foo17h05af221e174051e9E.llvm.9D1C9369", "foo"],
  ["_RNvC6_123foo3bar", "123foo::bar"],
  ["_RNvCs5QKde7ScR4a_7___rustc17rust_begin_unwind", "__rustc::rust_begin_unwind"],
  ["_RNCNCNgCs6DXkGYLi8lr_2cc5spawn00B5_", "cc::spawn::{closure#0}::{closure#0}"],
  ["_RNvXC4coreINtNtB2_5slice4IterhENtB2_8Iterator4next", "<core::slice::Iter<u8> as core::Iterator>::next"],
  ["_RINvC1a1bRehFEuTmEAbj2_E", "a::b::<&str, u8, fn(), (u32,), [bool; 2]>"],
  [
    "_RINbNbCskIICzLVDPPb_5alloc5alloc8box_freeDINbNiB4_5boxed5FnBoxuEp6OutputuEL_ECs1iopQbuBiw2_3std",
    "alloc::alloc::box_free::<dyn alloc::boxed::FnBox<(), Output = ()>>",
  ],
  ["_RMC0INtC8arrayvec8ArrayVechKj7b_E", "<arrayvec::ArrayVec<u8, 123>>"],
  ["canister_update go", "canister_update go"],
  ["_ZN3fooX", "_ZN3fooX"],
  ["_RNvC", "_RNvC"],
];

test("symbols read as their authors wrote them", () => {
  for (const [symbol, reading] of READINGS) assert.equal(demangle(symbol), reading);
});

test("no symbol takes long or fails", () => {
  const nest = `_R${"NvB_".repeat(900)}`;
  assert.equal(demangle(nest), nest);
  const bomb = `_RI${"IB_".repeat(50)}C1aE`;
  assert.equal(typeof demangle(bomb), "string");
  const alphabet = [..."_RZNCMXYIBEsuTDFKLpGQ0123456789abh$."];
  const symbols = fc.array(fc.constantFrom(...alphabet), { maxLength: 60 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.constantFrom("_ZN", "_RN", "_RI", "_RM", ""), symbols, (start, rest) => {
      assert.equal(typeof demangle(start + rest), "string");
    }),
    { numRuns: 3_000 },
  );
});

/** A canister whose heap is as large as is wanted, every page of it written. */
import wabt from "wabt";

const MIB: number = 1024 * 1024;
const WASM_PAGES_PER_MIB = 16;

/** Writes to every 4 KiB page of so many MiB; `touch` to one. */
export async function heapModule(mib: number): Promise<Uint8Array> {
  const wat = `(module
    (import "ic0" "msg_reply" (func $reply))
    (memory ${mib * WASM_PAGES_PER_MIB})
    (func (export "canister_init") (local $at i32)
      (loop $next
        (i32.store (local.get $at) (i32.add (local.get $at) (i32.const 1)))
        (local.set $at (i32.add (local.get $at) (i32.const 4096)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const ${mib * MIB})))))
    (func (export "canister_update touch")
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) (call $reply)))`;
  const module = (await wabt()).parseWat("heap.wat", wat);
  try {
    return Uint8Array.from(module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
}

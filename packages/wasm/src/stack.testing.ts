/** Body of a thread with the stack that a canister thread has: recursion without end in several shapes of frames. */
import { parentPort, workerData } from "node:worker_threads";
import { type CompiledCanister, createEngine, type Form } from "./index.ts";
import { instantiate, run, start } from "./testing.ts";
import { WasmTrap } from "./traps.ts";

const locals = (type: string, n: number): string =>
  `(module (func $f (local ${`${type} `.repeat(n)})
    ${Array.from({ length: n }, (_, i) => `(local.set ${i} (local.get ${(i + 1) % n}))`).join(" ")} (call $f)
    ${Array.from({ length: n }, (_, i) => `(drop (local.get ${i}))`).join(" ")}) (func (export "canister_update go") (call $f)))`;

const SHAPES: Readonly<Record<string, string>> = {
  small: `(module (func $f (call $f) (nop)) (func (export "canister_update go") (call $f)))`,
  value: `(module (func $f (param i32) (result i32) (i32.add (i32.const 1) (call $f (i32.add (local.get 0) (i32.const 1)))))
    (func (export "canister_update go") (drop (call $f (i32.const 0)))))`,
  indirect: `(module (type $t (func)) (table 1 funcref) (elem (i32.const 0) $f) (func $f (call_indirect (type $t) (i32.const 0)) (nop))
    (func (export "canister_update go") (call $f)))`,
  locals: locals("i64", 500),
  vectors: locals("v128", 200),
  parameters: `(module (func $f (param ${"i64 ".repeat(100)}) (call $f ${Array.from({ length: 100 }, (_, i) => `(local.get ${i})`).join("")}) (nop))
    (func (export "canister_update go") (call $f ${"(i64.const 1) ".repeat(100)})))`,
  results: `(module (func $f (result ${"i64 ".repeat(100)}) (call $f))
    (func (export "canister_update go") (call $f) ${"drop ".repeat(100)}))`,
};

function overflow(text: string, form: Form): string[] {
  const instance = start(text, { form });
  const seen = new Set<string>();
  // More than once, so that optimised frames are met as well.
  for (let i = 0; i < 4; i++) {
    const { used, error } = run(instance, "go");
    const { stacks = [] } = instance.takeProfile() ?? {};
    const told = stacks.reduce((sum, { instructions }) => sum + instructions, 0n);
    if (form === "profile" && told !== used) seen.add(`${told} of ${used} told`);
    seen.add(error instanceof WasmTrap ? `${error.kind} ${error.exactCounter}` : String(error));
  }
  return [...seen];
}

const FORMS: readonly Form[] = ["fast", "profile"];

const { posted } = workerData as { posted: CompiledCanister };
const foreign = run(instantiate(createEngine(), posted), "go").used;
parentPort?.postMessage({
  foreign,
  shapes: FORMS.flatMap((form) =>
    Object.entries(SHAPES).map(([name, text]) => [`${name}, ${form}`, ...overflow(text, form)]),
  ),
});

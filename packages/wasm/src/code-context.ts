/** What the rewriter of bodies works with (body.ts), and what its code writers share. */
import type { CounterCode } from "./counter-code.ts";
import type { DecodedModule } from "./decode.ts";
import type { ExtraLocals } from "./extra-locals.ts";
import type { Layout } from "./layout.ts";
import { OP_LOOP } from "./opcodes.ts";
import type { ValueType } from "./types.ts";

/** With the counter in a local; exact at every trap; or that, and telling which functions run (profile-code.ts). */
export type Form = "fast" | "exact" | "profile";

export interface CodeContext {
  readonly layout: Layout;
  readonly locals: ExtraLocals;
  readonly counter: CounterCode;
}

/** What the rewriter needs to know of the module, and what it reports back. */
export interface BodyContext {
  readonly module: DecodedModule;
  readonly layout: Layout;
  readonly form: Form;
  /** Type index of `() -> results`, made on demand; used only for several results. */
  resultType(results: readonly ValueType[]): number;
  /** Functions named by `ref.func` in a body. */
  readonly referenced: Set<number>;
}

/** A block that is open. */
export interface Block {
  readonly op: number;
  /** Operands below it. */
  readonly height: number;
  readonly params: number;
  readonly results: number;
  /** It stands in code that cannot be reached. */
  readonly dead: boolean;
}

/** Operands that a jump to a label takes along. */
export function labelOperands(blocks: readonly Block[], label: number): number {
  const block = blocks[blocks.length - 1 - label] as Block;
  return block.op === OP_LOOP ? block.params : block.results;
}

/** The part of the WebAssembly JavaScript interface that this package uses; present in Node.js, workers and browsers. */
declare namespace WebAssembly {
  type ImportValue = ((...args: never[]) => unknown) | Memory | Table | Global;
  type Imports = Record<string, Record<string, ImportValue>>;
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: Record<string, unknown>;
  }
  class Memory {
    constructor(descriptor: { initial: number | bigint; maximum?: number | bigint; address?: "i32" | "i64" });
    readonly buffer: ArrayBuffer;
    grow(delta: number | bigint): number | bigint;
  }
  class Table {
    readonly length: number | bigint;
    get(index: number | bigint): unknown;
  }
  class Global {
    value: number | bigint;
  }
  class RuntimeError extends Error {}
  class CompileError extends Error {}
  class LinkError extends Error {}
  function validate(bytes: Uint8Array): boolean;
}

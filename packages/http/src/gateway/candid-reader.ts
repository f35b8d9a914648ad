/**
 * Reading of Candid messages that canisters answer with (Candid specification, "Deserialisation"): values are read by readers that
 * coerce as subtyping allows, everything else is skipped. Written for hostile input: work is bounded by the message's length and a
 * number of steps, depth by a constant. A value can be taken out as the bytes it has, to be handed back to the canister as it is.
 */
import {
  concatBytes,
  encodeSleb128,
  PRINCIPAL_BYTES_MAX,
  type Principal,
  CANDID_TYPE as TYPE,
  utf8Decode,
} from "@orrery/base";
import {
  CandidCursor,
  CandidMalformed,
  type CandidTypes,
  type Field,
  readTypes,
  type TableEntry,
} from "./candid-types.ts";

/** Nesting of values; answers of the HTTP interface have six levels, tokens a few more. */
const DEPTH_MAX = 64;
/** Values read or skipped; blobs count as one. Headers are the only lists in an answer. */
const STEPS_MAX = 200_000;

/** Bytes of primitive values of a fixed length, by type code. */
const FIXED_BYTES: Readonly<Record<number, number>> = {
  [TYPE.null]: 0,
  [TYPE.reserved]: 0,
  [TYPE.bool]: 1,
  [TYPE.nat8]: 1,
  [TYPE.int8]: 1,
  [TYPE.nat16]: 2,
  [TYPE.int16]: 2,
  [TYPE.nat32]: 4,
  [TYPE.int32]: 4,
  [TYPE.float32]: 4,
  [TYPE.nat64]: 8,
  [TYPE.int64]: 8,
  [TYPE.float64]: 8,
};

/** The value is not of the type that is expected; inside `opt` that means null. */
export class CandidMismatch extends Error {}

export interface FuncReference {
  readonly canister: Principal;
  readonly method: string;
}

/** Reads fields of a record or the content of a variant's tag; each gets the type that the message gave it. */
export type FieldReaders = Readonly<Record<number, (type: number) => void>>;

export class CandidReader {
  readonly #cursor: CandidCursor;
  readonly #types: CandidTypes;
  #steps = 0;
  #depth = 0;

  /** Reads the types and stops before the first value; `CandidMalformed` when there are none. */
  constructor(bytes: Uint8Array) {
    this.#cursor = new CandidCursor(bytes);
    this.#types = readTypes(this.#cursor);
  }

  /** Types of the arguments. */
  get arguments(): readonly number[] {
    return this.#types.arguments;
  }

  #resolve(type: number): TableEntry | null {
    return type >= 0 ? (this.#types.table[type] as TableEntry) : null;
  }

  #step(): void {
    if (++this.#steps > STEPS_MAX) throw new CandidMalformed(`it has more than ${STEPS_MAX} values`);
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > DEPTH_MAX) throw new CandidMalformed(`it is nested over ${DEPTH_MAX} levels`);
    const value = read();
    this.#depth--;
    return value;
  }

  #skipNumber(): void {
    while (this.#cursor.byte() >= 0x80);
  }

  #skipReference(): void {
    if (this.#cursor.flag()) this.#cursor.take(this.#cursor.length());
  }

  #skipPrimitive(type: number): void {
    const fixed = FIXED_BYTES[type];
    if (fixed !== undefined) this.#cursor.take(fixed);
    else if (type === TYPE.nat || type === TYPE.int) this.#skipNumber();
    else if (type === TYPE.text) this.#cursor.take(this.#cursor.length());
    else if (type === TYPE.principal) this.#skipReference();
    else throw new CandidMalformed("it has a value of the empty type");
  }

  #skipComposite(entry: TableEntry): void {
    switch (entry.kind) {
      case "opt":
        if (this.#cursor.flag()) this.skip(entry.inner);
        return;
      case "vec": {
        const count = this.#cursor.length();
        const fixed = FIXED_BYTES[entry.inner];
        if (fixed !== undefined) this.#cursor.take(fixed * count);
        else for (let i = 0; i < count; i++) this.skip(entry.inner);
        return;
      }
      case "record":
        for (const [, type] of entry.fields) this.skip(type);
        return;
      case "variant":
        this.skip(this.#tag(entry.fields)[1]);
        return;
      case "service":
        this.#skipReference();
        return;
      case "func":
        if (!this.#cursor.flag()) return;
        this.#skipReference();
        this.#cursor.take(this.#cursor.length());
        return;
      default: {
        const length = this.#cursor.length();
        this.#cursor.length();
        this.#cursor.take(length);
      }
    }
  }

  #tag(fields: readonly Field[]): Field {
    const field = fields[this.#cursor.length()];
    if (field === undefined) throw new CandidMalformed("a variant has a tag that its type lacks");
    return field;
  }

  /** Passes over a value. */
  skip(type: number): void {
    this.#step();
    const entry = this.#resolve(type);
    if (entry === null) this.#skipPrimitive(type);
    else this.#nested(() => this.#skipComposite(entry));
  }

  #expect<K extends TableEntry["kind"]>(type: number, kind: K): Extract<TableEntry, { kind: K }> {
    this.#step();
    const entry = this.#resolve(type);
    if (entry?.kind !== kind) throw new CandidMismatch(`expected ${kind}`);
    return entry as Extract<TableEntry, { kind: K }>;
  }

  #expectPrimitive(type: number, expected: keyof typeof TYPE): void {
    this.#step();
    if (type !== TYPE[expected]) throw new CandidMismatch(`expected ${expected}`);
  }

  record(type: number, readers: FieldReaders): void {
    const { fields } = this.#expect(type, "record");
    this.#nested(() => {
      for (const [id, field] of fields) {
        const read = readers[id];
        if (read === undefined) this.skip(field);
        else read(field);
      }
    });
  }

  /** Exactly one of the readers is called; a tag without a reader is a mismatch. */
  variant(type: number, readers: FieldReaders): void {
    const { fields } = this.#expect(type, "variant");
    this.#nested(() => {
      const [id, content] = this.#tag(fields);
      const read = readers[id];
      if (read === undefined) throw new CandidMismatch("an unknown tag");
      read(content);
    });
  }

  isOptional(type: number): boolean {
    return this.#resolve(type)?.kind === "opt";
  }

  /** A value that may be missing. As the specification has it, one of another type is null. */
  optional<T>(type: number, read: (type: number) => T): T | null {
    this.#step();
    const entry = this.#resolve(type);
    if (entry === null && (type === TYPE.null || type === TYPE.reserved)) return null;
    let inner = type;
    if (entry?.kind === "opt") {
      if (!this.#cursor.flag()) return null;
      inner = entry.inner;
    }
    const [at, depth] = [this.#cursor.at, this.#depth];
    try {
      return read(inner);
    } catch (cause) {
      if (!(cause instanceof CandidMismatch)) throw cause;
      [this.#cursor.at, this.#depth] = [at, depth];
      this.skip(inner);
      return null;
    }
  }

  list(type: number, max: number, read: (type: number) => void): void {
    const { inner } = this.#expect(type, "vec");
    const count = this.#cursor.length();
    if (count > max) throw new CandidMalformed(`a list has ${count} entries, over ${max}`);
    this.#nested(() => {
      for (let i = 0; i < count; i++) read(inner);
    });
  }

  blob(type: number): Uint8Array {
    const { inner } = this.#expect(type, "vec");
    if (inner !== TYPE.nat8) throw new CandidMismatch("expected a blob");
    return this.#cursor.take(this.#cursor.length());
  }

  text(type: number): string {
    this.#expectPrimitive(type, "text");
    const text = utf8Decode(this.#cursor.take(this.#cursor.length()));
    if (text === null) throw new CandidMalformed("a text is not UTF-8");
    return text;
  }

  nat16(type: number): number {
    this.#expectPrimitive(type, "nat16");
    const low = this.#cursor.byte();
    return low | (this.#cursor.byte() << 8);
  }

  bool(type: number): boolean {
    this.#expectPrimitive(type, "bool");
    return this.#cursor.flag();
  }

  func(type: number): FuncReference {
    this.#expect(type, "func");
    if (!this.#cursor.flag() || !this.#cursor.flag()) throw new CandidMismatch("an opaque reference");
    const canister = this.#cursor.take(this.#cursor.length());
    if (canister.length > PRINCIPAL_BYTES_MAX) throw new CandidMalformed("a principal has over 29 bytes");
    const method = utf8Decode(this.#cursor.take(this.#cursor.length()));
    if (method === null) throw new CandidMalformed("a method name is not UTF-8");
    return { canister: canister as Principal, method };
  }

  /** A message whose one argument is the value as it stands here, type and all. */
  message(type: number): Uint8Array {
    const start = this.#cursor.at;
    this.skip(type);
    return concatBytes(
      this.#types.prefix,
      Uint8Array.of(1),
      encodeSleb128(type),
      this.#cursor.bytes.subarray(start, this.#cursor.at),
    );
  }

  /** Whether everything was read. */
  get atEnd(): boolean {
    return this.#cursor.at === this.#cursor.bytes.length;
  }
}

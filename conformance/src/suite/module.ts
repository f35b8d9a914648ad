/**
 * Variants of the universal test canister, made from its two committed builds by editing bytes: hooks that cost something on every
 * round or message are off unless asked for, a program for the start function, more custom sections, an upload as gzip.
 */
import { gunzipSync, gzipSync } from "node:zlib";
import { utf8 } from "@orrery/base";
import { universalFixture } from "@orrery/canisters/fixtures";
import { START_MARKER } from "@orrery/canisters/universal";
import wabt from "wabt";
import { join } from "./script.ts";

export interface ModuleOptions {
  readonly width?: 32 | 64;
  readonly heartbeat?: boolean;
  readonly inspect?: boolean;
  /** Program of the start function. */
  readonly start?: Uint8Array;
  /** Custom sections by name. */
  readonly sections?: Readonly<Record<string, Uint8Array | string>>;
}

const raw: Readonly<Record<32 | 64, Uint8Array>> = {
  32: new Uint8Array(gunzipSync(universalFixture(32))),
  64: new Uint8Array(gunzipSync(universalFixture(64))),
};

function find(bytes: Uint8Array, text: string): number {
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(text);
  if (at < 0) throw new Error(`the universal canister has no ${text}`);
  return at;
}

/** Renames an export to one of the same length that the system does not know. */
function disable(bytes: Uint8Array, name: string): void {
  bytes.set(utf8("disabled"), find(bytes, name));
}

export function leb(value: number): Uint8Array {
  const out: number[] = [];
  let rest = value;
  do {
    const byte = rest & 0x7f;
    rest >>>= 7;
    out.push(rest === 0 ? byte : byte | 0x80);
  } while (rest !== 0);
  return Uint8Array.from(out);
}

/** A custom section as it stands in a module. */
export function customSection(name: string | Uint8Array, content: Uint8Array | string): Uint8Array {
  const label = typeof name === "string" ? utf8(name) : name;
  const body = join([leb(label.length), label, typeof content === "string" ? utf8(content) : content]);
  return join([Uint8Array.of(0), leb(body.length), body]);
}

const made = new Map<string, Uint8Array>();

/** The module's bytes. */
export function universalModule(options: ModuleOptions = {}): Uint8Array {
  const key = JSON.stringify(options, (_, value) => (value instanceof Uint8Array ? [...value] : value));
  const known = made.get(key);
  if (known !== undefined) return known;
  const bytes = raw[options.width ?? 32].slice();
  if (options.heartbeat !== true) disable(bytes, "canister_heartbeat");
  if (options.inspect !== true) disable(bytes, "canister_inspect_message");
  if (options.start !== undefined) {
    const at = find(bytes, START_MARKER) + START_MARKER.length;
    new DataView(bytes.buffer).setBigUint64(at, BigInt(options.start.length), true);
    bytes.set(options.start, at + 8);
  }
  const sections = Object.entries(options.sections ?? {}).map(([name, content]) =>
    customSection(name, content),
  );
  const module = join([bytes, ...sections]);
  made.set(key, module);
  return module;
}

export function gzip(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(gzipSync(bytes));
}

let assembler: Promise<Awaited<ReturnType<typeof wabt>>> | null = null;

/** Assembles WebAssembly text, with every proposal that the assembler knows. `names`: with a `name` section. */
export async function assemble(
  text: string,
  options: { readonly names?: boolean } = {},
): Promise<Uint8Array> {
  assembler ??= wabt();
  const toolkit = await assembler;
  const features = {
    exceptions: true,
    threads: true,
    function_references: true,
    tail_call: true,
    memory64: true,
    multi_memory: true,
    extended_const: true,
    relaxed_simd: true,
    gc: true,
    bulk_memory: true,
    simd: true,
  };
  const module = toolkit.parseWat("case.wat", text, features);
  try {
    return new Uint8Array(module.toBinary({ write_debug_names: options.names === true }).buffer);
  } finally {
    module.destroy();
  }
}

/** A module of sections given by their numbers and bodies. */
export function rawModule(
  ...sections: readonly (readonly [number, Uint8Array | readonly number[]])[]
): Uint8Array {
  const header = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  return join([
    header,
    ...sections.map(([id, body]) => join([Uint8Array.of(id), leb(body.length), Uint8Array.from(body)])),
  ]);
}

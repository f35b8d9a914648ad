/**
 * A canister's snapshot in a folder, as `icp`, `dfx` and PocketIC write it: `metadata.json`, a file for each memory and for the module, and one
 * for each chunk of the chunk store. Read here and turned into the calls to the management canister that bring it onto a network: the canister is
 * created under an id of the caller's choice, given the snapshot and put into its state (interface spec, "IC method
 * `upload_canister_snapshot_metadata`" and its neighbours). Who makes the calls, and whether one after another, is up to the caller. The
 * folder holds neither the canister's id nor its settings and cycles.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as SdkPrincipal } from "@icp-sdk/core/principal";
import { canisterIndex, OrreryError, type Principal, principalFromText } from "@orrery/base";

const METADATA_FILE = "metadata.json";
const CHUNKS_FOLDER = "wasm_chunk_store";
const PARTS = ["wasm_module", "wasm_memory", "stable_memory"] as const;
type Part = (typeof PARTS)[number];
/** Fits, with its envelope, into a message. */
const SLICE_BYTES = 1_500_000;
/** Thousands of globals; what is larger is no such file. */
const METADATA_BYTES_MAX = 16_777_216;
const GLOBAL_TYPES: ReadonlySet<string> = new Set(["i32", "i64", "f32", "f64", "v128"]);
const HOOK_STATES: ReadonlySet<string> = new Set(["condition_not_satisfied", "ready", "executed"]);

const Blob = IDL.Vec(IDL.Nat8);
const Creation = IDL.Record({ amount: IDL.Opt(IDL.Nat), specified_id: IDL.Opt(IDL.Principal) });
const WriteMetadata = IDL.Record({
  canister_id: IDL.Principal,
  replace_snapshot: IDL.Opt(Blob),
  wasm_module_size: IDL.Nat64,
  wasm_memory_size: IDL.Nat64,
  stable_memory_size: IDL.Nat64,
  globals: IDL.Vec(
    IDL.Variant({ i32: IDL.Int32, i64: IDL.Int64, f32: IDL.Float32, f64: IDL.Float64, v128: IDL.Nat }),
  ),
  certified_data: Blob,
  global_timer: IDL.Opt(IDL.Variant({ inactive: IDL.Null, active: IDL.Nat64 })),
  on_low_wasm_memory_hook_status: IDL.Opt(
    IDL.Variant({ condition_not_satisfied: IDL.Null, ready: IDL.Null, executed: IDL.Null }),
  ),
});
const One = { canister_id: IDL.Principal, snapshot_id: Blob };
const Offset = IDL.Record({ offset: IDL.Nat64 });
const WriteData = IDL.Record({
  ...One,
  kind: IDL.Variant({
    wasm_module: Offset,
    wasm_memory: Offset,
    stable_memory: Offset,
    wasm_chunk: IDL.Null,
  }),
  chunk: Blob,
});
const Canister = IDL.Record({ canister_id: IDL.Principal });
const Load = IDL.Record({ ...One, sender_canister_version: IDL.Opt(IDL.Nat64) });

/** A call to the management canister, with Candid bytes. */
export interface FolderCall {
  readonly method: string;
  readonly arg: Uint8Array;
}

export interface CanisterFolder {
  /** Of the module, the memories and the chunks. */
  readonly bytes: number;
  /** Creates the canister under this id, with as many cycles; null: as many as networks give by default. */
  creation(id: Principal, cycles: bigint | null): FolderCall;
  /** Begins a snapshot of the canister; its reply tells the snapshot's id. */
  metadata(id: Principal, replaced?: Uint8Array): FolderCall;
  /** What fills it, in any order. */
  data(id: Principal, snapshotId: Uint8Array): Iterable<FolderCall>;
  /** Puts the canister into the snapshot's state, and removes the snapshot. */
  restoration(id: Principal, snapshotId: Uint8Array): readonly FolderCall[];
  /** Takes the canister away again, where something of it failed; refused to one that cannot pay for a message. */
  removal(id: Principal): readonly FolderCall[];
}

function invalid(text: string, cause?: unknown): OrreryError {
  return new OrreryError(
    "snapshot_folder_invalid",
    `${text}; name the folder that "icp canister snapshot download" filled, or download it again`,
    cause === undefined ? {} : { cause },
  );
}

/** The id that a folder is named after, if it is. */
export function idOfFolder(directory: string): Principal | null {
  return canisterIdOf(basename(directory));
}

/** Null when the text is no canister's id. */
export function canisterIdOf(text: string): Principal | null {
  try {
    const id = principalFromText(text);
    return canisterIndex(id) === null ? null : id;
  } catch {
    return null;
  }
}

/** The id that `metadata` was answered with. */
export function snapshotIdOf(reply: Uint8Array): Uint8Array {
  const [{ snapshot_id }] = IDL.decode([IDL.Record({ snapshot_id: Blob })], reply) as unknown as [
    { readonly snapshot_id: Uint8Array },
  ];
  return Uint8Array.from(snapshot_id);
}

interface Told {
  readonly sizes: Readonly<Record<Part, bigint>>;
  readonly globals: readonly object[];
  readonly certifiedData: Uint8Array;
  readonly timer: readonly object[];
  readonly hook: readonly object[];
}

/** Integers come as `bigint`: globals have up to 128 bits. */
function parse(path: string): Readonly<Record<string, unknown>> {
  const reviver = (_: string, value: unknown, context?: { readonly source?: string }): unknown =>
    typeof value === "number" && context?.source !== undefined && /^-?\d+$/.test(context.source)
      ? BigInt(context.source)
      : value;
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"), reviver);
  } catch (error) {
    throw invalid(`${path} is not JSON (${(error as Error).message})`, error);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid(`${path} holds no object`);
  return value as Readonly<Record<string, unknown>>;
}

function listOf(fields: Readonly<Record<string, unknown>>, name: string): readonly unknown[] {
  const value = fields[name] ?? [];
  if (!Array.isArray(value)) throw invalid(`${METADATA_FILE}: ${name} is no list`);
  return value;
}

function globalOf(value: unknown): object {
  const [entry, ...more] = Object.entries((value ?? {}) as object);
  if (entry === undefined || more.length > 0 || !GLOBAL_TYPES.has(entry[0]))
    throw invalid(`${METADATA_FILE}: globals holds ${show(value)}, which is no Wasm value`);
  const [type, bits] = entry as [string, unknown];
  if (type === "f32" || type === "f64") return { [type]: bits === null ? Number.NaN : Number(bits) };
  if (typeof bits !== "bigint") throw invalid(`${METADATA_FILE}: globals holds ${show(value)}`);
  return { [type]: type === "i32" ? Number(bits) : bits };
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === "bigint" ? `${each}` : each)).slice(
    0,
    80,
  );
}

/** A variant as serde writes it: its name where it holds nothing. */
function timerOf(value: unknown): readonly object[] {
  if (value === null || value === undefined) return [];
  if (value === "inactive") return [{ inactive: null }];
  const active: unknown = (value as { readonly active?: unknown }).active;
  if (typeof active !== "bigint") throw invalid(`${METADATA_FILE}: global_timer is ${show(value)}`);
  return [{ active }];
}

function hookOf(value: unknown): readonly object[] {
  if (value === null || value === undefined) return [];
  if (typeof value !== "string" || !HOOK_STATES.has(value))
    throw invalid(`${METADATA_FILE}: on_low_wasm_memory_hook_status is ${show(value)}`);
  return [{ [value]: null }];
}

function fileBytes(path: string): bigint {
  return BigInt(statSync(path, { throwIfNoEntry: false })?.size ?? 0);
}

function read(directory: string): Told {
  const path = join(directory, METADATA_FILE);
  const bytes = fileBytes(path);
  if (bytes === 0n) throw invalid(`${directory} holds no ${METADATA_FILE}`);
  if (bytes > METADATA_BYTES_MAX) throw invalid(`${path} has ${bytes} bytes, more than any such file`);
  const fields = parse(path);
  const sizes = {} as Record<Part, bigint>;
  for (const part of PARTS) {
    const told = fields[`${part}_size`];
    if (typeof told !== "bigint") throw invalid(`${METADATA_FILE}: ${part}_size is ${show(told ?? null)}`);
    const found = fileBytes(join(directory, `${part}.bin`));
    if (found !== told)
      throw invalid(
        `${part}.bin has ${found} bytes, ${METADATA_FILE} says ${told}: the download is not whole`,
      );
    sizes[part] = told;
  }
  const data = listOf(fields, "certified_data").map(Number);
  if (!data.every((byte) => Number.isInteger(byte) && byte >= 0 && byte < 256))
    throw invalid(`${METADATA_FILE}: certified_data holds other things than bytes`);
  return {
    sizes,
    globals: listOf(fields, "globals").map(globalOf),
    certifiedData: Uint8Array.from(data),
    timer: timerOf(fields["global_timer"]),
    hook: hookOf(fields["on_low_wasm_memory_hook_status"]),
  };
}

function chunkFiles(directory: string): readonly string[] {
  const folder = join(directory, CHUNKS_FOLDER);
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(".bin"))
    .sort()
    .map((name) => join(folder, name));
}

function* slices(
  path: string,
  size: bigint,
): Iterable<{ readonly offset: bigint; readonly chunk: Uint8Array }> {
  if (size === 0n) return;
  const file = openSync(path, "r");
  try {
    for (let offset = 0; ; ) {
      const chunk = new Uint8Array(SLICE_BYTES);
      const length = readSync(file, chunk, 0, SLICE_BYTES, offset);
      if (length === 0) return;
      yield { offset: BigInt(offset), chunk: chunk.subarray(0, length) };
      offset += length;
    }
  } finally {
    closeSync(file);
  }
}

function encode(method: string, type: IDL.Type, value: object): FolderCall {
  return { method, arg: new Uint8Array(IDL.encode([type], [value])) };
}

/** Errors: `snapshot_folder_invalid`, before anything is asked of a network. */
export function openCanisterFolder(directory: string): CanisterFolder {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw invalid(`there is no folder ${directory}`);
  const told = read(directory);
  const chunks = chunkFiles(directory);
  const about = (id: Principal): { readonly canister_id: SdkPrincipal } => ({
    canister_id: SdkPrincipal.fromUint8Array(id),
  });
  return {
    bytes: Number(
      [...Object.values(told.sizes), ...chunks.map(fileBytes)].reduce((sum, bytes) => sum + bytes, 0n),
    ),
    creation: (id, cycles) =>
      encode("provisional_create_canister_with_cycles", Creation, {
        amount: cycles === null ? [] : [cycles],
        specified_id: [SdkPrincipal.fromUint8Array(id)],
      }),
    metadata: (id, replaced) =>
      encode("upload_canister_snapshot_metadata", WriteMetadata, {
        ...about(id),
        replace_snapshot: replaced === undefined ? [] : [replaced],
        wasm_module_size: told.sizes.wasm_module,
        wasm_memory_size: told.sizes.wasm_memory,
        stable_memory_size: told.sizes.stable_memory,
        globals: told.globals,
        certified_data: told.certifiedData,
        global_timer: told.timer,
        on_low_wasm_memory_hook_status: told.hook,
      }),
    *data(id, snapshotId) {
      const one = { ...about(id), snapshot_id: snapshotId };
      const write = (kind: object, chunk: Uint8Array): FolderCall =>
        encode("upload_canister_snapshot_data", WriteData, { ...one, kind, chunk });
      for (const part of PARTS) {
        const path = join(directory, `${part}.bin`);
        for (const { offset, chunk } of slices(path, told.sizes[part]))
          yield write({ [part]: { offset } }, chunk);
      }
      for (const path of chunks) yield write({ wasm_chunk: null }, new Uint8Array(readFileSync(path)));
    },
    restoration: (id, snapshotId) => {
      const one = { ...about(id), snapshot_id: snapshotId };
      return [
        encode("load_canister_snapshot", Load, { ...one, sender_canister_version: [] }),
        encode("delete_canister_snapshot", IDL.Record(One), one),
      ];
    },
    removal: (id) =>
      ["stop_canister", "delete_canister"].map((method) => encode(method, Canister, about(id))),
  };
}

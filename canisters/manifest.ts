/**
 * Every canister of this workspace that a build makes from source: what is compiled, in which persistence
 * mode, and where the results go. Paths are relative to this folder.
 *
 * Invariant: every committed module appears here and in `hashes.json`.
 */

/** Motoko's two ways to keep the heap over an upgrade: 64-bit memory kept as is, or 32-bit memory serialised. */
export type PersistenceMode = "enhanced" | "classic";

/** One Motoko actor to compile. */
export interface MotokoTarget {
  readonly kind: "motoko";
  /** Source of the actor. */
  readonly source: string;
  readonly mode: PersistenceMode;
  /** Compressed module to write. */
  readonly wasmGzip: string;
  /** Candid interface to write; null where another target of the same source writes it. */
  readonly did: string | null;
}

/** One WebAssembly text module to assemble. */
export interface WatTarget {
  readonly kind: "wat";
  readonly source: string;
  readonly wasmGzip: string;
}

export type Target = MotokoTarget | WatTarget;

/** System canisters, by folder under `system/`. */
export const SYSTEM_CANISTERS = ["icp-ledger", "cycles-ledger", "cycles-minting"] as const;

/** Motoko fixtures, by file under `fixtures/motoko/`. */
export const MOTOKO_FIXTURES = [
  "counter",
  "timers",
  "callee",
  "caller",
  "stable-structures",
  "upgrade-v1",
  "upgrade-v2",
  "heap",
  "spawner",
  "wallet",
  "blobs",
  "hooks",
  "certified",
  "inspector",
  "management",
] as const;

/** WebAssembly text fixtures, by file under `fixtures/wat/`. */
export const WAT_FIXTURES = ["memory64"] as const;

/** A fixture whose toolchain is not part of this workspace: built by its own script, then locked. */
export interface ExternalTarget {
  readonly name: string;
  /** What the script leaves; not committed. */
  readonly wasm: string;
  readonly wasmGzip: string;
  /** How to make `wasm` again, from this folder. */
  readonly command: string;
}

/** Fixtures in C (clang) and TypeScript (Azle). */
export const EXTERNAL_FIXTURES: readonly ExternalTarget[] = [
  external("accumulator", "c"),
  external("registry", "azle"),
];

/** All targets, system canisters first. */
export function targets(): readonly Target[] {
  return [
    ...SYSTEM_CANISTERS.map(systemTarget),
    ...MOTOKO_FIXTURES.flatMap(fixtureTargets),
    ...WAT_FIXTURES.map(watTarget),
  ];
}

function systemTarget(name: string): MotokoTarget {
  const folder = `system/${name}`;
  return {
    kind: "motoko",
    source: `${folder}/main.mo`,
    mode: "enhanced",
    wasmGzip: `${folder}/${name}.wasm.gz`,
    did: `${folder}/${name}.did`,
  };
}

function fixtureTargets(name: string): readonly MotokoTarget[] {
  const source = `fixtures/motoko/${name}.mo`;
  const built = `fixtures/built/${name}`;
  return [
    { kind: "motoko", source, mode: "enhanced", wasmGzip: `${built}.eop.wasm.gz`, did: `${built}.did` },
    { kind: "motoko", source, mode: "classic", wasmGzip: `${built}.classic.wasm.gz`, did: null },
  ];
}

function watTarget(name: string): WatTarget {
  return { kind: "wat", source: `fixtures/wat/${name}.wat`, wasmGzip: `fixtures/built/${name}.wasm.gz` };
}

function external(name: string, folder: string): ExternalTarget {
  return {
    name,
    wasm: `fixtures/${folder}/${name}.wasm`,
    wasmGzip: `fixtures/built/${name}.wasm.gz`,
    command: `sh fixtures/${folder}/build.sh`,
  };
}

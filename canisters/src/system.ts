/**
 * The system canisters a network begins with: where their modules are, at which ids they live, what they
 * are installed with and how many cycles they hold.
 *
 * Invariant: `wasmGzip()` returns bytes with the hash of `hashes.json`, or throws.
 */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

import {
  encodeCyclesLedgerInit,
  encodeCyclesMintingInit,
  encodeIcpLedgerInit,
  fundedCycles,
  type SystemGenesis,
} from "./init.ts";

/** One canister of the genesis. */
export interface SystemCanister {
  readonly name: string;
  /** Textual id, the same as on the public network. */
  readonly canisterId: string;
  /** Where the compressed module lies; for tools that package it. */
  readonly wasmGzipUrl: URL;
  /** The compressed module, verified against the hash lock. */
  wasmGzip(): Uint8Array;
  /** Encoded Candid argument for its installation. */
  initArg(genesis: SystemGenesis): Uint8Array;
  /** Cycles to hold at genesis. */
  cycles(genesis: SystemGenesis): bigint;
}

/** Hashes of one artifact in `hashes.json`. */
export interface LockedArtifact {
  readonly wasmSha256: string;
  readonly gzipSha256: string;
  readonly wasmBytes: number;
}

/** Named as a whole and literally: packaging copies the folder and points here at the copy. */
const SYSTEM_FOLDER = new URL("../system/", import.meta.url);

/** For running and storage: thousands of years of an idle canister. */
const OPERATING_CYCLES = 10n ** 16n;

/** What the cycles-minting canister pays out of, where the public network's mints without limit. */
const MINTING_CYCLES = 2n ** 110n;

/** ICP ledger, cycles ledger and cycles-minting canister, in the order of their installation. */
export function systemCanisters(): readonly SystemCanister[] {
  return [
    {
      ...located("icp-ledger", "ryjl3-tyaaa-aaaaa-aaaba-cai"),
      initArg: encodeIcpLedgerInit,
      cycles: () => OPERATING_CYCLES,
    },
    {
      ...located("cycles-ledger", "um5iw-rqaaa-aaaaq-qaaba-cai"),
      initArg: encodeCyclesLedgerInit,
      cycles: (genesis) => OPERATING_CYCLES + fundedCycles(genesis),
    },
    {
      ...located("cycles-minting", "rkp4c-7iaaa-aaaaa-aaaca-cai"),
      initArg: encodeCyclesMintingInit,
      cycles: () => OPERATING_CYCLES + MINTING_CYCLES,
    },
  ];
}

/** The hash lock's entries, by path in this workspace. */
export function lockedArtifacts(): Readonly<Record<string, LockedArtifact>> {
  const text = readFileSync(new URL("../hashes.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { readonly artifacts: Readonly<Record<string, LockedArtifact>> }).artifacts;
}

/** Reads a committed module and compares it with the lock; `path` is its name there, relative to this workspace. */
export function readLockedGzip(path: string, url: URL): Uint8Array {
  const locked = lockedArtifacts()[path];
  if (locked === undefined) throw new Error(`${path} is not in hashes.json: build it first`);
  const bytes = Uint8Array.from(readFileSync(url));
  const hash = createHash("sha256").update(bytes).digest("hex");
  if (hash !== locked.gzipSha256) {
    throw new Error(
      `${path} has SHA-256 ${hash}, hashes.json says ${locked.gzipSha256}: restore or rebuild it`,
    );
  }
  return bytes;
}

function located(
  name: string,
  canisterId: string,
): Pick<SystemCanister, "name" | "canisterId" | "wasmGzipUrl" | "wasmGzip"> {
  const url = new URL(`${name}/${name}.wasm.gz`, SYSTEM_FOLDER);
  return {
    name,
    canisterId,
    wasmGzipUrl: url,
    wasmGzip: () => readLockedGzip(`system/${name}/${name}.wasm.gz`, url),
  };
}

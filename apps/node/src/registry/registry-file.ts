/**
 * The registry's records as a node keeps them, in one file of its state directory that is written whole. What is in it proves itself, and others
 * have it too: a file that is lost is fetched again.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type CborValue, decodeCbor, encodeCborBare, OrreryError } from "@orrery/base";
import { CREATIONS_FILE, REGISTRY_FILE } from "@orrery/host/directory-content";
import { writeWhole } from "@orrery/host/write-whole";
import { decodeRecord, encodeRecord, type RegistryRecord } from "./record.ts";

const FORMAT = 1;

/** The oldest first; none where there is no file. `registry_corrupt` for a file that is none. */
export function readRegistryFile(stateDirectory: string): readonly RegistryRecord[] {
  const path = join(stateDirectory, REGISTRY_FILE);
  if (!existsSync(path)) return [];
  try {
    return decodeRecords(new Uint8Array(readFileSync(path)));
  } catch (cause) {
    throw new OrreryError(
      "registry_corrupt",
      `${path} holds no records of a registry (${(cause as Error).message}); copy it from another node, or remove it if this node founded the network`,
      { cause },
    );
  }
}

export function writeRegistryFile(stateDirectory: string, records: readonly RegistryRecord[]): void {
  writeWhole(join(stateDirectory, REGISTRY_FILE), encodeRecords(records));
}

/** Packages by which the root subnet created subnets, in their order; none where there is no file. `registry_corrupt` for a file that is none. */
export function readCreationsFile(stateDirectory: string): readonly Uint8Array[] {
  const path = join(stateDirectory, CREATIONS_FILE);
  if (!existsSync(path)) return [];
  let value: CborValue = null;
  try {
    value = decodeCbor(new Uint8Array(readFileSync(path)));
  } catch {
    // It is none.
  }
  const [format, list, ...rest] = Array.isArray(value) ? (value as readonly CborValue[]) : [];
  const isWhole = format === FORMAT && Array.isArray(list) && rest.length === 0;
  if (!isWhole || !list.every((each) => each instanceof Uint8Array)) {
    throw new OrreryError(
      "registry_corrupt",
      `${path} holds no packages of the root subnet; remove it: the node gets them from others`,
    );
  }
  return list as readonly Uint8Array[];
}

export function writeCreationsFile(stateDirectory: string, packages: readonly Uint8Array[]): void {
  writeWhole(join(stateDirectory, CREATIONS_FILE), encodeCborBare([FORMAT, packages as CborValue[]]));
}

/** Both in a state directory: what is there, and how it is kept. */
export function keptIn(stateDirectory: string): {
  readonly records: readonly RegistryRecord[];
  readonly keep: (records: readonly RegistryRecord[]) => void;
  readonly creations: readonly Uint8Array[];
  readonly keepCreations: (packages: readonly Uint8Array[]) => void;
} {
  return {
    records: readRegistryFile(stateDirectory),
    keep: (records) => writeRegistryFile(stateDirectory, records),
    creations: readCreationsFile(stateDirectory),
    keepCreations: (packages) => writeCreationsFile(stateDirectory, packages),
  };
}

/** As files and nodes hand them on. */
export function encodeRecords(records: readonly RegistryRecord[]): Uint8Array {
  return encodeCborBare([FORMAT, records.map(encodeRecord)]);
}

/** `registry_invalid` for anything else. */
export function decodeRecords(bytes: Uint8Array): readonly RegistryRecord[] {
  const invalid = (): OrreryError =>
    new OrreryError("registry_invalid", "not a list of records of a registry");
  let value: CborValue;
  try {
    value = decodeCbor(bytes);
  } catch {
    throw invalid();
  }
  const [format, list, ...rest] = Array.isArray(value) ? (value as readonly CborValue[]) : [];
  if (format !== FORMAT || !Array.isArray(list) || rest.length > 0) throw invalid();
  return (list as readonly CborValue[]).map((record) => {
    if (!(record instanceof Uint8Array)) throw invalid();
    return decodeRecord(record);
  });
}

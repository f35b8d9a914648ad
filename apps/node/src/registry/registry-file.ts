/**
 * The registry's records as a node keeps them, in one file of its state directory that is written whole. What is in it proves itself, and others
 * have it too: a file that is lost is fetched again.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type CborValue, decodeCbor, encodeCborBare, OrreryError } from "@orrery/base";
import { REGISTRY_FILE } from "@orrery/host/directory-content";
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

/**
 * Which checkpoint is current: one small file, replaced as a whole by rename, naming the chain of checkpoint files (a base and the
 * deltas on it) with length and checksum of each. What it does not name is left over and may go.
 */
import type { Height } from "@orrery/base";
import { CHECKPOINT_PREFIX, decodingFrom } from "./checkpoint-format.ts";
import { checksum } from "./checksum.ts";
import { decodeWith, encodeWith, integer, list, record } from "./codec/codec.ts";
import type { Disk } from "./disk.ts";
import {
  corrupt,
  decodeFileHeader,
  encodeFileHeader,
  fileHeaderBytes,
  numberedName,
} from "./durable-format.ts";
import { readWhole, writeDurably } from "./small-file.ts";

export const MANIFEST_FILE = "MANIFEST";
const MAGIC = "ORRERYMF";

export interface CheckpointFile {
  readonly generation: number;
  readonly bytes: number;
  /** Checksum over the whole file (its footer's). */
  readonly sum: number;
}

export interface Manifest {
  readonly height: Height;
  /** The base first; never empty. */
  readonly chain: readonly CheckpointFile[];
}

const manifestCodec = record<Manifest>({
  height: integer,
  chain: list(record<CheckpointFile>({ generation: integer, bytes: integer, sum: integer })),
});

export function checkpointFileName(generation: number): string {
  return numberedName(CHECKPOINT_PREFIX, generation);
}

/** The manifest, null when there is none. */
export function readManifest(disk: Disk, network: Uint8Array): Manifest | null {
  const bytes = readWhole(disk, MANIFEST_FILE);
  if (bytes === null) return null;
  const expected = { magic: MAGIC, network, fields: 1 };
  const [sum] = decodeFileHeader(MANIFEST_FILE, bytes, expected);
  const body = bytes.subarray(fileHeaderBytes(1));
  if (checksum(body) !== sum) throw corrupt(MANIFEST_FILE, "its checksum does not hold");
  const manifest = decodingFrom(MANIFEST_FILE, () => decodeWith(manifestCodec, body));
  if (manifest.chain.length === 0) throw corrupt(MANIFEST_FILE, "it names no file");
  return manifest;
}

/** Makes `manifest` the current one; whatever it names must be written and synced (names included, by this call's first sync). */
export function replaceManifest(disk: Disk, network: Uint8Array, manifest: Manifest): void {
  const body = encodeWith(manifestCodec, manifest);
  const header = encodeFileHeader({ magic: MAGIC, network, fields: [checksum(body)] });
  writeDurably(disk, MANIFEST_FILE, [header, body]);
}

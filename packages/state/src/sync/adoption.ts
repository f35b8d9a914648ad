/**
 * Another node's state in place of a store's own: a full checkpoint, and a log that begins anew with its block. A mark says so before anything
 * is changed, and opening the store finishes what the mark began: after a power cut a store has its former state and log whole, or the new ones.
 */
import type { Height } from "@orrery/base";
import { BlockLog } from "../block-log.ts";
import { LOG_PREFIX } from "../block-log-format.ts";
import { CHECKPOINT_PREFIX } from "../checkpoint-format.ts";
import { checkpointFileName, readManifest } from "../checkpoint-manifest.ts";
import { checksum } from "../checksum.ts";
import type { Disk } from "../disk.ts";
import {
  corrupt,
  decodeFileHeader,
  encodeFileHeader,
  fileHeaderBytes,
  type LogRecord,
  numberOf,
} from "../durable-format.ts";
import { readWhole, writeDurably } from "../small-file.ts";

const MARK_FILE = "ADOPTED";
const MAGIC = "ORRERYAD";
/** Height, generation of the checkpoint file, checksum of the block. */
const FIELDS = 3;

export interface Adoption {
  readonly block: LogRecord;
  /** Of the checkpoint file that will be the current one. */
  readonly generation: number;
}

export function markAdoption(disk: Disk, network: Uint8Array, { block, generation }: Adoption): void {
  const fields = [block.height, generation, checksum(block.bytes)];
  writeDurably(disk, MARK_FILE, [encodeFileHeader({ magic: MAGIC, network, fields }), block.bytes]);
}

/** Does what is left to do, or forgets a mark whose checkpoint did not become current. Before the log is opened. */
export function finishAdoption(disk: Disk, network: Uint8Array, seed: number): void {
  const bytes = readWhole(disk, MARK_FILE);
  if (bytes === null) return;
  const [height, generation, sum] = decodeFileHeader(MARK_FILE, bytes, {
    magic: MAGIC,
    network,
    fields: FIELDS,
  });
  const block = bytes.slice(fileHeaderBytes(FIELDS));
  if (checksum(block) !== sum) throw corrupt(MARK_FILE, "its checksum does not hold");
  const manifest = readManifest(disk, network);
  const isCurrent = manifest?.chain.length === 1 && manifest.chain[0]?.generation === generation;
  if (isCurrent) {
    const kept = checkpointFileName(generation as number);
    for (const name of disk.list()) {
      const isFormer = numberOf(CHECKPOINT_PREFIX, name) !== null && name !== kept;
      if (isFormer || numberOf(LOG_PREFIX, name) !== null) disk.remove(name);
    }
    disk.syncDirectory();
    beginLog(disk, { network, seed }, { height: height as Height, bytes: block });
  }
  disk.remove(MARK_FILE);
  disk.syncDirectory();
}

function beginLog(
  disk: Disk,
  { network, seed }: { readonly network: Uint8Array; readonly seed: number },
  block: LogRecord,
): void {
  const log = new BlockLog(disk, { network, seed, keepFrom: 0, neededFrom: 0 });
  try {
    log.append(block);
    log.sync();
  } finally {
    log.close();
  }
}

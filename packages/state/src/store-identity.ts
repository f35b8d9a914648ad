/**
 * The file `ORRERY`: what this directory is, in words on its first line, then the network it belongs to and the seed of its log's
 * checksums. Written before anything else and never again; a directory that holds other things and not this file is not ours.
 */
import { equalBytes, fromHex, OrreryError, toHex, utf8, utf8Decode } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { checksum } from "./checksum.ts";
import type { Disk } from "./disk.ts";
import { corrupt, foreign, newer, older, STORE_FORMAT, viewOf } from "./durable-format.ts";
import { readWhole, temporaryName, writeDurably } from "./small-file.ts";

export const IDENTITY_FILE = "ORRERY";
const FIRST_LINE = /^Orrery state directory, format (\d{1,9})\b/;
/** Longer than any format of this file. */
const IDENTITY_BYTES_MAX = 4096;

export interface StoreIdentity {
  readonly networkId: Uint8Array;
  readonly seed: number;
}

export interface IdentityOptions {
  /** Null: whatever network the directory belongs to. Needed to create. */
  readonly networkId: Uint8Array | null;
  readonly createIfMissing: boolean;
  /** 16 or more unpredictable bytes, used when creating. */
  readonly salt: Uint8Array | null;
  /** Names that others keep in the directory (a lock file). */
  readonly ignore: readonly string[];
}

function encodeIdentity(networkId: Uint8Array, seed: number): Uint8Array {
  const body = [
    `Orrery state directory, format ${STORE_FORMAT}. Everything here belongs together; change nothing by hand.`,
    `network ${toHex(networkId)}`,
    `seed ${seed.toString(16).padStart(8, "0")}`,
  ].join("\n");
  return utf8(`${body}\nchecksum ${checksum(utf8(body)).toString(16).padStart(8, "0")}\n`);
}

function decodeIdentity(bytes: Uint8Array): StoreIdentity {
  const text = utf8Decode(bytes.subarray(0, IDENTITY_BYTES_MAX));
  const version = FIRST_LINE.exec(text ?? "")?.[1];
  if (version !== undefined && Number(version) !== STORE_FORMAT) {
    throw (Number(version) > STORE_FORMAT ? newer : older)(IDENTITY_FILE, Number(version));
  }
  const match = /\nnetwork ((?:[0-9a-f]{2})*)\nseed ([0-9a-f]{8})\nchecksum [0-9a-f]{8}\n$/.exec(text ?? "");
  if (match === null) throw corrupt(IDENTITY_FILE, "it is not readable");
  const identity = { networkId: fromHex(match[1] as string), seed: Number.parseInt(match[2] as string, 16) };
  // Its words and numbers are exactly what is written for this identity, or it was changed.
  if (!equalBytes(encodeIdentity(identity.networkId, identity.seed), bytes))
    throw corrupt(IDENTITY_FILE, "it was changed");
  return identity;
}

/**
 * Reads the identity of a directory, or gives an empty one an identity. Refuses, changing nothing: another network's or somebody
 * else's directory (`store_foreign`), another format (`store_newer`, `store_older`), damage (`store_corrupt`), nothing there (`store_missing`).
 */
export function openIdentity(disk: Disk, options: IdentityOptions): StoreIdentity {
  const bytes = readWhole(disk, IDENTITY_FILE);
  if (bytes !== null) {
    const identity = decodeIdentity(bytes);
    if (options.networkId !== null && !equalBytes(options.networkId, identity.networkId)) {
      throw foreign(
        IDENTITY_FILE,
        `names another network (${toHex(identity.networkId)}, not ${toHex(options.networkId)})`,
      );
    }
    return identity;
  }
  const known = new Set([...options.ignore, temporaryName(IDENTITY_FILE)]);
  const others = disk.list().filter((name) => !known.has(name));
  if (others.length > 0) {
    throw foreign(
      "the directory",
      `is not empty and not an Orrery state directory: it holds ${(others[0] as string).slice(0, 80)}`,
    );
  }
  if (!options.createIfMissing || options.networkId === null) {
    throw new OrreryError(
      "store_missing",
      `there is no Orrery state here (no file ${IDENTITY_FILE}); start a network in it first`,
    );
  }
  const seed = viewOf(sha256(options.networkId, options.salt ?? new Uint8Array(0))).getUint32(0);
  writeDurably(disk, IDENTITY_FILE, [encodeIdentity(options.networkId, seed)]);
  return { networkId: options.networkId, seed };
}

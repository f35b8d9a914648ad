/** Encodings of configurations and transcripts: what blocks and catch-up packages carry of a run. */
import { concatAll, err, ok, type Result } from "@orrery/base";
import { DKG_ID_BYTES_MAX, DKG_MEMBERS_MAX, type DkgConfig, u16 } from "./config.ts";
import { G1_BYTES, G2_BYTES } from "./curve.ts";
import { type Dealing, encodeDealing, readDealing } from "./dealing.ts";
import type { Transcript } from "./transcript.ts";
import { Malformed, Reader } from "./wire.ts";

const CONFIG_VERSION = 1;
const TRANSCRIPT_VERSION = 1;

export function encodeDkgConfig(config: DkgConfig): Uint8Array {
  const { id, threshold, receivers, dealers, dealingsNeeded, reshared } = config;
  return concatAll([
    Uint8Array.of(CONFIG_VERSION),
    u16(id.length),
    id,
    u16(threshold),
    u16(receivers.length),
    ...receivers,
    u16(dealers),
    u16(dealingsNeeded),
    u16(reshared?.length ?? 0),
    ...(reshared ?? []),
  ]);
}

function readConfig(reader: Reader): DkgConfig {
  reader.integer(1, CONFIG_VERSION, CONFIG_VERSION, "the version");
  const id = reader.bytes(reader.integer(2, 1, DKG_ID_BYTES_MAX, "the length of the id"));
  const threshold = reader.integer(2, 1, DKG_MEMBERS_MAX, "the threshold");
  const receivers = reader.many(reader.integer(2, 1, DKG_MEMBERS_MAX, "the number of receivers"), G1_BYTES);
  const dealers = reader.integer(2, 1, DKG_MEMBERS_MAX, "the number of dealers");
  const dealingsNeeded = reader.integer(2, 1, dealers, "the number of dealings needed");
  const count = reader.integer(2, 0, DKG_MEMBERS_MAX, "the number of reshared coefficients");
  const reshared = count === 0 ? null : reader.many(count, G2_BYTES);
  return { id, threshold, receivers, dealers, dealingsNeeded, reshared };
}

function decoded<T>(what: string, bytes: Uint8Array, read: (reader: Reader) => T): Result<T, string> {
  try {
    const reader = new Reader(bytes);
    const value = read(reader);
    reader.end();
    return ok(value);
  } catch (cause) {
    if (cause instanceof Malformed) return err(`the ${what} is malformed: ${cause.message}`);
    throw cause;
  }
}

/** Strict in its layout; its points are judged where it is used. */
export function decodeDkgConfig(bytes: Uint8Array): Result<DkgConfig, string> {
  return decoded("configuration", bytes, readConfig);
}

export function encodeTranscript({ config, coefficients, dealings }: Transcript): Uint8Array {
  return concatAll([
    Uint8Array.of(TRANSCRIPT_VERSION),
    encodeDkgConfig(config),
    ...coefficients,
    u16(dealings.length),
    ...dealings.map(encodeDealing),
  ]);
}

function readTranscript(reader: Reader): Transcript {
  reader.integer(1, TRANSCRIPT_VERSION, TRANSCRIPT_VERSION, "the version");
  const config = readConfig(reader);
  const coefficients = reader.many(config.threshold, G2_BYTES);
  const count = reader.integer(2, config.dealingsNeeded, config.dealers, "the number of dealings");
  const dealings: Dealing[] = [];
  for (let i = 0; i < count; i++) {
    const dealing = readDealing(reader);
    const fits =
      dealing.coefficients.length === config.threshold &&
      dealing.ciphertexts.length === config.receivers.length;
    if (!fits) throw new Malformed(`dealing ${i} is of another configuration`);
    dealings.push(dealing);
  }
  return { config, coefficients, dealings };
}

/** Strict in its layout; `verifyTranscript` judges what it says. */
export function decodeTranscript(bytes: Uint8Array): Result<Transcript, string> {
  return decoded("transcript", bytes, readTranscript);
}

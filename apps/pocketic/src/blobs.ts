/** Blobs by the SHA-256 of their bytes as sent: stable memories to be set, kept for as long as the server lives. */
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { type Answer, failure, textAnswer } from "./answers.ts";

/** Of all blobs together. */
const BLOBS_BYTES_MAX = 8 * 1_024 ** 3;
/** The largest stable memory that is set from a compressed blob. */
const INFLATED_BYTES_MAX = 2 * 1_024 ** 3;

interface Blob {
  readonly bytes: Uint8Array;
  readonly isGzip: boolean;
}

export class BlobStore {
  readonly #blobs = new Map<string, Blob>();
  #bytes = 0;

  /** Answers with the blob's id. */
  store(bytes: Uint8Array, encoding: string | undefined): Answer {
    if (encoding !== undefined && encoding !== "gzip") {
      return failure(400, "Bad encoding: Only 'gzip' content encoding is supported");
    }
    const id = createHash("sha256").update(bytes).digest("hex");
    const known = this.#blobs.get(id);
    const grown = this.#bytes + bytes.length - (known?.bytes.length ?? 0);
    if (grown > BLOBS_BYTES_MAX) {
      return failure(
        413,
        `All blobs together would be over ${BLOBS_BYTES_MAX} bytes; start another server for more.`,
      );
    }
    this.#bytes = grown;
    this.#blobs.set(id, { bytes, isGzip: encoding === "gzip" });
    return textAnswer(200, id);
  }

  /** The blob as it was sent. */
  answer(id: string): Answer {
    if (!/^([0-9a-fA-F]{2})*$/.test(id))
      return failure(400, `A blob's id is hexadecimal, not ${id.slice(0, 80)}`);
    const blob = this.#blobs.get(id.toLowerCase());
    if (blob === undefined) return failure(404, `No blob has the id ${id.slice(0, 80)}`);
    const headers = {
      "content-type": "application/octet-stream",
      ...(blob.isGzip ? { "content-encoding": "gzip" } : {}),
    };
    return { status: 200, headers, body: blob.bytes };
  }

  /** What the blob holds, inflated; null when it is unknown, an error's text when it does not inflate. */
  content(id: string): Uint8Array | string | null {
    const blob = this.#blobs.get(id);
    if (blob === undefined) return null;
    if (!blob.isGzip) return blob.bytes;
    try {
      return gunzipSync(blob.bytes, { maxOutputLength: INFLATED_BYTES_MAX });
    } catch {
      return "Decompression failed";
    }
  }
}

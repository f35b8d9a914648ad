/**
 * Frames on a stream of bytes: four big-endian bytes of length, then so many bytes. An empty frame keeps a connection alive. Never holds
 * more than one frame, whatever its length claims.
 */
import { FRAME_BYTES_MAX } from "./limits.ts";

const LENGTH_BYTES = 4;

/** A frame as it travels. */
export function frameBytes(frame: Uint8Array): Uint8Array {
  const out = new Uint8Array(LENGTH_BYTES + frame.length);
  new DataView(out.buffer).setUint32(0, frame.length);
  out.set(frame, LENGTH_BYTES);
  return out;
}

/** Cuts a stream into frames. */
export class FrameReader {
  readonly #length = new Uint8Array(LENGTH_BYTES);
  #lengthFilled = 0;
  #body: Uint8Array | null = null;
  #filled = 0;

  /** Bytes of the frame that is not whole yet. */
  get pending(): number {
    return this.#lengthFilled + this.#filled;
  }

  /**
   * Takes all bytes of `chunk` and hands over the frames that are whole, each a copy. False when a length is over `FRAME_BYTES_MAX`:
   * nothing after it can be read, and the reader must not be used again.
   */
  push(chunk: Uint8Array, onFrame: (frame: Uint8Array) => void): boolean {
    let at = 0;
    while (at < chunk.length) {
      if (this.#body === null) {
        this.#length[this.#lengthFilled++] = chunk[at++] as number;
        if (this.#lengthFilled < LENGTH_BYTES) continue;
        const length = new DataView(this.#length.buffer).getUint32(0);
        if (length > FRAME_BYTES_MAX) return false;
        this.#body = new Uint8Array(length);
      } else {
        const taken = Math.min(this.#body.length - this.#filled, chunk.length - at);
        this.#body.set(chunk.subarray(at, at + taken), this.#filled);
        this.#filled += taken;
        at += taken;
      }
      if (this.#filled < this.#body.length) continue;
      const frame = this.#body;
      this.#body = null;
      this.#lengthFilled = 0;
      this.#filled = 0;
      onFrame(frame);
    }
    return true;
  }
}

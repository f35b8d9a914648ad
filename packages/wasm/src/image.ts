/**
 * The initial memory of a module: its active data segments applied in order to zeroed memory. The instrumented module keeps
 * the segments' indices but not their bytes; whoever instantiates writes the image instead (once, at install).
 */
import type { DecodedModule } from "./decode.ts";
import { InvalidModule } from "./reader.ts";

export const OS_PAGE_BYTES = 4096;
const WASM_PAGE_BYTES = 65_536n;

/** The non-zero 4 KiB pages of the initial memory, ascending. */
export interface InitialImage {
  readonly pages: readonly number[];
  /** 4096 bytes each, in the order of `pages`. */
  readonly bytes: readonly Uint8Array[];
}

/** Builds the image; a segment outside the initial memory makes the module invalid. */
export function initialImage(m: DecodedModule): InitialImage {
  const memoryBytes = BigInt(m.memories[0]?.min ?? 0) * WASM_PAGE_BYTES;
  const pages = new Map<number, Uint8Array>();
  for (const segment of m.data) {
    if (segment.offset === null || segment.offset === undefined) continue;
    const length = segment.end - segment.start;
    if (segment.offset + BigInt(length) > memoryBytes) {
      throw new InvalidModule(
        "data_segment",
        `Wasm module has invalid data segment of ${length} bytes at ${segment.offset}`,
      );
    }
    write(pages, Number(segment.offset), m.bytes.subarray(segment.start, segment.end));
  }
  const kept = [...pages].filter(([, bytes]) => bytes.some((b) => b !== 0)).sort(([a], [b]) => a - b);
  return { pages: kept.map(([page]) => page), bytes: kept.map(([, bytes]) => bytes) };
}

function write(pages: Map<number, Uint8Array>, offset: number, content: Uint8Array): void {
  for (let done = 0; done < content.length; ) {
    const page = Math.floor((offset + done) / OS_PAGE_BYTES);
    const within = (offset + done) % OS_PAGE_BYTES;
    const length = Math.min(OS_PAGE_BYTES - within, content.length - done);
    let bytes = pages.get(page);
    if (bytes === undefined) {
      bytes = new Uint8Array(OS_PAGE_BYTES);
      pages.set(page, bytes);
    }
    bytes.set(content.subarray(done, done + length), within);
    done += length;
  }
}

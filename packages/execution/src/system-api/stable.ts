/**
 * Stable memory imports in both widths (interface spec, "Stable memory"). Charged: a byte an instruction, and a fixed price for
 * every 4 KiB page that a message writes first. The pages that one message may touch are bounded. Nothing is out of bounds for a
 * length of zero, `stable_write` apart, which looks at the stable memory first.
 */
import { PAGE_BYTES } from "@orrery/state";
import { HEAP_BYTES_MAX_64 } from "../limits.ts";
import { STABLE_PAGES_MAX, STABLE32_PAGES_MAX, type StableOverlay } from "../runner/stable-overlay.ts";
import { CanisterFailure, trapped } from "./failure.ts";
import type { MessageFrame } from "./frame.ts";
import type { Host, HostFunction, Pointer } from "./host.ts";
import { unsigned } from "./host.ts";
import { type ModeMask, modeMask } from "./modes.ts";

/** Price of a page's first write; four times that from 64-bit modules. */
const DIRTY_PAGE_INSTRUCTIONS = 1_000;
const DIRTY_PAGE_INSTRUCTIONS_64 = 4_000;

const GIB: number = 1024 ** 3;
/** Heap addresses and lengths above it are out of bounds before anything else is looked at. */
const HEAP_ADDRESS_MAX = { 32: 2 ** 32 - 1, 64: Number(HEAP_BYTES_MAX_64) } as const;
/** Bytes of stable memory that one message may touch: upgrades and installs, queries, everything else. */
const TOUCH_BYTES_MAX = { upgrade: 8 * GIB, query: GIB, message: 2 * GIB } as const;
const UPGRADE_MODES: ModeMask = modeMask("I G");
const QUERY_MODES: ModeMask = modeMask("NRQ TQ RQ CQ F CRy CRt CC");

function pagesMax(frame: MessageFrame): number {
  const kind =
    (frame.mask & UPGRADE_MODES) !== 0 ? "upgrade" : (frame.mask & QUERY_MODES) !== 0 ? "query" : "message";
  return TOUCH_BYTES_MAX[kind] / PAGE_BYTES;
}

/** What is written counts as accessed too and has the same limit, so there is no other text. */
function checkAccess(frame: MessageFrame, offset: number, size: number): void {
  const { stable } = frame;
  if (stable.accessedPageCount + stable.newlyAccessed(offset, size) <= pagesMax(frame)) return;
  const kilobytes = (bytes: number): number => bytes / 1024;
  throw new CanisterFailure({
    kind: "memory_access_limit",
    text:
      "Exceeded the limit for the number of accessed pages in the stable memory in a single message execution: limit " +
      `${kilobytes(TOUCH_BYTES_MAX.message)} KB for regular messages and ${kilobytes(TOUCH_BYTES_MAX.query)} KB for queries.`,
  });
}

function checkAddress(host: Host, address: number, size: number): void {
  const max = HEAP_ADDRESS_MAX[host.is64 ? 64 : 32];
  if (address > max || size > max) throw trapped("heap out of bounds");
}

function small(stable: StableOverlay): StableOverlay {
  if (stable.pages > STABLE32_PAGES_MAX) {
    throw trapped("32 bit stable memory api used on a memory larger than 4GB");
  }
  return stable;
}

function grow(frame: MessageFrame, delta: number, pagesMaximum: number): number {
  const { stable } = frame;
  const before = stable.pages;
  if (before + delta > pagesMaximum) return -1;
  try {
    frame.allocate(delta);
  } catch (cause) {
    if (cause instanceof CanisterFailure && cause.failure.kind === "out_of_memory") return -1;
    throw cause;
  }
  stable.grow(delta);
  return before;
}

function read(host: Host, frame: MessageFrame, range: { dst: number; offset: number; size: number }): void {
  const { dst, offset, size } = range;
  if (offset + size > frame.stable.bytes) throw trapped("stable memory out of bounds");
  checkAddress(host, dst, size);
  checkAccess(frame, offset, size);
  const memory = host.instance.memoryBytes();
  if (dst + size > memory.length) throw trapped("heap out of bounds");
  frame.stable.read(offset, memory.subarray(dst, dst + size));
  host.instance.markDirty(dst, size);
}

function write(host: Host, frame: MessageFrame, range: { offset: number; src: number; size: number }): void {
  const { offset, src, size } = range;
  const { stable } = frame;
  if (offset + size > stable.bytes) throw trapped("stable memory out of bounds");
  if (size === 0) return;
  checkAddress(host, src, size);
  checkAccess(frame, offset, size);
  const fresh = stable.newlyDirty(offset, size);
  host.charge(fresh * (host.is64 ? DIRTY_PAGE_INSTRUCTIONS_64 : DIRTY_PAGE_INSTRUCTIONS));
  const memory = host.instance.memoryBytes();
  if (src + size > memory.length) throw trapped("heap out of bounds");
  stable.write(offset, memory.subarray(src, src + size));
}

export function stableImports(host: Host): Record<string, HostFunction> {
  return {
    stable_size: () => small(host.allow("stable_size").stable).pages,
    stable_grow: (delta: number) => {
      const frame = host.allow("stable_grow");
      small(frame.stable);
      return grow(frame, delta >>> 0, STABLE32_PAGES_MAX);
    },
    stable_read: (dst: number, offset: number, size: number) => {
      host.charge(size >>> 0);
      const frame = host.allow("stable_read");
      if (size === 0) return undefined;
      small(frame.stable);
      read(host, frame, { dst: dst >>> 0, offset: offset >>> 0, size: size >>> 0 });
      return undefined;
    },
    stable_write: (offset: number, src: number, size: number) => {
      host.charge(size >>> 0);
      const frame = host.allow("stable_write");
      small(frame.stable);
      write(host, frame, { offset: offset >>> 0, src: src >>> 0, size: size >>> 0 });
      return undefined;
    },
    stable64_size: () => BigInt(host.allow("stable64_size").stable.pages),
    stable64_grow: (delta: bigint) =>
      BigInt(grow(host.allow("stable64_grow"), unsigned(delta), STABLE_PAGES_MAX)),
    stable64_read: (dst: Pointer, offset: Pointer, size: Pointer) => {
      host.charge(unsigned(size));
      const frame = host.allow("stable64_read");
      if (unsigned(size) === 0) return undefined;
      read(host, frame, { dst: unsigned(dst), offset: unsigned(offset), size: unsigned(size) });
      return undefined;
    },
    stable64_write: (offset: Pointer, src: Pointer, size: Pointer) => {
      host.charge(unsigned(size));
      const frame = host.allow("stable64_write");
      if (unsigned(size) === 0) return undefined;
      write(host, frame, { offset: unsigned(offset), src: unsigned(src), size: unsigned(size) });
      return undefined;
    },
  };
}

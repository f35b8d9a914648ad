/** The drill's canister (`drill.wat`): its module, its arguments, and what its queries say. */
import { readFileSync } from "node:fs";
import type { Principal } from "@icp-sdk/core/principal";
import wabt from "wabt";

/** Slots that the canister has room for. */
export const SLOTS_MAX = 65_536;

export function drillModule(): Promise<Uint8Array> {
  return moduleOf(new URL("./drill.wat", import.meta.url));
}

/** A module from its text. */
export async function moduleOf(file: URL): Promise<Uint8Array> {
  const toolkit = await wabt();
  const module = toolkit.parseWat(file.pathname, readFileSync(file, "utf8"));
  try {
    return new Uint8Array(module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
}

/** Little-endian: numbers take four bytes, bigints eight, arrays themselves. */
export function pack(...parts: readonly (number | bigint | Uint8Array)[]): Uint8Array {
  const chunks = parts.map((part) => {
    if (part instanceof Uint8Array) return part;
    const bytes = Buffer.alloc(typeof part === "bigint" ? 8 : 4);
    if (typeof part === "bigint") bytes.writeBigUInt64LE(part);
    else bytes.writeUInt32LE(part);
    return bytes;
  });
  return new Uint8Array(Buffer.concat(chunks));
}

export function transferArgument(slot: number, amount: number, cycles: bigint, to: Principal): Uint8Array {
  const id = to.toUint8Array();
  return pack(slot, amount, cycles, Uint8Array.of(id.length), id);
}

const REPORT_FIELDS = [
  "a",
  "balance",
  "inFlight",
  "sent",
  "received",
  "cyclesSent",
  "cyclesRefunded",
  "cyclesAccepted",
  "queued",
  "upgrades",
  "timerRuns",
  "rejected",
  "armed",
  "cycles",
  "stableA",
  "b",
  "tornPages",
  "tornStablePages",
] as const;

export type DrillReport = Readonly<Record<(typeof REPORT_FIELDS)[number], bigint>>;

/** A count a slot, from the first one asked for on. */
export interface DrillCounts {
  readonly executed: Uint8Array;
  readonly executedStable: Uint8Array;
  /** Callbacks that ran. */
  readonly done: Uint8Array;
  /** By the timer. */
  readonly fired: Uint8Array;
  /** From a peer. */
  readonly received: Uint8Array;
}

/** What the canister's query `look` says, all of one height. */
export interface DrillLook {
  readonly report: DrillReport;
  readonly counts: DrillCounts;
}

export function decodeLook(reply: Uint8Array): DrillLook {
  const view = new DataView(reply.buffer, reply.byteOffset, reply.byteLength);
  const report = Object.fromEntries(REPORT_FIELDS.map((field, i) => [field, view.getBigInt64(8 * i, true)]));
  const start = 8 * REPORT_FIELDS.length;
  const n = (reply.length - start) / 5;
  const part = (i: number): Uint8Array => reply.subarray(start + i * n, start + (i + 1) * n);
  return {
    report: report as DrillReport,
    counts: { executed: part(0), executedStable: part(1), done: part(2), fired: part(3), received: part(4) },
  };
}

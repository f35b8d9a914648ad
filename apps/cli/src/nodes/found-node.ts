/**
 * `orrery node found`: one of the processes that found a network together (`@orrery/node/founding`). Its seed is made here and stays in its
 * directory; what it may show goes to the process that started it, which has that of the others for it.
 */
import { OrreryError } from "@orrery/base";
import type { Io } from "../io.ts";
import { resolveStateDir } from "../state-files.ts";
import { nodeSeed } from "./node-key.ts";

/** To a founding node. */
export type FoundingOrder =
  /** `subnets`: those that its process will have a node of. */
  | { readonly kind: "show"; readonly plan: string; readonly subnets: readonly number[] }
  | { readonly kind: "deal"; readonly plan: string; readonly records: readonly string[] };

/** From it: its record, then its dealings, in base 64; or why it cannot. */
export type FoundingWord =
  | { readonly kind: "shown" | "dealt"; readonly bytes: string }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const bytesOf = (word: string): Uint8Array => new Uint8Array(Buffer.from(word, "base64"));

async function obey(order: FoundingOrder, seed: Uint8Array): Promise<FoundingWord> {
  try {
    const { dealFor, foundingRecord } = await import("@orrery/node/founding");
    const plan = bytesOf(order.plan);
    if (order.kind === "show")
      return { kind: "shown", bytes: text(await foundingRecord(plan, seed, order.subnets)) };
    return { kind: "dealt", bytes: text(await dealFor(plan, order.records.map(bytesOf), seed)) };
  } catch (error) {
    const { describeFailure } = await import("../failure.ts");
    const { code, message } = describeFailure(error);
    return { kind: "failed", code, message };
  }
}

/** Until who started this process lets go of it. */
export async function foundNode(place: number, stateDir: string, io: Io): Promise<number> {
  if (process.send === undefined) {
    throw new OrreryError(
      "founding_alone",
      'a node founds a network together with others; begin one with "orrery start --nodes-per-subnet 4"',
    );
  }
  const { installFastHashes, systemRng } = await import("@orrery/host");
  installFastHashes();
  const seed = nodeSeed(resolveStateDir(io.cwd, stateDir), place, systemRng);
  const ended = new Promise<void>((resolve) => process.once("disconnect", () => resolve()));
  process.on("message", (order: FoundingOrder) => {
    void obey(order, seed).then((word) => process.connected && process.send?.(word));
  });
  await ended;
  return 0;
}

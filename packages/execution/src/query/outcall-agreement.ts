/**
 * What nodes of a subnet agree on, each of whom made the same HTTPS outcall (interface spec, "http_request"): an answer that all but f of
 * n nodes got, or that so many cannot come together any more, in the replica's words. An outcall that is not replicated is made by one node,
 * whose word is taken.
 */
import { encodeCborBare, encodeOutcallContent, type OutcallResponse, type TimeNs, toHex } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import type { Outcall } from "@orrery/state";
import { OUTCALL_TIMEOUT_NS } from "../limits.ts";

/** Block time at which it has an answer or none. */
export function outcallDeadline({ time }: Pick<Outcall, "time">): TimeNs {
  return time + OUTCALL_TIMEOUT_NS;
}

/** By which nodes know that they got the same, bytes: 32. */
export function outcallContentHash(content: OutcallResponse["content"]): Uint8Array {
  return sha256(encodeCborBare(encodeOutcallContent(content)));
}

/** Whether the node in this place makes the outcall. */
export function isOutcallNode(
  { id, replicated }: Pick<Outcall, "id" | "replicated">,
  { place, nodes }: { readonly place: number; readonly nodes: number },
): boolean {
  return replicated || id % nodes === place;
}

export type OutcallVerdict =
  | { readonly kind: "agreed"; readonly hash: Uint8Array }
  /** Whatever the others say, too few come together. */
  | { readonly kind: "divergent" }
  | { readonly kind: "open" };

/** `hashes`: of what nodes got, one a node, of a subnet of `nodes`. */
export function outcallVerdict(hashes: readonly Uint8Array[], nodes: number): OutcallVerdict {
  const needed = nodes - Math.floor((nodes - 1) / 3);
  const [largest] = counted(hashes);
  if (largest === undefined) return { kind: "open" };
  if (largest.count >= needed) return { kind: "agreed", hash: largest.hash };
  return { kind: largest.count + nodes - hashes.length < needed ? "divergent" : "open" };
}

/** The content of an answer to an outcall on which nodes do not agree. */
export function outcallDivergence(
  outcall: Pick<Outcall, "id" | "time">,
  hashes: readonly Uint8Array[],
): OutcallResponse["content"] {
  const counts = counted(hashes).map(({ hash, count }) => `[${toHex(hash)}: ${count}]`);
  const details = `request_id: ${outcall.id}, timeout: ${outcallDeadline(outcall)}, hashes: ${counts.join(", ")}`;
  return {
    kind: "reject",
    code: 2,
    message: `No consensus could be reached. Replicas had different responses. Details: ${details}`,
  };
}

/** Largest groups first, of groups alike the larger hash. */
function counted(
  hashes: readonly Uint8Array[],
): readonly { readonly hash: Uint8Array; readonly count: number }[] {
  const groups = new Map<string, { readonly hash: Uint8Array; count: number }>();
  for (const hash of hashes) {
    const group = groups.get(toHex(hash)) ?? { hash, count: 0 };
    group.count++;
    groups.set(toHex(hash), group);
  }
  return [...groups]
    .sort(([a, x], [b, y]) => y.count - x.count || (a < b ? 1 : -1))
    .map(([, group]) => group);
}
